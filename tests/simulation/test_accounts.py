"""The accounts seen to fail: a world in which all is well is tampered with afterwards, and the checker must see it."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
from tests.simulation.accounts import WINDOW, broken_accounts
from tests.simulation.kinds import Kind, draw_kinds, switched_on
from tests.simulation.mail_model import Delivered
from tests.simulation.promises import Books
from tests.simulation.stories import STORIES
from tests.simulation.weather import Weather
from tests.simulation.world import World

from paypoll.alerts.desk import AlertDesk

if TYPE_CHECKING:
    from tests.simulation.bench import Bench
    from tests.simulation.shop_model import Sold
    from tests.simulation.sumup_entries import RealCheckout

_CALM = Weather(
    crash=0.0,
    cut=0.0,
    lost_commit=0.0,
    told_to_stop=0.0,
    switch=0.0,
    sumup=0.0,
    smtp=0.0,
    disk=0.0,
    sumup_outage=range(0),
    smtp_outage=range(0),
    deeds=("hold",),
)
_TRIES = 20
_EVERY = frozenset({Kind.EVERY_PAYMENT})


def live_until(bench: "Bench", is_wanted: Callable[[Books, "Sold"], bool], first: int = 0) -> tuple[Books, "Sold"]:
    """Live through calm worlds until the accounts of one are in order and it has such an order. Return both.

    The `first` seed is one that had it once.
    """
    for seed in range(first, first + _TRIES):
        world = World(bench, seed, _CALM)
        world.live()
        world.kinds = _EVERY
        books = Books(world)
        for order in world.shop.sold.values():
            if is_wanted(books, order) and not list(broken_accounts(books)):
                return books, order
    raise AssertionError("no such order in any world")


def is_completed(books: Books, order: "Sold") -> bool:
    """Say whether an order was paid for, and has its tickets."""
    return books.orders[order.id][1] == "completed" and books.fulfilments[order.id][1] in books.world.sumup.checkouts


def is_a_case(books: Books, order: "Sold") -> bool:
    """Say whether an order waits for a person."""
    return bool(books.orders[order.id][1] == "requires_manual_review")


def has_expired(books: Books, order: "Sold") -> bool:
    """Say whether an order expired for good."""
    return bool(books.orders[order.id][1] == "expired")


def has_failed(books: Books, order: "Sold") -> bool:
    """Say whether a run took an order to failed, and it was never paid."""
    return bool(books.orders[order.id][1] == "failed")


def paid_again(books: Books, order: "Sold") -> "RealCheckout":
    """Pay an order once more, when everything is over."""
    second = books.world.sumup.open_checkout(f"JE-{order.number}", order.number, order.total)
    assert books.world.sumup.pay(second)
    assert second.payment is not None
    second.made_at = second.payment.at = order.created_at + timedelta(hours=10)
    return second


def tell_admins(books: Books, subject: str, text: str) -> None:
    """Put a mail into the admins' inbox."""
    books.world.mail.inbox.append(
        Delivered(books.world.tick(), "<1@shop.example>", subject, ("admin@shop.example",), text, ())
    )


def found(books: Books, promise: str) -> list[str]:
    """Return what the checker says about a promise."""
    return [what for name, what in broken_accounts(books) if name.startswith(promise)]


def test_accounts_second_payment_that_nobody_was_told_of_is_found(bench: "Bench") -> None:
    books, order = live_until(bench, is_completed)
    paid_again(books, order)
    assert len(found(books, "2 every payment")) == 1


def test_accounts_second_payment_that_was_told_or_went_back_is_in_order(bench: "Bench") -> None:
    books, order = live_until(bench, is_completed)
    told, returned = paid_again(books, order), paid_again(books, order)
    tell_admins(books, f"Order {order.number} was paid twice", f"Checkout {told.id} is PAID as well")
    books.world.sumup.give_back(returned.payment, returned.amount)
    assert not found(books, "2 every payment")


def test_accounts_payment_given_back_in_part_is_found(bench: "Bench") -> None:
    books, order = live_until(bench, is_completed)
    second = paid_again(books, order)
    books.world.sumup.give_back(second.payment, Decimal("0.01"))
    assert found(books, "2 every payment")


def test_accounts_mail_that_tells_of_no_payment_does_not_count(bench: "Bench") -> None:
    books, order = live_until(bench, is_completed)
    second = paid_again(books, order)
    for subject in ("expired unpaid", "has its tickets, and may be paid a second time"):
        tell_admins(books, f"Order {order.number} {subject}", f"It has another checkout, {second.id}")
    assert found(books, "2 every payment")
    tell_admins(books, f"Order {order.number} was paid twice", f"Checkout {second.id} is PAID as well")
    assert not found(books, "2 every payment")


def test_accounts_mail_about_another_payment_does_not_count(bench: "Bench") -> None:
    books, order = live_until(bench, is_completed)
    told, untold = paid_again(books, order), paid_again(books, order)
    tell_admins(books, f"Order {order.number} was paid twice", f"Checkout {told.id} is PAID as well")
    assert len(found(books, "2 every payment")) == 1
    # Told as another order's, it counts: if a checkout of that order shows it, and the mail names this one.
    shows_it = books.world.sumup.open_checkout("ORD-3000", "ORD-3000", order.total)
    tell_admins(books, "Order ORD-3000 needs a person: refunded", f"SumUp says PAID for checkout {shows_it.id}.")
    assert len(found(books, "2 every payment")) == 1
    shows_it.payment = untold.payment
    assert not found(books, "2 every payment")
    books.world.mail.inbox.pop()
    tell_admins(books, "Order ORD-3000 needs a person: refunded", f"SumUp says PAID for checkout {told.id}.")
    assert len(found(books, "2 every payment")) == 1


