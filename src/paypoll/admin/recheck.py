"""Put orders that paypoll sent to review back to waiting: what it went by has turned out to be wrong, or has changed.

The way back from a wrong world, such as a key of another SumUp account: everything is asked and decided anew. Reviews
that the shop opened, or that a person has closed, are not paypoll's to take back.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from paypoll.alerts.next_steps import order_word
from paypoll.clock import Clock
from paypoll.database import Trouble, sort_error, transaction
from paypoll.errors import RefusedError, UnreadableOrderError
from paypoll.payments.order_statuses import OrderStatus
from paypoll.runs.load import load_order
from paypoll.shop.changes import set_order_status
from paypoll.shop.find import find_order_id, lock_order, orders_of_event, require_event
from paypoll.state import watches
from paypoll.state.audit import record
from paypoll.state.posted_alerts import forget_told
from paypoll.state.resolutions import OpenReview, open_reviews
from paypoll.state.runs import new_run_id
from paypoll.state.told_payments import reviews_for_a_person
from paypoll.state.upgrade import require_ready

ACTION = "rechecked"
"""The action of putting an order back, in the audit trail."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which reviews: of these orders, or with this reason; younger than `since` and of this event, if given."""

    orders: tuple[str, ...] = ()
    reason: str = ""
    since: timedelta | None = None
    event_id: int | None = None


@dataclass(frozen=True, slots=True)
class PutBack:
    """What came of it: the orders that wait again, and those that somebody else had changed or held meanwhile."""

    waiting: tuple[str, ...]
    left: tuple[str, ...]


def find_reviews(engine: sa.Engine, wanted: Wanted, now: datetime, *, ours_alone: bool = True) -> list[OpenReview]:
    """Return the open reviews that are wanted, the longest waiting first; `ours_alone`: that paypoll itself put there.

    Else also those that a person has closed and that were paid since, as `queue` lists them.

    Raise RefusedError when an order that was named is none of them, NotFoundError when the event is not there.
    """
    require_ready(engine)
    with transaction(engine) as connection:
        ids = [find_order_id(connection, number) for number in wanted.orders]
        if ours_alone:
            ours = [review for review in open_reviews(connection) if review.reason]
        else:
            ours = reviews_for_a_person(connection)
        of_event = None
        if wanted.event_id is not None:
            require_event(connection, wanted.event_id)
            of_event = orders_of_event(connection, wanted.event_id)
    by_id = {review.order_id: review for review in ours}
    for number, order_id in zip(wanted.orders, ids, strict=True):
        if order_id not in by_id:
            raise RefusedError(
                f"order {number} is not in review, or paypoll did not put it there, or a person has closed its review: "
                f"`paypoll inspect {order_word(order_id, number)}` says which"
            )
    after = now - wanted.since if wanted.since is not None else None
    return [
        review
        for review in ours
        if (not ids or review.order_id in ids)
        and wanted.reason in {"", review.reason}
        and (of_event is None or review.order_id in of_event)
        and (after is None or review.since >= after)
    ]


def put_back(engine: sa.Engine, reviews: Sequence[OpenReview], *, who: str, why: str, clock: Clock) -> PutBack:
    """Let these orders wait again, each in a transaction of its own."""
    run_id = new_run_id(clock.now())
    waiting: list[str] = []
    left: list[str] = []
    for review in reviews:
        done = _put_back_one(engine, review, who, why, run_id, clock.now())
        (waiting if done else left).append(review.order_number)
    return PutBack(tuple(waiting), tuple(left))


def _put_back_one(engine: sa.Engine, review: OpenReview, who: str, why: str, run_id: str, now: datetime) -> bool:
    """Put one order back. False when it is not in review any more, somebody holds it, or its rows cannot be read."""
    try:
        with transaction(engine) as connection:
            if not lock_order(connection, review.order_id):
                return False
            order = load_order(connection, review.order_id)
            still_open = order is not None and not order.rejected and order.status == OrderStatus.REVIEW
            if order is None or not still_open:
                return False
            waiting = OrderStatus.PENDING_VERIFICATION
            set_order_status(connection, order, waiting, f"put back to waiting by {who}: {why}", now)
            record(
                connection,
                now=now,
                action=ACTION,
                actor=who,
                order_id=order.id,
                order_number=order.number,
                run_id=run_id,
                reason=review.reason,
                explanation=why,
                status_from=order.status,
                status_to=waiting.value,
            )
            watches.put_back(connection, order.id, waiting.value, now)
            # Should it go to review again, that is told again.
            forget_told(connection, order.id, "alert:review:", run_id)
            return True
    except UnreadableOrderError:
        return False
    except DBAPIError as error:
        if sort_error(error) is Trouble.BUSY:
            return False
        raise
