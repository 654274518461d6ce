"""What a terminal gets to see of text that came from somewhere else."""

import json
import re
import unicodedata
from pathlib import Path

import click
from hypothesis import given
from hypothesis import strategies as st

import paypoll.cli
from paypoll.characters import harmless, harmless_json
from paypoll.cli.render.screen import json_text, shown, styled

# Text with many characters that do harm: any script alone would rarely hold one.
NASTY = st.text(st.one_of(st.characters(), st.characters(categories=["Cc", "Cf", "Zl", "Zp"])))


@given(NASTY)
def test_line_shown_holds_no_control_and_no_turning_character_but_our_own_colours(text: str) -> None:
    line = shown(f"order {text} {styled('paid', fg='green')}")
    assert line.endswith(" \x1b[32mpaid\x1b[0m")
    rest = line.removesuffix("\x1b[32mpaid\x1b[0m")
    assert not {unicodedata.category(character) for character in rest} & {"Cc", "Zl", "Zp", "Cs"}
    assert not {unicodedata.bidirectional(character) for character in rest} & {"LRO", "RLO", "LRE", "RLE", "LRI", "RLI"}


@given(NASTY)
def test_json_shown_is_the_same_document_without_a_control_character(text: str) -> None:
    document = json_text({"name": text})
    assert json.loads(document) == {"name": text}
    assert harmless(document, block=True) == document


def test_text_that_looks_like_our_colours_is_not_coloured() -> None:
    assert shown("\x1b[32mOK\x1b[0m") == "\\x1b[32mOK\\x1b[0m"
    assert click.unstyle(shown(styled("\x1b[32mOK", bold=True))) == "\\x1b[32mOK"


def test_harmless_text_keeps_every_script_and_joined_emoji() -> None:
    text = "Zoë Łódź Αθήνα Москва 東京 ירושלים القاهرة กรุงเทพ 👩\u200d👩\u200d👧 می\u200cخواهم é"
    assert harmless(text) == text
    assert harmless("a\nb\tc\rd", block=True) == "a\nb\tc\\x0dd"
    assert harmless_json('"\U000e0041"') == '"\\udb40\\udc41"'


def test_commands_print_through_the_screen_alone() -> None:
    folder = Path(paypoll.cli.__file__).parent
    for module in folder.rglob("*.py"):
        if module.name in {"screen.py", "marks.py", "reference.py"}:
            continue
        printed = re.findall(
            r"click\.(?:echo|secho|style)\b|(?<!console\.)\bprint\(", module.read_text(encoding="utf-8")
        )
        assert not printed, f"{module.name} prints without paypoll.cli.render.screen"


def test_rich_is_used_by_two_modules_and_given_texts_alone() -> None:
    folder = Path(paypoll.cli.__file__).parents[1]
    users = {module.name for module in folder.rglob("*.py") if "from rich" in module.read_text(encoding="utf-8")}
    assert users == {"terminal.py", "progress.py"}
    for name in sorted(users):
        text = (folder / "cli" / "render" / name).read_text(encoding="utf-8")
        # What rich is given as a str it would read as markup, were that not off.
        assert text.count("Console(") == text.count("markup=False") == 1
        assert not re.search(r"\.(?:from_markup|render_str|markup)\b", text)
