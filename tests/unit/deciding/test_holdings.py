"""Which payments of an order pay for its tickets, before one of them goes back and after."""

from dataclasses import replace
from decimal import Decimal

import pytest

from paypoll.payments.holdings import Holdings, Left, Places, price_of_the_rest
from paypoll.payments.ledger import LedgerPayment, Owner, Role

PRICE, PENNY, NONE = (Left(Decimal(amount), "GBP") for amount in ("25.00", "0.01", "0"))
OWNER = Owner(
    order_id=1, number="ORD-1", status="completed", role=Role.OTHER, expected=PRICE.amount, currency="GBP",
    admitting=2, fulfilled=True,
)  # fmt: skip
SECOND = LedgerPayment("second", "", "M1", amount=PRICE.amount, currency="GBP", returned=PRICE.amount)
FIRST = replace(SECOND, transaction_id="first")


@pytest.mark.parametrize(
    ("before", "now", "payment", "held", "unpaid"),
    [
        # The first goes back, and the second pays: also one that is listed for the first time.
        ({"first": PRICE, "second": PRICE}, {"first": NONE}, FIRST, ("second",), False),
        ({"first": PRICE}, {"first": NONE, "second": PRICE}, FIRST, ("second",), False),
        ({"first": PRICE, "second": PENNY}, {"first": NONE}, FIRST, (), False),
        ({"first": PRICE, "second": replace(PRICE, currency="EUR")}, {"first": NONE}, FIRST, (), False),
        # Then the second as well, all of it or all but a penny.
        ({"first": NONE, "second": PRICE}, {"second": NONE}, SECOND, (), True),
        ({"first": NONE, "second": PRICE}, {"second": PENNY}, SECOND, (), True),
        ({"first": NONE}, {"second": NONE}, SECOND, (), True),
        # It did before, or has never paid for them, or the first one does, also where no ledger shows it.
        ({"first": NONE, "second": NONE}, {"second": NONE}, SECOND, (), False),
        ({"first": NONE, "second": PENNY}, {"second": NONE}, SECOND, (), False),
        ({"first": PRICE, "second": PRICE}, {"second": NONE}, SECOND, ("first",), False),
        ({}, {"second": NONE}, SECOND, ("first",), False),
        # Both at once: the first one's finding says it.
        ({"first": PRICE, "second": PRICE}, {"first": NONE, "second": NONE}, SECOND, (), False),
    ],
)
def test_payment_that_goes_back_leaves_what_the_others_pay(
    before: dict[str, Left], now: dict[str, Left], payment: LedgerPayment, held: tuple[str, ...], *, unpaid: bool
) -> None:
    owner = Holdings(PRICE, "first", before, now, unread=("third",), rest=PRICE.amount).told_to(OWNER, payment)
    assert (owner.held, owner.unpaid, owner.unread) == (held, unpaid, ("third",))


HALF = Left(Decimal("12.50"), "GBP")


@pytest.mark.parametrize(
    ("rest", "before", "now", "payment", "held", "unpaid"),
    [
        # A ticket was given back by a part of the first: the rest of it pays for the other ticket.
        (HALF.amount, {"first": HALF, "second": PRICE}, {"second": NONE}, SECOND, ("first",), False),
        (HALF.amount, {"first": PRICE, "second": HALF}, {"first": NONE}, FIRST, ("second",), False),
        (PRICE.amount, {"first": PRICE, "second": HALF}, {"first": NONE}, FIRST, (), False),
        # Where nobody can tell what the other ticket costs, whatever is left may pay, and it is told.
        (None, {"first": HALF, "second": PRICE}, {"second": NONE}, SECOND, ("first",), True),
        (None, {"first": PRICE, "second": PENNY}, {"first": NONE}, FIRST, ("second",), False),
    ],
)
def test_tickets_that_admit_no_more_need_no_payment(
    rest: Decimal | None,
    before: dict[str, Left],
    now: dict[str, Left],
    payment: LedgerPayment,
    held: tuple[str, ...],
    *,
    unpaid: bool,
) -> None:
    holdings = Holdings(PRICE, "first", before, now, rest=rest)
    owner = holdings.told_to(OWNER, payment)
    assert (owner.held, owner.unpaid) == (held, unpaid)
    assert holdings.rests_on_none_but("first") == (not set(held) - {"first"})


@pytest.mark.parametrize(
    ("price", "currency", "places", "rest"),
    [
        ("25.00", "GBP", [((("12.50", 2),), 2)], "25.00"),
        ("25.00", "GBP", [((("12.50", 2),), 1)], "12.50"),
        ("27.00", "GBP", [((("12.50", 2),), 1)], "12.50"),  # a booking fee
        ("20.00", "GBP", [((("12.50", 2),), 1)], "10.00"),  # a voucher
        ("10.00", "GBP", [((("4.00", 3),), 1)], "3.33"),
        ("1000", "JPY", [((("400", 3),), 1)], "333"),
        ("30.00", "GBP", [((("10.00", 1),), 0), ((("20.00", 1),), 1)], "20.00"),
        ("30.00", "GBP", [((("10.00", 1), ("20.00", 1)), 0), ((("0.00", 1),), 0)], None),
        ("30.00", "GBP", [((("10.00", 1), ("20.00", 1)), 1)], None),  # which of them admits?
        ("10.00", "GBP", [((("10.00", 1),), 0), ((("0.00", 1),), 1)], None),
        ("25.00", "GBP", [((), 2), ((("12.50", 2),), 0)], None),
        ("25.00", "GBP", [((("NaN", 2),), 1)], None),
    ],
)
def test_price_of_the_tickets_that_still_admit(
    price: str, currency: str, places: list[tuple[tuple[tuple[str, int], ...], int]], rest: str | None
) -> None:
    bought = [Places(tuple((Decimal(one), number) for one, number in prices), left) for prices, left in places]
    found = price_of_the_rest(Left(Decimal(price), currency), bought)
    assert found == (None if rest is None else Decimal(rest))
