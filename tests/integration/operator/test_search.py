"""Orders are found by what customers and SumUp's dashboard name, and what is urgent stands first."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from paypoll.admin.inspect import inspect_order
from paypoll.admin.queue import load_backlog
from paypoll.admin.search import search
from paypoll.alerts.next_steps import order_word
from paypoll.database import transaction
from paypoll.payments.ledger import FindingKind
from paypoll.state.findings import NewFinding, note
from paypoll.state.outbox import post
from paypoll.state.tables import listing_fee
from paypoll.testing import MERCHANT

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Desk


@pytest.fixture
def found(desk: "Desk") -> "Desk":
    """A desk with ORD-1, which is paid and has its tickets, and ORD-22, which waits."""
    desk.place("ORD-1", delivery_first_name="Ada", delivery_last_name="Le_Sueur")
    desk.place("ORD-22", "PENDING", delivery_first_name="Bob", delivery_last_name="LexSueur")
    desk.run()
    return desk


def numbers(desk: "Desk", text: str) -> list[str]:
    return [order.order_number for order in search(desk.app.engine, text)]


def test_order_is_found_by_what_is_known_of_it(found: "Desk") -> None:
    # An underscore and a percent sign are themselves, and not any letter.
    known = ["ord-1@example.org", "ORD-1@EX", "ada le_s", "le_sueur", "_", "chk-ord-1", "txn-ORD-1", "ord-1"]
    known.append(found.tickets(1)[0]["ticket_number"])
    assert {text: numbers(found, text) for text in known} == {text: ["ORD-1"] for text in known}
    assert numbers(found, "@example.org") == ["ORD-22", "ORD-1"]  # the newest first


def test_nothing_is_found_by_what_is_of_no_order(found: "Desk") -> None:
    texts = ["", " ", "%", "nobody@example.org", "'; DROP TABLE orders_order; --"]
    # The trail, which is read through for codes, has these words of every order.
    texts += ["checkouts", "SUCCESSFUL"]
    (evidence,) = [str(row["evidence"]) for row in found.trail(1) if row["outcome"] == "complete"]
    assert all(f"'{word}'" in evidence for word in texts[-2:])
    assert {text: numbers(found, text) for text in texts} == {text: [] for text in texts}


def test_queue_shows_only_what_is_about_the_orders_found(found: "Desk") -> None:
    now = found.app.clock.now()
    assert [order.order_number for order in load_backlog(found.app.engine, now, find="bob").waiting] == ["ORD-22"]
    assert load_backlog(found.app.engine, now, find="ada").empty


def test_queue_shows_of_fees_and_of_what_is_no_orders_only_what_the_text_is_of(found: "Desk") -> None:
    found.place_fee("LF-1")
    found.place_fee("LF-2")
    found.run()
    now, engine = found.app.clock.now(), found.app.engine
    with transaction(engine) as connection:
        seen = {"chk-lf-2": {"transaction_id": "txn-lf-2"}}
        connection.execute(sa.update(listing_fee).values(state="review", checkout_id="chk-" + listing_fee.c.reference))
        connection.execute(sa.update(listing_fee).where(listing_fee.c.reference == "LF-2").values(seen=seen))
        cases = [
            NewFinding(FindingKind.UNPLACED, MERCHANT, Decimal(9), "GBP", "txn-stray", "TCSTRAY1"),
            NewFinding(FindingKind.FEE_RETURNED, MERCHANT, Decimal(25), "GBP", "txn-lf-2", order_number="LF-2"),
        ]
        note(connection, cases, now)
        post(
            connection, kind="event_listed", dedupe_key="event_listed:LF-2", recipients=["lf-2@organiser.example"],
            content={}, message_id="<1@shop.example>", now=now,
        )  # fmt: skip

    def listed(text: str) -> list[str]:
        backlog = load_backlog(engine, now, find=text)
        fees = [fee.reference for fee in backlog.fees]
        return [*fees, *(one.transaction_id for one in backlog.findings), *(mail.kind for mail in backlog.mails)]

    whole = ["LF-2", "txn-lf-2"]
    known = dict.fromkeys(["listing_fee_LF-2", "chk-lf-2", "TXN-LF-2"], whole)
    known |= {"lf-2": [*whole, "event_listed"]}  # which its organiser's address begins with
    known |= {"2@org": [*whole, "event_listed"], "tcstray1": ["txn-stray"], "txn-stray": ["txn-stray"]}
    known |= {"lf-1@organiser.example": ["LF-1"], "ada": [], "%": [], "status": [], " ": []}
    assert {text: listed(text) for text in known} == known


def test_review_whose_event_is_next_stands_first_whatever_its_age(desk: "Desk") -> None:
    for number in ("ORD-OLD", "ORD-SOON"):
        desk.in_review(number)
    soon = desk.shop.add_event(
        desk.shop.add_organiser("band@example.org", "The Band"),
        "Tonight",
        starts=datetime(2026, 11, 24, 19, 30, tzinfo=UTC),
        slug="tonight",
    )
    (item,) = desk.shop.rows("orders_orderitem", order_id=2)
    desk.shop.update("orders_orderitem", item["id"], event_id=soon)
    reviews = load_backlog(desk.app.engine, desk.app.clock.now(), only_reviews=True).reviews
    assert [review.order_number for review in reviews] == ["ORD-SOON", "ORD-OLD"]


def test_id_is_that_order_also_where_another_has_it_as_its_number(desk: "Desk") -> None:
    first = desk.place("ORD;1", "PENDING")
    desk.place(str(first), "PENDING")
    (order,) = search(desk.app.engine, "ORD;1")
    word = order_word(order.order_id, order.order_number)
    now = desk.app.clock.now()
    assert inspect_order(desk.app.engine, word, now).order.number == "ORD;1"
    assert inspect_order(desk.app.engine, str(first), now).order.number == str(first)
