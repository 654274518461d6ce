"""`paypoll resolve`."""

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from paypoll.cli.asking import ask, yes_option
from paypoll.cli.commands.resolve_fee import resolve_fee
from paypoll.cli.commands.resolve_many import resolve_many
from paypoll.cli.opening import opened_app
from paypoll.cli.options import SCHEMA, DurationType, json_option, known_reason, pasted_order, verbose_option
from paypoll.cli.person import person, required_line
from paypoll.cli.render.screen import json_text, show
from paypoll.cli.render.words import case_lines, wrapped
from paypoll.errors import OrderNotFoundError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from paypoll.admin.resolve import Confirmation, Resolution, Settled
    from paypoll.admin.weighing import Case
    from paypoll.app import App
    from paypoll.payments.order import Order
    from paypoll.settings.model import SiteSettings
    from paypoll.state.resolutions import Verdict


@click.command("resolve")
@click.argument("orders", nargs=-1, metavar="[ORDER]...")
@click.option("--finding", type=int, help="Close this finding, or told case, instead; `paypoll queue` numbers them.")
@click.option(
    "--of",
    "code",
    metavar="REASON",
    default="",
    callback=known_reason,
    help="All open reviews of this reason, such as not_found.",
)
@click.option("--event", type=click.IntRange(min=1), metavar="ID", help="All open reviews of the event with this id.")
@click.option("--since", type=DurationType(), help="Only those that went to review within this time, such as 2h or 1d.")
@click.option("--issue", is_flag=True, help="Issue the tickets, if SumUp's answer bears it out.")
@click.option("--refund-noted", is_flag=True, help="Note that the money was given back, and close the review.")
@click.option("--refund", is_flag=True, help="Give the money back, as `paypoll refund` does, and close the review.")
@click.option("--checkout", default="", metavar="ID", help="With --refund: which payment, if there are several.")
@click.option("--reject", is_flag=True, help="Close the review without tickets.")
@click.option("--reason", required=True, callback=required_line, help="Why, for the audit trail and the order's notes.")
@click.option("--override", is_flag=True, help="With --issue: although SumUp's answer does not match.")
@click.option("--by", metavar="NAME", help="Who decides. Else whoever called sudo, or is logged in.")
@yes_option
@json_option
@verbose_option
@click.pass_context
def resolve_command(
    context: click.Context,
    *,
    orders: tuple[str, ...],
    finding: int | None,
    code: str,
    event: int | None,
    since: timedelta | None,
    issue: bool,
    refund_noted: bool,
    refund: bool,
    checkout: str,
    reject: bool,
    reason: str,
    override: bool,
    by: str | None,
    yes: bool,
    as_json: bool,
    verbose: bool,
) -> int:
    """Decide, as a person, on an order in review (requires_manual_review), or one that the shop completed by itself.

    Several orders, or --of, --event and --since, decide on many alike: they are listed first, and each is decided on
    by itself. What is refused for one (exit status 1) does not stop the others.

    --issue asks SumUp now and shows what it says. Where nothing speaks against it, the tickets are issued and the
    confirmation is sent. Where something does, --override issues them all the same, and what did not match stands
    in the audit trail; so it is for customers who paid in another way. No place ever gets a second ticket, and a
    payment that has paid for another order is refused, overridden or not.

    Of an order that a page of the shop completed by itself (see `paypoll queue`), --issue makes what is missing:
    tickets for places that have none, and codes for tickets that no scanner reads. Its status stays.

    --refund gives back all that is left of the payment, as `paypoll refund` does, and the order becomes refunded.

    --refund-noted and --reject close the review without tickets. The order keeps its status in the shop (cancelling
    and refunding is done there), is no longer listed by `paypoll queue`, and never gets tickets by itself. Refused
    while tickets of it admit: cancel them in the shop first, or keep them by --issue.

    ORDER may be a listing fee's reference. --issue takes the fee as paid and publishes its event, with --override also
    where SumUp's answer does not match; --refund-noted and --reject close it, and nothing is published by it. Of a fee
    that is paid and published they close what was told of it besides, such as a second payment.

    --finding closes one finding of SumUp's ledger, or one case that admins were told of, and changes nothing else.

    \b
    Examples:
      paypoll resolve --finding 12 --reason "refunded at SumUp, 3 May"
      paypoll resolve ORD-1001 --issue --override --reason "a penny of rounding"
      paypoll resolve ORD-1002 --refund-noted --reason "refunded at SumUp, 3 May"
      paypoll resolve ORD-1003 --reject --reason "test order of the choir"
      paypoll resolve ORD-1004 --refund --reason "the hall is full"
      paypoll resolve --of event_cancelled --refund-noted --reason "refunded"
      paypoll resolve LF-1A2B3C4D --issue --override --reason "paid in cash"
    """
    from paypoll.admin.recheck import Wanted
    from paypoll.admin.refund import RefundRequest
    from paypoll.admin.resolve import Resolution
    from paypoll.cli.commands.refund import give_back
    from paypoll.state.resolutions import Verdict

    given = {
        Verdict.ISSUE: issue,
        Verdict.REFUND: refund,
        Verdict.REFUND_NOTED: refund_noted,
        Verdict.REJECT: reject,
    }
    filtered = bool(code or event is not None or since is not None)
    if finding is not None:
        if orders or filtered or any(given.values()) or override:
            raise click.UsageError("--finding closes a finding alone: no order, and none of the other decisions")
        return _close_finding(context, finding, person(by, os.environ), reason, as_json=as_json, verbose=verbose)
    many = filtered or len(orders) > 1
    resolution = Resolution(_verdict(given), person(by, os.environ), reason, override)
    _refuse_what_does_not_go_together(resolution, orders, filtered=filtered, checkout=checkout)
    with opened_app(context, verbose=verbose, quiet=True) as app:
        if many:
            wanted = Wanted(tuple(pasted_order(order) for order in orders), code, since, event)
            return resolve_many(app, wanted, resolution, yes=yes, as_json=as_json)
        try:
            found = app.resolver.find_in_review(pasted_order(orders[0]))
        except OrderNotFoundError:
            if resolve_fee(app, pasted_order(orders[0]), resolution, yes=yes, as_json=as_json):
                return 0
            raise
        if refund:
            request = RefundRequest(resolution.who, reason, checkout=checkout.strip())
            return give_back(app, app.refunder.find(f"id:{found.id}"), request, yes=yes, as_json=as_json)
        _decide(app, found, resolution, yes=yes, as_json=as_json)
    return 0


