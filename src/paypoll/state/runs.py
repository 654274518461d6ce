"""The history of runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from paypoll.state.tables import run


def begin_run(connection: sa.Connection, run_id: str, *, command: str, host: str, version: str, now: datetime) -> None:
    """Write down that a run has started."""
    connection.execute(sa.insert(run).values(id=run_id, command=command, host=host, version=version, started_at=now))


def end_run(connection: sa.Connection, run_id: str, *, ended: str, counts: Mapping[str, Any], now: datetime) -> None:
    """Write down how a run ended: finished, incomplete, stopped or failed."""
    connection.execute(sa.update(run).where(run.c.id == run_id).values(ended=ended, ended_at=now, counts=dict(counts)))


@dataclass(frozen=True, slots=True)
class LastRun:
    """The run that started last. `ended` is empty while it is under way; it stays so when it was killed."""

    id: str
    command: str
    host: str
    started_at: datetime
    ended_at: datetime | None
    ended: str


def last_run(connection: sa.Connection) -> LastRun | None:
    """Return the run that started last, or None when there was none yet."""
    row = connection.execute(sa.select(run).order_by(run.c.started_at.desc(), run.c.id.desc()).limit(1)).first()
    if row is None:
        return None
    return LastRun(row.id, row.command, row.host, row.started_at, row.ended_at, row.ended or "")
