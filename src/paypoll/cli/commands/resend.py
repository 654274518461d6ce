"""`paypoll resend`."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from paypoll.cli.asking import ask, yes_option
from paypoll.cli.opening import opened_app
from paypoll.cli.options import SCHEMA, json_option, pasted_order, verbose_option
from paypoll.cli.person import person
from paypoll.cli.render.screen import json_text, show
from paypoll.cli.render.words import more, wrapped

if TYPE_CHECKING:
    from paypoll.admin.resend import Resent, Revived
    from paypoll.admin.revive import KeptMail
    from paypoll.app import App

_MOST_SHOWN = 40


def _sound_address(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Return the address, without what clings to it. One that is none is a slip, and is not the order's own either."""
    if value is None:
        return None
    from paypoll.mail.address import address_problem

    if problem := address_problem(value.strip()):
        raise click.BadParameter(problem)
    return value.strip()


@click.command("resend")
@click.argument("order", required=False)
@click.option(
    "--all-undeliverable",
    "everything",
    is_flag=True,
    help="Try all mail again that was given up, alerts included. What is not true any more is skipped.",
)
@click.option(
    "--to", metavar="ADDRESS", callback=_sound_address, help="Send the order's tickets to this address instead, once."
)
@yes_option
@json_option
@verbose_option
@click.pass_context
def resend_command(
    context: click.Context,
    *,
    order: str | None,
    everything: bool,
    to: str | None,
    yes: bool,
    as_json: bool,
    verbose: bool,
) -> int:
    """Send an order's mail again, to the address that the order has now.

    A mail of the order that waits, or was given up as undeliverable, is tried again at once. Where all has gone out,
    the confirmation with its tickets is sent once more; only for orders whose tickets were issued by paypoll. What
    the mail server does not take now (exit status 75) waits, and later runs try again.

    \b
    Examples:
      paypoll resend ORD-1001
      paypoll resend ORD-1001 --to ada@example.org
      paypoll resend --all-undeliverable
    """
    if (order is None) is not everything:
        raise click.UsageError("Name an order, or say --all-undeliverable.")
    if to is not None and order is None:
        raise click.UsageError("--to goes with an order only")
    with opened_app(context, verbose=verbose) as app:
        if order is not None:
            return _resend_one(app, order, to or "", as_json=as_json)
        return _resend_all(app, yes=yes, as_json=as_json)


def _resend_one(app: "App", order: str, to: str, *, as_json: bool) -> int:
    resent = app.resender.resend(pasted_order(order), person(None, os.environ), to=to)
    show(_as_json(resent) if as_json else [_sentence(resent)])
    return exit_status({resent.state})


def _resend_all(app: "App", *, yes: bool, as_json: bool) -> int:
    mails = app.resender.undeliverable()
    if mails:
        if not as_json or not yes:
            show(kept_lines(mails), err=as_json)
        ask(f"Try {len(mails)} mail{'s' if len(mails) != 1 else ''} again?", yes=yes)
    revived = app.resender.resend_undeliverable(person(None, os.environ))
    show(revived_json(revived) if as_json else revived_lines(revived))
    return exit_status({one.state for one in revived})


def exit_status(states: set[str]) -> int:
    """Return the exit status of mails that ended in these states."""
    from paypoll.exitcodes import ExitCode

    if states & {"waiting", "sending"}:
        return ExitCode.TRY_LATER
    return ExitCode.INCOMPLETE if "undeliverable" in states else ExitCode.OK


def _sentence(resent: "Resent") -> str:
    from paypoll.state.outbox import WITH_TICKETS

    what = f"the {resent.kind.replace('_', ' ')} mail of order {resent.order.number}"
    if resent.kind in WITH_TICKETS:
        what = f"the confirmation of order {resent.order.number}"
    tickets = f", with {resent.tickets} ticket{'s' if resent.tickets != 1 else ''}" if resent.tickets else ""
    if resent.state == "sent":
        return f"Sent {what} again{tickets}, to {resent.recipient}."
    if resent.state == "undeliverable":
        return f"Could not send {what} to {resent.recipient or '(no address)'}: {resent.error}"
    return f"Posted {what} again; it waits to be sent{f': {resent.error}' if resent.error else '.'}"


def kept_lines(mails: "Sequence[KeptMail]") -> list[str]:
    """Return what is about to be tried again."""
    lines = ["To be tried again:"]
    for mail in mails[:_MOST_SHOWN]:
        lines += wrapped(f"{mail.id}  {mail.kind.replace('_', ' ')} to {', '.join(mail.recipients) or '(nobody)'}")
    return lines + more(len(mails), _MOST_SHOWN)


def revived_lines(revived: "tuple[Revived, ...]") -> list[str]:
    """Return what became of each mail that was tried again."""
    if not revived:
        return ["No mail is undeliverable."]
    lines = []
    for one in revived:
        about = f" of {one.order_number}" if one.order_number else ""
        to = ", ".join(one.recipients) or "(nobody)"
        lines += wrapped(f"{one.kind.replace('_', ' ')}{about} to {to}: {one.state}", 0)
        if one.error and one.state != "sent":
            lines += wrapped(one.error, 4)
    states = Counter(one.state for one in revived)
    return [*lines, ", ".join(f"{number} {state}" for state, number in sorted(states.items()))]


def revived_json(revived: "tuple[Revived, ...]") -> str:
    """Return the same as JSON."""
    document = {"schema": SCHEMA, "mails": [asdict(one) for one in revived]}
    return json_text(document)


def _as_json(resent: "Resent") -> str:
    document = {
        "schema": SCHEMA,
        "order": {"id": resent.order.id, "number": resent.order.number},
        "recipient": resent.recipient,
        "kind": resent.kind,
        "message_id": resent.message_id,
        "tickets": resent.tickets,
        "state": resent.state,
        "error": resent.error,
    }
    return json_text(document)
