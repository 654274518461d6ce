"""Ask SumUp about one order until there is nothing left to ask. No database transaction is open meanwhile."""

from collections.abc import Callable
from datetime import datetime
from enum import Enum, auto
from typing import TypeVar

from paypoll.payments.evidence import CloseCheckout, Evidence, FindCheckouts, Question, ReadCheckout, ReadTransaction
from paypoll.payments.gateway import CheckoutAnswer, CheckoutStatus, Found, Look, NotFound, PaymentGateway
from paypoll.payments.order import Order
from paypoll.payments.policy import Policy
from paypoll.payments.questions import Decide, next_questions
from paypoll.payments.rules import decide

_MOST_ROUNDS = 50

A = TypeVar("A")


class Closing(Enum):
    """What becomes of the question to close a checkout, the only one that changes something at SumUp."""

    ASK = auto()
    """It is asked: a run."""
    ASSUME = auto()
    """It is taken as granted, so that a dry run comes to what the run will most likely come to."""
    LEAVE = auto()
    """It is left out: a person decides first."""


def fetch_evidence(
    order: Order,
    gateway: PaymentGateway,
    policy: Policy,
    now: datetime,
    *,
    closing: Closing = Closing.ASK,
    on_paid: Callable[[], None] = lambda: None,
    rules: Decide = decide,
) -> Evidence:
    """Return SumUp's answers about the order. Nothing is changed at SumUp unless `closing` is ASK.

    `on_paid` is called as soon as one of its checkouts looks paid, while there is more to ask; perhaps several times.
    """
    evidence = Evidence(asked_at=now)
    for _ in range(_MOST_ROUNDS):
        questions = next_questions(order, evidence, policy, now, rules)
        if closing is Closing.LEAVE:
            questions = tuple(question for question in questions if not isinstance(question, CloseCheckout))
        if not questions:
            return evidence
        for question in questions:
            if closing is Closing.ASSUME and isinstance(question, CloseCheckout):
                evidence = evidence.with_assumed_closing(question)
            else:
                evidence = _ask(gateway, question, evidence)
            if isinstance(question, ReadCheckout) and _is_paid(evidence.reads.get(question.checkout_id)):
                on_paid()
    raise RuntimeError(f"order {order.number}: the inquiry does not come to an end")


def _ask(gateway: PaymentGateway, question: Question, evidence: Evidence) -> Evidence:
    match question:
        case ReadCheckout(checkout_id, merchant_codes):
            read = _ask_as_each(merchant_codes, lambda merchant_code: gateway.read_checkout(checkout_id, merchant_code))
            return evidence.with_read(question, read)
        case FindCheckouts(reference, merchant_code):
            return evidence.with_search(question, gateway.find_checkouts(reference, merchant_code))
        case ReadTransaction(transaction_id, merchant_code):
            return evidence.with_transaction(question, gateway.read_transaction(transaction_id, merchant_code))
        case CloseCheckout(checkout_id, merchant_codes):
            closed = _ask_as_each(merchant_codes, lambda code: gateway.close_checkout(checkout_id, code))
            return evidence.with_closing(question, closed)


def _is_paid(read: Look[CheckoutAnswer] | None) -> bool:
    return isinstance(read, Found) and read.value.status == CheckoutStatus.PAID


def _ask_as_each(merchant_codes: tuple[str, ...], ask: Callable[[str], A]) -> A | NotFound:
    """Return the first answer that is not 404, which may only mean "another merchant's"; the last one if all are."""
    answer: A | NotFound = NotFound("no merchant to ask as")
    for merchant_code in merchant_codes:
        answer = ask(merchant_code)
        if not isinstance(answer, NotFound):
            break
    return answer
