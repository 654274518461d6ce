"""A finished page's painting: recorded once, and painted again with other texts and another code."""

from collections.abc import Mapping, Sequence
from copy import copy
from typing import Any

import pydyf
import weasyprint
from weasyprint.formatting_structure.boxes import TextBox
from weasyprint.pdf.stream import Stream

from paypoll.tickets.stamping import NotStampable
from paypoll.tickets.stamping.fonts import DrawnText, as_bytes
from paypoll.tickets.stamping.pictures import Picture

_SCALE = 0.75
"""Points in a CSS pixel, which is how WeasyPrint calls `Page.paint` at the usual zoom."""


class Painting:
    """What painting a page put into its stream, cut at the texts and the pictures."""

    def __init__(self, document: weasyprint.Document) -> None:
        (self.page,) = document.pages
        if any(self.page.forms.values()):
            raise NotStampable("the page has forms")
        self._tags: dict[Any, dict[str, Any]] = {}
        images: dict[str, Any] = {}
        kinds = ("ExtGState", "XObject", "Pattern", "Shading")
        self._resources = pydyf.Dictionary({kind: pydyf.Dictionary() for kind in kinds} | {"ColorSpace": None})
        items = self._paint(document, images)
        if self._resources["Pattern"] or self._resources["Shading"] or set(self._resources["XObject"]) != set(images):
            raise NotStampable("the page has groups, patterns or gradients")
        self.pictures = [Picture(name, use) for name, use in images.items()]
        self._pieces = _cut(items, self._texts_by_mark(), {f"/{name} Do".encode(): name for name in images})

    @property
    def texts(self) -> Mapping[Any, bytes]:
        """What draws each text, from where it does not depend any more on what was drawn before."""
        return {box: operators for box, operators in self._pieces if isinstance(box, TextBox)}

    def paint(self, stream: Stream, texts: Mapping[Any, DrawnText], pictures: Mapping[str, Picture]) -> None:
        """Paint the page into the stream, with these texts, each in its box, and these pictures under their names."""
        states = stream._resources["ExtGState"]  # noqa: SLF001 -- only the stream itself says what it refers to
        states.update({name: copy(state) for name, state in self._resources["ExtGState"].items()})
        # WeasyPrint takes them out of the dictionary again, one by one.
        stream._tags.update({box: dict(tag) for box, tag in self._tags.items()})  # noqa: SLF001
        names = {
            name: stream.add_image(picture, picture.interpolate, picture.ratio) for name, picture in pictures.items()
        }
        for key, piece in self._pieces:
            if isinstance(key, TextBox):
                stream.stream.append(texts[key].operators)
            elif key is None:
                stream.stream.append(piece)
            else:
                stream.draw_x_object(names[key])

    def _paint(self, document: weasyprint.Document, images: dict[str, Any]) -> Sequence[Any]:
        """Paint the page as `weasyprint.pdf.generate_pdf` does; return what came into the stream."""
        page = self.page
        bleed = page.bleed
        rectangle = (
            -bleed["left"],
            -bleed["top"],
            page.width + bleed["left"] + bleed["right"],
            page.height + bleed["top"] + bleed["bottom"],
        )
        stream = Stream(
            {},
            rectangle,
            self._resources,
            images,
            self._tags,
            document.color_profiles,
            document.output_intent,
        )
        stream.transform(d=-1, f=page.height * _SCALE)
        before = len(stream.stream)
        page.paint(stream, _SCALE)
        items: Sequence[Any] = stream.stream[before:]
        return items

    def _texts_by_mark(self) -> dict[int, Any]:
        return {tag["mcid"]: box for box, tag in self._tags.items() if isinstance(box, TextBox)}


class StampedPage:
    """A page as `weasyprint.Document` takes one, painted from a recording."""

    def __init__(
        self,
        painting: Painting,
        texts: Mapping[Any, DrawnText],
        pictures: Mapping[str, Picture],
        bookmarks: Sequence[tuple[Any, ...]],
    ) -> None:
        page = painting.page
        self.width, self.height, self.bleed = page.width, page.height, page.bleed
        self.links, self.anchors, self.forms = page.links, page.anchors, page.forms
        self.bookmarks = bookmarks
        self._page_box = page._page_box  # noqa: SLF001 -- WeasyPrint makes the tags from it
        self._painting, self._texts, self._pictures = painting, texts, pictures

    def paint(self, stream: Stream, scale: float) -> None:
        """Paint the page; WeasyPrint calls this."""
        if scale != _SCALE:
            raise NotStampable("the page is wanted in another size")
        self._painting.paint(stream, self._texts, self._pictures)


def _cut(items: Sequence[Any], texts: Mapping[int, Any], pictures: Mapping[bytes, str]) -> list[tuple[Any, bytes]]:
    """Return the stream in pieces, joined as pydyf joins it, each with the text box or the picture's name, or None.

    PDF/UA has every text drawn between BDC, which has a number that says whose it is, and EMC.
    """
    pieces: list[tuple[Any, bytes]] = []
    rest: list[bytes] = []
    box = None
    entries = iter(enumerate(items))
    for position, item in entries:
        if item == b"BDC":
            box = texts.get(items[position - 1]["MCID"])
        elif item == b"EMC":
            box = None
        key: Any = pictures.get(item) if isinstance(item, bytes) else None
        piece = item
        if box is not None and item == b"BT":
            last = items.index(b"EMC", position)
            key, piece = box, b"\n".join(map(as_bytes, items[position:last]))
            for _ in range(position + 1, last):
                next(entries)
        if key is None:
            rest.append(as_bytes(item))
            continue
        pieces += [(None, b"\n".join(rest)), (key, piece)]
        rest = []
    return [*pieces, (None, b"\n".join(rest))]
