"""No combination of inputs that is not a complete match ever leads to tickets, and every input has an outcome."""

import itertools
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar

from hypothesis import given, settings
from hypothesis import strategies as st

from paypoll.payments.classify import searches_for
from paypoll.payments.decision import Outcome
from paypoll.payments.evidence import CloseCheckout, Evidence, FindCheckouts, ReadCheckout, ReadTransaction
from paypoll.payments.gateway import (
    BrokenAnswer,
    CheckoutAnswer,
    Closing,
    Found,
    NoAnswer,
    NotAllowed,
    NotFound,
    Refused,
    TransactionAnswer,
)
from paypoll.payments.order import Fulfilment, Order, Ticket
from paypoll.payments.order_statuses import WATCHED, OrderStatus
from paypoll.payments.policy import Policy
from paypoll.payments.questions import next_questions
from paypoll.payments.rules import decide
from paypoll.testing import (
    MERCHANT,
    NOW,
    a_checkout,
    a_policy,
    a_transaction,
    an_answer,
    an_attempt,
    an_event,
    an_item,
    an_order,
)

T = TypeVar("T")
IDS = ("chk-1", "chk-2", "chk-3")
EXAMPLES = settings().max_examples  # of the profile


def mostly(usual: T, *odd: T) -> st.SearchStrategy[T]:
    """Draw the usual value nearly always: a complete match must be common, or the properties would be empty."""
    return st.sampled_from([usual] * 14 * len(odd) + list(odd))


AMOUNTS = mostly(
    Decimal("25.00"),
    *(Decimal(text) for text in ("25", "25.000", "24.99", "25.01", "25.001", "2500", "0", "1E+40", "25.00000001")),
)
MERCHANTS = mostly(MERCHANT, "MOTHER", "")
CURRENCIES = mostly("GBP", "EUR", "gbp", "")

attempts = st.builds(
    an_attempt,
    id=mostly("txn-1", "txn-2", ""),
    status=mostly("SUCCESSFUL", "FAILED", "PENDING", ""),
    amount=mostly(Decimal("25.00"), None, Decimal("24.00"), Decimal("26.00")),
    currency=CURRENCIES,
    merchant_code=MERCHANTS,
    tip_amount=mostly(Decimal(0), Decimal(1)),
    timestamp=mostly(NOW, None),
)
one_attempt = attempts.map(lambda attempt: (attempt,))
# What the checkout says of itself must be held against the order, also where its attempt has nothing to add.
silent_attempt = st.just((an_attempt(amount=None, currency="", merchant_code=""),))


# Made once for each id: a strategy that is made in every draw takes longer than what is drawn from it.
@cache
def answers(checkout_id: str) -> st.SearchStrategy[CheckoutAnswer]:
    return st.builds(
        an_answer,
        st.sampled_from(["PAID"] * 6 + ["PENDING", "FAILED", "EXPIRED", "paid", "NEW", ""]),
        id=st.just(checkout_id),
        reference=mostly("ORD-1001", "hosted_order_ORD-1001", "ORD-1002", ""),
        amount=AMOUNTS | mostly(Decimal("25.00"), None),
        currency=CURRENCIES,
        merchant_code=MERCHANTS,
        transaction_id=mostly("txn-1", ""),
        attempts=st.one_of(one_attempt, one_attempt, silent_attempt, st.lists(attempts, max_size=2).map(tuple)),
    )


