"""Results look as the terminal can show them: its width, its colours or none, a pager where they are long."""

import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
from rich.cells import cell_len

from paypoll.cli.render.marks import shown, width
from paypoll.cli.render.screen import show, show_paged, styled
from paypoll.cli.render.table import Column, Table
from paypoll.cli.render.words import numbered, wrapped

Terminal = Callable[..., int]


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """Makes stdin and stdout a terminal of this size; returns the end at which a person sits."""
    leader, follower = pty.openpty()
    with (
        os.fdopen(leader, "rb"),
        os.fdopen(os.dup(follower), encoding="utf-8") as into,
        os.fdopen(follower, "w", encoding="utf-8") as out,
    ):

        def make(columns: int = 80, rows: int = 24) -> int:
            fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            monkeypatch.setattr(sys, "stdout", out)
            monkeypatch.setattr(sys, "stdin", into)
            monkeypatch.setenv("TERM", "xterm")
            monkeypatch.delenv("NO_COLOR", raising=False)
            return leader

        yield make


@pytest.mark.parametrize(("columns", "expected"), [(40, 60), (60, 60), (72, 72), (100, 100), (250, 100), (0, 80)])
def test_lines_are_as_wide_as_the_terminal_from_60_to_100(terminal: Terminal, columns: int, expected: int) -> None:
    terminal(columns=columns)
    assert width() == expected
    assert max(map(len, wrapped("word " * 100))) <= expected


def test_lines_are_80_wide_where_nobody_looks() -> None:
    assert width() == 80


@pytest.mark.parametrize(
    ("name", "value", "coloured"), [("TERM", "xterm", True), ("TERM", "dumb", False), ("NO_COLOR", "1", False)]
)
def test_results_have_no_colours_where_none_are_wanted(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, name: str, value: str, coloured: bool
) -> None:
    screen = terminal()
    monkeypatch.setenv(name, value)
    show([styled("sent", fg="green"), Table((Column("mail"),), [(styled("sent", fg="green"),)])])
    seen = os.read(screen, 1000)
    assert (seen.count(b"\x1b[32m"), b"\x1b" in seen) == (2 if coloured else 0, coloured)


@pytest.mark.parametrize(("rows", "paged"), [(24, True), (200, False), (0, False)])
def test_long_result_goes_to_a_pager_without_a_shell(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rows: int, paged: bool
) -> None:
    screen, seen = terminal(rows=rows), tmp_path / "seen"
    pager = tmp_path / "pager"
    pager.write_text(f"#!/bin/sh\nprintenv LESSSECURE >{seen}\ncat >>{seen}\n")
    pager.chmod(0o755)
    monkeypatch.setenv("PAGER", str(pager))
    show_paged([f"line {number}" for number in range(40)])
    if paged:
        assert seen.read_text().splitlines()[:2] == ["1", "line 0"]
    else:
        assert os.read(screen, 100).startswith(b"line 0")
        assert not seen.exists()


def test_numbers_have_their_noun_in_the_right_form() -> None:
    assert [numbered(number, "mail") for number in (0, 1, 2)] == ["0 mails", "1 mail", "2 mails"]


TABLE = Table(
    (Column("event", cut=True), Column("in", right=True), Column("what it did")),
    [
        ("演奏会" * 30, "1,250.00", "[red]x[/] :boom: \x1b[2J"),
        ("Carols", "3.00", styled("sent", fg="green") + " " + "word " * 30),
    ],
)


def test_table_on_a_terminal_fits_it_by_the_width_of_its_letters(terminal: Terminal) -> None:
    screen = terminal(columns=60)
    show([TABLE])
    seen = os.read(screen, 10_000).decode()
    lines = [click.unstyle(line) for line in seen.splitlines()]
    assert max(map(cell_len, lines)) <= 60
    assert "…" in lines[1]
    # rich's markup is text, as are its emoji; so is what would steer the terminal.
    assert all(piece in "\n".join(lines) for piece in ("1,250.00", "[red]x[/]", ":boom:", "\\x1b[2J"))
    assert "\x1b[32msent" in seen


def test_table_elsewhere_is_a_line_a_row(capsys: pytest.CaptureFixture[str]) -> None:
    show([TABLE])
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("演奏会" * 30 + "  1,250.00  [red]x[/] :boom: \\x1b[2J")


def test_lines_of_wide_letters_and_colours_fit_a_terminal(terminal: Terminal) -> None:
    terminal(columns=60)
    lines = wrapped("演奏会 " * 30 + styled("requires_manual_review", fg="red") + " [bold]x", 6)
    assert max(cell_len(click.unstyle(shown(line))) for line in lines) <= 60
    assert shown(lines[-1]).endswith("\x1b[31mrequires_manual_review\x1b[0m [bold]x")


def test_nothing_that_nobody_looks_at_loads_rich() -> None:
    program = (
        "import sys; sys.modules['rich'] = None; from paypoll.cli.render.screen import show\n"
        "from paypoll.cli.render.words import wrapped\n"
        "from paypoll.cli.render.table import Column, Table; import paypoll.cli.render.progress\n"
        "show([*wrapped('演 ' * 100), Table((Column('a'),), [('b',)])]); sys.exit(sys.modules['rich'] is not None)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False, timeout=60)  # noqa: S603
    assert (done.returncode, done.stdout.decode().splitlines()[-1]) == (0, "b")
