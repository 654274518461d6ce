"""Since when an order or a listing fee is due that is to be looked at in the next run.

Not since now: the clock may be ahead, and the next run begin when it is right.
"""

from datetime import datetime
from typing import Any

import sqlalchemy as sa


def due_since_last_look(table: sa.Table, now: datetime) -> sa.ColumnElement[datetime | None]:
    """Say for an update since when what is to be looked at again is due: since the last look at it."""
    due = table.c.next_check_at
    return sa.func.coalesce(table.c.last_checked_at, sa.case((due <= now, due)), sa.literal(now, due.type))


def due_since_made(made: sa.ColumnElement[Any], now: sa.ColumnElement[datetime]) -> sa.ColumnElement[datetime]:
    """Say since when an order is due that is put on the list: since it was made."""
    return sa.case((made < now, made), else_=now)
