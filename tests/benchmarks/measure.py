"""What is measured, a function a row of the table. Each returns what it found beside the limit it is held to."""

import logging
import os
import random
import statistics
import string
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import structlog
from tests.benchmarks.bed import PARALLEL, TICKETS, Bed, Spent, spend
from tests.benchmarks.counting import NOT_COUNTED, counted
from tests.benchmarks.crowd import millions, together
from tests.benchmarks.lives import live
from tests.benchmarks.releases import LATENCY, releases
from tests.benchmarks.row import Row

from paypoll.app import App
from paypoll.database import transaction
from paypoll.gc_tuning import search_for_cycles_rarely
from paypoll.settings.load import load_settings
from paypoll.state import watches
from paypoll.state.runs import new_run_id
from paypoll.tickets.ticket import TicketFace

CORES = os.cpu_count() or 1
PAYERS = 5
"""Customers who pay within a period of the timer."""
_RATE = 10
"""Requests a second, the default of `sumup.requests_per_second`."""
_WARMING = 4
"""Orders that are printed before any is measured."""
_BARE = [sys.executable, "-c", "import click, sqlalchemy, psycopg2, structlog"]

NewBed = Callable[[], Bed]


def idle(new_bed: NewBed, rounds: int) -> Iterator[Row]:
    """Measure a run with nothing to do, beside a bare interpreter with the libraries it cannot do without."""
    bed = new_bed()
    bed.run("run-once")
    pairs = [(spend(_BARE).cpu, bed.run("run-once").cpu) for _ in range(rounds)]
    bare, run = (statistics.median(column) for column in zip(*pairs, strict=True))
    # Of each pair, so that a machine that slows down in between does not count.
    ratio = statistics.median(run / bare for bare, run in pairs)
    yield Row(
        "a run with nothing to do, CPU",
        f"{ratio:.2f} × bare imports",
        "1.30 ×",
        ratio <= 1.3,
        f"{run * 1e3:.0f} ms / {bare * 1e3:.0f} ms, medians of {rounds}",
    )
    memory = bed.run("run-once").memory_mib
    yield Row("a run with nothing to do, memory", f"{memory:.0f} MiB", "60 MiB", memory <= 60)
    counts = counted(bed)
    found = f"{counts.messages} in {counts.transactions} transactions"
    yield Row("a run with nothing to do, statements sent", found, "8", counts.messages <= 8, NOT_COUNTED)


def ticket(_new_bed: NewBed, rounds: int) -> Iterator[Row]:
    """Measure the printing of tickets, two an order, in one process; QR code and all included.

    Names, numbers and codes are new each time. Each order is printed in full as well, in turns, by the same process.
    """
    stamped, full = _ticket_times(rounds)
    found = statistics.median(stamped)
    beside = f"median of {len(stamped)} orders of {TICKETS}"
    yield Row("one ticket, PDF and QR code, CPU", f"{found * 1e3:.1f} ms", "8 ms", found <= 0.008, beside)
    ratio = statistics.median(one / other for one, other in zip(stamped, full, strict=True))
    yield Row(
        "the same, beside a full print of the same ticket",
        f"{ratio:.2f} ×",
        "0.20 ×",
        ratio <= 0.2,
        f"{statistics.median(full) * 1e3:.1f} ms in full",
    )


def _ticket_times(rounds: int) -> tuple[list[float], list[float]]:
    """Return the CPU time of a ticket, in order after order, as it is printed and when it is printed in full."""
    from paypoll.tickets.printer import WeasyTicketPrinter

    search_for_cycles_rarely()  # as the printing processes do
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO))
    chance = random.Random(1)  # noqa: S311 -- the same tickets in every round
    terms = "No refunds. Doors open at 18:30."
    printers = [
        WeasyTicketPrinter(site_name="Jersey Events", terms=terms, stamping=stamping) for stamping in (True, False)
    ]
    times: list[list[float]] = [[], []]
    for _ in range(5 * rounds + _WARMING):
        faces = _faces(chance)
        for printer, its_times in zip(printers, times, strict=True):
            began = time.process_time()
            for face in faces:
                printer.print_tickets([face])
            its_times.append((time.process_time() - began) / TICKETS)
    stamped, full = (its_times[_WARMING:] for its_times in times)
    return stamped, full


