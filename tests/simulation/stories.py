"""What happens in the worlds of each kind (`kinds`): one function a kind, told by a `Story` of its own."""

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING

from tests.simulation.fibers import Fiber, Process
from tests.simulation.kinds import Kind
from tests.simulation.ledger_stories import LEDGER_STORIES
from tests.simulation.listing_fees import listing_fee
from tests.simulation.restored import restored_shop
from tests.simulation.story import Story
from tests.simulation.sumup_answers import Contradiction
from tests.simulation.sumup_model import ORGANISERS

if TYPE_CHECKING:
    from tests.simulation.world import World

_FIRST_NUMBER = 21
_EACH = 2  # stories a kind
_MORE = {Kind.WRONG_WORLD: 7}  # the brake is for many at once


def begin_stories(world: "World", everybody: Process) -> list[Fiber]:
    """Let the stories of the world's kinds begin."""
    fibers = []
    told = [kind for kind in sorted(world.kinds) if kind in STORIES for _ in range(_MORE.get(kind, _EACH))]
    for number, kind in enumerate(told, _FIRST_NUMBER):
        story = Story(world, kind, number)
        world.stories.append(story)
        world.met[f"story: {kind}"] += 1
        if fiber := world.admit(f"story {number}", everybody, partial(STORIES[kind], story)):
            fibers.append(fiber)
    return fibers


def _late_payment(story: Story) -> None:
    how = story.tale.choice(("last hours", "last hours", "day 4", "never confirmed"))
    story.place()
    real = story.make()
    story.wait(0.02, 0.3)
    story.decline(real)
    story.come_back()
    if how == "last hours":
        story.wait(60, 71.5)
    elif how == "day 4":
        story.wait(73, 110)
        real = story.make(f"{story.order.number}-2")
        story.wait(0.05, 0.5)
    else:
        story.wait(10, 50)
        story.contradict(real, Contradiction(is_unanswered=True))
    story.pay(real)


def _closed_browser(story: Story) -> None:
    story.place()
    if story.chance(0.3):
        story.order.basket = True
        if story.chance(0.5):
            story.make_hosted()
        return
    real = story.make_hosted()
    story.wait(0.02, 0.5)
    if story.chance(0.3):
        story.wait(1, 40)
    story.pay(real)


def _paid_in_an_outage(story: Story) -> None:
    begins, ends = story.world.troubles.outage
    how = story.tale.choice(("closes", "hosted", "retries", "comes back"))
    if how != "retries":
        story.hour = story.tale.uniform(max(begins - 1, 0), begins + 20)
    story.place()
    real = story.make_hosted() if how == "hosted" else story.make()
    story.wait(0.02, 0.4)
    if how == "retries":
        story.decline(real)
        story.come_back()
        story.hour = story.tale.uniform(begins, min(ends, begins + 60))
        story.wait(0, 1)
    story.pay(real)
    if how == "comes back":
        story.come_back()
    story.hour = ends
    story.wait(0, 1)


def _second_payment(story: Story) -> None:
    order_and_more = story.tale.choice(("right", "right", "right", "wrong"))
    story.place()
    wrong = story.order.total - Decimal(1) if order_and_more == "wrong" else None
    first = story.make(amount=wrong) if story.chance(0.7) else story.make_hosted(amount=wrong)
    second = story.make_hosted(amount=wrong) if story.chance(0.5) else None
    story.wait(0.02, 0.4)
    if second is not None and story.chance(0.2):
        story.pay(second)
    story.pay(first)
    story.come_back()
    story.wait(*story.tale.choice(((0.0, 0.1), (0.1, 1.0), (1.0, 5.0), (5.0, 50.0))))
    if second is None or not story.pay(second):
        second = story.make(f"{story.order.number}-2") if story.chance(0.4) else story.make_hosted(amount=wrong)
        story.wait(0.02, 0.5)
        story.pay(second)


def _new_checkout(story: Story) -> None:
    story.place()
    first = story.make()
    story.wait(0.02, 0.4)
    story.pay(first)
    story.come_back()
    story.world.wait_for_look(story.number, patience=story.tale.randrange(12))
    story.catch_up()
    second = story.make(f"{story.order.number}-2")
    story.wait(0.1, 3)
    story.pay(second)


