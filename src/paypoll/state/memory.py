"""Whether paypoll still remembers what it did in this shop.

Its records can be lost while the shop lives on: the schema is dropped, or left out of a restore. Then a paid order
whose tickets went out would get them a second time. The shop itself shows that there was a paypoll before: its dated
lines in the payment notes. A first installation bears none.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from paypoll.database import readable, transaction
from paypoll.errors import SchemaError
from paypoll.payments.order_statuses import SET_BY_SHOP, VOID, OrderStatus
from paypoll.shop.schema_check import require_known_schema
from paypoll.shop.tables import history, items, orders, tickets
from paypoll.state.marks import HOW_TO_REMEMBER, LAST_LINE, MARKED, REVIEWED, bears_marks
from paypoll.state.tables import run
from paypoll.state.upgrade import HEAD, newest, require_ready

ADOPTED = "adopted"
"""The run row that says until when another paypoll was at work here: its `started_at`."""

_AS_EVER = sa.select(newest.c.version_num, sa.exists(sa.select(run.c.id)))
ADOPTED_UNTIL = sa.select(run.c.started_at).where(run.c.id == ADOPTED)
"""Until when another paypoll was at work here, whose records are lost; no row as a rule."""


@dataclass(frozen=True, slots=True)
class Lost:
    """What another paypoll has left in the shop. `short`: paid orders from before that have not all their tickets."""

    newest_mark: datetime
    marked: int
    short: tuple[sa.RowMapping, ...]


def is_lost(connection: sa.Connection) -> bool:
    """Say whether paypoll's tables are fresh in a shop that bears its marks. Cheap once there was a run."""
    if connection.dialect.name != "postgresql" or connection.scalar(sa.select(run.c.id).limit(1)) is not None:
        return False
    return bears_marks(connection)


def require_memory(connection: sa.Connection) -> None:
    """Raise SchemaError when paypoll's records are lost."""
    if is_lost(connection):
        raise SchemaError(
            "paypoll's own tables are empty, but the shop's orders bear its marks: its records are lost, and tickets "
            f"could be issued twice: {HOW_TO_REMEMBER}"
        )


def require_ready_to_work(engine: sa.Engine) -> None:
    """Raise SchemaError unless the tables are those of this version, and paypoll remembers what it did."""
    if _is_as_ever(engine):
        return
    require_ready(engine)
    with transaction(engine) as connection:
        require_memory(connection)


def _is_as_ever(engine: sa.Engine) -> bool:
    """Say whether all is as it mostly is, in as few statements as that takes: every run comes here."""
    if engine.dialect.name != "postgresql":
        return False
    try:
        with transaction(engine) as connection:
            require_known_schema(connection)
            return connection.execute(_AS_EVER).all() == [(HEAD, True)]
    except ProgrammingError:  # the tables are not there, or not these
        return False


def survey(connection: sa.Connection, now: datetime) -> Lost:
    """Return what another paypoll has left in the shop."""
    line = sa.func.max(sa.func.substring(orders.c.payment_notes, LAST_LINE))
    written, marked = connection.execute(sa.select(line, sa.func.count()).where(MARKED)).one()
    reviewed = connection.scalar(sa.select(readable(sa.func.max(history.c.created_at))).where(REVIEWED))
    moments = [reviewed] if reviewed is not None else []
    if written:
        moments.append(_moment(written, now))
    # One of the future was written under a clock that was ahead, or by somebody else: what is to come is not before.
    newest = min(max(moments, default=datetime.min.replace(tzinfo=UTC)), now)
    return Lost(newest, marked, tuple(connection.execute(_short(newest)).mappings()))


def _moment(written: str, now: datetime) -> datetime:
    """Return when a line was written, as late as that may be: it has minutes, and somebody may have typed month 13."""
    try:
        return datetime.strptime(written, "%Y-%m-%d %H:%M").replace(tzinfo=UTC) + timedelta(minutes=1)
    except ValueError:
        return now


def adopt(connection: sa.Connection, lost: Lost, *, host: str, version: str, now: datetime) -> None:
    """Write down until when another paypoll was at work: what was paid before, and lacks tickets, becomes a case."""
    row: dict[str, object] = {
        "command": "db adopt",
        "host": host,
        "version": version,
        "ended": "finished",
        "counts": {},
    }
    row |= {"started_at": lost.newest_mark, "ended_at": now}
    # A backup may bring along that an earlier loss was adopted.
    if not connection.execute(sa.update(run).where(run.c.id == ADOPTED).values(row)).rowcount:
        connection.execute(sa.insert(run), {"id": ADOPTED, **row})


def _short(newest: datetime) -> sa.Select[tuple[int, str, str, object]]:
    places = sa.select(sa.func.sum(items.c.quantity)).where(items.c.order_id == orders.c.id).scalar_subquery()
    there = sa.select(sa.func.count()).where(tickets.c.order_id == orders.c.id).scalar_subquery()
    paid = sa.or_(orders.c.is_paid, orders.c.status.in_(SET_BY_SHOP | {OrderStatus.COMPLETED}))
    return (
        sa.select(orders.c.id, orders.c.order_number, orders.c.email, orders.c.total)
        .where(orders.c.created_at <= newest, paid, orders.c.status.not_in(VOID), there < places)
        .order_by(orders.c.id)
    )
