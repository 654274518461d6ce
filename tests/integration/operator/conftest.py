"""A shop with orders in every state that an operator meets, and paypoll as a command."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from tests.warm import interpreters, nursery

from paypoll.admin.queue import Backlog, load_backlog
from paypoll.database import transaction
from paypoll.payments.gateway import CheckoutStatus, Found
from paypoll.runs.record import record_run
from paypoll.runs.report import RunReport
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.state.tables import audit, outbox
from paypoll.testing import MERCHANT, NOW, a_transaction, an_answer, an_attempt

if TYPE_CHECKING:
    from tests.integration.conftest import Bench

PRICE = Decimal("12.50")


class Desk:
    """The shop, SumUp and paypoll, as an operator sees them."""

    def __init__(self, bench: "Bench", shop: SmallShop, engine: sa.Engine) -> None:
        self.bench = bench
        self.app = bench.app
        self.shop = shop
        self._engine = engine
        organiser = shop.add_organiser("choir@example.org", "The Choir")
        self.event = shop.add_event(organiser, "Winter Concert", starts=datetime(2026, 12, 7, 19, 30, tzinfo=UTC))

    def place(self, number: str, status: str = CheckoutStatus.PAID, amount: str = "25.00", **order: Any) -> int:
        """Place an order for two at 12.50, with a checkout that SumUp says this of."""
        columns = {"created_at": self.bench.clock.now(), **order}
        order_id = self.shop.add_order(number, f"{number.lower()}@example.org", [(self.event, 2, PRICE)], **columns)
        self.shop.add_checkout(order_id, number, f"chk-{number}", merchant_code=MERCHANT)
        self.sumup_says(number, status, amount)
        return order_id

    def place_fee(self, reference: str) -> None:
        """Add a draft of an organiser's own, whose listing fee is to be paid."""
        organiser = self.shop.add_organiser(f"{reference.lower()}@organiser.example", "The Band")
        starts = NOW + timedelta(days=30)
        event = self.shop.add_event(organiser, f"Event of {reference}", starts=starts, slug=reference.lower())
        self.shop.update("events_event", event, status="draft")
        self.shop.insert(
            "events_listingfee", payment_reference=reference, created_at=self.bench.clock.now(), event_id=event,
            organizer_id=organiser, amount=PRICE, currency="GBP", payment_status="pending",
        )  # fmt: skip

    def sumup_says(
        self, number: str, status: str = CheckoutStatus.PAID, amount: str = "25.00", transaction_id: str = ""
    ) -> None:
        """Let SumUp say this about the order's checkout."""
        paid = status == CheckoutStatus.PAID
        transaction_id = (transaction_id or f"txn-{number}") if paid else ""
        answer = an_answer(
            status, id=f"chk-{number}", reference=number, transaction_id=transaction_id, amount=Decimal(amount)
        )
        if paid:
            answer = replace(answer, attempts=(an_attempt(id=transaction_id, amount=Decimal(amount)),))
        self.bench.gateway.checkouts[answer.id] = Found(answer)
        self.bench.gateway.transactions[transaction_id] = Found(a_transaction(id=transaction_id))

    def in_review(self, number: str, amount: str = "24.99") -> int:
        """Place an order that was paid with the wrong amount, and let a run put it to review."""
        order_id = self.place(number, amount=amount)
        self.run()
        assert self.status(order_id) == "requires_manual_review"
        self.bench.mailer.sent.clear()
        return order_id

    def run(self) -> RunReport:
        """Do a run, as the timer would."""
        return record_run(self.app, "run-once")

    def backlog(self) -> Backlog:
        """Return what waits."""
        return load_backlog(self.app.engine, self.app.clock.now())

    def replay(self, order_id: int) -> None:
        """Set the order back to waiting, as the customer's browser does by calling the return page again."""
        self.shop.update("orders_order", order_id, status="pending_verification")

    def status(self, order_id: int) -> str:
        """Return the order's status in the shop."""
        return str(self.shop.row("orders_order", order_id)["status"])

    def tickets(self, order_id: int) -> list[dict[str, Any]]:
        """Return the order's tickets."""
        return self.shop.rows("events_ticket", order_id=order_id)

    def trail(self, order_id: int) -> list[dict[str, Any]]:
        """Return the order's audit trail."""
        return self._rows(audit, order_id)

    def mails(self, order_id: int) -> list[dict[str, Any]]:
        """Return the order's rows of the outbox."""
        return self._rows(outbox, order_id)

    def subjects(self) -> list[str]:
        """Return the subjects of what went out since they were last cleared."""
        return [str(message["Subject"]) for message, _ in self.bench.mailer.sent]

    def _rows(self, table: sa.Table, order_id: int) -> list[dict[str, Any]]:
        with transaction(self._engine) as connection:
            query = sa.select(table).where(table.c.order_id == order_id).order_by(table.c.id)
            return [dict(row) for row in connection.execute(query).mappings()]


@pytest.fixture
def desk(bench: "Bench", shop: SmallShop, engine: sa.Engine) -> Desk:
    """A shop with one event and no orders yet, at NOW."""
    assert bench.clock.now() == NOW
    return Desk(bench, shop, engine)


Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def paypoll(settings_file: Path) -> Command:
    """Run paypoll as a command, with the settings of the fresh database and more of them as keywords."""

    def run(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        environ = {"PATH": os.environ["PATH"], "SUDO_USER": "margot", **interpreters(os.environ), **settings}
        words = ["--config", str(settings_file), *arguments]
        if nursery().fits(arguments[0], environ):
            warm = nursery().start(words, environ)
            stdout, stderr = warm.communicate(timeout=60)
            return subprocess.CompletedProcess(words, warm.wait(), stdout, stderr)
        command = [sys.executable, "-m", "paypoll", *words]
        return subprocess.run(  # noqa: S603 - our own program
            command, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
        )

    return run
