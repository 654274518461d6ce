"""Many actors on one machine, one at a time: what runs next is drawn from a seed, so that every race can be replayed.

An actor (a run of paypoll, a page of the shop, a customer) is a fiber: a thread that runs only while it holds the
baton, and hands it back wherever another actor could get in between. Time is that of a clock which moves only when
nobody can go on: to the next moment for which somebody waits.
"""

import random
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

T = TypeVar("T")

_PATIENCE = 120.0  # seconds of real time; a fiber that keeps the baton for longer hangs


class SimulatedCrash(BaseException):
    """The process is gone: kill -9, a power cut. No part of paypoll may catch it."""


class SimulationError(AssertionError):
    """The simulation itself went wrong, or an actor met an error that nobody foresaw."""


class WorldClock:
    """The clock of a world, shared by all its hosts. Only the scheduler moves it."""

    def __init__(self, now: datetime) -> None:
        self._start = now
        self._now = now

    def now(self) -> datetime:
        """Return the world's time."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds since the world began."""
        return (self._now - self._start).total_seconds()

    def move_to(self, moment: datetime) -> None:
        """Move it forward."""
        self._now = max(self._now, moment)

    def restart(self, now: datetime) -> None:
        """Begin another world."""
        self._start = self._now = now


class Process:
    """What dies together: the fibers of one run. `mortal` ones meet crashes and faults, the others never do.

    A suspended process stands still as a whole, until a moment.
    """

    def __init__(self, name: str, *, mortal: bool = False) -> None:
        self.name = name
        self.mortal = mortal
        self.dead = False
        self.stands_still_until: datetime | None = None
        self.run_id = ""


class Fiber:
    """An actor's thread. It goes on at `wakes_at`, or when `may_go_on` says so."""

    def __init__(self, name: str, process: Process, body: Callable[[], object]) -> None:
        self.name = name
        self.process = process
        self.wakes_at: datetime | None = None
        self.may_go_on: Callable[[], bool] | None = None
        self.gives_up_at: datetime | None = None
        self.done = False
        self.error: BaseException | None = None
        self.baton = threading.Lock()
        self.baton.acquire()
        self._body = body
        self.thread = threading.Thread(target=self._run, name=name, daemon=True)
        self.hand_back: Callable[[], None] = lambda: None

    def _run(self) -> None:
        self.baton.acquire()
        try:
            self._body()
        except SimulatedCrash:
            pass
        except BaseException as error:  # noqa: BLE001 - kept, and raised by the scheduler
            self.error = error
        self.done = True
        self.hand_back()


class Scheduler:
    """Runs fibers one at a time, in an order drawn from `chance`."""

    def __init__(self, clock: WorldClock, chance: random.Random) -> None:
        self.clock = clock
        self.steps = 0
        self.patient = False
        """Whether a fiber may keep the baton for ever: somebody may be in a debugger."""
        self.current: Fiber | None = None
        self.settle: Callable[[], None] = lambda: None
        self.give_up: Callable[[Fiber], None] = lambda _fiber: None
        self._chance = chance
        self._fibers: list[Fiber] = []
        self._baton = threading.Lock()
        self._baton.acquire()

    def spawn(self, name: str, process: Process, body: Callable[[], object], *, at: datetime | None = None) -> Fiber:
        """Add a fiber. It begins at `at`, or as soon as it is drawn."""
        fiber = Fiber(name, process, body)
        fiber.wakes_at = at or self.clock.now()
        fiber.hand_back = self._baton.release
        self._fibers.append(fiber)
        fiber.thread.start()
        return fiber

    def run(self) -> None:
        """Let the fibers run until all are done. Raise what an actor raised, and SimulationError when none can move."""
        while self._fibers:
            self.settle()
            now = self.clock.now()
            ready = [fiber for fiber in self._fibers if self._is_ready(fiber, now)]
            if ready:
                self._resume(ready[0] if len(ready) == 1 else self._chance.choice(ready))
            else:
                self._move_clock()

    def pause(self) -> None:
        """Let others get in between, if there are any."""
        fiber = self._me()
        now = self.clock.now()
        if any(self._is_ready(other, now) or other.gives_up_at for other in self._fibers if other is not fiber):
            fiber.wakes_at = now
            self._switch(fiber)

    def sleep(self, seconds: float) -> None:
        """Let this much of the world's time pass."""
        fiber = self._me()
        fiber.wakes_at = self.clock.now() + timedelta(seconds=seconds)
        self._switch(fiber)

    def wait_until(
        self, may_go_on: Callable[[], bool], *, latest: datetime | None = None, give_up_after: float | None = None
    ) -> None:
        """Wait for a condition, until `latest`. `give_up_after` seconds `give_up` is called for this fiber, once."""
        fiber = self._me()
        fiber.wakes_at, fiber.may_go_on = latest, may_go_on
        fiber.gives_up_at = None if give_up_after is None else self.clock.now() + timedelta(seconds=give_up_after)
        self._switch(fiber)
        fiber.may_go_on = fiber.gives_up_at = None

    def blocked(self) -> list[Fiber]:
        """Return the fibers that wait for a lock."""
        return [fiber for fiber in self._fibers if fiber.gives_up_at is not None]

    def _me(self) -> Fiber:
        fiber = self.current
        if fiber is None or fiber.thread is not threading.current_thread():
            raise SimulationError("only a fiber that holds the baton can wait")
        return fiber

    @staticmethod
    def _is_ready(fiber: Fiber, now: datetime) -> bool:
        if fiber.wakes_at is not None and fiber.wakes_at <= now:
            return True
        return fiber.may_go_on is not None and fiber.may_go_on()

    def _resume(self, fiber: Fiber) -> None:
        self.steps += 1
        self.current = fiber
        fiber.baton.release()
        if not self._baton.acquire(timeout=-1 if self.patient else _PATIENCE):
            raise SimulationError(f"{fiber.name} keeps the baton")
        self.current = None
        if fiber.done:
            self._fibers.remove(fiber)
            fiber.thread.join(_PATIENCE)
            if fiber.error is not None:
                raise SimulationError(f"{fiber.name}: {type(fiber.error).__name__}: {fiber.error}") from fiber.error

    def _switch(self, fiber: Fiber) -> None:
        self._baton.release()
        fiber.baton.acquire()

    def _move_clock(self) -> None:
        wakes = [fiber.wakes_at for fiber in self._fibers if fiber.wakes_at is not None]
        ends = [fiber.gives_up_at for fiber in self._fibers if fiber.gives_up_at is not None]
        if not wakes and not ends:
            names = ", ".join(fiber.name for fiber in self._fibers)
            raise SimulationError(f"nobody can go on: {names}")
        moment = min([*wakes, *ends])
        self.clock.move_to(moment)
        for fiber in self._fibers:
            if fiber.gives_up_at is not None and fiber.gives_up_at <= moment:
                self.give_up(fiber)


