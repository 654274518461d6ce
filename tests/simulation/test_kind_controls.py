"""What each kind of trouble was mended by, switched off: the checker sees it in worlds of that kind.

The first state of these kinds is no more; these stand for it. `first` is a world that showed it: counted from 0 it took
two worlds for late payments, three for contradictions that read as "not paid", five for an id that was given out
again, and one for each of the others.
"""

from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest
from tests.simulation.kinds import Kind
from tests.simulation.test_controls import always, worlds_until_broken

import paypoll.payments.classify
import paypoll.payments.followed
import paypoll.payments.matching
import paypoll.payments.schedule
import paypoll.runs.apply
import paypoll.runs.gone
import paypoll.state.records
from paypoll.payments.matching import Flaw
from paypoll.payments.order import Order
from paypoll.payments.order_statuses import OrderStatus
from paypoll.payments.policy import Policy

if TYPE_CHECKING:
    from tests.simulation.bench import Bench


def window_from_the_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The window counts from the order alone, and the clock ends it: no look is kept for its end."""
    plain = paypoll.payments.schedule.next_look

    def look(order: Order, policy: Policy, now: datetime, **more: Any) -> datetime | None:
        following = plain(order, policy, now, **more)
        is_over = following is not None and following >= order.created_at + policy.late_window
        return None if is_over and more["status"] != OrderStatus.COMPLETED else following

    monkeypatch.setattr(paypoll.runs.apply, "next_look", look)


def no_look_after_completion(monkeypatch: pytest.MonkeyPatch) -> None:
    """A completed order is never asked about again."""
    plain = paypoll.payments.schedule.next_look

    def look(order: Order, policy: Policy, now: datetime, **more: Any) -> datetime | None:
        return None if more["status"] == OrderStatus.COMPLETED else plain(order, policy, now, **more)

    monkeypatch.setattr(paypoll.runs.apply, "next_look", look)


def status_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a checkout's status says is believed, whatever its attempts and SumUp's list say."""
    monkeypatch.setattr(paypoll.payments.classify, "_disputes", always(()))
    monkeypatch.setattr(paypoll.payments.classify, "_is_under_way", always(False))


def checkout_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A fetched transaction is not held against its checkout, but for what went back."""
    monkeypatch.setattr(paypoll.payments.matching, "_transaction_flaws", always([]))


def any_organiser(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any organiser of an order may be paid for all of them."""
    plain: Callable[..., list[tuple[Flaw, str]]] = paypoll.payments.matching._merchant_flaws

    def flaws(order: Order, checkout: Any, answer: Any, policy: Policy) -> list[tuple[Flaw, str]]:
        organisers = {item.event.merchant_code for item in order.items if item.event is not None}
        is_one = checkout is None and answer.merchant_code in organisers
        return [] if is_one else plain(order, checkout, answer, policy)

    monkeypatch.setattr(paypoll.payments.matching, "_merchant_flaws", flaws)


def records_of_any_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """What paypoll remembers of an order counts for any other of the same id."""
    monkeypatch.setattr(paypoll.state.records, "_another_order", always(""))


def nothing_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Orders that the shop has deleted are forgotten."""
    monkeypatch.setattr(paypoll.runs.gone.GoneRound, "run", always(None))


def nothing_is_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last look at an order that gets nothing any more ends in silence, whatever SumUp says of its checkouts."""
    monkeypatch.setattr(paypoll.payments.followed, "left_open", always({}))


@pytest.mark.parametrize(
    ("undo", "kind", "promise", "first"),
    [
        (window_from_the_order, Kind.LATE_PAYMENTS, "2 every payment", 3),
        (no_look_after_completion, Kind.SECOND_PAYMENTS, "2 every payment", 0),
        (status_alone, Kind.UNPAID_CONTRADICTIONS, "4 nothing ends on a contradiction", 2),
        (checkout_alone, Kind.PAID_CONTRADICTIONS, "1 no ticket against the transaction", 0),
        (any_organiser, Kind.CHEATS, "1 ", 0),
        (nothing_is_left_open, Kind.LEFT_OPEN, "2 every payment", 0),
        (records_of_any_order, Kind.RESTORED_SHOP, "39a ", 8),
        (nothing_is_gone, Kind.RESTORED_SHOP, "26b ", 0),
    ],
)
def test_kind_with_its_mend_undone_is_seen_broken(
    bench: "Bench",
    monkeypatch: pytest.MonkeyPatch,
    undo: Callable[[pytest.MonkeyPatch], None],
    kind: Kind,
    promise: str,
    first: int,
) -> None:
    undo(monkeypatch)
    assert worlds_until_broken(bench, promise, kinds=frozenset({kind}), first=first)
