"""Whose is a payment that nobody has noted? Asked by what SumUp calls it, then by amount and hour."""

from collections.abc import Sequence

import sqlalchemy as sa

from paypoll.database import transaction
from paypoll.ledger.reading import UnansweredError
from paypoll.payments.gateway import CheckoutAnswer, Found, NotAllowed, NotFound, PaymentGateway
from paypoll.payments.ledger import LedgerPayment, numbers_in
from paypoll.state.owners import Candidate, find_candidates, named_order


def place(engine: sa.Engine, gateway: PaymentGateway, payment: LedgerPayment, references: Sequence[str]) -> int | None:
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
        if _holds(gateway, candidate, payment, references):
            return candidate.order_id
    return None


def _holds(gateway: PaymentGateway, candidate: Candidate, payment: LedgerPayment, references: Sequence[str]) -> bool:
    made = (pattern.replace("{order_number}", candidate.number) for pattern in references)
    for reference in dict.fromkeys((*candidate.references, *made)):
        look = gateway.find_checkouts(reference, payment.merchant_code)
        if isinstance(look, Found):
            if any(_is_of(checkout, payment) for checkout in look.value):
                return True
        elif not isinstance(look, NotFound | NotAllowed):
            raise UnansweredError(look)
    return False


def _is_of(checkout: CheckoutAnswer, payment: LedgerPayment) -> bool:
    return bool(checkout.payment_names & payment.names)
