"""`paypoll refund`."""

import os
import sys
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import click

from paypoll.cli.opening import opened_app
from paypoll.cli.options import SCHEMA, json_option, pasted_order, verbose_option
from paypoll.cli.person import person, required_line
from paypoll.cli.render.screen import json_text, show, shown
from paypoll.cli.render.words import wrapped
from paypoll.exitcodes import ExitCode

if TYPE_CHECKING:
    from paypoll.admin.refund import RefundCase, RefundRequest
    from paypoll.admin.resolve import Confirmation
    from paypoll.app import App
    from paypoll.ledger.refunds import Progress
    from paypoll.payments.order import Order


class AmountType(click.ParamType[Decimal]):
    """An amount in major units: 5, 5.50."""

    name = "amount"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Decimal:
        """Return the amount, or complain about the option."""
        try:
            amount = Decimal(str(value))
        except InvalidOperation:
            self.fail(f"{value!r} is no amount, such as 12.50", param, ctx)
        if not amount.is_finite() or amount <= 0:
            self.fail(f"{value!r} is no amount that could be given back", param, ctx)
        return amount


@click.command("refund")
@click.argument("order")
@click.option("--amount", type=AmountType(), help="How much, such as 12.50. Else all that is left of the payment.")
@click.option(
    "--ticket",
    "tickets",
    multiple=True,
    metavar="NUMBER",
    help="With --amount: a ticket that it voids. May be given again.",
)
@click.option("--checkout", default="", metavar="ID", help="Which payment, of an order that was paid more than once.")
@click.option("--reason", required=True, callback=required_line, help="Why, for the audit trail and the order's notes.")
@click.option("--by", metavar="NAME", help="Who decides. Else whoever called sudo, or is logged in.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
@json_option
@verbose_option
@click.pass_context
def refund_command(
    context: click.Context,
    *,
    order: str,
    amount: Decimal | None,
    tickets: tuple[str, ...],
    checkout: str,
    reason: str,
    by: str | None,
    yes: bool,
    as_json: bool,
    verbose: bool,
) -> int:
    """Give money back, at SumUp and in the shop, and tell the customer.

    Needs sumup.allow_refunds = true. Shows the amount and the card, and asks; without a terminal it wants --yes.
    A full refund sets the order and its tickets to refunded, so that the scanner refuses them. A part changes no
    ticket but those named by --ticket. A refund of another payment than the one that the tickets rest on (--checkout,
    of an order that was paid twice) leaves the order and its tickets as they are.

    The request is sent once and never again, whatever happens. Exit status 75: SumUp does not show it yet; the next
    run, or the same command again, looks and finishes it. The same command within a day, with the same reason, is the
    same refund.

    \b
    Examples:
      paypoll refund ORD-1001 --reason "concert moved, customer cannot come"
      paypoll refund ORD-1002 --amount 12.50 --reason "moved to row 12"
      paypoll refund ORD-1003 --checkout ID --reason "paid twice" --yes
    """
    from paypoll.admin.refund import RefundRequest

    if tickets and amount is None:
        raise click.UsageError("--ticket goes with --amount; a full refund voids every ticket")
    request = RefundRequest(person(by, os.environ), reason, amount, tickets, checkout.strip())
    with opened_app(context, verbose=verbose, quiet=True) as app:
        found = app.refunder.find(pasted_order(order))
        return give_back(app, found, request, yes=yes, as_json=as_json)


def give_back(app: "App", order: "Order", request: "RefundRequest", *, yes: bool, as_json: bool) -> int:
    """Show the refund, ask, carry it out and say what came of it. Return the exit status."""
    from paypoll.errors import RefusedError
    from paypoll.payments.refunding import OPEN, RefundState

    case = app.refunder.look_at(order, request)
    if not as_json or not yes:
        show(_case_lines(case), err=as_json)
    if not yes and case.intent.state == RefundState.INTENDED:
        if not sys.stdin.isatty():
            raise click.UsageError("nothing was sent: there is no terminal to ask on; look, and add --yes")
        click.confirm(shown(_question(case)), abort=True, err=True)
    progress = app.refunder.carry_out(case)
    intent = progress.intent
    mail = app.refunder.send_mail(intent) if intent.state is RefundState.DONE else None
    if as_json:
        show(_as_json(case, progress, mail))
    if intent.state is RefundState.DONE:
        if not as_json:
            show(_done_lines(case, progress, mail))
        return ExitCode.OK
    if intent.state in OPEN:
        if not as_json:
            show(wrapped(f"Not finished: {progress.why}. The next run looks again; nothing is sent a second time.", 0))
        return ExitCode.TRY_LATER
    raise RefusedError(f"order {case.order.number}: the refund was not made: {progress.why}")


def _case_lines(case: "RefundCase") -> list[str]:
    from paypoll.payments.money import show_amount
    from paypoll.payments.refunding import RefundState

    order, intent = case.order, case.intent
    lines = [
        f"Order {order.number} (id {order.id}), {order.status}, {len(order.tickets)} tickets",
        f"  {order.customer_name or '(no name)'} <{order.email or 'no e-mail'}>",
    ]
    amount = show_amount(intent.amount, intent.currency)
    if intent.id:
        since = f"{intent.created_at:%d %B %Y, %H:%M} UTC"
        how = "was made" if intent.state is RefundState.DONE else "is under way"
        return lines + wrapped(f"A refund of {amount}, asked for by {intent.who} on {since}, {how}: {intent.reason}")
    card = f" to card {case.card}" if case.card else ""
    lines += wrapped(f"Refund: {amount}{card}, of checkout {intent.checkout_id}")
    if intent.beside:
        lines += wrapped("Another payment than the one that the tickets rest on: order and tickets stay as they are.")
    elif case.whole:
        lines += wrapped("Nothing is left of the payment then: the order becomes refunded.")
    for checkout_id in case.held:
        lines += wrapped(
            f"Checkout {checkout_id} is paid as well, and not given back: its money pays for no tickets then. To give"
            f" back what is one too many, and keep the tickets, refund that one: --checkout {checkout_id}"
        )
    if case.voids:
        lines += wrapped(f"No longer valid: {', '.join(case.voids)}")
    return lines


def _question(case: "RefundCase") -> str:
    from paypoll.payments.money import show_amount

    return (
        f"Give back {show_amount(case.intent.amount, case.intent.currency)}{f' to {case.card}' if case.card else ''}?"
    )


def _done_lines(case: "RefundCase", progress: "Progress", mail: "Confirmation | None") -> list[str]:
    from paypoll.payments.money import show_amount

    intent = progress.intent
    amount = show_amount(intent.amount, intent.currency)
    lines = wrapped(f"{amount} of order {case.order.number} refunded: {progress.why}.", 0)
    if progress.status:
        lines += wrapped(f"The order is {progress.status}; {len(progress.voided)} tickets are no longer valid.")
    if mail is not None:
        waits = f"The mail to the customer is {mail.state}: {mail.error or 'a run sends it'}"
        lines += wrapped("The customer was told." if mail.state == "sent" else waits)
    return lines


def _as_json(case: "RefundCase", progress: "Progress", mail: "Confirmation | None") -> str:
    intent = progress.intent
    document = {
        "schema": SCHEMA,
        "order": {"id": case.order.id, "number": case.order.number},
        "refund": {
            "id": intent.id,
            "state": intent.state.value,
            "why": progress.why,
            "amount": intent.amount,
            "currency": intent.currency,
            "card": case.card,
            "checkout": intent.checkout_id,
            "transaction": intent.transaction_id,
            "beside": intent.beside,
            "held": list(case.held),
            "by": intent.who,
            "reason": intent.reason,
            "asked_at": intent.created_at,
        },
        "status_from": case.order.status,
        "status_to": progress.status or case.order.status,
        "voided": list(progress.voided),
        "mail": None if mail is None else {"state": mail.state, "error": mail.error},
    }
    return json_text(document)
