"""From the facts of a period to its report. Pure: no database, no clock."""

from array import array
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from datetime import datetime, timedelta

from paypoll.report.cases import case_sums, finding_sums, spread
from paypoll.report.facts import Asked, Facts, Payment, Placed, RunSeen
from paypoll.report.money import MoneyBooks
from paypoll.report.period import Period, hour_of
from paypoll.report.result import (
    BadHour,
    OpenTrouble,
    OrderSums,
    OutcomeRow,
    Report,
    RunSums,
    ServiceSums,
    WaitSums,
)

WITHIN = (60.0, 300.0, 900.0, 3600.0, 6 * 3600.0, 86400.0)
"""The classes of the time from paid to ticket: a minute, five, a quarter of an hour, one, six, a day; and longer."""

_COMPLETED = frozenset({"completed", "confirmed", "shipped", "delivered"})
_UNDER_WAY = timedelta(minutes=15)
"""A run that has not ended is taken for killed after so long: the timer's unit has killed it by then."""


def sum_up(facts: Facts, period: Period, now: datetime) -> Report:
    """Return the report of the period."""
    books = MoneyBooks(period)
    waits = _Waits()
    for payment in facts.payments:
        books.take(payment)
        waits.take(payment)
    books.give_back(facts.returns)
    mail, runs, undeliverable = _runs(facts.runs, period, now)
    return Report(
        period=period,
        made_at=now,
        orders=_orders(facts.placed, period),
        money=books.sums(),
        waits=waits.sums(),
        outcomes=_outcomes(facts),
        cases=case_sums(facts.steps, facts.open_cases, period),
        findings=finding_sums(facts.findings, period),
        sumup=_sumup(facts.asked, period),
        mail=mail,
        undeliverable=undeliverable,
        runs=runs,
        troubles=tuple(OpenTrouble(one.kind, one.since) for one in facts.troubles),
    )


def _outcomes(facts: Facts) -> tuple[OutcomeRow, ...]:
    rows = [OutcomeRow(one.outcome, one.reason, one.orders) for one in facts.decided]
    return tuple(sorted(rows, key=lambda row: (-row.orders, row.outcome, row.reason)))


def _orders(placed: Iterable[Placed], period: Period) -> OrderSums:
    by_status: Counter[str] = Counter()
    by_column: Counter[datetime] = Counter()
    completed: Counter[datetime] = Counter()
    for one in placed:
        column = period.column_of(one.at)
        by_status[one.status] += one.orders
        by_column[column] += one.orders
        if one.status in _COMPLETED:
            completed[column] += one.orders
    return OrderSums(
        placed=by_status.total(),
        by_status=dict(sorted(by_status.items(), key=lambda entry: (-entry[1], entry[0]))),
        placed_by_column=tuple(by_column[column] for column in period.columns),
        completed_by_column=tuple(completed[column] for column in period.columns),
    )


class _Waits:
    """How long customers waited for their tickets. 8 bytes a payment, so that a year of them fits."""

    def __init__(self) -> None:
        self._seconds = array("d")
        self._by_person = self._by_shop = 0

    def take(self, payment: Payment) -> None:
        if payment.by_person:
            self._by_person += 1
        elif payment.by_shop:
            self._by_shop += 1
        else:
            # SumUp's clock may be ahead of this machine's.
            self._seconds.append(max(0.0, (payment.fulfilled_at - payment.paid_at).total_seconds()))

    def sums(self) -> WaitSums:
        classes = Counter(bisect_left(WITHIN, seconds) for seconds in self._seconds)
        limits = (*WITHIN, float("inf"))
        return WaitSums(
            spread=spread(self._seconds),
            within=tuple((limit, classes[place]) for place, limit in enumerate(limits)),
            by_person=self._by_person,
            by_shop=self._by_shop,
        )


def _sumup(asked: Iterable[Asked], period: Period) -> ServiceSums:
    tally = _Tally(period)
    for one in asked:
        tally.add(one.at, one.unanswered + one.refused, one.looks)
    return tally.sums()


def _runs(seen: Iterable[RunSeen], period: Period, now: datetime) -> tuple[ServiceSums, RunSums, int]:
    """Return what the runs tell of the mail server, of themselves, and how many mails were given up."""
    tally = _Tally(period)
    number = failed = killed = errors = undeliverable = 0
    last, longest, pause_since = None, 0.0, None
    for run in sorted(seen, key=lambda one: one.started_at):
        number += 1
        failed += run.ended == "failed"
        killed += not run.ended and run.started_at < now - _UNDER_WAY
        errors += run.counts.get("errors", 0)
        undeliverable += run.counts.get("mails_undeliverable", 0)
        put_off = run.counts.get("mails_put_off", 0)
        tally.add(run.started_at, put_off, put_off + run.counts.get("mails_sent", 0))
        if last is not None and (pause := (run.started_at - last).total_seconds()) > longest:
            longest, pause_since = pause, last
        last = run.started_at
    if last is not None and (pause := (min(now, period.until) - last).total_seconds()) > longest:
        longest, pause_since = pause, last
    return tally.sums(), RunSums(number, failed, killed, errors, longest, pause_since), undeliverable


class _Tally:
    """Counts what failed, by hour and by column."""

    def __init__(self, period: Period) -> None:
        self._period = period
        self._columns: Counter[datetime] = Counter()
        self._failed: Counter[datetime] = Counter()
        self._of: Counter[datetime] = Counter()

    def add(self, at: datetime, failed: int, of: int) -> None:
        self._columns[self._period.column_of(at)] += failed
        self._failed[hour_of(at)] += failed
        self._of[hour_of(at)] += of

    def sums(self) -> ServiceSums:
        bad = sorted(hour for hour, failed in self._failed.items() if failed)
        return ServiceSums(
            asked=self._of.total(),
            failed=self._failed.total(),
            failed_by_column=tuple(self._columns[column] for column in self._period.columns),
            bad_hours=tuple(BadHour(hour, self._failed[hour], self._of[hour]) for hour in bad),
        )
