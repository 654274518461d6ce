"""Refunds whose transaction is to be looked at (`paypoll.state.refunds`).

Apart from it, because every run asks, and hardly one needs the rest.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from paypoll.state.tables import refund

LONGEST_PAUSE = timedelta(minutes=30)
"""No look at a refund is put off for longer than this."""


def is_refund_due(connection: sa.Connection, now: datetime) -> bool:
    """Say whether a run has a refund to look at."""
    return bool(connection.scalar(sa.select(any_refund_due(now))))


def any_refund_due(now: datetime) -> sa.ColumnElement[bool]:
    """Say for a query whether a run has a refund to look at."""
    return sa.exists(refund.c.id).where(_is_due(now))


def due_refunds(connection: sa.Connection, now: datetime, *, limit: int) -> Sequence[int]:
    """Return the ids of the refunds to be looked at, the longest waiting first."""
    query = sa.select(refund.c.id).where(_is_due(now)).order_by(refund.c.next_look_at, refund.c.id).limit(limit)
    return list(connection.scalars(query))


def _is_due(now: datetime) -> sa.ColumnElement[bool]:
    # One that is put off for longer than any pause was written under a clock that was ahead.
    return sa.or_(refund.c.next_look_at <= now, refund.c.next_look_at > now + LONGEST_PAUSE)
