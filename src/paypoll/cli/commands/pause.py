"""`paypoll pause` and `paypoll resume`."""

import os
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from paypoll.cli.opening import opened_app
from paypoll.cli.options import SCHEMA, json_option, pasted_order
from paypoll.cli.person import person, required_line
from paypoll.cli.render.screen import json_text, show
from paypoll.cli.render.words import wrapped

if TYPE_CHECKING:
    from paypoll.admin.pause import Target
    from paypoll.state.pauses import Pause

_order = click.argument("order", required=False)
_event = click.option("--event", type=click.IntRange(min=1), metavar="ID", help="All orders of the event with this id.")
_all = click.option("--all", "everything", is_flag=True, help="All orders.")
_by = click.option("--by", metavar="NAME", help="Who decides. Else whoever called sudo, or is logged in.")


@click.command("pause")
@_order
@_event
@_all
@click.option("--reason", callback=required_line, help="Why, for `check`, each run and the audit trail.")
@_by
@json_option
@click.pass_context
def pause_command(
    context: click.Context,
    *,
    order: str | None,
    event: int | None,
    everything: bool,
    reason: str | None,
    by: str | None,
    as_json: bool,
) -> None:
    """Have runs leave an order alone, the orders of an event, or all, until `paypoll resume`.

    Nothing is asked about them, decided, expired or issued; mail that is posted already still leaves. What a person
    names is done all the same: `resolve`, `resend`, `run-once --order`. An order that a run has taken is finished.
    Alone, it says what is paused.

    \b
    Examples:
      paypoll pause
      paypoll pause ORD-1001 --reason "the bank is asking"
      paypoll pause --event 12 --reason "moved to May"
      paypoll pause --all --reason "the shop is being restored"
    """
    from paypoll.admin.pause import list_pauses, pause

    if order is None and event is None and not everything and reason is None:
        with opened_app(context, quiet=True, read_only=True) as app:
            _show(list_pauses(app.engine), as_json=as_json)
        return
    target = _target(order, event, everything=everything)
    if reason is None:
        raise click.UsageError("say why: --reason")
    with opened_app(context, quiet=True) as app:
        paused = pause(app.engine, target, who=person(by, os.environ), reason=reason, clock=app.clock)
    _show(paused, as_json=as_json)


@click.command("resume")
@_order
@_event
@_all
@_by
@json_option
@click.pass_context
def resume_command(
    context: click.Context, *, order: str | None, event: int | None, everything: bool, by: str | None, as_json: bool
) -> None:
    """End a pause: runs look again at what is due. Name what was paused as `paypoll pause` did.

    \b
    Examples:
      paypoll resume ORD-1001
      paypoll resume --all
    """
    from paypoll.admin.pause import resume

    target = _target(order, event, everything=everything)
    with opened_app(context, quiet=True) as app:
        paused = resume(app.engine, target, who=person(by, os.environ), clock=app.clock)
    _show(paused, as_json=as_json)


def _target(order: str | None, event: int | None, *, everything: bool) -> "Target":
    from paypoll.admin.pause import Target

    if (order is not None) + (event is not None) + everything != 1:
        raise click.UsageError("name an order, or say --event or --all")
    return Target(pasted_order(order or ""), event)


def _show(paused: "tuple[Pause, ...]", *, as_json: bool) -> None:
    if as_json:
        show(json_text({"schema": SCHEMA, "paused": [asdict(one) for one in paused]}))
        return
    lines = [line for one in paused for line in wrapped(f"{one.words}, by {one.by_whom}: {one.reason}")]
    show(["Paused:", *lines] if paused else ["Nothing is paused."])
