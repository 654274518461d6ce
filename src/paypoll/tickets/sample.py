"""A made-up ticket, with which `paypoll check` tries the printer and `paypoll preview` shows how tickets look."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from paypoll.settings.model import Settings
from paypoll.tickets.ticket import TicketFace


def sample_face(settings: Settings) -> TicketFace:
    """Return a ticket that no scanner admits: the shop has no such event."""
    site = settings.site
    return TicketFace(
        ticket_number="SAMPLE-000000000000",
        qr_data=f"{settings.tickets.qr_prefix}|SAMPLE-000000000000|0|sample@example.org|0000000000000000",
        event_title="Winter Concert",
        starts=datetime(2026, 12, 7, 19, 30, tzinfo=site.zone),
        venue_name="Town Hall",
        venue_address="1 High Street\nSt Helier",
        organiser_name="Island Concerts",
        holder_name="Ada Le Sueur",
        price=Decimal("12.50"),
        currency=site.currency,
        order_number="ORD-1001",
        place=1,
        places=2,
    )


def sample_faces(settings: Settings) -> Sequence[TicketFace]:
    """Return three such tickets, which differ as an event's tickets do."""
    face = sample_face(settings)
    names = ("Ada Le Sueur", "Ben Le Sueur", "Zoe Le Sueur")
    return [
        replace(
            face,
            ticket_number=face.ticket_number[:-1] + str(number),
            qr_data=face.qr_data.replace(face.ticket_number, face.ticket_number[:-1] + str(number)),
            holder_name=name,
            order_number=f"ORD-100{number}",
        )
        for number, name in enumerate(names)
    ]
