"""SumUp's own SDK against the simulator, over real HTTP: its calls find their endpoints, its models read the answers.

What is not written here the SDK checks itself: a required field that is missing or of another type is its
ValidationError, and a refusal in another form than the documented one loses its type.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs

import pytest
import sumup
from sumup._exceptions import (
    APIStatusError,
    AuthenticationError,
    BadRequestError,
    ConflictError,
    NotFoundError,
    PermissionDeniedError,
    UnprocessableEntityError,
)
from sumup.events import EventSignatureError
from sumup.types import Error, ErrorExtended, ErrorForbidden, Problem

from paypoll.sandbox.sumup.keyring import Scope
from paypoll.sandbox.sumup.notifications import WEBHOOK_SECRET, Form, signature
from paypoll.sandbox.sumup.simulator import Simulator

from .conftest import KEY, MERCHANT, Merchant

NEW = {"checkout_reference": "ORD-9", "amount": 10.1, "currency": "GBP", "merchant_code": MERCHANT}
NOVEMBER = {"start_date": date(2026, 11, 1), "end_date": date(2026, 11, 30)}


@pytest.fixture
def make_sdk(sim: Simulator, monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made: list[Any] = []

    def make(key: str = KEY) -> Any:
        made.append(sumup.Sumup(api_key=key, base_url=sim.url, timeout=10.0))
        return made[-1]

    yield make
    for sdk in made:
        sdk.close()


@pytest.fixture
def sdk(make_sdk: Any) -> Any:
    return make_sdk()


def payment_of(sim: Simulator, checkout: str) -> str:
    payment = sim.checkout(checkout).payment
    assert payment is not None
    return payment.id


# --- checkouts -------------------------------------------------------------------------------------------


def test_sdk_creates_reads_lists_and_deactivates_a_checkout(sdk: Any) -> None:
    until = datetime(2026, 12, 24, 10, tzinfo=UTC)
    made = sdk.checkouts.create(
        **NEW,
        description="Two places",
        valid_until=until,
        redirect_url="https://shop.example/done",
        return_url="https://shop.example/told",
        hosted_checkout={"enabled": True},
    )
    assert (made.status, made.amount, made.valid_until, made.transactions) == ("PENDING", 10.1, until, [])
    assert made.hosted_checkout_url.endswith(f"/pay/{made.id}")

    assert sdk.checkouts.get(made.id).redirect_url == "https://shop.example/done"
    assert [one.id for one in sdk.checkouts.list(checkout_reference="ORD-9")] == [made.id]
    assert sdk.checkouts.list(checkout_reference="ORD-8") == []
    assert sdk.checkouts.deactivate(made.id).status == "EXPIRED"


def test_sdk_reads_a_checkout_in_every_state(sdk: Any, merchant: Merchant) -> None:
    found = {one: sdk.checkouts.get(one) for one in merchant.checkouts}

    states = [found[one].status for one in merchant.checkouts]
    assert states == ["PENDING", "PENDING", "FAILED", "PAID", "PAID", "PAID", "EXPIRED", "PENDING"]
    paid = found[merchant.paid]
    (attempt,) = paid.transactions
    assert (attempt.id, attempt.status, attempt.amount) == (paid.transaction_id, "SUCCESSFUL", 10.1)
    assert found[merchant.under_way].transactions[0].status == "PENDING"
    assert found[merchant.failed].transaction_id is None


def test_sdk_reads_each_refusal_of_a_checkout_as_documented(sdk: Any, make_sdk: Any, merchant: Merchant) -> None:
    elsewhere = NEW | {"merchant_code": "MX"}
    calls: list[tuple[type[APIStatusError], type[object], str, Any]] = [
        (AuthenticationError, Problem, "Unauthorized.", lambda: make_sdk("wrong").checkouts.get(merchant.paid)),
        (NotFoundError, Error, "Resource not found", lambda: sdk.checkouts.get("nobody")),
        (ConflictError, Error, "already processed", lambda: sdk.checkouts.deactivate(merchant.paid)),
        (ConflictError, Error, "can't be deactivated", lambda: sdk.checkouts.deactivate(merchant.under_way)),
        (ConflictError, Error, "already exists", lambda: sdk.checkouts.create(**NEW | {"checkout_reference": "PAID"})),
        (BadRequestError, ErrorExtended, "Validation", lambda: sdk.checkouts.create(**NEW | {"amount": -1})),
        (PermissionDeniedError, ErrorForbidden, "not_allowed", lambda: sdk.checkouts.create(**elsewhere)),
    ]
    for kind, body, words, call in calls:
        with pytest.raises(kind, match=words) as refused:
            call()
        assert isinstance(refused.value.body, body)


def test_sdk_names_the_code_of_a_conflict(sdk: Any, merchant: Merchant) -> None:
    for checkout, code in (
        (merchant.paid, "CHECKOUT_PROCESSED"),
        (merchant.under_way, "CHECKOUT_CANT_BE_DEACTIVATED"),
    ):
        with pytest.raises(ConflictError) as refused:
            sdk.checkouts.deactivate(checkout)
        assert refused.value.body.error_code == code


# --- transactions ----------------------------------------------------------------------------------------


def test_sdk_reads_a_transaction_and_its_events(sdk: Any, sim: Simulator, merchant: Merchant) -> None:
    one = sdk.transactions.get(MERCHANT, id=payment_of(sim, merchant.refunded))

    told = [(event.event_type, event.status, event.amount) for event in one.transaction_events]
    assert told == [("PAYOUT", "PAID_OUT", 10.1), ("REFUND", "REFUNDED", 4)]
    assert [(event.type, event.amount) for event in one.events] == [("PAYOUT", 10.1), ("REFUND", 4)]
    assert (one.status, one.simple_status, one.merchant_code) == ("SUCCESSFUL", "PAID_OUT", MERCHANT)
    assert sdk.transactions.get(MERCHANT, transaction_code=one.transaction_code) == one
    assert sdk.transactions.get(MERCHANT, foreign_transaction_id="till-1").payment_type == "POS"


@pytest.mark.usefixtures("merchant")
def test_sdk_lists_the_history_by_every_filter(sdk: Any) -> None:
    def kinds(**wanted: Any) -> list[str]:
        return [f"{one.type} {one.payment_type}" for one in sdk.transactions.list(MERCHANT, limit=100, **wanted).items]

    everything = kinds()
    assert sorted(everything) == [
        "CHARGE_BACK ECOM",
        *["PAYMENT CASH"],
        *["PAYMENT ECOM"] * 5,
        "PAYMENT POS",
        "REFUND ECOM",
    ]
    assert kinds(order="descending") == everything[::-1]
    assert kinds(types=["REFUND", "CHARGE_BACK"]) == ["REFUND ECOM", "CHARGE_BACK ECOM"]
    assert kinds(payment_types=["POS"]) == kinds(entry_modes=["CONTACTLESS"]) == ["PAYMENT POS"]
    assert kinds(statuses=["FAILED"]) == ["PAYMENT ECOM"]
    assert kinds(users=["nobody@shop.example"]) == []
    began = datetime(2026, 11, 23, 15, 0, 1, tzinfo=UTC)
    assert len(kinds(oldest_time=began)) + len(kinds(newest_time=began)) == len(everything)
    assert kinds(changes_since=began + timedelta(days=2)) == []


@pytest.mark.usefixtures("merchant")
@pytest.mark.parametrize("order", ["ascending", "descending"])
def test_sdk_follows_the_pages_of_the_history(sdk: Any, order: str) -> None:
    whole = [one.id for one in sdk.transactions.list(MERCHANT, limit=100, order=order).items]
    seen: list[str] = []
    asked: dict[str, Any] = {"limit": 2, "order": order, "types": ["PAYMENT", "REFUND", "CHARGE_BACK"]}
    while asked:
        page = sdk.transactions.list(MERCHANT, **asked)
        seen += [one.id for one in page.items]
        following = {
            name.removesuffix("[]"): value for link in page.links for name, value in parse_qs(link.href).items()
        }
        asked = {name: value if name == "types" else value[0] for name, value in following.items()}

    assert seen == whole


def test_sdk_is_refused_a_history_without_the_scope_or_with_a_bad_limit(
    sdk: Any, sim: Simulator, make_sdk: Any
) -> None:
    sim.add_merchant(MERCHANT, "sup_sk_narrow", scopes=frozenset({Scope.PAYMENTS}))

    with pytest.raises(PermissionDeniedError):
        make_sdk("sup_sk_narrow").transactions.list(MERCHANT)
    with pytest.raises(BadRequestError) as refused:
        sdk.transactions.list(MERCHANT, limit=0)
    assert isinstance(refused.value.body, Error)
    with pytest.raises(NotFoundError):
        sdk.transactions.get(MERCHANT, id="nobody")


# --- refunds and payouts ---------------------------------------------------------------------------------


def test_sdk_refunds_a_part_and_then_the_rest(sdk: Any, sim: Simulator, merchant: Merchant) -> None:
    payment = payment_of(sim, merchant.paid)

    sdk.transactions.refund(MERCHANT, payment, amount=4.05)
    sdk.transactions.refund(MERCHANT, payment)

    assert sim.checkout(merchant.paid).refunded == Decimal("10.10")
    events = sdk.transactions.get(MERCHANT, id=payment).transaction_events
    assert [event.amount for event in events if event.event_type == "REFUND"] == [4.05, 6.05]


def test_sdk_reads_each_refusal_of_a_refund_as_a_problem(sdk: Any, sim: Simulator, merchant: Merchant) -> None:
    payment = payment_of(sim, merchant.paid)
    calls: list[tuple[type[APIStatusError], Any]] = [
        (BadRequestError, lambda: sdk.transactions.refund(MERCHANT, payment, amount=0)),
        (NotFoundError, lambda: sdk.transactions.refund(MERCHANT, "nobody")),
        (ConflictError, lambda: sdk.transactions.refund(MERCHANT, payment_of(sim, merchant.charged_back))),
        (UnprocessableEntityError, lambda: sdk.transactions.refund(MERCHANT, payment, amount=10.11)),
    ]
    for kind, call in calls:
        with pytest.raises(kind) as refused:
            call()
        assert refused.value.problem is not None
    assert refused.value.problem.model_extra["errors"][0]["max_refundable_amount"] == 1010


@pytest.mark.usefixtures("merchant")
def test_sdk_lists_payouts_with_fees_and_deductions(sdk: Any) -> None:
    found = sdk.payouts.list(MERCHANT, **NOVEMBER)

    assert [(one.type, one.amount, one.fee) for one in found] == [
        *[("PAYOUT", 9.93, 0.17)] * 2,
        ("REFUND_DEDUCTION", 4, 0),
        ("PAYOUT", 9.93, 0.17),
        ("PAYOUT", 3.15, 0.05),
        ("CHARGE_BACK_DEDUCTION", 10.1, 0),
    ]
    assert sdk.payouts.list(MERCHANT, **NOVEMBER, limit=1, order="desc") == found[-1:]
    with pytest.raises(BadRequestError, match="negative date range"):
        sdk.payouts.list(MERCHANT, start_date=date(2026, 11, 2), end_date=date(2026, 11, 1))


# --- whose key it is -------------------------------------------------------------------------------------


def test_sdk_finds_the_merchant_of_its_key(sdk: Any, make_sdk: Any) -> None:
    (membership,) = sdk.memberships.list().items
    assert (membership.resource.id, membership.resource.name, membership.status) == (
        MERCHANT,
        "Jersey Events",
        "accepted",
    )

    merchant = sdk.merchants.get(MERCHANT)
    assert (merchant.merchant_code, merchant.country, merchant.default_currency) == (MERCHANT, "GB", "GBP")
    with pytest.raises(NotFoundError):
        sdk.merchants.get("MX")
    with pytest.raises(AuthenticationError):
        make_sdk("wrong").memberships.list()


# --- notifications ---------------------------------------------------------------------------------------


def test_sdk_verifies_our_notifications_and_fetches_their_checkout(sdk: Any, sim: Simulator) -> None:
    sim.notifier.form = Form.NEW
    checkout = sim.create_checkout(
        reference="N", amount=Decimal(5), merchant_code=MERCHANT, return_url="http://127.0.0.1:9/told"
    )
    sim.decline(checkout)
    sim.pay(checkout)
    seen = []
    for notification in sim.notifications:
        signed = signature(WEBHOOK_SECRET.encode(), notification.body, datetime.now(UTC))
        event = sdk.parse_event_notification(notification.body, signed, WEBHOOK_SECRET)
        assert event.fetch_object().status == "PAID"  # as it is now, whatever the event was
        seen.append(type(event).__name__)
        with pytest.raises(EventSignatureError):
            sdk.parse_event_notification(notification.body + b" ", signed, WEBHOOK_SECRET)

    assert set(seen) == {"CheckoutCreatedEvent", "CheckoutUpdatedEvent", "CheckoutFailedEvent", "CheckoutPaidEvent"}
    old = signature(WEBHOOK_SECRET.encode(), notification.body, datetime.now(UTC) - timedelta(minutes=6))
    with pytest.raises(EventSignatureError):
        sdk.parse_event_notification(notification.body, old, WEBHOOK_SECRET)
