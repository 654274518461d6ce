"""The texts of a laid out page: which lines each stands on, and the lines of another text in its place."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from html import unescape
from typing import Any
from xml.etree.ElementTree import Element

from weasyprint.css.properties import Dimension
from weasyprint.formatting_structure import boxes
from weasyprint.layout.absolute import AbsolutePlaceholder
from weasyprint.layout.inline import skip_first_whitespace, split_text_box

from paypoll.tickets.stamping import NotStampable
from paypoll.tickets.stamping.difference import Parts, core, one_line

# A style that a stamp follows. Others that change where a text stands, or what is drawn for it, are not.
_PLAIN_TEXT: Mapping[str, Sequence[Any]] = {
    "white_space": ("normal", "nowrap", "pre-line"),
    "text_transform": ("none",),
    "text_decoration_line": ("none",),
    "hyphens": ("manual",),
    "visibility": ("visible",),
}
_PLAIN_BLOCK: Mapping[str, Sequence[Any]] = {
    "float": ("none",),
    "column_count": ("auto",),
    "column_width": ("auto",),
    "block_ellipsis": ("none",),
    "max_lines": ("none",),
    "continue": ("auto",),
}
_WIDTHS = ("width", "min_width", "max_width")


class PageTexts:
    """Which boxes of a page hold which texts of its HTML."""

    def __init__(self, parts: Parts, root: Element, page_box: Any) -> None:
        self._parents = dict(_walk(page_box))
        if any(box.style["float"] != "none" for box in self._parents):
            raise NotStampable("something floats")  # lines beside it are placed by the width of their words
        self._owners = _owners(parts, root)
        self._texts_of = Counter(self._owners.values())
        self._boxes: dict[Element, list[Any]] = defaultdict(list)
        for box in self._parents:
            if isinstance(box, boxes.TextBox) and box.element is not None and box.element_tag == box.element.tag:
                self._boxes[box.element].append(box)

    @property
    def text_boxes(self) -> Sequence[Any]:
        """All boxes with text."""
        return [box for box in self._parents if isinstance(box, boxes.TextBox)]

    def has_fixed_size(self, source: str) -> bool:
        """Say whether the picture from this source is shown at a size that does not depend on its pixels."""
        shown = [
            box for box in self._parents if isinstance(box, boxes.ReplacedBox) and box.element.get("src") == source
        ]
        sizes = [box.style[side] for box in shown for side in ("width", "height")]
        return all(isinstance(size, Dimension) and size.unit == "px" for size in sizes)

    def slot(self, place: int, part: str) -> "Slot":
        """Return where the text at this place among the page's parts stands. Raise NotStampable if not alone."""
        element = self._owners[place]
        run = self._boxes[element]
        if self._texts_of[element] != 1 or not run:
            raise NotStampable("a text that differs stands with others, or nowhere")
        return Slot(run, [self._parents[box] for box in run], part)


class Slot:
    """A text that stands alone in its block: its lines, and how another text would be broken into lines here."""

    def __init__(self, run: Sequence[Any], parents: Sequence[Sequence[Any]], part: str) -> None:
        self.boxes = run
        self.text = one_line(core(part))
        self._before, self._after = _spaces_around(part, run[0].style)
        self.labels = [box.bookmark_label for box in parents[0] if getattr(box, "bookmark_label", None)]
        *above, block, _ = parents[0]
        _require_alone(run, parents, block)
        for box in (*above, block):
            _require_plain_block(box)
        style = run[0].style
        _require(style, _PLAIN_TEXT)
        alignments = {block.style["text_align_all"], block.style["text_align_last"]}
        if "justify" in alignments or any(box.justification_spacing for box in run):
            raise NotStampable("a text is justified")
        self._keeps_place = block.style["direction"] == "ltr" and alignments <= {"start", "left", "auto"}
        for old, new in zip(run, self._broken(self.text), strict=True):
            if (new.text, new.width, *_heights(new)) != (old.text, old.width, *_heights(old)):
                raise NotStampable("a text is not broken into lines as it was")
            if new.pango_layout.text != old.pango_layout.text:
                raise NotStampable("a text is not drawn as it was")

    def lines(self, text: str) -> list[Any]:
        """Return a box for each line of the text. Raise NotStampable when anything around it would move."""
        lines = self._broken(text)
        for old, new in zip(self.boxes, lines, strict=True):
            if _heights(new) != _heights(old):
                raise NotStampable("a text has lines of another height")
            if new.width != old.width and not self._keeps_place:
                raise NotStampable("a text of another width stands elsewhere")
            new.position_x, new.position_y = old.position_x, old.position_y
        return lines

    def _broken(self, text: str) -> list[Any]:
        """Have WeasyPrint break the text into lines, which must be as many as there are."""
        whole = self.boxes[0].copy_with_text(self._before + text + self._after)
        lines: list[Any] = []
        at: int | None = 0
        for box in self.boxes:
            # As `weasyprint.layout.inline` goes from line to line where a text box is all that a line holds.
            start = skip_first_whitespace(whole, {at: None}) if at is not None else "continue"
            if start == "continue":
                raise NotStampable("a text takes fewer lines")
            line, at, _ = split_text_box(None, whole, box.pango_layout.max_width, next(iter(start or {0: None})))
            if line is None:
                raise NotStampable("a line is empty")
            lines.append(line)
        if at is not None:
            raise NotStampable("a text takes more lines")
        if lines[-1].text.endswith(" "):
            _end_without_space(lines[-1])
        return lines


