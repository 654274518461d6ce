"""The report on a terminal: a page of 60 to 100 columns, with sparklines."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from textwrap import wrap

from paypoll.cli.render.marks import styled, width
from paypoll.cli.render.table import Column, Table
from paypoll.cli.render.words import numbered
from paypoll.report import words
from paypoll.report.result import BadHour, MoneySums, Report, ServiceSums

_MOST_ROWS = 30
_MOST_HOURS = 8
_BLOCKS = "▁▂▃▄▅▆▇█"
_PLAIN_BLOCKS = ".:-=+*%@"  # where the terminal has no other characters


def report_parts(
    report: Report, site_name: str, *, columns: int | None = None, blocks: str | None = None
) -> list[str | Table]:
    """Return the report in lines of at most so many columns, the terminal's if nothing is said, and tables."""
    page = _Page(report, columns or width(), blocks or _blocks())
    return [styled(site_name, bold=True), f"{words.stretch(report.period)} ({report.period.zone})", *page.parts()]


def _blocks() -> str:
    try:
        _BLOCKS.encode(sys.stdout.encoding or "ascii")
    except (UnicodeEncodeError, LookupError):
        return _PLAIN_BLOCKS
    return _BLOCKS


class _Page:
    def __init__(self, report: Report, width: int, blocks: str) -> None:
        self._report = report
        self._width = width
        self._blocks = blocks

    def parts(self) -> Iterator[str | Table]:
        yield from self._orders()
        for sums in self._report.money:
            yield from self._money(sums)
        if not self._report.money:
            yield from self._headed("Money", "no payment bought tickets")
        yield from self._waits()
        yield from self._outcomes()
        yield from self._cases()
        yield from self._services()
        yield from self._runs()

    def _headed(self, title: str, *says: str) -> Iterator[str]:
        yield ""
        first, *others = self._folded(says)
        yield f"{styled(f'{title:<10}', bold=True)} {first}"
        yield from (f"{'':<11}{line}" for line in others)

    def _folded(self, says: Sequence[str]) -> list[str]:
        """Return what is said in lines that fit, broken between its parts; within one only where it is too long."""
        lines = [""]
        for part in says:
            longer = f"{lines[-1]}, {part}" if lines[-1] else part
            if lines[-1] and len(longer) > self._width - 11:
                lines[-1] += ","
                lines.append(part)
            else:
                lines[-1] = longer
        return [fits for line in lines for fits in wrap(line, self._width - 11, break_on_hyphens=False)]

    def _orders(self) -> Iterator[str]:
        orders = self._report.orders
        statuses = [f"{number} {words.plain(status)}" for status, number in orders.by_status.items()]
        yield from self._headed("Orders", f"{orders.placed} placed", *statuses)
        if orders.placed:
            yield self._sparkline("placed", orders.placed_by_column, str(max(orders.placed_by_column)))
            yield self._sparkline("completed", orders.completed_by_column, str(max(orders.completed_by_column)))

    def _money(self, sums: MoneySums) -> Iterator[str | Table]:
        yield from self._headed(
            "Money",
            f"{words.amount(sums.taken, sums.currency)} in",
            f"{words.amount(sums.returned, sums.currency)} back",
            f"{words.amount(sums.kept, sums.currency)} kept",
        )
        for name, values in (("in", sums.taken_by_column), ("back", sums.returned_by_column)):
            if any(values):
                yield self._sparkline(name, values, words.grouped(max(values), sums.currency))
        for said in filter(None, (words.here_again(sums), words.on_word(sums))):
            yield from (f"{'':<11}{line}" for line in self._folded([said]))
        yield from self._money_rows(sums)

    def _money_rows(self, sums: MoneySums) -> Iterator[str | Table]:
        names = words.told_apart(sums.rows)
        has_marks = any(mark for _, mark in names[:_MOST_ROWS])
        rows = [
            (
                f"{organiser}: {row.event}" if organiser else row.event,
                *((mark,) if has_marks else ()),
                str(row.orders),
                str(row.places),
                words.grouped(row.taken, sums.currency),
                words.grouped(row.returned, sums.currency) if row.returned else "-",
            )
            for row, (organiser, mark) in zip(sums.rows[:_MOST_ROWS], names, strict=False)
        ]
        numbers = (Column(title, right=True) for title in ("orders", "places", "in", "back"))
        if not rows:
            return
        yield ""
        texts = (Column("organiser: event", cut=True), *((Column("when"),) if has_marks else ()))
        yield Table((*texts, *numbers), rows, indent=2)
        if len(sums.rows) > _MOST_ROWS:
            yield f"  and {len(sums.rows) - _MOST_ROWS} more (--csv and --json list all)"

    def _waits(self) -> Iterator[str]:
        waits = self._report.waits
        beside = [
            f"{number} by {whom}"
            for number, whom in ((waits.by_person, "a person"), (waits.by_shop, "the shop"))
            if number
        ]
        if waits.spread is None:
            yield from self._headed("To ticket", "no run issued tickets", *beside)
            return
        spread = waits.spread
        yield from self._headed(
            "To ticket",
            f"from paid to ticket {words.duration(spread.median)} (median)",
            f"95 % within {words.duration(spread.most)}",
            f"longest {words.duration(spread.longest)}",
            *beside,
        )
        limits = [limit for limit, _ in waits.within]
        names = [words.within(limit, before) for limit, before in zip(limits, [0.0, *limits], strict=False)]
        room = self._width - 11 - 18 - 8
        most = max(number for _, number in waits.within)
        for name, (_, number) in zip(names, waits.within, strict=True):
            if number:
                bar = self._blocks[-1] * max(1, round(number * room / most))
                yield f"{'':<11}{name:<18}{bar} {number}"

    def _outcomes(self) -> Iterator[str]:
        rows = [
            f"{row.orders} {words.outcome(row.outcome)}" + (f" ({words.plain(row.reason)})" if row.reason else "")
            for row in self._report.outcomes
        ]
        yield from self._headed("Outcomes", *(rows or ["nothing was decided"]))

    def _cases(self) -> Iterator[str]:
        cases = self._report.cases
        open_now = f"{cases.open_now} open"
        if cases.oldest_open is not None:
            open_now += f" (the oldest since {words.when(cases.oldest_open, self._report.period)})"
        says = [open_now, f"{cases.opened} opened", f"{cases.closed} closed"]
        if cases.took is not None:
            says += [
                f"after {words.duration(cases.took.median)} (median)",
                f"95 % within {words.duration(cases.took.most)}",
            ]
        says += [f"{number} opened for {words.plain(reason)}" for reason, number in cases.opened_by_reason.items()]
        says += [f"{number} {words.ending(how)}" for how, number in cases.closed_by_how.items()]
        yield from self._headed("Cases", *says)
        rows = [f"{row.opened} {words.plain(row.kind)} ({row.open_now} open)" for row in self._report.findings]
        if rows:
            yield from self._headed("Findings", *rows)

    def _services(self) -> Iterator[str]:
        for title, sums, what in (
            ("SumUp", self._report.sumup, "looks had no answer, or a refusal"),
            ("Mail", self._report.mail, "tries in vain"),
        ):
            yield from self._service(title, sums, what)
        for one in self._report.troubles:
            since = words.when(one.since, self._report.period)
            yield styled(f"{'':<11}{words.trouble(one.kind)}, since {since}", fg="red")

    def _service(self, title: str, sums: ServiceSums, what: str) -> Iterator[str]:
        if not sums.failed:
            yield from self._headed(title, f"no bad hour; {sums.asked} {'looks' if title == 'SumUp' else 'mails'}")
            return
        number = len(sums.bad_hours)
        yield from self._headed(
            title, f"{number} bad hour{'s' if number != 1 else ''}", f"{sums.failed} of {sums.asked} {what}"
        )
        yield self._sparkline("failed", sums.failed_by_column, str(max(sums.failed_by_column)))
        worst = sorted(sums.bad_hours, key=lambda hour: (-hour.failed, hour.at))[:_MOST_HOURS]
        yield from (f"{'':<11}{line}" for line in self._folded([self._hour(one) for one in worst]))
        if number > _MOST_HOURS:
            yield f"{'':<11}and {number - _MOST_HOURS} more (--csv and --json list all)"

    def _hour(self, hour: BadHour) -> str:
        local = hour.at.astimezone(self._report.period.zone)
        return f"{local.day} {local:%b %H:%M} ({hour.failed} of {hour.of})"

    def _runs(self) -> Iterator[str]:
        runs = self._report.runs
        says = [numbered(runs.number, "run"), f"{runs.failed} failed", f"{runs.killed} killed"]
        if runs.pause_since is not None:
            since = words.when(runs.pause_since, self._report.period)
            says.append(f"longest time without one {words.duration(runs.longest_pause)} (from {since})")
        says += [f"{numbered(self._report.undeliverable, 'mail')} given up"] if self._report.undeliverable else []
        yield from self._headed("Runs", *says)

    def _sparkline(self, name: str, values: Sequence[Decimal] | Sequence[int], most: str) -> str:
        grain = self._report.period.grain.value
        grain = f"an {grain}" if grain == "hour" else f"a {grain}"
        room = self._width - 11 - 10 - len(f"  {most} at most {grain}")
        line = "".join(sparks(summed(values, max(8, room)), self._blocks))
        wide = len(line) == len(values)
        return f"{'':<11}{name:<10}{line}  " + (f"{most} at most {grain}" if wide else f"most {grain}: {most}")


def summed(values: Sequence[Decimal] | Sequence[int], room: int) -> list[Decimal]:
    """Return the values in no more than `room` sums of as many neighbours each."""
    size = -(-len(values) // room)
    return [sum(map(Decimal, values[start : start + size]), Decimal(0)) for start in range(0, len(values), size)]


def sparks(values: Iterable[Decimal], blocks: str) -> Iterator[str]:
    """Yield a block for each value, by its share of the largest; a blank for none, and never a blank for some.

    What is less than nothing is a minus.
    """
    known = list(values)
    most = max(known, default=Decimal(0))
    for value in known:
        block = blocks[min(len(blocks) - 1, int(value * len(blocks) / most))] if value > 0 else ""
        yield block or ("-" if value else " ")
