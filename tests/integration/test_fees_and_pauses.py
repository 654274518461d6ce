"""Listing fees in a run; a pause holds more than orders: the fee of a paused event, and with everything the ledgers."""

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from paypoll.admin.resolve import Resolution
from paypoll.database import transaction
from paypoll.errors import RefusedError
from paypoll.payments.decision import Reason
from paypoll.payments.fee_statuses import FeeState
from paypoll.payments.gateway import CheckoutAnswer, Found, Look
from paypoll.runs.ledgers_due import ledgers_due
from paypoll.runs.record import record_run
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.state import due_fees, pauses
from paypoll.state import listing_fees as fee_records
from paypoll.state.audit import record
from paypoll.state.resolutions import ACTION, Verdict
from paypoll.state.tables import audit, listing_fee
from paypoll.testing import NOW, FakeGateway, an_answer

if TYPE_CHECKING:
    from tests.integration.conftest import Bench

LEASE = timedelta(minutes=3)


def draft_with_fee(shop: SmallShop, reference: str, *, made: datetime = NOW - timedelta(hours=1)) -> int:
    """Add a draft whose listing fee is to be paid, and return its id."""
    organiser = shop.add_organiser(f"{reference.lower()}@organiser.example", "The Choir")
    event = shop.add_event(organiser, f"Event of {reference}", starts=NOW + timedelta(days=30), slug=reference.lower())
    shop.update("events_event", event, status="draft")
    shop.insert(
        "events_listingfee", payment_reference=reference, created_at=made, event_id=event, organizer_id=organiser,
        amount=Decimal("25.00"), currency="GBP", payment_status="pending",
    )  # fmt: skip
    return event


def claimed(connection: sa.Connection, bench: "Bench", run_id: str) -> list[str]:
    """Put what is new on the list, and return the fees that this run takes."""
    due_fees.enrol_fees(connection, bench.app.fee_rules, NOW)
    return due_fees.claim_fees(connection, bench.app.fee_rules, run_id, NOW, began=NOW, limit=9, lease=LEASE)


def test_listing_fee_of_a_paused_event_is_left_alone(bench: "Bench", engine: sa.Engine, shop: SmallShop) -> None:
    paused, rules = draft_with_fee(shop, "LF-PAUSED"), bench.app.fee_rules
    draft_with_fee(shop, "LF-OTHER")
    with transaction(engine) as connection:
        assert due_fees.peek_fees(connection, rules, NOW, limit=9) == ["LF-OTHER", "LF-PAUSED"]
        pauses.begin(connection, pauses.Scope(event_id=paused), who="Margot", reason="talks", now=NOW)
        assert due_fees.peek_fees(connection, rules, NOW, limit=9) == ["LF-OTHER"]
        assert claimed(connection, bench, "run-1") == ["LF-OTHER"]
        pauses.end(connection, pauses.Scope(event_id=paused))
        assert claimed(connection, bench, "run-2") == ["LF-PAUSED"]


def test_pause_of_everything_holds_fees_and_ledgers(bench: "Bench", engine: sa.Engine, shop: SmallShop) -> None:
    draft_with_fee(shop, "LF-1")
    settings = bench.app.settings
    every = replace(settings, ledger=settings.ledger.model_copy(update={"every": timedelta(minutes=30)}))
    with transaction(engine) as connection:
        assert ledgers_due(connection, every, NOW) == [settings.sumup.merchant_code]
        pauses.begin(connection, pauses.Scope(), who="Margot", reason="a restore", now=NOW)
        assert ledgers_due(connection, every, NOW) == []
        assert not connection.scalar(sa.select(due_fees.any_fee_due(bench.app.fee_rules, NOW)))
        assert claimed(connection, bench, "run-1") == []


def test_listing_fees_are_asked_about_at_once(bench: "Bench", shop: SmallShop) -> None:
    met = threading.Barrier(2)

    class Together(FakeGateway):
        def find_checkouts(self, reference: str, merchant_code: str) -> Look[tuple[CheckoutAnswer, ...]]:
            met.wait(timeout=20)  # for the other fee's question; broken, if that comes after this one's answer
            return super().find_checkouts(reference, merchant_code)

    bench.app.gateway = Together()
    draft_with_fee(shop, "LF-1")
    draft_with_fee(shop, "LF-2")
    report = record_run(bench.app, "run-once")
    assert [(one.reference, one.reason) for one in report.fees] == [
        ("LF-1", Reason.NO_CHECKOUT),
        ("LF-2", Reason.NO_CHECKOUT),
    ]


