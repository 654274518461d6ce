"""Whose is a payment that nobody has noted? Asked by what SumUp calls it, then by amount and hour."""

from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from paypoll.database import transaction
from paypoll.ledger.reading import Questions, UnansweredError
from paypoll.payments.gateway import CheckoutAnswer, Found, NotAllowed, NotFound
from paypoll.payments.ledger import LedgerPayment
from paypoll.payments.references import numbers_in
from paypoll.state.fee_payments import fee_candidates
from paypoll.state.owners import Candidate, find_candidates, named_order


def place(engine: sa.Engine, questions: Questions, payment: LedgerPayment, references: Sequence[str]) -> int | None:
    """Return the id of the order that the payment is of, None when nobody can say.

    An order of the same amount and hour is only asked about: it is the payment's if SumUp has it in a checkout of that
    order. `references` are the forms in which the shop makes references. Raise UnansweredError.
    """
    with transaction(engine) as connection:
        for text in (payment.foreign_id, payment.summary):
            found = named_order(connection, text, numbers_in(text, references)) if text else None
            if found is not None:
                return found
        candidates = find_candidates(connection, payment.net, payment.paid_at) if payment.paid_at else []
    for candidate in candidates:
        if _holds(questions, candidate, payment, references):
            return candidate.order_id
    return None


def place_on_fee(engine: sa.Engine, questions: Questions, payment: LedgerPayment, patterns: Sequence[str]) -> str:
    """Return the reference of the listing fee that SumUp has this payment under, of those of its amount; else nothing.

    Raise UnansweredError.
    """
    if payment.paid_at is None:
        return ""
    with transaction(engine) as connection:
        candidates = fee_candidates(connection, payment.net, payment.paid_at)
    for candidate in candidates:
        if _is_under(questions, payment, [pattern.replace("{fee_reference}", candidate) for pattern in patterns]):
            return candidate
    return ""


def _holds(questions: Questions, candidate: Candidate, payment: LedgerPayment, references: Sequence[str]) -> bool:
    made = (pattern.replace("{order_number}", candidate.number) for pattern in references)
    return _is_under(questions, payment, dict.fromkeys((*candidate.references, *made)))


def _is_under(questions: Questions, payment: LedgerPayment, references: Iterable[str]) -> bool:
    for reference in references:
        look = questions.find_checkouts(reference, payment.merchant_code)
        if isinstance(look, Found):
            if any(_is_of(checkout, payment) for checkout in look.value):
                return True
        elif not isinstance(look, NotFound | NotAllowed):
            raise UnansweredError(look)
    return False


def _is_of(checkout: CheckoutAnswer, payment: LedgerPayment) -> bool:
    return bool(checkout.payment_names & payment.names)
