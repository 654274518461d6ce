"""The checkouts that paypoll has seen at SumUp for each order. The shop reuses its rows, and forgets."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from paypoll.database import insert_unless_there
from paypoll.payments.gateway import CheckoutAnswer, CheckoutStatus
from paypoll.payments.order import Order, SeenCheckout
from paypoll.payments.schedule import made_at
from paypoll.state.tables import checkout_seen
from paypoll.statements import Rows, later

SEEN = sa.select(
    checkout_seen.c.order_id,
    checkout_seen.c.checkout_id,
    checkout_seen.c.merchant_code,
    checkout_seen.c.status,
    checkout_seen.c.failed_since,
    checkout_seen.c.accounted,
    checkout_seen.c.transaction_id,
    checkout_seen.c.made_at,
).where(checkout_seen.c.order_id.in_(sa.bindparam("order_ids", expanding=True)))
"""The checkouts seen of the orders `order_ids`."""


def seen_in(rows: Rows) -> dict[int, tuple[SeenCheckout, ...]]:
    """Return the checkouts in what `SEEN` has found, by their orders."""
    seen: dict[int, list[SeenCheckout]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: str(row["checkout_id"])):
        seen[row["order_id"]].append(
            SeenCheckout(
                row["checkout_id"],
                row["merchant_code"],
                row["status"],
                row["failed_since"],
                row["accounted"],
                row["transaction_id"] or "",
                row["made_at"],
            )
        )
    return {order_id: tuple(found) for order_id, found in seen.items()}


def note_seen(
    connection: sa.Connection,
    order: Order,
    answers: Mapping[str, CheckoutAnswer],
    now: datetime,
    *,
    accounted: bool,
) -> None:
    """Write down what SumUp says about the order's checkouts, where it differs from what was seen before.

    With `accounted`, those that are PAID are accounted for from now on: they bought tickets, or an admin is told of
    them in this very transaction. Called under the order's row lock.
    """
    known = {one.checkout_id: one for one in order.seen}
    made = {checkout_id: made_at(order, answer, now) for checkout_id, answer in answers.items()}
    for checkout_id, new in seen_now(order.seen, answers, now, made, accounted=accounted).items():
        old = known.get(checkout_id)
        if new == old:
            continue
        row = {
            "merchant_code": new.merchant_code,
            "status": new.status,
            "seen_at": now,
            "failed_since": new.failed_since,
            "accounted": new.accounted,
            "transaction_id": new.transaction_id or None,
            "made_at": new.made_at,
        }
        if old is None:
            keys = {"order_id": order.id, "checkout_id": checkout_id, "first_seen_at": now}
            connection.execute(later(insert_unless_there(connection, checkout_seen)), {**keys, **row})
        else:
            same = (checkout_seen.c.order_id == order.id, checkout_seen.c.checkout_id == checkout_id)
            connection.execute(later(sa.update(checkout_seen).where(*same).values(**row)))


def seen_now(
    before: Sequence[SeenCheckout],
    answers: Mapping[str, CheckoutAnswer],
    now: datetime,
    made: Mapping[str, datetime | None],
    *,
    accounted: bool,
) -> dict[str, SeenCheckout]:
    """Return what is to be remembered of these answers, given what was seen `before` and when each was `made`."""
    known = {one.checkout_id: one for one in before}
    seen = {}
    for checkout_id, answer in answers.items():
        old = known.get(checkout_id)
        is_failed = answer.status == CheckoutStatus.FAILED
        failed_since = (old.failed_since if old and old.failed_since else now) if is_failed else None
        done = (old.accounted if old else False) or (accounted and answer.status == CheckoutStatus.PAID)
        seen[checkout_id] = SeenCheckout(
            checkout_id, answer.merchant_code, answer.status, failed_since, done, _payment_of(answer), made[checkout_id]
        )
    return seen


def _payment_of(answer: CheckoutAnswer) -> str:
    """Return the id of the payment that a PAID checkout holds, empty where SumUp names none."""
    if answer.status != CheckoutStatus.PAID:
        return ""
    return answer.transaction_id or next((attempt.id for attempt in answer.successful_attempts), "")