def test_accounts_case_without_a_checkout_tells_of_one_payment_only(bench: "Bench") -> None:
    books, order = live_until(bench, has_failed, first=9)
    paid_again(books, order)
    tell_admins(books, f"Order {order.number} needs a person: not found", "SumUp knows no checkout.")
    assert not found(books, "2 every payment")
    paid_again(books, order)
    assert len(found(books, "2 every payment")) == 1


def test_accounts_payment_after_the_window_is_nobodys_to_see(bench: "Bench") -> None:
    books, order = live_until(bench, is_completed)
    second = paid_again(books, order)
    assert second.payment is not None
    second.made_at = second.payment.at = order.created_at + WINDOW * 2
    assert not found(books, "2 every payment")
    books.world.shop.stored.add(second.id)  # the shop's own row is known, whenever it was made
    assert found(books, "2 every payment")


def test_accounts_tickets_against_their_transaction_are_found(bench: "Bench") -> None:
    books, order = live_until(bench, is_completed)
    paid = books.world.sumup.checkouts[books.fulfilments[order.id][1]].payment
    for what, other in {"amount": Decimal(1), "currency": "EUR", "merchant": "MOTHER", "simple_status": "x"}.items():
        right = getattr(paid, what)
        setattr(paid, what, other)
        assert found(books, "1 no ticket against the transaction")
        setattr(paid, what, right)
    assert not found(books, "1 no ticket against the transaction")


def test_accounts_tickets_while_the_money_was_on_its_way_back_are_found(bench: "Bench") -> None:
    books, order = live_until(bench, is_completed)
    paid = books.world.sumup.checkouts[books.fulfilments[order.id][1]].payment
    assert paid is not None
    paid.on_the_way.append((paid.tick, paid.amount, "SCHEDULED"))
    assert found(books, "1 no ticket against the transaction")


def test_accounts_order_that_ended_on_a_contradiction_is_found(bench: "Bench") -> None:
    books, _ = live_until(bench, has_failed, first=9)
    truth = books.world.sumup.said
    for said, attempts in (("PAID", ()), ("FAILED", ("SUCCESSFUL",)), ("FAILED", ("FAILED", "PENDING"))):
        books.world.sumup.said = [
            replace(one, found=said, attempts=attempts) if one.question in ("listed", "read") else one for one in truth
        ]
        assert found(books, "4 nothing ends on a contradiction")


def test_accounts_order_that_expired_while_it_was_open_is_found(bench: "Bench") -> None:
    books, order = live_until(bench, has_expired, first=1)
    truth = books.world.sumup.said
    books.world.sumup.said = [replace(one, found="PENDING") if one.question == "close" else one for one in truth]
    assert found(books, "4 nothing ends on a contradiction")
    books.world.sumup.said = [replace(one, at=order.created_at) for one in truth]  # asked, and ended, when it was new
    assert found(books, "4 nothing ends on a contradiction")


def test_accounts_old_evidence_is_found(bench: "Bench") -> None:
    books, _ = live_until(bench, is_completed)
    hour = timedelta(hours=1)
    books.world.sumup.said = [replace(one, at=one.at - hour) for one in books.world.sumup.said]
    assert found(books, "26a old evidence")


def test_accounts_case_of_a_right_payment_is_found(bench: "Bench") -> None:
    books, order = live_until(bench, is_a_case, first=1)
    for real in books.checkouts(order):
        real.amount, real.currency, real.merchant = order.total, "GBP", order.merchant
        if real.payment is not None:
            real.payment.amount, real.payment.currency, real.payment.merchant = order.total, "GBP", order.merchant
    assert found(books, "2 what mends itself is no case")


def test_accounts_basket_that_admins_hear_of_is_found(bench: "Bench") -> None:
    books, order = live_until(bench, is_completed)
    order.basket = True
    tell_admins(books, f"Order {order.number} needs a person: not found", "")
    assert len(found(books, "15b a basket is silent")) == 2


def test_accounts_tickets_of_an_order_that_was_seen_void_are_found(bench: "Bench") -> None:
    books, order = live_until(bench, is_completed)
    order.seen_void = True
    assert found(books, "24b what was void")


def test_accounts_order_that_a_wrong_clock_hid_is_found(bench: "Bench") -> None:
    books, order = live_until(bench, is_completed)
    order.kind = Kind.CLOCK_JUMPS
    paid = books.world.sumup.checkouts[books.fulfilments[order.id][1]].payment
    assert paid is not None
    books.world.cleared_at = paid.at + timedelta(seconds=1)
    books.world.sumup.said = [replace(one, at=one.at + timedelta(hours=5)) for one in books.world.sumup.said]
    assert found(books, "46 no clock")


def test_accounts_with_admins_told_of_no_order_are_seen_broken(bench: "Bench", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(AlertDesk, "tell_about_order", lambda *_: False)
    for seed in range(_TRIES):
        world = World(bench, seed, _CALM, _EVERY)
        world.live()
        if found(Books(world), "2 every payment"):
            return
    raise AssertionError("nobody noticed")


@pytest.mark.parametrize("kind", sorted(set(Kind) - _EVERY))
def test_kind_switched_on_alone_adds_its_stories_to_a_world(
    bench: "Bench", kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PAYPOLL_SIMULATION_KINDS", kind)
    kinds = draw_kinds(0, switched_on())
    assert kinds == {kind}
    assert kind in STORIES
    assert all(story.kind == kind for story in World(bench, 0, _CALM, kinds).stories)
