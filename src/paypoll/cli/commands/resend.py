"""`paypoll resend`."""

import os
from typing import TYPE_CHECKING

import click

from paypoll.cli.opening import opened_app
from paypoll.cli.options import SCHEMA, json_option, pasted_order, verbose_option
from paypoll.cli.person import person
from paypoll.cli.render.screen import json_text, show

if TYPE_CHECKING:
    from paypoll.admin.resend import Resent


@click.command("resend")
@click.argument("order")
@json_option
@verbose_option
@click.pass_context
def resend_command(context: click.Context, *, order: str, as_json: bool, verbose: bool) -> int:
    """Send an order's confirmation with its tickets again, to the address that the order has now.

    Only for orders whose tickets were issued by paypoll. The mail leaves at once; where the mail server does not
    take it now (exit status 75), it waits and later runs try again.

    \b
    Example:
      paypoll resend ORD-1001
    """
    from paypoll.exitcodes import ExitCode

    with opened_app(context, verbose=verbose) as app:
        resent = app.resender.resend(pasted_order(order), person(None, os.environ))
    show(_as_json(resent).splitlines() if as_json else [_sentence(resent)])
    codes = {"sent": ExitCode.OK, "undeliverable": ExitCode.INCOMPLETE}
    return codes.get(resent.state, ExitCode.TRY_LATER)


def _sentence(resent: "Resent") -> str:
    what = f"the confirmation of order {resent.order.number}"
    tickets = f"{resent.tickets} ticket{'s' if resent.tickets != 1 else ''}"
    if resent.state == "sent":
        return f"Sent {what} again, with {tickets}, to {resent.recipient}."
    if resent.state == "undeliverable":
        return f"Could not send {what} to {resent.recipient or '(no address)'}: {resent.error}"
    return f"Posted {what} again; it waits to be sent{f': {resent.error}' if resent.error else '.'}"


def _as_json(resent: "Resent") -> str:
    document = {
        "schema": SCHEMA,
        "order": {"id": resent.order.id, "number": resent.order.number},
        "recipient": resent.recipient,
        "message_id": resent.message_id,
        "tickets": resent.tickets,
        "state": resent.state,
        "error": resent.error,
    }
    return json_text(document)
