"""A world, made from a seed: customers, a shop, SumUp, a mail server, hosts that run paypoll, and bad weather.

Everything that happens is drawn from the seed, so that a world can be lived through again. In the end the weather is
good, nobody does anything any more, and paypoll runs until nothing changes: then `promises` are looked at.
"""

import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import psycopg2  # type: ignore[import-untyped]  # it has no types of its own
import structlog
from tests.simulation.customers import draw_customer
from tests.simulation.fibers import Fiber, Process, Scheduler, SimulatedCrash
from tests.simulation.journal import Journal, is_replay
from tests.simulation.kinds import Kind
from tests.simulation.mail_model import MailServer
from tests.simulation.meddling import draw_meddling
from tests.simulation.postgres import Points, WorldConnection, empty
from tests.simulation.shop_model import Shop
from tests.simulation.stories import begin_stories
from tests.simulation.story import Story
from tests.simulation.sumup_model import SumUp
from tests.simulation.troubles import Troubles
from tests.simulation.weather import MOMENTS, Weather

from paypoll.errors import PaypollError
from paypoll.runs.record import record_run
from paypoll.runs.stop import Stop
from paypoll.testing import NOW

if TYPE_CHECKING:
    from tests.simulation.bench import Bench, Host

_PAUSES = (5, 5, 10, 30, 60, 125, 300)  # minutes between the moments at which things happen
_RUNS_UNDER_A_WRONG_CLOCK = 3
_DAYS_MORE = 3  # for what came late, before what still changes is taken for what never ends
_SWEEP_EVERY = 100  # worlds, before the tables are emptied thoroughly


