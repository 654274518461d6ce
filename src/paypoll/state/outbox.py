"""The outbox: mail that is committed with the state it reports, and sent afterwards.

A row goes waiting -> sending -> sent. It is marked as `sending` before the mail server is given it: a row found
in that state after its lease has expired was cut off, may have arrived, and is sent again with the same Message-ID.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from paypoll.database import insert_unless_there
from paypoll.state.tables import outbox

_PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 3, 5, 10, 15, 30, 60))
_CLOCK_TOLERANCE = timedelta(minutes=10)
UNSENT = ("waiting", "sending")

# Built once, not for every mail.
_WANTED = outbox.c.id == sa.bindparam("wanted")
_OURS = (outbox.c.lease_run == sa.bindparam("holder"), outbox.c.state.in_(UNSENT))
_BEGIN_SENDING = (
    sa.update(outbox)
    .where(_WANTED, *_OURS)
    .values(
        state="sending",
        maybe_twice=sa.or_(outbox.c.maybe_twice, sa.bindparam("interrupted", type_=outbox.c.maybe_twice.type)),
    )
)
_GIVE_BACK = sa.update(outbox).where(_WANTED).values(lease_run=None, lease_until=None)
_WITHDRAW = (
    sa.update(outbox)
    .where(
        outbox.c.order_id == sa.bindparam("wanted"),
        outbox.c.kind.in_(sa.bindparam("kinds", expanding=True)),
        outbox.c.state == "waiting",
    )
    .values(state="withdrawn", lease_run=None, lease_until=None)
)


@dataclass(frozen=True, slots=True)
class Mail:
    """A row of the outbox that this run has claimed. `interrupted`: an earlier run was cut off while sending it."""

    id: int
    order_id: int | None
    kind: str
    recipients: tuple[str, ...]
    content: Mapping[str, Any]
    message_id: str
    created_at: datetime
    attempts: int
    lease_run: str
    interrupted: bool


def post(
    connection: sa.Connection,
    *,
    kind: str,
    dedupe_key: str,
    recipients: Sequence[str],
    content: Mapping[str, Any],
    message_id: str,
    now: datetime,
    order_id: int | None = None,
    topic: str | None = None,
) -> bool:
    """Put a mail into the outbox, in the caller's transaction. False when its dedupe key was posted before."""
    row = {
        "order_id": order_id,
        "kind": kind,
        "topic": topic,
        "dedupe_key": dedupe_key,
        "recipients": list(recipients),
        "content": dict(content),
        "state": "waiting",
        "message_id": message_id,
        "created_at": now,
        "next_attempt_at": now,
    }
    return connection.scalar(insert_unless_there(connection, outbox).returning(outbox.c.id), row) is not None


