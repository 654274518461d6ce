"""Refunds by command, killed at every step and begun by several at once: never a second refund for one intent."""

import itertools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from paypoll.app import App
from paypoll.database import transaction
from paypoll.ledger.refunds import AT_ONCE, RefundEngine
from paypoll.payments.gateway import Accepted, PaymentGateway
from paypoll.payments.refunding import OPEN, RefundIntent, RefundState, Standing
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.sandbox.sumup.simulator import Simulator
from paypoll.settings.load import load_settings
from paypoll.state.refunds import load_refund
from paypoll.state.tables import refund

MERCHANT, KEY = "MPLATFORM", "sup_sk_refunds"
REFUNDS = "*/refunds"
ORDERS, EACH = 25, 20
PART = Decimal("0.10")
_UNSEEN = {"state": "unseen", "next_look_at": None}


class Killed(BaseException):
    """The process is gone."""


class Fate:
    """Counts the steps of what goes on, and ends it at one of them; at none while that is 0."""

    def __init__(self) -> None:
        self.at, self.steps = 0, 0

    def set(self, at: int) -> None:
        """Begin to count anew."""
        self.at, self.steps = at, 0

    def step(self, *_: object) -> None:
        """Take a step, and perhaps end there."""
        self.steps += 1
        if self.steps == self.at:
            raise Killed


class Mortal:
    """A gateway whose caller may be killed before each question, and before it hears the answer."""

    def __init__(self, gateway: PaymentGateway, fate: Fate) -> None:
        self._gateway, self._fate = gateway, fate

    def __getattr__(self, name: str) -> Callable[..., Any]:
        ask = getattr(self._gateway, name)

        def asked(*arguments: Any) -> Any:
            self._fate.step()
            answer = ask(*arguments)
            self._fate.step()
            return answer

        return asked


@dataclass
class Desk:
    """A shop, a SumUp, and paypoll on both, to be killed by its fate."""

    app: App
    sim: Simulator
    shop: SmallShop
    fate: Fate

    def mortal(self) -> RefundEngine:
        """Return what carries refunds on, and may be killed."""
        return replace(self.app.refund_engine, gateway=lambda: Mortal(self.app.gateway, self.fate))  # type: ignore[arg-type, return-value]

    def paid_order(self, number: str) -> RefundIntent:
        """Place a completed order of 25.00 GBP, and return the refund of a part of it that somebody wants."""
        order_id = self.shop.add_order(
            number, f"{number.lower()}@buyer.example", [], status="completed", total=Decimal(25), created_at=_now()
        )
        checkout = self.sim.create_checkout(reference=number, amount=Decimal(25), merchant_code=MERCHANT)
        self.sim.pay(checkout)
        payment = self.sim.checkout(checkout).payment
        assert payment is not None
        zero = Decimal(0)
        return RefundIntent(
            id=0,
            order_id=order_id,
            order_number=number,
            checkout_id=checkout,
            transaction_id=payment.id,
            merchant_code=MERCHANT,
            amount=PART,
            currency="GBP",
            tickets=(),
            beside=False,
            who="Margot",
            reason="a part",
            state=RefundState.INTENDED,
            before=Standing(zero, zero, zero, zero),
            created_at=_now(),
            changed_at=_now(),
        )

    def as_it_stands(self, wanted: RefundIntent) -> RefundIntent:
        """Return the refund with how its transaction stands now."""
        gone = sum(self.returned(wanted.checkout_id), Decimal(0))
        return replace(wanted, before=replace(wanted.before, refunded=gone))

    def let_pass(self, by: timedelta) -> None:
        """Let refunds be so much older, and due."""
        with transaction(self.app.engine) as connection:
            moved = "changed_at = changed_at - :by, created_at = created_at - :by, next_look_at = :now"
            open_ = "next_look_at IS NOT NULL"
            connection.execute(sa.text(f"UPDATE paypoll.refund SET {moved} WHERE {open_}"), {"by": by, "now": _now()})  # noqa: S608 - ours

    def returned(self, checkout_id: str) -> list[Decimal]:
        """Return what went back of a checkout at SumUp."""
        payment = self.sim.checkout(checkout_id).payment
        assert payment is not None
        return [back.amount for back in payment.returns]


