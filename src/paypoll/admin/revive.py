"""Mails that were given up, or wait: which of them still say what is true, and how they are brought back."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from paypoll.errors import NotFoundError
from paypoll.mail.doubts import settle
from paypoll.state.due_since import is_free
from paypoll.state.outbox import ADDRESS_STANDS, ALERT, UNSENT, WITH_TICKETS
from paypoll.state.tables import outbox

_LATER = outbox.alias("later")
_IS_COPY = sa.and_(
    _LATER.c.order_id == outbox.c.order_id,
    _LATER.c.kind == outbox.c.kind,
    _LATER.c.kind != ALERT,
    _LATER.c.state == "sent",
    _LATER.c.id > outbox.c.id,
)
MADE_GOOD = sa.exists().where(_IS_COPY)
"""Says for a query whether a later mail of the kind has gone out to the order's customer."""


@dataclass(frozen=True, slots=True)
class KeptMail:
    """A mail that has not gone out. `busy`: a run has it at hand just now.

    `elsewhere`: it is for another address than the order's, as a person wanted it.
    """

    id: int
    order_id: int | None
    kind: str
    recipients: tuple[str, ...]
    state: str
    message_id: str
    busy: bool
    elsewhere: bool = False

    @property
    def is_confirmation(self) -> bool:
        """Whether tickets go with it."""
        return self.kind in WITH_TICKETS


def kept_mails(
    connection: sa.Connection, now: datetime, lease: timedelta, *states: str, order_id: int | None = None
) -> tuple[KeptMail, ...]:
    """Return the mails in these states, the oldest first; not those given up that another one has made good since.

    One that waits is tried in any case.
    """
    made_good = sa.and_(outbox.c.state.not_in(UNSENT), MADE_GOOD)
    query = sa.select(outbox, is_free(outbox, now, lease).label("free")).where(
        outbox.c.state.in_(states), sa.not_(made_good)
    )
    if order_id is not None:
        query = query.where(outbox.c.order_id == order_id, outbox.c.kind != ALERT)
    return tuple(
        KeptMail(
            id=row["id"],
            order_id=row["order_id"],
            kind=row["kind"],
            recipients=tuple(row["recipients"]),
            state=row["state"],
            message_id=row["message_id"],
            busy=not row["free"],
            elsewhere=row["content"].get(ADDRESS_STANDS) is True,
        )
        for row in connection.execute(query.order_by(outbox.c.id)).mappings()
    )


def why_not_kept(connection: sa.Connection, mail_id: int) -> str:
    """Return what there is to say of a mail that is not one of `kept_mails`, in a sentence.

    Raise NotFoundError when there is no such mail.
    """
    row = connection.execute(sa.select(outbox).where(outbox.c.id == mail_id)).mappings().first()
    if row is None:
        raise NotFoundError(
            f"there is no mail with the id {mail_id}; `paypoll mail list` shows what waits or was given up"
        )
    what = f"mail {mail_id}, the {row['kind'].replace('_', ' ')} to {', '.join(row['recipients']) or '(no address)'},"
    if row["state"] == "sent":
        return f"{what} has left: {row['sent_at']:%d %B %H:%M} UTC"
    if row["state"] == "withdrawn":
        return f"{what} was withdrawn" + (f": {row['last_error']}" if row["last_error"] else "")
    copy = sa.select(_LATER).select_from(outbox.join(_LATER, _IS_COPY)).where(outbox.c.id == mail_id)
    later = connection.execute(copy.order_by(_LATER.c.id.desc()).limit(1)).mappings().first()
    if later is None:
        return f"{what} is {row['state']}; look again in a minute"
    return (
        f"{what} was given up, and another one has made it good: mail {later['id']} to"
        f" {', '.join(later['recipients'])} left {later['sent_at']:%d %B %H:%M} UTC"
    )


def revive(connection: sa.Connection, mail: KeptMail, now: datetime, lease: timedelta) -> bool:
    """Let the mail be tried as if it were new, at once. Its Message-ID stays. False: a run has it at hand by now."""
    values = {"next_attempt_at": now, "attempts": 0, "last_error": None}
    if mail.state == "undeliverable":
        values |= {"state": "waiting", "lease_run": None, "lease_until": None}
    of_it = sa.update(outbox).where(outbox.c.id == mail.id, outbox.c.state == mail.state, is_free(outbox, now, lease))
    if connection.execute(of_it.values(values)).rowcount != 1:
        return False
    settle(connection, mail.id)
    return True
