"""Incidents that last (SumUp silent, mail server down): since when, and whether the admins were told.

An incident is told once when it has lasted for a while, and once more when it is over.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa

from paypoll.database import insert_unless_there
from paypoll.state.tables import trouble

# Built once: executed for every mail that is sent.
_END = sa.delete(trouble).where(trouble.c.key == sa.bindparam("wanted")).returning(trouble.c.since, trouble.c.told_at)


def note_trouble(connection: sa.Connection, key: str, detail: str, now: datetime, *, tell_after: timedelta) -> bool:
    """Record that an incident is there. True when it has lasted for `tell_after` and nobody was told yet.

    The row is locked by the upsert's UPDATE, so of two runs one tells.
    """
    connection.execute(
        insert_unless_there(connection, trouble).values(key=key, since=now, last_seen_at=now, detail=detail)
    )
    connection.execute(sa.update(trouble).where(trouble.c.key == key).values(last_seen_at=now, detail=detail))
    told = connection.execute(
        sa.update(trouble)
        .where(trouble.c.key == key, trouble.c.told_at.is_(None), trouble.c.since <= now - tell_after)
        .values(told_at=now)
    )
    return told.rowcount == 1


def end_trouble(connection: sa.Connection, key: str) -> datetime | None:
    """Delete an incident that is over. Return since when it lasted, if the admins had been told of it."""
    row = connection.execute(_END, {"wanted": key}).first()
    return row.since if row is not None and row.told_at is not None else None


def open_troubles(connection: sa.Connection, prefix: str = "") -> dict[str, str]:
    """Return the incidents that are there now, each with its detail."""
    rows = connection.execute(sa.select(trouble.c.key, trouble.c.detail).order_by(trouble.c.since))
    return {row.key: row.detail for row in rows if row.key.startswith(prefix)}