FAILURES = (NotFound(), NotAllowed("", "no"), NoAnswer("late"), BrokenAnswer("odd"))
CLOSINGS: list[Closing] = [Refused(), *FAILURES]
failures = mostly(None, *FAILURES)
closings = st.sampled_from(CLOSINGS)
asked = mostly(True, False)
found = st.one_of(st.just(()), st.sampled_from(IDS).flatmap(answers).map(lambda answer: (answer,)))
transactions = st.builds(
    a_transaction,
    status=mostly("SUCCESSFUL", "FAILED", ""),
    refunded=mostly(Decimal(0), Decimal(1), Decimal(25)),
    charged_back=mostly(Decimal(0), Decimal(25)),
)
tickets = st.lists(
    st.builds(
        Ticket,
        st.integers(1, 9),
        st.just("T"),
        mostly(7, 8),
        mostly("valid", "used", "refunded"),
    ),
    min_size=1,
    max_size=3,
).map(tuple)
events = st.builds(
    an_event,
    status=mostly("published", "cancelled", "completed"),
    starts_on=mostly(an_event().starts_on, NOW.date() - timedelta(days=1)),
    issued=mostly(0, None, 99),
)
items = st.lists(st.builds(an_item, event=events | events | st.none(), quantity=mostly(2, 0, 101)), max_size=2).map(
    tuple
)
orders = st.builds(
    an_order,
    status=st.sampled_from(
        [*WATCHED, OrderStatus.PENDING_VERIFICATION, OrderStatus.COMPLETED, OrderStatus.REVIEW, "odd"]
    ),
    total=mostly(Decimal("25.00"), Decimal(0), Decimal("24.99")),
    is_paid=st.booleans(),
    created_at=st.sampled_from([NOW, NOW - timedelta(hours=3), NOW + timedelta(days=1)]),
    items=st.one_of(st.just((an_item(),)), st.just((an_item(),)), items),
    checkouts=mostly(
        (a_checkout(),),
        (),
        (a_checkout(checkout_ids=()),),
        (a_checkout(currency="EUR"),),
        (a_checkout(merchant_code=""),),
        (a_checkout(), a_checkout(id=501, checkout_ids=("chk-2", "chk-3"))),
    )
    | st.just((a_checkout(), a_checkout(id=501, checkout_ids=("chk-2", "chk-3")))),
    tickets=st.one_of(st.just(()), st.just(()), tickets),
    had_refund=mostly(False, True),
    was_void=mostly(False, True),
    rejected=mostly(False, True),
    fulfilment=st.one_of(st.none(), st.none(), st.just(Fulfilment(1001, "chk-1", "TCODE1", NOW, NOW))),
    missing_checks=st.integers(0, 2),
    spent_elsewhere=mostly(frozenset[str](), frozenset({"chk-1"}), frozenset({"txn-1"})),
)
policies = st.builds(
    a_policy,
    merchant_code=mostly(MERCHANT, ""),
    create_guest_accounts=mostly(True, False),
    close_before_expiry=st.booleans(),
)


@st.composite
def evidences(draw: st.DrawFn, order: Order, policy: Policy) -> Evidence:
    def look(good: st.SearchStrategy[Any]) -> Any:
        failure = draw(failures)
        return failure if failure is not None else Found(draw(good))

    reads = {i: look(answers(i)) for i in IDS if draw(asked)}
    searches = {question: look(found) for question in searches_for(order, policy) if draw(asked)}
    told = {i: look(transactions) for i in IDS if draw(asked)}
    closed = {i: draw(closings) for i in IDS if draw(st.booleans())}
    return Evidence(reads=reads, searches=searches, transactions=told, closings=closed)


def is_complete_match(order: Order, evidence: Evidence, policy: Policy) -> bool:
    """Say again, in other words than the program's, what a payment of this order is."""
    for checkout_id, look in evidence.reads.items():
        match look:
            case Found(CheckoutAnswer(status="PAID") as answer) if answer.currency in {"GBP", "gbp"}:
                pass
            case _:
                continue
        rows = [row for row in order.checkouts if checkout_id in row.checkout_ids]
        merchants = {row.merchant_code for row in rows} - {""} or {policy.merchant_code} - {""}
        successes = [attempt for attempt in answer.attempts if attempt.status == "SUCCESSFUL"]
        told = evidence.transactions.get(checkout_id)
        if isinstance(told, Found) and not _is_the_record_of(told.value, answer):
            continue
        if isinstance(told, Found) and not answer.attempts and told.value.status == "SUCCESSFUL":
            successes = [an_attempt(amount=None, currency="", merchant_code="")]  # 1a: the record says it by itself
        if (
            answer.amount == order.total
            and policy.currency == "GBP"
            and all(row.currency == "GBP" for row in rows)
            and answer.merchant_code in merchants
            and answer.reference in {"ORD-1001", "hosted_order_ORD-1001", "order_ORD-1001", "JE-ORD-1001"}
            and len(successes) == 1
            and successes[0].amount in (None, order.total + successes[0].tip_amount)
            and successes[0].currency in ("", "GBP", "gbp")
            and successes[0].merchant_code in ("", answer.merchant_code)
        ):
            return True
    return False