def _now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def desk(settings_file: Path, shop: SmallShop) -> Iterator[Desk]:
    """The desk at which refunds are asked for."""
    with Simulator() as sim:
        sim.add_merchant(MERCHANT, KEY)
        environ = {
            "PAYPOLL_SUMUP__BASE_URL": sim.url,
            "PAYPOLL_SUMUP__API_KEY": KEY,
            "PAYPOLL_SUMUP__MERCHANT_CODE": MERCHANT,
            "PAYPOLL_SUMUP__ALLOW_REFUNDS": "true",
            "PAYPOLL_SUMUP__REQUESTS_PER_SECOND": "1000",
        }
        app = App(load_settings(settings_file, environ))
        fate = Fate()
        sa.event.listen(app.engine, "commit", fate.step)
        yield Desk(app, sim, shop, fate)
        app.close()


def test_refund_killed_at_every_step_is_never_sent_twice(desk: Desk) -> None:
    """Five hundred refunds, each killed at one step, and again at another when it is carried on."""
    engine, dice = desk.mortal(), random.Random(11)  # noqa: S311 - no secret
    orders = [desk.paid_order(f"ORD-{number}") for number in range(ORDERS)]
    steps = _steps_of_one(desk, engine, desk.paid_order("ORD-COUNTED"))
    posts, ends = 0, Counter[str]()
    for turn, wanted in itertools.product(range(EACH), orders):
        desk.sim.reset_log()
        kill_at = 1 + (turn * ORDERS + orders.index(wanted)) % (steps + 1)
        intent = _begun_and_killed(desk, engine, desk.as_it_stands(wanted), kill_at)
        if intent is None:
            ends["never written down"] += 1
            continue
        for kill_again in (dice.randint(1, steps), 0):
            if _load(desk, intent.id).state in OPEN:
                desk.let_pass(timedelta(0))
                _carried_on(desk, engine, kill_again)
        ended = _load(desk, intent.id)
        if ended.state is RefundState.ASKED:  # killed between the word that it is sent and the sending
            desk.let_pass(timedelta(days=1))
            _carried_on(desk, engine, 0)
            ended = _load(desk, intent.id)
        ends[ended.state] += 1
        assert ended.state not in OPEN
        posts += (sent := desk.sim.count("POST", REFUNDS))
        assert sent <= 1
    done = ends[RefundState.DONE]
    assert sum(ends.values()) == ORDERS * EACH
    assert done > ends[RefundState.UNSEEN] > 0
    # Each that is done went back once, and of the others nothing did.
    went_back = [amount for wanted in orders for amount in desk.returned(wanted.checkout_id)]
    assert went_back == [PART] * done
    assert posts == done
    rows = desk.shop.rows("orders_refund")
    assert len(rows) == done + 1
    with transaction(desk.app.engine) as connection:
        kinds = Counter(connection.scalars(sa.text("SELECT kind FROM paypoll.outbox")))
    assert kinds == {"refund": done + 1, "alert": ends[RefundState.UNSEEN]}


def _steps_of_one(desk: Desk, engine: RefundEngine, wanted: RefundIntent) -> int:
    desk.fate.set(0)
    intent = engine.begin(wanted)
    assert intent is not None
    assert engine.carry_on(intent, AT_ONCE, run_id="run", attended=True).intent.state is RefundState.DONE
    return desk.fate.steps


def _begun_and_killed(desk: Desk, engine: RefundEngine, wanted: RefundIntent, kill_at: int) -> RefundIntent | None:
    """Begin a refund and carry it on to the kill. Return it if it was written down."""
    desk.fate.set(kill_at)
    intent = None
    try:
        intent = engine.begin(wanted)
        assert intent is not None
        engine.carry_on(intent, AT_ONCE, run_id="run", attended=True)
    except Killed:
        pass
    finally:
        desk.fate.set(0)
    return intent


def _carried_on(desk: Desk, engine: RefundEngine, kill_at: int) -> None:
    """Carry on what is due as a run does, to the kill."""
    desk.fate.set(kill_at)
    try:
        assert engine.carry_on_due("run", lambda: False) == []
    except Killed:
        pass
    finally:
        desk.fate.set(0)


def _load(desk: Desk, refund_id: int) -> RefundIntent:
    with transaction(desk.app.engine) as connection:
        return load_refund(connection, refund_id)


def test_refund_that_several_carry_on_at_once_is_sent_by_one_and_written_by_one(desk: Desk) -> None:
    engine, crowd = desk.app.refund_engine, 4
    intents = [engine.begin(desk.paid_order(f"ORD-{number}")) for number in range(10)]
    with ThreadPoolExecutor(crowd) as pool:
        for intent in intents:
            assert intent is not None
            meet = threading.Barrier(crowd)
            done = [pool.submit(_carry_on_together, engine, intent, meet) for _ in range(crowd)]
            for one in done:
                one.result()
            assert desk.returned(intent.checkout_id) == [PART]
    assert desk.sim.count("POST", REFUNDS) == len(intents)
    assert len(desk.shop.rows("orders_refund")) == len(intents)


