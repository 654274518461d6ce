"""Defaults that are also needed where no settings are loaded, as in the printing processes."""

ENTRANCE_HINT = (
    "Show this code at the entrance, on paper or on a screen. It admits one person, once: keep it to yourself."
)
