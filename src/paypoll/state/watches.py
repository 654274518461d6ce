"""Which orders are due for a check, and which run holds the lease on each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from paypoll.database import insert_unless_there, is_among, readable
from paypoll.payments.order_statuses import BASKET, LATE, SET_ASIDE, VOID, WAITING
from paypoll.shop.capacity import events_locked
from paypoll.shop.tables import items, orders
from paypoll.state.due_since import due_since_last_look, due_since_made, is_free, is_of_the_future
from paypoll.state.pauses import NOT_PAUSED
from paypoll.state.runs import last_sweep
from paypoll.state.tables import watch
from paypoll.state.tries import Horizon, followed_again, is_old_and_tried, looked_through
from paypoll.statements import later

# Built once, not for every order.
_WANTED = watch.c.order_id == sa.bindparam("wanted")
# The order's row first, by FOR UPDATE as in `shop.find.lock_order`; then ours, and last its events in their order.
_LOCKED = (
    sa.select(orders.c.id, watch.c.lease_run, watch.c.status)
    .join(watch, watch.c.order_id == orders.c.id)
    .where(orders.c.id == sa.bindparam("wanted"))
    .with_for_update(of=(orders, watch))
)
_held = _LOCKED.cte("held")
_halls = events_locked(
    sa.select(items.c.event_id)
    .join(_held, _held.c.id == items.c.order_id)
    .where(_held.c.lease_run == sa.bindparam("holder"))
).cte("halls")
_HOLD = sa.select(_held.c.lease_run, _held.c.status, sa.null().label("hall"))
_HOLD_WITH_HALLS = sa.select(_held.c.lease_run, _held.c.status, _halls.c.id.label("hall")).outerjoin_from(
    _held, _halls, sa.true()
)
_TURN = (
    orders.c.status.not_in(WAITING).asc(),
    watch.c.last_checked_at.asc().nulls_first(),
    orders.c.created_at,
    orders.c.id,
)
"""Whose turn it is: what waits before what is followed, then the longest unchecked, then the oldest."""
_LEFT_IN = sa.select(watch.c.status).where(_WANTED)
# PostgreSQL that knows the list to be empty reads it anew for each order, with what the same statement has put there:
# 20,000 orders at once took 6 s. In the next statement it sees that the list has grown.
_ENROLLED_AT_ONCE = 5000
# A time that nothing can be made of is not kept: the shop puts it right, and a record of it would stay.
_MADE = readable(orders.c.created_at, or_null=True)
_ENROLLED = ["order_id", "first_seen_at", "order_number", "order_created_at", "next_check_at"]


def _of_order(column: sa.ColumnElement[Any]) -> sa.ScalarSelect[Any]:
    return sa.select(column).where(orders.c.id == watch.c.order_id).correlate(watch).scalar_subquery()


_NOTE = later(
    sa.update(watch)
    .where(_WANTED)
    .values(
        checks=watch.c.checks + 1,
        missing_checks=0,
        # Rows of 0.1.0 lack them. What is there stays: it says of which order the records are.
        order_number=sa.func.coalesce(watch.c.order_number, _of_order(orders.c.order_number)),
        order_created_at=sa.func.coalesce(watch.c.order_created_at, _of_order(_MADE)),
    )
)
_NOTE_MISSING = _NOTE.values(missing_checks=watch.c.missing_checks + 1)


@dataclass(frozen=True, slots=True)
class WatchRules:
    """What is under watch. `abandoned`: also orders whose customer never came back to the shop.

    `first_look`: an order that paypoll has not seen before is looked at if it is younger than this.
    """

    first_look: timedelta = timedelta(days=30)
    abandoned: bool = True


def enrol(connection: sa.Connection, rules: WatchRules, now: datetime) -> None:
    """Put every order that should be under watch and is not yet on the list; follow on those that were tried anew.

    An order that is older than `first_look` is put on the list when it waits, or is tried anew.

    They are due from then on until they have been looked at: the shop may move one before this run has come to it.
    """
    moment = sa.literal(now, watch.c.first_seen_at.type)
    new = (
        sa.select(orders.c.id, moment, orders.c.order_number, _MADE, due_since_made(_MADE, moment))
        .outerjoin(watch, watch.c.order_id == orders.c.id)
        .where(watch.c.order_id.is_(None))
        # Two runs that enrol the same orders wait for each other's rows: sorted by id, so that they cannot
        # deadlock.
        .order_by(orders.c.id)
        .limit(_ENROLLED_AT_ONCE)
    )
    horizon = looked_through(connection.scalar(last_sweep(now)), rules.first_look, now)
    for kind in (_is_due(rules, now), _is_old(rules, horizon, now)):
        enrolment = insert_unless_there(connection, watch).from_select(_ENROLLED, new.where(kind))
        while connection.execute(enrolment).rowcount == _ENROLLED_AT_ONCE:
            pass  # there may be more of them
    order_ids: set[int] = set()
    for again in followed_again(horizon, now):
        locked = again.order_by(watch.c.order_id).with_for_update(of=watch, skip_locked=True)
        order_ids |= set(connection.scalars(locked))
    if order_ids:
        found = sa.update(watch).where(watch.c.order_id.in_(order_ids))
        connection.execute(found.values(next_check_at=due_since_last_look(watch, now)))


def enrol_order(connection: sa.Connection, order_id: int, now: datetime) -> None:
    """Put one order on the list, whatever its status."""
    moment = sa.literal(now, watch.c.first_seen_at.type)
    since = due_since_made(_MADE, moment)
    one = sa.select(orders.c.id, moment, orders.c.order_number, _MADE, since).where(orders.c.id == order_id)
    connection.execute(insert_unless_there(connection, watch).from_select(_ENROLLED, one))


def claim(
    connection: sa.Connection,
    rules: WatchRules,
    run_id: str,
    now: datetime,
    *,
    began: datetime,
    limit: int,
    lease: timedelta,
) -> list[int]:
    """Take up to `limit` due orders for this run and return their ids, the longest unchecked first.

    SKIP LOCKED: two runs that claim at once get different orders instead of waiting for each other. A lease expires
    by itself, so a killed run blocks nobody. An order is claimed once a run, and not at all when another run has
    looked at it since this one `began`: a waiting order stays due, and concurrent runs would check it again and again.
    """
    unchecked = sa.or_(
        watch.c.last_checked_at.is_(None), watch.c.last_checked_at <= began, is_of_the_future(watch, now)
    )
    due = (
        sa.select(watch.c.order_id)
        .join(orders, orders.c.id == watch.c.order_id)
        .where(is_free(watch, now, lease), watch.c.last_run.is_distinct_from(run_id), unchecked, _is_due(rules, now))
        .order_by(*_TURN)
        .limit(limit)
        .with_for_update(of=watch, skip_locked=True)
    )
    order_ids = list(connection.scalars(due))
    _lease(connection, order_ids, run_id, now + lease)
    return order_ids


def is_any_due(connection: sa.Connection, rules: WatchRules, now: datetime, beside: sa.ColumnElement[bool]) -> bool:
    """Say whether a run would look at an order now, or what the query `beside` says: in two statements at most."""
    waits = sa.exists(_listed_or_new().where(_is_due(rules, now)))
    is_due, swept_at = connection.execute(sa.select(sa.or_(waits, beside), last_sweep(now).scalar_subquery())).one()
    if is_due:
        return True
    horizon = looked_through(swept_at, rules.first_look, now)
    anew = [sa.exists(query) for query in followed_again(horizon, now)]
    old = sa.exists(_listed_or_new().where(watch.c.order_id.is_(None), _is_old(rules, horizon, now)))
    return bool(connection.scalar(sa.select(sa.or_(*anew, old))))


def _listed_or_new() -> sa.Select[int]:
    return sa.select(orders.c.id).outerjoin(watch, watch.c.order_id == orders.c.id)


def _is_old(rules: WatchRules, horizon: Horizon, now: datetime) -> sa.ColumnElement[bool]:
    return is_old_and_tried(_open(rules), rules.first_look, horizon, now)


def peek(connection: sa.Connection, rules: WatchRules, now: datetime, *, limit: int) -> list[int]:
    """Return orders that a run would look at now, the longest unchecked first, changing nothing."""
    due = _listed_or_new().where(_is_due(rules, now)).order_by(*_TURN).limit(limit)
    found = list(connection.scalars(due))
    if len(found) < limit:
        horizon = looked_through(connection.scalar(last_sweep(now)), rules.first_look, now)
        queries = [query.order_by(watch.c.order_id).limit(limit) for query in followed_again(horizon, now)]
        anew = [order_id for query in queries for order_id in connection.scalars(query)]
        unknown = _listed_or_new().where(watch.c.order_id.is_(None))
        old = unknown.where(_is_old(rules, horizon, now)).order_by(orders.c.id)
        tried = [*anew, *connection.scalars(old.limit(limit))]
        found += [order_id for order_id in dict.fromkeys(tried) if order_id not in found]
    return found[:limit]


def claim_these(
    connection: sa.Connection, order_ids: Sequence[int], run_id: str, now: datetime, *, lease: timedelta
) -> list[int]:
    """Take these orders for this run, due or not; those that another run holds are left out."""
    free = (
        sa.select(watch.c.order_id)
        .where(watch.c.order_id.in_(list(order_ids)), is_free(watch, now, lease))
        .order_by(watch.c.order_id)
        .with_for_update(skip_locked=True)
    )
    claimed = list(connection.scalars(free))
    _lease(connection, claimed, run_id, now + lease)
    return claimed


@dataclass(frozen=True, slots=True)
class Held:
    """An order whose lease is this run's. `status` is that in which paypoll left it, None at first sight.

    `halls`: its events, where they are locked.
    """

    status: str | None
    halls: frozenset[int] = frozenset()


def hold(connection: sa.Connection, order_id: int, run_id: str, *, halls: bool) -> Held | None:
    """Lock the order and its watch row, and return it if the lease is still this run's; else None, as when it is gone.

    A run that was slow may find that its lease expired and another run took the order: then its evidence is out of
    date, and the other run holds the order. With `halls` the events are locked as well, in the same statement.
    """
    rows = connection.execute(_HOLD_WITH_HALLS if halls else _HOLD, {"wanted": order_id, "holder": run_id}).all()
    if not rows or rows[0].lease_run != run_id:
        return None
    return Held(rows[0].status, frozenset(row.hall for row in rows if row.hall is not None))


def left_in(connection: sa.Connection, order_id: int) -> str | None:
    """Return the status in which paypoll left the order, None before its first look at it."""
    return connection.scalar(_LEFT_IN, {"wanted": order_id})


def follow(connection: sa.Connection, order_id: int, now: datetime) -> None:
    """Have the order looked at in the next run, whatever its status."""
    followed = sa.update(watch).where(watch.c.order_id == order_id)
    connection.execute(followed.values(next_check_at=due_since_last_look(watch, now)))


def note_void(connection: sa.Connection, order_id: int, status: str, now: datetime) -> None:
    """Note that paypoll itself has made the order void: nothing that somebody else changed, and never issued again."""
    values = {"status": status, "seen_void": True, "settled_at": now}
    connection.execute(sa.update(watch).where(watch.c.order_id == order_id).values(values))


def put_back(connection: sa.Connection, order_id: int, status: str, now: datetime) -> None:
    """Note that a person has let the order wait again: looked at in the next run, and as if for the first time."""
    again = {"status": status, "settled_at": now, "missing_checks": 0, "stuck_told_at": None}
    connection.execute(sa.update(watch).where(watch.c.order_id == order_id).values(again))
    follow(connection, order_id, now)


def release(connection: sa.Connection, order_ids: Sequence[int], run_id: str) -> None:
    """Give back orders that were claimed and not looked at: they are due at once for anybody."""
    connection.execute(
        sa.update(watch)
        .where(watch.c.order_id.in_(list(order_ids)), watch.c.lease_run == run_id)
        .values(lease_run=None, lease_until=None)
    )


def note_order_error(connection: sa.Connection, order_id: int, run_id: str, now: datetime, error: str) -> None:
    """Give back an order that met an error. It stays due, but goes to the end of the queue, and not in this run."""
    connection.execute(
        sa.update(watch)
        .where(watch.c.order_id == order_id, watch.c.lease_run == run_id)
        .values(lease_run=None, lease_until=None, last_run=run_id, last_checked_at=now, last_answer=f"error: {error}")
    )


def note_check(
    connection: sa.Connection,
    order_id: int,
    run_id: str,
    now: datetime,
    *,
    status: str,
    changed: bool,
    next_check_at: datetime | None,
    answer: str,
    missing: bool,
) -> None:
    """Write down a look at the order and give its lease back. `changed`: its status is another than after the last."""
    seen: dict[str, object] = {
        "status": status,
        "next_check_at": next_check_at,
        "last_checked_at": now,
        "last_run": run_id,
        "last_answer": answer,
        "lease_run": None,
        "lease_until": None,
    }
    if changed:
        # Should it wait too long once more, that is told once more.
        seen |= {"settled_at": now, "stuck_told_at": None}
    if status in VOID:
        seen["seen_void"] = True
    connection.execute(_NOTE_MISSING if missing else _NOTE, {"wanted": order_id, **seen})


def _is_due(rules: WatchRules, now: datetime) -> sa.ColumnElement[bool]:
    """Say which orders are to be looked at: those that wait, that are new or not as left, and whose time has come.

    Not those that a person has paused.
    """
    after = now - rules.first_look
    not_as_left = sa.or_(watch.c.order_id.is_(None), watch.c.status.is_distinct_from(orders.c.status))
    kinds = [
        orders.c.status.in_(WAITING),
        watch.c.next_check_at <= now,
        is_of_the_future(watch, now),
        sa.and_(orders.c.status.in_(_open(rules)), orders.c.created_at > after, not_as_left),
    ]
    return sa.and_(is_among(orders.c.id, _candidates(rules, now, after)), sa.or_(*kinds), NOT_PAUSED)


def _candidates(rules: WatchRules, now: datetime, after: datetime) -> sa.CompoundSelect[tuple[int]]:
    """Every order that may be due, and few others, each part found by an index however many orders there are.

    Those of `watch` are ours; the shop may have one on (status, created_at), as `paypoll check` recommends.
    """
    return sa.union_all(
        sa.select(orders.c.id).where(orders.c.status.in_(WAITING)),
        sa.select(orders.c.id).where(orders.c.status.in_(_open(rules)), orders.c.created_at > after),
        sa.select(watch.c.order_id).where(watch.c.next_check_at <= now),
        sa.select(watch.c.order_id).where(is_of_the_future(watch, now)),
    )


def _open(rules: WatchRules) -> frozenset[str]:
    """Return the statuses in which money may still arrive, or be there unnoticed, beside the waiting ones."""
    return LATE | VOID | SET_ASIDE | (BASKET if rules.abandoned else frozenset())


def _lease(connection: sa.Connection, order_ids: Sequence[int], run_id: str, until: datetime) -> None:
    if order_ids:
        connection.execute(
            sa.update(watch).where(watch.c.order_id.in_(order_ids)).values(lease_run=run_id, lease_until=until)
        )
