"""The port PaymentGateway: what each of its adapters answers, SumUp's client and the fake of `paypoll.testing`.

Whoever writes another adapter gives it a world here. A world makes things happen at the provider; the tests ask the
gateway what it has seen. What only SumUp's client does (credentials, retries, odd bytes) is tested with it, in
tests/integration/sumup.
"""

import itertools
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Final, Protocol

import pytest

from paypoll.clock import SystemClock
from paypoll.payments.gateway import (
    Accepted,
    Attempt,
    BrokenAnswer,
    CheckoutAnswer,
    CheckoutStatus,
    Found,
    NoAnswer,
    NotFound,
    NotSent,
    PaymentGateway,
    RefundRefused,
    Refused,
    TransactionAnswer,
)
from paypoll.sandbox.sumup.effects import Status
from paypoll.sandbox.sumup.simulator import Simulator
from paypoll.sumup.auth import ApiKey, PlatformCredentials
from paypoll.sumup.client import SumUpClient
from paypoll.sumup.options import SumUpOptions
from paypoll.testing import NOW, FakeGateway, a_transaction, an_answer, an_attempt

MERCHANT: Final = "MPLATFORM"
KEY: Final = "sup_sk_conformance"
AMOUNT: Final = Decimal("12.50")


class World(Protocol):
    """A payment provider in which things can be made to happen, and the gateway that looks at it."""

    @property
    def gateway(self) -> PaymentGateway:
        """What is tested."""
        ...

    def checkout(self, reference: str) -> str:
        """Make a PENDING checkout over AMOUNT in pounds, and return its id."""
        ...

    def attempt(self, checkout_id: str, status: str) -> None:
        """Let somebody try to pay: SUCCESSFUL, FAILED, or PENDING."""
        ...

    def give_back(self, transaction_id: str, checkout_id: str, *, refund: Decimal, charge_back: Decimal) -> None:
        """Give a part of the payment back."""
        ...

    def go_down(self) -> None:
        """Answer nothing any more."""
        ...


class SumUpWorld:
    """SumUp's client, asking the simulator over HTTP."""

    def __init__(self, sim: Simulator, gateway: SumUpClient) -> None:
        self.sim, self.gateway = sim, gateway

    def checkout(self, reference: str) -> str:
        return self.sim.create_checkout(reference=reference, amount=AMOUNT, merchant_code=MERCHANT)

    def attempt(self, checkout_id: str, status: str) -> None:
        ways: dict[str, Callable[[str], object]] = {
            "SUCCESSFUL": self.sim.pay,
            "FAILED": self.sim.decline,
            "PENDING": self.sim.begin_payment,
        }
        ways[status](checkout_id)

    def give_back(self, transaction_id: str, checkout_id: str, *, refund: Decimal, charge_back: Decimal) -> None:
        del transaction_id
        if refund:
            self.sim.refund(checkout_id, refund)
        if charge_back:
            self.sim.charge_back(checkout_id, charge_back)

    def go_down(self) -> None:
        self.sim.fault(Status(503))


class FakeWorld:
    """The fake, and what somebody who uses it writes into it."""

    def __init__(self) -> None:
        self.gateway = FakeGateway()
        self._numbers = itertools.count(1)

    def checkout(self, reference: str) -> str:
        made = an_answer("PENDING", id=f"chk-{next(self._numbers)}", reference=reference, amount=AMOUNT)
        self.gateway.checkouts[made.id] = Found(made)
        return made.id

    def attempt(self, checkout_id: str, status: str) -> None:
        look = self.gateway.checkouts[checkout_id]
        assert isinstance(look, Found)
        one = an_attempt(id=f"txn-{next(self._numbers)}", status=status, amount=AMOUNT, timestamp=NOW)
        became = {"SUCCESSFUL": CheckoutStatus.PAID, "FAILED": CheckoutStatus.FAILED}.get(status, look.value.status)
        answer = replace(look.value, status=became, attempts=(*look.value.attempts, one))
        if one.successful:
            answer = replace(answer, transaction_id=one.id, transaction_code=one.transaction_code)
        self.gateway.checkouts[checkout_id] = Found(answer)
        self.gateway.transactions[one.id] = Found(
            a_transaction(id=one.id, transaction_code=one.transaction_code, status=status, amount=AMOUNT)
        )

    def give_back(self, transaction_id: str, checkout_id: str, *, refund: Decimal, charge_back: Decimal) -> None:
        del checkout_id
        look = self.gateway.transactions[transaction_id]
        assert isinstance(look, Found)
        self.gateway.transactions[transaction_id] = Found(
            replace(
                look.value,
                refunded=look.value.refunded + refund,
                charged_back=look.value.charged_back + charge_back,
            )
        )

    def go_down(self) -> None:
        self.gateway.down = "503, and no end of it"


