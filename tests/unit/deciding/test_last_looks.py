"""The last look at an order: which look may be it, what it closes, and what is told because nobody asks any more."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from paypoll.payments.classify import assess, is_answer, searches_for
from paypoll.payments.decision import Decision, Outcome, Reason
from paypoll.payments.fetch import fetch_evidence
from paypoll.payments.gateway import BrokenAnswer, Found, NoAnswer, NotAllowed, NotFound, Refused, TransactionStatus
from paypoll.payments.gone import look_at_gone
from paypoll.payments.order import Fulfilment, Order, SeenCheckout
from paypoll.payments.rules import decide
from paypoll.payments.schedule import QUIET_LOOKS, next_look
from paypoll.testing import MERCHANT, NOW, FakeGateway, a_policy, an_answer, an_attempt, an_order

OVER = NOW - timedelta(hours=80)
GIVEN_UP = NOW - timedelta(days=31)
UNDER_WAY = an_attempt(status=TransactionStatus.PENDING)


def late(**changes: Any) -> Order:
    return an_order(**{"status": "failed", "created_at": OVER, "looked_at": OVER, **changes})


def look(order: Order, gateway: FakeGateway, **policy: Any) -> tuple[Decision, bool]:
    """Return what is decided with this look, and whether it may be the last."""
    settled = a_policy(**policy)
    evidence = fetch_evidence(order, gateway, settled, NOW)
    decision = decide(order, evidence, settled, NOW)
    return decision, is_answer(order, assess(order, evidence, settled), evidence, decision)


def sumup(status: str = "PENDING", closing: Any = None, **answer: Any) -> FakeGateway:
    gateway = FakeGateway(checkouts={"chk-1": Found(an_answer(status, **answer))})
    if closing is not None:
        gateway.closings["chk-1"] = closing
    return gateway


@pytest.mark.parametrize(
    ("gateway", "reason"),
    [
        (sumup(closing=NoAnswer("503")), Reason.NO_ANSWER),
        (sumup(closing=BrokenAnswer("a page", garbled=True)), Reason.NO_ANSWER),
        (sumup("A_NEW_ONE"), Reason.UNKNOWN_STATUS),
        (sumup("FAILED", answered_at=NOW - timedelta(hours=1)), Reason.CLOCKS_DIFFER),
    ],
    ids=["not closed", "garbled", "unknown", "clocks"],
)
def test_look_that_leaves_something_open_is_not_the_last(gateway: FakeGateway, reason: Reason) -> None:
    decision, is_last = look(late(), gateway)
    assert (decision.outcome, decision.reason, is_last) == (Outcome.UNCHANGED, reason, False)


@pytest.mark.parametrize("status", ["failed", "pending_verification"])
def test_row_19_look_up_by_reference_answered_404_says_nothing(status: str) -> None:
    gateway = sumup("FAILED")
    gateway.searches = dict.fromkeys(a_policy().references_of(an_order()), NotFound("SumUp answered 404"))
    decision, is_last = look(late(status=status), gateway)
    assert (decision.outcome, decision.reason, is_last) == (Outcome.UNCHANGED, Reason.NO_ANSWER, False)


def test_row_26b_gone_order_is_searched_for_at_every_merchant_where_it_was_seen() -> None:
    order = late(status="cancelled", checkouts=(), items=(), seen=(SeenCheckout("chk-1", "MORGANISER", "PENDING"),))
    assert {question.merchant_code for question in searches_for(order, a_policy())} == {"MORGANISER", MERCHANT}


def test_failed_checkout_is_closed_with_the_last_look_and_its_refusal_is_no_case() -> None:
    gateway = sumup("FAILED", Refused("409 CHECKOUT_PROCESSED"))
    assert look(late(), gateway)[0].reason is Reason.STILL_UNPAID
    assert ("close", "chk-1") in gateway.asked
    for order in (late(created_at=NOW - timedelta(hours=70)), late(looked_at=None)):  # not yet; and a first look
        early = sumup("FAILED")
        look(order, early)
        assert ("close", "chk-1") not in early.asked
    kept = sumup("FAILED")
    look(late(), kept, close_before_expiry=False)
    assert ("close", "chk-1") not in kept.asked


@pytest.mark.parametrize("status", ["cancelled", "refunded", "processing", "rejected"])
@pytest.mark.parametrize(
    "gateway",
    [sumup(closing=NotAllowed("")), sumup("FAILED", attempts=(UNDER_WAY,)), sumup("EXPIRED", attempts=(an_attempt(),))],
    ids=["not closed", "under way", "contradiction"],
)
def test_what_stays_open_of_an_order_that_gets_nothing_is_told_with_the_last_look(
    status: str, gateway: FakeGateway
) -> None:
    order = late(status=status)
    over = sumup(closing=NotAllowed(""), valid_until=NOW - timedelta(hours=1), answered_at=NOW)
    assert look(order, over)[0].notices == ()  # nobody can pay it any more
    if status == "rejected":
        order = late(status="requires_manual_review", rejected=True)
    decision, is_last = look(order, gateway)
    assert [notice.key for notice in decision.notices] == ["may_be_paid:chk-1"]
    assert (decision.reason, is_last) == (Reason.NOT_CLOSED, True)
    assert look(replace(order, created_at=NOW), gateway)[0].notices == ()


def test_open_review_is_a_persons_and_made_unpayable_with_the_last_look() -> None:
    order = late(status="requires_manual_review")
    assert look(order, sumup(closing=NotAllowed("")))[0].notices == ()
    gateway = sumup()
    assert look(order, gateway)[0].reason is Reason.SETTLED
    assert ("close", "chk-1") in gateway.asked


def test_gone_order_is_looked_at_until_it_cannot_be_paid_or_that_is_told() -> None:
    order = late(status="cancelled", checkouts=(), items=(), seen=(SeenCheckout("chk-1", MERCHANT, "PENDING"),))
    came_to = []
    for closing in (NoAnswer("503"), NotAllowed(""), None):
        evidence = fetch_evidence(order, sumup(closing=closing), a_policy(), NOW)
        gone = look_at_gone(order, evidence, a_policy(), NOW)
        came_to.append((bool(gone.open), gone.following is None))
    assert came_to == [(False, False), (True, True), (False, True)]


def test_gone_order_that_was_never_answered_about_is_told_when_it_is_given_up() -> None:
    seen = (SeenCheckout("chk-1", MERCHANT, "PENDING"),)
    order = late(status="cancelled", checkouts=(), items=(), seen=seen, created_at=GIVEN_UP, looked_at=OVER)
    silent = FakeGateway(checkouts={"chk-1": NotAllowed("")})

    def given_up(order: Order) -> tuple[list[str], bool]:
        gone = look_at_gone(order, fetch_evidence(order, silent, a_policy(), NOW), a_policy(), NOW)
        return list(gone.open), gone.following is None

    assert given_up(order) == (["chk-1"], True)
    assert given_up(replace(order, created_at=OVER)) == ([], False)


def test_gone_order_whose_payment_has_bought_another_is_looked_at_no_longer_than_others() -> None:
    order = late(status="cancelled", checkouts=(), items=(), seen=(SeenCheckout("chk-1", MERCHANT, "PAID"),))
    evidence = fetch_evidence(order, sumup("PAID"), a_policy(), NOW)
    looked = [
        look_at_gone(replace(order, spent_elsewhere=frozenset(spent)), evidence, a_policy(), NOW)
        for spent in ((), ("chk-1",))
    ]
    assert [(len(gone.payments), gone.following) for gone in looked] == [(1, None), (0, None)]


@pytest.mark.parametrize("status", ["cancelled", "requires_manual_review"])
def test_payment_that_was_told_is_not_told_again_because_its_transaction_can_never_be_read(status: str) -> None:
    paid = FakeGateway(checkouts={"chk-1": Found(an_answer("PAID"))}, transactions={"txn-1": NoAnswer("503")})
    order = late(created_at=GIVEN_UP, status=status, rejected=status != "cancelled")
    told = replace(order, seen=(SeenCheckout("chk-1", MERCHANT, "PAID", accounted=True),))

    def kinds(order: Order, gateway: FakeGateway = paid) -> list[str]:
        return [notice.kind.value for notice in look(order, gateway)[0].notices]

    assert "given_up" not in kinds(order)
    assert "given_up" not in kinds(told)
    paid.checkouts["chk-2"] = NoAnswer("503")
    also_silent = replace(told, seen=(*told.seen, SeenCheckout("chk-2", MERCHANT, "PENDING")))
    assert "given_up" in kinds(also_silent)


def test_last_look_that_was_never_answered_is_told_when_it_is_given_up() -> None:
    silent = FakeGateway(checkouts={"chk-1": NoAnswer("503")})

    def told(order: Order) -> list[str]:
        return [notice.kind.value for notice in look(order, silent)[0].notices]

    done = Fulfilment(1001, "chk-1", "TCODE1", GIVEN_UP, GIVEN_UP)
    assert told(late(created_at=GIVEN_UP)) == told(late(created_at=GIVEN_UP, status="cancelled")) == ["given_up"]
    assert told(late(created_at=GIVEN_UP, status="pending")) == ["given_up"]
    for order in (
        late(),
        late(created_at=GIVEN_UP, looked_at=None),  # nobody has tried before: paypoll was off for a month
        late(created_at=GIVEN_UP, looked_at=GIVEN_UP),
        late(created_at=GIVEN_UP, status="requires_manual_review"),
        late(created_at=GIVEN_UP, status="completed", fulfilment=done),
    ):
        assert told(order) == []


def test_row_05b_basket_whose_buyer_was_declined_just_now_has_not_had_its_last_look() -> None:
    basket, just_now = late(status="pending"), NOW - timedelta(minutes=2)
    declined = sumup("FAILED", attempts=(an_attempt(status=TransactionStatus.FAILED, timestamp=just_now),))
    decision, is_last = look(basket, declined)
    assert (decision.reason, is_last) == (Reason.RETRYING, False)


def test_row_15b_basket_with_a_checkout_that_sumup_does_not_know_is_asked_for_again_in_silence() -> None:
    """All of its looks may have been made with the key of another account (48)."""
    denied = FakeGateway(checkouts={"chk-1": NotFound("404")})
    for made in (OVER, GIVEN_UP):
        decision, is_last = look(late(status="pending", created_at=made), denied)
        assert (decision.reason, decision.notices, is_last) == (Reason.ABANDONED, (), False)
    assert look(late(status="pending", checkouts=()), denied)[1]


@pytest.mark.parametrize("status", ["failed", "expired", "requires_manual_review", "completed"])
def test_order_that_changes_with_the_last_look_gets_one_more(status: str) -> None:
    waiting = late(status="pending_verification")
    again = next_look(waiting, a_policy(), NOW, status=status, outstanding=False, answered=True)
    assert again == NOW + QUIET_LOOKS[0]
    left = replace(waiting, status=status)
    assert next_look(left, a_policy(), NOW, status=status, outstanding=False, answered=True) is None
