"""paypoll put together from its settings, on a real database, with fakes at its other ends."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from paypoll.app import App
from paypoll.payments.gateway import CheckoutStatus, Found
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.settings.load import load_settings
from paypoll.testing import (
    MERCHANT,
    NOW,
    FakeClock,
    FakeGateway,
    FakeMailer,
    FakePrinter,
    a_transaction,
    an_answer,
    an_attempt,
)


class Bench:
    """An app whose SumUp, printer, mail server and clock are fakes."""

    def __init__(self, settings_file: Path) -> None:
        self.clock = FakeClock()
        self.gateway = FakeGateway()
        self.printer = FakePrinter()
        self.mailer = FakeMailer()
        self.app = App(load_settings(settings_file, {}), clock=self.clock)
        self.app.gateway = self.gateway
        self.app.printer = self.printer
        self.app.mailer = self.mailer


@pytest.fixture
def bench(settings_file: Path) -> Iterator[Bench]:
    """An app with fakes at its ends, on the fresh database."""
    made = Bench(settings_file)
    yield made
    made.app.close()


class Place:
    """Places orders of 25.00 GBP, each with one checkout, at the shop and at SumUp."""

    def __init__(self, shop: SmallShop, gateway: FakeGateway) -> None:
        self._shop = shop
        self._gateway = gateway
        organiser = shop.add_organiser("choir@example.org", "The Choir")
        starts = datetime(2026, 12, 7, 19, 30, tzinfo=UTC)
        self.event = shop.add_event(organiser, "Winter Concert", starts=starts)

    def __call__(
        self, number: str, sumup: str = "PAID", *, email: str | None = None, quantity: int = 2, **order: Any
    ) -> int:
        """Place an order and return its id. `sumup` is its checkout's status; the rest are columns of the order."""
        order_id = self._shop.add_order(
            number,
            f"{number.lower()}@example.org" if email is None else email,
            [(self.event, quantity, Decimal(25) / quantity)],
            **{"created_at": NOW, **order},
        )
        self._shop.add_checkout(order_id, number, f"chk-{number}", merchant_code=MERCHANT)
        self.set_status(number, sumup)
        return order_id

    def set_status(self, number: str, status: str) -> None:
        """Let SumUp answer with this status about the order's checkout."""
        transaction_id = f"txn-{number}"
        answer = an_answer(status, id=f"chk-{number}", reference=number)
        if status == CheckoutStatus.PAID:
            answer = replace(answer, transaction_id=transaction_id, attempts=(an_attempt(id=transaction_id),))
        self._gateway.checkouts[answer.id] = Found(answer)
        self._gateway.transactions[transaction_id] = Found(a_transaction(id=transaction_id))


@pytest.fixture
def place(shop: SmallShop, bench: Bench) -> Place:
    """Places orders."""
    return Place(shop, bench.gateway)