def _unpaid_contradiction(story: Story) -> None:
    how = story.tale.choice(("taken", "taken", "not taken", "under way", "listed"))
    story.place()
    real = story.make()
    story.wait(0.02, 0.3)
    if how == "taken":
        status = story.tale.choice(("FAILED", "EXPIRED", "PENDING"))
        story.contradict(real, Contradiction(status=status), None, 3.0, 30.0)
        story.pay(real)
    elif how == "listed":
        story.contradict(real, Contradiction(status="PENDING", listed="PAID"), None, 6.0, 30.0)
        story.pay(real)
    elif how == "not taken":
        story.decline(real)
        not_taken = {"status": "FAILED", "simple_status": "FAILED"}
        story.contradict(real, Contradiction(attempt="SUCCESSFUL", transaction=not_taken))
    else:
        if story.chance(0.6):
            story.decline(real)
        story.contradict(real, Contradiction(attempt="PENDING"), 5.0)
    story.come_back()
    if how == "under way":
        story.wait(0.3, 4.5)
        story.pay(real)


def _refused_closing(story: Story) -> None:
    story.place()
    real = story.make()
    refusal = story.tale.choice(("403", "404", "CHECKOUT_CANT_BE_DEACTIVATED", "CHECKOUT_PROCESSED"))
    story.contradict(real, Contradiction(closing=refusal), None, 12.0)
    story.wait(0.02, 0.3)
    story.come_back()
    if story.chance(0.7):
        story.wait(2.1, 20)
        story.pay(real)


def _paid_contradiction(story: Story) -> None:
    story.place()
    real = story.make()
    story.wait(0.02, 0.4)
    if not story.pay(real) or real.payment is None:
        return
    payment, now = real.payment, story.world.tick()
    how = story.tale.choice(
        ("amount", "currency", "merchant", "CANCELLED", "FAILED", "PENDING", "SCHEDULED", "RECONCILED")
    )
    if how == "amount":
        payment.amount -= Decimal(5)
    elif how == "currency":
        payment.currency = "EUR"
    elif how == "merchant":
        payment.merchant = "MOTHER"
    elif how in ("CANCELLED", "FAILED"):
        payment.simple_status = how
    else:
        payment.on_the_way.append((now, payment.amount, how))
    is_other = how in ("amount", "currency", "merchant")
    story.note(f"but its transaction has another {how}" if is_other else f"but its transaction, or a refund, is {how}")
    story.come_back()


def _passing_contradiction(story: Story) -> None:
    story.place()
    real = story.make()
    story.wait(0.02, 0.4)
    if story.chance(0.5):
        story.contradict(real, Contradiction(without_attempts=True))
    else:
        under_way = {"status": "PENDING", "simple_status": "PENDING"}
        story.contradict(real, Contradiction(transaction=under_way), 1.0, 5.0)
    story.pay(real)
    story.come_back()


def _cheat(story: Story) -> None:
    story.place(events=(1, 2))
    story.note("its events are of two organisers; the shop stores no checkout")
    real = story.make_hosted(merchant=story.tale.choice(ORGANISERS))
    story.note("that one was made by the organiser himself")
    story.wait(0.02, 0.4)
    story.pay(real)
    story.come_back()
    if story.chance(0.3):
        story.wait(0.1, 1)
        story.pay(story.make_hosted())


def _odd_reference(story: Story) -> None:
    how = story.tale.choice(("alone", "beside", "beside", "elsewhere"))
    organiser = how == "elsewhere" and bool(story.world.troubles.organisers)
    story.place(merchant=ORGANISERS[0] if organiser else "MPLATFORM")
    if how != "alone":
        first = story.make(merchant="MPLATFORM")
        story.wait(0.02, 0.2)
        if story.chance(0.7):
            story.decline(first)
    second = story.make_hosted()
    story.wait(0.02, 0.4)
    story.pay(second)
    story.come_back()


def _fresh_retry(story: Story) -> None:
    story.place()
    story.decline(story.make())
    story.come_back()
    story.wait(2.5, 15)
    second = story.make(f"{story.order.number}-2")
    if story.chance(0.8):
        story.come_back()
    story.wait(0.1, 1.9)
    story.pay(second)


def _under_a_wrong_clock(story: Story) -> None:
    begins, ends = story.world.troubles.wrong_clock
    story.hour = story.tale.uniform(max(begins - 0.5, 0), ends)
    story.place()
    real = story.make()
    if story.chance(0.5):
        story.come_back()
    story.wait(0.1, 1.5)
    story.pay(real)
    story.come_back()


