"""The request rate, requests in flight, pauses for all, and giving SumUp up."""

import threading
from datetime import UTC, datetime, timedelta

import pytest

from paypoll.sumup.pace import Breaker, Pacer, StoppedError

START = datetime(2026, 5, 1, 18, 0, tzinfo=UTC)
LONG = 10.0


class ManualClock:
    """A clock that only sleeping moves."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> bool:
        self.seconds += seconds
        return False


def test_pacer_requests_begin_evenly_at_the_rate() -> None:
    clock = ManualClock()
    pacer = Pacer(4, 1, clock, clock.sleep)
    begun = []
    for _ in range(5):
        with pacer.turn():
            begun.append(clock.seconds)
    assert begun == [0.0, 0.25, 0.5, 0.75, 1.0]


def test_pacer_time_not_used_is_not_saved_up() -> None:
    clock = ManualClock()
    pacer = Pacer(4, 1, clock, clock.sleep)
    begun = []
    clock.seconds = 60.0
    for _ in range(3):
        with pacer.turn():
            begun.append(clock.seconds)
    assert begun == [60.0, 60.25, 60.5]


def test_pacer_pause_holds_back_later_requests_and_keeps_the_rate_after() -> None:
    clock = ManualClock()
    pacer = Pacer(4, 1, clock, clock.sleep)
    pacer.pause(30)
    pacer.pause(10)
    begun = []
    for _ in range(2):
        with pacer.turn():
            begun.append(clock.seconds)
    assert begun == [30.0, 30.25]


def test_pacer_pause_while_another_waits_for_its_turn_holds_that_one_too() -> None:
    clock = ManualClock()
    slept: list[float] = []

    def sleep(seconds: float) -> bool:
        slept.append(seconds)
        clock.seconds += seconds
        if seconds == 1.0:
            # What another thread does when it gets a 429 in the meantime.
            pacer.pause(20)
        return False

    pacer = Pacer(1, 2, clock, sleep)
    with pacer.turn():
        pass
    with pacer.turn():
        assert clock.seconds == 21.0
    assert [seconds for seconds in slept if seconds] == [1.0, 20.0]


def test_pacer_told_to_stop_begins_nothing_more() -> None:
    clock = ManualClock()
    pacer = Pacer(4, 1, clock, lambda _: True)
    with pytest.raises(StoppedError), pacer.turn():
        pytest.fail("a request began")
    # The place in flight was given back: the second one is stopped too, and not stuck.
    with pytest.raises(StoppedError), pacer.turn():
        pytest.fail("a request began")


def test_pacer_all_places_taken_the_next_thread_waits_for_one() -> None:
    clock = ManualClock()
    pacer = Pacer(1000, 2, clock, clock.sleep)
    both_in, release, third_in = threading.Barrier(3), threading.Event(), threading.Event()

    def hold() -> None:
        with pacer.turn():
            both_in.wait(LONG)
            assert release.wait(LONG)

    def follow() -> None:
        with pacer.turn():
            third_in.set()

    holders = [threading.Thread(target=hold) for _ in range(2)]
    for thread in holders:
        thread.start()
    both_in.wait(LONG)
    follower = threading.Thread(target=follow)
    follower.start()
    assert not third_in.wait(0.2)
    release.set()
    assert third_in.wait(LONG)
    for thread in (*holders, follower):
        thread.join(LONG)
        assert not thread.is_alive()


def test_breaker_calls_lost_in_a_row_open_it_for_good() -> None:
    breaker = Breaker(3)
    assert [breaker.lost(), breaker.lost(), breaker.open, breaker.reason] == [False, False, False, ""]
    assert breaker.lost()
    assert breaker.open
    assert "not asked again" in breaker.reason
    breaker.answered()
    assert breaker.open
    assert not breaker.lost()


def test_breaker_an_answer_in_between_starts_the_count_anew() -> None:
    breaker = Breaker(2)
    for _ in range(5):
        breaker.lost()
        breaker.answered()
    assert not breaker.open
