"""Each protection switched off, and the simulation seen to notice.

A simulation that finds nothing says something only if it would have found it. This is the one place where parts of
paypoll are patched. Where two protections stand behind each other, both are off; a test says that one is enough.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
import tests.simulation.mail_model
from tests.simulation.fibers import SimulationError
from tests.simulation.kinds import Kind
from tests.simulation.postgres import empty
from tests.simulation.promises import broken_promises
from tests.simulation.weather import Weather
from tests.simulation.world import World

import paypoll.payments.classify
import paypoll.payments.matching
import paypoll.payments.questions
import paypoll.payments.rules
import paypoll.payments.schedule
import paypoll.payments.unpaid
import paypoll.runs.apply
import paypoll.runs.brake
import paypoll.runs.fulfil
import paypoll.runs.load
import paypoll.state.outbox
import paypoll.state.records
import paypoll.state.watches
from paypoll.database import transaction
from paypoll.mail.outcomes import MailOutcomes
from paypoll.mail.refusal import About
from paypoll.payments.decision import Decision, Outcome, Reason
from paypoll.payments.matching import Flaw
from paypoll.payments.order import Order
from paypoll.payments.order_statuses import LATE, WAITING
from paypoll.payments.policy import Policy
from paypoll.runs.apply import Applied, Applier
from paypoll.runs.load import Loaded, load_claimed
from paypoll.state.outbox import Mail, give_up
from paypoll.state.tables import outbox, watch
from paypoll.state.watches import Held

if TYPE_CHECKING:
    from tests.simulation.bench import Bench

_WORLDS = 150
# Bad weather in every world, so that what a protection is there for happens soon.
_STORM = Weather(
    crash=0.006,
    cut=0.0,
    lost_commit=0.0,
    told_to_stop=0.0,
    switch=0.4,
    sumup=0.1,
    smtp=0.1,
    disk=0.0,
    sumup_outage=range(0),
    smtp_outage=range(0),
)
# Admins do nothing but cancel, and everybody gets in between everybody: what a row lock is there for.
_BUSY_ADMINS = replace(_STORM, crash=0.0, switch=0.8, deeds=("cancel",))
# Hardly anybody finds room.
_SMALL_HALLS = replace(_STORM, switch=0.8, halls=((3,), (2,)))
_PLACE_KEYS = {
    "paypoll.ticket_place": ("ticket_place_pkey", "PRIMARY KEY (order_item_id, place)"),
    "paypoll.fulfilment": ("fulfilment_pkey", "PRIMARY KEY (order_id)"),
}
_PAYMENT_KEYS = {
    "fulfilment_checkout_id_key": "UNIQUE (checkout_id)",
    "fulfilment_transaction_id_key": "UNIQUE (transaction_id)",
}


def always(answer: object) -> Callable[..., object]:
    """Return a function that always returns this."""
    return lambda *_arguments, **_named: answer


def worlds_until_broken(
    bench: "Bench",
    promise: str,
    words: str = "",
    *,
    worlds: int = _WORLDS,
    weather: Weather = _STORM,
    first: int = 0,
    kinds: frozenset[Kind] = frozenset(),
) -> int | None:
    """Return how many worlds it took until this promise was seen broken in this way; None: it never was.

    The worlds have these kinds of trouble; with none they are as ever. The `first` seed is one that showed it once, so
    that it is seen soon; when worlds have changed, others follow.
    """
    for seed in range(first, first + worlds):
        world = World(bench, seed, weather, kinds)
        try:
            world.live()
        except SimulationError as error:
            found = [f"a run ends well: {error}"]
        else:
            found = [str(broken) for broken in broken_promises(world)]
        if any(one.startswith(promise) and words in one for one in found):
            return seed - first + 1
    return None


@pytest.fixture
def no_row_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The order is read and written without its row lock."""
    monkeypatch.setattr(paypoll.runs.apply, "lock_order", always(True))
    ours = sa.select(watch.c.lease_run, watch.c.status, sa.null().label("hall")).with_for_update()
    for name in ("_HOLD", "_HOLD_WITH_HALLS"):
        monkeypatch.setattr(paypoll.state.watches, name, ours.where(watch.c.order_id == sa.bindparam("wanted")))


