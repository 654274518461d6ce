"""Statements that change tables of the shop: an order's and its checkouts', tickets', and organisers' tokens.

With `accounts`, `capacity`, `codes`, `listing_fees` and `refunds` all there are in paypoll.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from paypoll.database import UtcDateTime
from paypoll.payments.gateway import CheckoutAnswer, CheckoutStatus
from paypoll.payments.order import Checkout, Order
from paypoll.payments.order_statuses import OrderStatus
from paypoll.shop.connections import CONNECTED, EXPIRED, OrganiserConnection
from paypoll.shop.tables import checkouts, history, orders, organisers, tickets
from paypoll.statements import later

# The checkout's own status has the shop's words, also where the order goes to review.
_CHECKOUT_STATUS: dict[str, str] = {
    CheckoutStatus.PENDING: "pending",
    CheckoutStatus.PAID: "paid",
    CheckoutStatus.FAILED: "failed",
    CheckoutStatus.EXPIRED: "expired",
}
# varchar(20) in the history: requires_manual_review has 22 characters.
_HISTORY_STATUS = {OrderStatus.REVIEW: "manual_review"}
_HISTORY_WIDTH = 20
# varchar(255); a longer list of scopes is cut: it must not keep the tokens from being stored.
_SCOPE_WIDTH = 255

_MOST_POLLS = 2**31 - 1

# Built once, not for every order. The payment notes get one more line, and keep what is there.
_LINE = sa.bindparam("line", type_=orders.c.payment_notes.type)
_MOVE_ORDER = later(
    sa.update(orders)
    .where(orders.c.id == sa.bindparam("wanted"))
    .values(payment_notes=sa.case((orders.c.payment_notes == "", _LINE), else_=orders.c.payment_notes + "\n" + _LINE))
)
_ADD_LINE = later(sa.insert(history), joins=True)
_NOTE_CHECKOUT = later(
    sa.update(checkouts)
    .where(checkouts.c.id == sa.bindparam("wanted"))
    .values(
        polling_started_at=sa.func.coalesce(checkouts.c.polling_started_at, sa.bindparam("now", type_=UtcDateTime)),
        poll_count=sa.case((checkouts.c.poll_count < _MOST_POLLS, checkouts.c.poll_count + 1), else_=_MOST_POLLS),
    )
)


def set_order_status(connection: sa.Connection, order: Order, status: OrderStatus, note: str, now: datetime) -> None:
    """Move the order to another status: the row, a line in its payment notes, and one in its history."""
    _move_order(connection, order, status, note, now, {})


def note_order(connection: sa.Connection, order: Order, note: str, now: datetime, *, in_history: bool = False) -> None:
    """Write a line into the order's payment notes, and one into its history; its status stays."""
    connection.execute(_MOVE_ORDER, {"wanted": order.id, "updated_at": now, "line": _line(note, now)})
    if in_history:
        status = next((short for long, short in _HISTORY_STATUS.items() if long == order.status), order.status)
        _add_history(connection, order, status[:_HISTORY_WIDTH], note, now)


def was_noted(connection: sa.Connection, order: Order, note: str, since: datetime) -> bool:
    """Say whether this was written for the order since then: into its history, or, in a later minute, its notes."""
    line = sa.select(history.c.id).where(
        history.c.order_id == order.id, history.c.note == note, history.c.created_at > since
    )
    if connection.scalar(line.limit(1)) is not None:
        return True
    # Not in the same minute: it may be that of one before, in the same words.
    notes = connection.scalar(sa.select(orders.c.payment_notes).where(orders.c.id == order.id)) or ""
    oldest, behind = _line(note, since + timedelta(minutes=1)), len(_line("", since))
    return any(written[behind:] == note and written >= oldest for written in notes.splitlines())


def complete_order(
    connection: sa.Connection,
    order: Order,
    transaction_id: str,
    paid_at: datetime,
    note: str,
    now: datetime,
    *,
    account_id: int | None,
) -> None:
    """Move the order to completed, with what a verified payment means for its payment columns.

    A guest's order becomes that of the account that its tickets are for: pages of the shop that list an event's
    buyers answer nobody while one of them has no account.
    """
    paid: dict[str, object] = {"is_paid": True, "paid_at": paid_at, "transaction_id": transaction_id}
    if order.user_id is None and account_id is not None:
        paid["user_id"] = account_id
    _move_order(connection, order, OrderStatus.COMPLETED, note, now, paid)


def note_payment(
    connection: sa.Connection,
    order: Order,
    transaction_id: str,
    paid_at: datetime,
    note: str,
    now: datetime,
    *,
    account_id: int,
) -> None:
    """Write a line into the order's notes, and its payment unless it is marked as paid; its status stays."""
    changed: dict[str, object] = {"wanted": order.id, "updated_at": now, "line": _line(note, now)}
    if not order.is_paid:
        changed |= {"is_paid": True, "paid_at": paid_at, "transaction_id": transaction_id}
    if order.user_id is None:
        changed["user_id"] = account_id
    connection.execute(_MOVE_ORDER, changed)


def _line(note: str, now: datetime) -> str:
    return f"[{now:%Y-%m-%d %H:%M} UTC] paypoll: {note}"


