"""Listing fees on a stage: what an organiser pays for a draft to be published."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from tests.acceptance.papers import subject
from tests.acceptance.stage import ADMIN, MERCHANT, SOON, Stage

from paypoll.sandbox.mail.sink import Mail

FEE = Decimal("25.00")


@dataclass(frozen=True, slots=True)
class Fee:
    """A listing fee in the shop, with the id at SumUp of its first checkout; empty if there is none."""

    id: int
    reference: str
    event: int
    age: timedelta
    checkout: str = ""


def place_fee(
    stage: Stage,
    reference: str,
    state: str = "PENDING",
    *,
    age: timedelta = SOON,
    event: dict[str, Any] | None = None,
    fee: dict[str, Any] | None = None,
    **checkout: Any,
) -> Fee:
    """Have an organiser make a draft and begin to pay for it, by the widget unless `checkout` says otherwise."""
    title = f"Event of {reference}"
    draft = stage.event(title, **{"status": "draft", "slug": reference.lower(), **(event or {})})
    values = {"amount": FEE, "currency": "GBP", "payment_status": "pending", **(fee or {})}
    fee_id = stage.shop.insert(
        "events_listingfee",
        payment_reference=reference,
        created_at=datetime.now(UTC) - age,
        event_id=draft,
        organizer_id=stage.organiser,
        **values,
    )
    placed = Fee(fee_id, reference, draft, age)
    if not state:
        return placed
    return Fee(fee_id, reference, draft, age, pay_for(stage, placed, state, **checkout))


def pay_for(
    stage: Stage,
    fee: Fee,
    state: str,
    *,
    under: str = "",
    stored: bool = True,
    named: bool = False,
    age: timedelta | None = None,
    amount: Decimal = FEE,
    currency: str = "GBP",
    merchant: str = MERCHANT,
    **columns: Any,
) -> str:
    """Make a checkout of the fee at SumUp, and its row in the shop if `stored`; `named`: the fee holds its id.

    `under` is its reference, where that is not the fee's own.
    """
    reference = under or fee.reference
    with stage.sumup_time.back(fee.age if age is None else age):
        checkout = stage.sumup.create_checkout(
            reference=reference, amount=amount, currency=currency, merchant_code=merchant
        )
        match state:
            case "PAID":
                stage.sumup.pay(checkout, force=True)
            case "FAILED":
                stage.sumup.decline(checkout)
            case "EXPIRED":
                stage.sumup.expire(checkout)
    made = datetime.now(UTC) - (fee.age if age is None else age)
    if stored:
        row = {"merchant_code": MERCHANT, "amount": FEE, "currency": "GBP", "status": "pending", **columns}
        stage.shop.insert(
            "payments_sumupcheckout", payment_id=f"pay-{reference}", checkout_reference=reference,
            sumup_checkout_id=checkout, order_id=None, created_at=made, updated_at=made, **row,
        )  # fmt: skip
    if named:
        stage.shop.update("events_listingfee", fee.id, sumup_checkout_id=checkout)
    return checkout


def fee_row(stage: Stage, fee: Fee) -> dict[str, Any]:
    """Return the shop's row of the fee."""
    return stage.shop.row("events_listingfee", fee.id)


def event_status(stage: Stage, fee: Fee) -> str:
    """Return the status of the fee's event."""
    return str(stage.shop.row("events_event", fee.event)["status"])


def state_of(stage: Stage, fee: Fee) -> str:
    """Return how far paypoll has come with the fee."""
    (row,) = stage.sql("SELECT state FROM paypoll.listing_fee WHERE reference = :reference", reference=fee.reference)
    return str(row["state"])


def reasons_of(stage: Stage, fee: Fee) -> list[str]:
    """Return why it was decided so, look by look."""
    query = "SELECT reason FROM paypoll.audit WHERE order_number = :reference AND order_id IS NULL ORDER BY id"
    return [row["reason"] for row in stage.sql(query, reference=fee.reference)]


def told_about(stage: Stage, fee: Fee) -> list[Mail]:
    """Return the mails to the admins about this fee."""
    told = (mail for mail in stage.sink.messages if mail.recipients == (ADMIN,))
    return [mail for mail in told if f"fee {fee.reference}" in subject(mail)]


def mails_to_organiser(stage: Stage, fee: Fee) -> list[Mail]:
    """Return the mails that tell the organiser of this fee's event."""
    mails = (mail for mail in stage.sink.messages if mail.recipients == ("choir@organiser.example",))
    return [mail for mail in mails if subject(mail).endswith(f"Event of {fee.reference}")]


def let_fees_be_due(stage: Stage) -> None:
    """Make every fee due, and every lease of a run that is gone run out; and outbox and orders as well."""
    stage.let_time_pass()
    past = "now() - interval '1 second'"
    stage.sql(f"UPDATE paypoll.listing_fee SET lease_until = {past} WHERE lease_until IS NOT NULL")  # noqa: S608 - ours
    stage.sql(f"UPDATE paypoll.listing_fee SET next_check_at = {past} WHERE next_check_at > now()")  # noqa: S608 - ours
