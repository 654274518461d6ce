"""Alerts in the outbox: which of them nobody has got yet, to whom they go now, and which may be posted again."""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import sqlalchemy as sa

from paypoll.state.due_since import is_free
from paypoll.state.outbox import ALERT, post, withdraw_these
from paypoll.state.tables import outbox

_HANDED_OVER = "handed over to the present admins"


def forget_told(connection: sa.Connection, order_id: int, prefix: str, marker: str) -> None:
    """Let alerts about the order be posted again: a person has ended the condition that they told of.

    Puts `marker` into the dedupe keys that begin with `prefix`, before whom they went to.
    """
    connection.execute(
        sa.update(outbox)
        .where(
            outbox.c.order_id == order_id,
            outbox.c.dedupe_key.startswith(prefix, autoescape=True),
            outbox.c.dedupe_key.contains(f":order:{order_id}:", autoescape=True),
            outbox.c.dedupe_key.not_like("%:until:%"),
        )
        .values(dedupe_key=sa.func.replace(outbox.c.dedupe_key, ":to:", f":until:{marker}:to:"))
    )


def forget_told_of_fee(connection: sa.Connection, reference: str, prefix: str, marker: str) -> None:
    """Let alerts about a listing fee be posted again, as `forget_told` does for an order."""
    own = f":fee:{reference}:to:"
    connection.execute(
        sa.update(outbox)
        .where(
            outbox.c.order_id.is_(None),  # which there is an index for, and of a part of the key there is none
            outbox.c.kind == ALERT,
            outbox.c.dedupe_key.startswith(prefix, autoescape=True),
            outbox.c.dedupe_key.contains(own, autoescape=True),
        )
        .values(dedupe_key=sa.func.replace(outbox.c.dedupe_key, own, f":fee:{reference}:until:{marker}:to:"))
    )


def is_posted(connection: sa.Connection, dedupe_keys: Sequence[str]) -> bool:
    """Say whether an alert with one of these keys was posted. By whole keys: for a part of one there is no index."""
    posted = sa.select(outbox.c.id).where(outbox.c.dedupe_key.in_(dedupe_keys)).limit(1)
    return connection.scalar(posted) is not None


def untried_alerts(connection: sa.Connection) -> list[sa.RowMapping]:
    """Return the alerts about orders that nobody has tried to send yet, locked, in the order they were posted."""
    query = (
        sa.select(outbox.c.id, outbox.c.topic, outbox.c.recipients, outbox.c.content)
        .where(outbox.c.kind == ALERT, outbox.c.state == "waiting", outbox.c.attempts <= 0)
        .where(outbox.c.topic.is_not(None))
        .order_by(outbox.c.id)
        .with_for_update(skip_locked=True)
    )
    return list(connection.execute(query).mappings())


def waiting_alerts(connection: sa.Connection, now: datetime, lease: timedelta) -> list[sa.RowMapping]:
    """Return the alerts that wait and that no run has at hand, locked."""
    query = (
        sa.select(outbox)
        .where(outbox.c.kind == ALERT, outbox.c.state == "waiting", is_free(outbox, now, lease))
        .order_by(outbox.c.id)
        .with_for_update(skip_locked=True)
    )
    return list(connection.execute(query).mappings())


def hand_over(
    connection: sa.Connection,
    row: sa.RowMapping,
    recipients: Sequence[str],
    new_message_id: Callable[[], str],
    now: datetime,
) -> None:
    """Send an alert to these in place of whom it waits for: to each once, also where it was handed over before."""
    about, _, _ = row["dedupe_key"].rpartition(":to:")
    withdraw_these(connection, [row["id"]], _HANDED_OVER)
    for recipient in recipients:
        key = f"{about}:to:{recipient}"
        brought_back = connection.execute(
            sa.update(outbox)
            .where(outbox.c.dedupe_key == key, outbox.c.state == "withdrawn", outbox.c.last_error == _HANDED_OVER)
            .values(state="waiting", last_error=None, attempts=0, next_attempt_at=now)
        )
        if not brought_back.rowcount:
            post(
                connection,
                kind=ALERT,
                dedupe_key=key,
                recipients=[recipient],
                content=row["content"],
                message_id=new_message_id(),
                now=now,
                order_id=row["order_id"],
                topic=row["topic"],
            )
