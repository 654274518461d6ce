"""What is on a page of a PDF: as a picture, as letters in their places, and what a scanner reads off it."""

import ctypes
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import pypdfium2
import zxingcpp
from PIL import Image
from pypdfium2 import raw

INCH = 72
"""A page's coordinates are points."""


@dataclass(frozen=True, slots=True)
class Box:
    """A place on a page, in points from its upper left corner."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: "Box") -> bool:
        """Say whether the two have a place in common."""
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


@dataclass(frozen=True, slots=True)
class Run:
    """Letters beside each other in one font and one colour (0xRRGGBB)."""

    text: str
    font: str
    colour: int
    box: Box


@dataclass(frozen=True, slots=True)
class _Letter:
    text: str
    font: str
    colour: int
    box: Box
    is_made_up: bool
    """Not on the page: PDFium puts it where a line ends, or where a gap is as wide as a blank."""


def picture_of(pdf: bytes, page: int = 0, *, dpi: int = 100) -> Image.Image:
    """Return a page as a screen shows it."""
    with _opened(pdf, page) as opened:
        picture: Image.Image = opened.render(scale=dpi / INCH).to_pil().convert("RGB")
        return picture


def codes_in(picture: Image.Image) -> list[str]:
    """Return what the QR codes in a picture hold."""
    # QR codes alone: among so many modules a reader now and then sees a bar code of another kind as well.
    found = zxingcpp.read_barcodes(picture)
    return [code.text for code in found if code.format == zxingcpp.BarcodeFormat.QRCode]


def runs_on(pdf: bytes, page: int = 0) -> list[Run]:
    """Return the text on a page, cut where a line ends or where the font or the colour changes."""
    with _opened(pdf, page) as opened:
        letters = list(_letters(opened))
    return list(_joined(letters, lambda letter: letter.is_made_up))


def words_on(pdf: bytes, page: int = 0) -> list[Run]:
    """Return the words on a page. One that is broken over two lines is two."""
    with _opened(pdf, page) as opened:
        letters = list(_letters(opened))
    return list(_joined(letters, lambda letter: letter.text.isspace()))


def pictures_on(pdf: bytes, page: int = 0) -> list[Box]:
    """Return where the pictures on a page are."""
    with _opened(pdf, page) as opened:
        height = opened.get_height()
        found = opened.get_objects(filter=[raw.FPDF_PAGEOBJ_IMAGE])
        return [_from_above(height, *one.get_bounds()) for one in found]


@contextmanager
def _opened(pdf: bytes, page: int) -> Iterator[Any]:
    document = pypdfium2.PdfDocument(pdf)
    try:
        yield document[page]
    finally:
        document.close()


def _letters(page: Any) -> Iterator[_Letter]:
    text, height = page.get_textpage(), page.get_height()
    for index in range(text.count_chars()):
        yield _Letter(
            chr(raw.FPDFText_GetUnicode(text, index)),
            _font(text, index),
            _colour(text, index),
            _from_above(height, *text.get_charbox(index)),
            is_made_up=bool(raw.FPDFText_IsGenerated(text, index)),
        )


def _joined(letters: Iterable[_Letter], ends: Callable[[_Letter], bool]) -> Iterator[Run]:
    """Yield what stands between the letters that end a run, cut where the font or the colour changes."""
    for (has_ended, font, colour), group in groupby(letters, lambda one: (ends(one), one.font, one.colour)):
        if not has_ended:
            run = list(group)
            yield Run("".join(letter.text for letter in run), font, colour, _around([letter.box for letter in run]))


def _around(boxes: list[Box]) -> Box:
    return Box(
        min(box.left for box in boxes),
        min(box.top for box in boxes),
        max(box.right for box in boxes),
        max(box.bottom for box in boxes),
    )


def _font(text: Any, index: int) -> str:
    size = raw.FPDFText_GetFontInfo(text, index, None, 0, None)
    name = ctypes.create_string_buffer(size or 1)
    raw.FPDFText_GetFontInfo(text, index, name, size, None)
    return name.value.decode().rpartition("+")[2]


def _colour(text: Any, index: int) -> int:
    red, green, blue, alpha = (ctypes.c_uint() for _ in range(4))
    raw.FPDFText_GetFillColor(text, index, red, green, blue, alpha)
    return red.value << 16 | green.value << 8 | blue.value


def _from_above(height: float, left: float, bottom: float, right: float, top: float) -> Box:
    return Box(left, height - top, right, height - bottom)
