"""The picture of the QR code, read back by a real decoder."""

import io
import random
import string
from typing import Any

import pytest
import zxingcpp
from PIL import Image

from paypoll.tickets.qr import QUIET_ZONE, UnreadableCodeError, qr_png

USUAL = "JERSEY_EVENTS|SUMMER-FES-A1B2C3D4E|17|ada.lovelace@example.org|0123456789abcdef"


def picture(data: str) -> Image.Image:
    return Image.open(io.BytesIO(qr_png(data)))


def decoded(image: Image.Image) -> list[tuple[str, str]]:
    return [(code.format.name, code.text) for code in zxingcpp.read_barcodes(image)]


@pytest.mark.parametrize(
    "data",
    [
        USUAL,
        "P|N|1|a@b.c|0",
        USUAL.replace("ada.lovelace", "josé.müller"),
        USUAL.replace("ada.lovelace", "用户"),
        USUAL.replace("ada.lovelace", "a" * 242),
        "7",
    ],
    ids=["usual", "short", "latin", "chinese", "longest-address", "digit"],
)
def test_picture_of_data_holds_exactly_that(data: str) -> None:
    assert decoded(picture(data)) == [("QRCode", data)]


def test_picture_of_many_tickets_is_always_readable() -> None:
    """The mask is fixed, so no trial picks a better one: it must do for whatever comes."""
    chance = random.Random(5)  # noqa: S311 -- seeded, so that the test always sees the same
    letters = string.ascii_letters + string.digits
    for _ in range(100):
        data = f"JERSEY_EVENTS|{''.join(chance.choices(letters, k=chance.randint(10, 120)))}"
        assert decoded(picture(data)) == [("QRCode", data)]


def test_picture_of_usual_ticket_has_37_modules_level_m_and_the_fixed_mask() -> None:
    """ISO/IEC 18004, 7.9: the format information starts in row 8 with level (M is 0) and mask, XORed with 10101."""
    image = picture(USUAL)
    module = image.width // (37 + 2 * QUIET_ZONE)
    assert image.width == module * (37 + 2 * QUIET_ZONE)
    row = (QUIET_ZONE + 8) * module
    bits = [image.getpixel(((QUIET_ZONE + column) * module, row)) == 0 for column in range(5)]
    assert int("".join(str(int(bit)) for bit in bits), 2) ^ 0b10101 == 0b00_011


@pytest.mark.parametrize("data", ["7", USUAL, "x" * 2331], ids=["smallest", "usual", "largest"])
def test_picture_of_any_size_is_at_least_300_pixels_and_has_a_quiet_zone(data: str) -> None:
    image = picture(data)
    assert image.width == image.height >= 300
    left, top, right, bottom = image.point(lambda level: 255 - level).getbbox() or (0, 0, 0, 0)
    assert left == top == image.width - right == image.height - bottom
    first_line = image.crop((left, top, right, top + 1)).tobytes()
    module = first_line.index(b"\xff") / 7  # a finder pattern is seven modules wide
    assert left == QUIET_ZONE * module == 4 * module


def test_picture_of_same_data_has_the_same_bytes() -> None:
    assert qr_png(USUAL) == qr_png(USUAL)


@pytest.mark.parametrize("data", ["x" * 2332, USUAL + "\ud800", ""], ids=["too-long", "lone-surrogate", "empty"])
def test_picture_of_what_no_code_can_hold_is_refused_without_quoting_it(data: str) -> None:
    with pytest.raises(ValueError, match="QR code") as refusal:
        qr_png(data)
    assert not data or data[:20] not in str(refusal.value)
    assert refusal.value.__suppress_context__
    assert refusal.value.__cause__ is None


@pytest.mark.parametrize(
    "instead",
    [{"content": USUAL + "x"}, {"ec_level": "L"}, {"format": zxingcpp.BarcodeFormat.MicroQRCode, "content": "7"}],
    ids=["other-text", "lower-level", "other-code"],
)
def test_picture_that_a_decoder_reads_otherwise_is_refused_without_quoting_it(
    monkeypatch: pytest.MonkeyPatch, instead: dict[str, Any]
) -> None:
    """The encoder is made to err: whatever it does wrong shows in the picture."""
    create = zxingcpp.create_barcode

    def erring(content: str, kind: zxingcpp.BarcodeFormat, **options: Any) -> zxingcpp.Barcode:
        return create(**{"content": content, "format": kind, **options, **instead})

    monkeypatch.setattr(zxingcpp, "create_barcode", erring)
    with pytest.raises(UnreadableCodeError, match="cannot be read back") as refusal:
        qr_png(USUAL)
    assert USUAL[:20] not in str(refusal.value)


@pytest.mark.parametrize("damage", [(0, 0, 110, 110), (90, 90, 315, 315)], ids=["finder-pattern", "content"])
def test_picture_that_is_damaged_is_refused(monkeypatch: pytest.MonkeyPatch, damage: tuple[int, int, int, int]) -> None:
    save = Image.Image.save

    def damaging(image: Image.Image, *arguments: Any, **options: Any) -> None:
        image.paste(255, damage)
        save(image, *arguments, **options)

    monkeypatch.setattr(Image.Image, "save", damaging)
    with pytest.raises(UnreadableCodeError, match="cannot be read back"):
        qr_png(USUAL)
