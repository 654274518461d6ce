"""Pause what runs do: for one order, for the orders of an event, or for all; and resume it. Both are audited."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from paypoll.clock import Clock
from paypoll.database import SCHEMA, transaction
from paypoll.errors import RefusedError
from paypoll.shop.find import find_order_id, require_event
from paypoll.state.audit import record
from paypoll.state.pauses import Pause, Scope, begin, end, pauses
from paypoll.state.tables import pause as pause_table
from paypoll.state.upgrade import require_ready


@dataclass(frozen=True, slots=True)
class Target:
    """What a person named: an order by its number or id, an event by its id, or with neither everything."""

    order: str = ""
    event: int | None = None


def pause(engine: sa.Engine, target: Target, *, who: str, reason: str, clock: Clock) -> tuple[Pause, ...]:
    """Pause it and return all that is paused then. Raise RefusedError when it is paused already."""
    require_ready(engine)
    with transaction(engine) as connection:
        scope = _scope(connection, target, must_be_there=True)
        if not begin(connection, scope, who=who, reason=reason, now=clock.now()):
            raise RefusedError(f"{_words(target)} is paused already; `paypoll check` says by whom and why")
        _note(connection, scope, "paused", who, reason, clock.now())
        return pauses(connection)


def list_pauses(engine: sa.Engine) -> tuple[Pause, ...]:
    """Return all that is paused: nothing in tables of a release that knew no pauses, which a restore may leave."""
    with transaction(engine) as connection:
        there = sa.inspect(connection).has_table(pause_table.name, schema=SCHEMA)
        return pauses(connection) if there else ()


def resume(engine: sa.Engine, target: Target, *, who: str, clock: Clock) -> tuple[Pause, ...]:
    """Resume it and return what is still paused. Raise RefusedError when it is not paused."""
    require_ready(engine)
    with transaction(engine) as connection:
        there = {one.scope: one for one in pauses(connection)}
        # An order that is gone from the shop has no number any more: it is listed by its id.
        lost = (one.order_id for one in there.values() if one.order_id is not None and not one.order_number)
        gone = {f"id:{order_id}": Scope(order_id=order_id) for order_id in lost}
        scope = gone.get(target.order) or _scope(connection, target, must_be_there=False)
        if not end(connection, scope):
            others = "; ".join(f"{one.words} is" for one in there.values()) or "nothing is"
            raise RefusedError(f"{_words(target)} is not paused; {others}")
        _note(connection, scope, "resumed", who, f"was paused: {there[scope.key].reason}", clock.now())
        return pauses(connection)


def _words(target: Target) -> str:
    if target.order:
        return f"order {target.order}"
    return "everything" if target.event is None else f"event {target.event}"


def _scope(connection: sa.Connection, target: Target, *, must_be_there: bool) -> Scope:
    if target.order:
        return Scope(order_id=find_order_id(connection, target.order))
    if target.event is not None and must_be_there:
        require_event(connection, target.event)
    return Scope(event_id=target.event)


def _note(connection: sa.Connection, scope: Scope, action: str, who: str, why: str, now: datetime) -> None:
    record(
        connection,
        now=now,
        action=action,
        actor=who,
        order_id=scope.order_id,
        explanation=f"{scope.key}: {why}",
    )
