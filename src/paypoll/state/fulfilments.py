"""Which payment fulfilled which order."""

from collections.abc import Iterable
from datetime import datetime

import sqlalchemy as sa

from paypoll.payments.matching import VerifiedPayment
from paypoll.payments.order import Fulfilment, Order
from paypoll.payments.override import OverriddenPayment
from paypoll.state.tables import fulfilment

_SUMUP_IDS: sa.BindParameter[str] = sa.bindparam("sumup_ids", expanding=True)
_SPENT = sa.select(fulfilment.c.checkout_id, fulfilment.c.transaction_id).where(
    fulfilment.c.order_id != sa.bindparam("order_id"),
    sa.or_(fulfilment.c.checkout_id.in_(_SUMUP_IDS), fulfilment.c.transaction_id.in_(_SUMUP_IDS)),
)


def spent_on_others(connection: sa.Connection, order_id: int, sumup_ids: Iterable[str]) -> frozenset[str]:
    """Return which of these SumUp ids (checkouts or transactions) have fulfilled another order."""
    wanted = list(sumup_ids)
    rows = connection.execute(_SPENT, {"order_id": order_id, "sumup_ids": wanted})
    return frozenset(sumup_id for row in rows for sumup_id in row if sumup_id in wanted)


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

    Raise IntegrityError when the payment, or the order, was used before: the database refuses it.
    """
    done = Fulfilment(
        order_id=order.id,
        checkout_id=payment.checkout_id,
        order_transaction_id=payment.transaction_code or payment.checkout_id,
        paid_at=payment.paid_at or now,
        fulfilled_at=now,
        by_person=isinstance(payment, OverriddenPayment),
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
    connection.execute(sa.insert(fulfilment), row)
    return done
