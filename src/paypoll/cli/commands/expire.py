"""`paypoll expire`."""

from datetime import timedelta
from typing import TYPE_CHECKING

import click

from paypoll.cli.asking import ask, yes_option
from paypoll.cli.commands.run_once import find_orders, show_report
from paypoll.cli.opening import opened_app
from paypoll.cli.options import DurationType, dry_run_option, json_option, verbose_option
from paypoll.cli.render.screen import show

if TYPE_CHECKING:
    from paypoll.app import App
    from paypoll.runs.report import RunReport


@click.command("expire")
@click.argument("orders", nargs=-1, metavar="[ORDER]...")
@click.option("--older-than", type=DurationType(), help="All waiting orders of at least this age, such as 2h or 1d.")
@dry_run_option
@yes_option
@verbose_option
@json_option
@click.pass_context
def expire_command(
    context: click.Context,
    *,
    orders: tuple[str, ...],
    older_than: timedelta | None,
    dry_run: bool,
    yes: bool,
    verbose: bool,
    as_json: bool,
) -> int:
    """Expire waiting orders by hand.

    SumUp is asked first, always: an order that proves paid is fulfilled instead, and one that SumUp gives no answer
    about, or that a run or the shop holds, stays as it is (exit status 75: try again later). Checkouts are closed at
    SumUp before their order expires.

    \b
    Examples:
      paypoll expire --older-than 1d --dry-run
      paypoll expire ORD-1001
    """
    from paypoll.cli.render.progress import progress_shown
    from paypoll.runs.record import exit_code, record_run

    if bool(orders) == (older_than is not None):
        raise click.UsageError("give either order numbers or --older-than")
    with opened_app(context, verbose=verbose, read_only=dry_run) as app:
        chosen = find_orders(app, orders) if orders else _older_than(app, older_than or timedelta(0))
        _require_waiting(app, chosen)
        if not chosen:
            show(["No order is waiting that long."], err=as_json)
            return 0
        if dry_run:
            return _show_candidates(app, chosen, as_json=as_json)
        ask(f"Ask SumUp about {len(chosen)} waiting order(s), and expire what is unpaid?", yes=yes)
        report = record_run(app, "expire", only=chosen, max_age=timedelta(0), beside=progress_shown)
        show_report(report, as_json=as_json, verbose=True)
        return app.stop.exit_code or exit_code(report) or _undecided(report, chosen)


def _older_than(app: "App", age: timedelta) -> list[int]:
    from paypoll.database import transaction
    from paypoll.shop.find import find_waiting
    from paypoll.state.upgrade import require_ready

    require_ready(app.engine)
    with transaction(app.engine) as connection:
        return find_waiting(connection, app.clock.now() - age)


def _require_waiting(app: "App", chosen: list[int]) -> None:
    """Raise RefusedError when one of the orders is not waiting for verification."""
    from paypoll.database import transaction
    from paypoll.errors import RefusedError
    from paypoll.payments.order_statuses import OrderStatus
    from paypoll.shop.find import find_statuses

    with transaction(app.engine) as connection:
        for number, status in find_statuses(connection, chosen).items():
            if status != OrderStatus.PENDING_VERIFICATION:
                raise RefusedError(f"order {number} is {status}: only orders in pending_verification can be expired")


def _undecided(report: "RunReport", chosen: list[int]) -> int:
    """Return 75 when one of these orders stays as it is because SumUp did not say what was needed, else 0.

    Or because nobody came to it: another run, or the shop, held it, or the time was up.
    """
    from paypoll.exitcodes import ExitCode
    from paypoll.payments.decision import UNSETTLED, Reason

    unsaid = UNSETTLED - {Reason.RETRYING} | {Reason.NOT_CLOSED}
    decided = {one.order_id for one in report.applied if one.reason not in unsaid}
    return ExitCode.OK if decided.issuperset(chosen) else ExitCode.TRY_LATER


def _show_candidates(app: "App", chosen: list[int], *, as_json: bool) -> int:
    from paypoll.cli.render.run import report_json, report_lines

    report = app.dry_run(max_age=timedelta(0)).run(chosen)
    show(report_json(report) if as_json else report_lines(report, verbose=True))
    return _undecided(report, chosen)
