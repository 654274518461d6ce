"""The QR code of a ticket, as a picture: the same one in the PDF and in the shop's media folder."""

import struct
import zlib

import segno

QUIET_ZONE = 4
"""Width of the white border in modules: the least that ISO/IEC 18004 allows."""

# M mends 15 % of the code. Q would mend 25 %, but makes a usual ticket's code two sizes larger (45 modules instead of
# 37), so that at the same printed size each module, and with it the distance a phone reads from, shrinks by 15 %.
# Tickets are clean, and tables are wide. Where M's size has room to spare, segno raises the level by itself.
_ERROR_LEVEL = "m"

# Trying all eight masks takes five times as long, and a later segno might prefer another. Any mask is readable.
_MASK = 3

_LEAST_PIXELS = 300
_LEAST_PIXELS_A_MODULE = 8
_WHITE = b"\xff"
_BLACK = b"\x00"


def qr_png(data: str) -> bytes:
    """Return a PNG of the QR code that holds exactly `data`, quiet zone included, at least 300 pixels wide.

    Text beyond ASCII is UTF-8. Raise ValueError when the text is too long for a QR code (2,331 bytes) or cannot be
    written in UTF-8.

    Eight bits of grey a pixel, though one would do: WeasyPrint 70 embeds such a picture in under a millisecond, but
    takes 5 ms where it first has to widen one bit to 24, and 12 ms for the same code as SVG, inline or not.
    """
    modules = _modules(data)
    size = len(modules) + 2 * QUIET_ZONE
    scale = max(_LEAST_PIXELS_A_MODULE, -(-_LEAST_PIXELS // size))
    # A PNG line starts with its filter: 0, pixels as they are; 2, their difference from the line above.
    repeat = b"\x02" + bytes(size * scale)
    side = _WHITE * (QUIET_ZONE * scale)
    blank = b"\x00" + _WHITE * (size * scale) + repeat * (QUIET_ZONE * scale - 1)
    lines = [blank]
    for row in modules:
        inside = b"".join((_BLACK if module else _WHITE) * scale for module in row)
        lines.append(b"\x00" + side + inside + side + repeat * (scale - 1))
    lines.append(blank)
    return _grey_png(size * scale, b"".join(lines))


def _modules(data: str) -> tuple[bytearray, ...]:
    """Return the code's rows, 1 for a dark module. micro=False: many scanners cannot read a Micro QR code."""
    try:
        content = data.encode()
        code = segno.make(content, error=_ERROR_LEVEL, mode="byte", mask=_MASK, micro=False)
    except ValueError as error:
        # The original message may quote the text, and with it the ticket's secret.
        raise ValueError(f"the text does not go into a QR code ({type(error).__name__})") from None
    return code.matrix


def _grey_png(side: int, scan_lines: bytes) -> bytes:
    """Return a square PNG, eight bits of grey a pixel, without time or other metadata: the same bytes every time."""
    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(scan_lines)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
