"""A story: an order of one kind of trouble, and the means to let things happen to it, hour by hour.

A story's order is one more beside those of the usual customers, so that a world stays the same but for what its kinds
add. Everything that a story does is written down in `told`, for whoever has to understand what went wrong.
"""

import random
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from tests.simulation.kinds import Kind
from tests.simulation.shop_model import Sold
from tests.simulation.sumup_answers import Contradiction
from tests.simulation.sumup_entries import Payment, RealCheckout

from paypoll.admin.recheck import Wanted, find_reviews, put_back
from paypoll.admin.resolve import Resolution
from paypoll.errors import PaypollError
from paypoll.state.resolutions import Verdict
from paypoll.testing import NOW

if TYPE_CHECKING:
    from tests.simulation.world import World

REFERENCE_FORMS = ("{}", "hosted_order_{}", "order_{}", "JE-{}")
"""Under what a flow of the shop makes a checkout that it never stores."""


class Story:
    """An order of a kind, and the means to let things happen to it."""

    def __init__(self, world: "World", kind: Kind, number: int) -> None:
        self.world = world
        self.tale = random.Random(f"{world.seed} {kind} {number}")  # noqa: S311 - drawn from a seed, as is meant
        self.kind = kind
        self.number = number
        self.hour = self.tale.uniform(0.0, 4.0)
        self.told: list[str] = []
        self._order: Sold | None = None

    @property
    def order(self) -> Sold:
        """The order, once it is placed."""
        assert self._order is not None
        return self._order

    def wait(self, least: float, most: float) -> None:
        """Let some hours pass."""
        self.hour += self.tale.uniform(least, most)
        there = NOW + timedelta(hours=self.hour)
        self.world.scheduler.sleep(max((there - self.world.bench.clock.now()).total_seconds(), 0))

    def catch_up(self) -> None:
        """Count the hours from now on."""
        self.hour = (self.world.bench.clock.now() - NOW) / timedelta(hours=1)

    def place(self, *, events: tuple[int, ...] = (1,), merchant: str = "MPLATFORM") -> None:
        """Place the order, when its hour has come."""
        self.wait(0, 0)
        lines = tuple((self.number * 10 + i, event, self.tale.choice((1, 1, 2))) for i, event in enumerate(events))
        total = Decimal(10) * sum(places for _, _, places in lines)
        number, now = f"ORD-{self.number}", self.world.bench.clock.now()
        email = f"guest{self.number}@example.org"
        self._order = Sold(self.number, number, email, total, now, lines, merchant=merchant, kind=self.kind)
        self.world.shop.place(self._order, member=False)
        self.note(f"order {number} over {total} is placed")

    def stands_for(self, order: Sold) -> None:
        """Take what is to be paid for, which is none of the shop's orders, as this story's."""
        self._order = order

    def make(
        self, reference: str = "", *, stored: bool = True, amount: Decimal | None = None, merchant: str = ""
    ) -> RealCheckout:
        """Make a checkout at SumUp. `stored`: the shop writes a row for it."""
        order = self.order
        reference = reference or order.number
        merchant = merchant or order.merchant
        real = self.world.sumup.open_checkout(reference, order.number, amount or order.total, merchant=merchant)
        self.note(f"{real.id} is made, {'stored' if stored else 'not stored'}: {reference}, {real.amount}, {merchant}")
        if stored:
            way = self.tale.choice(("first", "both", "second"))
            self.world.shop.store_checkout(order, real, reference, way=way, merchant=merchant)
        return real

    def make_hosted(self, *, merchant: str = "", amount: Decimal | None = None) -> RealCheckout:
        """Make a checkout that the shop does not store, under one of its references."""
        form = self.tale.choice(REFERENCE_FORMS)
        return self.make(form.format(self.order.number), stored=False, merchant=merchant, amount=amount)

    def pay(self, real: RealCheckout) -> bool:
        """Pay a checkout, if it can be paid."""
        paid = self.world.sumup.pay(real)
        self.note(f"{real.id} is paid" if paid else f"{real.id} cannot be paid: {real.status}")
        return paid

    def decline(self, real: RealCheckout) -> None:
        """Try a card that is declined."""
        self.world.sumup.decline(real)
        self.note(f"a card is declined on {real.id}, which is {real.status}")

    def come_back(self) -> None:
        """Come back to the shop, which makes the order wait for verification."""
        self.world.shop.return_page(self.order)
        self.note("the customer comes back to the shop: pending_verification")

    def contradict(self, real: RealCheckout, said: Contradiction, *hours: float | None) -> None:
        """Let SumUp contradict itself about a checkout, for some hours or for ever (None)."""
        lasts = self.tale.choice(hours) if hours else None
        until = None if lasts is None else self.world.bench.clock.now() + timedelta(hours=lasts)
        real.said = replace(said, until=until)
        self.note(f"about {real.id} SumUp says: {said}, {'for ever' if lasts is None else f'for {lasts} hours'}")

    def are_admins_told(self, *, within: float) -> bool:
        """Wait for a mail about the order, for some hours, and say whether there is one."""

        def is_told() -> bool:
            return any(self.order.number in mail.subject for mail in self.world.mail.inbox)

        latest = self.world.bench.clock.now() + timedelta(hours=within)
        self.world.scheduler.wait_until(is_told, latest=latest)
        self.catch_up()
        if is_told():
            self.note("admins have been told of it")
        return is_told()

    def close_review(self, verdict: str, *, within: float) -> bool:
        """Wait for paypoll's review of the order, for some hours, and let a person close it without tickets."""
        if not self.are_admins_told(within=within):
            return False
        app = self.world.bench.hosts[0].app
        try:
            found = app.resolver.find_in_review(self.order.number)
            app.resolver.settle(found, Resolution(Verdict(verdict), "ada", "it is for another order"))
        except PaypollError as error:
            self.note(f"the review cannot be closed: {error}")
            return False
        self.order.rejected = self.world.tick()
        self.note(f"a person closes the review: {verdict}")
        return True

    def has_tickets(self, *, within: float) -> bool:
        """Wait for the order's tickets, for some hours, and say whether they came."""
        latest = self.world.bench.clock.now() + timedelta(hours=within)
        count = "SELECT count(*) FROM events_ticket WHERE order_id = %s"
        while not (there := bool(self.world.bench.observer.execute(count, self.order.id)[0][0])):
            if self.world.bench.clock.now() >= latest:
                break
            self.world.scheduler.sleep(1800)
        self.catch_up()
        return there

    def give_back(self, payment: Payment, amount: Decimal, kind: str = "REFUND") -> None:
        """Give so much of a payment back in SumUp's dashboard, or let the customer's bank take it back."""
        self.note(f"of {payment.id} {self.world.sumup.give_back(payment, amount, kind)} goes back: {kind}")

    def win_back(self, payment: Payment) -> None:
        """Have a charge-back contested, and won."""
        self.world.sumup.win_back(payment)
        self.note(f"what was charged back of {payment.id} is here again")

    def recheck(self) -> None:
        """Let a person put back what paypoll sent to review while SumUp knew nothing."""
        app = self.world.bench.hosts[0].app
        try:
            reviews = find_reviews(app.engine, Wanted((self.order.number,)), app.clock.now())
        except PaypollError:
            return  # it is in no review
        done = put_back(app.engine, reviews, who="ada", why="the key was another account's", clock=app.clock)
        self.note(f"a person has it rechecked: {done}")

    def chance(self, likely: float) -> bool:
        """Say whether something likely happens."""
        return self.tale.random() < likely

    def note(self, what: str) -> None:
        """Write down what happens."""
        self.world.note(what)
        self.told.append(f"{stamp(self.world.bench.clock.now())} {what}")


def stamp(moment: datetime) -> str:
    """Return the day of the world and the time, so that lines can be sorted by it."""
    return f"day {(moment.date() - NOW.date()).days:2} {moment.astimezone(NOW.tzinfo):%H:%M:%S}"
