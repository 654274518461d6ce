"""Whole runs over orders of a connected organiser, put together from settings as in production."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from paypoll.app import App
from paypoll.database import transaction
from paypoll.runs.record import record_run
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.sandbox.sumup.simulator import Simulator
from paypoll.settings.load import load_settings
from paypoll.state.tables import watch
from paypoll.testing import FakeMailer, FakePrinter

MERCHANT = "MCHOIR"


class Choir:
    """An organiser whose access token has expired, with orders that were paid to the organiser's own merchant."""

    def __init__(self, engine: sa.Engine, shop: SmallShop, sumup: Simulator, settings_file: Path) -> None:
        self.engine = engine
        self.shop = shop
        self.sumup = sumup
        self.mailer = FakeMailer()
        self._settings_file = settings_file
        self.now = datetime.now(UTC)
        sumup.add_merchant("MPLATFORM", "sup_sk_test_key")
        sumup.add_client("client-1", "client-secret-1", "MPLATFORM")
        organiser = shop.add_organiser(
            "choir@example.org",
            "The Choir",
            sumup_connection_status="connected",
            sumup_access_token="at-of-yesterday",
            sumup_refresh_token=sumup.connect_merchant(MERCHANT, "client-1"),
            sumup_expires_at=self.now - timedelta(days=1),
            sumup_merchant_code=MERCHANT,
        )
        self._event = shop.add_event(organiser, "Winter Concert", starts=self.now + timedelta(days=14))

    def order(self, number: str) -> int:
        order_id = self.shop.add_order(number, f"{number.lower()}@example.org", [(self._event, 1, Decimal("12.50"))])
        checkout = self.sumup.create_checkout(reference=number, amount=Decimal("12.50"), merchant_code=MERCHANT)
        self.shop.add_checkout(order_id, number, checkout, merchant_code=MERCHANT)
        self.sumup.pay(checkout)
        return order_id

    def run(self) -> None:
        app = self.app()
        record_run(app, "run-once")
        app.close()

    def app(self, *, read_only: bool = False) -> App:
        app = App(load_settings(self._settings_file, {}), read_only=read_only)
        app.mailer = self.mailer
        app.printer = FakePrinter()
        return app

    def make_due(self) -> None:
        """Let the next run look at every order again."""
        with transaction(self.engine) as connection:
            connection.execute(sa.update(watch).values(next_check_at=self.now))

    @property
    def profile(self) -> dict[str, object]:
        (row,) = self.shop.rows("accounts_artistprofile")
        return row

    def statuses(self) -> list[str]:
        return [row["status"] for row in self.shop.rows("orders_order")]


@pytest.fixture
def choir(engine: sa.Engine, shop: SmallShop, settings_file: Path) -> Iterator[Choir]:
    with Simulator(rotate_refresh_tokens=True) as sumup:
        text = settings_file.read_text(encoding="utf-8")
        text = text.replace("http://127.0.0.1:9", sumup.url)
        client = 'client_id = "client-1"\nclient_secret = "client-secret-1"\nrequests_per_second = 100\n'
        settings_file.write_text(text.replace("[tickets]", client + "[tickets]"), encoding="utf-8")
        yield Choir(engine, shop, sumup, settings_file)


def test_run_organiser_with_an_expired_token_orders_are_completed_after_one_refresh(choir: Choir) -> None:
    for number in range(5):
        choir.order(f"ORD-{number}")
    choir.run()
    assert choir.statuses() == ["completed"] * 5
    assert choir.sumup.count("POST", "/token") == 1


def test_run_connection_lost_orders_stay_and_one_alert_is_sent(choir: Choir) -> None:
    for number in range(3):
        choir.order(f"ORD-{number}")
    choir.sumup.revoke(MERCHANT)
    for _ in range(3):
        choir.run()
        choir.make_due()
    assert choir.statuses() == ["pending_verification"] * 3
    assert choir.profile["sumup_connection_status"] == "expired"
    assert choir.sumup.count("POST", "/token") == 1
    subjects = [str(message["Subject"]) for message, _ in choir.mailer.sent]
    assert len(subjects) == 1
    assert MERCHANT in subjects[0]


def test_rehearsal_expired_token_is_not_renewed(choir: Choir) -> None:
    choir.order("ORD-1")
    before = choir.profile
    app = choir.app(read_only=True)
    report = app.dry_run().run()
    app.close()
    assert [applied.status_to for applied in report.applied] == ["pending_verification"]
    assert choir.sumup.count("POST", "/token") == 0
    assert choir.profile == before