@contextmanager
def sumup_world() -> Iterator[World]:
    options = {"tries": 1, "retry_budget": 0.0, "requests_per_second": 1000.0}
    with Simulator() as sim:
        sim.add_merchant(MERCHANT, KEY)
        client = SumUpClient(
            SumUpOptions(base_url=sim.url, **options),  # type: ignore[arg-type]  # numbers of both kinds
            PlatformCredentials(ApiKey(KEY)),
            clock=SystemClock(),
            wait=threading.Event().wait,
        )
        yield SumUpWorld(sim, client)
        client.close()


@contextmanager
def fake_world() -> Iterator[World]:
    yield FakeWorld()


@pytest.fixture(params=[sumup_world, fake_world])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    opened: AbstractContextManager[World] = request.param()
    with opened as world:
        yield world


def read(world: World, checkout_id: str) -> CheckoutAnswer:
    look = world.gateway.read_checkout(checkout_id, MERCHANT)
    assert isinstance(look, Found), look
    return look.value


def transaction(world: World, transaction_id: str) -> TransactionAnswer:
    look = world.gateway.read_transaction(transaction_id, MERCHANT)
    assert isinstance(look, Found), look
    return look.value


def paid(world: World, reference: str = "ORD-1") -> CheckoutAnswer:
    checkout_id = world.checkout(reference)
    world.attempt(checkout_id, "SUCCESSFUL")
    return read(world, checkout_id)


# --- reading a checkout ----------------------------------------------------------------------------------


def test_read_checkout_pending_has_its_reference_and_money_and_no_attempt(world: World) -> None:
    checkout_id = world.checkout("ORD-1")

    answer = read(world, checkout_id)

    assert (answer.id, answer.status, answer.reference) == (checkout_id, "PENDING", "ORD-1")
    assert (answer.amount, answer.currency, answer.merchant_code) == (AMOUNT, "GBP", MERCHANT)
    assert (answer.attempts, answer.transaction_id, answer.transaction_code) == ((), "", "")


def test_read_checkout_paid_names_the_one_attempt_that_paid(world: World) -> None:
    checkout_id = world.checkout("ORD-1")
    world.attempt(checkout_id, "FAILED")
    assert read(world, checkout_id).status == "FAILED"
    assert read(world, checkout_id).successful_attempts == ()
    world.attempt(checkout_id, "SUCCESSFUL")

    answer = read(world, checkout_id)

    assert (answer.status, [attempt.status for attempt in answer.attempts]) == ("PAID", ["FAILED", "SUCCESSFUL"])
    (attempt,) = answer.successful_attempts
    assert isinstance(attempt, Attempt)
    assert (attempt.id, attempt.transaction_code) == (answer.transaction_id, answer.transaction_code)
    assert (attempt.amount, attempt.currency, attempt.merchant_code) == (AMOUNT, "GBP", MERCHANT)
    assert attempt.timestamp is not None
    assert attempt.timestamp.utcoffset() == timedelta(0)


def test_read_checkout_being_paid_is_pending_with_a_pending_attempt(world: World) -> None:
    checkout_id = world.checkout("ORD-1")
    world.attempt(checkout_id, "PENDING")

    answer = read(world, checkout_id)

    assert (answer.status, [attempt.status for attempt in answer.attempts]) == ("PENDING", ["PENDING"])
    assert (answer.successful_attempts, answer.transaction_id) == ((), "")


