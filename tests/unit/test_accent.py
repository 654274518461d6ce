"""The site's colour: text on it and in it can be read."""

import pytest

from paypoll.settings.colour import INK, text_in, text_on


@pytest.mark.parametrize(
    ("accent", "on_it", "in_it"),
    [
        ("#1e3a8a", "#ffffff", "#1e3a8a"),
        ("#000000", "#ffffff", "#000000"),
        ("#ffffff", INK, INK),
        ("#facc15", INK, INK),
        ("#b91c1c", "#ffffff", "#b91c1c"),
    ],
)
def test_text_on_and_in_any_colour_can_be_read(accent: str, on_it: str, in_it: str) -> None:
    assert text_on(accent) == on_it
    assert text_in(accent) == in_it
