"""Refunds by command in the report: each once, beside what looks at SumUp say of the same money."""

from datetime import UTC, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from tests.integration.report.conftest import NOW

from paypoll.database import transaction
from paypoll.report.build import build_report
from paypoll.report.period import Period
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.state.tables import audit, checkout_seen, fulfilment, refund

DAY = timedelta(days=1)


@pytest.mark.parametrize("named", ["then", "later"])
def test_refunds_by_command_count_once_and_one_that_was_refused_does_not(
    engine: sa.Engine, shop: SmallShop, named: str
) -> None:
    event = shop.add_event(shop.add_organiser("o@example.org", "Choir"), "A", starts=NOW + 9 * DAY)
    order = shop.add_order("N-1", "a@example.org", [(event, 1, Decimal(25))], created_at=NOW - 3 * DAY)
    look = {"order_id": order, "actor": "paypoll", "action": "verified", "explanation": ""}
    said = {"answer": "Found", "id": "t", "refunded": "12.00", "charged_back": "0"}
    payment = {"order_id": order, "order_number": "N-1", "checkout_id": "c", "transaction_id": "t", "currency": "GBP"}
    asked = {
        **payment, "merchant_code": "M", "tickets": [], "beside": False, "who": "x", "reason": "y",
        "charged_back_before": 0, "returning_before": 0, "failed_before": 0, "created_at": NOW - 3 * DAY,
    }  # fmt: skip
    with transaction(engine) as connection:
        paid_at = NOW - 3 * DAY
        connection.execute(
            sa.insert(fulfilment).values(
                **payment, order_transaction_id="T", paid_at=paid_at, fulfilled_at=paid_at, amount=25,
                merchant_code="M", issued_by="paypoll",
            )
        )  # fmt: skip
        if named == "later":  # SumUp had not said which payment it was
            connection.execute(sa.update(fulfilment).values(transaction_id=None))
            told = {"merchant_code": "M", "status": "PAID", "first_seen_at": paid_at, "seen_at": NOW}
            seen_as = {"order_id": order, "checkout_id": "c", "transaction_id": "t"}
            connection.execute(sa.insert(checkout_seen).values(**seen_as, **told))
        connection.execute(sa.insert(audit).values(**look, at=paid_at, outcome="complete"))
        for amount, before, state, days in ((5, 0, "done", 2), (7, 5, "done", 1), (1, 12, "refused", 1)):
            row = {"amount": amount, "refunded_before": before, "state": state, "changed_at": NOW - days * DAY}
            connection.execute(sa.insert(refund).values(**asked, **row))
        seen = {"at": NOW - DAY / 4, "outcome": "unchanged", "evidence": {"transactions": {"c": said}}}
        connection.execute(sa.insert(audit).values(**look, **seen))
    for since, expected in ((7 * DAY, 12), (1.5 * DAY, 7)):
        (money,) = build_report(engine, Period(NOW - since, NOW, UTC), NOW).money
        assert money.returned == Decimal(expected)
    # With the tip, which is no money in: no more of it is money back than was.
    with transaction(engine) as connection:
        tipped = {"at": NOW - DAY / 8, "evidence": {"transactions": {"c": {**said, "refunded": "27.00"}}}}
        connection.execute(sa.insert(audit).values(**look, outcome="unchanged", **tipped))
    (money,) = build_report(engine, Period(NOW - 7 * DAY, NOW, UTC), NOW).money
    assert (money.returned, money.kept, [row.kept for row in money.rows]) == (Decimal(25), Decimal(0), [Decimal(0)])
