"""A made-up ticket, with which `paypoll check` tries the printer and `paypoll preview` shows how tickets look."""

from datetime import datetime, time, timedelta
from decimal import Decimal

from paypoll.ports import TicketFace
from paypoll.settings.model import Settings


def sample_face(settings: Settings, now: datetime) -> TicketFace:
    """Return the ticket of an event a week from `now` (aware). No scanner admits it: the shop has no such event."""
    site = settings.site
    in_a_week = (now + timedelta(days=7)).astimezone(site.zone).date()
    return TicketFace(
        ticket_number="SAMPLE-000000000000",
        qr_data=f"{settings.tickets.qr_prefix}|SAMPLE-000000000000|0|sample@example.org|0000000000000000",
        event_title="Sample: Fête of Île & Wärmē",
        starts=datetime.combine(in_a_week, time(19, 30), tzinfo=site.zone),
        venue_name="Town Hall",
        venue_address="1 High Street\nSt Helier",
        organiser_name="The Choir",
        holder_name="Ada Le Sueur",
        price=Decimal("12.50"),
        currency=site.currency,
        order_number="ORD-1001",
        place=1,
        places=2,
    )
