"""What paypoll has written down since a backup was made: by its dates, and by the ids that were given out since.

Both, as a date is only as right as the clock that it was written under, and tables that were made anew count from one.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa

from paypoll.payments.refunding import OPEN
from paypoll.state.backup_file import Manifest
from paypoll.state.memory import ADOPTED
from paypoll.state.outbox import UNSENT
from paypoll.state.tables import audit, outbox, refund, run

_LONGEST_LEASE = timedelta(hours=1)
# A mail that is leased may be on its way, whoever has it: a run, a command, or one that was killed.
_LEASED = sa.case((outbox.c.state.in_(UNSENT), outbox.c.lease_until))
_WRITTEN = (
    (audit, audit.c.at),
    (outbox, sa.func.coalesce(outbox.c.sent_at, sa.func.greatest(outbox.c.created_at, _LEASED))),
    (refund, refund.c.changed_at),
)


def written_since(connection: sa.Connection, manifest: Manifest, now: datetime) -> list[datetime]:
    """Return the newest moments of what the backup does not have: of the trail, the mails and the refunds."""
    newest = [
        connection.scalar(sa.select(sa.func.max(at, type_=audit.c.at.type)).where(_is_newer(manifest, now, table, at)))
        for table, at in _WRITTEN
    ]
    return [moment for moment in newest if moment is not None]


def refund_begun_since(connection: sa.Connection, manifest: Manifest, now: datetime) -> str | None:
    """Return the number of the order of a refund that is open, and that the backup does not have."""
    newer = _is_newer(manifest, now, refund, refund.c.created_at)
    query = sa.select(refund.c.order_number).where(refund.c.state.in_(sorted(OPEN)), newer).order_by(refund.c.id)
    return connection.scalar(query.limit(1))


def reaches_back(connection: sa.Connection, moment: datetime) -> bool:
    """Say whether the history of runs begins before this moment: then what happened since is on record."""
    before = sa.select(run.c.id).where(run.c.started_at <= moment, run.c.id != ADOPTED)
    return connection.scalar(before.limit(1)) is not None


def _is_newer(
    manifest: Manifest, now: datetime, table: sa.Table, at: sa.ColumnElement[datetime]
) -> sa.ColumnElement[bool]:
    last_id = next((one.last_id for one in manifest.tables if one.name == table.name), None)
    # A date that is still to come, beyond any lease, was written under a clock that was ahead: it says nothing.
    dated = sa.and_(at > manifest.taken_at, at < now + _LONGEST_LEASE)
    return sa.or_(dated, table.c.id > (last_id or 0))