class Task(Generic[T]):
    """A Future of a FiberPool."""

    def __init__(self, scheduler: Scheduler, process: Process, work: Callable[[], T]) -> None:
        self._scheduler = scheduler
        self._process = process
        self._work = work
        self._answer: list[T] = []
        self._error: BaseException | None = None
        self.started = False

    def exception(self) -> BaseException | None:
        """Return what the work raised, once it is done."""
        return self._error

    def done(self) -> bool:
        """Say whether there is an answer or an error."""
        return bool(self._answer) or self._error is not None

    def __call__(self) -> None:
        """Do the work."""
        try:
            self._answer.append(self._work())
        except BaseException as error:  # noqa: BLE001 - it belongs to whoever asks for the result
            self._error = error

    def result(self) -> T:
        """Wait for the answer and return it, or raise what the work raised."""
        if not self.done():
            self._scheduler.wait_until(lambda: self.done() or self._process.dead)
        if not self.done():  # nobody begins the work of a dead process
            raise SimulatedCrash
        if self._error is not None:
            raise self._error
        return self._answer[0]


class FiberPool:
    """Stands in for ThreadPoolExecutor in a world: its workers are fibers of the process that made it."""

    scheduler: Scheduler  # of the world that is under way

    def __init__(self, max_workers: int, thread_name_prefix: str = "") -> None:
        if self.scheduler.current is None:
            raise SimulationError("only a fiber can have a pool")
        self._me = self.scheduler.current
        self._max_workers = max_workers
        self._name = thread_name_prefix
        self._tasks: list[Task[Any]] = []
        self._workers: list[Fiber] = []

    def submit(self, work: Callable[..., T], /, *arguments: Any) -> Task[T]:
        """Take on some work; a worker begins it when the scheduler says so."""
        task = Task(self.scheduler, self._me.process, lambda: work(*arguments))
        self._tasks.append(task)
        if sum(not worker.done for worker in self._workers) < self._max_workers:
            name = f"{self._me.name}/{self._name}-{len(self._workers)}"
            self._workers.append(self.scheduler.spawn(name, self._me.process, self._work))
        return task

    def shutdown(self, *, wait: bool, cancel_futures: bool) -> None:
        """Forget the work that nobody has begun."""
        if cancel_futures and not wait:
            for task in self._tasks:
                task.started = True

    def _work(self) -> None:
        while task := next((task for task in self._tasks if not task.started), None):
            task.started = True
            if self._me.process.dead:
                raise SimulatedCrash
            task()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if not all(worker.done for worker in self._workers):
            self.scheduler.wait_until(lambda: all(worker.done for worker in self._workers))
