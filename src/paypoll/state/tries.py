"""Which orders are followed again: those tried anew at the shop, and old ones that somebody has cancelled, say."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import sqlalchemy as sa

from paypoll.database import is_among
from paypoll.payments.order_statuses import LATE, VOID, OrderStatus
from paypoll.shop.tables import checkouts, orders
from paypoll.state.pauses import NOT_PAUSED
from paypoll.state.tables import checkout_seen, watch

_JUST_NOW = timedelta(minutes=15)
_LOOKED_THROUGH = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Horizon:
    """How far back tries are looked for: made or changed `since`, in rows that were `made_after` (None: in all)."""

    since: datetime
    made_after: datetime | None


def followed_again(horizon: Horizon, now: datetime) -> list[sa.Select[tuple[int]]]:
    """Return the queries for the orders that are not followed any more and shall be again."""
    queries = [tried_anew(horizon, now)]
    return queries if horizon.made_after is not None else [*queries, _moved_on()]


def _moved_on() -> sa.Select[tuple[int]]:
    """Find the orders that paypoll left in review or completed, and that somebody has set to another status since.

    They are cancelled in the shop, say, and their money may not have been given back. Young ones are due by that; the
    old ones, at which nobody looks any more, are found once a day, for which no index is needed.
    """
    return (
        sa.select(watch.c.order_id)
        .join(orders, orders.c.id == watch.c.order_id)
        .where(NOT_PAUSED, watch.c.next_check_at.is_(None))
        .where(watch.c.status.in_([OrderStatus.REVIEW, OrderStatus.COMPLETED]), orders.c.status.in_(LATE | VOID))
    )


def tried_anew(horizon: Horizon, now: datetime) -> sa.Select[tuple[int]]:
    """Find the orders that were not followed any more, and have a checkout that can be paid.

    It is a new one, or the shop has written its id into the row of an old one: the rows of the last
    `verification.first_look` are looked through for that, which an index finds, and once a day all of them. The shop
    dates a row before it commits it, and by a clock of its own: the last look may have come in between.
    """
    since, just_now = horizon.since, now - _JUST_NOW
    made_after = sa.true() if horizon.made_after is None else checkouts.c.created_at > horizon.made_after
    is_new = sa.and_(
        checkouts.c.created_at > since,
        sa.or_(watch.c.last_checked_at < checkouts.c.created_at, checkouts.c.created_at > just_now),
    )
    is_saved = sa.and_(
        sa.or_(checkouts.c.updated_at > watch.c.last_checked_at, checkouts.c.updated_at > just_now),
        checkouts.c.updated_at != watch.c.last_checked_at,  # so does a look of ours date the row
    )
    return (
        sa.select(watch.c.order_id)
        .join(checkouts, checkouts.c.order_id == watch.c.order_id)
        .join(orders, orders.c.id == watch.c.order_id)
        .where(NOT_PAUSED, made_after, checkouts.c.created_at <= now)
        .where(sa.or_(checkouts.c.created_at > since, checkouts.c.updated_at > since))
        .where(watch.c.next_check_at.is_(None), watch.c.last_checked_at.is_not(None))
        .where(sa.or_(is_new, sa.and_(is_saved, _has_unseen_id())))
    )


def is_old_and_tried(
    statuses: Collection[str], first_look: timedelta, horizon: Horizon, now: datetime
) -> sa.ColumnElement[bool]:
    """Say which orders in these statuses are too old for a first look, and have a checkout that is not.

    Not those that a person has paused.
    """
    made = checkouts.c.created_at
    fresh = sa.select(checkouts.c.order_id).where(made > horizon.since, made <= now)
    is_old = orders.c.created_at <= now - first_look
    return sa.and_(orders.c.status.in_(statuses), is_old, is_among(orders.c.id, fresh), NOT_PAUSED)


def looked_through(swept_at: datetime | None, first_look: timedelta, now: datetime) -> Horizon:
    """Return from when on tries are looked for: from a day before the last run over everything (`last_sweep`).

    The first run of a day looks through the old rows as well, which no index finds: a customer may come back after
    months, to a row that the shop uses again.
    """
    earliest = now - first_look
    since = max(min(swept_at or earliest, now) - _LOOKED_THROUGH, earliest)
    is_first = swept_at is None or swept_at.astimezone(UTC).date() < now.astimezone(UTC).date()
    return Horizon(since, None if is_first else earliest)


def _has_unseen_id() -> sa.ColumnElement[bool]:
    """Say whether a row of the shop's holds the id of a checkout that SumUp has never answered about."""
    return sa.or_(
        *(
            sa.and_(
                column != "",
                ~sa.exists(checkout_seen.c.order_id)
                .where(checkout_seen.c.order_id == checkouts.c.order_id, checkout_seen.c.checkout_id == column)
                .correlate(checkouts),
            )
            for column in (checkouts.c.sumup_checkout_id, checkouts.c.checkout_id)
        )
    )
