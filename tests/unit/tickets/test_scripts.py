"""Names of scripts, and the packages with their fonts."""

import pytest

from paypoll.tickets.scripts import missing_in, packages_for, script_of, scripts_of


@pytest.mark.parametrize(
    ("letters", "script"),
    [
        ("กเ้", "Thai"),
        ("aß", "Latin"),
        ("ж", "Cyrillic"),
        ("अ्", "Devanagari"),
        ("夏", "Chinese"),
        ("ひカ", "Japanese"),
        ("한", "Korean"),
        ("🎉★", "emoji"),
        ("\ue000", "emoji"),
        ("\u0378", "emoji"),
        ("𐎠", "Old Persian"),
    ],
)
def test_script_of_a_letter_has_the_name_that_people_know(letters: str, script: str) -> None:
    assert {script_of(letter) for letter in letters} == {script}


def test_packages_for_scripts_are_named_once() -> None:
    assert packages_for(["Devanagari", "Khmer", "Thai"]) == "fonts-noto-core fonts-thai-tlwg"
    assert scripts_of("กขअ") == ["Devanagari", "Thai"]


def test_missing_letters_are_read_from_weasyprints_log() -> None:
    assert missing_in("The font has no glyph for U+0E01, U+1F389") == {"ก", "🎉"}
    assert missing_in("Ignored `x` at 1:1, U+0E01") == set()
