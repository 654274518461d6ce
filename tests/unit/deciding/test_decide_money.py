"""What an audit of the money's way turned up: cases that no row of the table names, and that must not buy tickets."""

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from paypoll.payments.decision import Outcome, Reason
from paypoll.payments.fetch import fetch_evidence
from paypoll.payments.gateway import BrokenAnswer, Found, NoAnswer
from paypoll.payments.order import Order
from paypoll.payments.rules import decide
from paypoll.testing import NOW, FakeGateway, a_policy, a_transaction, an_answer, an_attempt, an_order

STATUSES = ("pending", "pending_verification", "failed", "expired")


def gateway(**answer: Any) -> FakeGateway:
    said = an_answer(**answer)
    return FakeGateway(checkouts={said.id: Found(said)}, transactions={"txn-1": Found(a_transaction())})


def outcome(order: Order, sumup: FakeGateway) -> tuple[Outcome, Reason, int]:
    decision = decide(order, fetch_evidence(order, sumup, a_policy(), NOW), a_policy(), NOW)
    return decision.outcome, decision.reason, len(decision.notices)


@pytest.mark.parametrize("status", STATUSES)
def test_payment_of_nothing_for_an_order_of_nothing_buys_no_tickets(status: str) -> None:
    free = an_order(status=status, total=Decimal("0.00"))
    nothing = gateway(amount=Decimal(0), attempts=(an_attempt(amount=Decimal(0)),))
    nothing.transactions["txn-1"] = Found(a_transaction(amount=Decimal(0)))
    assert outcome(free, nothing) == (Outcome.REVIEW, Reason.NOTHING_TO_PAY, 1)


@pytest.mark.parametrize("status", STATUSES)
def test_total_that_is_no_number_is_a_case_and_not_an_error(status: str) -> None:
    kind, _, told = outcome(an_order(status=status, total=Decimal("NaN")), gateway())
    assert (kind, told) == (Outcome.REVIEW, 1)


def test_attempt_that_paid_for_another_order_buys_no_tickets_under_a_new_transaction_id() -> None:
    clever = gateway(transaction_id="txn-new", attempts=(an_attempt(id="txn-1"),))
    clever.transactions["txn-new"] = Found(a_transaction(id="txn-new"))
    order = replace(an_order(), spent_elsewhere=frozenset({"txn-1"}))
    assert outcome(order, clever)[:2] == (Outcome.REVIEW, Reason.SPENT_ELSEWHERE)


@pytest.mark.parametrize("status", [*STATUSES, "cancelled"])
@pytest.mark.parametrize(
    ("look", "reason", "told"),
    [
        (BrokenAnswer("a REFUND event has no amount"), Reason.BROKEN_ANSWER, 1),
        (BrokenAnswer("the answer is not JSON", garbled=True), Reason.NO_ANSWER, 0),
        (NoAnswer("timed out"), Reason.NO_ANSWER, 0),
    ],
    ids=["broken", "garbled", "silent"],
)
def test_refund_that_sumup_tells_of_in_a_way_that_cannot_be_read_is_told_of(
    status: str, look: BrokenAnswer | NoAnswer, reason: Reason, told: int
) -> None:
    """A pending or late order is looked at for some days only: nobody else would ever hear of its money."""
    sumup = gateway()
    sumup.transactions["txn-1"] = look
    assert outcome(an_order(status=status), sumup) == (Outcome.UNCHANGED, reason, told)