def _move_order(
    connection: sa.Connection,
    order: Order,
    status: OrderStatus,
    note: str,
    now: datetime,
    payment: Mapping[str, object],
) -> None:
    changed = {"wanted": order.id, "status": status.value, "updated_at": now, "line": _line(note, now)}
    connection.execute(_MOVE_ORDER, {**changed, **payment})
    _add_history(connection, order, _HISTORY_STATUS.get(status, status.value), note, now)


def _add_history(connection: sa.Connection, order: Order, status: str, note: str, now: datetime) -> None:
    moved = {
        "status": status,
        "note": note,
        "created_at": now,
        "changed_by_id": None,
        "order_id": order.id,
    }
    connection.execute(_ADD_LINE, moved)


def note_checkout(
    connection: sa.Connection,
    checkout: Checkout,
    answer: CheckoutAnswer | None,
    now: datetime,
    *,
    settled: bool,
    paid_at: datetime | None = None,
) -> None:
    """Write down that SumUp was asked about a stored checkout, and what it said (None: nothing that can be used)."""
    values: dict[str, Any] = {"should_poll": not settled, "last_polled_at": now, "updated_at": now}
    if answer is not None and not checkout.checkout_ids:
        # Found by its reference: from now on the shop's own refunds can name it.
        values["sumup_checkout_id"] = answer.id
    if answer is not None:
        # What the shop needs to lead the customer back to SumUp's page stays, should a later answer not repeat it.
        page = {"hosted_checkout_url": checkout.hosted_page} if checkout.hosted_page else {}
        values["sumup_response"] = {**page, **answer.raw}
        if status := _CHECKOUT_STATUS.get(answer.status):
            values["status"] = status
    if paid_at is not None:
        values["paid_at"] = paid_at
    connection.execute(_NOTE_CHECKOUT, {"wanted": checkout.id, "now": now, **values})


def insert_tickets(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Insert tickets and return their ids by their numbers."""
    inserted = connection.execute(sa.insert(tickets).returning(tickets.c.ticket_number, tickets.c.id), rows)
    return {number: int(ticket_id) for number, ticket_id in inserted}


def set_ticket_files(connection: sa.Connection, paths: Mapping[int, tuple[str, str]]) -> None:
    """Write where the files of these tickets are, PDF and picture of the code, below the shop's media folder."""
    pdf_of, picture_of = (
        sa.case({ticket_id: both[which] for ticket_id, both in paths.items()}, value=tickets.c.id) for which in (0, 1)
    )
    connection.execute(
        sa.update(tickets).where(tickets.c.id.in_(list(paths))).values(pdf_file=pdf_of, qr_code=picture_of)
    )


# ---------------------------------------------------------------------------------------------------------
# Organisers' tokens
# ---------------------------------------------------------------------------------------------------------


def rehearse_token_write(connection: sa.Connection, known: OrganiserConnection) -> bool:
    """Write an organiser's tokens as they are. False when they are no longer the known ones.

    Done before a refresh: once SumUp has answered, tokens that cannot be stored are lost. So a missing right, a
    read-only database or a page of the shop that holds the row shows while there is nothing to lose.
    """
    columns = organisers.c
    as_it_is = {
        name: columns[name]
        for name in (
            "sumup_access_token",
            "sumup_refresh_token",
            "sumup_token_type",
            "sumup_expires_at",
            "sumup_scope",
            "sumup_connection_status",
            "updated_at",
        )
    }
    return connection.execute(_update_if_unchanged(known).values(as_it_is)).rowcount == 1


def store_tokens(
    connection: sa.Connection,
    known: OrganiserConnection,
    *,
    access_token: str,
    refresh_token: str,
    token_type: str,
    scope: str,
    expires_at: datetime,
    now: datetime,
) -> bool:
    """Store what a refresh with the known refresh token brought. False, and nothing stored, when it was replaced.

    An empty refresh token or scope keeps the one that is there. A connection that was marked as expired meanwhile
    (by somebody whose refresh came second) is connected again: SumUp has just issued these tokens.
    """
    values: dict[str, Any] = {
        "sumup_access_token": access_token,
        "sumup_token_type": token_type,
        "sumup_expires_at": expires_at,
        "updated_at": now,
        "sumup_connection_status": sa.case(
            (organisers.c.sumup_connection_status == EXPIRED, CONNECTED), else_=organisers.c.sumup_connection_status
        ),
    }
    if refresh_token:
        values["sumup_refresh_token"] = refresh_token
    if scope:
        values["sumup_scope"] = scope[:_SCOPE_WIDTH]
    return connection.execute(_update_if_unchanged(known).values(values)).rowcount == 1


def mark_connection_expired(connection: sa.Connection, known: OrganiserConnection, now: datetime) -> bool:
    """Mark that SumUp refuses the known refresh token for good. False when it was replaced meanwhile."""
    marked = _update_if_unchanged(known).values(sumup_connection_status=EXPIRED, updated_at=now)
    return connection.execute(marked).rowcount == 1


def _update_if_unchanged(known: OrganiserConnection) -> sa.Update:
    """Return an UPDATE of the profile that does nothing once the shop, or another run, replaced the refresh token."""
    return sa.update(organisers).where(
        organisers.c.id == known.profile_id,
        organisers.c.sumup_merchant_code == known.merchant_code,
        organisers.c.sumup_refresh_token == known.refresh_token,
    )
