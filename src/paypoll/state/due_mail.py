"""Mail that is due: whether there is any, and taking it for a run, as a lease that expires by itself."""

from collections.abc import Collection
from datetime import datetime, timedelta
from enum import StrEnum

import sqlalchemy as sa

from paypoll.clock import CLOCK_TOLERANCE
from paypoll.state.due_since import is_free
from paypoll.state.outbox import ALERT, LONGEST_PAUSE, UNSENT, Mail
from paypoll.state.tables import outbox

# Never below: somebody may have said meanwhile that it counts as new.
_ONE_LESS = sa.case((outbox.c.attempts > 0, outbox.c.attempts - 1), else_=0)


class Whose(StrEnum):
    """Whose mail: what customers wait for, what admins are told, or both."""

    CUSTOMERS = "customers"
    ADMINS = "admins"
    ALL = "all"


def claim_mail(
    connection: sa.Connection,
    run_id: str,
    now: datetime,
    *,
    limit: int,
    lease: timedelta,
    whose: Whose,
    tried: bool,
) -> list[Mail]:
    """Take up to `limit` mails that are due, alerts before the others, and the oldest first.

    `tried`: those that were tried before, or those that were not. A row that another run has leased is not
    due, nor one whose next attempt is still to come.
    """
    due = (
        sa.select(outbox)
        .where(*_due(now), is_free(outbox, now, lease), _of(whose))
        .where(outbox.c.attempts > 0 if tried else outbox.c.attempts <= 0)
        .order_by((outbox.c.kind == ALERT).desc(), outbox.c.created_at, outbox.c.id)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    rows = list(connection.execute(due).mappings())
    if rows:
        connection.execute(
            sa.update(outbox)
            .where(outbox.c.id.in_([row["id"] for row in rows]))
            .values(lease_run=run_id, lease_until=now + lease, attempts=outbox.c.attempts + 1)
        )
    return [
        Mail(
            id=row["id"],
            order_id=row["order_id"],
            kind=row["kind"],
            recipients=tuple(row["recipients"]),
            content=row["content"],
            message_id=row["message_id"],
            created_at=row["created_at"],
            attempts=row["attempts"],
            lease_run=run_id,
            interrupted=row["state"] == "sending",
        )
        for row in rows
    ]


def hand_back(connection: sa.Connection, mails: Collection[Mail], run_id: str) -> None:
    """Give back mails that were claimed and not tried."""
    connection.execute(
        sa.update(outbox)
        .where(outbox.c.id.in_([mail.id for mail in mails]), outbox.c.lease_run == run_id)
        .values(lease_run=None, lease_until=None, attempts=_ONE_LESS)
    )


def is_any_due(connection: sa.Connection, now: datetime, whose: Whose = Whose.ALL) -> bool:
    """Say whether there is mail to deliver now."""
    return bool(connection.scalar(sa.select(any_mail_due(now, whose))))


def any_mail_due(now: datetime, whose: Whose = Whose.ALL) -> sa.ColumnElement[bool]:
    """Say for a query whether there is mail to deliver now."""
    return sa.exists(outbox.c.id).where(*_due(now), _of(whose))


def _due(now: datetime) -> tuple[sa.ColumnElement[bool], ...]:
    """Unsent, and its time has come; or it was posted or put off under a clock that was ahead.

    That shows by a time that lies further ahead than any pause, and by when it was posted, until it was tried twice:
    by then its pauses are those of a clock that is right. What was posted to leave at once waits for no time at all.
    """
    in_time = outbox.c.next_attempt_at <= now
    beyond = outbox.c.next_attempt_at > now + LONGEST_PAUSE
    of_the_future = sa.and_(outbox.c.attempts <= 1, outbox.c.created_at > now + CLOCK_TOLERANCE)
    at_once = sa.and_(outbox.c.attempts <= 0, outbox.c.next_attempt_at <= outbox.c.created_at)
    return outbox.c.state.in_(UNSENT), sa.or_(in_time, beyond, of_the_future, at_once)


def _of(whose: Whose) -> sa.ColumnElement[bool]:
    match whose:
        case Whose.CUSTOMERS:
            return outbox.c.kind != ALERT
        case Whose.ADMINS:
            return outbox.c.kind == ALERT
    return sa.true()