def _around_a_suspended_run(story: Story) -> None:
    story.place()
    real = story.make()
    story.wait(0.02, 0.3)
    if story.chance(0.7):
        story.decline(real)
    story.come_back()
    story.wait(0.3, 3)
    story.pay(real)


def _changed_meanwhile(story: Story) -> None:
    story.place()
    real = story.make()
    story.wait(0.02, 0.3)
    story.pay(real)
    story.come_back()
    story.world.wait_for_look(story.number, patience=story.tale.randrange(4))
    status = story.tale.choice(("processing", "requires_manual_review"))
    story.world.shop.move(story.order, status)
    story.note(f"the shop moves the order to {status}")


def _forgotten_void(story: Story) -> None:
    story.place()
    real = story.make()
    story.wait(0.02, 0.3)
    story.world.shop.move(story.order, "cancelled", written=False)
    story.note("an admin cancels the order, and the shop writes no history")
    if not story.pay(real) or not story.are_admins_told(within=15):
        return
    story.order.seen_void = True
    story.come_back()


def _closed_review(story: Story) -> None:
    story.place()
    wrong = story.make(amount=story.order.total - Decimal(1))
    second = story.make_hosted() if story.chance(0.5) else None
    story.wait(0.02, 0.4)
    story.pay(wrong)
    story.come_back()
    verdict = story.tale.choice(("reject", "refund_noted"))
    if not story.close_review(verdict, within=15):
        return
    if story.chance(0.5):
        story.wait(0.02, 1.0)
    if second is None:
        second = story.make(f"{story.order.number}-2") if story.chance(0.5) else story.make_hosted()
        story.wait(0.02, 0.5)
    story.pay(second)
    if story.chance(0.2):
        story.wait(0.1, 3)
        story.come_back()


def _left_open(story: Story) -> None:
    story.place()
    is_void = story.chance(0.5)
    wrong = None if is_void else story.make(amount=story.order.total - Decimal(1))
    real = story.make(f"{story.order.number}-2")
    story.wait(0.02, 0.4)
    if wrong is None:
        story.world.shop.move(story.order, "cancelled")
        story.note("an admin cancels the order")
    else:
        story.pay(wrong)
        story.come_back()
        if not story.close_review("reject", within=15):
            return
    story.contradict(real, Contradiction(status=story.tale.choice(("FAILED", "EXPIRED", "PENDING"))))
    story.pay(real)


def _in_a_wrong_world(story: Story) -> None:
    begins, ends = story.world.troubles.wrong_world
    story.hour = story.tale.uniform(begins, max(begins, ends - 0.5))
    story.place()
    real = story.make()
    story.wait(0.02, 0.2)
    story.pay(real)
    story.come_back()
    story.hour = ends
    story.wait(0.1, 1)
    story.recheck()


STORIES: dict[Kind, Callable[[Story], None]] = {
    Kind.LATE_PAYMENTS: _late_payment,
    Kind.CLOSED_BROWSERS: _closed_browser,
    Kind.LONG_OUTAGES: _paid_in_an_outage,
    Kind.SECOND_PAYMENTS: _second_payment,
    Kind.NEW_CHECKOUTS: _new_checkout,
    Kind.UNPAID_CONTRADICTIONS: _unpaid_contradiction,
    Kind.REFUSED_CLOSINGS: _refused_closing,
    Kind.PAID_CONTRADICTIONS: _paid_contradiction,
    Kind.PASSING_CONTRADICTIONS: _passing_contradiction,
    Kind.CHEATS: _cheat,
    Kind.ODD_REFERENCES: _odd_reference,
    Kind.FRESH_RETRIES: _fresh_retry,
    Kind.CLOCK_JUMPS: _under_a_wrong_clock,
    Kind.SUSPENDED_RUNS: _around_a_suspended_run,
    Kind.CHANGED_MEANWHILE: _changed_meanwhile,
    Kind.FORGOTTEN_VOIDS: _forgotten_void,
    Kind.LISTING_FEES: listing_fee,
    Kind.CLOSED_REVIEWS: _closed_review,
    Kind.LEFT_OPEN: _left_open,
    Kind.WRONG_WORLD: _in_a_wrong_world,
    Kind.RESTORED_SHOP: restored_shop,
    **LEDGER_STORIES,
}
