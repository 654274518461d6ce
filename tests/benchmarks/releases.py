"""This release and the last one, run in turns on the same shop: a ratio says what a busy machine cannot spoil."""

import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.bed import NO_LEDGER, PROGRAM, TICKETS, Bed, Spent, spend
from tests.benchmarks.row import Row

LATENCY = 0.15
"""Seconds for each of SumUp's answers, as they are from Europe."""

ROOT = Path(__file__).parents[2]
LAST_RELEASE = "bb44b52f27b9848cfd653277b282ff9240c90c4f"
"""The commit of version 0.1.0, as in tests/acceptance/test_last_release.py."""


_LOADED = (
    "import click, sqlalchemy.dialects.postgresql, psycopg2, structlog, requests, jinja2, tenacity, icalendar\n"
    "from pydantic import BaseModel"
)
_PRINTED = (
    "from paypoll.tickets.libraries import loaded_lightly\n"
    "with loaded_lightly(): import weasyprint\n"
    "weasyprint.HTML(string='<p lang=en>One line.').write_pdf()"
)
"""What no run with a ticket to print can do without: its libraries, and a page with one line."""


@contextmanager
def last_release() -> Iterator[Path]:
    """Take the last release's code from the history; yield the folder to import it from."""
    git = ["git", "-c", "safe.directory=*", "-C", str(ROOT)]
    archive = subprocess.run([*git, "archive", LAST_RELEASE, "src"], capture_output=True, check=True).stdout  # noqa: S603
    with tempfile.TemporaryDirectory(prefix="paypoll-last-release-") as folder:
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            tar.extractall(folder, filter="data")
        # As an installed package is: else it would be compiled again in each run.
        subprocess.run([sys.executable, "-m", "compileall", "-q", folder], check=True)  # noqa: S603
        yield Path(folder, "src")


def run(bed: Bed, source: Path | None, **environ: str) -> Spent:
    """Run `run-once` of this release, or of the one in `source`, and return what it took."""
    settings = {f"PAYPOLL_{name.upper()}": value for name, value in environ.items()}
    arguments = ["--config", str(bed.config), "run-once"]
    if source is None:
        return spend([str(PROGRAM), *arguments], NO_LEDGER | settings)
    return spend([sys.executable, "-P", "-m", "paypoll", *arguments], settings | {"PYTHONPATH": str(source)})


_MANY = 500


def without_pyc_ban() -> None:
    """Let Python keep what it compiles, as it does in an installation."""
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    subprocess.run([sys.executable, "-m", "compileall", "-q", str(ROOT / "src")], check=True)  # noqa: S603


def releases(new_bed: Callable[[], Bed], rounds: int) -> Iterator[Row]:
    """Run this release and the last one in turns, over paid orders of two tickets: one to five hundred."""
    few = -(-rounds // 3)
    sizes = ((1, LATENCY, 0.5, rounds), (20, LATENCY, None, -(-rounds // 2)), (100, LATENCY, 0.45, few))
    with last_release() as old:
        for orders, latency, least, runs in (*sizes, (_MANY, LATENCY, None, few), (_MANY, 0.0, None, few)):
            bed = new_bed()
            bed.far.tell(do="latency", seconds=latency)
            turns, bare = [], []
            for _ in range(runs):
                turns.append((_turn(bed, orders, None), _turn(bed, orders, old)))
                if orders == 1:
                    bare.append(sum(spend([sys.executable, "-c", code]).cpu for code in (_LOADED, _PRINTED)))
            bed.close()
            yield from _beside_the_last(turns, orders, least, "" if latency else ", SumUp at once")
            if bare:
                share = statistics.median(one / old.spent.cpu for one, (_, old) in zip(bare, turns, strict=True))
                what = "the same: the libraries alone, loaded by both processes, and one line on a page"
                yield Row(what, f"{share:.2f} ×", "none set", None, "of the last release's CPU")


def _beside_the_last(turns: "list[tuple[Turn, Turn]]", orders: int, least: float | None, where: str) -> Iterator[Row]:
    ours, theirs = (list(column) for column in zip(*turns, strict=True))
    what = f"{orders} paid order{'s' if orders > 1 else ''} of {TICKETS} tickets{where}"
    ratio = statistics.median(new.spent.cpu / old.spent.cpu for new, old in turns)
    cpu, before = (statistics.median(turn.spent.cpu for turn in column) for column in (ours, theirs))
    yield Row(
        f"{what}: CPU beside the last release's",
        f"{ratio:.2f} ×",
        f"{least:.2f} ×" if least else "none set",
        ratio <= least if least else None,
        f"{cpu:.2f} s / {before:.2f} s, medians of {len(turns)} in turns",
    )
    waits, before = (statistics.median(turn.wait for turn in column) for column in (ours, theirs))
    if orders == 1:
        yield Row(
            f"{what}: from SumUp's last answer to the mail accepted",
            f"{waits:.2f} s",
            "1.20 s",
            waits <= 1.2,
            f"{before:.2f} s in the last release",
        )
    else:
        faster = statistics.median(old.wait / new.wait for new, old in turns)
        yield Row(
            f"{what}: speed beside the last release's, from the first request to the last mail",
            f"{faster:.2f} ×",
            "2.50 ×" if orders >= _MANY else "none set",
            faster >= 2.5 if orders >= _MANY else None,
            f"{waits:.1f} s / {before:.1f} s",
        )
    own = statistics.median(turn.spent.own_cpu / turn.spent.cpu for turn in ours)
    most = 220 if orders >= _MANY else 150
    memory = max(turn.spent.memory_mib for turn in ours)
    yield Row(f"{what}: of a second of CPU, the run's own process", f"{own:.2f} s", "none set", None, "the rest prints")
    yield Row(f"{what}: memory of all processes", f"{memory:.0f} MiB", f"{most} MiB", memory <= most)


@dataclass(frozen=True, slots=True)
class Turn:
    """What a run took, and seconds to its last mail: from SumUp's last answer for one order, else the first request."""

    spent: Spent
    wait: float


def _turn(bed: Bed, orders: int, source: Path | None) -> Turn:
    bed.fill(orders)
    bed.far.tell(do="reset")
    spent = run(bed, source)
    seen = bed.far.tell(do="report")
    if len(seen["mails"]) != orders:
        raise RuntimeError(f"{len(seen['mails'])} mails for {orders} orders")
    since = seen["last_request"] + LATENCY if orders == 1 else seen["first_request"]
    return Turn(spent, max(when for when, *_ in seen["mails"]) - since)