def test_read_checkout_refunded_is_still_paid(world: World) -> None:
    before = paid(world)
    world.give_back(before.transaction_id, before.id, refund=AMOUNT, charge_back=Decimal(0))

    # But for when it was answered, which is SumUp's clock, in whole seconds.
    assert replace(read(world, before.id), raw={}, answered_at=before.answered_at) == replace(before, raw={})


def test_read_unknown_is_not_found(world: World) -> None:
    assert isinstance(world.gateway.read_checkout("nobody", MERCHANT), NotFound)
    assert isinstance(world.gateway.read_transaction("nobody", MERCHANT), NotFound)
    assert isinstance(world.gateway.close_checkout("nobody", MERCHANT), NotFound)


def test_ask_for_nothing_is_a_broken_answer_and_never_everything(world: World) -> None:
    world.checkout("ORD-1")

    for look in (
        world.gateway.read_checkout("", MERCHANT),
        world.gateway.find_checkouts("", MERCHANT),
        world.gateway.read_transaction("", MERCHANT),
        world.gateway.close_checkout("", MERCHANT),
    ):
        assert isinstance(look, BrokenAnswer)


# --- finding by reference --------------------------------------------------------------------------------


def test_find_checkouts_gives_every_one_of_the_reference_and_no_other(world: World) -> None:
    mine = {world.checkout("ORD-1"), world.checkout("ORD-1")}
    world.checkout("ORD-11")
    world.checkout("ord-1")

    look = world.gateway.find_checkouts("ORD-1", MERCHANT)

    assert isinstance(look, Found)
    assert {one.id for one in look.value} == mine
    # Only a read is dated by SumUp's clock.
    as_read = [replace(read(world, one.id), raw={}, answered_at=None) for one in look.value]
    assert [replace(one, raw={}) for one in look.value] == as_read


def test_find_checkouts_without_one_is_an_empty_tuple_and_not_a_failure(world: World) -> None:
    assert world.gateway.find_checkouts("ORD-1", MERCHANT) == Found(())


# --- transactions ----------------------------------------------------------------------------------------


def test_read_transaction_of_a_payment_has_its_money_and_nothing_given_back(world: World) -> None:
    checkout = paid(world)

    answer = transaction(world, checkout.transaction_id)

    assert (answer.id, answer.transaction_code) == (checkout.transaction_id, checkout.transaction_code)
    assert (answer.status, answer.amount, answer.currency) == ("SUCCESSFUL", AMOUNT, "GBP")
    assert (answer.refunded, answer.charged_back) == (Decimal(0), Decimal(0))


def test_read_transaction_given_back_adds_up_by_kind(world: World) -> None:
    checkout = paid(world)
    for part in ("2.50", "3.00"):
        world.give_back(checkout.transaction_id, checkout.id, refund=Decimal(part), charge_back=Decimal(0))
    world.give_back(checkout.transaction_id, checkout.id, refund=Decimal(0), charge_back=Decimal("4.00"))

    answer = transaction(world, checkout.transaction_id)

    assert (answer.refunded, answer.charged_back) == (Decimal("5.50"), Decimal("4.00"))
    assert answer.amount == AMOUNT


# --- closing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("attempts", [(), ("FAILED",)])
def test_close_checkout_unpaid_is_expired_from_then_on(world: World, attempts: tuple[str, ...]) -> None:
    checkout_id = world.checkout("ORD-1")
    for status in attempts:
        world.attempt(checkout_id, status)

    closing = world.gateway.close_checkout(checkout_id, MERCHANT)

    assert isinstance(closing, Found)
    assert (closing.value.id, closing.value.status) == (checkout_id, "EXPIRED")
    assert read(world, checkout_id).status == "EXPIRED"
    # Whether a second closing is refused is not documented; it opens nothing.
    again = world.gateway.close_checkout(checkout_id, MERCHANT)
    assert isinstance(again, Refused) or (isinstance(again, Found) and again.value.status == "EXPIRED")
    assert read(world, checkout_id).status == "EXPIRED"


