"""`paypoll inspect`."""

from typing import TYPE_CHECKING

import click

from paypoll.cli.opening import opened_app
from paypoll.cli.options import json_option, pasted_order, verbose_option
from paypoll.cli.render.screen import show, show_paged
from paypoll.errors import OrderNotFoundError
from paypoll.exitcodes import ExitCode

if TYPE_CHECKING:
    from paypoll.app import App


@click.command("inspect")
@click.argument("order")
@click.option("--live", is_flag=True, help="Ask SumUp now, changing nothing.")
@json_option
@verbose_option
@click.pass_context
def inspect_command(context: click.Context, *, order: str, live: bool, as_json: bool, verbose: bool) -> int:
    """Show everything about one order on one screen. ORDER is its number (any case) or its id.

    Or about a listing fee, by its reference. What is neither is looked for: a customer's e-mail or name or a part of
    it, a checkout, a transaction, a ticket's number. One order is shown, several are listed (exit status 66).

    \b
    Examples:
      paypoll inspect ORD-1001
      paypoll inspect ORD-1001 --live
      paypoll inspect LF-1A2B3C4D
      paypoll inspect ada@example.org
    """
    from paypoll.admin.inspect import inspect_order, refuse_if_gone
    from paypoll.admin.search import search
    from paypoll.cli.render.found import found_json, found_lines
    from paypoll.cli.render.order import order_json, order_lines

    wanted = pasted_order(order)
    with opened_app(context, verbose=verbose, read_only=True) as app:
        site, now = app.settings.site, app.clock.now()
        dry_run = app.dry_run() if live else None
        try:
            inspection = inspect_order(app.engine, wanted, now, live=dry_run)
        except OrderNotFoundError:
            if _show_fee(app, wanted, live=live, as_json=as_json):
                return 0
            found = search(app.engine, wanted)
            if not found:
                refuse_if_gone(app.engine, wanted)
                raise
            if len(found) > 1:
                show(found_json(found)) if as_json else show_paged(found_lines(found, site, now))
                return ExitCode.NOT_FOUND
            inspection = inspect_order(app.engine, f"id:{found[0].order_id}", now, live=dry_run)
    if as_json:
        show(order_json(inspection, site))
    else:
        show_paged(order_lines(inspection, site))
    return 0


def _show_fee(app: "App", wanted: str, *, live: bool, as_json: bool) -> bool:
    """Show the listing fee that is called so. False when there is none."""
    from paypoll.admin.inspect_fee import inspect_fee
    from paypoll.cli.render.fee import fee_json, fee_lines

    inspection = inspect_fee(app.fee_looker(app.policy), wanted, app.clock.now(), live=live)
    if inspection is None:
        return False
    show(fee_json(inspection)) if as_json else show_paged(fee_lines(inspection, app.settings.site))
    return True