def _verdict(given: "Mapping[Verdict, bool]") -> "Verdict":
    decided = [verdict for verdict, said_so in given.items() if said_so]
    if len(decided) != 1:
        raise click.UsageError("say what was decided by one of --issue, --refund, --refund-noted and --reject")
    return decided[0]


def _refuse_what_does_not_go_together(
    resolution: "Resolution", orders: tuple[str, ...], *, filtered: bool, checkout: str
) -> None:
    from paypoll.state.resolutions import Verdict

    if resolution.override and resolution.verdict is not Verdict.ISSUE:
        raise click.UsageError("--override goes with --issue only")
    if checkout and resolution.verdict is not Verdict.REFUND:
        raise click.UsageError("--checkout goes with --refund only")
    if bool(orders) is filtered:
        raise click.UsageError("name orders, or say which by --of, --event and --since; or a finding by --finding")
    if resolution.verdict is Verdict.REFUND and (filtered or len(orders) > 1):
        raise click.UsageError("--refund gives back the money of one order at a time")


def _decide(app: "App", found: "Order", resolution: "Resolution", *, yes: bool, as_json: bool) -> None:
    from paypoll.runs.record import record_run
    from paypoll.state.resolutions import Verdict

    case = app.resolver.look_at(found) if resolution.verdict is Verdict.ISSUE else None
    site = app.settings.site
    if not as_json:
        show(_case_lines(found, case, site))
    if _may_go_on(found, resolution, case):
        ask(_question(resolution, found, case), yes=yes)
    settled = app.resolver.settle(found, resolution, case)
    if not as_json:
        show(_settled_lines(settled, site))
    mail = app.resolver.send_confirmation(settled) if settled.tickets or settled.mended else None
    # The decision stands, whatever the run below meets.
    if as_json:
        show(_as_json(settled, mail))
    elif mail is not None:
        waits = f"The confirmation is {mail.state}: {mail.error or 'a run sends it'}"
        show(wrapped("The confirmation was sent." if mail.state == "sent" else waits))
    if resolution.verdict is not Verdict.ISSUE:
        # Its checkouts are closed at once, so that nobody pays them; a run that cannot is followed by the timer's.
        record_run(app, "resolve", only=[found.id])


