"""Reviews from the steps of their orders: when each was opened, when and how it ended, how long it took. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from paypoll.report.facts import CaseStep, FindingSeen
from paypoll.report.period import Period
from paypoll.report.result import CaseSums, FindingRow, Spread


@dataclass(frozen=True, slots=True)
class Case:
    """A review. Without `opened_at` the shop had put the order there, or completed it by itself; a person ended it."""

    opened_at: datetime | None
    reason: str = ""
    closed_at: datetime | None = None
    how: str = ""


def cases(steps: Iterable[CaseStep]) -> list[Case]:
    """Return the reviews that these steps tell of. A review that is opened again while it is open is one."""
    found: list[Case] = []
    still_open: dict[int, CaseStep] = {}
    for step in steps:
        if not step.how:
            still_open.setdefault(step.case, step)
        elif (opening := still_open.pop(step.case, None)) is not None:
            found.append(Case(opening.at, opening.reason, step.at, step.how))
        elif step.how not in _BY_ITSELF:
            found.append(Case(None, "", step.at, step.how))
    return found + [Case(opening.at, opening.reason) for opening in still_open.values()]


_BY_ITSELF = frozenset({"complete", "restore", "fail", "expire"})
"""What also happens to orders that never were in review."""


def case_sums(steps: Iterable[CaseStep], open_now: Mapping[int, datetime], period: Period) -> CaseSums:
    """Return what the period's reviews come to; `open_now` has the orders whose review is open, and since when."""
    known = cases(steps)
    opened = [case for case in known if case.opened_at is not None and case.opened_at in period]
    closed = [case for case in known if case.closed_at is not None and case.closed_at in period]
    took = [
        (case.closed_at - case.opened_at).total_seconds()
        for case in closed
        if case.opened_at is not None and case.closed_at is not None
    ]
    return CaseSums(
        opened=len(opened),
        closed=len(closed),
        took=spread(took),
        open_now=len(open_now),
        oldest_open=min(open_now.values(), default=None),
        opened_by_reason=_counted(case.reason for case in opened),
        closed_by_how=_counted(case.how for case in closed),
    )


def finding_sums(findings: Iterable[FindingSeen], period: Period) -> tuple[FindingRow, ...]:
    """Return the ledger's findings by kind: opened and closed in the period, and open now."""
    opened: Counter[str] = Counter()
    closed: Counter[str] = Counter()
    still_open: Counter[str] = Counter()
    for one in findings:
        opened[one.kind] += one.opened_at in period
        closed[one.kind] += one.closed_at is not None and one.closed_at in period
        still_open[one.kind] += one.closed_at is None
    rows = (FindingRow(kind, opened[kind], closed[kind], still_open[kind]) for kind in sorted(opened))
    return tuple(row for row in rows if row.opened or row.closed or row.open_now)


def spread(seconds: Sequence[float]) -> Spread | None:
    """Return what a sample of durations comes to; None without any."""
    if not seconds:
        return None
    ordered = sorted(seconds)
    return Spread(len(ordered), ranked(ordered, 50), ranked(ordered, 95), ordered[-1])


def ranked(ordered: Sequence[float], percent: int) -> float:
    """Return the value that so many percent of a sorted sample do not exceed: the nearest rank, a value of the sample.

    The same as percentile_disc of PostgreSQL. There must be a value at least.
    """
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _counted(words: Iterable[str]) -> dict[str, int]:
    counts = Counter(words)
    return dict(sorted(counts.items(), key=lambda entry: (-entry[1], entry[0])))
