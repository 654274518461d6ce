"""How often SumUp is asked: the run's request rate, the requests in flight, and when to stop asking at all."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeAlias

from paypoll.clock import Clock

Wait: TypeAlias = Callable[[float], bool]
"""Sleeps for that many seconds, at least as long unless told to stop; returns whether the run was told to stop."""

BREAKER_REASON: Final = "SumUp is not answering; not asked again in this run"


class StoppedError(Exception):
    """The run was told to stop while a request waited for its turn."""


class Pacer:
    """Spaces the requests of all threads evenly and limits how many are in flight."""

    def __init__(self, per_second: float, in_flight: int, clock: Clock, wait: Wait) -> None:
        self._interval = 1 / per_second
        self._in_flight = threading.BoundedSemaphore(in_flight)
        self._clock = clock
        self._wait = wait
        self._lock = threading.Lock()
        self._next_turn = float("-inf")
        self._paused_until = float("-inf")

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold a place in flight, entered when it is this request's turn. Raise StoppedError if told to stop.

        The place comes before the turn: the other way round, turns that passed while all places were taken would be
        used at once when one becomes free, and the rate be exceeded.
        """
        with self._in_flight:
            self._await_turn()
            yield

    def pause(self, seconds: float) -> None:
        """Let no request of any thread begin for so long; one that waits for its turn is given a new one."""
        with self._lock:
            self._paused_until = max(self._paused_until, self._clock.monotonic() + seconds)

    def _await_turn(self) -> None:
        turn = self._reserve(None)
        while True:
            delay = turn - self._clock.monotonic()
            # Also without a delay, so that no request begins after the run was told to stop.
            if self._wait(max(delay, 0.0)):
                raise StoppedError
            # While this one slept, another thread may have been told to pause.
            turn = self._reserve(turn)
            if turn <= self._clock.monotonic():
                return

    def _reserve(self, turn: float | None) -> float:
        """Return the turn if it still stands, else the next free one."""
        with self._lock:
            if turn is not None and turn >= self._paused_until:
                return turn
            turn = max(self._clock.monotonic(), self._next_turn, self._paused_until)
            self._next_turn = turn + self._interval
            return turn


class Breaker:
    """A circuit breaker: opens when several calls in a row got no answer, and stays open for the rest of the run."""

    def __init__(self, after: int) -> None:
        self._after = after
        self._lock = threading.Lock()
        self._in_a_row = 0
        self._open = False

    @property
    def open(self) -> bool:
        """Whether it is open: SumUp must not be asked any more."""
        return self._open

    @property
    def reason(self) -> str:
        """Why it is open, for the operator; empty while it is closed."""
        return BREAKER_REASON if self._open else ""

    def answered(self) -> None:
        """Note that SumUp answered a call, whatever it said."""
        with self._lock:
            self._in_a_row = 0

    def lost(self) -> bool:
        """Note that a call got no answer. Return whether that opened the breaker."""
        with self._lock:
            self._in_a_row += 1
            opens = not self._open and self._in_a_row >= self._after
            self._open = self._open or opens
            return opens
