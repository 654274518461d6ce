"""Leases by name: who holds one, and until when by the database's clock, which is the same for all hosts."""

from datetime import datetime, timedelta

import sqlalchemy as sa

from paypoll.database import insert_unless_there
from paypoll.state.tables import lease


def take(connection: sa.Connection, name: str, holder: str, length: timedelta) -> bool:
    """Take a lease that nobody holds, or whose holder let it run out. Asks PostgreSQL only.

    So is one that ends later than two of its length: it was taken while the clock was ahead, which is right again.
    Two who want it at once meet at the row, and the second finds it taken.
    """
    until = _in(length)
    is_free = sa.or_(lease.c.until <= _now(), lease.c.until > _in(2 * length))
    free = sa.update(lease).where(lease.c.name == name, is_free)
    if connection.execute(free.values(holder=holder, until=until)).rowcount:
        return True
    new = insert_unless_there(connection, lease).values(name=name, holder=holder, until=until)
    return bool(connection.execute(new).rowcount)


def renew(connection: sa.Connection, name: str, holder: str, length: timedelta) -> bool:
    """Prolong a lease. False when somebody else has taken it meanwhile."""
    ours = sa.update(lease).where(lease.c.name == name, lease.c.holder == holder)
    return bool(connection.execute(ours.values(until=_in(length))).rowcount)


def give_back(connection: sa.Connection, name: str, holder: str) -> None:
    """Give a lease back before it runs out; nothing happens to one that somebody else has."""
    connection.execute(sa.delete(lease).where(lease.c.name == name, lease.c.holder == holder))


def _now() -> sa.ColumnElement[datetime]:
    return sa.func.clock_timestamp(type_=sa.DateTime(timezone=True))


def _in(length: timedelta) -> sa.ColumnElement[datetime]:
    return _now() + sa.literal(length, sa.Interval)
