"""`paypoll reconcile`."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

import click

from paypoll.characters import is_token
from paypoll.cli.moments import MomentType, asked_days, asked_span
from paypoll.cli.opening import opened_app
from paypoll.cli.options import json_option, verbose_option
from paypoll.cli.render.marks import width
from paypoll.cli.render.screen import show, show_csv
from paypoll.cli.render.words import wrapped
from paypoll.errors import SettingsError
from paypoll.exitcodes import ExitCode

if TYPE_CHECKING:
    from paypoll.app import App
    from paypoll.clock import Days


_PROGRESS = "Reading SumUp's ledger"
_WIDEST_BAR = 36


def _codes(_context: click.Context, _parameter: click.Parameter, codes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the codes of merchants. What can be none is a slip, and never asked for."""
    for code in codes:
        if not is_token(code):
            raise click.BadParameter(f"{code!r} is no merchant's code, such as MC0X0ABC")
    return codes


@click.command("reconcile")
@click.option(
    "--since", type=MomentType(), default="7d", show_default=True, help="Its beginning: so long ago, or a day."
)
@click.option("--until", type=MomentType(), help="So long ago, or a day, which is included. Else now.")
@click.option(
    "--merchant",
    "merchants",
    multiple=True,
    metavar="CODE",
    callback=_codes,
    help="Only this one's. May be given again.",
)
@click.option("--payouts", is_flag=True, help="SumUp's payouts instead: fees, deductions, sums by organiser and event.")
@click.option("--record", is_flag=True, help="Write down what does not fit, and tell admins in one summary.")
@click.option("--csv", "as_csv", is_flag=True, help="Print lines for a bookkeeper or a spreadsheet.")
@json_option
@verbose_option
@click.pass_context
def reconcile_command(
    context: click.Context,
    *,
    since: timedelta | date,
    until: timedelta | date | None,
    merchants: tuple[str, ...],
    payouts: bool,
    record: bool,
    as_csv: bool,
    as_json: bool,
    verbose: bool,
) -> int:
    """Hold SumUp's own list of online payments against the orders, both ways, and show what does not fit.

    Changes nothing, unless --record says so. `paypoll run-once` does the same by itself every `ledger.every`; this is
    for a period of your choice. The credential needs the scope transactions.history, for --payouts payouts.read. The
    exit status is 1 if something does not fit, or if of several merchants some may not be read; 78 if none may.

    \b
    Examples:
      paypoll reconcile --since 30d
      paypoll reconcile --payouts --since 2026-10-01 --until 2026-10-31 --csv
    """
    if as_csv and as_json:
        raise click.UsageError("--csv or --json, not both")
    if payouts and record:
        raise click.UsageError("--record is not for --payouts: they are only shown")
    with opened_app(context, verbose=verbose, quiet=True, read_only=not record) as app:
        asked = since, until, app.settings.site.zone, app.clock.now()
        if payouts:
            days = asked_days(*asked)
            return _payouts(app, _merchants(app, merchants), days, as_csv=as_csv, as_json=as_json)
        begin, finish = asked_span(*asked)
        codes = _merchants(app, merchants)
        return _reconcile(app, codes, begin, finish, record=record, as_csv=as_csv, as_json=as_json)


def _merchants(app: "App", named: tuple[str, ...]) -> list[str]:
    """Return the merchants that are named, or else all that are known."""
    if named:
        return list(dict.fromkeys(named))
    from paypoll.database import transaction
    from paypoll.runs.ledgers_due import merchants
    from paypoll.state.upgrade import require_ready

    require_ready(app.engine)
    with transaction(app.engine) as connection:
        found = merchants(connection, app.settings)
    if not found:
        raise click.UsageError("no merchant is known: set sumup.merchant_code, or name one with --merchant")
    return found


def _reconcile(
    app: "App", codes: list[str], since: datetime, until: datetime, *, record: bool, as_csv: bool, as_json: bool
) -> int:
    from paypoll.admin.reconcile import Books, reconcile, write_down
    from paypoll.cli.render.ledger import reconciled_csv, reconciled_json, reconciled_lines
    from paypoll.settings.policy import ledger_rules

    books = Books(app.engine, app.books, app.gateway, app.policy, ledger_rules(app.settings.ledger), app.stop)
    with _progress(since, until, len(codes)) as on_page:
        result = reconcile(books, codes, since, until, app.clock.now(), on_page=on_page)
    written = write_down(app.engine, app.desk, result, app.clock.now()) if record else None
    zone = app.settings.site.zone
    if as_csv:
        show_csv(reconciled_csv(result, zone))
    else:
        show(reconciled_json(result, written) if as_json else reconciled_lines(result, written, zone))
    return _ended(result.refused, codes, differs=bool(result.found), as_csv=as_csv)


def _payouts(app: "App", codes: list[str], days: "Days", *, as_csv: bool, as_json: bool) -> int:
    from paypoll.admin.payouts import hold_payouts
    from paypoll.cli.render.payouts import misfit_lines, paid_out_csv, paid_out_json, paid_out_parts

    result = hold_payouts(app.engine, app.books, app.gateway, codes, days)
    misfits = misfit_lines(result)
    if as_csv:
        show_csv(paid_out_csv(result))
        if misfits:  # for which its lines have no place
            show(misfits, err=True)
    else:
        show(paid_out_json(result) if as_json else [*paid_out_parts(result), *misfits])
    return _ended(result.refused, codes, differs=bool(misfits), as_csv=as_csv)


def _ended(refused: dict[str, str], codes: list[str], *, differs: bool, as_csv: bool) -> int:
    """Return how it ended: 0 only where all was read and fits.

    Raise SettingsError when nothing could be read at all: an empty list would look like a clean one.
    """
    if len(refused) == len(codes):
        why = f"no credential may read what was asked for: {next(iter(refused.values()))}"
        raise SettingsError([why], source="SumUp's ledger")
    if as_csv:  # whose lines have no place for it
        for merchant, why in refused.items():
            show(wrapped(f"What SumUp has of {merchant} may not be read, and is not in here: {why}", 0), err=True)
    return ExitCode.INCOMPLETE if differs or refused else ExitCode.OK


@contextmanager
def _progress(since: datetime, until: datetime, merchants: int) -> "Iterator[Callable[[datetime], None]]":
    """Show how far the list was read, by its dates, on stderr; nothing where that is no terminal."""
    seconds = max(int((until - since).total_seconds()), 1)
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    # Beside the bar stand the label, how much of it there is, and how long it takes still, of days at the most.
    room = width(sys.stderr) - len(_PROGRESS) - len("  []  100%  1d 00:00:00") - 1
    with click.progressbar(
        length=seconds * merchants, label=_PROGRESS, file=sys.stderr, width=min(room, _WIDEST_BAR)
    ) as bar:
        reached = [0, 0]  # seconds within this merchant's list, and those of the merchants before

        def on_page(moment: datetime) -> None:
            place = min(int((moment - since).total_seconds()), seconds)
            if place < reached[0]:
                reached[1] += seconds
            bar.update(max(reached[1] + place - bar.pos, 0))
            reached[0] = place

        yield on_page
