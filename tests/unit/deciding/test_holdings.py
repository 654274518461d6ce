"""Which payments of an order pay for its tickets, before one of them goes back and after."""

from dataclasses import replace
from decimal import Decimal

import pytest

from paypoll.payments.holdings import Holdings, Left
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
    owner = Holdings(PRICE, "first", before, now, unread=("third",)).told_to(OWNER, payment)
    assert (owner.held, owner.unpaid, owner.unread) == (held, unpaid, ("third",))
