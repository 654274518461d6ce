"""Scripts by name: which one a letter is of, and which package of Debian has a font for it."""

import re
import unicodedata
from collections.abc import Iterable

_NAMES = {
    "CJK": "Chinese",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HANGUL": "Korean",
    "EMOJI": "emoji",
}
_FIRST_OF_TWO = ("OLD", "NEW", "LINEAR", "TAI")
_LATIN_FONT = "fonts-dejavu-core"
_FONTS_FOR = {
    "Latin": _LATIN_FONT,
    "Greek": _LATIN_FONT,
    "Cyrillic": _LATIN_FONT,
    "Hebrew": _LATIN_FONT,
    "Arabic": _LATIN_FONT,
    "Chinese": "fonts-droid-fallback",
    "Japanese": "fonts-droid-fallback",
    "Korean": "fonts-nanum",
    "Thai": "fonts-thai-tlwg",
    "emoji": "fonts-noto-color-emoji",
}
_ALL_OTHERS = "fonts-noto-core"
_GLYPH = re.compile(r"\bU\+([0-9A-F]{4,6})\b")


def missing_in(message: str) -> set[str]:
    """Return the letters that a message of WeasyPrint's log says no font has; it tells of them there alone."""
    return {chr(int(code, 16)) for code in _GLYPH.findall(message)} if "glyph" in message else set()


def script_of(character: str) -> str:
    """Return the name of a character's script, such as Thai; `emoji` for pictures and signs."""
    if unicodedata.category(character)[0] not in "LMN":
        return "emoji"
    # The name of a letter begins with its script's: THAI CHARACTER KO KAI, OLD PERSIAN SIGN A.
    first, *others = unicodedata.name(character, "unknown").split("-")[0].split()
    if first in _FIRST_OF_TWO and others:
        return f"{first} {others[0]}".title()
    return _NAMES.get(first, first.capitalize())


def scripts_of(characters: Iterable[str]) -> list[str]:
    """Return the scripts of these characters, each once."""
    return sorted({script_of(character) for character in characters})


def packages_for(scripts: Iterable[str]) -> str:
    """Return the packages that have fonts for these scripts, as apt-get takes them."""
    return " ".join(dict.fromkeys(_FONTS_FOR.get(script, _ALL_OTHERS) for script in scripts))
