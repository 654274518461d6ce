"""Which scripts this machine's fonts can show.

Import it only where tickets are printed: WeasyPrint takes long to load.
"""

import logging
import re

import weasyprint

# A few letters that any font of the script has, and no other font: DejaVu has some smileys, too.
_SAMPLES = {
    "Latin": "Île Wärmē",
    "Greek": "αβγ",
    "Cyrillic": "жшщ",
    "Hebrew": "אבג",
    "Arabic": "أحمد",
    "Chinese": "汉语",
    "Japanese": "ひカ夏",
    "Korean": "한국",
    "emoji": "🎉🥳",
}
_LOGGER = "weasyprint"
_MISSING = re.compile(r"\bU\+([0-9A-F]{4,6})\b")


class _Listener(logging.Handler):
    """Collects the letters that WeasyPrint found no glyph for, which it reports in its log alone."""

    def __init__(self) -> None:
        super().__init__()
        self.missing: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if "glyph" in message:
            self.missing |= {chr(int(code, 16)) for code in _MISSING.findall(message)}


def missing_scripts() -> list[str]:
    """Return the names of the scripts that would be boxes on a ticket, because no font has their letters."""
    listener = _Listener()
    logger = logging.getLogger(_LOGGER)
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(listener)
    try:
        lines = "".join(f"<p>{letters}</p>" for letters in _SAMPLES.values())
        weasyprint.HTML(string=f"<body style=\"font-family: 'DejaVu Sans', sans-serif\">{lines}").write_pdf()
    finally:
        logger.removeHandler(listener)
        logger.propagate = propagated
    return [script for script, letters in _SAMPLES.items() if listener.missing.intersection(letters)]
