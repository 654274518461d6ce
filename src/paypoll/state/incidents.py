"""Incidents that last (SumUp silent, mail server down): since when, and when the admins were told.

An incident is told when it has lasted for a while, most of them again every `alerts.remind_every`, and once more when
it is over.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from paypoll.clock import CLOCK_TOLERANCE
from paypoll.database import insert_unless_there
from paypoll.state.tables import trouble

_LONGEST_SLUG = 60
# A word with a digit in it, a path, an address: what differs from order to order.
_ONES_OWN = re.compile(r"\S*[\d/@]\S*")

# Built once: asked for with every mail that leaves.
_END = sa.delete(trouble).where(trouble.c.key == sa.bindparam("wanted")).returning(trouble.c.since, trouble.c.told_at)


def note_trouble(
    connection: sa.Connection,
    key: str,
    detail: str,
    now: datetime,
    *,
    tell_after: timedelta,
    remind_every: timedelta | None = None,
) -> bool:
    """Write down that a trouble is there. True when it has lasted for `tell_after` and nobody was told yet.

    True again when it was told of for the last time `remind_every` ago. The row is locked by the upsert's UPDATE, so
    of two runs one tells.
    """
    connection.execute(
        insert_unless_there(connection, trouble).values(key=key, since=now, last_seen_at=now, detail=detail)
    )
    # A beginning in the future was written while the clock was wrong.
    since = sa.case((trouble.c.since > now, now), else_=trouble.c.since)
    connection.execute(
        sa.update(trouble).where(trouble.c.key == key).values(since=since, last_seen_at=now, detail=detail)
    )
    untold = sa.and_(trouble.c.told_at.is_(None), trouble.c.since <= now - tell_after)
    if remind_every is not None:
        untold = sa.or_(untold, trouble.c.told_at <= now - remind_every, trouble.c.told_at > now + CLOCK_TOLERANCE)
    told = connection.execute(sa.update(trouble).where(trouble.c.key == key, untold).values(told_at=now))
    return told.rowcount == 1


def end_trouble(connection: sa.Connection, key: str) -> datetime | None:
    """Delete an incident that is over. Return since when it lasted, if the admins had been told of it."""
    row = connection.execute(_END, {"wanted": key}).first()
    return row.since if row is not None and row.told_at is not None else None


@dataclass(frozen=True, slots=True)
class Trouble:
    """A trouble that is there now. `told_at`: when admins were last told of it."""

    key: str
    since: datetime
    last_seen_at: datetime
    told_at: datetime | None
    detail: str


def open_troubles(connection: sa.Connection, *prefixes: str) -> list[Trouble]:
    """Return the troubles that are there now, the oldest first: all, or those whose key begins with one of these."""
    query = sa.select(
        trouble.c.key, trouble.c.since, trouble.c.last_seen_at, trouble.c.told_at, trouble.c.detail
    ).order_by(trouble.c.since, trouble.c.key)
    found = (Trouble(*row) for row in connection.execute(query))
    return [one for one in found if not prefixes or one.key.startswith(prefixes)]


def any_trouble(key: str | None = None) -> sa.ColumnElement[bool]:
    """Say for a query whether this trouble is there now; without a key, whether there is any."""
    return sa.exists(sa.select(trouble.c.key).where(trouble.c.key == key if key is not None else sa.true()))


def cause(detail: str) -> str:
    """Return what a trouble's key says of its cause: one that lasts must not hide another one that is new.

    Names of files, addresses, numbers of tickets and the like make no other cause.
    """
    slug = re.sub(r"[^a-z]+", "-", _ONES_OWN.sub("", detail).lower()).strip("-")
    digest = hashlib.sha256(slug.encode()).hexdigest()[:6]
    return f"{slug[:_LONGEST_SLUG].strip('-')}-{digest}"
