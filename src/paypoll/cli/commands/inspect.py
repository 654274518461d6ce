"""`paypoll inspect`."""

from typing import TYPE_CHECKING

import click

from paypoll.cli.opening import opened_app
from paypoll.cli.options import json_option, pasted_order, verbose_option
from paypoll.cli.render.screen import show
from paypoll.errors import OrderNotFoundError

if TYPE_CHECKING:
    from paypoll.app import App


@click.command("inspect")
@click.argument("order")
@click.option("--live", is_flag=True, help="Ask SumUp now, changing nothing.")
@json_option
@verbose_option
@click.pass_context
def inspect_command(context: click.Context, *, order: str, live: bool, as_json: bool, verbose: bool) -> None:
    """Show everything about one order on one screen. ORDER is its number (any case) or its id.

    Or about a listing fee, by its reference.

    \b
    Examples:
      paypoll inspect ORD-1001
      paypoll inspect ORD-1001 --live
      paypoll inspect LF-1A2B3C4D
    """
    from paypoll.admin.inspect import inspect_order
    from paypoll.cli.render.order import order_json, order_lines

    with opened_app(context, verbose=verbose, read_only=True) as app:
        site, wanted = app.settings.site, pasted_order(order)
        try:
            inspection = inspect_order(app.engine, wanted, app.clock.now(), live=app.dry_run() if live else None)
        except OrderNotFoundError:
            if _show_fee(app, wanted, live=live, as_json=as_json):
                return
            raise
    show(order_json(inspection, site).splitlines() if as_json else order_lines(inspection, site))


def _show_fee(app: "App", wanted: str, *, live: bool, as_json: bool) -> bool:
    """Show the listing fee that is called so. False when there is none."""
    from paypoll.admin.inspect_fee import inspect_fee
    from paypoll.cli.render.fee import fee_json, fee_lines

    inspection = inspect_fee(app.fee_looker(app.policy), wanted, app.clock.now(), live=live)
    if inspection is None:
        return False
    show(fee_json(inspection).splitlines() if as_json else fee_lines(inspection, app.settings.site))
    return True
