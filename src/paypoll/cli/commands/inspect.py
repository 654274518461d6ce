"""`paypoll inspect`."""

import click

from paypoll.cli.opening import opened_app
from paypoll.cli.options import json_option, pasted_order, verbose_option
from paypoll.cli.render.screen import show


@click.command("inspect")
@click.argument("order")
@click.option("--live", is_flag=True, help="Ask SumUp now, changing nothing.")
@json_option
@verbose_option
@click.pass_context
def inspect_command(context: click.Context, *, order: str, live: bool, as_json: bool, verbose: bool) -> None:
    """Show everything about one order on one screen. ORDER is its number (any case) or its id.

    \b
    Examples:
      paypoll inspect ORD-1001
      paypoll inspect ORD-1001 --live
    """
    from paypoll.admin.inspect import inspect_order
    from paypoll.cli.render.order import order_json, order_lines

    with opened_app(context, verbose=verbose, read_only=True) as app:
        inspection = inspect_order(
            app.engine, pasted_order(order), app.clock.now(), live=app.dry_run() if live else None
        )
        site = app.settings.site
    show(order_json(inspection, site).splitlines() if as_json else order_lines(inspection, site))
