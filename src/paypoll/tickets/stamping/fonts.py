"""Fonts of stamped texts: what each text takes of them, and their subsets, made once."""

from collections.abc import Mapping
from typing import Any

import pydyf
from weasyprint.draw.text import draw_text
from weasyprint.formatting_structure.boxes import TextBox
from weasyprint.pdf.fonts import Font
from weasyprint.pdf.stream import Stream
from weasyprint.text.ffi import ffi, harfbuzz
from weasyprint.text.fonts import get_pango_font_key

from paypoll.tickets.stamping import NotStampable
from paypoll.tickets.stamping.lru import Lru

_MOST_FONTS = 64
_MOST_SUBSETS = 64


class FontCache:
    """What is known of fonts from one ticket to the next: the fonts themselves, their subsets, these compressed."""

    def __init__(self) -> None:
        self._fonts: Lru[tuple[int, float], Font] = Lru(_MOST_FONTS)
        self.subsets: Lru[tuple[object, ...], bytes] = Lru(_MOST_SUBSETS)
        self._packed: Lru[bytes, bytes] = Lru(_MOST_SUBSETS)

    def font(self, pango_font: Any) -> tuple[int, "StampFont", float]:
        """Return the font's key, the font, of which nothing is used yet, and the text's size."""
        # The key leaves out the size, but WeasyPrint makes the font's metrics from the size where it meets it first.
        key, description, size = get_pango_font_key(pango_font)
        font = self._fonts.get((key, size))
        if font is None:
            font = self._fonts.put((key, size), self._read(pango_font, description, size))
        return key, StampFont(font, self), size

    def packed(self, stream: pydyf.Stream) -> pydyf.Object:
        """Return a font's stream, compressed as pydyf does it, but once for the same font."""
        (content,) = stream.stream
        data = self._packed.get(content)
        if data is None:
            data = self._packed.put(content, stream.data)
        return Written(stream.number, data, compressible=False)

    def _read(self, pango_font: Any, description: Any, size: float) -> Font:
        font = Font(pango_font, description, size)
        if font.bitmap or font.png or font.svg or font.colr or "fvar" in font.tables:
            raise NotStampable("a font has pictures or variations")
        # Pango may forget the font before we do, and its face with it.
        font.kept_face = ffi.gc(harfbuzz.hb_face_reference(font.hb_face), harfbuzz.hb_face_destroy)
        for other in self._fonts.values():
            if other.file_content == font.file_content:
                font.file_content = other.file_content  # hundreds of kilobytes, once
        return font


class StampFont(Font):  # type: ignore[misc]  # WeasyPrint has no types
    """A font of WeasyPrint as one text or one document uses it. A subset that was made before is not made again."""

    def __init__(self, font: Font, cache: FontCache) -> None:
        # Not Font.__init__, which reads the whole font: this is the same one, of which nothing is used yet.
        self.__dict__.update(font.__dict__)
        self.file_content: bytes
        self.widths: dict[int, int] = {}
        self.to_unicode: dict[int, str] = {}
        self.missing: dict[int, int] = {}
        self._cache = cache

    def clean(self, to_unicode: Mapping[int, str], hinting: bool) -> None:  # noqa: FBT001 -- WeasyPrint's signature
        """Cut the font down to these glyphs, as WeasyPrint does."""
        key = (self.hash, self.index, self.file_content, frozenset(to_unicode), hinting)
        subset = self._cache.subsets.get(key)
        if subset is None:
            super().clean(to_unicode, hinting)
            subset = self._cache.subsets.put(key, self.file_content)
        self.file_content = subset

    def copy(self) -> "StampFont":
        """Return the font with nothing of it in use."""
        return StampFont(self, self._cache)

    def add(self, other: "StampFont") -> None:
        """Add what another text takes of this font. Raise NotStampable when they measured a glyph differently."""
        for glyph, width in other.widths.items():
            # WeasyPrint measures a glyph once a document, at the size where it meets it first, and spaces by that.
            if self.widths.setdefault(glyph, width) != width:
                raise NotStampable("a glyph's width depends on the text's size")
        for glyph, letters in other.to_unicode.items():
            self.to_unicode.setdefault(glyph, letters)


class DrawnText(Stream):  # type: ignore[misc]  # WeasyPrint has no types
    """One line of text, drawn alone: its operators, and what it takes of which fonts, by their keys."""

    def __init__(self, box: TextBox, cache: FontCache) -> None:
        kinds = ("ExtGState", "XObject", "Pattern", "Shading")
        resources = pydyf.Dictionary({kind: pydyf.Dictionary() for kind in kinds} | {"ColorSpace": None})
        super().__init__({}, (0, 0, 1, 1), resources, {}, None, {}, None)
        self._cache = cache
        draw_text(self, box, 0, "clip", "none")
        if b"BT" not in self.stream or any(font.missing for font in self.fonts.values()):
            raise NotStampable("a text is not drawn, or has letters that no font has")
        # What is before depends on what was drawn before, and is the same for every text.
        self.operators = b"\n".join(map(as_bytes, self.stream[self.stream.index(b"BT") :]))

    @property
    def fonts(self) -> dict[int, StampFont]:
        """The fonts, by the keys that WeasyPrint gives them, in the order of their use."""
        fonts: dict[int, StampFont] = self._fonts
        return fonts

    def add_font(self, pango_font: Any) -> tuple[StampFont, float]:
        """Return the font for WeasyPrint to write down what it uses of it."""
        key, font, size = self._cache.font(pango_font)
        return self._fonts.setdefault(key, font), size


class Written(pydyf.Object):  # type: ignore[misc]  # pydyf has no types
    """An object of a PDF that is written out already."""

    def __init__(self, number: int, data: bytes, *, compressible: bool = True) -> None:
        super().__init__()
        self.number = number
        self._data = data
        self._compressible = compressible

    @property
    def data(self) -> bytes:
        """What pydyf writes for the object."""
        return self._data

    @property
    def compressible(self) -> bool:
        """Whether pydyf may put the object into a stream of objects; streams must stand alone."""
        return self._compressible


def is_font(stream: pydyf.Stream) -> bool:
    """Say whether this is a font's file."""
    return "Length1" in stream.extra or stream.extra.get("Subtype") == "/OpenType"


def as_bytes(item: Any) -> bytes:
    """Return an item of a stream as pydyf writes it."""
    if isinstance(item, bytes):
        return item
    if isinstance(item, pydyf.Object):
        data: bytes = item.data
        return data
    return str(item).encode("ascii")
