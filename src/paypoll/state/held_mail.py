"""Mail that is held back and added to while a run goes on: it is in the outbox already, and leaves at the run's end."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from paypoll.state.tables import outbox


def lock_held(connection: sa.Connection, dedupe_key: str) -> sa.RowMapping | None:
    """Lock the mail with this key, if it waits and no run has it at hand. Return its id and content."""
    held = sa.select(outbox.c.id, outbox.c.content).where(
        outbox.c.dedupe_key == dedupe_key, outbox.c.state == "waiting", outbox.c.lease_run.is_(None)
    )
    return connection.execute(held.with_for_update(skip_locked=True)).mappings().first()


def replace_content(connection: sa.Connection, mail_id: int, content: Mapping[str, Any]) -> None:
    """Let a mail that is locked say this instead."""
    connection.execute(sa.update(outbox).where(outbox.c.id == mail_id).values(content=dict(content)))


def let_leave(connection: sa.Connection, prefix: str, now: datetime) -> None:
    """Let the mails whose keys begin so leave now, unless they have left."""
    held = sa.update(outbox).where(
        outbox.c.dedupe_key.startswith(prefix, autoescape=True), outbox.c.state == "waiting", outbox.c.attempts <= 0
    )
    connection.execute(held.values(next_attempt_at=now))
