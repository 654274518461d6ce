"""The history of runs."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from paypoll.state.tables import run

SWEEP = "run-once"
"""The command of a run over all that is due."""

SOME = "run-once --order"
"""The command of a run over the orders that a person named."""

_SWEPT = ("finished", "incomplete", "out_of_time")


def begin_run(connection: sa.Connection, run_id: str, *, command: str, host: str, version: str, now: datetime) -> None:
    """Write down that a run has started."""
    connection.execute(sa.insert(run).values(id=run_id, command=command, host=host, version=version, started_at=now))


def end_run(connection: sa.Connection, run_id: str, *, ended: str, counts: Mapping[str, Any], now: datetime) -> None:
    """Write down how a run ended: finished, incomplete, stopped or failed."""
    connection.execute(sa.update(run).where(run.c.id == run_id).values(ended=ended, ended_at=now, counts=dict(counts)))


@dataclass(frozen=True, slots=True)
class LastRun:
    """A run that has started. `ended` is empty while it is under way; it stays so when it was killed.

    `counts` has the numbers of `RunReport.counts()`; it is empty until the run has ended.
    """

    id: str
    command: str
    host: str
    started_at: datetime
    ended_at: datetime | None
    ended: str
    version: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


def last_run(connection: sa.Connection) -> LastRun | None:
    """Return the run that started last, or None when there was none yet."""
    return next(iter(run_history(connection, limit=1)), None)


def run_history(
    connection: sa.Connection, *, limit: int, since: datetime | None = None, idle: bool = True
) -> list[LastRun]:
    """Return the runs that started last, the newest first; without `idle`, those that did something or went wrong."""
    query = sa.select(run).order_by(run.c.started_at.desc(), run.c.id.desc())
    if since is not None:
        query = query.where(run.c.started_at >= since)
    if idle:
        query = query.limit(limit)
    found = []
    for row in connection.execute(query):
        one = _run(row)
        if idle or one.ended != "finished" or any(one.counts.values()):
            found.append(one)
        if len(found) == limit:
            break
    return found


def run_under_way(connection: sa.Connection, now: datetime, within: timedelta) -> LastRun | None:
    """Return the oldest run that has begun `within` this time and has not ended.

    One that began as much later than now was killed under a clock that was ahead.
    """
    at = run.c.started_at
    query = sa.select(run).where(run.c.ended.is_(None), at > now - within, at < now + within).order_by(at)
    row = connection.execute(query.limit(1)).one_or_none()
    return _run(row) if row is not None else None


def end_restored(connection: sa.Connection, since: datetime) -> None:
    """Note that the runs of a restored backup that began after `since` are over; how is not on record.

    Else they would hold up the next restore. No run that goes on has its row here.
    """
    connection.execute(sa.update(run).where(run.c.ended.is_(None), run.c.started_at > since).values(ended="unknown"))


def _run(row: sa.Row[Any]) -> LastRun:
    return LastRun(
        row.id, row.command, row.host, row.started_at, row.ended_at, row.ended or "", row.version, row.counts or {}
    )


def last_sweep(now: datetime) -> sa.Select[datetime]:
    """Return the query for when the last run over all that is due began that came to its end."""
    query = sa.select(run.c.started_at).where(run.c.command == SWEEP, run.c.ended.in_(_SWEPT), run.c.started_at <= now)
    return query.order_by(run.c.started_at.desc()).limit(1)


def new_run_id(now: datetime) -> str:
    """Return an id for a run: its start, to be read by people, and a random end, to be unique on many hosts."""
    return f"{now:%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
