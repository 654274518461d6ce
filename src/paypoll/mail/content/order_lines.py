"""An order's items as a mail lists them."""

from collections.abc import Mapping

from paypoll.clock import local_moment
from paypoll.mail.content.contexts import OrderLine
from paypoll.payments.order import Order
from paypoll.settings.model import SiteSettings


def order_lines(
    order: Order, site: SiteSettings, numbers: Mapping[int, tuple[str, ...]] | None = None
) -> tuple[OrderLine, ...]:
    """Return the order's items as a mail lists them, with the `numbers` of each item's tickets where they are given."""
    lines = []
    for item in order.items:
        event = item.event
        lines.append(
            OrderLine(
                event_title=event.title if event else item.event_title,
                starts=local_moment(event.starts_on, event.starts_at, site.zone) if event else None,
                venue_name=event.venue_name if event else "",
                venue_address=event.venue_address if event else "",
                quantity=item.quantity,
                price=item.price,
                ticket_numbers=(numbers or {}).get(item.id, ()),
                event_slug=event.slug if event else "",
                event_id=event.id if event else None,
            )
        )
    return tuple(lines)
