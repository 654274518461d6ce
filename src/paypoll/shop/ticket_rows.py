"""The rows of `events_ticket`: what the shop's scanner, door list and pages read of a ticket."""

from datetime import datetime

from paypoll.payments.order import Account, Event, Order
from paypoll.payments.ticket_statuses import VALID
from paypoll.tickets.numbers import qr_data, validation_hash


def ticket_row(
    number: str, order: Order, event: Event, account: Account, qr_prefix: str, now: datetime
) -> dict[str, object]:
    """Return the row of a new ticket, as the shop's scanner and pages want it."""
    digest = validation_hash(number, event.id, account.email, now)
    return {
        "ticket_number": number,
        "qr_code": None,
        "purchase_date": now,
        "status": VALID,
        "seat_number": "",
        "special_requirements": "",
        "customer_id": account.id,
        "event_id": event.id,
        "is_validated": False,
        "order_id": order.id,
        "pdf_file": None,
        "qr_data": qr_data(qr_prefix, number, event.id, account.email, digest),
        "validated_at": None,
        "validated_by_id": None,
        "validation_hash": digest,
        "ticket_tier_id": None,
    }