def test_row_60m_fees_that_are_gone_are_all_looked_at_but_for_one_that_is_back(
    bench: "Bench", engine: sa.Engine, shop: SmallShop
) -> None:
    class Restorer(FakeGateway):
        def find_checkouts(self, reference: str, merchant_code: str) -> Look[tuple[CheckoutAnswer, ...]]:
            if "LF-BACK" in reference and not shop.rows("events_listingfee"):
                draft_with_fee(shop, "LF-BACK")
            if "LF-POISON" in reference:
                raise RuntimeError("poison")
            return super().find_checkouts(reference, merchant_code)

    paid = an_answer("PAID", id="chk-1", reference="LF-BACK")
    bench.app.gateway = Restorer(checkouts={paid.id: Found(paid)})
    gone = ["LF-POISON", "LF-BACK", *(f"LF-{number:02}" for number in range(11))]
    rows = [
        {
            "reference": name,
            "first_seen_at": NOW - timedelta(hours=1),
            "next_check_at": NOW - timedelta(minutes=20 - at),
        }
        for at, name in enumerate(gone)
    ]
    with transaction(engine) as connection:
        connection.execute(sa.insert(listing_fee), rows)
    report = record_run(bench.app, "run-once")
    assert [one.order for one in report.order_errors] == ["LF-POISON"]
    with transaction(engine) as connection:
        trail = connection.execute(sa.select(audit.c.order_number, audit.c.order_id, audit.c.action)).all()
        leases = connection.scalars(sa.select(listing_fee.c.lease_run)).all()
    assert [tuple(row) for row in trail] == [(name, None, "fee verified") for name in gone[2:]]
    assert set(leases) == {None}
    assert bench.mailer.sent == []


@pytest.mark.parametrize("changed", [{"amount": Decimal("99.00")}, {"event_id": None}])
def test_override_of_a_fee_that_was_changed_after_it_was_shown_is_refused(
    bench: "Bench", shop: SmallShop, changed: dict[str, Any]
) -> None:
    event = draft_with_fee(shop, "LF-1")
    paid = an_answer("PAID", id="chk-1", reference="LF-1", amount=Decimal("24.99"))
    bench.gateway.checkouts[paid.id] = Found(paid)
    resolver = bench.app.fee_resolver
    fee = resolver.find("LF-1")
    assert fee is not None
    case = resolver.look_at(fee)
    assert any("24.99" in objection for objection in case.objections)
    if "event_id" in changed:
        organiser = shop.add_organiser("band@organiser.example", "The Band")
        changed = {"event_id": shop.add_event(organiser, "Another", starts=NOW + timedelta(days=9), slug="another")}
        shop.update("events_event", changed["event_id"], status="draft")
    (row,) = shop.rows("events_listingfee", payment_reference="LF-1")
    shop.update("events_listingfee", row["id"], **changed)
    with pytest.raises(RefusedError, match="changed since SumUp was asked"):
        resolver.settle(fee, Resolution(Verdict.ISSUE, "margot", "rang her", override=True), case)
    assert shop.row("events_event", event)["status"] == "draft"
    assert shop.row("events_listingfee", row["id"])["payment_status"] == "pending"


def test_row_46_fee_that_a_person_decided_on_under_a_clock_that_was_ahead_is_due(
    bench: "Bench", engine: sa.Engine, shop: SmallShop
) -> None:
    draft_with_fee(shop, "LF-1")
    record_run(bench.app, "run-once")
    fee = bench.app.fee_resolver.find("LF-1")
    assert fee is not None
    with transaction(engine) as connection:
        assert due_fees.peek_fees(connection, bench.app.fee_rules, NOW, limit=9) == []
        fee_records.note_verdict(connection, fee, FeeState.REVIEW, fee.status, "reject", NOW + timedelta(days=1))
        assert due_fees.peek_fees(connection, bench.app.fee_rules, NOW, limit=9) == ["LF-1"]


def test_verdict_on_a_fee_closes_no_review_that_came_after_it(engine: sa.Engine) -> None:
    def note(action: str, outcome: str, before: str, after: str) -> bool:
        record(
            connection, now=NOW, order_number="LF-1", explanation="",
            action=action, outcome=outcome, status_from=before, status_to=after,
        )  # fmt: skip
        return fee_records.closed_fees(connection, ["LF-1", "LF-2"]) == {"LF-1"}

    with transaction(engine) as connection:
        assert note(ACTION, "refund_noted", "paid", "paid")  # about its second payment
        assert not note("fee verified", "review", "paid", "review")  # its event is a draft again
        assert note(ACTION, "reject", "paid", "paid")
        assert note("fee verified", "review", "review", "review")  # found there, and left
        assert not note(ACTION, "issue", "paid", "paid")
