"""When an order whose money went back is made void, and when it is left: rows 52 and 53 of docs/outcomes.md."""

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from tests.integration.test_order_money import FIRST, SECOND, Books, line

from paypoll.database import transaction
from paypoll.payments.books import LedgerPage, Period
from paypoll.payments.gateway import Found, Look
from paypoll.runs.record import record_run
from paypoll.runs.report import Swept
from paypoll.runs.sweep import Sweeper
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.shop.tables import events, items, tickets
from paypoll.state.tables import ledger_cursor
from paypoll.testing import MERCHANT

if TYPE_CHECKING:
    from tests.integration.conftest import Bench, Place


@pytest.fixture
def books(bench: "Bench", place: "Place", shop: SmallShop) -> Books:
    """An order with tickets, and SumUp's ledger."""
    return Books(bench, place, shop)


def test_row_52_order_that_cannot_be_read_is_not_made_void_and_holds_up_no_other(books: Books) -> None:
    app, other = books.bench.app, books.place("ORD-9")
    record_run(app, "run-once")
    (known,) = (event for event in books.shop.rows("events_event") if event["id"] == books.place.event)
    del known["id"]
    odd = books.shop.insert("events_event", **{**known, "slug": "odd"})
    with transaction(app.engine) as connection:
        connection.execute(sa.text("UPDATE events_event SET event_date = '20260-01-01' WHERE id = :id"), {"id": odd})
        for table in (items, tickets):
            connection.execute(sa.update(table).where(table.c.order_id == books.order_id).values(event_id=odd))
    books.give_back(FIRST)
    books.give_back("txn-ORD-9")
    books.pages = [[line(FIRST, "REFUND"), line("txn-ORD-9", "REFUND")]]
    swept = Swept()
    (met,) = Sweeper(app, books.bench.gateway, books, app.policy, "run-sweep").sweep([MERCHANT], swept, lambda: False)
    assert (met.order, swept.voided, books.status()) == ("ORD-1", 1, "completed")
    with transaction(app.engine) as connection:
        assert connection.scalar(sa.select(ledger_cursor.c.swept_at)) == books.bench.clock.now()
        connection.execute(sa.update(events).where(events.c.id == odd).values(event_date=known["event_date"]))
    assert other != books.order_id
    assert [books.sweep().voided, books.status()] == [1, "refunded"]


def test_row_52_what_pays_for_the_tickets_may_stand_in_the_list_of_another_merchant(books: Books) -> None:
    books.sweep(line(FIRST))
    books.pay_again(seen=False)
    books.give_back(FIRST)

    class Two(Books):
        def list_transactions(self, merchant_code: str, period: Period, page: str) -> Look[LedgerPage]:
            del period, page
            here = line(FIRST, "REFUND") if merchant_code == MERCHANT else line(SECOND, summary="ORD-1")
            return Found(LedgerPage((here,), ""))

    books.bench.clock.move(timedelta(minutes=40))
    app, swept = books.bench.app, Swept()
    books.__class__ = Two
    assert Sweeper(app, books.bench.gateway, books, app.policy, "run").sweep([MERCHANT, "MORG"], swept, bool) == []
    assert (swept.voided, books.status(), books.detail("returned")["held"]) == (0, "completed", SECOND)
