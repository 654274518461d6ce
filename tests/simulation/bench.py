"""What all worlds share: the database, the hosts with paypoll on them, the clock."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import psycopg2.extensions  # type: ignore[import-untyped]  # it has no types of its own
import sqlalchemy as sa
from tests.settings_text import world_settings, write_settings_file
from tests.simulation.fibers import FiberPool, Process, SimulationError, WorldClock
from tests.simulation.mail_model import Disk, Printer
from tests.simulation.postgres import Observer, Points, WorldConnection, instrument
from tests.simulation.shop_model import Shop

from paypoll.app import App
from paypoll.mail.packing import MailPacker
from paypoll.settings.load import load_settings
from paypoll.settings.model import LedgerSettings
from paypoll.testing import NOW

if TYPE_CHECKING:
    from tests.simulation.world import World

# How many tickets of an event are valid when one is issued, as PostgreSQL itself sees it at that moment.
_COUNTED = """
CREATE TABLE simulation_sale (order_id bigint, event_id bigint NOT NULL, valid bigint NOT NULL);
CREATE FUNCTION simulation_count() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO simulation_sale SELECT NEW.order_id, NEW.event_id, count(*) FROM events_ticket
        WHERE event_id = NEW.event_id AND status IN ('valid', 'used');
    RETURN NULL;
END $$;
CREATE TRIGGER simulation_count AFTER INSERT ON events_ticket FOR EACH ROW EXECUTE FUNCTION simulation_count()
"""


SHARED = "MPLATFORM/Pottery*"
"""The account serves another shop as well, whose sales are told apart by what SumUp calls them."""


def _ledger_rules(world: "World") -> LedgerSettings:
    troubles = world.troubles
    every = timedelta(minutes=30 if troubles.is_swept else 0)
    return LedgerSettings(every=every, on_refund="void" if troubles.voids else "tell", ignore=(SHARED,))


class WorldApp(App):
    """paypoll as it is, but for its ends, and for the look at the schema, which never changes here."""

    disk: Callable[[], Disk | None]

    def require_ready(self) -> None:
        """Say nothing: reading the schema anew takes longer than all the rest of a run."""

    @property
    def packer(self) -> MailPacker:  # its folder is the world's, and not every world has one
        """What makes messages of mails."""
        site, mail = self.settings.site, self.settings.mail
        return MailPacker(
            self.engine, self.printer, self.composer, self.disk(), site, self.clock, mail.size_limit, mail.domain
        )


class HostClock:
    """The clock of a host, which may be wrong: `off` by so much from the world's."""

    def __init__(self, world: WorldClock) -> None:
        self._world = world
        self.off = timedelta(0)

    def now(self) -> datetime:
        """Return what this host takes for the time."""
        return self._world.now() + self.off

    def monotonic(self) -> float:
        """Return the seconds since the world began, which no wrong clock changes."""
        return self._world.monotonic()


@dataclass
class Host:
    """A machine that runs paypoll."""

    name: str
    app: WorldApp
    clock: HostClock


class Current:
    """Passes everything on to a part of the world that is under way."""

    def __init__(self, part: Callable[[], Any]) -> None:
        self._part = part

    def __getattr__(self, name: str) -> Any:
        return getattr(self._part(), name)