def _walk(box: Any, parents: tuple[Any, ...] = ()) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """Yield each box with those that it is in, from the page's own down, in the order of the document."""
    if isinstance(box, AbsolutePlaceholder):
        box = box._box  # noqa: SLF001 -- WeasyPrint's own way, too
    yield box, parents
    for child in box.all_children() if isinstance(box, boxes.ParentBox) else ():
        yield from _walk(child, (*parents, box))


def _owners(parts: Parts, root: Element) -> dict[int, Element]:
    """Return the element that each text belongs to, by the text's place among the parts."""
    places = [place for place in range(0, len(parts.parts), 2) if core(parts.parts[place])]
    texts = [(element, text) for element, text in _texts(root) if core(text)]
    if [unescape(parts.parts[place]) for place in places] != [text for _, text in texts]:
        raise NotStampable("the parser put a text elsewhere")
    return {place: element for place, (element, _) in zip(places, texts, strict=True)}


def _texts(element: Element) -> Iterator[tuple[Element, str]]:
    if element.text:
        yield element, element.text
    for child in element:
        yield from _texts(child)
        if child.tail:
            yield element, child.tail


def _spaces_around(part: str, style: Any) -> tuple[str, str]:
    """Return what WeasyPrint makes of the white space before and after a text."""
    before, _, after = part.partition(core(part))
    if style["white_space"] == "pre-line" and "\n" in before + after:
        raise NotStampable("a text has lines of its own")
    return " " if before else "", " " if after else ""


def _end_without_space(line: Any) -> None:
    """Take the space at a line's end out of its width, as WeasyPrint does; it is drawn all the same."""
    text = line.text.rstrip(" ")
    if not text or line.pango_layout.first_line_direction % 2:
        raise NotStampable("a text ends in a space that counts")
    bare, _, _ = split_text_box(None, line.copy_with_text(text), None, 0)
    line.text, line.width = text, bare.width


def _require_alone(run: Sequence[Any], parents: Sequence[Sequence[Any]], block: Any) -> None:
    for box, (*_, its_block, line) in zip(run, parents, strict=True):
        if its_block is not block or not isinstance(line, boxes.LineBox) or list(line.children) != [box]:
            raise NotStampable("a text that differs shares its line")
        if line.text_overflow != "clip" or line.block_ellipsis != "none":
            raise NotStampable("a text may end in an ellipsis")
    if len(block.children) != len(run):
        raise NotStampable("a text that differs shares its block")


def _require_plain_block(box: Any) -> None:
    """Raise NotStampable unless the box's width and place are the same whatever text it holds."""
    if isinstance(box, boxes.PageBox):
        return
    style = box.style
    if type(box) is not boxes.BlockBox:
        raise NotStampable("a text that differs is in a box that may fit its width")
    _require(style, _PLAIN_BLOCK)
    if any(not isinstance(style[name], Dimension) and style[name] not in ("auto", "none") for name in _WIDTHS):
        raise NotStampable("a box takes its width from what it holds")
    if style["position"] not in ("static", "relative") and style["width"] == "auto":
        raise NotStampable("a box takes its width from what it holds")


def _require(style: Any, plain: Mapping[str, Sequence[Any]]) -> None:
    for name, values in plain.items():
        if style[name] not in values:
            raise NotStampable(f"{name} is not followed")


def _heights(box: Any) -> tuple[float, ...]:
    return box.height, box.baseline, box.margin_top, box.margin_bottom
