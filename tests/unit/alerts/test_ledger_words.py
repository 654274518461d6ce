"""What admins are told about money that went back of tickets that were used."""

from dataclasses import replace
from decimal import Decimal

from paypoll.alerts.ledger import facts, headline, todo
from paypoll.state.findings import Finding
from paypoll.testing import NOW


def returned(**detail: str) -> Finding:
    told = {"paid": "25.00", "charged_back": "25.00", "whole": "yes", "used": "2", "admitting": "2", **detail}
    return Finding(
        1, "returned", "M", "T", "C", 1, "ORD-1", Decimal("25.00"), "GBP", NOW, None, None, "", "", detail=told
    )


def test_money_back_of_tickets_that_were_all_used_is_not_said_to_admit_or_to_be_void() -> None:
    for found in (returned(), returned(voided="0")):
        assert headline(found) == "Order ORD-1: 25.00 GBP went back, and its tickets were used"
        assert "Of its 2 tickets, 2 had admitted somebody." in facts(found)
        assert not any("void" in fact for fact in facts(found))
    assert headline(returned(used="1")) == "Order ORD-1: 25.00 GBP went back, and its tickets still admit"
    assert "Its tickets are void now (1), and the order is refunded." in facts(returned(used="1", voided="1"))


def test_other_payment_is_named_and_whether_it_pays_is_said_or_left_to_a_person() -> None:
    held, unread = returned(used="0", held="T2", unread="T3"), returned(used="0", unread="T3")
    assert "The order was paid more than once: T2 has not gone back." in facts(held)
    assert "It holds T3 as well: over how much, SumUp's ledger has not shown." in facts(unread)
    assert "the tickets are paid by the other" in todo(held)[0]
    waits = returned(used="0", void="waits")
    assert "Its tickets become void at the next look at SumUp's ledger, unless the order is paused." in facts(waits)
    assert "paypoll resume" in " ".join(todo(waits))
    assert not any("void" in fact for fact in facts(replace(waits, closed_at=NOW)))
    assert "If it is over the order's amount, it pays for the tickets" in todo(unread)[0]


def test_what_is_left_of_a_tip_is_not_said_to_have_gone_back() -> None:
    whole, part = returned(paid="27.00", charged_back="0"), returned(paid="27.00", charged_back="0", whole="no")
    assert "Of 27.00 GBP, 25.00 GBP was refunded: in full, but for 2.00 GBP of the tip." in facts(whole)
    assert "Of 27.00 GBP, 25.00 GBP was refunded: in part." in facts(part)
