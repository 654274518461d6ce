"""The report as a page: one HTML file with everything in it, for a browser of any width, light or dark.

Whatever came from the database is escaped. The page's own policy forbids scripts and every request.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

import paypoll
from paypoll.characters import harmless
from paypoll.report import words
from paypoll.report.plots import Series, columns
from paypoll.report.result import MoneySums, Report

_FOLDER = Path(__file__).parent / "templates"
_MOST_ROWS = 60
"""So many events, and bad hours, are listed, so that the page stays small; the CSV files and --json have all."""

_MOST_PLOTTED = 3


@dataclass(frozen=True, slots=True)
class Figure:
    """A plot with what stands above it. `legend`: the colours' names, in the order of the series."""

    title: str
    legend: tuple[str, ...]
    svg: Markup
    note: str = ""


@dataclass(frozen=True, slots=True)
class Shortened:
    """A list that is shown in part."""

    shown: Sequence[Any]
    more: int


def render_page(report: Report, *, site_name: str, language: str) -> str:
    """Return the page."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        # What turns the direction of the text after it, or hides, is shown as what it is, as on a terminal.
        finalize=lambda value: harmless(value) if type(value) is str else value,
    )
    environment.filters |= {
        "duration": words.duration,
        "outcome": words.outcome,
        "ending": words.ending,
        "trouble": words.trouble,
        "plain": words.plain,
        "when": lambda moment: words.when(moment, report.period),
    }
    template = environment.get_template("report.html")
    return template.render(
        report=report,
        site_name=site_name,
        language=language,
        version=paypoll.__version__,
        stretch=words.stretch(report.period),
        grain=report.period.grain.value,
        amount=words.amount,
        here_again=words.here_again,
        on_word=words.on_word,
        grouped=words.grouped,
        percent=words.percent,
        figures=_figures(report),
        money=[
            (sums, _shortened(list(zip(sums.rows, words.told_apart(sums.rows), strict=True)))) for sums in report.money
        ],
        hours={"SumUp": _shortened(report.sumup.bad_hours[::-1]), "mail": _shortened(report.mail.bad_hours[::-1])},
        is_quiet=not (report.sumup.failed or report.mail.failed),
    )


def _shortened(rows: Sequence[Any]) -> Shortened:
    return Shortened(rows[:_MOST_ROWS], max(0, len(rows) - _MOST_ROWS))


def _figures(report: Report) -> list[Figure]:
    figures = [_money_figure(report, sums) for sums in report.money[:_MOST_PLOTTED]]
    figures.append(_orders_figure(report))
    if report.waits.spread is not None:
        figures.append(_waits_figure(report))
    if report.sumup.failed or report.mail.failed:
        figures.append(_services_figure(report))
    return figures


def _names(report: Report) -> list[str]:
    return [report.period.name_of(column) for column in report.period.columns]


def _money_figure(report: Report, sums: MoneySums) -> Figure:
    names = _names(report)

    def series(name: str, values: Sequence[Decimal]) -> Series:
        said = [f"{at}: {words.amount(value, sums.currency)} {name}" for at, value in zip(names, values, strict=True)]
        # Only where a column ends on the screen; what is said of it is exact.
        return Series(name, [float(value) for value in values], said)

    shown = [series("in", sums.taken_by_column)]
    if any(sums.returned_by_column):
        shown.append(series("back", sums.returned_by_column))
    title = f"Money in {sums.currency}, by {report.period.grain}"
    return _figure(title, names, shown)


def _orders_figure(report: Report) -> Figure:
    names, placed, done = _names(report), report.orders.placed_by_column, report.orders.completed_by_column
    others = [one - other for one, other in zip(placed, done, strict=True)]
    shown = [_counted("completed", names, done), _counted("others", names, others)]
    title = f"Orders, by the {report.period.grain} they were placed in"
    return _figure(title, names, shown, stacked=True)


def _waits_figure(report: Report) -> Figure:
    limits = [limit for limit, _ in report.waits.within]
    names = [words.within(limit, before) for limit, before in zip(limits, [0.0, *limits], strict=False)]
    brief = [f"≤ {words.duration(limit)}" for limit in limits[:-1]] + [f"> {words.duration(limits[-2])}"]
    numbers = [number for _, number in report.waits.within]
    said = [f"{name}: {number} orders" for name, number in zip(names, numbers, strict=True)]
    return _figure("From paid to ticket: orders by the time it took", brief, [Series("orders", numbers, said)])


def _services_figure(report: Report) -> Figure:
    names = _names(report)
    shown = [
        _counted(name, names, sums.failed_by_column)
        for name, sums in (("SumUp: looks without an answer", report.sumup), ("mail: tries in vain", report.mail))
    ]
    return _figure(f"Failures of SumUp and of the mail server, by {report.period.grain}", names, shown)


def _counted(name: str, names: Sequence[str], numbers: Sequence[int]) -> Series:
    return Series(name, numbers, [f"{at}: {number} {name}" for at, number in zip(names, numbers, strict=True)])


def _figure(title: str, names: Sequence[str], shown: Sequence[Series], *, stacked: bool = False) -> Figure:
    # pygal escapes what it is given: numbers, dates and our own words.
    svg = Markup(columns(title, names, shown, stacked=stacked))  # noqa: S704
    return Figure(title, tuple(one.name for one in shown) if len(shown) > 1 else (), svg)