class World(Points):
    """One world. `problems` collects what went wrong besides the promises: errors that paypoll did not foresee.

    `kinds` are the kinds of trouble that it has besides its weather: without any, it is the same as ever.
    """

    def __init__(
        self,
        bench: "Bench",
        seed: int,
        weather: Weather | None = None,
        kinds: frozenset[Kind] = frozenset(),
        *,
        without: frozenset[str] = frozenset(),
        stop_at: int = 0,
    ) -> None:
        self.seed = seed
        self.without = without
        self.actors: list[str] = []
        self.bench = bench
        self.script = random.Random(f"{seed} script")  # noqa: S311 - drawn from a seed, as is meant
        self.chance = random.Random(f"{seed} faults")  # noqa: S311 - drawn from a seed, as is meant
        drawn = Weather.draw(self.script)
        self.weather = (weather or drawn).without(without)
        self.kinds = kinds
        self.troubles = Troubles.draw(seed, kinds)
        self.stories: list[Story] = []
        self.scheduler = Scheduler(bench.clock, random.Random(f"{seed} schedule"))  # noqa: S311 - drawn from a seed, as is meant
        self.shop: Shop = bench.shop
        self.journal = Journal(self.scheduler, bench.clock.now, stop_at=stop_at) if is_replay() else None
        self.scheduler.patient = is_replay()
        self.sumup = SumUp(self, self.tick, bench.clock.now)
        self.mail = MailServer(self, self.tick)
        self.quiet = False
        self.cleared_at = NOW
        self.running: set[str] = set()
        self.ticks = 0
        self.met: Counter[str] = Counter()
        self.problems: list[str] = []
        self.moments = self._draw_moments()
        self.has_media_folder = self.script.random() < 0.3
        bench.enter(self)

    def live(self) -> None:
        """Let everything happen, then let the weather clear up and everything settle."""
        empty(self.bench.observer, thoroughly=self.seed % _SWEEP_EVERY == 0)
        self.bench.clock.restart(NOW)
        self.shop.now, self.shop.tick, self.shop.sleep = self.bench.clock.now, self.tick, self.scheduler.sleep
        halls = random.Random(f"{self.seed} halls")  # noqa: S311 - drawn from a seed, as is meant
        self.shop.open(NOW, tuple(map(halls.choice, self.weather.halls)), organisers=self.troubles.organisers)
        everybody = Process("everybody")
        for number in range(1, self.script.randint(2, 5) + 1):
            customer = draw_customer(self, number)
            self.admit(f"customer {number}", everybody, customer)
            for deed_number in range(self.script.choice((0, 0, 1, 1, 2))):
                name = f"shop {number}.{deed_number}"
                self.admit(name, everybody, draw_meddling(self, number))
        stories = begin_stories(self, everybody)
        hosts = self.bench.hosts[: self.script.choice((1, 2, 2, 3))]
        for host in hosts[:1] if self.troubles.stands_still else hosts:  # no other run shall take its orders over
            starts = [m for m in range(MOMENTS) if self.script.random() < 0.5]
            goes_on = stories if host is hosts[0] else []
            self.admit(host.name, everybody, partial(self._keep, host, starts, goes_on))
        if Kind.CLOCK_JUMPS in self.kinds:
            self.admit("clock", everybody, partial(self._set_clock_wrong, hosts[0]))
        self.scheduler.run()
        self.quiet, self.cleared_at = True, self.bench.clock.now()
        self.scheduler.spawn("afterwards", everybody, self._settle)
        self.scheduler.run()
        self.bench.tidy()

    def admit(self, name: str, process: Process, body: Callable[[], object]) -> Fiber | None:
        """Let somebody take part, unless a smaller world is wanted, in which everything else is drawn as before."""
        self.actors.append(name)
        return None if name in self.without else self.scheduler.spawn(name, process, body)

    # -- paypoll's hosts -----------------------------------------------------------------------------------

    def _keep(self, host: "Host", starts: list[int], stories: list[Fiber]) -> None:
        """Run paypoll at some moments, and then every few hours until these stories are at their end."""
        for moment in starts:
            self.sleep_to(moment, jitter=2)
            self._run_unless_off(host)
        while not all(story.done for story in stories):
            self.scheduler.sleep(self.troubles.chance.uniform(0.2, self.troubles.pause) * 3600)
            self._run_unless_off(host)

    def _run_unless_off(self, host: "Host") -> None:
        begins, ends = self.troubles.outage
        if not begins <= (self.bench.clock.now() - NOW) / timedelta(hours=1) < ends:
            self._run(host)

    def _set_clock_wrong(self, host: "Host") -> None:
        """Let a host's clock be wrong for some hours, and the host run meanwhile."""
        begins, ends = self.troubles.wrong_clock
        self.scheduler.sleep(begins * 3600)
        host.clock.off = timedelta(hours=self.troubles.clock_is_off)
        for _ in range(_RUNS_UNDER_A_WRONG_CLOCK):
            self.scheduler.sleep((ends - begins) / _RUNS_UNDER_A_WRONG_CLOCK * 3600)
            self._run_unless_off(host)
        host.clock.off = timedelta(0)

    def _settle(self) -> None:
        """Run until nothing changes any more: every pause is over, the longest is six hours, and so is every window.

        The ledger's last word about an order comes a day after that: all payments are listed again once a day. What
        goes to review when its window ends, a contradiction, has another window after that one.
        """
        until_windows_end = (
            (24, 24, 24, 24, 24) if self.kinds else (7, 24, 24, 24)
        )  # 72 hours, from what changed before
        for hours in (0.1, 3, 7, 7, *until_windows_end):
            changed = self._run_after(hours)
        for _ in range(_DAYS_MORE):
            if changed:
                changed = self._run_after(24)
        if changed:
            self.problems.append(f"the last run still changed {sorted(changed, key=str)}")

    def _run_after(self, hours: float) -> set[tuple[Any, ...]]:
        """Let the first host run after so many hours, and return what that has changed."""
        self.scheduler.sleep(hours * 3600)
        before = self.bench.fingerprint()
        self._run(self.bench.hosts[0])
        return before ^ self.bench.fingerprint()

    def _run(self, host: "Host") -> None:
        """Let the host run paypoll once, and wait for the end of the run, whichever way it ends."""
        if host.name in self.running:
            self.scheduler.wait_until(lambda: host.name not in self.running)
        self.running.add(host.name)
        process = Process(f"{host.name} run", mortal=True)
        host.app.stop = Stop()
        self.note("starts a run")
        fiber = self.scheduler.spawn(process.name, process, lambda: self._paypoll(host))
        self.scheduler.wait_until(lambda: fiber.done)
        self.running.remove(host.name)
        self.note("its run is dead" if process.dead else "its run has ended")
        if process.dead:
            host.app.engine.dispose()
        self.met["runs"] += 1

    def _paypoll(self, host: "Host") -> None:
        try:
            report = record_run(host.app, "run-once")
        except PaypollError as error:
            self.met["runs that gave up"] += 1
            if self.quiet:
                self.problems.append(f"a run in good weather gave up: {error}")
            return
        for failed in report.order_errors:
            if not failed.expected:
                self.problems.append(f"order {failed.order} met an unforeseen error: {failed.error}")

    # -- what may go wrong ---------------------------------------------------------------------------------

    def tick(self) -> int:
        """Count everything that happens: what is true before and after what."""
        self.ticks += 1
        return self.ticks

    def note(self, what: str) -> None:
        """Write a line into the log of events, where one is kept."""
        if self.journal is not None:
            self.journal.note(what)

    def run_id(self) -> str:
        """Return which run is asking."""
        fiber = self.scheduler.current
        return fiber.process.run_id if fiber is not None else ""

    def trip(self, place: str) -> None:
        """Call another program: time passes, others get in between, and the process may die."""
        self._meet_end(place, 3.0)
        if self.quiet:
            return
        fiber = self.scheduler.current
        if place == "sumup" and self._happens("stands still", self.troubles.stands_still) and fiber is not None:
            hours = self.troubles.chance.uniform(0.1, 3)
            fiber.process.stands_still_until = self.bench.clock.now() + timedelta(hours=hours)
        if self._happens("told to stop", self.weather.told_to_stop) and fiber is not None:
            self.bench.stop_run_of(fiber.process)
        pause = self.chance.choice((0, 0, 0, 0, 1, 1, 2, 5, 30, 200 if self.chance.random() < 0.1 else 0))
        if pause:
            self.scheduler.sleep(pause)
        else:
            self.scheduler.pause()
        self._die_if_dead()

    def fails(self, question: str) -> str:
        """Say whether and how a call fails."""
        if self.quiet:
            return ""
        begins, ends = self.troubles.wrong_world
        hour = (self.bench.clock.now() - NOW) / timedelta(hours=1)
        if question in ("read", "find", "transaction", "close", "history") and begins <= hour < ends:
            return self._met("NotFound")
        moment = self._moment()
        chance = self.chance
        if question in ("smtp_connect", "smtp_send"):
            if moment in self.weather.smtp_outage or chance.random() < self.weather.smtp / 4:
                return self._met(chance.choice(("later", "lost")) if question == "smtp_send" else "smtp down")
            if question == "smtp_send" and chance.random() < self.weather.smtp:
                return self._met(
                    chance.choice(("later", "lost", "lost", "refused" if chance.random() < 0.2 else "later"))
                )
            return ""
        if question in ("print", "file"):
            return self._met(question) if chance.random() < self.weather.disk else ""
        if moment in self.weather.sumup_outage and chance.random() < 0.9:
            return self._met(chance.choice(("NoAnswer", "NoAnswer", "Garbled")))
        if chance.random() >= self.weather.sumup:
            return ""
        if question in ("read", "find"):
            return self._met(chance.choice(("NoAnswer",) * 8 + ("Broken",) * 2 + ("NotFound", "NotAllowed")))
        return self._met(chance.choice(("NoAnswer", "NoAnswer", "NoAnswer", "Broken")))

    def before_statement(self, connection: WorldConnection) -> None:
        """Before a statement: others may get in between, the process may die, the connection may be cut."""
        if self.scheduler.current is None:
            return
        self._meet_end("statement", 1.0)
        if self._happens("cut off", self.weather.cut):
            self.bench.observer.cut(connection)
            return
        if self.weather.switch and self.chance.random() < self.weather.switch:
            self.scheduler.pause()
            self._die_if_dead()

    def before_commit(self, connection: WorldConnection) -> None:
        """Before a commit: the same."""
        fiber = self.scheduler.current
        if fiber is None:
            return
        if fiber.process.mortal:
            fiber.process.run_id = structlog.contextvars.get_contextvars().get("run", "")
        self._meet_end("before a commit", 4.0)
        if self._happens("cut off at a commit", self.weather.cut * 4):
            self.bench.observer.cut(connection)
            return
        self.scheduler.pause()
        self._die_if_dead()

    def after_commit(self, connection: WorldConnection) -> None:
        """After a commit: the process may die, or the answer be lost."""
        fiber = self.scheduler.current
        if fiber is None or not fiber.process.mortal:
            connection.changed.clear()
            return
        self.tick()
        self.note(f"committed: {', '.join(connection.changed) or 'nothing'}")
        connection.changed.clear()
        self._meet_end("after a commit", 4.0)
        if self._happens("answer to a commit lost", self.weather.lost_commit):
            connection.close()
            raise psycopg2.OperationalError("server closed the connection unexpectedly")
        self.scheduler.pause()
        self._die_if_dead()

    def _meet_end(self, place: str, factor: float) -> None:
        self._die_if_dead()
        if self._happens(f"crash: {place}", self.weather.crash * factor):
            fiber = self.scheduler.current
            if fiber is not None:
                fiber.process.dead = True
            raise SimulatedCrash

    def _die_if_dead(self) -> None:
        fiber = self.scheduler.current
        if fiber is None:
            return
        while not fiber.process.dead and (until := fiber.process.stands_still_until):
            if until <= self.bench.clock.now():
                break
            self.scheduler.sleep((until - self.bench.clock.now()).total_seconds())
        if fiber.process.dead:
            raise SimulatedCrash

    def _happens(self, what: str, rate: float) -> bool:
        fiber = self.scheduler.current
        if self.quiet or not rate or fiber is None or not fiber.process.mortal or self.chance.random() >= rate:
            return False
        self.met[what] += 1
        self.note(f"meets: {what}")
        return True

    def _met(self, what: str) -> str:
        self.met[what] += 1
        self.note(f"meets: {what}")
        return what

    def wait_for_look(self, number: int, patience: int) -> None:
        """Wait until a run is told that the order is paid, and then some steps: nothing is done with it yet."""
        own = f"ORD-{number}"
        known = self.sumup.checkouts

        def is_looked_at() -> bool:
            return any(
                said.found == "PAID" and said.question == "read" and known[said.subject].order == own
                for said in self.sumup.said
            )

        self.scheduler.wait_until(is_looked_at, latest=self.moments[-1])
        for _ in range(patience):
            self.scheduler.pause()

    # -- time ----------------------------------------------------------------------------------------------

    def _draw_moments(self) -> list[datetime]:
        moments = [NOW]
        for _ in range(MOMENTS - 1):
            moments.append(moments[-1] + timedelta(minutes=self.script.choice(_PAUSES)))
        return moments

    def _moment(self) -> int:
        """Return which moment it is."""
        return sum(1 for moment in self.moments if moment <= self.bench.clock.now())

    def sleep_to(self, moment: int, *, jitter: int = 0) -> None:
        """Sleep until a moment of the world, or a little longer."""
        there = self.moments[min(moment, MOMENTS - 1)] - self.bench.clock.now()
        self.scheduler.sleep(max(there.total_seconds(), 0) + self.chance.choice((0, 0, 0, 0.5, jitter)))
