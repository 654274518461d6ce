"""Read the tickets of an order as they are to be printed."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from paypoll.clock import local_moment
from paypoll.payments.ticket_statuses import ADMITTING
from paypoll.settings.model import SiteSettings
from paypoll.shop.orders import organiser_name
from paypoll.shop.tables import events, items, orders, organisers, tickets, users
from paypoll.state.tables import ticket_place
from paypoll.tickets.ticket import TicketFace


@dataclass(frozen=True, slots=True)
class IssuedTicket:
    """A ticket that paypoll issued, ready to be printed. `has_files`: its files are in the media folder already."""

    id: int
    face: TicketFace
    has_files: bool


def load_issued_tickets(
    connection: sa.Connection, order_ids: Collection[int], site: SiteSettings
) -> dict[int, tuple[IssuedTicket, ...]]:
    """Return the tickets that paypoll issued for these orders, of each in the order of items and places.

    All of an order's or none: a confirmation must not leave with a part of its tickets. Those that were cancelled or
    refunded since are left out: the scanner refuses them.
    """
    found: dict[int, list[sa.RowMapping]] = {}
    for row in connection.execute(_faces_of(order_ids)).mappings():
        found.setdefault(row["order_id"], []).append(row)
    # A row that a ticket needs was deleted in the shop: return none of the tickets, not some.
    whole = {order_id: rows for order_id, rows in found.items() if len(rows) == rows[0]["filled"]}
    return {
        order_id: tuple(
            _issued(row, place, len(rows), site)
            for place, row in enumerate(rows, start=1)
            if row["status"] in ADMITTING
        )
        for order_id, rows in whole.items()
    }


def _faces_of(order_ids: Collection[int]) -> sa.Select[Any]:
    organiser = users.alias("organiser")
    all_of_it = ticket_place.alias("all_of_it")
    filled = sa.select(sa.func.count()).where(all_of_it.c.order_id == ticket_place.c.order_id).scalar_subquery()
    return (
        sa.select(
            ticket_place.c.order_id,
            filled.label("filled"),
            tickets.c.id,
            tickets.c.ticket_number,
            tickets.c.qr_data,
            tickets.c.status,
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
        # By its number as well: a shop restored from a backup gives ids out again.
        .join(
            tickets,
            sa.and_(tickets.c.id == ticket_place.c.ticket_id, tickets.c.ticket_number == ticket_place.c.ticket_number),
        )
        .join(items, items.c.id == ticket_place.c.order_item_id)
        .join(orders, orders.c.id == ticket_place.c.order_id)
        .join(events, events.c.id == tickets.c.event_id)
        .outerjoin(organisers, organisers.c.user_id == events.c.organiser_id)
        .outerjoin(organiser, organiser.c.id == events.c.organiser_id)
        .where(ticket_place.c.order_id.in_(order_ids))
        .order_by(ticket_place.c.order_id, ticket_place.c.order_item_id, ticket_place.c.place)
    )


def _issued(row: sa.RowMapping, place: int, places: int, site: SiteSettings) -> IssuedTicket:
    return IssuedTicket(
        id=row["id"],
        face=TicketFace(
            ticket_number=row["ticket_number"],
            qr_data=row["qr_data"],
            event_title=row["title"],
            starts=local_moment(row["event_date"], row["event_time"], site.zone),
            venue_name=row["venue_name"],
            venue_address=row["venue_address"],
            organiser_name=organiser_name(row),
            holder_name=f"{row['delivery_first_name']} {row['delivery_last_name']}".strip(),
            price=row["price"],
            currency=site.currency,
            order_number=row["order_number"],
            place=place,
            places=places,
        ),
        has_files=bool(row["pdf_file"]),
    )
