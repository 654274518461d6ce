"""The site's logo, colour and texts on printed tickets, and fonts that are missing."""

import io
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from tests.integration.tickets.test_printer import FACE, codes_on, only, page_count, text_of
from tests.pdfs import picture_of, runs_on

from paypoll.tickets.look import MOST_LOGO_BYTES, TicketLook
from paypoll.tickets.printer import WeasyTicketPrinter
from paypoll.tickets.ticket import PrintError

SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 300 60"><rect width="300" height="60" fill="#ff0000"/></svg>'
)


def a_png(width: int = 300, height: int = 60) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (width, height), "#ff0000").save(file, "PNG")
    return file.getvalue()


def reds_on(pdf: bytes) -> int:
    """Count the pixels in the colour of the logo."""
    samples = picture_of(pdf, dpi=40).tobytes()
    # SVG's colours come out a shade off, so what counts is that it is red.
    return sum(samples[start] > 200 and max(samples[start + 1 : start + 3]) < 50 for start in range(0, len(samples), 3))


@pytest.mark.parametrize("content", [SVG.encode(), a_png()], ids=["svg", "png"])
def test_print_with_logo_shows_it_and_names_the_site(tmp_path: Path, content: bytes) -> None:
    logo = tmp_path / "logo"
    logo.write_bytes(content)
    pdf = only(WeasyTicketPrinter(site_name="Jersey Events", look=TicketLook(logo=logo)), FACE)
    assert reds_on(pdf) > 500
    assert reds_on(only(WeasyTicketPrinter(site_name="Jersey Events"), FACE)) == 0
    assert "Jersey Events" in text_of(pdf)
    assert codes_on(pdf) == [FACE.qr_data]
    assert page_count(pdf) == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read: no such file"),
        (b"GIF89a", "neither a PNG nor"),
        (b"", "neither a PNG nor"),
        (b"<svg", "neither a PNG nor"),
        (b"<html/>", "neither a PNG nor an SVG"),
        (b'<!DOCTYPE svg [<!ENTITY a "aa">]><svg xmlns="http://www.w3.org/2000/svg">&a;</svg>', "XML entities"),
        (a_png()[:80], "broken PNG"),
        (b"\x89PNG\r\n\x1a\n", "broken PNG"),
        (a_png(2001, 1), "more than 2000 pixels"),
        (SVG.encode() + b" " * MOST_LOGO_BYTES, "larger than 200 KiB"),
    ],
)
def test_print_with_logo_that_cannot_be_used_fails_and_says_why(
    tmp_path: Path, content: bytes | None, said: str
) -> None:
    logo = tmp_path / "logo.svg"
    if content is not None:
        logo.write_bytes(content)
    with pytest.raises(PrintError, match=re.escape(said)) as failure:
        only(WeasyTicketPrinter(look=TicketLook(logo=logo)), FACE)
    assert str(logo) in str(failure.value)


def test_print_with_logo_that_loads_from_elsewhere_fails(tmp_path: Path) -> None:
    logo = tmp_path / "logo.svg"
    logo.write_text(SVG.replace("<rect", '<image href="https://example.org/x.png"/><rect'))
    with pytest.raises(PrintError, match="data: URIs only"):
        only(WeasyTicketPrinter(look=TicketLook(logo=logo)), FACE)


def test_print_with_texts_of_the_settings_has_them_as_text() -> None:
    look = TicketLook(entrance_hint="Zeigen Sie <diesen> Code.", what_to_bring="Bring a photo ID.\nNo bags.")
    text = text_of(only(WeasyTicketPrinter(look=look), FACE))
    assert "Zeigen Sie <diesen> Code." in text
    assert "Bring a photo ID. No bags." in text
    assert "keep it to yourself" not in text


def test_print_in_a_light_colour_keeps_text_dark() -> None:
    pdf = only(WeasyTicketPrinter(site_name="Site", look=TicketLook(accent="#facc15")), FACE)
    colours = {run.text.strip(): run.colour for run in runs_on(pdf)}
    assert colours["Site"] == 0x16181D
    assert next(colour for text, colour in colours.items() if text.startswith("Saturday")) == 0x16181D


def test_print_with_own_styles_has_them_rather_than_the_accent(tmp_path: Path) -> None:
    (tmp_path / "ticket.css").write_text(".band { background: #ff0000 }")
    assert reds_on(only(WeasyTicketPrinter(site_name="Site", template_folder=tmp_path), FACE)) > 500


SCRIPTS = (
    "from paypoll.admin.check.printing import check_scripts; one = check_scripts(); print(one.text, one.next_step)"
)


def test_check_where_only_dejavu_is_there_names_the_scripts_that_it_lacks_and_their_packages(tmp_path: Path) -> None:
    config = tmp_path / "fonts.conf"
    fonts = next(Path("/usr/share/fonts").rglob("DejaVuSans.ttf")).parent
    config.write_text(f"<fontconfig><dir>{fonts}</dir><cachedir>{tmp_path}/cache</cachedir></fontconfig>")
    run = subprocess.run(  # noqa: S603 -- ourselves
        [sys.executable, "-c", SCRIPTS],
        env={**os.environ, "FONTCONFIG_FILE": str(config)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert "no fonts for Chinese, Japanese, Korean, emoji:" in run.stdout
    assert "apt-get install fonts-droid-fallback fonts-nanum fonts-noto-color-emoji" in run.stdout


def test_print_of_date_beside_emoji_keeps_its_digits_as_text() -> None:
    """An emoji font has digits of its own, as pictures."""
    pdf = only(WeasyTicketPrinter(), replace(FACE, event_title="🎉 Party"))
    fonts = {run.font for run in runs_on(pdf) if "2026" in run.text}
    assert fonts
    assert fonts <= {"DejaVu-Sans-Bold", "DejaVu-Sans-Mono-Bold"}
