"""A long run shows on a terminal how far it has come, and nowhere else; pasted order numbers; short durations."""

import io
import os
import pty
import termios
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import pytest
import structlog
from rich.cells import cell_len

from paypoll import logs
from paypoll.cli.commands.reconcile import _progress
from paypoll.cli.commands.runs import runs_parts
from paypoll.cli.options import pasted_order
from paypoll.cli.render.progress import progress_line, progress_shown
from paypoll.cli.render.table import Table
from paypoll.cli.render.terminal import table_lines
from paypoll.cli.render.words import brief
from paypoll.runs.report import OrderError, RunReport
from paypoll.state.runs import LastRun

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)


@pytest.fixture
def report() -> RunReport:
    made = RunReport("r", NOW, order_errors=[OrderError("ORD-1", "odd", expected=False)])
    made.delivered.sent = 3
    return made


def test_progress_on_a_terminal_is_one_line_that_is_wiped_away(
    report: RunReport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    leader, follower = pty.openpty()
    with os.fdopen(leader, "rb", buffering=0) as screen, os.fdopen(follower, "w", encoding="utf-8") as terminal:
        with progress_shown(report, stream=terminal, patience=0.01):
            shown = _read_until(screen, b"so far")
            logs.configure_logging(stream=terminal, environ={"NO_COLOR": "1"})
            structlog.get_logger("paypoll.x").warning("an [red]event[/]")
            logs.close_logging()
            structlog.reset_defaults()
            shown += _read_until(screen, b"so far")
        shown += _read_until(screen, WIPED)
    before, _, after = shown.partition(b"an [red]event[/]")
    # The event has a line of its own: what stood there was wiped away, and comes again below.
    assert b"0 orders looked at, 1 with errors, 3 mails sent; " in before
    assert WIPED in before
    assert b" so far, Ctrl-C to stop" in after
    assert after.endswith(WIPED)


WIPED = b"\x1b[2K"


def _read_until(screen: io.RawIOBase, wanted: bytes) -> bytes:
    shown = b""
    deadline = time.monotonic() + 10
    while wanted not in shown and time.monotonic() < deadline:
        shown += screen.read(4096) or b""
    return shown


def test_progress_without_a_terminal_is_silent(report: RunReport) -> None:
    stream = io.StringIO()
    with progress_shown(report, stream=stream, patience=0.0):
        pass
    assert stream.getvalue() == ""


def test_progress_of_a_short_run_is_not_shown(report: RunReport) -> None:
    leader, follower = pty.openpty()
    with os.fdopen(leader, "rb", buffering=0) as screen, os.fdopen(follower, "w", encoding="utf-8") as terminal:
        with progress_shown(report, stream=terminal, patience=60):
            pass
        terminal.write("end")
        terminal.flush()
        shown = b""
        while not shown.endswith(b"end"):  # a terminal gives what it has, be it a part
            shown += screen.read(4096)
    assert shown == b"end"


def test_progress_fits_the_screen(report: RunReport) -> None:
    assert len(progress_line(report, 7200)) < 80


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0.0 s"), (0.44, "0.4 s"), (59, "59 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h"),
     (200_000, "2 d")],
)  # fmt: skip
def test_short_duration(seconds: float, said: str) -> None:
    assert brief(timedelta(seconds=seconds)) == said


@pytest.mark.parametrize(
    "pasted",
    [
        "ORD-1001", " ORD-1001\n", "#ORD-1001", "# ORD-1001", '"ORD-1001"', "'ORD-1001',", "“#ORD-1001”", "«ORD-1001»",
        "(ORD-1001)", "<ORD-1001>", "[ORD-1001]", "ORD-1001.", "Order ORD-1001", "order #ORD-1001", "Order: ORD-1001",
        "Order no. ORD-1001", "Order number: ORD-1001;", "\u200bORD-1001\u00a0", "`ORD-1001`",
    ],
)  # fmt: skip
def test_order_number_is_taken_as_people_paste_it(pasted: str) -> None:
    assert pasted_order(pasted) == "ORD-1001"


@pytest.mark.parametrize("number", ["ORDER-7", "order7", "ORD 10.01", "2026/11#3", "A,B", "ORD_1"])
def test_order_number_keeps_what_is_its_own(number: str) -> None:
    assert pasted_order(number) == number


def _run(
    minutes: int, ended: str, *, host: str = "shop1", command: str = "run-once", counts: dict[str, int] | None = None
) -> LastRun:
    started = NOW - timedelta(minutes=minutes)
    over = started + timedelta(seconds=3) if ended else None
    return LastRun("r", command, host, started, over, ended, "1", counts or {})


def test_runs_are_a_table_that_fits_eighty_columns() -> None:
    everything = {
        "outcome_complete": 118, "outcome_review": 12, "outcome_fail": 30, "outcome_expire": 44, "errors": 3,
        "mails_sent": 217, "mails_put_off": 4, "outcome_unchanged": 55,
    }  # fmt: skip
    runs = [
        _run(2, "finished"),
        _run(7, "incomplete", counts=everything),
        _run(12, ""),
        _run(60, "failed", host="shop2", command="expire"),
    ]
    (table,) = runs_parts(runs, NOW)
    assert isinstance(table, Table)
    lines = table_lines(table, 80)
    assert max(map(cell_len, map(click.unstyle, lines))) <= 80
    assert lines[1].split() == [
        "2",
        "minutes",
        "ago",
        "3.0",
        "s",
        "\x1b[32mfinished\x1b[0m",
        *["nothing", "to", "do", "(shop1)"],
    ]
    assert "118 paid, 12 to review" in lines[2]
    # For grep, a line each.
    plain = table.plain_lines()
    assert len(plain) == 1 + len(runs)
    assert plain[1].split() == ["2", "minutes", "ago", "3.0", "s", "finished", "nothing", "to", "do", "(shop1)"]
    assert "under way, or killed" in plain[3]
    assert plain[-1].endswith("expire: see the log (shop2)")
    assert runs_parts([], NOW) == ["No run yet."]


def test_readme_says_how_to_complete_and_install_does_it() -> None:
    root = Path(__file__).parents[3]
    assert "_PAYPOLL_COMPLETE=bash_source" in (root / "README.md").read_text(encoding="utf-8")
    assert "_PAYPOLL_COMPLETE=bash_source" in (root / "scripts" / "install").read_text(encoding="utf-8")


@pytest.mark.parametrize("columns", [60, 80])
def test_progress_of_reconcile_fits_the_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    leader, follower = pty.openpty()
    termios.tcsetwinsize(follower, (24, columns))
    with os.fdopen(leader, "rb", buffering=0) as screen, os.fdopen(follower, "w", encoding="utf-8") as terminal:
        monkeypatch.setattr("sys.stderr", terminal)
        with _progress(NOW - timedelta(days=30), NOW, 1) as on_page:
            for days in (29, 15):
                on_page(NOW - timedelta(days=days))
        lines = _read_until(screen, b"\n").decode().splitlines()
    assert any("50%" in line for line in lines)
    assert max(len(line) for line in lines) < columns
