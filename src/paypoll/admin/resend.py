"""Send a confirmation with its tickets again: a new mail with its own Message-ID, to the address the order has now."""

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from paypoll.clock import Clock
from paypoll.database import transaction
from paypoll.errors import OrderNotFoundError, RefusedError
from paypoll.mail.delivered import Delivered
from paypoll.payments.order import Order
from paypoll.payments.rules import VOID_TICKETS
from paypoll.payments.statuses import VOID
from paypoll.runs.fulfil import FulfilmentRules, post_confirmation
from paypoll.runs.load import load_order
from paypoll.shop.find import find_order_id, lock_order
from paypoll.state.audit import record
from paypoll.state.outbox import UNSENT
from paypoll.state.runs import new_run_id
from paypoll.state.tables import outbox, ticket_place
from paypoll.state.upgrade import require_ready


@dataclass(frozen=True, slots=True)
class Resent:
    """What became of the mail: `state` is the outbox's (sent, waiting, undeliverable), `error` why it is not sent."""

    order: Order
    recipient: str
    message_id: str
    tickets: int
    state: str
    error: str


@dataclass(frozen=True, slots=True)
class Resender:
    """Sends confirmations again. `deliver` sends the mail that is due, in the run with this id."""

    engine: sa.Engine
    rules: FulfilmentRules
    deliver: Callable[[str], Delivered]
    clock: Clock

    def resend(self, wanted: str, who: str) -> Resent:
        """Post the order's confirmation again and deliver what is due. `who` goes into the audit trail.

        Raise OrderNotFoundError, or RefusedError when the order has no tickets by paypoll that still admit somebody,
        or a confirmation of it is still on its way.
        """
        require_ready(self.engine)
        now = self.clock.now()
        run_id = new_run_id(now)
        with transaction(self.engine) as connection:
            order_id = find_order_id(connection, wanted)
            lock_order(connection, order_id)
            order = load_order(connection, order_id)
            if order is None:
                raise OrderNotFoundError(f"order {wanted} is gone from the shop")
            numbers = _issued(connection, order)
            _require_sendable(connection, order, numbers)
            times = 1 + _resent_before(connection, order)
            message_id = post_confirmation(connection, order, numbers, self.rules, now, again=f"resend:{times}")
            record(
                connection,
                now=now,
                action="resent",
                actor=who,
                order_id=order.id,
                order_number=order.number,
                run_id=run_id,
                explanation=f"the confirmation is sent again to {order.email} ({message_id})",
            )
        self.deliver(run_id)
        with transaction(self.engine) as connection:
            row = connection.execute(
                sa.select(outbox.c.state, outbox.c.last_error).where(outbox.c.message_id == message_id)
            ).one()
        tickets = sum(len(issued) for issued in numbers.values())
        return Resent(order, order.email, message_id, tickets, row.state, row.last_error or "")


def _issued(connection: sa.Connection, order: Order) -> dict[int, tuple[str, ...]]:
    """Return the numbers of the tickets that paypoll issued and that are still there, by order item."""
    left = {ticket.number for ticket in order.tickets}
    rows = connection.execute(
        sa.select(ticket_place.c.order_item_id, ticket_place.c.ticket_number)
        .where(ticket_place.c.order_id == order.id)
        .order_by(ticket_place.c.order_item_id, ticket_place.c.place)
    ).all()
    return {
        item.id: tuple(row.ticket_number for row in rows if row.order_item_id == item.id and row.ticket_number in left)
        for item in order.items
    }


def _require_sendable(connection: sa.Connection, order: Order, numbers: dict[int, tuple[str, ...]]) -> None:
    if not any(numbers.values()):
        raise RefusedError(
            f"order {order.number} is {order.status} and has no tickets issued by paypoll: there is nothing to send"
        )
    void = [ticket.number for ticket in order.tickets if ticket.status in VOID_TICKETS]
    if order.status in VOID or void:
        what = f"it is {order.status}" if order.status in VOID else f"{len(void)} of its tickets are void"
        raise RefusedError(f"order {order.number}: {what}, so its tickets are not sent again")
    waiting = connection.execute(
        sa.select(outbox.c.attempts, outbox.c.last_error).where(
            outbox.c.order_id == order.id,
            outbox.c.kind.in_(("confirmation", "late_confirmation")),
            outbox.c.state.in_(UNSENT),
        )
    ).first()
    if waiting is not None:
        why = f" (attempt {waiting.attempts}: {waiting.last_error})" if waiting.last_error else ""
        raise RefusedError(f"order {order.number}: its confirmation is still waiting and leaves by itself{why}")


def _resent_before(connection: sa.Connection, order: Order) -> int:
    prefix = f"confirmation:{order.id}:resend:"
    query = sa.select(sa.func.count()).select_from(outbox).where(outbox.c.dedupe_key.startswith(prefix))
    return connection.execute(query).scalar_one()
