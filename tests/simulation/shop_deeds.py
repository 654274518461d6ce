"""What pages and admins of the shop do about money that went back, and tickets that nobody paid."""

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulation.shop_model import Shop, Sold


def note_refund(shop: "Shop", order: "Sold", amount: Decimal) -> None:
    """An admin writes down what went back, and leaves the order as it is."""
    shop.insert("orders_refund", order_id=order.id, amount=amount, status="processed", created_at=shop.now())


def scan(shop: "Shop", order: "Sold") -> None:
    """The first of the order's tickets admits its holder."""
    with shop.page() as cursor:
        cursor.execute(
            "UPDATE events_ticket SET status = 'used' WHERE status = 'valid'"
            " AND id = (SELECT min(id) FROM events_ticket WHERE order_id = %s)",
            (order.id,),
        )


def give_away(shop: "Shop", order: "Sold") -> None:
    """A page of the shop issues the tickets, unpaid, and an admin cancels the order."""
    order.by_shop = True
    ((_, event, places), *_) = order.lines
    for place in range(places):
        name = f"FREE-{order.id}-{place}"
        shop.insert(
            "events_ticket", order_id=order.id, event_id=event, status="valid", ticket_number=name, qr_data=name,
            customer_id=3, purchase_date=shop.now(),
        )  # fmt: skip
    shop.move(order, "cancelled")
