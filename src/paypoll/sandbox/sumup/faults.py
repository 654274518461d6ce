"""Faults that are dialled in: which effect meets which request, how often, until when."""

import random
import threading
from dataclasses import dataclass
from fnmatch import fnmatchcase
from types import TracebackType
from typing import Self

from paypoll.sandbox.sumup.effects import Effect, Latency


@dataclass(frozen=True, slots=True)
class Aim:
    """Which requests a fault meets.

    `path` is a shell pattern (`/v0.1/checkouts/*`), matched without the query. `times` is how often it happens at
    most, `probability` how likely it is each time, drawn the same for the same `seed`. With `processed`
    the request is carried out before its answer is lost; otherwise it depends on the effect whether it is.
    """

    method: str | None = None
    path: str = "*"
    times: int | None = None
    probability: float = 1.0
    seed: int = 0
    processed: bool = False


class Fault:
    """A fault that was dialled in. As a context manager it is cleared at the end of the block."""

    def __init__(self, number: int, effect: Effect | Latency, aim: Aim) -> None:
        self.number = number
        self.effect = effect
        self.aim = aim
        self.over = threading.Event()
        self._lock = threading.Lock()
        self._dice = random.Random(aim.seed)  # noqa: S311 - random numbers for tests
        self._hits = 0

    @property
    def hits(self) -> int:
        """How many requests it has met."""
        with self._lock:
            return self._hits

    def clear(self) -> None:
        """End the fault, and release the requests that it holds up."""
        self.over.set()

    def meets(self, method: str, path: str) -> bool:
        """Say whether this request is met, and count it if so."""
        if self.aim.method not in {None, method} or not fnmatchcase(path, self.aim.path):
            return False
        with self._lock:
            used_up = self.aim.times is not None and self._hits >= self.aim.times
            if used_up or self._dice.random() >= self.aim.probability:
                return False
            self._hits += 1
            return True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.clear()


class Faults:
    """All faults, the first dialled in first."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []
        self._made = 0

    def add(self, effect: Effect | Latency, aim: Aim) -> Fault:
        """Dial a fault in."""
        with self._lock:
            self._made += 1
            fault = Fault(self._made, effect, aim)
            self._faults.append(fault)
            return fault

    def all(self) -> tuple[Fault, ...]:
        """Return the faults that were not cleared."""
        with self._lock:
            self._faults = [fault for fault in self._faults if not fault.over.is_set()]
            return tuple(self._faults)

    def clear(self) -> None:
        """Clear all of them."""
        for fault in self.all():
            fault.clear()

    def meeting(self, method: str, path: str) -> list[Fault]:
        """Return what happens to this request: every latency, up to the first effect of another kind and with it."""
        met = []
        for fault in self.all():
            if fault.meets(method, path):
                met.append(fault)
                if not isinstance(fault.effect, Latency):
                    break
        return met
