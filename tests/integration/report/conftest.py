"""Three weeks of a shop, in the database as runs, the shop and persons leave it: orders, trail, runs, findings."""

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
import sqlalchemy as sa

from paypoll.database import DatabaseOptions, make_engine
from paypoll.report.period import Period
from paypoll.sandbox.demo.shop import SmallShop, _empty
from paypoll.shop.tables import items, orders
from paypoll.state import tables as own

if TYPE_CHECKING:
    from tests.conftest import Server

NOW = datetime(2026, 11, 26, 12, 0, tzinfo=UTC)
HOSTILE_TITLE = '<script>alert("x")</script> & Co.'
FORMULA_TITLE = "=HYPERLINK(1)"
CUSTOMER = "secret-buyer"
"""In each customer's address and name, and in no place that a report may show."""
NUMBER = "ORD-SECRET-"

_ENDS = ("completed",) * 14 + ("failed", "failed", "expired", "expired", "requires_manual_review", "pending")


@dataclass
class Shop:
    """The shop and its database. `period` is the last week of it."""

    engine: sa.Engine
    period: Period
    orders: list[int] = field(default_factory=list)

    def sql(self, statement: str, **values: Any) -> list[Any]:
        """Return what a statement says; `within(column)` in it asks whether that time is of the period."""
        statement = re.sub(r"within\((\S+?)\)", r"\1 >= :since AND \1 < :until", statement)
        bounds = {"since": self.period.since, "until": self.period.until}
        with self.engine.connect() as connection:
            return list(connection.execute(sa.text(statement), {**bounds, **values}).all())


@pytest.fixture(scope="session")
def three_weeks(server: "Server") -> Iterator[Shop]:
    """A shop after three weeks, for tests that only look."""
    server.run("CREATE DATABASE three_weeks TEMPLATE paypoll_template")
    url = sa.make_url(server.url("three_weeks")).set(drivername="postgresql+psycopg2")
    engine = make_engine(DatabaseOptions(url))
    made = Shop(engine, Period(NOW - timedelta(days=7), NOW, ZoneInfo("Europe/Jersey")))
    events = _Weeks.events_of(SmallShop(engine))
    with engine.begin() as connection:
        _Weeks(connection, events, made).fill()
    yield made
    engine.dispose()
    server.run("DROP DATABASE three_weeks WITH (FORCE)")


