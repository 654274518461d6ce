"""How the site's tickets look: its colour, its logo, and the texts at the entrance."""

import struct
from base64 import b64encode
from dataclasses import dataclass
from pathlib import Path

from paypoll.settings.colour import DEFAULT_ACCENT, text_in, text_on
from paypoll.settings.defaults import ENTRANCE_HINT

MOST_LOGO_BYTES = 200 * 1024
"""The logo is in every ticket, so a larger one would make every mail slow and heavy."""

_MOST_LOGO_PIXELS = 2000
_PNG_START = b"\x89PNG\r\n\x1a\n"
_PNG_HEADER = struct.Struct(">16xII")


class LogoError(ValueError):
    """The logo cannot be used. Says which file and why, for the operator."""


@dataclass(frozen=True, slots=True)
class TicketLook:
    """What the settings say about looks. `accent` is a colour such as `#1d4ed8`; without `logo` the name stands."""

    accent: str = DEFAULT_ACCENT
    logo: Path | None = None
    entrance_hint: str = ENTRANCE_HINT
    what_to_bring: str = ""


def accent_rules(accent: str) -> str:
    """Return styles for what is set on the site's colour and in it; parsed once, unlike an element's own style."""
    on_accent = f".on-accent {{ background: {accent}; color: {text_on(accent)} }}"
    return f"{on_accent} .in-accent {{ color: {text_in(accent)} }}"


def logo_uri(path: Path) -> str:
    """Return the logo, a PNG or SVG file, as a data URI. Raise LogoError when it cannot be used.

    Checked here, because WeasyPrint would leave a broken picture out without a word.
    """
    try:
        with path.open("rb") as file:
            content = file.read(MOST_LOGO_BYTES + 1)
    except OSError as error:
        raise LogoError(f"the logo {path} cannot be read: {(error.strerror or type(error).__name__).lower()}") from None
    if len(content) > MOST_LOGO_BYTES:
        raise LogoError(f"the logo {path} is larger than {MOST_LOGO_BYTES // 1024} KiB")
    if content.startswith(_PNG_START):
        _require_sound_png(path, content)
        kind = "png"
    else:
        _require_sound_svg(path, content)
        kind = "svg+xml"
    return f"data:image/{kind};base64,{b64encode(content).decode('ascii')}"


def _require_sound_png(path: Path, content: bytes) -> None:
    from io import BytesIO

    from PIL import Image  # WeasyPrint's own reader of pictures

    # Before it is decoded: a few kilobytes can unpack to gigabytes.
    if len(content) >= _PNG_HEADER.size and max(_PNG_HEADER.unpack_from(content)) > _MOST_LOGO_PIXELS:
        raise LogoError(f"the logo {path} has more than {_MOST_LOGO_PIXELS} pixels a side")
    try:
        with Image.open(BytesIO(content)) as picture:
            picture.verify()  # load() would pass half a picture: WeasyPrint tells Pillow to be lenient
    except (OSError, SyntaxError, ValueError) as error:
        raise LogoError(f"the logo {path} is a broken PNG: {error}") from None


def _require_sound_svg(path: Path, content: bytes) -> None:
    from xml.etree import ElementTree as ET  # not above: the settings import this module in every run

    if b"<!ENTITY" in content:  # nested entities can unpack to gigabytes
        raise LogoError(f"the logo {path} declares XML entities; export it as plain SVG")
    try:
        root = ET.fromstring(content)  # noqa: S314 -- the operator's own file, without entities
    except ET.ParseError as error:
        raise LogoError(f"the logo {path} is neither a PNG nor sound SVG: {error}") from None
    if root.tag != "{http://www.w3.org/2000/svg}svg":
        raise LogoError(f"the logo {path} is neither a PNG nor an SVG")
