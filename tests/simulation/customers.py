"""What customers do: pay, are declined, try again, pay late, twice, wrongly, or never."""

import random
from collections.abc import Callable
from decimal import Decimal
from typing import TYPE_CHECKING

from tests.simulation.shop_model import Sold
from tests.simulation.sumup_entries import Payment, RealCheckout

from paypoll.testing import NOW

if TYPE_CHECKING:
    from tests.simulation.world import World


class Customer:
    """What a customer does after having placed an order: a tale drawn from the seed."""

    def __init__(self, world: "World", order: Sold, tale: random.Random) -> None:
        self._world = world
        self._sumup = world.sumup
        self._shop = world.shop
        self._order = order
        self._tale = tale
        self._at = 0

    def shop(self, start: int) -> None:
        """Go to SumUp, perhaps pay, perhaps come back to the shop; wrong, late, twice, or not at all."""
        tale = self._tale
        self._at = start
        how = tale.choice(
            ("pays",) * 5
            + ("retries", "retries", "tries anew", "gives up", "abandons", "pays late", "pays late")
            + ("pays wrong", "pays twice", "pays elsewhere's")
        )
        self._world.met[f"customer {how}"] += 1
        self._world.note(f"{how}: {self._order.number} of {self._order.total}")
        way = tale.choice(("first", "first", "both", "second", "hosted", "unstored"))
        real = self._go_to_sumup(way, wrong=how == "pays wrong")
        comes_back = way == "unstored" or tale.random() < 0.85
        early = tale.random() < 0.4
        if comes_back and early:
            self._wait(0, 1)
            self._come_back()
        self._pay(how, real)
        if comes_back and not early:
            self._wait(0, 2)
            self._come_back()
        self._wait(1, 9)
        if tale.random() < 0.3:
            self._sumup.run_out(real)

    def _come_back(self) -> None:
        self._world.note(f"comes back to the shop: {self._order.number}")
        self._shop.return_page(self._order)

    def _pay(self, how: str, real: RealCheckout) -> None:
        if how in ("pays", "pays wrong", "pays twice"):
            self._wait(0, 1)
            self._sumup.pay(real)
        elif how == "pays late":
            self._wait(3, 8)
            self._sumup.pay(real)
        elif how in ("retries", "gives up"):
            self._wait(0, 1)
            self._sumup.decline(real)
            if how == "retries":
                self._wait(0, 3)
                self._sumup.pay(real)
        elif how == "tries anew":
            self._sumup.decline(real)
            self._wait(0, 2)
            self._pay_another_try()
        elif how == "pays elsewhere's":
            self._wait(0, 3)
            self._sumup.pay(real, as_payment=self._payment_of_another())
        if how == "pays twice":
            self._pay_another_try(after=2)

    def _go_to_sumup(self, way: str, *, wrong: bool) -> RealCheckout:
        order = self._order
        reference = f"hosted_order_{order.number}" if way == "hosted" else order.number
        amount, currency, merchant = order.total, "GBP", order.merchant
        if wrong:
            amount, currency, merchant = self._tale.choice(
                (
                    (amount - Decimal("0.01"), currency, merchant),
                    (amount + Decimal("0.01"), currency, merchant),
                    (amount, "EUR", merchant),
                    (amount, currency, "MOTHER"),
                )
            )
        real = self._sumup.open_checkout(reference, order.number, amount, currency=currency, merchant=merchant)
        if way != "unstored":
            self._shop.store_checkout(order, real, reference, way=way)
        return real

    def _pay_another_try(self, *, after: int = 0) -> None:
        """Pay another checkout, unless the page that made it gave up: then nobody is shown where to pay."""
        another = self._another_try()
        if after:
            self._wait(0, after)
        if another.id in self._shop.stored:
            self._sumup.pay(another)

    def _another_try(self) -> RealCheckout:
        """Make another checkout for the same order: a row of its own, or the old row used again."""
        order = self._order
        if self._tale.random() < 0.5:
            reference = f"{order.number}-2"
            real = self._sumup.open_checkout(reference, order.number, order.total)
            self._shop.store_checkout(order, real, reference, way="first")
        else:
            real = self._sumup.open_checkout(order.number, order.number, order.total)
            self._shop.reuse_checkout(order, real)
        return real

    def _payment_of_another(self) -> Payment | None:
        others = [
            one.payment
            for one in self._sumup.checkouts.values()
            if one.payment is not None and one.order != self._order.number and one.amount == self._order.total
        ]
        return others[0] if others else None

    def _wait(self, least: int, most: int) -> None:
        self._at += self._tale.randint(least, most)
        self._world.sleep_to(self._at, jitter=1)


def draw_customer(world: "World", number: int) -> Callable[[], None]:
    """Draw an order, and whoever places it."""
    chance = world.script
    lines = tuple(
        (number * 10 + line, chance.choice((1, 1, 2)), chance.choice((1, 1, 2, 3)))
        for line in range(chance.choice((1, 1, 2, 3)))
    )
    places = sum(count for _, _, count in lines)
    email = chance.choice((f"guest{number}@example.org", "Shared@example.org", "member@example.org"))
    if chance.random() < 0.08:
        email = f"nobody{number}@example.org"
        world.mail.refused.add(email)
    order = Sold(number, f"ORD-{number}", email, Decimal(10) * places, NOW, lines)
    start = chance.randrange(4)
    tale = random.Random(f"{world.seed} customer {number}")  # noqa: S311 - drawn from a seed, as is meant
    member = email == "member@example.org"

    def customer() -> None:
        world.sleep_to(start)
        order.created_at = world.bench.clock.now()
        world.shop.place(order, member=member)
        Customer(world, order, tale).shop(start)

    return customer
