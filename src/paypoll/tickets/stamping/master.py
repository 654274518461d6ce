"""A finished ticket from which others are stamped."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from functools import cached_property
from typing import Any
from xml.etree.ElementTree import Element

import pydyf
import weasyprint

from paypoll.tickets.stamping import NotStampable
from paypoll.tickets.stamping.difference import Difference, FilledTemplate, Parts
from paypoll.tickets.stamping.fonts import DrawnText, FontCache, StampFont, Written, is_font
from paypoll.tickets.stamping.lru import Lru
from paypoll.tickets.stamping.painting import Painting, StampedPage
from paypoll.tickets.stamping.pictures import Picture
from paypoll.tickets.stamping.texts import PageTexts, Slot

VARIANT = "pdf/ua-1"
_MOST_TEXTS = 32


class Master:
    """A ticket that was printed in full: its template as it was filled, its page as it was laid out, its bytes.

    Nothing is taken from it before the first ticket that looks like it. `root` is its HTML as it was parsed. A master
    that `was_tried` and `is_hopeless` will stamp no ticket.
    """

    def __init__(
        self, filled: FilledTemplate, root: Element, document: weasyprint.Document, pdf: bytes, fonts: FontCache
    ) -> None:
        self._parts = Parts(filled)
        self._root = root
        self._document = document
        self._pdf = pdf
        self._fonts = fonts
        self._slots: dict[int, _MasterSlot | NotStampable] = {}
        self._written: Mapping[int, tuple[pydyf.Dictionary, bytes]] = {}
        self.is_trusted = self.was_tried = self.is_hopeless = False

    def stamp(self, filled: FilledTemplate, styles: str) -> bytes:
        """Return the PDF of another ticket. Raise NotStampable when it cannot have the bytes of a full print."""
        difference = self._parts.difference(Parts(filled))
        if not self.was_tried:
            self.was_tried = self.is_hopeless = True
            self._prepare(styles)
            self.is_hopeless = False
        return self._write(difference, filled, self._shorten)

    def _prepare(self, styles: str) -> None:
        """Raise NotStampable unless the page can be followed, and gives the ticket's own bytes when nothing differs."""
        self._parts.require_usual_markup(styles)
        self._code.require_as_packed(self._parts.filled.qr_png)
        if any(box not in self._texts.text_boxes for box in self._painting.texts):
            raise NotStampable("a text is drawn that is not on the page")
        if self._document.metadata.title != self._parts.title:
            raise NotStampable("the title is not the one in the page")
        for box, operators in self._painting.texts.items():
            if self._drawn[box].operators != operators:
                raise NotStampable("a text is drawn in another way when it is drawn alone")
        if self._write(Difference({}, {}, None), self._parts.filled, self._remember) != self._pdf:
            raise NotStampable("the page does not give the same bytes again")
        self._pdf = b""

    def _write(
        self, difference: Difference, filled: FilledTemplate, finish: Callable[[weasyprint.Document, pydyf.PDF], None]
    ) -> bytes:
        texts, labels = self._changed(difference.texts)
        metadata = self._document.metadata
        if difference.title is not None:
            metadata = copy(metadata)
            metadata.title = difference.title
        self._describe_images(difference.alts)
        page = StampedPage(self._painting, texts, self._pictures(filled), self._bookmarks(labels))
        old = self._document
        document = weasyprint.Document(
            [page], metadata, old.url_fetcher, old.font_config, old.color_profiles, old.output_intent
        )
        document.fonts = _merged(texts[box] for box in self._painting.texts)
        return bytes(document.write_pdf(pdf_variant=VARIANT, finisher=finish))

    @cached_property
    def _painting(self) -> Painting:
        return Painting(self._document)

    @cached_property
    def _texts(self) -> PageTexts:
        (page,) = self._document.pages
        return PageTexts(self._parts, self._root, page._page_box)  # noqa: SLF001 -- nothing else says where texts are

    @cached_property
    def _drawn(self) -> Mapping[Any, DrawnText]:
        return {box: DrawnText(box, self._fonts) for box in self._painting.texts}

    @cached_property
    def _code(self) -> Picture:
        """The picture of the ticket's code."""
        codes = [picture for picture in self._painting.pictures if picture.is_of(self._parts.filled.qr_image)]
        if len(codes) != 1:
            raise NotStampable("the code is not one picture")
        (code,) = codes
        return code

    @cached_property
    def _images(self) -> Sequence[tuple[Element, str | None]]:
        """The images, in the order of their tags, and their descriptions."""
        images = [(element, element.get("alt")) for element in self._root.iter() if element.tag == "img"]
        tags = [self._parts.parts[place] for place in self._parts.images]
        if len(images) != len(tags):
            raise NotStampable("the parser put an image elsewhere")
        code = self._parts.filled.qr_image
        if any(code in tag and element.get("src") != code for tag, (element, _) in zip(tags, images, strict=True)):
            raise NotStampable("the code is not an image's source")
        return images

    def _changed(self, texts: Mapping[int, str]) -> tuple[Mapping[Any, DrawnText], Mapping[str, str]]:
        """Return all texts as they are drawn, by their boxes, and the headings' new labels, by the old ones."""
        drawn = dict(self._drawn)
        labels: dict[str, str] = {}
        for place, text in texts.items():
            slot = self._slot(place)
            drawn.update(zip(slot.boxes, slot.drawn(text, self._fonts), strict=True))
            if slot.labels:
                labels[slot.text] = text
        return drawn, labels

    def _slot(self, place: int) -> "_MasterSlot":
        found = self._slots.get(place)
        if found is None:
            try:
                found = self._find_slot(place)
            except NotStampable as reason:
                found = reason
            self._slots[place] = found
        if isinstance(found, NotStampable):
            raise found
        return found

    def _find_slot(self, place: int) -> "_MasterSlot":
        slot = _MasterSlot(self._texts.slot(place, self._parts.parts[place]))
        if any(box not in self._painting.texts for box in slot.boxes):
            raise NotStampable("a text that differs is not drawn")
        if slot.labels and slot.labels != [slot.text]:
            raise NotStampable("a text that differs is a part of a heading")
        return slot

    def _bookmarks(self, labels: Mapping[str, str]) -> Sequence[tuple[Any, ...]]:
        bookmarks: Sequence[tuple[Any, ...]] = self._painting.page.bookmarks
        old = [label for _, label, *_ in bookmarks]
        if any(old.count(label) > 1 for label in labels):
            raise NotStampable("two headings say the same")
        return [(level, labels.get(label, label), *rest) for level, label, *rest in bookmarks]

    def _pictures(self, filled: FilledTemplate) -> Mapping[str, Picture]:
        pictures = {picture.name: picture for picture in self._painting.pictures}
        if filled.qr_png != self._parts.filled.qr_png:
            pictures[self._code.name] = self._code.with_pixels(
                filled.qr_image, filled.qr_png, any_size=self._texts.has_fixed_size(self._parts.filled.qr_image)
            )
        return pictures

    def _describe_images(self, alts: Mapping[int, str]) -> None:
        """Put the descriptions where WeasyPrint looks for them. Nobody else reads this tree any more."""
        for number, (element, alt) in enumerate(self._images):
            if number in alts and not alt:
                raise NotStampable("an image has no description")
            if alt is not None:
                element.set("alt", alts.get(number, alt))

    def _remember(self, _document: weasyprint.Document, pdf: pydyf.PDF) -> None:
        """Keep what a finished ticket consists of, written out: most of another's is the same."""
        self._written = {
            item.number: (item, item.data) for item in pdf.objects if type(item) in (pydyf.Dictionary, pydyf.Stream)
        }

    def _shorten(self, _document: weasyprint.Document, pdf: pydyf.PDF) -> None:
        """Put in what is written out already: what is the same in the master, and subsets of fonts."""
        for number, item in enumerate(pdf.objects):
            if isinstance(item, pydyf.Stream) and is_font(item):
                pdf.objects[number] = self._fonts.packed(item)
                continue
            written, data = self._written.get(number, (None, b""))
            if type(item) is type(written) and _is_same(item, written):
                pdf.objects[number] = Written(number, data, compressible=item.compressible)