@pytest.mark.parametrize(("attempt", "status"), [("SUCCESSFUL", "PAID"), ("PENDING", "PENDING")])
def test_close_checkout_paid_or_being_paid_is_refused_and_changes_nothing(
    world: World, attempt: str, status: str
) -> None:
    checkout_id = world.checkout("ORD-1")
    world.attempt(checkout_id, attempt)

    closing = world.gateway.close_checkout(checkout_id, MERCHANT)

    assert isinstance(closing, Refused)
    assert closing.detail
    assert read(world, checkout_id).status == status


# --- giving back -----------------------------------------------------------------------------------------


def test_refund_in_parts_and_of_the_rest_shows_in_the_transaction(world: World) -> None:
    checkout = paid(world)
    for amount, so_far in (("2.50", "2.50"), ("10.00", "12.50")):
        assert world.gateway.refund(checkout.transaction_id, MERCHANT, Decimal(amount), "GBP") == Accepted()
        answer = transaction(world, checkout.transaction_id)
        assert (answer.refunded, answer.left) == (Decimal(so_far), AMOUNT - Decimal(so_far))


def test_refund_of_more_than_is_left_is_refused_and_gives_nothing_back(world: World) -> None:
    checkout = paid(world)
    world.give_back(checkout.transaction_id, checkout.id, refund=Decimal("2.50"), charge_back=Decimal(0))

    refused = world.gateway.refund(checkout.transaction_id, MERCHANT, Decimal("10.01"), "GBP")

    assert isinstance(refused, RefundRefused)
    assert refused.detail
    assert transaction(world, checkout.transaction_id).refunded == Decimal("2.50")


@pytest.mark.parametrize("amount", ["0", "-1", "0.001", "NaN"])
def test_refund_of_no_amount_of_money_is_not_sent(world: World, amount: str) -> None:
    checkout = paid(world)

    assert isinstance(world.gateway.refund(checkout.transaction_id, MERCHANT, Decimal(amount), "GBP"), NotSent)
    assert isinstance(world.gateway.refund("", MERCHANT, AMOUNT, "GBP"), NotSent)
    assert transaction(world, checkout.transaction_id).refunded == 0


def test_refund_of_a_transaction_that_nobody_knows_is_not_found(world: World) -> None:
    assert isinstance(world.gateway.refund("nobody", MERCHANT, AMOUNT, "GBP"), NotFound)


def test_refund_at_a_provider_that_is_down_is_no_answer(world: World) -> None:
    checkout = paid(world)
    world.go_down()

    assert isinstance(world.gateway.refund(checkout.transaction_id, MERCHANT, AMOUNT, "GBP"), NoAnswer)


# --- failing, and many at once ---------------------------------------------------------------------------


def test_ask_a_provider_that_is_down_is_no_answer_and_raises_nothing(world: World) -> None:
    checkout = paid(world)
    assert world.gateway.halted == ""
    world.go_down()

    for look in (
        world.gateway.read_checkout(checkout.id, MERCHANT),
        world.gateway.find_checkouts("ORD-1", MERCHANT),
        world.gateway.read_transaction(checkout.transaction_id, MERCHANT),
        world.gateway.close_checkout(checkout.id, MERCHANT),
    ):
        assert isinstance(look, NoAnswer)
        assert look.detail


def test_ask_from_many_threads_answers_each_with_its_own(world: World) -> None:
    ids = [world.checkout(f"ORD-{number}") for number in range(16)]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda one: world.gateway.read_checkout(one, MERCHANT), ids * 2))

    assert [look.value.id for look in found if isinstance(look, Found)] == ids * 2


def test_credentials_merchants_are_named_and_unknown_while_the_provider_is_down(world: World) -> None:
    assert world.gateway.read_merchants() == Found(frozenset({MERCHANT}))
    world.go_down()
    assert isinstance(world.gateway.read_merchants(), NoAnswer)
