"""SumUp's simulator, full of everything that a merchant can have."""

from collections.abc import Iterator
from dataclasses import astuple, dataclass, replace
from datetime import timedelta
from decimal import Decimal

import pytest
import requests

from paypoll.sandbox.sumup.simulator import Simulator
from paypoll.testing import FakeClock

MERCHANT = "MPLATFORM"
KEY = "sup_sk_conformance"


@dataclass(frozen=True)
class Merchant:
    """A merchant's day. Each is the id of a checkout in that state."""

    pending: str
    under_way: str
    failed: str
    paid: str
    refunded: str
    charged_back: str
    expired: str
    hosted: str = ""

    @property
    def checkouts(self) -> tuple[str, ...]:
        """All of them."""
        return astuple(self)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def sim(clock: FakeClock) -> Iterator[Simulator]:
    with Simulator(clock=clock) as sim:
        sim.add_merchant(MERCHANT, KEY, name="Jersey Events")
        yield sim


@pytest.fixture
def session() -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.headers["Authorization"] = f"Bearer {KEY}"
        yield session


@pytest.fixture
def merchant(sim: Simulator, clock: FakeClock) -> Merchant:
    """A merchant with a checkout in every state, sales of a card reader and in cash, and payouts."""

    def checkout(reference: str, *, hosted: bool = False) -> str:
        return sim.create_checkout(
            reference=reference,
            amount=Decimal("10.10"),
            merchant_code=MERCHANT,
            description="Two places",
            redirect_url="https://shop.example/done",
            return_url="https://shop.example/told",
            hosted=hosted,
        )

    made = Merchant(*map(checkout, ("PENDING", "UNDERWAY", "FAILED", "PAID", "REFUNDED", "CHARGED", "EXPIRED")))
    sim.begin_payment(made.under_way)
    sim.decline(made.failed)
    for one in (made.paid, made.refunded, made.charged_back):
        sim.pay(one)
        clock.move(timedelta(seconds=1))
    sim.expire(made.expired)
    sim.refund(made.refunded, Decimal("4.00"))
    sim.sell(amount=Decimal("3.20"), merchant_code=MERCHANT, entry_mode="CONTACTLESS", foreign_transaction_id="till-1")
    sim.sell(amount=Decimal("5.00"), merchant_code=MERCHANT, payment_type="CASH", entry_mode="NONE")
    sim.pay_out(MERCHANT)
    sim.charge_back(made.charged_back)
    clock.move(timedelta(days=1))
    sim.pay_out(MERCHANT)
    # Last, as it lives for half an hour.
    return replace(made, hosted=checkout("HOSTED", hosted=True))
