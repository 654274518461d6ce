"""The site's colour, and which text is readable on it and in it."""

DEFAULT_ACCENT = "#1e3a8a"
INK = "#16181d"
"""Nearly black: what text is set in."""

_WHITE = "#ffffff"
_READABLE = 4.5
"""The least contrast of text (WCAG 2.2, 1.4.3)."""


def text_on(accent: str) -> str:
    """Return white or ink, whichever can be read better on this colour, such as `#1e3a8a`."""
    return max((_WHITE, INK), key=lambda color: _contrast(color, accent))


def text_in(accent: str) -> str:
    """Return the colour itself, if text in it can be read on white, else ink: yellow letters cannot."""
    return accent if _contrast(accent, _WHITE) >= _READABLE else INK


def _contrast(one: str, other: str) -> float:
    darker, lighter = sorted((_luminance(one), _luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(color: str) -> float:
    """Return the relative luminance, as WCAG 2.2 has it: 0 for black, 1 for white."""
    channels = (int(color[start : start + 2], 16) / 255 for start in (1, 3, 5))
    # One exponent for the whole scale; the standard's linear part below 4 % makes no visible difference.
    red, green, blue = (channel**2.2 for channel in channels)
    return float(0.2126 * red + 0.7152 * green + 0.0722 * blue)