@pytest.fixture
def no_lease(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every run takes every order, and none is anybody's."""
    monkeypatch.setattr(paypoll.state.watches, "is_free", always(sa.true()))
    monkeypatch.setattr(paypoll.state.watches, "hold", always(Held(None)))


@pytest.fixture
def old_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is decided rests on the order as it was before SumUp was asked."""
    before: dict[int, Order] = {}

    def load_and_keep(connection: sa.Connection, order_ids: list[int], now: datetime) -> Loaded:
        found = load_claimed(connection, order_ids, now)
        before.update(found.orders)
        return found

    monkeypatch.setattr("paypoll.runs.claims.load_claimed", load_and_keep)
    monkeypatch.setattr(
        paypoll.runs.apply, "load_for_decision", lambda _connection, order_id, _evidence, **_: before[order_id]
    )


@pytest.fixture
def no_place_keys(bench: "Bench") -> Iterator[None]:
    """A place can be filled twice."""
    for table, (name, _) in _PLACE_KEYS.items():
        bench.observer.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}")
    yield
    _empty(bench)
    for table, (name, definition) in _PLACE_KEYS.items():
        bench.observer.execute(f"ALTER TABLE {table} ADD CONSTRAINT {name} {definition}")


@pytest.fixture
def no_payment_keys(bench: "Bench") -> Iterator[None]:
    """A payment can fulfil two orders."""
    for name in _PAYMENT_KEYS:
        bench.observer.execute(f"ALTER TABLE paypoll.fulfilment DROP CONSTRAINT {name}")
    yield
    _empty(bench)
    for name, definition in _PAYMENT_KEYS.items():
        bench.observer.execute(f"ALTER TABLE paypoll.fulfilment ADD CONSTRAINT {name} {definition}")


@pytest.mark.usefixtures("no_row_lock")
def test_without_the_row_lock_the_shops_cancellation_is_run_over(bench: "Bench") -> None:
    assert worlds_until_broken(bench, "1 ", "it was cancelled", weather=_BUSY_ADMINS, first=212)


@pytest.mark.usefixtures("old_decision")
def test_without_deciding_again_under_the_lock_a_cancelled_order_gets_tickets(bench: "Bench") -> None:
    assert worlds_until_broken(bench, "1 ", "it was cancelled", first=64)


@pytest.mark.usefixtures("no_lease", "no_row_lock", "old_decision")
def test_without_lease_and_locks_two_runs_meet_at_the_place_keys(bench: "Bench") -> None:
    assert worlds_until_broken(bench, "a run ends well", "duplicate key", first=4)


@pytest.mark.usefixtures("no_lease", "no_row_lock", "old_decision")
def test_with_the_place_keys_alone_no_place_is_filled_twice(bench: "Bench") -> None:
    assert worlds_until_broken(bench, "2 whoever paid", "it has tickets for", worlds=3, first=3) is None


@pytest.mark.usefixtures("no_lease", "no_row_lock", "old_decision", "no_place_keys", "no_payment_keys")
def test_without_lease_locks_and_keys_a_place_is_filled_twice(bench: "Bench") -> None:
    assert worlds_until_broken(bench, "2 whoever paid", "it has tickets for")


def test_without_the_check_of_amount_and_currency_the_wrong_money_buys_tickets(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paypoll.payments.matching, "_money_flaws", always([]))
    assert worlds_until_broken(bench, "1 ", "its tickets rest on")


def test_without_the_check_of_the_currency_another_currency_buys_tickets(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    plain: Callable[..., list[tuple[Flaw, str]]] = paypoll.payments.matching._money_flaws

    def amount_alone(*asked: Any) -> list[tuple[Flaw, str]]:
        return [flaw for flaw in plain(*asked) if flaw[0] is not Flaw.CURRENCY]

    monkeypatch.setattr(paypoll.payments.matching, "_money_flaws", amount_alone)
    assert worlds_until_broken(bench, "1 ", " EUR to MPLATFORM", first=6)


def test_without_the_look_at_the_places_a_late_payment_overfills_the_hall(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paypoll.payments.rules, "_late_obstacle", always(None))
    assert worlds_until_broken(bench, "2 a late payment finds room", weather=_SMALL_HALLS, first=608)


def test_without_the_check_of_the_merchant_somebody_elses_money_buys_tickets(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paypoll.payments.matching, "_merchant_flaws", always([]))
    assert worlds_until_broken(bench, "1 ", "MOTHER", first=11)


def test_without_the_look_at_the_transaction_refunded_money_buys_tickets(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paypoll.payments.questions, "_unasked_transactions", always(()))
    monkeypatch.setattr(paypoll.payments.classify, "_transaction_look", always(None))
    assert worlds_until_broken(bench, "1 ", "had been refunded", first=554)


def test_without_the_look_at_other_orders_one_payment_meets_the_payment_keys(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paypoll.runs.load, "_spent_in", always(frozenset()))
    assert worlds_until_broken(bench, "a run ends well", "duplicate key", first=30)


@pytest.mark.usefixtures("no_payment_keys")
def test_without_the_payment_keys_either_one_payment_buys_tickets_twice(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paypoll.runs.load, "_spent_in", always(frozenset()))
    assert worlds_until_broken(bench, "5 ", first=30)


def test_with_the_confirmation_posted_in_a_transaction_of_its_own_it_can_be_lost(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    post = paypoll.runs.fulfil.post_confirmation
    apply = Applier.apply
    later: list[tuple[Any, ...]] = []

    def apply_and_post(self: Applier, *arguments: Any, **named: Any) -> Applied | None:
        later.clear()
        applied = apply(self, *arguments, **named)
        with transaction(self.engine) as connection:
            for posted in later:
                post(connection, *posted)
        return applied

    monkeypatch.setattr(paypoll.runs.fulfil, "post_confirmation", lambda _connection, *rest: later.append(rest))
    monkeypatch.setattr(Applier, "apply", apply_and_post)
    assert worlds_until_broken(bench, "3 ", "0 confirmations were posted", first=544)


def test_with_mail_marked_as_sent_beforehand_it_can_be_lost(bench: "Bench", monkeypatch: pytest.MonkeyPatch) -> None:
    begin = paypoll.state.outbox.begin_sending

    def mark_first(connection: sa.Connection, mail: Any, *others: Any, **named: Any) -> bool:
        began = begin(connection, mail, *others, **named)
        connection.execute(sa.update(outbox).where(outbox.c.id == mail.id).values(state="sent", lease_until=None))
        return began

    monkeypatch.setattr(paypoll.state.outbox, "begin_sending", mark_first)
    assert worlds_until_broken(bench, "3 ", "never arrived")


def test_with_alerts_given_up_like_other_mail_one_is_lost(bench: "Bench", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MailOutcomes, "given_up", _given_up)
    weather = replace(_STORM, smtp=0.4)
    assert worlds_until_broken(bench, "3 no mail is lost", "a alert mail of order", weather=weather, first=585)


def _given_up(self: MailOutcomes, mail: Mail, error: str) -> None:
    with transaction(self.engine) as connection:
        give_up(connection, mail, error)


def test_with_refusals_of_us_taken_for_the_recipients_mail_is_lost(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tests.simulation.mail_model, "whom_it_is_about", always(About.RECIPIENT))
    said = "was given up, and the server said only"
    assert worlds_until_broken(bench, "3 no mail is lost", said, weather=replace(_STORM, smtp=0.4), first=500)


def test_with_closing_before_expiry_off_an_expired_order_can_still_be_paid(bench: "Bench") -> None:
    policies = {host.name: host.app.policy for host in bench.hosts}
    try:
        for host in bench.hosts:
            host.app.policy = replace(host.app.policy, close_before_expiry=False)
        assert worlds_until_broken(bench, "4 ", "could still be paid", first=9)
    finally:
        for host in bench.hosts:
            host.app.policy = policies[host.name]


def test_with_silence_taken_for_an_answer_orders_end_on_a_guess(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = paypoll.payments.unpaid.decide_unpaid

    def expire(order: Order, seen: Any, *more: Any) -> Decision:
        if paypoll.payments.unpaid._doubt(seen) is None or order.status not in WAITING:
            return plain(order, seen, *more)
        return Decision(Outcome.EXPIRE, Reason.TOO_OLD, "SumUp did not say that it was paid")

    monkeypatch.setattr(paypoll.payments.unpaid, "decide_unpaid", expire)
    assert worlds_until_broken(bench, "4 ", first=6)


def test_without_the_late_watch_a_late_payment_is_lost(bench: "Bench", monkeypatch: pytest.MonkeyPatch) -> None:
    plain = paypoll.payments.schedule.next_look

    def only_waiting(order: Order, policy: Policy, now: datetime, *, status: str, **more: Any) -> datetime | None:
        return None if status in LATE else plain(order, policy, now, status=status, **more)

    monkeypatch.setattr(paypoll.runs.apply, "next_look", only_waiting)
    assert worlds_until_broken(bench, "2 whoever paid", "is held by", first=68)


def test_without_the_audit_row_a_change_goes_unwritten(bench: "Bench", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paypoll.runs.apply, "record", always(None))
    assert worlds_until_broken(bench, "7 ")


def test_without_the_brake_a_wrong_world_makes_cases_of_many(bench: "Bench", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paypoll.runs.brake.Brake, "observe", always(False))
    monkeypatch.setattr(paypoll.runs.brake.Brake, "unheard", paypoll.runs.brake.Braked.OFF)
    assert worlds_until_broken(bench, "48 ", kinds=frozenset({Kind.WRONG_WORLD}), first=518)


def test_without_the_memory_of_a_rejection_an_order_that_is_set_back_gets_tickets(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paypoll.state.records, "without_tickets", always(frozenset()))
    assert worlds_until_broken(bench, "24c ", kinds=frozenset({Kind.CLOSED_REVIEWS}), first=20)


def _empty(bench: "Bench") -> None:
    empty(bench.observer, thoroughly=True)
