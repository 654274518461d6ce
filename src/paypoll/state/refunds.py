"""Refunds as they are written down: before SumUp is asked, and after each step.

Whoever moves a row says from which state, so that of two who carry the same refund on, a run and a person, one alone
sends its request and one alone writes its end.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from paypoll.payments.refunding import OPEN, RefundIntent, RefundState, Standing
from paypoll.state.due_refunds import LONGEST_PAUSE
from paypoll.state.tables import refund

LOOK_EVERY = timedelta(minutes=1)
"""No run looks again sooner: the timer may fire every minute, and whoever wrote the row down may still be at it."""


def write_down(connection: sa.Connection, wanted: RefundIntent, now: datetime) -> RefundIntent | None:
    """Write a new refund down and return it with its id. None when another of its transaction is open."""
    row = {
        "order_id": wanted.order_id,
        "order_number": wanted.order_number,
        "checkout_id": wanted.checkout_id,
        "transaction_id": wanted.transaction_id,
        "merchant_code": wanted.merchant_code,
        "amount": wanted.amount,
        "currency": wanted.currency,
        "tickets": list(wanted.tickets),
        "beside": wanted.beside,
        "who": wanted.who,
        "reason": wanted.reason,
        "state": RefundState.INTENDED.value,
        "refunded_before": wanted.before.refunded,
        "charged_back_before": wanted.before.charged_back,
        "returning_before": wanted.before.returning,
        "failed_before": wanted.before.failed,
        "created_at": now,
        "changed_at": now,
        "next_look_at": now + LOOK_EVERY,
    }
    try:
        with connection.begin_nested():
            written = connection.execute(sa.insert(refund).values(row).returning(refund)).one()
    except IntegrityError:
        return None
    return _intent(written)


def load_refund(connection: sa.Connection, refund_id: int) -> RefundIntent:
    """Return the refund as it stands."""
    return _intent(connection.execute(sa.select(refund).where(refund.c.id == refund_id)).one())


def refunds_of(connection: sa.Connection, order_id: int, order_number: str) -> tuple[RefundIntent, ...]:
    """Return the refunds of this order, the oldest first. A shop that was restored gives ids out again."""
    own = (refund.c.order_id == order_id, refund.c.order_number == order_number)
    return tuple(map(_intent, connection.execute(sa.select(refund).where(*own).order_by(refund.c.id))))


def open_refunds(connection: sa.Connection) -> tuple[RefundIntent, ...]:
    """Return the refunds that were begun and have not ended, the oldest first."""
    still_open = refund.c.state.in_(sorted(OPEN))
    return tuple(map(_intent, connection.execute(sa.select(refund).where(still_open).order_by(refund.c.id))))


def begin_sending(connection: sa.Connection, refund_id: int, now: datetime) -> bool:
    """Write down that the request may be sent from now on. True for one caller alone, who then sends it."""
    return _move(connection, refund_id, RefundState.INTENDED, now, state=RefundState.ASKED.value, changed_at=now)


def end(
    connection: sa.Connection, refund_id: int, before: RefundState, after: RefundState, note: str, now: datetime
) -> bool:
    """Write down how an open refund ended. False when it is not in the state `before` any more."""
    ended = {"state": after.value, "changed_at": now, "next_look_at": None, "note": note}
    return _move(connection, refund_id, before, now, **ended)


def note_look(connection: sa.Connection, intent: RefundIntent, note: str, now: datetime, *, told: bool) -> None:
    """Write down a look that led to no end. The next is the later, the longer it lasts."""
    pause = max(LOOK_EVERY, min((now - intent.changed_at) / 10, LONGEST_PAUSE))
    _move(
        connection,
        intent.id,
        intent.state,
        now,
        note=note,
        next_look_at=now + pause,
        told=sa.or_(refund.c.told, sa.literal(told)),
        # One of the future was written while the clock was wrong: it lasts from now on.
        changed_at=sa.case((refund.c.changed_at > now, now), else_=refund.c.changed_at),
    )


def _move(connection: sa.Connection, refund_id: int, before: RefundState, now: datetime, **values: object) -> bool:
    values = {"next_look_at": now + LOOK_EVERY, **values}
    still = (refund.c.id == refund_id, refund.c.state == before.value)
    return connection.execute(sa.update(refund).where(*still).values(values)).rowcount == 1


def _intent(row: sa.Row[tuple[object, ...]]) -> RefundIntent:
    fields = row._mapping  # noqa: SLF001 - SQLAlchemy's public name for it
    return RefundIntent(
        id=fields["id"],
        order_id=fields["order_id"],
        order_number=fields["order_number"],
        checkout_id=fields["checkout_id"],
        transaction_id=fields["transaction_id"],
        merchant_code=fields["merchant_code"],
        amount=fields["amount"],
        currency=fields["currency"],
        tickets=tuple(fields["tickets"]),
        beside=fields["beside"],
        who=fields["who"],
        reason=fields["reason"],
        state=RefundState(fields["state"]),
        before=Standing(
            fields["refunded_before"],
            fields["charged_back_before"],
            fields["returning_before"],
            fields["failed_before"],
        ),
        created_at=fields["created_at"],
        changed_at=fields["changed_at"],
        told=fields["told"],
        note=fields["note"],
    )