class _Weeks:
    def __init__(self, connection: sa.Connection, events: Sequence[int], made: Shop) -> None:
        self.connection = connection
        self.events = events
        self.made = made
        self.chance = random.Random(7)  # noqa: S311 - the same weeks each time
        self.rows: dict[str, list[dict[str, Any]]] = {"audit": [], "fulfilment": [], "finding": [], "run": []}
        self.shop_rows: dict[str, list[dict[str, Any]]] = {"orders": [], "items": []}

    @staticmethod
    def events_of(shop: SmallShop) -> list[int]:
        """Put the events into the shop and return their ids."""
        starts = NOW + timedelta(days=40)
        choir, band = (
            shop.add_organiser(f"{place}@example.org", name) for place, name in enumerate(("The Choir", "<b>Band</b>"))
        )
        return [
            shop.add_event(choir, "Winter Concert", starts=starts),
            shop.add_event(choir, HOSTILE_TITLE, starts=starts, slug="hostile"),
            shop.add_event(band, FORMULA_TITLE, starts=starts, slug="formula"),
        ]

    def fill(self) -> None:
        chance = self.chance
        moments = sorted(NOW - timedelta(seconds=chance.randrange(21 * 86400)) for _ in range(400))
        for order_id, at in enumerate(moments, start=1001):
            self._order(order_id, at, chance.choice(_ENDS))
        for number in range(21 * 24):
            self._run(number, NOW - timedelta(hours=21 * 24 - number))
        self.rows["audit"].sort(key=lambda row: row["at"])

        for table, rows in ((orders, self.shop_rows["orders"]), (items, self.shop_rows["items"])):
            there = sa.Table(table.name, sa.MetaData(), autoload_with=self.connection, resolve_fks=False)
            empty = {
                column.name: _empty(column)
                for column in there.columns
                if not column.nullable and not column.primary_key and column.name not in rows[0]
            }
            self.connection.execute(sa.insert(there), [{**empty, **row} for row in rows])
        for name, rows in self.rows.items():
            self.connection.execute(sa.insert(own.metadata.tables[f"paypoll.{name}"]), rows)

    def _order(self, order_id: int, at: datetime, status: str) -> None:
        chance = self.chance
        places = [(event, chance.randint(1, 4)) for event in chance.sample(self.events, chance.choice((1, 1, 1, 2)))]
        price = Decimal(chance.randint(100, 5000)) / 100
        total = sum((price * quantity for _, quantity in places), Decimal(0))
        self.made.orders.append(order_id)
        number = f"{NUMBER}{order_id}"
        self.shop_rows["orders"].append(
            {
                "id": order_id,
                "order_number": number,
                "email": f"{CUSTOMER}-{order_id}@buyer.example",
                "delivery_first_name": CUSTOMER,
                "delivery_last_name": CUSTOMER,
                "status": status,
                "total": total,
                "is_paid": status == "completed",
                "created_at": at,
                "updated_at": at,
            }
        )
        self.shop_rows["items"] += [
            {"order_id": order_id, "event_id": event, "event_title": "as it was", "quantity": quantity,
             "price": price, "total": price * quantity}
            for event, quantity in places
        ]  # fmt: skip
        paid_at = at + timedelta(minutes=2)
        looked = paid_at + timedelta(seconds=chance.choice((5, 40, 130, 290, 1000, 9000)))
        for minutes in range(chance.choice((0, 0, 1, 3))):
            self._audit(
                order_id,
                looked + timedelta(minutes=minutes),
                "unchanged",
                chance.choice(("still_pending", "no_answer", "not_allowed")),
            )
        looked += timedelta(minutes=5)
        match status:
            case "completed":
                self._completed(order_id, number, paid_at, looked, total)
            case "failed":
                self._audit(order_id, looked, "fail", "payment_failed")
            case "expired":
                self._audit(order_id, looked, "expire", "too_old")
            case "requires_manual_review":
                self._audit(order_id, looked, "review", "mismatch")
                if chance.random() < 0.5:
                    self._audit(order_id, looked + timedelta(hours=30), "reject", "person_reject", action="resolved")

    def _completed(self, order_id: int, number: str, paid_at: datetime, at: datetime, total: Decimal) -> None:
        chance = self.chance
        by_person = chance.random() < 0.05
        if by_person:
            self._audit(order_id, at, "review", "no_account")
            at += timedelta(hours=chance.randint(1, 60))
            self._audit(order_id, at, "issue", "overridden", action="resolved")
        else:
            self._audit(order_id, at, "complete", "paid")
        self.rows["fulfilment"].append(
            {
                "order_id": order_id, "checkout_id": f"chk-{order_id}", "transaction_id": f"txn-{order_id}",
                "transaction_code": "T", "order_transaction_id": "T", "paid_at": paid_at, "amount": total,
                "currency": "GBP" if chance.random() < 0.9 else "EUR", "merchant_code": "M", "issued_by": "paypoll",
                "fulfilled_at": at, "run_id": "r", "by_person": by_person, "order_number": number,
            }
        )  # fmt: skip
        if chance.random() < 0.15:
            self._returned(order_id, at, total)

    def _returned(self, order_id: int, at: datetime, total: Decimal) -> None:
        """Give some of it back, and then all of it or no more; looks say so, or findings do, or both."""
        part = (total / 3).quantize(Decimal("0.01"))
        sources = self.chance.choice(({"looks"}, {"findings"}, {"looks", "findings"}))
        for after, amount in ((timedelta(days=1), part), (timedelta(days=4), self.chance.choice((part, total)))):
            if "looks" in sources:
                said = {"answer": "Found", "id": f"txn-{order_id}", "refunded": str(amount), "charged_back": "0"}
                evidence = {"checkouts": {}, "transactions": {f"chk-{order_id}": said}}
                self._audit(order_id, at + after, "unchanged", "settled", evidence=evidence)
            if "findings" in sources:
                self.rows["finding"].append(
                    {
                        "key": f"returned:txn-{order_id}:{len(self.rows['finding'])}", "kind": "returned",
                        "merchant_code": "M", "transaction_id": f"txn-{order_id}", "order_id": order_id,
                        "amount": amount, "currency": "GBP", "first_seen_at": at + after + timedelta(minutes=20),
                        "closed_at": None, "detail": {},
                    }
                )  # fmt: skip

    def _audit(self, order_id: int, at: datetime, outcome: str, reason: str, **values: Any) -> None:
        row = {
            "at": at, "actor": "paypoll", "order_id": order_id, "order_number": f"{NUMBER}{order_id}",
            "action": "verified", "outcome": outcome, "reason": reason, "explanation": CUSTOMER,
            "status_from": "requires_manual_review" if values else "pending_verification", "status_to": "x",
            "evidence": {"checkouts": {}}, **values,
        }  # fmt: skip
        if at < NOW:
            self.rows["audit"].append(row)

    def _run(self, number: int, at: datetime) -> None:
        counts = {
            "mails_sent": 3,
            "mails_put_off": 2 if number % 37 == 0 else 0,
            "mails_undeliverable": number % 50 == 0,
        }
        ended = None if number % 101 == 7 else "failed" if number % 60 == 3 else "finished"
        self.rows["run"].append(
            {"id": f"run-{number}", "command": "run-once", "host": "h", "version": "1", "started_at": at,
             "ended_at": at, "ended": ended, "counts": counts}
        )  # fmt: skip
