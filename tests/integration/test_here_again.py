"""Money that had gone back and is here again, while its order has nothing for it: rows 22, 24c and 52b of outcomes."""

from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from tests.integration.test_order_money import FIRST, PRICE, Books, line

from paypoll.admin.resolve import Resolution
from paypoll.database import transaction
from paypoll.runs.record import record_run
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.shop.tables import tickets
from paypoll.state import findings
from paypoll.state.ledger import RETURNS_SEEN
from paypoll.state.resolutions import Verdict
from paypoll.state.tables import audit, ledger_entry, outbox, watch
from paypoll.testing import NOW

if TYPE_CHECKING:
    from tests.integration.conftest import Bench, Place


@pytest.fixture
def books(bench: "Bench", place: "Place", shop: SmallShop) -> Books:
    """An order with tickets, and SumUp's ledger."""
    return Books(bench, place, shop)


@pytest.mark.parametrize("first", ["sweep", "look"])
def test_row_52b_money_that_is_here_again_while_its_order_is_void_is_told_each_time_once(
    books: Books, first: str
) -> None:
    """By whichever sees it first, the sweep or the look at the order."""
    here_again = ("here_again", FIRST, PRICE)

    def goes_and_comes() -> None:
        books.give_back(FIRST, by_bank=True)
        books.sweep(line(FIRST, "CHARGE_BACK"))
        look(books)
        books.give_back(FIRST, Decimal(0), by_bank=True)
        if first == "look":
            look(books, times=2)
            assert books.sweep().findings == 0  # a list that does not show it ends nothing
        for _ in range(2):
            books.sweep(line(FIRST))
            look(books)
        assert books.found() == [here_again]

    books.sweep(line(FIRST))
    goes_and_comes()
    # Whoever saw it wrote it down for the report, which takes it off what went back.
    assert returns_in_trail(books) == [(0, PRICE), (PRICE, 0)]
    void, again = books.told()
    assert "its tickets are void" in void
    assert "is refunded, and 25.00 GBP that had gone back is here again" in again
    with transaction(books.bench.app.engine) as connection:
        (one,) = findings.find_open(connection)
        findings.close(connection, one.id, why="kept, as agreed", who="Margot", now=books.bench.clock.now())
    books.sweep(line(FIRST))
    look(books)
    assert (books.found(), len(books.told())) == ([], 2)
    # Once more, and then a person puts the order back.
    goes_and_comes()
    assert len(books.told()) == 3
    books.shop.update("orders_order", books.order_id, status="completed")
    with transaction(books.bench.app.engine) as connection:
        connection.execute(sa.update(tickets).values(status="valid"))
    look(books)
    books.sweep(line(FIRST))
    assert (books.found(), len(books.told())) == ([], 3)
    assert told_of_void(books) == 0  # the look says nothing of it in words of its own
    # But should it be cancelled while its money is here, that is another thing.
    books.shop.update("orders_order", books.order_id, status="cancelled")
    look(books, times=2)
    books.sweep(line(FIRST))
    assert (told_of_void(books), len(books.told())) == (1, 3)


def look(books: Books, *, times: int = 1) -> None:
    """Let a run look at the order."""
    for _ in range(times):
        with transaction(books.bench.app.engine) as connection:
            connection.execute(sa.update(watch).values(next_check_at=NOW))
        books.bench.clock.move(timedelta(minutes=5))
        record_run(books.bench.app, "run-once")


def returns_in_trail(books: Books) -> list[tuple[Decimal, Decimal]]:
    """Return what the trail of the runs says had gone back before, and then."""
    query = sa.select(audit.c.evidence).where(audit.c.action == RETURNS_SEEN, audit.c.run_id.is_not(None))
    with transaction(books.bench.app.engine) as connection:
        seen = connection.scalars(query.order_by(audit.c.id)).all()
    return [(Decimal(one["before"]), Decimal(one["returned"])) for one in seen]


def told_of_void(books: Books) -> int:
    """Return how many alerts say that the payment of a void order was not given back."""
    with transaction(books.bench.app.engine) as connection:
        keys = connection.scalars(sa.select(outbox.c.dedupe_key))
        return sum(key.startswith("alert:paid_but_void:") for key in keys)


def test_row_22_payment_that_the_ledger_has_shown_is_told_by_the_look_as_ever(books: Books) -> None:
    books.sweep(line(FIRST))
    books.shop.update("orders_order", books.order_id, status="cancelled")
    look(books, times=2)
    assert (told_of_void(books), books.told()) == (1, [])


def test_row_52b_look_that_was_asked_before_the_ledger_says_nothing_of_it(books: Books) -> None:
    books.sweep(line(FIRST))
    books.give_back(FIRST, by_bank=True)
    books.sweep(line(FIRST, "CHARGE_BACK"))
    books.give_back(FIRST, Decimal(0), by_bank=True)  # as it was before, for all that the look knows
    with transaction(books.bench.app.engine) as connection:
        connection.execute(sa.update(ledger_entry).values(seen_at=books.bench.clock.now() + timedelta(hours=1)))
    look(books)
    assert (books.found(), len(books.told()), told_of_void(books)) == ([], 1, 0)


def test_row_52b_part_that_is_here_again_is_told_and_the_rest_is_known_to_have_gone(books: Books) -> None:
    books.sweep(line(FIRST))
    books.give_back(FIRST, by_bank=True)
    books.sweep(line(FIRST, "CHARGE_BACK"))
    books.give_back(FIRST, Decimal(5), by_bank=True)
    for _ in range(2):
        books.sweep(line(FIRST))
    assert books.found() == [("here_again", FIRST, PRICE - 5)]
    with transaction(books.bench.app.engine) as connection:
        settled = [one for one in findings.find_of_order(connection, books.order_id) if one.amount == 5]
    assert [(one.kind, one.closed_why) for one in settled] == [("returned", "the shop knew of it")]


def test_row_24c_money_that_is_here_again_after_a_person_has_closed_the_review_is_told_once(books: Books) -> None:
    books.sweep(line(FIRST))
    books.shop.update("orders_order", books.order_id, status="requires_manual_review")
    with transaction(books.bench.app.engine) as connection:
        connection.execute(sa.update(tickets).values(status="cancelled"))
    books.give_back(FIRST, by_bank=True)
    books.sweep(line(FIRST, "CHARGE_BACK"))
    books.bench.app.resolver.settle(
        books.bench.app.resolver.find_in_review("ORD-1"), Resolution(Verdict.REFUND_NOTED, "Margot", "charged back")
    )
    assert books.told() == []
    books.give_back(FIRST, Decimal(0), by_bank=True)
    for _ in range(2):
        books.sweep(line(FIRST))
    (told,) = books.told()
    assert "is requires_manual_review, and 25.00 GBP that had gone back is here again" in told
    assert "Decide on it by `paypoll resolve`" in told
    assert books.found() == [("here_again", FIRST, PRICE)]
