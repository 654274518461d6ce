"""`paypoll run-once`."""

import os
import sys
from typing import TYPE_CHECKING

import click

from paypoll.cli.opening import opened_app
from paypoll.cli.options import dry_run_option, json_option, pasted_order, verbose_option
from paypoll.cli.render.screen import show

if TYPE_CHECKING:
    from paypoll.app import App
    from paypoll.runs.report import RunReport


@click.command("run-once")
@verbose_option
@dry_run_option
@click.option(
    "--order", "orders", multiple=True, metavar="ORDER", help="Only this order, due or not. May be given again."
)
@click.option(
    "--accept-reviews",
    is_flag=True,
    help="Bring to review what SumUp denies, however many orders that are. Else many at once are held back.",
)
@json_option
@click.pass_context
def run_once_command(
    context: click.Context,
    *,
    verbose: bool,
    dry_run: bool,
    orders: tuple[str, ...],
    accept_reviews: bool,
    as_json: bool,
) -> int:
    """Verify the waiting orders once, issue tickets, send mail.

    \b
    Examples:
      paypoll run-once --verbose
      paypoll run-once --dry-run --order ORD-1001
    """
    from paypoll.cli.render.progress import progress_shown
    from paypoll.runs.record import exit_code, record_run
    from paypoll.state.runs import SOME, SWEEP

    with opened_app(context, verbose=verbose, read_only=dry_run) as app:
        if dry_run:
            return _dry_run(app, orders, as_json=as_json)
        only = find_orders(app, orders)
        command = SOME if only else SWEEP
        report = record_run(app, command, only=only, accept_reviews=accept_reviews, beside=progress_shown)
        show_report(report, as_json=as_json, verbose=verbose)
        return app.stop.exit_code or exit_code(report)


def find_orders(app: "App", orders: tuple[str, ...]) -> list[int]:
    """Return the ids of these orders. Raise OrderNotFoundError."""
    from paypoll.database import transaction
    from paypoll.shop.find import find_order_id
    from paypoll.state.upgrade import require_ready

    if not orders:
        return []
    require_ready(app.engine)
    with transaction(app.engine) as connection:
        return [find_order_id(connection, pasted_order(order)) for order in orders]


def show_report(report: "RunReport", *, as_json: bool, verbose: bool) -> None:
    """Print what a run came to: as JSON, as a table of its orders, or as one line; nothing under systemd."""
    from paypoll.cli.render.run import report_json, report_lines

    if as_json:
        show(report_json(report))
    elif verbose or sys.stdout.isatty() or "INVOCATION_ID" not in os.environ:
        show(report_lines(report, verbose=verbose or sys.stdout.isatty()))


def _dry_run(app: "App", orders: tuple[str, ...], *, as_json: bool) -> int:
    from paypoll.cli.render.run import report_json, report_lines

    report = app.dry_run().run(find_orders(app, orders))
    show(report_json(report) if as_json else report_lines(report, verbose=True))
    return 0