def throughput(new_bed: NewBed, rounds: int, *, orders: int = 500) -> Iterator[Row]:
    """Measure runs over many paid orders, with SumUp at a distance and without; and the memory they take."""
    peaks, whole = [], 0.0
    for latency, least in ((LATENCY, 25), (0.0, 28)):
        runs = [_one_run(new_bed(), orders, latency) for _ in range(max(1, rounds // 3))]
        peaks += [spent.peak_mib for spent, _, _ in runs]
        whole = max(whole, *(spent.memory_mib for spent, _, _ in runs))
        spent, elapsed, calls = sorted(runs, key=lambda run: run[1])[len(runs) // 2]
        rate = orders / elapsed
        says = f"SumUp in {latency * 1e3:.0f} ms" if latency else "SumUp at once"
        yield Row(
            f"{orders} paid orders of {TICKETS} tickets, {says}",
            f"{rate:.1f} orders/s",
            f"{least} orders/s",
            rate >= least,
            f"{elapsed:.1f} s from the first request to the last mail, {spent.cpu / orders * 1e3:.0f} ms CPU an order,"
            f" {calls} requests; median of {len(runs)}",
        )
        if latency:
            printing = _ticket_cpu() * orders * TICKETS / CORES
            asking = calls * latency / PARALLEL
            bound = 1.2 * max(printing, asking)
            yield Row(
                "the same, beside what it cannot do without",
                f"{elapsed:.1f} s",
                f"{bound:.1f} s",
                elapsed <= bound,
                f"1.2 × the larger of printing {printing:.1f} s and asking {asking:.1f} s",
            )
    yield Row(f"all processes of these runs, {orders} orders", f"{whole:.0f} MiB", "220 MiB", whole <= 220)
    yield Row(f"largest process of these runs, {orders} orders", f"{max(peaks):.0f} MiB", "200 MiB", max(peaks) <= 200)


def waiting(new_bed: NewBed, _rounds: int, *, orders: int = 20_000) -> Iterator[Row]:
    """Measure a run that meets a great many waiting orders: its memory, its CPU, and whether the rate holds it back."""
    bed = new_bed()
    bed.fill(1, paid=False)
    starting = bed.run("run-once").cpu
    bed.fill(orders, paid=False)
    bed.vacuum()
    bed.far.tell(do="latency", seconds=LATENCY)
    bed.far.tell(do="reset")
    spent = bed.run("run-once", verification__time_budget="60 s", sumup__requests_per_second=f"{_RATE}")
    requests = bed.far.tell(do="report")["requests"]
    (seen,) = bed.sql("SELECT count(*) AS orders FROM paypoll.watch WHERE checks > 0")
    bed.close()
    says = f"{seen['orders']} of them looked at in a time budget of 60 s, {requests} requests"
    yield Row(
        f"largest process, {orders} orders waiting", f"{spent.peak_mib:.0f} MiB", "200 MiB", spent.peak_mib <= 200, says
    )
    share = requests / (60 * _RATE)
    yield Row(
        f"{orders} orders waiting, SumUp in {LATENCY * 1e3:.0f} ms, requests made beside the default rate's",
        f"{share:.2f}",
        "0.95",
        share >= 0.95,
        f"{requests} of {60 * _RATE:.0f}",
    )
    each = (spent.cpu - starting) / (seen["orders"] - 1)
    yield Row(
        "the same, CPU an order looked at, starting not included",
        f"{each * 1e3:.1f} ms",
        "6 ms",
        each <= 0.006,
        f"{spent.cpu:.1f} s, of which {starting:.1f} s are those of a run over one such order",
    )


def statements(new_bed: NewBed, _rounds: int, *, orders: int = 100) -> Iterator[Row]:
    """Count what a paid order of two tickets costs the database."""
    bed = new_bed()
    idle = counted(bed)
    bed.fill(orders)
    counts = counted(bed)
    messages, statements, transactions = (
        (getattr(counts, what) - getattr(idle, what)) / orders for what in ("messages", "statements", "transactions")
    )
    found = f"{messages:.1f} in {transactions:.1f} transactions"
    yield Row(f"messages to the database for an order, of {orders}", found, "none set", None, NOT_COUNTED)
    yield Row("statements in them", f"{statements:.1f}", "15", statements <= 15, "some travel with another")


def selecting(new_bed: NewBed, rounds: int, *, few: int = 10_000, many: int = 1_000_000) -> Iterator[Row]:
    """Measure how long a run takes to find and claim its orders among few and among many, with and without index."""
    index = "CREATE INDEX bench_orders_status ON orders_order (status, created_at)"
    beds = {count: new_bed() for count in (few, many)}
    times: dict[bool, dict[int, float]] = {}
    for count, bed in beds.items():
        bed.fill(count, status="completed", at_sumup=False, long_ago=True)
        bed.fill(20, at_sumup=False)
    for indexed in (False, True):
        for bed in beds.values():
            if indexed:
                bed.sql(index)
            bed.vacuum()
        times[indexed] = dict(zip(beds, _time_claims(list(beds.values()), rounds), strict=True))
    for bed in beds.values():
        bed.close()
    for indexed, limit in ((True, 1.1), (False, None)):
        found = times[indexed]
        ratio = found[many] / found[few]
        yield Row(
            f"selecting and claiming, {many:,} orders against {few:,}, {'with' if indexed else 'without'} the index",
            f"{ratio:.2f} ×",
            f"{limit:.2f} ×" if limit else "none set",
            ratio <= limit if limit else None,
            f"{found[many] * 1e3:.1f} ms / {found[few] * 1e3:.1f} ms, medians of {rounds} in turns",
        )


def latency(new_bed: NewBed, rounds: int) -> Iterator[Row]:
    """Measure the time from PAID at SumUp to the mail accepted, under a timer of five minutes and of one.

    Customers pay at moments spread evenly over a period. How long they wait for the timer is reckoned; what comes
    after it fires is measured: a run of the installed command over those who paid in that period.
    """
    for period in (300, 60):
        waits = []
        for _ in range(rounds):
            bed = new_bed()
            bed.fill(PAYERS)
            bed.far.tell(do="latency", seconds=LATENCY)
            bed.far.tell(do="reset")
            fired = time.time()
            bed.run("run-once")
            taken = sorted(when for when, *_ in bed.far.tell(do="report")["mails"])
            share = period / PAYERS
            waits += [period - share * (place + 0.5) + when - fired for place, when in enumerate(taken)]
            bed.close()
        median, late = statistics.median(waits), statistics.quantiles(waits, n=20)[-1]
        yield Row(
            f"PAID to mail accepted, a timer of {period // 60} min",
            f"median {median:.0f} s, 95 % within {late:.0f} s",
            "none set",
            None,
            f"{len(waits)} orders",
        )


def requests(new_bed: NewBed, _rounds: int) -> Iterator[Row]:
    """Count the requests of an order over its life. No time is measured."""
    for cost in live(new_bed):
        first = cost.before_tickets
        yield Row(
            f"requests of an order: {cost.life.what}",
            f"{cost.asked.total()}" + (f", {first} of them before its tickets" if first is not None else ""),
            "2 before its tickets" if cost.life.what == "paid at once" else "none set",
            first == 2 if cost.life.what == "paid at once" else None,
            f"{cost.looks} looks in {cost.lasted / timedelta(hours=1):.0f} h, {cost.status} in the end: "
            + ", ".join(f"{count} {question}" for question, count in cost.asked.most_common()),
        )


MEASUREMENTS: dict[str, Callable[[NewBed, int], Iterator[Row]]] = {
    "idle": idle,
    "releases": releases,
    "ticket": ticket,
    "throughput": throughput,
    "statements": statements,
    "selecting": selecting,
    "waiting": waiting,
    "latency": latency,
    "requests": requests,
    "together": together,
    "millions": millions,
}


def _one_run(bed: Bed, orders: int, seconds: float) -> tuple[Spent, float, int]:
    """Return what a run took, the time from its first request to its last mail, and the requests it made."""
    bed.fill(orders)
    bed.far.tell(do="latency", seconds=seconds)
    bed.far.tell(do="reset")
    spent = bed.run("run-once")
    seen = bed.far.tell(do="report")
    bed.close()
    mails = seen["mails"]
    if len(mails) != orders or sum(pdfs for *_, pdfs in mails) != orders * TICKETS:
        raise RuntimeError(f"{len(mails)} mails for {orders} orders")
    return spent, max(when for when, *_ in mails) - seen["first_request"], seen["requests"]


def _ticket_cpu() -> float:
    """Return the CPU time of a ticket in a printing process, measured now, on the machine as it is now."""
    stamped, _ = _ticket_times(4)
    return statistics.median(stamped)


def _time_claims(beds: Sequence[Bed], rounds: int) -> list[float]:
    """Return for each bed the median time of a run's way to its orders, in turns: one machine is fast and slow."""
    apps = [App(load_settings(bed.config, {})) for bed in beds]
    try:
        times = [[_time_a_claim(app) for app in apps] for _ in range(rounds + 2)]
    finally:
        for app in apps:
            app.close()
    return [statistics.median(column) for column in zip(*times[2:], strict=True)]


def _time_a_claim(app: App) -> float:
    """Return how long it takes: is there anything, enrol, claim. All of it is undone."""
    with _undone(app.engine) as connection:
        now = datetime.now(UTC)
        began = time.perf_counter()
        watches.is_any_due(connection, app.watch_rules, now, sa.false())
        watches.enrol(connection, app.watch_rules, now)
        claimed = watches.claim(
            connection, app.watch_rules, new_run_id(now), now, began=now, limit=20, lease=timedelta(minutes=3)
        )
        taken = time.perf_counter() - began
    if len(claimed) != 20:
        raise RuntimeError(f"{len(claimed)} orders claimed")
    return taken


@contextmanager
def _undone(engine: sa.Engine) -> Iterator[sa.Connection]:
    with transaction(engine) as connection:
        savepoint = connection.begin_nested()
        yield connection
        savepoint.rollback()


def _faces(chance: random.Random) -> list[TicketFace]:
    """Return an order's tickets. Names take one line or two, and codes differ in size, as a shop's do."""
    letters = string.ascii_uppercase + string.digits
    names = [
        chance.choice(["Ada", "Zoë", "Noor", "Quentin"]),
        chance.choice(["Le Sueur", "Müller", "Okafor", "de la Haye"]),
    ]
    account = ".".join(names).lower().replace(" ", "")
    face = TicketFace(
        ticket_number="",
        qr_data="",
        event_title="Winter Concert",
        starts=datetime(2026, 12, 5, 19, 30, tzinfo=ZoneInfo("Europe/Jersey")),
        venue_name="Jersey Opera House",
        venue_address="Gloucester Street\nSt Helier\nJersey JE2 3QR",
        organiser_name="Island Concerts Ltd",
        holder_name=" ".join(names),
        price=Decimal("12.50"),
        currency="GBP",
        order_number=f"ORD-2026-{chance.randrange(10**7):07}",
        place=1,
        places=TICKETS,
    )
    numbers = ["WINTER-CON-" + "".join(chance.choices(letters, k=9)) for _ in range(TICKETS)]
    return [
        replace(
            face,
            ticket_number=number,
            qr_data=f"JERSEY_EVENTS|{number}|17|{account}@example.org|{chance.randrange(16**16):016x}",
            place=place,
        )
        for place, number in enumerate(numbers, start=1)
    ]
