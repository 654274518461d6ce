"""What admins and stale pages of the shop do to an order, at any time or just when a run has heard about it."""

from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from tests.simulation.weather import MOMENTS

if TYPE_CHECKING:
    from tests.simulation.world import World


def draw_meddling(world: "World", number: int) -> Callable[[], None]:
    """Draw one deed, and return it."""
    chance = world.script
    start = chance.randrange(1, MOMENTS)
    at_a_bad_time = chance.random() < 0.5
    patience = chance.randrange(25)
    seconds = chance.choice((0, 0, 1, 3, 20))
    deed = chance.choice(world.weather.deeds)
    share = chance.choice((Decimal(1), Decimal(1), Decimal("0.5")))
    tell_shop = chance.random() < 0.6

    def meddle() -> None:
        if at_a_bad_time:
            world.wait_for_look(number, patience)
        else:
            world.sleep_to(start, jitter=1)
        order = world.shop.sold.get(number)
        if order is None:
            return
        world.met[f"shop: {deed}"] += 1
        world.note(f"{deed} {order.number}")
        if deed == "cancel":
            world.shop.cancel(order)
        elif deed == "refund":
            world.shop.refund(order, world.sumup, share, tell_shop=tell_shop)
        elif deed == "replay":
            world.shop.return_page(order)
        elif deed == "stale":
            world.shop.save_stale_order(order, seconds)
        elif deed == "stale checkouts":
            world.shop.save_stale_checkouts(order, seconds)
        else:
            world.shop.hold_row(order, seconds)

    return meddle
