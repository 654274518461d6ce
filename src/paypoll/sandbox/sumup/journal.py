"""Which requests came in, how they were authorised, how many at once, and how they ended. Never a token."""

import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Final

from paypoll.clock import Clock
from paypoll.sandbox.sumup.keyring import Access, AuthKind

_LONGEST: Final = 10_000


@dataclass(frozen=True, slots=True)
class Seen:
    """One request. `in_flight` counts the requests under way as it arrived, itself among them.

    `status` is None while no answer has begun, and stays so when none was given; `seconds` is the time until the end
    of the answer went out, None while the request is under way.
    """

    method: str
    path: str
    query: str
    auth: AuthKind
    merchant_code: str
    at: datetime
    in_flight: int
    status: int | None = None
    seconds: float | None = None


class Journal:
    """The requests since the start or the last `reset`, the oldest first; of very many, the latest ten thousand."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        # Re-entrant, so that a condition may use the properties above.
        self._changed = threading.Condition(threading.RLock())
        self._numbers = itertools.count()
        self._entries: dict[int, Seen] = {}
        self._started: dict[int, float] = {}
        self._max_in_flight = 0

    @property
    def entries(self) -> tuple[Seen, ...]:
        """All requests, those under way among them."""
        with self._changed:
            return tuple(self._entries.values())

    @property
    def max_in_flight(self) -> int:
        """How many requests were ever under way at once."""
        with self._changed:
            return self._max_in_flight

    @property
    def in_flight(self) -> int:
        """How many requests are under way now."""
        with self._changed:
            return len(self._started)

    def count(self, method: str | None = None, path: str = "*", status: int | None = None) -> int:
        """Count the requests with this method, path (a shell pattern) and status; None is any."""
        return sum(
            method in {None, seen.method} and fnmatchcase(seen.path, path) and status in {None, seen.status}
            for seen in self.entries
        )

    def wait_until(self, condition: Callable[["Journal"], bool], timeout: float = 10.0) -> None:
        """Wait until the condition holds; it is looked at whenever a request comes or ends.

        Raise TimeoutError after so many seconds.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), timeout):
                raise TimeoutError("the requests waited for did not come")

    def reset(self) -> None:
        """Forget all requests; those under way go on counting as in flight."""
        with self._changed:
            self._entries.clear()
            self._max_in_flight = len(self._started)

    def begin(self, method: str, path: str, query: str, access: Access) -> int:
        """Note that a request has come; return its number."""
        with self._changed:
            number = next(self._numbers)
            self._started[number] = self._clock.monotonic()
            self._max_in_flight = max(self._max_in_flight, len(self._started))
            self._entries[number] = Seen(
                method=method,
                path=path,
                query=query,
                auth=access.kind,
                merchant_code=access.merchant_code,
                at=self._clock.now(),
                in_flight=len(self._started),
            )
            if len(self._entries) > _LONGEST:
                del self._entries[next(iter(self._entries))]
            self._changed.notify_all()
            return number

    def end(self, number: int, status: int | None) -> None:
        """Note how the request ends. To be called before the client can know that it has, and harmless again."""
        with self._changed:
            started = self._started.pop(number, None)
            if started is not None and number in self._entries:
                seconds = self._clock.monotonic() - started
                self._entries[number] = replace(self._entries[number], status=status, seconds=seconds)
            self._changed.notify_all()
