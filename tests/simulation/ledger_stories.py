"""What happens in worlds whose ledger is swept (`LEDGER_KINDS`): money that goes back, or that nobody follows."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from tests.simulation.fibers import Process
from tests.simulation.kinds import Kind
from tests.simulation.shop_deeds import give_away, note_refund, scan
from tests.simulation.shop_model import Sold

from paypoll.admin.refund import RefundRequest
from paypoll.database import busy_means_later
from paypoll.errors import PaypollError

if TYPE_CHECKING:
    from tests.simulation.story import Story
    from tests.simulation.sumup_entries import RealCheckout

_PENNY = Decimal("0.01")


def _fulfilled(story: "Story") -> "RealCheckout | None":
    """Place an order, pay it and wait for its tickets; None when they do not come."""
    story.place()
    real = story.make() if story.chance(0.8) else story.make_hosted()
    story.wait(0.02, 0.4)
    story.pay(real)
    story.come_back()
    if not story.has_tickets(within=14):
        return None
    if story.chance(0.3):
        scan(story.world.shop, story.order)
        story.note("a ticket is used")
    return real


def _money_back(story: "Story") -> None:
    how = story.tale.choice(
        ("part", "parts", "whole", "whole", "charge-back", "part charged back", "shop knows", "shop knows a part",
         "cancelled", "on the way")
    )  # fmt: skip
    real = _fulfilled(story)
    if real is None or real.payment is None:
        return
    payment, shop, order = real.payment, story.world.shop, story.order
    story.wait(0.2, 40)
    share = (order.total * story.tale.choice((Decimal("0.3"), Decimal("0.5")))).quantize(_PENNY)
    if how == "on the way":
        payment.on_the_way.append((story.world.tick(), payment.amount, "PENDING"))
        payment.touched = story.world.bench.clock.now()
        story.note("all of it is on its way back")
        story.wait(1, 30)
        payment.on_the_way.clear()
        how = "whole"
    if how == "cancelled":
        shop.cancel(order)
        story.note("the shop cancels the order")
        story.wait(0, 3)
    if how == "shop knows":
        shop.refund(order, story.world.sumup, Decimal(1), tell_shop=True)
    elif how == "shop knows a part":
        story.give_back(payment, share)
        note_refund(shop, order, share)
    elif how.startswith("part"):
        story.give_back(payment, share, "CHARGE_BACK" if how == "part charged back" else "REFUND")
    else:
        story.give_back(payment, payment.amount, "CHARGE_BACK" if how == "charge-back" else "REFUND")
    if how == "parts":
        story.wait(0, 20)
        story.give_back(payment, story.tale.choice((share, payment.amount, _PENNY)))


def _reversed(story: "Story") -> None:
    """The shop may have made the order void meanwhile, as it was told to; the bank may change its mind once more."""
    real = _fulfilled(story)
    if real is None or real.payment is None:
        return
    payment, order = real.payment, story.order
    for _ in range(story.tale.choice((1, 1, 1, 2))):
        story.wait(0.2, 60)
        share = story.tale.choice((payment.amount, payment.amount, (order.total / 2).quantize(_PENNY)))
        story.give_back(payment, share, "CHARGE_BACK")
        story.wait(0.1, 60)
        if story.chance(0.3) and share == payment.amount:
            story.world.shop.cancel(order)
            story.note("the shop cancels the order, as its money went back")
            story.wait(0.1, 30)
        story.win_back(payment)


def _out_of_sight(story: "Story") -> None:
    how = story.tale.choice(("unknown reference", "no order", "after the window", "twice, late", "cancelled", "named"))
    if how == "twice, late":
        if _fulfilled(story) is None:
            return
    else:
        story.place()
    real = story.make() if how in ("after the window", "cancelled") else None
    if real is not None:
        story.wait(0.02, 0.3)
        story.decline(real)  # so that it is not closed
    if how == "after the window":
        story.come_back()
    if how == "cancelled":
        story.world.shop.cancel(story.order)
        story.note("the shop cancels the order")
    if how in ("after the window", "twice, late", "cancelled"):
        story.wait(*story.tale.choice(((2, 20), (74, 90))))
    if real is None:
        number = story.order.number
        references = {"unknown reference": f"till-{number[4:]}", "no order": f"{number}9", "named": number}
        amount = story.order.total if story.chance(0.8) else story.order.total + 3
        real = story.make(references.get(how, f"hosted_order_{number}"), stored=False, amount=amount)
    story.wait(0.02, 0.5)
    if story.pay(real) and real.payment is not None:
        real.payment.summary = real.reference if story.chance(0.5) else "Tickets"
        if story.chance(0.3):
            story.wait(0.1, 30)
            story.give_back(real.payment, story.tale.choice((real.payment.amount, _PENNY)))


def _shared_account(story: "Story") -> None:
    """Sales of another shop and of a card reader, some of which go back."""
    world = story.world
    story.stands_for(Sold(story.number, f"SALE-{story.number}", "", Decimal(0), world.bench.clock.now(), ()))
    for number in range(story.tale.choice((2, 5))):
        story.wait(0, 20)
        kind, summary = story.tale.choice(
            (("ECOM", "Pottery class"), ("ECOM", "Pottery class"), ("ECOM", "Workshop"), ("POS", ""), ("CASH", ""))
        )
        amount = story.tale.choice((Decimal(10), Decimal(20), Decimal("12.34")))
        sale = world.sumup.sell(f"sale-{story.number}-{number}", amount, kind, summary)
        story.note(f"{sale.id}: {kind} {amount} {summary!r}")
        if story.chance(0.4):
            story.wait(0, 10)
            story.give_back(sale, story.tale.choice((amount, Decimal(1))))


def _books_differ(story: "Story") -> None:
    how = story.tale.choice(("forgotten", "another amount", "unpaid tickets"))
    if how == "unpaid tickets":
        story.place()
        give_away(story.world.shop, story.order)
        story.note("the shop issues its tickets, and cancels the order")
        return
    real = _fulfilled(story)
    if real is None or real.payment is None:
        return
    story.wait(0.5, 30)
    if how == "forgotten":
        real.payment.forgotten = True
    else:
        real.payment.amount -= Decimal(1)
    real.payment.touched = story.world.bench.clock.now()
    story.note(f"SumUp's books differ from now on: {how}")
    if story.chance(0.3) and how == "forgotten":
        story.wait(30, 60)
        real.payment.forgotten, real.payment.touched = False, story.world.bench.clock.now()
        story.note("SumUp knows the payment again")


def _refund_by_command(story: "Story") -> None:
    """A person asks for a refund, perhaps again in the same words; killed in between, the next run goes on."""
    real = _fulfilled(story)
    if real is None or real.payment is None:
        return
    if story.chance(0.2):
        second = story.make_hosted()
        story.wait(0.1, 1)
        story.pay(second)
    story.wait(0.1, 20)
    amount = story.tale.choice((None, None, Decimal(1), Decimal("2.50")))
    for _ in range(story.tale.choice((1, 1, 2, 3))):
        _refund_once(story, RefundRequest("ada", "the customer is ill", amount, checkout=real.id))
        story.wait(0, 3)
    if story.chance(0.3):
        story.give_back(real.payment, Decimal(3))  # in SumUp's dashboard, beside it
        story.wait(0, 2)
        _refund_once(story, RefundRequest("ada", "and this as well", Decimal(2), checkout=real.id))


def _refund_once(story: "Story", request: RefundRequest) -> None:
    host, scheduler = story.world.bench.hosts[2], story.world.scheduler

    def wait(seconds: float) -> bool:
        scheduler.sleep(seconds)
        return False

    refunder = replace(host.app.refunder, refunds=replace(host.app.refund_engine, wait=wait))

    def ask() -> None:
        try:
            with busy_means_later():
                progress = refunder.carry_out(refunder.look_at(refunder.find(story.order.number), request))
        except PaypollError as error:
            story.note(f"the refund is not made: {error}")
        else:
            story.note(f"the refund is {progress.intent.state}: {progress.why}")

    story.note(f"a person asks for a refund of {request.amount or 'all'}")
    process = Process(f"{host.name} refund", mortal=True)
    fiber = scheduler.spawn(process.name, process, ask)
    scheduler.wait_until(lambda: fiber.done)
    story.note("whoever asked is dead" if process.dead else "whoever asked has an answer")


LEDGER_STORIES: dict[Kind, Callable[["Story"], None]] = {
    Kind.MONEY_BACK: _money_back,
    Kind.REVERSALS: _reversed,
    Kind.OUT_OF_SIGHT: _out_of_sight,
    Kind.SHARED_ACCOUNT: _shared_account,
    Kind.BOOKS_DIFFER: _books_differ,
    Kind.REFUNDS_BY_COMMAND: _refund_by_command,
}
