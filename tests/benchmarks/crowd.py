"""Many runs at once on one database, and a table of ten million orders: how far one PostgreSQL carries."""

import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.benchmarks.bed import TICKETS, Bed
from tests.benchmarks.row import Row

_EVENTS = 50
_SECONDS = 60
_MANY = 10_000_000
_DUE = 100_000
_INDEXES = (
    ("orders_order", "status, created_at"),
    ("orders_order", "transaction_id"),
    ("payments_sumupcheckout", "sumup_checkout_id"),
    ("payments_sumupcheckout", "checkout_id"),
)


def together(new_bed: Callable[[], Bed], _rounds: int, *, orders: int = 2000) -> Iterator[Row]:
    """Apply paid orders by 1, 4 and 32 runs at once, for one event and for fifty, with all else replaced."""
    for events in (1, _EVENTS):
        for runs in (1, 4, 32):
            bed = new_bed()
            bed.fill(orders, at_sumup=False)
            _spread(bed, events)
            bed.vacuum()
            yield from _rows(
                bed, runs, f"{runs} run{'s' if runs > 1 else ''} at once, {events} event{'s' * (events > 1)}"
            )
            bed.close()


def millions(new_bed: Callable[[], Bed], _rounds: int, *, many: int = _MANY, due: int = _DUE) -> Iterator[Row]:
    """Apply some of a hundred thousand due orders among ten million old ones, by four runs at once."""
    bed = new_bed()
    bed.fill_history(many)
    bed.fill(due, at_sumup=False)
    _spread(bed, _EVENTS)
    # As `paypoll check` advises for a large shop.
    for table, columns in _INDEXES:
        bed.sql(f"CREATE INDEX ON {table} ({columns})")
    bed.vacuum()
    for runs in (1, 4):
        yield from _rows(bed, runs, f"{many:,} orders, {due:,} of them due, {runs} run{'s' * (runs > 1)} at once")
    bed.close()


def _spread(bed: Bed, events: int) -> None:
    """Give the bed's orders to so many events."""
    ids = [bed.event, *(bed.add_event(f"Concert {number}") for number in range(1, events))]
    bed.sql("UPDATE orders_orderitem SET event_id = (CAST(:ids AS int[]))[1 + id % :events]", ids=ids, events=len(ids))


def _rows(bed: Bed, runs: int, what: str) -> Iterator[Row]:
    before = bed.count_tickets()
    deadlocks = _deadlocks(bed)
    done = _work(bed, runs)
    applied = sum(one["applied"] for one in done)
    seconds = max(one["ended"] for one in done) - min(one["began"] for one in done)
    waits = [wait for one in done for wait in one["waits"]]
    late = statistics.quantiles(waits, n=20)[-1]
    issued = bed.count_tickets() - before
    twice = bed.sql(
        "SELECT count(*) AS n FROM (SELECT order_id FROM events_ticket GROUP BY order_id HAVING count(*) > :n) t",
        n=TICKETS,
    )
    yield Row(
        f"{what}: orders claimed and applied",
        f"{applied / seconds:.0f} orders/s",
        "none set",
        None,
        f"{applied} in {seconds:.1f} s; {_sum(done, 'busy')} times busy",
    )
    yield Row(
        f"{what}: statements that take locks, 95 %",
        f"{late * 1e3:.1f} ms",
        "none set",
        None,
        f"median {statistics.median(waits) * 1e3:.1f} ms",
    )
    wrong = twice[0]["n"] + abs(issued - applied * TICKETS)
    deadlocks, errors = _deadlocks(bed) - deadlocks, _sum(done, "errors")
    found = f"{deadlocks} deadlocks, {wrong} orders with a ticket too many or too few, {errors} errors"
    yield Row(f"{what}: what must not be", found, "none", not deadlocks and not wrong and not errors)


def _work(bed: Bed, runs: int) -> list[dict[str, Any]]:
    """Let so many processes work at once, from one moment on."""
    command = [sys.executable, "-m", "tests.benchmarks.applier", str(bed.config), str(_SECONDS)]
    processes = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)  # noqa: S603
        for _ in range(runs)
    ]
    pipes = [(process.stdin, process.stdout) for process in processes]
    for _, out in pipes:
        if out is None or out.readline() != "ready\n":
            raise RuntimeError("a run did not get ready")
    for into, _ in pipes:
        if into is not None:
            into.write("go\n")
            into.flush()
    done = [json.loads(out.readline()) for _, out in pipes if out is not None]
    for process in processes:
        process.communicate()
    return done


def _sum(done: list[dict[str, Any]], what: str) -> int:
    return sum(one[what] for one in done)


def _deadlocks(bed: Bed) -> int:
    time.sleep(1.5)  # until the sessions that ended have told what they counted
    (row,) = bed.sql("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    return int(row["deadlocks"])
