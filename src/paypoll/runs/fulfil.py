"""Fulfil a paid order: its tickets, and the mail that carries them, in the caller's transaction.

Tickets are rows here. Their PDFs are made from the rows at delivery, and can be made again at any time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from paypoll.mail.content.contexts import ConfirmationContext
from paypoll.mail.content.message_id import new_message_id
from paypoll.mail.content.order_lines import order_lines
from paypoll.payments.matching import VerifiedPayment
from paypoll.payments.order import Account, Event, Order, OrderItem
from paypoll.payments.order_statuses import OrderStatus
from paypoll.payments.override import OverriddenPayment
from paypoll.runs.organiser_digest import tell_organisers
from paypoll.settings.model import SiteSettings
from paypoll.shop.accounts import account_for_guest
from paypoll.shop.capacity import raise_tickets_sold
from paypoll.shop.changes import complete_order, insert_tickets
from paypoll.shop.ticket_rows import ticket_row
from paypoll.state import outbox
from paypoll.state.fulfilments import record_fulfilment
from paypoll.state.tables import ticket_place
from paypoll.statements import later
from paypoll.tickets.numbers import new_ticket_number

_MOST_TRIES = 500
_FILL = later(sa.insert(ticket_place))


@dataclass(frozen=True, slots=True)
class FulfilmentRules:
    """What tickets and mails need to know of the settings. `domain` is that of our Message-IDs.

    `tell_organisers`: the organisers of an order's events are told of it, in a digest a run.
    `tell_of_review`: a customer whose payment arrived, but needs a person's look, is told so.
    """

    site: SiteSettings
    qr_prefix: str
    domain: str
    tell_of_review: bool = False
    tell_organisers: bool = False


def fulfil(
    connection: sa.Connection,
    order: Order,
    payment: VerifiedPayment | OverriddenPayment,
    rules: FulfilmentRules,
    *,
    explanation: str,
    run_id: str,
    now: datetime,
) -> int:
    """Issue the order's tickets, mark it as paid and completed, and post the confirmation. Return how many tickets.

    Raise IntegrityError when a place has its ticket already, or the payment has fulfilled another order: the database
    forbids it, whatever was decided.
    """
    account = order.account or account_for_guest(connection, order, now)
    numbers = _issue(connection, order, account, rules, now)
    done = record_fulfilment(connection, order, payment, issued_by="paypoll", run_id=run_id, now=now)
    complete_order(connection, order, done.order_transaction_id, done.paid_at, explanation, now, account_id=account.id)
    raise_tickets_sold(connection, order, now)
    post_confirmation(connection, order, numbers, rules, now)
    if rules.tell_organisers:
        tell_organisers(connection, order, rules.site.currency, rules.domain, run_id, now)
    if order.written_to:  # it would only confuse now, if it has not left yet
        outbox.withdraw_unread(connection, order.id, *outbox.OF_A_PAYMENT)
    return sum(len(issued) for issued in numbers.values())


def restore(
    connection: sa.Connection,
    order: Order,
    payment: VerifiedPayment | OverriddenPayment | None,
    *,
    explanation: str,
    run_id: str,
    now: datetime,
) -> None:
    """Put an order that has its tickets back to completed, with the payment as it was written before.

    `payment` is None where a person issued the tickets without one: that is on record.
    """
    done = order.fulfilment
    if done is None:
        if payment is None:
            raise ValueError("an order without a fulfilment is put back only with its payment")
        done = record_fulfilment(connection, order, payment, issued_by="shop", run_id=run_id, now=now)
    # The account that the tickets are for: whoever saved an old copy over the order may have taken it out.
    account_id = next((ticket.customer_id for ticket in order.tickets), None)
    complete_order(connection, order, done.order_transaction_id, done.paid_at, explanation, now, account_id=account_id)


def _issue(
    connection: sa.Connection, order: Order, account: Account, rules: FulfilmentRules, now: datetime
) -> dict[int, tuple[str, ...]]:
    """Issue one ticket for each place of the order's items; return the tickets' numbers by item."""
    rows: list[dict[str, object]] = []
    numbers: dict[int, tuple[str, ...]] = {}
    for item in order.items:
        event = _event_of(item)
        numbers[item.id] = tuple(new_ticket_number(event.slug) for _ in range(item.quantity))
        rows += [ticket_row(number, order, event, account, rules.qr_prefix, now) for number in numbers[item.id]]
    record_places(connection, order, numbers, insert_new_tickets(connection, rows, order.newest_ticket))
    return numbers


def record_places(
    connection: sa.Connection, order: Order, numbers: Mapping[int, Sequence[str]], ticket_ids: Mapping[str, int]
) -> None:
    """Write down which ticket fills which place of the order's items.

    Raise IntegrityError when a place has its ticket already: the database forbids a second one.
    """
    places = [
        {
            "order_item_id": item_id,
            "place": place,
            "order_id": order.id,
            "ticket_id": ticket_ids[number],
            "ticket_number": number,
        }
        for item_id, issued in numbers.items()
        for place, number in enumerate(issued, start=1)
    ]
    connection.execute(_FILL, places)


def insert_new_tickets(
    connection: sa.Connection, rows: Sequence[Mapping[str, object]], newest: int | None
) -> dict[str, int]:
    """Insert the tickets and return their ids by their numbers, with ids that no ticket of ours ever had.

    A shop that was restored from a backup gives ids out again, up to the `newest` (None: it was not), and
    `ticket_place` knows each once. A sequence does not go back with a savepoint, so each try skips as many ids as there
    are tickets.
    """
    for _ in range(_MOST_TRIES if newest is not None else 0):
        with connection.begin_nested() as savepoint:
            ticket_ids = insert_tickets(connection, rows)
            if newest is None or min(ticket_ids.values()) > newest:
                return ticket_ids
            savepoint.rollback()
    return insert_tickets(connection, rows)


def post_confirmation(
    connection: sa.Connection,
    order: Order,
    numbers: dict[int, tuple[str, ...]],
    rules: FulfilmentRules,
    now: datetime,
    *,
    again: str = "",
    to: str = "",
) -> str:
    """Post the confirmation, and return its Message-ID. `again` makes another mail of one that was posted before.

    `to`: a person has it sent to this address, whatever the order's is.
    """
    message_id = new_message_id(rules.domain)
    late = order.status in {OrderStatus.FAILED, OrderStatus.EXPIRED}
    content = ConfirmationContext(
        order_number=order.number,
        customer_name=order.customer_name,
        email=to or order.email,
        total=order.total,
        currency=rules.site.currency,
        lines=order_lines(order, rules.site, numbers),
        late=late,
    )
    outbox.post(
        connection,
        kind="late_confirmation" if late else "confirmation",
        dedupe_key=f"confirmation:{order.id}" + (f":{again}" if again else ""),
        recipients=[to or order.email],
        content=content.to_json() | ({outbox.ADDRESS_STANDS: True} if to else {}),
        message_id=message_id,
        now=now,
        order_id=order.id,
        unread=True,
    )
    return message_id


def _event_of(item: OrderItem) -> Event:
    if item.event is None:
        raise ValueError(f"order item {item.id} has no event: decide() must have sent it to review")
    return item.event
