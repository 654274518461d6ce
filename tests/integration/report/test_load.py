"""What the report reads: from where a period begins, whatever clocks and shops have written, and nobody's name."""

import re
from datetime import UTC, timedelta
from decimal import Decimal

import pytest
import sqlalchemy as sa
from tests.integration.report.conftest import NOW, Shop

from paypoll.database import transaction
from paypoll.report.build import build_report
from paypoll.report.load import first_id
from paypoll.report.period import Period
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.state.tables import audit, fulfilment, watch


def test_no_statement_of_the_report_asks_for_a_customer(three_weeks: Shop) -> None:
    statements: list[str] = []

    def listen(_connection: object, _cursor: object, statement: str, *_others: object) -> None:
        statements.append(statement)

    sa.event.listen(three_weeks.engine, "before_cursor_execute", listen)
    try:
        build_report(three_weeks.engine, three_weeks.period, NOW)
    finally:
        sa.event.remove(three_weeks.engine, "before_cursor_execute", listen)
    assert statements
    asked = "\n".join(statements)
    assert re.findall(r"email|phone|delivery_|first_name|last_name|explanation|recipients|content", asked) == []


@pytest.mark.parametrize("days", [0, 1, 7, 20, 400])
def test_beginning_of_a_period_misses_no_row_and_reads_few_too_many(three_weeks: Shop, days: int) -> None:
    since = NOW - timedelta(days=days)
    with transaction(three_weeks.engine) as connection:
        found = first_id(connection, audit, audit.c.at, since)
        count = sa.select(sa.func.count()).select_from(audit)
        assert connection.scalar(count.where(audit.c.id < found, audit.c.at >= since)) == 0
        early = connection.scalar(count.where(audit.c.id >= found, audit.c.at < since - timedelta(hours=2)))
    assert early is not None
    assert early <= 60  # of about a thousand


def test_rows_by_clocks_that_were_wrong_hide_no_other_rows(engine: sa.Engine) -> None:
    # The clock of one host was at 1970 for a while, and that of another ahead by years.
    with transaction(engine) as connection:
        for number in range(500):
            at = NOW - timedelta(minutes=500 - number)
            # The one in the middle is the first that is looked at.
            wrong = {100: timedelta(days=900), 249: timedelta(days=-20000), 399: timedelta(days=-20000)}
            connection.execute(
                sa.insert(audit).values(
                    at=at + wrong.get(number, timedelta(0)), actor="paypoll", action="verified", explanation=""
                )
            )
        for minutes in (90, 250, 400):
            since = NOW - timedelta(minutes=minutes)
            found = first_id(connection, audit, audit.c.at, since)
            missed = sa.select(sa.func.count()).where(audit.c.id < found, audit.c.at >= since, audit.c.at < NOW)
            assert connection.scalar(missed) == 0


def test_shops_oddest_rows_spoil_no_report(engine: sa.Engine, shop: SmallShop) -> None:
    event = shop.add_event(shop.add_organiser("o@example.org", ""), "A", starts=NOW + timedelta(days=9))
    odd = shop.add_order("ODD-1", "a@example.org", [(event, 1, Decimal(5))], created_at=NOW - timedelta(hours=1))
    renamed, remade = (
        shop.add_order(number, "a@example.org", [(event, 1, Decimal(5))], created_at=NOW - timedelta(days=40))
        for number in ("NEW-NUMBER", "COUNTED-7")
    )
    shop.add_order("ODD-2", "b@example.org", [(None, 0, Decimal(0))], created_at=NOW - timedelta(hours=1))
    period = Period(NOW - timedelta(days=7), NOW, UTC)
    with transaction(engine) as connection:
        connection.exec_driver_sql("UPDATE orders_order SET created_at = 'infinity' WHERE order_number = 'ODD-2'")
        at = NOW - timedelta(hours=1)
        seen = {"at": at, "actor": "paypoll", "action": "verified", "outcome": "complete", "explanation": ""}
        connection.execute(sa.insert(audit), [{"order_id": one, **seen} for one in (odd, renamed, remade)])
        paid = {"order_transaction_id": "t", "currency": "GBP", "merchant_code": "M", "issued_by": "paypoll"}
        for order_id, noted, amount in ((odd, "OTHER", 5), (renamed, "NUMBER", 6), (remade, "COUNTED-7", 7)):
            row = sa.insert(fulfilment).values(order_id=order_id, order_number=noted, amount=amount, **paid)
            connection.execute(row.values(checkout_id=f"c-{order_id}", paid_at=NOW, fulfilled_at=at))
        for order_id, made in ((renamed, timedelta(days=40)), (remade, timedelta(days=50))):
            connection.execute(
                sa.insert(watch).values(order_id=order_id, first_seen_at=at, order_created_at=NOW - made)
            )
    # Old orders were brought in from elsewhere: their ids are between those of two of today.
    for number in range(60):
        shop.add_order(f"OLD-{number}", "c@example.org", [], created_at=NOW - timedelta(days=400))
    shop.add_order("NEW-1", "d@example.org", [(event, 1, Decimal(5))], created_at=NOW - timedelta(minutes=5))
    report = build_report(engine, period, NOW)
    # The orders under these ids are others than were paid for: the shop was restored from a backup, and may give a
    # number out again as well. One whose number somebody has changed is the same.
    taken = {row.event: row.taken for row in report.money[0].rows}
    assert taken == {"(order gone from the shop)": Decimal(5 + 7), "A": Decimal(6)}
    assert report.orders.placed == 2
    # SumUp's clock is ahead: nobody waited for less than no time.
    assert report.waits.spread is not None
    assert report.waits.spread.longest == 0
