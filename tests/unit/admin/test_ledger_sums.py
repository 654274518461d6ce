"""The sums of `paypoll reconcile` where SumUp's list tells by halves."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from paypoll.admin.ledger_sums import LedgerSums, Purpose
from paypoll.ledger.judging import Judged
from paypoll.payments.books import LedgerItem
from paypoll.payments.ledger import NOTHING, LedgerPayment, Owner, Role

AT = datetime(2026, 11, 1, tzinfo=UTC)


def a_line(kind: str = "PAYMENT", status: str = "SUCCESSFUL", amount: str = "25.00") -> LedgerItem:
    return LedgerItem("t", "T", kind, status, Decimal(amount), "GBP", Decimal(0), AT, "ECOM", "")


def judged(amount: str = "25.00", *, returned: str = "0", tip: str = "0", taken: bool = True) -> dict[str, Judged]:
    payment = LedgerPayment(
        "t", "T", "M", Decimal(amount), "GBP", returned=Decimal(returned), tip=Decimal(tip), taken=taken
    )
    owner = Owner(1, "ORD-1", "completed", Role.FULFILLED, Decimal("25.00"), "GBP")
    return {"t": Judged(payment, owner, NOTHING)}


@pytest.mark.parametrize(("is_past", "returned", "since"), [(True, "5.00", "3.00"), (False, "8.00", "0.00")])
def test_what_no_line_tells_went_back_later_or_within_a_period_that_ends_now(
    is_past: bool, returned: str, since: str
) -> None:
    sums = LedgerSums()
    sums.add([a_line()], judged(returned="8.00"))
    sums.add([a_line("REFUND", "REFUNDED", "5.00"), a_line("REFUND", "PENDING", "2.00")], judged(returned="8.00"))
    sums.end(is_past=is_past)
    (found,) = sums.by_purpose.values()
    assert (found.taken, found.returned, found.returned_since) == tuple(map(Decimal, ("25.00", returned, since)))
    assert sums.total("GBP") == found


def test_tip_is_told_apart_and_line_seen_twice_or_not_taken_counts_once_or_not_at_all() -> None:
    sums = LedgerSums()
    for _ in range(2):
        sums.add([a_line(amount="27.00")], judged("27.00", tip="2.00"))
    sums.add([a_line()], {})
    assert {purpose: one.taken for (_, purpose), one in sums.by_purpose.items()} == {
        Purpose.TICKETS: Decimal("25.00"),
        Purpose.TIPS: Decimal("2.00"),
    }
    none = LedgerSums()
    none.add([a_line(status="CANCELLED"), a_line("REFUND", "REFUNDED")], judged(taken=False))
    assert (none.by_purpose, none.is_paid("t"), none.not_taken) == ({}, True, {"t"})


@pytest.mark.parametrize(
    ("is_paid", "lines", "in_all", "tickets", "tips"),
    [
        (True, ["26.00"], "26.00", "25.00", "1.00"),
        (True, ["5.00", "22.00"], "27.00", "25.00", "2.00"),
        (True, [], "26.00", "25.00", "1.00"),  # SumUp does not say when
        (True, ["5.00"], "5.00", "5.00", "0.00"),
        (False, ["6.00"], "26.00", "5.00", "1.00"),  # 20.00 had gone back before the period
        (False, ["2.00"], "27.00", "0.00", "2.00"),
    ],
)
def test_of_what_goes_back_of_tickets_the_price_goes_first_and_the_tip_is_no_tickets(
    is_paid: bool, lines: list[str], in_all: str, tickets: str, tips: str
) -> None:
    sums, known = LedgerSums(), judged("27.00", returned=in_all, tip="2.00")
    backs = [a_line("REFUND", "REFUNDED", amount) for amount in lines]
    sums.add([*([a_line(amount="27.00")] if is_paid else []), *backs], known)
    sums.end(is_past=False)
    found = {purpose: one.returned for (_, purpose), one in sums.by_purpose.items()}
    assert [found.get(purpose, Decimal(0)) for purpose in (Purpose.TICKETS, Purpose.TIPS)] == [
        Decimal(tickets),
        Decimal(tips),
    ]


def test_tip_that_goes_back_after_the_period_is_no_tickets_either() -> None:
    sums = LedgerSums()
    sums.add(
        [a_line(amount="27.00"), a_line("REFUND", "REFUNDED", "24.00")], judged("27.00", returned="27.00", tip="2.00")
    )
    sums.end(is_past=True)
    since = {purpose: (one.returned, one.returned_since) for (_, purpose), one in sums.by_purpose.items()}
    assert since == {
        Purpose.TICKETS: (Decimal("24.00"), Decimal("1.00")),
        Purpose.TIPS: (Decimal(0), Decimal("2.00")),
    }