def _carry_on_together(engine: RefundEngine, intent: RefundIntent, meet: threading.Barrier) -> None:
    meet.wait()
    engine.carry_on(intent, (0.0, 0.05, 0.2, 1.0), run_id="run", attended=True)


class _Delayed:
    """The clock and the gateway of a process to which something happens when it has asked for the gateway so often."""

    def __init__(self, gateway: PaymentGateway, at: int, what: Callable[["_Delayed"], object]) -> None:
        self._gateway, self._at, self._what = gateway, at, what
        self._asked, self.by = 0, timedelta(0)

    def gateway(self) -> PaymentGateway:
        self._asked += 1
        if self._asked == self._at:
            self._what(self)
        return self._gateway

    def stop(self) -> None:
        self.by = timedelta(minutes=4)

    def now(self) -> datetime:
        return _now() + self.by

    def monotonic(self) -> float:
        return time.monotonic()


def test_row_26a_refund_of_a_process_that_was_stopped_is_not_sent_upon_what_is_old(desk: Desk) -> None:
    def ended_by_a_run(_: _Delayed) -> None:
        with transaction(desk.app.engine) as connection:
            connection.execute(sa.update(refund).where(refund.c.order_number == "ORD-ENDED").values(_UNSEEN))

    def carried_on(number: str, at: int, what: Callable[[_Delayed], object]) -> RefundState:
        held = _Delayed(desk.app.gateway, at, what)
        engine = replace(desk.app.refund_engine, gateway=held.gateway, clock=held)
        intent = engine.begin(desk.paid_order(number))
        assert intent is not None
        return engine.carry_on(intent, AT_ONCE, run_id="run", attended=True).intent.state

    # Before it may have been sent, the next look decides; from then on it is looked for, and no more.
    assert carried_on("ORD-READ", 1, _Delayed.stop) is RefundState.INTENDED
    assert carried_on("ORD-ASKED", 2, _Delayed.stop) is RefundState.ASKED
    assert carried_on("ORD-ENDED", 2, ended_by_a_run) is RefundState.UNSEEN
    assert desk.sim.count("POST", REFUNDS) == 0
    desk.let_pass(timedelta(0))
    desk.app.refund_engine.carry_on_due("run", lambda: False)
    with transaction(desk.app.engine) as connection:
        assert list(connection.scalars(sa.select(refund.c.state).order_by(refund.c.id))) == ["done", "asked", "unseen"]


def test_refund_of_a_payment_is_one_at_a_time(desk: Desk) -> None:
    wanted = desk.paid_order("ORD-1")
    engine = desk.app.refund_engine
    first = engine.begin(wanted)
    assert first is not None
    assert engine.begin(replace(wanted, amount=Decimal(1))) is None
    engine.carry_on(first, AT_ONCE, run_id="run", attended=True)
    assert engine.begin(desk.as_it_stands(wanted)) is not None


def test_refund_for_which_money_went_back_meanwhile_is_not_sent_and_told(desk: Desk) -> None:
    intent = desk.app.refund_engine.begin(desk.paid_order("ORD-1"))
    assert intent is not None
    desk.sim.refund(intent.checkout_id, Decimal(5))
    desk.let_pass(timedelta(0))
    desk.app.refund_engine.carry_on_due("run", lambda: False)
    assert _load(desk, intent.id).state is RefundState.WITHDRAWN
    assert desk.sim.count("POST", REFUNDS) == 0
    with transaction(desk.app.engine) as connection:
        (key,) = connection.scalars(sa.text("SELECT dedupe_key FROM paypoll.outbox"))
    assert key.startswith(f"alert:refund_not_made:{intent.id}:order:")


def test_refund_that_is_not_final_waits_and_failing_it_is_told(desk: Desk) -> None:
    desk.sim.ledger.refunds_begin_as = "PENDING"
    engine = desk.app.refund_engine
    intent = engine.begin(desk.paid_order("ORD-1"))
    assert intent is not None
    progress = engine.carry_on(intent, AT_ONCE, run_id="run", attended=True)
    assert (progress.intent.state, progress.why) == (RefundState.ASKED, "SumUp shows it, and it is not final yet")
    assert desk.shop.rows("orders_refund") == []
    # Asked for under a clock that was ahead, it lasts from the first look under one that is right.
    desk.let_pass(timedelta(days=-2))
    engine.carry_on_due("run", lambda: False)
    assert _load(desk, intent.id).changed_at <= _now()
    desk.sim.ledger.settle_returns(intent.transaction_id, "FAILED")
    desk.let_pass(timedelta(0))
    engine.carry_on_due("run", lambda: False)
    assert _load(desk, intent.id).state is RefundState.FAILED
    assert desk.shop.rows("orders_refund") == []


