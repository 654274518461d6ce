"""Read the tickets of an order as they are to be printed."""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from paypoll.ports import TicketFace
from paypoll.settings.model import SiteSettings
from paypoll.shop.orders import organiser_name
from paypoll.shop.tables import events, items, orders, organisers, tickets, users
from paypoll.state.tables import ticket_place


@dataclass(frozen=True, slots=True)
class IssuedTicket:
    """A ticket that paypoll issued, ready to be printed. `has_files`: its files are in the media folder already."""

    id: int
    face: TicketFace
    has_files: bool


def load_issued_tickets(connection: sa.Connection, order_id: int, site: SiteSettings) -> tuple[IssuedTicket, ...]:
    """Return the tickets that paypoll issued for this order, in the order of items and places.

    All of them or none: a confirmation must not leave with a part of its tickets.
    """
    organiser = users.alias("organiser")
    query = (
        sa.select(
            tickets.c.id,
            tickets.c.ticket_number,
            tickets.c.qr_data,
            tickets.c.pdf_file,
            events.c.title,
            events.c.event_date,
            events.c.event_time,
            events.c.venue_name,
            events.c.venue_address,
            items.c.price,
            orders.c.order_number,
            orders.c.delivery_first_name,
            orders.c.delivery_last_name,
            organisers.c.business_name,
            organisers.c.display_name,
            organiser.c.first_name,
            organiser.c.last_name,
        )
        .select_from(ticket_place)
        .join(tickets, tickets.c.id == ticket_place.c.ticket_id)
        .join(items, items.c.id == ticket_place.c.order_item_id)
        .join(orders, orders.c.id == ticket_place.c.order_id)
        .join(events, events.c.id == tickets.c.event_id)
        .outerjoin(organisers, organisers.c.user_id == events.c.organiser_id)
        .outerjoin(organiser, organiser.c.id == events.c.organiser_id)
        .where(ticket_place.c.order_id == order_id)
        .order_by(ticket_place.c.order_item_id, ticket_place.c.place)
    )
    rows = connection.execute(query).mappings().all()
    issued = sa.select(sa.func.count()).select_from(ticket_place).where(ticket_place.c.order_id == order_id)
    if len(rows) != connection.scalar(issued):
        return ()  # rather none than some: what belongs to a ticket was deleted in the shop
    return tuple(
        IssuedTicket(
            id=row["id"],
            face=TicketFace(
                ticket_number=row["ticket_number"],
                qr_data=row["qr_data"],
                event_title=row["title"],
                starts=datetime.combine(row["event_date"], row["event_time"], tzinfo=site.zone),
                venue_name=row["venue_name"],
                venue_address=row["venue_address"],
                organiser_name=organiser_name(row),
                holder_name=f"{row['delivery_first_name']} {row['delivery_last_name']}".strip(),
                price=row["price"],
                currency=site.currency,
                order_number=row["order_number"],
                place=place,
                places=len(rows),
            ),
            has_files=bool(row["pdf_file"]),
        )
        for place, row in enumerate(rows, start=1)
    )
