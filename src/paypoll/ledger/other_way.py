"""The other way round: what the orders say was paid, looked for in SumUp's ledger."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from paypoll.ledger.reading import with_details
from paypoll.payments.gateway import Found, NotFound, PaymentGateway
from paypoll.payments.ledger import FindingKind, LedgerPayment
from paypoll.state.astray import Kind, find_astray
from paypoll.state.findings import NewFinding
from paypoll.state.ledger import Cursor, Entry, Unlisted, find_unlisted

_LAG = timedelta(hours=1)
"""SumUp's list may lag behind its single answers."""

_MOST = 500
"""So many payments are asked for one by one in a sweep; where more are gone, something else is wrong."""


@dataclass(frozen=True, slots=True)
class Unseen:
    """A payment that completed an order, and that a sweep over its time has not met."""

    payment: Unlisted

    def asked(self, gateway: PaymentGateway) -> Entry | NewFinding | None:
        """Ask for it by its id: what is kept of it where SumUp knows it after all, else the finding.

        None when SumUp did not say.
        """
        one = self.payment
        look = gateway.read_transaction(one.transaction_id, one.merchant_code)
        if isinstance(look, Found):
            known = LedgerPayment(
                transaction_id=one.transaction_id,
                transaction_code=one.transaction_code,
                merchant_code=one.merchant_code,
                amount=one.amount,
                currency=one.currency,
                paid_at=one.paid_at,
            )
            return Entry.of(with_details(known, look.value), one.order_id)
        if not isinstance(look, NotFound):
            return None
        return NewFinding(
            kind=FindingKind.MISSING,
            merchant_code=one.merchant_code,
            amount=one.amount,
            currency=one.currency,
            transaction_id=one.transaction_id,
            transaction_code=one.transaction_code,
            order_id=one.order_id,
            order_number=one.order_number,
            detail={"paid_at": one.paid_at.isoformat()},
        )


def missing_payments(connection: sa.Connection, cursor: Cursor) -> list[Unseen]:
    """Return the payments from the time that this sweep lists that it has not met."""
    unlisted = find_unlisted(
        connection,
        cursor.merchant_code,
        cursor.since,
        cursor.began_at - _LAG,
        seen_since=cursor.began_at,
        limit=_MOST,
    )
    return [Unseen(one) for one in unlisted]


def unpaid_tickets(
    connection: sa.Connection,
    merchant_code: str,
    currency: str,
    now: datetime,
    since: datetime | None = None,
    until: datetime | None = None,
) -> list[NewFinding]:
    """Return the recent orders with tickets that admit, and that nobody paid (row 47); those of a period, if asked."""
    return [
        NewFinding(
            kind=FindingKind.TICKETS_UNPAID,
            merchant_code=merchant_code,
            amount=order.total,
            currency=currency,
            order_id=order.order_id,
            order_number=order.order_number,
            detail={"status": order.status, "tickets": str(order.tickets)},
        )
        for order in find_astray(connection, now)
        if Kind.UNPAID in order.kinds
        and now - order.created_at >= _LAG
        and (since is None or order.created_at >= since)
        and (until is None or order.created_at < until)
    ]
