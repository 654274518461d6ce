"""`paypoll resolve` of a listing fee."""

from typing import TYPE_CHECKING

import click

from paypoll.cli.asking import ask
from paypoll.cli.options import SCHEMA
from paypoll.cli.render.screen import json_text, show
from paypoll.cli.render.words import case_lines, wrapped

if TYPE_CHECKING:
    from paypoll.admin.fee_case import FeeCase
    from paypoll.admin.resolve import Resolution
    from paypoll.admin.resolve_fee import FeeSettled
    from paypoll.app import App
    from paypoll.payments.listing_fees import ListingFee


def resolve_fee(app: "App", wanted: str, resolution: "Resolution", *, yes: bool, as_json: bool) -> bool:
    """Write the verdict on the listing fee that is called so down, and do what it says. False when there is none."""
    from paypoll.state.resolutions import Verdict

    resolver = app.fee_resolver
    fee = resolver.find(wanted)
    if fee is None:
        return False
    if resolution.verdict is Verdict.REFUND:
        raise click.UsageError(
            "paypoll gives no listing fees back: refund it in SumUp's dashboard, and note it by --refund-noted"
        )
    issues = resolution.verdict is Verdict.ISSUE
    case = resolver.look_at(fee) if issues else None
    if not as_json:
        show(_case_lines(fee, case))
    if case is None or not (case.forbidden or (case.objections and not resolution.override)):
        ask(_question(fee, case, resolution), yes=yes)
    settled = resolver.settle(fee, resolution, case)
    show(_as_json(settled) if as_json else _settled_lines(settled))
    if issues:
        # The decision stands, whatever the mail server says: a run sends what waits.
        resolver.send_mail()
    return True


def _case_lines(fee: "ListingFee", case: "FeeCase | None") -> list[str]:
    from paypoll.payments.money import show_amount
    from paypoll.state.audit import describe_evidence

    event = f"{fee.event.title} ({fee.event.status})" if fee.event else "an event that is gone"
    lines = wrapped(f"Listing fee {fee.reference}, {show_amount(fee.amount, fee.currency)}, for {event}", 0)
    lines += wrapped(f"{fee.organiser_name or '(no name)'} <{fee.organiser_email or 'no e-mail'}>")
    if case is None:
        return lines
    return lines + case_lines(describe_evidence(case.evidence), case.objections, "fee")


def _question(fee: "ListingFee", case: "FeeCase | None", resolution: "Resolution") -> str:
    if case is None:
        return close_question(fee)
    what = "Take it as paid" if fee.settled is None else "Keep it paid"
    what += ", and publish its event" if case.publishes else ""
    return what + (", overriding what SumUp says?" if case.objections and resolution.override else "?")


def close_question(fee: "ListingFee") -> str:
    """Return what a person is asked before a fee is closed, with what is true of it."""
    if _is_done(fee):
        stays = f"Listing fee {fee.reference} is paid and its event published, and stays so."
        return f"{stays} Close what admins were told of it too?"
    if fee.is_listed:
        return f"The event of listing fee {fee.reference} is published already, and stays so. Close the fee?"
    return f"Close listing fee {fee.reference} and publish nothing?"


def _is_done(fee: "ListingFee") -> bool:
    """Say whether the fee has bought what it was paid for: what is left to settle is beside it."""
    return fee.settled is not None and fee.is_paid and fee.is_listed


def _settled_lines(settled: "FeeSettled") -> list[str]:
    fee, by = settled.fee, settled.resolution.who
    if settled.resolution.verdict.value != "issue":
        if _is_done(fee):
            told = f"What admins were told of listing fee {fee.reference} is closed by {by}"
            return wrapped(f"{told}; it stays paid, and its event published.", 0)
        then = "its event stays published" if fee.is_listed else "nothing is published"
        lines = wrapped(f"Listing fee {fee.reference} is closed by {by}; {then}.", 0)
        return lines + wrapped(f"It stays {fee.status} in the shop: what it should be there, set in its admin.")
    listed = "its event is published" if settled.published else "its event was published before"
    lines = wrapped(f"Listing fee {fee.reference} is paid, by {by}, and {listed}.", 0)
    for checkout_id in settled.still_payable:
        lines += wrapped(f"Checkout {checkout_id} can still be paid: the next run closes it at SumUp.")
    return lines


def _as_json(settled: "FeeSettled") -> str:
    document = {
        "schema": SCHEMA,
        "fee": settled.fee.reference,
        "verdict": settled.resolution.verdict.value,
        "by": settled.resolution.who,
        "reason": settled.resolution.reason,
        "status_from": settled.fee.status,
        "status_to": settled.status_to,
        "published": settled.published,
        "overridden": list(settled.overridden),
        "still_payable": list(settled.still_payable),
    }
    return json_text(document)