def claim_mail(
    connection: sa.Connection, run_id: str, now: datetime, *, limit: int, lease: timedelta, alerts: bool = True
) -> list[Mail]:
    """Take up to `limit` mails that are due, the oldest first: alerts before the others, or without `alerts`.

    A row that another run has leased is not due, nor one whose next attempt is still to come.
    """
    until = outbox.c.lease_until
    free = sa.or_(until.is_(None), until <= now, until > now + lease + _CLOCK_TOLERANCE)
    due = (
        sa.select(outbox)
        .where(outbox.c.state.in_(UNSENT), _has_waited(now), free, _kinds(alerts=alerts))
        .order_by((outbox.c.kind == "alert").desc(), outbox.c.created_at, outbox.c.id)
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


def begin_sending(connection: sa.Connection, mail: Mail, run_id: str, until: datetime) -> bool:
    """Mark the mail as being sent, just before the mail server is given it, or its next message.

    False when the lease was lost.
    """
    began = {"wanted": mail.id, "holder": run_id, "lease_until": until, "interrupted": mail.interrupted}
    return connection.execute(_BEGIN_SENDING, began).rowcount == 1


def mark_sent(connection: sa.Connection, mail: Mail, subject: str, now: datetime) -> None:
    """Mark the mail as accepted by the mail server."""
    sent = {"state": "sent", "subject": subject, "sent_at": now, "last_error": None}
    connection.execute(_GIVE_BACK, {"wanted": mail.id, **sent})


def put_off(connection: sa.Connection, mail: Mail, error: str, now: datetime, *, maybe_sent: bool = False) -> None:
    """Let the mail wait for its next attempt, with growing pauses. `maybe_sent`: it may have arrived all the same."""
    pause = _PAUSES[min(mail.attempts, len(_PAUSES) - 1)]
    values: dict[str, Any] = {"state": "waiting", "last_error": error, "next_attempt_at": now + pause}
    _give_back_ours(connection, mail, values | _what_may_have_arrived(mail, maybe_sent=maybe_sent))


def hand_back(connection: sa.Connection, mails: Collection[Mail], run_id: str) -> None:
    """Give back mails that were claimed and not tried."""
    connection.execute(
        sa.update(outbox)
        .where(outbox.c.id.in_([mail.id for mail in mails]), outbox.c.lease_run == run_id)
        .values(lease_run=None, lease_until=None, attempts=outbox.c.attempts - 1)
    )


def give_up(connection: sa.Connection, mail: Mail, error: str) -> None:
    """Mark the mail as undeliverable: the address is not valid, or the server refuses it for good."""
    undeliverable = _what_may_have_arrived(mail, maybe_sent=False) | {"state": "undeliverable", "last_error": error}
    _give_back_ours(connection, mail, undeliverable)


def withdraw(connection: sa.Connection, order_id: int, *kinds: str) -> bool:
    """Withdraw an order's mails of these kinds, which are not true any more.

    False when there are none, or they are being sent already.
    """
    return connection.execute(_WITHDRAW, {"wanted": order_id, "kinds": kinds}).rowcount > 0


def forget_told(connection: sa.Connection, order_id: int, prefix: str, marker: str) -> None:
    """Let alerts about the order be posted again: a person has ended the condition that they told of.

    Appends `marker` to the dedupe keys that begin with `prefix`.
    """
    connection.execute(
        sa.update(outbox)
        .where(
            outbox.c.order_id == order_id,
            outbox.c.dedupe_key.startswith(prefix, autoescape=True),
            outbox.c.dedupe_key.contains(f":order:{order_id}:to:", autoescape=True),
            outbox.c.dedupe_key.not_like("%:until:%"),
        )
        .values(dedupe_key=outbox.c.dedupe_key + f":until:{marker}")
    )


def untried_alerts(connection: sa.Connection) -> list[sa.RowMapping]:
    """Return the alerts about orders that nobody has tried to send yet, locked, in the order they were posted."""
    query = (
        sa.select(outbox.c.id, outbox.c.topic, outbox.c.recipients, outbox.c.content)
        .where(outbox.c.kind == "alert", outbox.c.state == "waiting", outbox.c.attempts == 0)
        .where(outbox.c.topic.is_not(None))
        .order_by(outbox.c.id)
        .with_for_update(skip_locked=True)
    )
    return list(connection.execute(query).mappings())


def withdraw_these(connection: sa.Connection, mail_ids: Sequence[int], why: str) -> None:
    """Withdraw mails that another mail replaces."""
    connection.execute(
        sa.update(outbox).where(outbox.c.id.in_(list(mail_ids))).values(state="withdrawn", last_error=why)
    )


def is_any_due(connection: sa.Connection, now: datetime, *, alerts: bool = True) -> bool:
    """Say whether there is mail to deliver now, alerts included or not."""
    due = sa.select(outbox.c.id).where(outbox.c.state.in_(UNSENT), _has_waited(now), _kinds(alerts=alerts))
    return connection.scalar(due.limit(1)) is not None


def has_failing(connection: sa.Connection, kind: str) -> bool:
    """Say whether a mail of this kind waits because an attempt at it failed."""
    failing = sa.select(outbox.c.id).where(
        outbox.c.kind == kind, outbox.c.state == "waiting", outbox.c.last_error.is_not(None)
    )
    return connection.scalar(failing.limit(1)) is not None


def _what_may_have_arrived(mail: Mail, *, maybe_sent: bool) -> dict[str, Any]:
    # Leaving `sending` would lose the fact that an attempt was cut off, so it is kept here: this attempt may end
    # before it comes to `begin_sending`, with a PDF that cannot be made or a mail server that is out of reach.
    return {"maybe_twice": True} if maybe_sent or mail.interrupted else {}


def _give_back_ours(connection: sa.Connection, mail: Mail, values: Mapping[str, Any]) -> None:
    # A run whose lease ran out must not put off what another run has sent meanwhile, or what was withdrawn.
    connection.execute(_GIVE_BACK.where(*_OURS), {"wanted": mail.id, "holder": mail.lease_run, **values})


def _has_waited(now: datetime) -> sa.ColumnElement[bool]:
    """Say which mails' next attempt is due. A pause longer than any was written under a clock that was ahead."""
    return sa.or_(outbox.c.next_attempt_at <= now, outbox.c.next_attempt_at > now + _PAUSES[-1] + _CLOCK_TOLERANCE)


def _kinds(*, alerts: bool) -> sa.ColumnElement[bool]:
    return sa.true() if alerts else outbox.c.kind != "alert"