class Bench:
    """The machines on which worlds are lived through, one after the other."""

    def __init__(self, folder: Path, url: str, dsn: str) -> None:
        self.observer = Observer(dsn)
        self.observer.execute(_COUNTED)
        psycopg2.extensions.set_wait_callback(self.observer.wait)
        self.clock = WorldClock(NOW)
        self.shop = Shop(dsn, self.observer)
        self._world: World | None = None
        self._is_tidy = False
        # The one stand-in that no port has room for: real threads would run whenever the machine likes.
        modules = ("runs.asking", "runs.listing_fees", "mail.delivery_thread", "mail.print_ahead")
        self._pools: list[Any] = [mock.patch(f"paypoll.{module}.ThreadPoolExecutor", FiberPool) for module in modules]
        # A world has a time of its own, by which leases run out as well.
        self._pools.append(mock.patch("paypoll.state.leases._now", new=self._now))
        for pool in self._pools:
            pool.start()
        self.hosts = [
            self._make_host(folder, url, f"host {name}", parallel, batch)
            for name, parallel, batch in (("A", 4, 20), ("B", 1, 2), ("C", 2, 3))
        ]

    def close(self) -> None:
        """Give everything back."""
        for host in self.hosts:
            host.app.close()
        self.shop.close()
        psycopg2.extensions.set_wait_callback(None)
        self.observer.close()
        for pool in self._pools:
            pool.stop()

    def enter(self, world: "World") -> None:
        """Let everything belong to this world."""
        self._world = world
        rules = _ledger_rules(world)
        for host in self.hosts:
            host.clock.off = timedelta(0)
            host.app.settings = replace(host.app.settings, ledger=rules)
        if not self._is_tidy:
            for host in self.hosts:
                host.app.engine.dispose()  # a connection that was cut off belongs to the world before
            self.observer.cut_all()
        self._is_tidy = False
        WorldConnection.points = world
        FiberPool.scheduler = world.scheduler
        self.observer.watch(world.scheduler)

    def leave(self) -> None:
        """Let nothing belong to a world any more."""
        WorldConnection.points = Points()
        self.observer.scheduler = None

    def tidy(self) -> None:
        """Say that the world came to its end: its connections serve the next. A new one costs the server 20 ms."""
        self._is_tidy = True

    def note(self, what: str) -> None:
        """Write a line into the log of events of the world that is under way."""
        if self._world is not None:
            self._world.note(what)

    def stop_run_of(self, process: Process) -> None:
        """Tell a run to stop, as SIGTERM does."""
        for host in self.hosts:
            if process.name.startswith(host.name):
                host.app.stop.set()

    def fingerprint(self) -> set[tuple[Any, ...]]:
        """Return what must not change any more in the end: rows, each with its table."""
        return {
            (query.rpartition(" FROM ")[2].partition(" ")[0], *row)
            for query in (
                "SELECT id, status, is_paid, paid_at, transaction_id, payment_notes FROM orders_order ORDER BY id",
                "SELECT count(*) FROM events_ticket",
                "SELECT id, state, attempts FROM paypoll.outbox ORDER BY id",
                "SELECT count(*) FROM orders_orderstatushistory",
                "SELECT reference, state, checkout_id FROM paypoll.listing_fee ORDER BY 1",
                "SELECT id, status FROM events_event ORDER BY id",
                "SELECT id, told_at, closed_at FROM paypoll.finding ORDER BY id",
                "SELECT id, state FROM paypoll.refund ORDER BY id",
            )
            for row in self.observer.execute(query)
        }

    def _now(self) -> sa.ColumnElement[datetime]:
        return sa.literal(self.clock.now(), sa.DateTime(timezone=True))

    def _here(self) -> "World":
        if self._world is None:
            raise SimulationError("no world is under way")
        return self._world

    def _make_host(self, folder: Path, url: str, name: str, parallel: int, batch: int) -> Host:
        media = folder / "media"
        media.mkdir(exist_ok=True)
        settings = world_settings(
            url,
            media=media,
            # A world has a time of its own, which the database knows nothing of.
            database={"lock_timeout": "60 s", "statement_timeout": "120 s", "clock_tolerance": "36500d"},
            sumup={"parallel_requests": parallel, "allow_refunds": True},
            verification={"batch_size": batch},
            mail={"batch_size": batch},
        )
        path = write_settings_file(folder / f"{name}.toml", settings)
        clock = HostClock(self.clock)
        app = WorldApp(load_settings(path, {}), clock=clock)
        instrument(app.engine)
        with app.engine.connect():
            """SQLAlchemy asks the server a few things when it meets it, once: no world shall have these alone."""
        faults = Current(self._here)
        app.gateway = Current(lambda: self._here().sumup)
        app.mailer = Current(lambda: self._here().mail)
        app.printer = Printer(faults)
        disk = Disk(media, faults)
        app.disk = lambda: disk if self._here().has_media_folder else None
        return Host(name, app, clock)