def test_refund_that_was_finished_after_the_backup_is_not_written_or_mailed_a_second_time(desk: Desk) -> None:
    engine = desk.app.refund_engine
    part, beside = desk.paid_order("ORD-PART"), replace(desk.paid_order("ORD-BESIDE"), beside=True)
    whole = replace(desk.paid_order("ORD-WHOLE"), amount=Decimal(25))
    for wanted in (part, beside, whole):
        intent = engine.begin(wanted)
        assert intent is not None
        engine.carry_on(intent, AT_ONCE, run_id="run", attended=True)
    before = _written(desk)
    # The backup has them as they were before they were finished, and the shop goes on.
    with transaction(desk.app.engine) as connection:
        begun = _now() - timedelta(minutes=2)
        connection.execute(sa.update(refund).values(state="asked", next_look_at=_now(), created_at=begun))
        assert connection.execute(sa.text("DELETE FROM paypoll.outbox")).rowcount == 3
    assert engine.carry_on_due("run", lambda: False) == []
    assert _written(desk) == before
    with transaction(desk.app.engine) as connection:
        assert list(connection.scalars(sa.select(refund.c.state))) == ["done"] * 3
        assert connection.scalar(sa.text("SELECT count(*) FROM paypoll.outbox")) == 0
        said = connection.scalars(sa.text("SELECT explanation FROM paypoll.audit WHERE run_id IS NOT NULL ORDER BY id"))
        assert ["nothing was written or mailed again" in words for words in said] == [False] * 3 + [True] * 3
    # One in the same words that was begun since is another, also by a host whose clock is a minute behind.
    intent = engine.begin(desk.as_it_stands(part))
    assert intent is not None
    with transaction(desk.app.engine) as connection:
        behind = intent.created_at - timedelta(minutes=1)
        connection.execute(sa.update(refund).where(refund.c.id == intent.id).values(created_at=behind))
    engine.carry_on(intent, AT_ONCE, run_id="run", attended=True)
    assert len(desk.shop.rows("orders_refund")) == 3


def _written(desk: Desk) -> list[tuple[object, ...]]:
    """Return what refunds have written into the shop."""
    orders = [(row["status"], row["payment_notes"]) for row in desk.shop.rows("orders_order")]
    tables = ("orders_refund", "orders_orderstatushistory")
    return [*sorted(orders), *((table, len(desk.shop.rows(table))) for table in tables)]


def test_refund_of_an_order_that_is_gone_ends_and_is_told(desk: Desk) -> None:
    engine = desk.app.refund_engine
    intent = engine.begin(desk.paid_order("ORD-1"))
    assert intent is not None
    assert desk.app.gateway.refund(intent.transaction_id, MERCHANT, PART, "GBP") == Accepted()
    with transaction(desk.app.engine) as connection:
        connection.execute(sa.update(refund).values(state="asked"))
        connection.execute(sa.text("DELETE FROM orders_order"))
    engine.carry_on(intent, AT_ONCE, run_id="run", attended=False)
    assert _load(desk, intent.id).state is RefundState.DONE
    with transaction(desk.app.engine) as connection:
        (key,) = connection.scalars(sa.text("SELECT dedupe_key FROM paypoll.outbox"))
    assert key.startswith("alert:refund_order_gone:")


def test_run_looks_at_a_refund_although_nothing_else_is_due(desk: Desk) -> None:
    assert desk.app.is_idle()
    assert desk.app.refund_engine.begin(desk.paid_order("ORD-1")) is not None
    desk.let_pass(timedelta(0))
    with transaction(desk.app.engine) as connection:
        connection.execute(sa.text("DELETE FROM orders_order"))
    assert not desk.app.is_idle()
    # Or put off under a clock that was ahead, for longer than any pause is.
    for ahead, is_idle in ((timedelta(minutes=29), True), (timedelta(hours=23), False)):
        with transaction(desk.app.engine) as connection:
            connection.execute(sa.update(refund).values(next_look_at=_now() + ahead))
        assert desk.app.is_idle() is is_idle