def _close_finding(context: click.Context, number: int, who: str, reason: str, *, as_json: bool, verbose: bool) -> int:
    from paypoll.admin.resolve import close_finding
    from paypoll.alerts.ledger import headline

    with opened_app(context, verbose=verbose, quiet=True) as app:
        closed = close_finding(app.engine, number, who, reason, app.clock.now())
    if as_json:
        document = {"schema": SCHEMA, "finding": closed.id, "kind": closed.kind, "by": who, "reason": reason}
        show(json_text(document))
    else:
        show(wrapped(f"Finding {closed.id} is closed by {who}: {headline(closed)}", 0))
    return 0


def _may_go_on(order: "Order", resolution: "Resolution", case: "Case | None") -> bool:
    """Say whether there is anything to ask about: what will be refused needs no confirmation."""
    from paypoll.admin.resolve import obstacle_to_closing

    if case is None:
        return not obstacle_to_closing(order)
    return not (case.forbidden or (case.objections and not resolution.override))


def _case_lines(order: "Order", case: "Case | None", site: "SiteSettings") -> list[str]:
    from paypoll.payments.money import show_amount
    from paypoll.state.audit import describe_evidence

    amount = show_amount(order.total, site.currency)
    lines = [
        f"Order {order.number} (id {order.id}), {amount}, {len(order.tickets)} tickets",
        f"  {order.customer_name or '(no name)'} <{order.email or 'no e-mail'}>",
    ]
    if case is None:
        return lines
    return lines + case_lines(describe_evidence(case.evidence), case.objections, "order")


def _question(resolution: "Resolution", order: "Order", case: "Case | None") -> str:
    if case is None:
        return f"Close the review of order {order.number} without tickets?"
    what = "Put the order back to completed" if case.restores else f"Issue {order.places} ticket(s)"
    return what + (", overriding what SumUp says?" if case.objections and resolution.override else "?")


def _settled_lines(settled: "Settled", site: "SiteSettings") -> list[str]:
    order = settled.order
    by = f" by {settled.resolution.who}"
    if settled.resolution.verdict.value != "issue":
        link = site.order_admin_link(order.id, order.number)
        return [
            f"The review of order {order.number} is closed without tickets{by}.",
            *wrapped(f"It stays {order.status}: cancel or refund it in the shop, {link}"),
        ]
    if settled.status_to == order.status:
        done = f"{settled.tickets} tickets issued, {settled.mended} made readable"
        lines = wrapped(f"Order {order.number} stays {order.status}{by}: {done}.", 0)
    elif not settled.tickets:
        lines = [f"Order {order.number} is completed again{by}; its tickets stand, nothing was mailed."]
    else:
        number = f"{settled.tickets} ticket{'s' if settled.tickets != 1 else ''}"
        lines = [f"Order {order.number} is completed{by}: {number} issued."]
    for checkout_id in settled.still_payable:
        lines += wrapped(f"Checkout {checkout_id} can still be paid at SumUp: refund it there if that happens.")
    return lines


def _as_json(settled: "Settled", mail: "Confirmation | None") -> str:
    document = {
        "schema": SCHEMA,
        "order": {"id": settled.order.id, "number": settled.order.number},
        "verdict": settled.resolution.verdict.value,
        "by": settled.resolution.who,
        "reason": settled.resolution.reason,
        "status_from": settled.order.status,
        "status_to": settled.status_to,
        "tickets": settled.tickets,
        "mended": settled.mended,
        "overridden": list(settled.overridden),
        "still_payable": list(settled.still_payable),
        "mail": None if mail is None else {"state": mail.state, "error": mail.error},
    }
    return json_text(document)
