"""What the documents say about the commands is what the program says. `scripts/reference` writes them anew."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from paypoll.cli import cli
from paypoll.cli.reference import commands, help_page, man_page, with_table

ROOT = Path(__file__).parents[3]
WITHOUT_RESULT = {"demo", "sandbox", "grants", "setup"}
"""They show something to people, or print SQL: there is no result that a program would read."""


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def test_readme_has_the_table_of_the_programs_own_commands() -> None:
    assert with_table(read("README.md"), cli) == read("README.md"), "run scripts/reference"


def test_page_of_commands_is_the_programs_own_help() -> None:
    assert help_page(cli) == read("docs/commands.md"), "run scripts/reference"


def test_man_page_is_the_programs_own_help() -> None:
    assert man_page(cli) == read("docs/paypoll.1"), "run scripts/reference"


def test_table_of_commands_notices_a_help_text_that_was_changed() -> None:
    @click.group()
    def other() -> None:
        """Something."""

    @other.command()
    def quite() -> None:
        """Do quite another thing. And more."""

    assert "| `paypoll quite` | Do quite another thing. |" in with_table(read("README.md"), other)
    assert with_table(read("README.md"), other) != read("README.md")


def test_readme_without_its_marks_is_refused() -> None:
    with pytest.raises(ValueError, match="marks"):
        with_table("# paypoll\n", cli)


def test_man_page_keeps_options_copyable_and_no_line_is_a_roff_request_by_accident() -> None:
    page = man_page(cli)
    assert r"\-\-send\-test\-alert" in page
    requests = {line.split()[0] for line in page.splitlines() if line.startswith((".", "'"))}
    assert requests <= {".TH", ".SH", ".SS", ".PP", ".TP", ".B", ".nf", ".fi"}


def test_help_of_every_command_fits_eighty_columns() -> None:
    assert [line for line in help_page(cli).splitlines()[3:] if len(line) > 80] == []


@pytest.mark.parametrize(("path", "command"), list(commands(cli)), ids=str)
def test_every_command_with_a_result_prints_it_as_json(path: tuple[str, ...], command: click.Command) -> None:
    assert any(option.name == "as_json" for option in command.params) is (path[-1] not in WITHOUT_RESULT)


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("paypoll res", {"resend", "resolve", "resume"}),
        ("paypoll run-once --dr", {"--dry-run"}),
        ("paypoll db u", {"upgrade"}),
    ],
)
def test_tab_key_completes_commands_and_options(typed: str, offered: set[str]) -> None:
    environ = {"_PAYPOLL_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    program = Path(sys.executable).with_name("paypoll")
    done = subprocess.run([program], env=environ, check=False, capture_output=True, text=True)  # noqa: S603 - ours
    assert {line.removeprefix("plain,") for line in done.stdout.split()} == offered


def test_command_by_hand_completes_without_root() -> None:
    # The shell asks the word that was typed, which on a server is this wrapper.
    script = read("systemd/paypoll-by-hand")
    assert script.index("_PAYPOLL_COMPLETE") < script.index("id -u")
    shell = shutil.which("sh") or "/bin/sh"
    environ = {"PATH": os.environ["PATH"], "_PAYPOLL_COMPLETE": "bash_complete", "PAYPOLL_PROGRAM": "echo"}
    command = [shell, "-c", script, "paypoll", "completed"]
    done = subprocess.run(command, env=environ, check=False, capture_output=True, text=True)  # noqa: S603 - ours
    assert (done.returncode, done.stdout) == (0, "completed\n")
