"""Ask SumUp about one order until there is nothing left to ask. No database transaction is open meanwhile."""

from datetime import datetime

from paypoll.evidence import CloseCheckout, Evidence, FindCheckouts, Question, ReadCheckout, ReadTransaction
from paypoll.inquiry import next_questions
from paypoll.model import Order
from paypoll.policy import Policy
from paypoll.ports import PaymentGateway

_MOST_ROUNDS = 50


def verify(order: Order, gateway: PaymentGateway, policy: Policy, now: datetime, *, may_close: bool = True) -> Evidence:
    """Return SumUp's answers about the order. With `may_close` off, nothing is changed at SumUp either."""
    evidence = Evidence()
    for _ in range(_MOST_ROUNDS):
        questions = next_questions(order, evidence, policy, now)
        if not may_close:
            questions = tuple(question for question in questions if not isinstance(question, CloseCheckout))
        if not questions:
            return evidence
        for question in questions:
            evidence = _ask(gateway, question, evidence)
    raise RuntimeError(f"order {order.number}: the inquiry does not come to an end")


def _ask(gateway: PaymentGateway, question: Question, evidence: Evidence) -> Evidence:
    match question:
        case ReadCheckout(checkout_id, merchant_code):
            return evidence.with_read(question, gateway.read_checkout(checkout_id, merchant_code))
        case FindCheckouts(reference, merchant_code):
            return evidence.with_search(question, gateway.find_checkouts(reference, merchant_code))
        case ReadTransaction(transaction_id, merchant_code):
            return evidence.with_transaction(question, gateway.read_transaction(transaction_id, merchant_code))
        case CloseCheckout(checkout_id, merchant_code):
            return evidence.with_closing(question, gateway.close_checkout(checkout_id, merchant_code))
