"""Which scripts this machine's fonts can show.

Import it only where tickets are printed: WeasyPrint takes long to load.
"""

import logging
from collections.abc import Iterable
from html import escape

import weasyprint

from paypoll.tickets.scripts import missing_in

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


class _Listener(logging.Handler):
    """Collects the letters that WeasyPrint found no glyph for, which it reports in its log alone."""

    def __init__(self) -> None:
        super().__init__()
        self.missing: set[str] = set()

    def emit(self, record: logging.LogRecord) -> None:
        self.missing |= missing_in(record.getMessage())


def missing_scripts() -> list[str]:
    """Return the names of the scripts that would be boxes on a ticket, because no font has their letters."""
    missing = missing_letters(_SAMPLES.values())
    return [script for script, letters in _SAMPLES.items() if missing.intersection(letters)]


def missing_letters(texts: Iterable[str]) -> set[str]:
    """Return the letters of these texts that would be boxes on a ticket."""
    listener = _Listener()
    logger = logging.getLogger(_LOGGER)
    propagated, logger.propagate = logger.propagate, False
    logger.addHandler(listener)
    try:
        lines = "".join(f"<p>{escape(text)}</p>" for text in texts)
        weasyprint.HTML(string=f"<body style=\"font-family: 'DejaVu Sans', sans-serif\">{lines}").write_pdf()
    finally:
        logger.removeHandler(listener)
        logger.propagate = propagated
    return listener.missing
