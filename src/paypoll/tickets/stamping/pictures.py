"""The pictures of a page, of which a ticket's code is the one that changes."""

import struct
from copy import copy
from hashlib import md5
from typing import Any

import pydyf

from paypoll.tickets.stamping import NotStampable
from paypoll.tickets.stamping.fonts import as_bytes

_SIGNATURE = 8
_HEADER = slice(16, 24)


class Picture:
    """A picture of a finished page, as WeasyPrint's streams want one, with its pixels packed once and for all."""

    def __init__(self, name: str, use: dict[str, Any]) -> None:
        image = use["image"]
        self.id: str = image.id
        self.interpolate: bool = use["interpolate"]
        (self.ratio,) = use["dpi_ratios"]
        self.name = name
        self._packed = _Packed(image.get_x_object(self.interpolate, self.ratio))

    def get_x_object(self, interpolate: bool, dpi_ratio: float) -> pydyf.Stream:  # noqa: FBT001 -- WeasyPrint's signature
        """Return the picture for one more document."""
        if (interpolate, dpi_ratio) != (self.interpolate, self.ratio):
            raise NotStampable("a picture is wanted in another way")
        return self._packed.stream()

    def is_of(self, uri: str) -> bool:
        """Say whether this is the picture that a page loads from this URI."""
        return self.id == _id(uri)

    def require_as_packed(self, png: bytes) -> None:
        """Raise NotStampable unless WeasyPrint puts this picture into a document as it is packed already."""
        if self._packed.data != _packed_pixels(png):
            raise NotStampable("the code's picture is packed in another way")

    def with_pixels(self, uri: str, png: bytes, *, any_size: bool) -> "Picture":
        """Return this picture with the pixels of another, of the same size unless it may have any."""
        width, height = struct.unpack(">II", png[_HEADER])
        if not any_size and (width, height) != (self._packed.extra["Width"], self._packed.extra["Height"]):
            raise NotStampable("the code's picture has another size")
        other = copy(self)
        other.id = _id(uri)
        other._packed = self._packed.with_pixels(width, height, _packed_pixels(png))  # noqa: SLF001 -- our own
        return other


class _Packed:
    """An image of a PDF, with its mask if it has one."""

    def __init__(self, stream: pydyf.Stream) -> None:
        (content,) = stream.stream
        self.data = as_bytes(content)
        self.extra = dict(stream.extra)
        mask = self.extra.get("SMask")
        self._mask = None if mask is None else _Packed(mask)

    def stream(self) -> pydyf.Stream:
        """Return it anew: WeasyPrint puts references into its dictionary."""
        extra = pydyf.Dictionary(self.extra)
        if self._mask is not None:
            extra["SMask"] = self._mask.stream()
        return pydyf.Stream([self.data], extra)

    def with_pixels(self, width: int, height: int, data: bytes) -> "_Packed":
        """Return one with other pixels of the same kind."""
        other = copy(self)
        other.data = data
        columns = pydyf.Dictionary(self.extra["DecodeParms"] | {"Columns": width})
        other.extra = self.extra | {"Width": width, "Height": height, "DecodeParms": columns}
        return other


def _id(uri: str) -> str:
    """Return what WeasyPrint calls a picture in a document: the same one is put there once."""
    return md5(uri.encode(), usedforsecurity=False).hexdigest()


def _packed_pixels(png: bytes) -> bytes:
    """Return what a PNG's IDAT chunks hold: its pixels, filtered and packed, which a PDF can hold as they are."""
    packed, at = [], _SIGNATURE
    while at < len(png):
        length, kind = struct.unpack_from(">I4s", png, at)
        if kind == b"IDAT":
            packed.append(png[at + 8 : at + 8 + length])
        at += 12 + length
    return b"".join(packed)