class _MasterSlot:
    """A place for a text, and what was drawn in it last."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot
        self._drawn: Lru[str, Sequence[DrawnText]] = Lru(_MOST_TEXTS)
        self.boxes, self.text, self.labels = slot.boxes, slot.text, slot.labels

    def drawn(self, text: str, fonts: FontCache) -> Sequence[DrawnText]:
        """Return the text's lines as they are drawn here."""
        drawn = self._drawn.get(text)
        if drawn is None:
            drawn = self._drawn.put(text, [DrawnText(line, fonts) for line in self._slot.lines(text)])
        return drawn


def _is_same(one: pydyf.Object, other: pydyf.Object) -> bool:
    """Say whether two dictionaries or streams are written alike. False where it would take writing them to know."""
    if isinstance(one, pydyf.Stream):
        return bool(one.stream == other.stream and one.extra == other.extra and one.compress == other.compress)
    return bool(one == other)


def _merged(texts: Iterable[DrawnText]) -> dict[int, StampFont]:
    """Return the fonts of texts that are drawn one after the other, as WeasyPrint gathers them while it draws."""
    fonts: dict[int, StampFont] = {}
    for text in texts:
        for key, font in text.fonts.items():
            if key not in fonts:
                fonts[key] = font.copy()
            fonts[key].add(font)
    return fonts
