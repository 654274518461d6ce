"""The QR code of a ticket, as a picture: the same one in the PDF and in the shop's media folder."""

from io import BytesIO
from typing import Any

import zxingcpp
from PIL import Image

QUIET_ZONE = 4
"""Width of the white border in modules: the least that ISO/IEC 18004 allows."""

# M mends 15 % of the code. Q would mend 25 %, but makes a usual ticket's code two sizes larger (45 modules instead of
# 37), so that at the same printed size each module, and with it the distance a phone reads from, shrinks by 15 %.
# Tickets are clean, and tables are wide.
_ERROR_LEVEL = "M"

# Trying all eight masks takes seven times as long, and a later zxing-cpp might prefer another. Any mask is readable.
_MASK = 3

_FORMAT = zxingcpp.BarcodeFormat.QRCode  # never MicroQRCode: many scanners cannot read one
_FORMATS = zxingcpp.BarcodeFormats(_FORMAT)

_LEAST_PIXELS = 300
_LEAST_PIXELS_A_MODULE = 7


class UnreadableCodeError(ValueError):
    """The picture of a QR code does not say what it was made of."""


def qr_png(data: str) -> bytes:
    """Return a PNG of the QR code that holds exactly `data`, quiet zone included, at least 300 pixels wide.

    Text beyond ASCII is UTF-8, and the code says so: readers guess otherwise, and not alike. Raise ValueError when the
    text is empty, too long for a QR code (2,331 bytes) or cannot be written in UTF-8, and UnreadableCodeError when the
    picture cannot be read back.

    Eight bits of grey a pixel, though one would do: WeasyPrint 70 embeds such a picture as it is, but takes 5 ms where
    it first has to widen one bit to 24, and 12 ms for the same code as SVG, inline or not. Pillow packs it, as it
    does for WeasyPrint: `paypoll.tickets.stamping` need not pack it a second time.
    """
    try:
        data.encode()  # a lone surrogate is no ValueError to zxing-cpp
        encoding = {} if data.isascii() else {"eci": "UTF8"}
        code = zxingcpp.create_barcode(data, _FORMAT, ec_level=_ERROR_LEVEL, data_mask=_MASK, **encoding)
    except ValueError as error:
        # The original message may quote the text, and with it the ticket's secret.
        raise ValueError(f"the text does not go into a QR code ({type(error).__name__})") from None
    png = _picture(code)
    _require_readable(png, data)
    return png


def _picture(code: zxingcpp.Barcode) -> bytes:
    image: Any = zxingcpp.write_barcode_to_image(code, add_quiet_zones=True)
    modules = memoryview(image)  # its stub leaves the buffer protocol out
    scale = max(_LEAST_PIXELS_A_MODULE, -(-_LEAST_PIXELS // len(modules)))
    side = len(modules) * scale
    picture = Image.frombytes("L", (len(modules), len(modules)), modules.tobytes()).resize(
        (side, side), Image.Resampling.NEAREST
    )
    file = BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()


def _require_readable(png: bytes, data: str) -> None:
    """Raise UnreadableCodeError unless the picture's pixels say `data`, to a decoder, at the level asked for."""
    with Image.open(BytesIO(png)) as picture:
        pixels = memoryview(picture.tobytes()).cast("B", (picture.height, picture.width))
    # `is_pure`: there is nothing else in the picture. Without it, finding the code takes ten times as long.
    read = zxingcpp.read_barcode(pixels, _FORMATS, is_pure=True)
    if read is None or not read.valid or read.text != data or read.ec_level != _ERROR_LEVEL:
        raise UnreadableCodeError("the QR code cannot be read back from its picture")