def _is_the_record_of(transaction: TransactionAnswer, answer: CheckoutAnswer) -> bool:
    """Say again, in other words, that a transaction is the sound record of a checkout's payment (9 to 9d)."""
    zero = Decimal(0)
    sums = {
        (answer.amount or zero) + tip
        for tip in (zero, transaction.tip_amount, *(a.tip_amount for a in answer.attempts))
    }
    return (
        transaction.status in {"SUCCESSFUL", "ABSENT"}
        and transaction.simple_status in {"SUCCESSFUL", "ABSENT"}
        and transaction.amount in {None, *sums}
        and transaction.currency in ("", "GBP")
        and transaction.merchant_code in ("", answer.merchant_code)
        and not (transaction.refunded or transaction.charged_back or transaction.returning)
    )


@settings(max_examples=300, deadline=None)
@given(st.data(), orders, policies)
def test_tickets_are_issued_only_on_a_complete_match(data: st.DataObject, order: Order, policy: Policy) -> None:
    evidence = data.draw(evidences(order, policy))
    decision = decide(order, evidence, policy, NOW)
    if decision.outcome in {Outcome.COMPLETE, Outcome.RESTORE}:
        assert is_complete_match(order, evidence, policy)
        assert not order.had_refund
        assert not order.was_void
        assert not order.rejected
        assert order.status in {"pending", "pending_verification", "failed", "expired"}
        assert decision.payment is not None
        assert decision.payment.checkout_id not in order.spent_elsewhere
    if decision.outcome is Outcome.COMPLETE:
        assert not order.tickets
        assert order.fulfilment is None
        assert order.items
        assert all(item.event is not None and 1 <= item.quantity <= 100 for item in order.items)


@settings(max_examples=EXAMPLES * 5 // 2)
@given(st.data(), orders, policies)
def test_expiry_rests_on_definite_answers_alone(data: st.DataObject, order: Order, policy: Policy) -> None:
    evidence = data.draw(evidences(order, policy))
    decision = decide(order, evidence, policy, NOW)
    if decision.outcome in {Outcome.EXPIRE, Outcome.FAIL}:
        ids = [i for row in order.checkouts for i in row.checkout_ids]
        assert all(isinstance(evidence.reads.get(i), Found | NotFound) for i in ids)
        assert all(isinstance(evidence.searches.get(q), Found | NotFound) for q in searches_for(order, policy))
        known = [look.value.status for look in evidence.reads.values() if isinstance(look, Found)]
        assert known
        assert order.status == "pending_verification"


@settings(max_examples=EXAMPLES * 2)
@given(st.data(), orders, policies)
def test_the_inquiry_ends_whatever_sumup_answers(data: st.DataObject, order: Order, policy: Policy) -> None:
    evidence = Evidence()
    for step in itertools.count():
        questions = next_questions(order, evidence, policy, NOW)
        if not questions:
            break
        assert step < 30
        supply = data.draw(evidences(order, policy))
        for question in questions:
            match question:
                case ReadCheckout(checkout_id):
                    evidence = evidence.with_read(question, supply.reads.get(checkout_id, NotFound()))
                case FindCheckouts():
                    evidence = evidence.with_search(question, supply.searches.get(question, Found(())))
                case ReadTransaction(checkout_id=checkout_id):
                    evidence = evidence.with_transaction(question, supply.transactions.get(checkout_id, NotFound()))
                case CloseCheckout(checkout_id):
                    evidence = evidence.with_closing(question, supply.closings.get(checkout_id, Refused()))


@given(orders, policies, st.datetimes(timezones=st.just(UTC)))
def test_without_any_evidence_nothing_moves(order: Order, policy: Policy, when: datetime) -> None:
    decision = decide(order, Evidence(), policy, when)
    assert decision.outcome in {Outcome.UNCHANGED, Outcome.REVIEW}
    if decision.outcome is Outcome.REVIEW:
        assert order.total <= 0
