"""Which payment fulfilled which order."""

from datetime import datetime

import sqlalchemy as sa

from paypoll.payments.matching import VerifiedPayment
from paypoll.payments.order import Fulfilment, Order
from paypoll.payments.override import OverriddenPayment
from paypoll.state.tables import fulfilment
from paypoll.statements import later

_SUMUP_IDS: sa.BindParameter[str] = sa.bindparam("sumup_ids", expanding=True)
SPENT = sa.select(fulfilment.c.checkout_id, fulfilment.c.transaction_id).where(
    fulfilment.c.order_id != sa.bindparam("order_id"),
    sa.or_(fulfilment.c.checkout_id.in_(_SUMUP_IDS), fulfilment.c.transaction_id.in_(_SUMUP_IDS)),
)
"""What has fulfilled another order than `order_id`, of the SumUp ids (checkouts, transactions) `sumup_ids`."""
_RECORD = later(sa.insert(fulfilment), joins=True)


def record_fulfilment(
    connection: sa.Connection,
    order: Order,
    payment: VerifiedPayment | OverriddenPayment,
    *,
    issued_by: str,
    run_id: str,
    now: datetime,
) -> Fulfilment:
    """Write down that this payment fulfilled this order, and return what goes into the order's payment columns.

    The transaction ends in an IntegrityError when the payment, or the order, was used before: the database refuses it.
    """
    done = Fulfilment(
        order_id=order.id,
        checkout_id=payment.checkout_id,
        order_transaction_id=payment.transaction_code or payment.checkout_id,
        paid_at=payment.paid_at or now,
        fulfilled_at=now,
        by_person=isinstance(payment, OverriddenPayment),
        transaction_id=payment.transaction_id,
    )
    row = {
        "order_id": done.order_id,
        "checkout_id": done.checkout_id,
        "transaction_id": payment.transaction_id or None,
        "transaction_code": payment.transaction_code or None,
        "order_transaction_id": done.order_transaction_id,
        "paid_at": done.paid_at,
        "amount": payment.amount,
        "currency": payment.currency,
        "merchant_code": payment.merchant_code,
        "issued_by": issued_by,
        "fulfilled_at": done.fulfilled_at,
        "run_id": run_id,
        "by_person": done.by_person,
        "order_number": order.number,
    }
    connection.execute(_RECORD, row)
    return done
