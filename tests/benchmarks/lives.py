"""How many requests an order costs over its life: a count, the same on every machine.

Time is made up: the clock goes on to the next run of a timer of five minutes that has something to look at, until the
order's money is not followed any more. The gateway is a fake that counts questions. Each is one request while the
platform alone is asked; an organiser's look-ups by reference are asked with his token and the platform's.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
from tests.benchmarks.bed import MERCHANT, PRICE, TICKETS, Bed

from paypoll.app import App
from paypoll.database import transaction
from paypoll.payments.gateway import CheckoutStatus, Found
from paypoll.payments.order_statuses import WAITING
from paypoll.runs.record import record_run
from paypoll.settings.load import load_settings
from paypoll.state.tables import watch
from paypoll.testing import FakeClock, FakeGateway, FakeMailer, FakePrinter, a_transaction, an_answer, an_attempt

_TIMER = timedelta(minutes=5)
_NUMBER = "ORD-1001"


@dataclass(frozen=True, slots=True)
class Life:
    """What happens to an order: its status, and SumUp's word at first and after some time."""

    what: str
    status: str
    said: CheckoutStatus
    afterwards: CheckoutStatus | None = None
    after: timedelta = timedelta(0)


@dataclass(frozen=True, slots=True)
class Cost:
    """How many questions an order took before its tickets (None: it got none), and in all, by kind."""

    life: Life
    before_tickets: int | None
    asked: Counter[str]
    looks: int
    lasted: timedelta
    status: str


LIVES = (
    Life("paid at once", "pending_verification", CheckoutStatus.PAID),
    Life(
        "declined, and paid 20 minutes later",
        "pending_verification",
        CheckoutStatus.FAILED,
        CheckoutStatus.PAID,
        timedelta(minutes=20),
    ),
    Life("declined, and given up", "pending_verification", CheckoutStatus.FAILED),
    Life("came back and never paid", "pending_verification", CheckoutStatus.PENDING),
    Life("abandoned: never came back", "pending", CheckoutStatus.PENDING),
)


def live(new_bed: Callable[[], Bed]) -> Iterator[Cost]:
    """Let an order of each kind live to its end, and yield what it cost."""
    for life in LIVES:
        bed = new_bed()
        try:
            yield _live(bed, life)
        finally:
            bed.close()


def _live(bed: Bed, life: Life) -> Cost:
    clock, gateway = FakeClock(), FakeGateway()
    app = App(load_settings(bed.config, {"PAYPOLL_DATABASE__CLOCK_TOLERANCE": "36500d"}), clock=clock)
    app.gateway, app.printer, app.mailer = gateway, FakePrinter(), FakeMailer()
    began = clock.now()
    order_id = bed.shop.add_order(
        _NUMBER, "buyer@buyer.example", [(bed.event, TICKETS, PRICE)], status=life.status, created_at=began
    )
    bed.shop.add_checkout(order_id, _NUMBER, "chk-1", merchant_code=MERCHANT, created_at=began, updated_at=began)
    bed.shop.update("events_event", bed.event, event_date=(began + timedelta(days=20)).date())
    before_tickets, looks = None, 0
    try:
        while True:
            late = life.afterwards is not None and clock.now() - began >= life.after
            _say(gateway, life.afterwards if late and life.afterwards else life.said, began)
            looks += len(record_run(app, "run-once").applied)
            if before_tickets is None and bed.shop.rows("events_ticket", order_id=order_id):
                before_tickets = len(gateway.asked)
            status = str(bed.shop.row("orders_order", order_id)["status"])
            following = _next_run(app, clock.now(), waits=status in WAITING)
            if following is None:
                asked = Counter(question for question, _ in gateway.asked)
                return Cost(life, before_tickets, asked, looks, clock.now() - began, status)
            clock.move(following - clock.now())
    finally:
        app.close()


def _say(gateway: FakeGateway, status: CheckoutStatus, made: datetime) -> None:
    before = gateway.checkouts.get("chk-1")
    if isinstance(before, Found) and before.value.status == CheckoutStatus.EXPIRED:
        return  # it was closed
    paid = status == CheckoutStatus.PAID
    attempts = (an_attempt(timestamp=made),) if paid else ()
    answer = an_answer(status, reference=_NUMBER, made_at=made, **({"attempts": attempts} if paid else {}))
    gateway.checkouts["chk-1"] = Found(answer)
    gateway.transactions["txn-1"] = Found(a_transaction())


def _next_run(app: App, now: datetime, *, waits: bool) -> datetime | None:
    """Return when the timer's next run is that has something to look at, None when there will be none."""
    if waits:
        return now + _TIMER
    with transaction(app.engine) as connection:
        due = connection.scalar(sa.select(watch.c.next_check_at))
    return None if due is None else now + max(-((now - due) // _TIMER), 1) * _TIMER
