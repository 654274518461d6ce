"""When an order whose money went back is made void, and when it is left: rows 52 and 53 of docs/outcomes.md."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from tests.integration.test_order_money import FIRST, PRICE, SECOND, Books, line

from paypoll.database import transaction
from paypoll.payments.books import LedgerPage, Period
from paypoll.payments.gateway import BrokenAnswer, Found, Look
from paypoll.runs.record import record_run
from paypoll.runs.report import Swept
from paypoll.runs.sweep import Sweeper
from paypoll.runs.voiding import void_order
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.shop.tables import events, history, items, tickets
from paypoll.state import findings
from paypoll.state.tables import checkout_seen, fulfilment, ledger_cursor, ledger_entry
from paypoll.testing import MERCHANT, NOW, a_transaction

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


@pytest.mark.parametrize("on_refund", ["tell", "void"])
def test_row_52_money_that_comes_back_to_the_shop_and_goes_once_more_is_told_again(
    books: Books, on_refund: str
) -> None:
    """The bank reversed the charge-back that a person had closed the finding of. The report has each at its time."""
    books.set_on_refund("tell")
    books.sweep(line(FIRST))
    begin = books.bench.clock.now()
    books.give_back(FIRST, by_bank=True)
    books.sweep(line(FIRST, "CHARGE_BACK"))
    with transaction(books.bench.app.engine) as connection:
        (one,) = findings.find_open(connection)
        findings.close(connection, one.id, why="contested, and won", who="Margot", now=NOW)
    books.set_on_refund(on_refund)
    assert books.sweep(line(FIRST, "CHARGE_BACK")).findings == 0
    charged_back = books.bench.clock.now()
    books.give_back(FIRST, Decimal(0), by_bank=True)
    for _ in range(2):
        assert books.sweep(line(FIRST)).findings == 0
    here_again = books.bench.clock.now()
    assert books.went_back(begin) == ["0.00", "25.00"]
    books.give_back(FIRST)
    assert books.sweep(line(FIRST, refunded=PRICE), line(FIRST, "REFUND")).findings == 1
    assert len(books.told()) == 2
    assert books.status() == ("refunded" if on_refund == "void" else "completed")
    # What was said of a period stays, and the periods add up to all of it.
    assert books.went_back(begin, charged_back) == ["25.00", "0.00"]
    assert books.went_back(charged_back, here_again) == ["-25.00", "25.00"]
    assert books.went_back(here_again) == ["25.00", "0.00"]
    assert books.went_back(begin) == ["25.00", "25.00"]


def test_row_52_finding_ends_when_the_money_is_here_again_after_a_pause(books: Books) -> None:
    books.pause()
    books.give_back(FIRST, by_bank=True)
    books.sweep(line(FIRST, "CHARGE_BACK"))
    books.resume()
    books.give_back(FIRST, Decimal(0), by_bank=True)
    books.sweep()
    assert (books.status(), books.found()) == ("completed", [])


@pytest.mark.parametrize("status", ["pending_verification", "requires_manual_review"])
def test_row_52_order_that_the_browser_has_set_back_meanwhile_is_made_void_as_well(books: Books, status: str) -> None:
    books.sweep(line(FIRST))
    books.give_back(FIRST)
    books.shop.update("orders_order", books.order_id, status=status)
    assert [books.sweep(line(FIRST, "REFUND")).voided for _ in range(2)] == [1, 0]
    assert (books.status(), books.found()) == ("refunded", [])
    (told,) = books.told()
    assert "its tickets are void" in told


@pytest.mark.parametrize("is_listed", [False, True])
def test_row_52_second_payment_whose_charge_back_was_reversed_pays_for_the_tickets(
    books: Books, *, is_listed: bool
) -> None:
    books.pay_again()
    books.sweep(line(FIRST), line(SECOND))
    books.give_back(SECOND, by_bank=True)
    books.sweep(line(SECOND, "CHARGE_BACK"))
    assert books.found() == []
    books.give_back(SECOND, Decimal(0), by_bank=True)
    if is_listed:
        books.sweep(line(SECOND))
        assert books.found() == [("second_payment", SECOND, PRICE)]
    told, books.bench.gateway.transactions[SECOND] = books.bench.gateway.transactions[SECOND], BrokenAnswer("not now")
    books.give_back(FIRST)
    assert books.sweep(line(FIRST, "REFUND")).voided == 0
    books.bench.gateway.transactions[SECOND] = told
    assert books.sweep(line(FIRST, "REFUND")).voided == 0
    assert (books.status(), books.detail("returned")["held"]) == ("completed", SECOND)
    assert sorted(books.found()) == [("returned", FIRST, PRICE), ("second_payment", SECOND, PRICE)]
    # The look at its order told of it long ago.
    assert any(SECOND in one and "is here again" in one for one in books.told())


def test_row_57_tip_that_a_release_before_had_in_its_entry_is_no_other_amount(books: Books) -> None:
    tipped = PRICE + 2
    books.bench.gateway.transactions[FIRST] = Found(a_transaction(id=FIRST, amount=tipped, tip_amount=Decimal(2)))
    books.sweep(line(FIRST, amount=tipped))
    with transaction(books.bench.app.engine) as connection:
        connection.execute(sa.update(ledger_entry).values(amount=tipped))
    books.sweep(line(FIRST, amount=tipped))
    assert books.found() == []


@pytest.mark.parametrize("is_restored", [False, True])
def test_row_52_order_that_a_person_has_put_back_is_told_once_and_left_and_one_of_a_restored_shop_is_not(
    books: Books, *, is_restored: bool
) -> None:
    books.sweep(line(FIRST))
    books.give_back(FIRST, by_bank=True)
    assert books.sweep(line(FIRST, "CHARGE_BACK")).voided == 1
    books.shop.update("orders_order", books.order_id, status="completed")
    with transaction(books.bench.app.engine) as connection:
        connection.execute(sa.update(tickets).values(status="valid"))
        if is_restored:
            connection.execute(sa.delete(history).where(history.c.status == "refunded"))
    voided = [books.sweep(line(FIRST, "CHARGE_BACK")).voided for _ in range(3)]
    _, again = books.told()
    if is_restored:
        assert (voided, books.status(), books.found()) == ([1, 0, 0], "refunded", [])
        assert "its tickets are void" in again
        return
    assert (voided, books.status(), books.found()) == ([0, 0, 0], "completed", [("returned", FIRST, PRICE)])
    assert "its tickets still admit" in again
    assert "somebody has put it back" in again


@pytest.mark.parametrize("is_paused", [False, True])
def test_row_52_order_of_which_a_release_before_did_not_write_down_that_it_waits_is_made_void_and_told(
    books: Books, *, is_paused: bool
) -> None:
    books.sweep(line(FIRST))
    books.give_back(FIRST, by_bank=True)
    books.pause()
    books.set_on_refund("tell")  # which writes what that release wrote
    books.sweep(line(FIRST, "CHARGE_BACK"))
    books.set_on_refund("void")
    if is_paused:
        assert [books.sweep(line(FIRST, "CHARGE_BACK")).voided for _ in range(2)] == [0, 0]
    books.resume()
    books.bench.clock.move(timedelta(days=30))
    assert [books.sweep().voided for _ in range(2)] == [1, 0]
    assert (books.status(), books.found()) == ("refunded", [])
    assert "its tickets still admit" in books.told()[0]
    assert ("become void at the next look" if is_paused else "its tickets are void") in books.told()[1]
    assert len(books.told()) == 2


def test_row_52_order_that_another_run_has_made_void_meanwhile_stays_told_as_void(
    books: Books, monkeypatch: pytest.MonkeyPatch
) -> None:
    books.sweep(line(FIRST))
    books.give_back(FIRST)

    def twice(*args: Any, **more: Any) -> int | None:
        void_order(*args, **more)
        return void_order(*args, **more)

    monkeypatch.setattr("paypoll.runs.sweep.void_order", twice)
    books.sweep(line(FIRST, "REFUND"))
    (told,) = books.told()
    assert "its tickets are void" in told


@pytest.mark.parametrize("is_double", [True, False])
def test_rows_52_and_53_what_is_left_of_a_payment_pays_for_the_tickets_that_still_admit(
    books: Books, *, is_double: bool
) -> None:
    """A ticket was given back by a part of one payment, and then the other payment, in full."""
    part, whole = (FIRST, SECOND) if is_double else (SECOND, FIRST)
    books.pay_again()
    books.sweep(line(FIRST), line(SECOND))
    books.give_back(part, PRICE / 2)
    (one, _) = books.shop.rows("events_ticket", order_id=books.order_id)
    books.shop.update("events_ticket", one["id"], status="refunded")
    books.sweep(line(part, refunded=PRICE / 2))
    before = len(books.told())
    books.give_back(whole)
    for _ in range(2):
        assert books.sweep(line(whole, refunded=PRICE)).voided == 0
    if is_double:
        assert (books.status(), len(books.told())) == ("completed", before)
        # And once the rest of it has gone as well, nothing pays.
        books.give_back(part)
        assert books.sweep(line(part, refunded=PRICE)).voided == 1
    else:
        assert (books.status(), books.detail("returned")["held"]) == ("completed", part)


@pytest.mark.parametrize("is_named", [True, False])
def test_rows_52_and_53_second_payment_of_an_order_whose_first_had_no_name_is_a_second_one(
    books: Books, *, is_named: bool
) -> None:
    """SumUp did not name the payment that bought the tickets, and no list has shown it; by its checkout it may."""
    answer = books.bench.gateway.checkouts["chk-ORD-1"]
    assert isinstance(answer, Found)
    if not is_named:
        books.bench.gateway.checkouts["chk-ORD-1"] = Found(replace(answer.value, transaction_id="", attempts=()))
    with transaction(books.bench.app.engine) as connection:
        connection.execute(sa.update(fulfilment).values(transaction_id=None, transaction_code=None))
        connection.execute(sa.update(checkout_seen).values(transaction_id=None))
    books.pay_again(seen=False)
    own_code = replace(a_transaction(id=SECOND), transaction_code="TCODE2")
    books.bench.gateway.transactions[SECOND] = Found(own_code)
    books.sweep(line(SECOND, summary="ORD-1"))
    assert books.found() == ([("second_payment", SECOND, PRICE)] if is_named else [])
    books.give_back(SECOND)
    assert books.sweep(line(SECOND, "REFUND")).voided == 0
    assert (books.status(), books.found()) == ("completed", [] if is_named else [("returned", SECOND, PRICE)])
    if not is_named:
        assert "bought under checkout chk-ORD-1; SumUp has not named" in books.told()[-1]
        books.bench.gateway.checkouts["chk-ORD-1"] = answer
        books.sweep()
        assert books.status() == "completed"
    else:
        books.give_back(FIRST)
        assert books.sweep(line(FIRST, "REFUND")).voided == 1
