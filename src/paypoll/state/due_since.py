"""What the dates of our rows mean: since when a row is due, and whether a run holds it.

The clock may be ahead, and the next run begin when it is right: nothing may wait until a date that was made up then.
"""

from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from paypoll.clock import CLOCK_TOLERANCE


def due_since_last_look(table: sa.Table, now: datetime) -> sa.ColumnElement[datetime | None]:
    """Say for an update since when what is to be looked at again is due: since the last look at it."""
    due = table.c.next_check_at
    return sa.func.coalesce(table.c.last_checked_at, sa.case((due <= now, due)), sa.literal(now, due.type))


def due_since_made(made: sa.ColumnElement[Any], now: sa.ColumnElement[datetime]) -> sa.ColumnElement[datetime]:
    """Say since when an order is due that is put on the list: since it was made."""
    return sa.case((made < now, made), else_=now)


def is_of_the_future(table: sa.Table, now: datetime) -> sa.ColumnElement[bool]:
    """Say what was last looked at under a clock that was ahead, and is right again: its dates mean nothing."""
    return table.c.last_checked_at > now + CLOCK_TOLERANCE


def is_free(table: sa.Table, now: datetime, lease: timedelta) -> sa.ColumnElement[bool]:
    """Say what no run holds. A lease that is longer than any was taken under a clock that was ahead."""
    until = table.c.lease_until
    return sa.or_(until.is_(None), until <= now, until > now + lease + CLOCK_TOLERANCE)
