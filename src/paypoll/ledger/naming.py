"""Which payment bought an order's tickets, where SumUp did not name it then: asked by the checkout."""

from collections.abc import Collection

import sqlalchemy as sa

from paypoll.database import transaction
from paypoll.ledger.reading import UnansweredError
from paypoll.payments.gateway import Found, NotAllowed, NotFound, PaymentGateway
from paypoll.state.unnamed import find_unnamed, give_name


def name_payments(engine: sa.Engine, gateway: PaymentGateway, order_ids: Collection[int]) -> bool:
    """Write down what SumUp calls the payments by now that completed these orders, and had no name; False if none has.

    Raise UnansweredError.
    """
    with transaction(engine) as connection:
        unnamed = find_unnamed(connection, order_ids)
    named = False
    for one in unnamed:
        look = gateway.read_checkout(one.checkout_id, one.merchant_code)
        if not isinstance(look, Found | NotFound | NotAllowed):
            raise UnansweredError(look)
        if isinstance(look, Found) and (paid_by := look.value.payment_ids - {one.checkout_id}):
            with transaction(engine) as connection:
                named |= give_name(connection, one, min(paid_by))
    return named
