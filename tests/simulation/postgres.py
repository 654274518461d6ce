"""The real PostgreSQL of a world: locks are its own, but who waits for whom is seen, and time-outs are the world's.

A statement that waits for a lock gives the baton to another fiber, so that the holder of the lock can go on. Nothing
here is left to the machine's speed: after each step the scheduler waits until every backend has either answered or is
known (pg_blocking_pids) to wait for a lock.
"""

import contextlib
import re
import select
import weakref
from typing import Any, ClassVar

import psycopg2  # type: ignore[import-untyped]  # it has no types of its own
import psycopg2.extensions as pg  # type: ignore[import-untyped]  # the same
import sqlalchemy as sa
from tests.simulation.fibers import Fiber, Scheduler, SimulationError

_CHANGE = re.compile(r"^(?:INSERT INTO|UPDATE|DELETE FROM) [\w.]+", re.MULTILINE)  # several may be sent together
_GLANCE = 0.002  # seconds of real time, before asking whether a statement waits for a lock
_PATIENCE = 30.0
_LOCK_TIMEOUT = 5.0  # seconds of the world's time, as paypoll's own setting


class Points:
    """Where something may happen to a process. The world under way replaces these."""

    def before_statement(self, connection: "WorldConnection") -> None:
        """Before a statement is sent."""

    def before_commit(self, connection: "WorldConnection") -> None:
        """The transaction is whole, and not committed."""

    def after_commit(self, connection: "WorldConnection") -> None:
        """It is committed, and the program does not know yet."""


class WorldConnection(pg.connection):  # type: ignore[misc]  # its base has no types
    """A connection of an actor."""

    points: Points = Points()
    all: ClassVar["weakref.WeakSet[WorldConnection]"] = weakref.WeakSet()

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self.changed: list[str] = []
        self.gave_up = False  # the shop's page that used it last
        self.all.add(self)

    def commit(self) -> None:
        """Commit, with a point before and after."""
        self.points.before_commit(self)
        super().commit()
        self.points.after_commit(self)

    def rollback(self) -> None:
        """Roll back."""
        self.changed.clear()
        super().rollback()

    def close(self) -> None:
        """Close. Rolled back first: the server would do so a moment later, and a replay must not depend on when."""
        if not self.closed:
            with contextlib.suppress(psycopg2.Error):  # it was cut off; the server has rolled back
                self.rollback()
        super().close()


class WorldCursor(pg.cursor):  # type: ignore[misc]  # its base has no types
    """A cursor of an actor."""

    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002 - psycopg2's name
        """Execute, with a point before."""
        WorldConnection.points.before_statement(self.connection)
        super().execute(query, vars)
        changes = _CHANGE.findall(query) if isinstance(query, str) else []
        self.connection.changed += [change for change in changes if change not in self.connection.changed]


def instrument(engine: sa.Engine) -> None:
    """Let every connection of this engine be an actor's."""

    @sa.event.listens_for(engine, "do_connect")
    def connect(_dialect: object, _record: object, _arguments: object, parameters: dict[str, Any]) -> None:
        parameters["connection_factory"] = WorldConnection
        parameters["cursor_factory"] = WorldCursor


class Observer:
    """A connection of nobody's, which sees who waits for whom and can end a statement or a connection."""

    scheduler: Scheduler | None = None

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg2.connect(dsn)
        self._connection.autocommit = True
        self._cursor = self._connection.cursor()
        self._waiting: dict[Fiber, WorldConnection] = {}
        self.lock_waits = 0
        self.lock_timeouts = 0

    def close(self) -> None:
        """Give the connection back."""
        self._connection.close()

    def execute(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Execute a statement at once, outside of the world, and return its rows."""
        self._cursor.execute(statement, values or None)
        return self._cursor.fetchall() if self._cursor.description else []

    def mogrify(self, statement: Any, values: tuple[Any, ...]) -> bytes:
        """Return a statement with its values put in, to be executed with others in one go."""
        return bytes(self._cursor.mogrify(statement, values))

    def watch(self, scheduler: Scheduler) -> None:
        """From now on, serve this world."""
        self.scheduler = scheduler
        self._waiting.clear()
        scheduler.settle = self.settle
        scheduler.give_up = self.give_up

    def wait(self, connection: Any) -> None:
        """Wait for the server: psycopg2's wait callback, for every connection of this test process."""
        while (state := connection.poll()) != pg.POLL_OK:
            if state == pg.POLL_WRITE:
                select.select([], [connection.fileno()], [], _PATIENCE)
            elif not _has_answer(connection, _GLANCE):
                self._wait_for_answer(connection)

    def _wait_for_answer(self, connection: Any) -> None:
        scheduler = self.scheduler
        fiber = scheduler.current if scheduler is not None else None
        if scheduler is None or fiber is None or not isinstance(connection, WorldConnection):
            _has_answer(connection, _PATIENCE)
            return
        if connection.status == pg.STATUS_SETUP or not self._may_be_blocked(connection):
            _has_answer(connection, _PATIENCE)
            return
        if not self._is_blocked(connection):
            return
        self.lock_waits += 1
        self._waiting[fiber] = connection
        scheduler.wait_until(lambda: fiber not in self._waiting, give_up_after=_LOCK_TIMEOUT)

    def settle(self) -> None:
        """Wait until every waiting statement has either its answer or still its reason to wait."""
        for fiber, connection in list(self._waiting.items()):
            while True:
                if _has_answer(connection, 0):
                    del self._waiting[fiber]
                    break
                if self._is_blocked(connection):
                    break
                _has_answer(connection, _GLANCE)

    def give_up(self, fiber: Fiber) -> None:
        """End a statement that has waited for too long."""
        connection = self._waiting.pop(fiber)
        self.lock_timeouts += 1
        self.execute("SELECT pg_cancel_backend(%s)", connection.info.backend_pid)
        if not _has_answer(connection, _PATIENCE):
            raise SimulationError("a cancelled statement does not end")

    def cut(self, connection: WorldConnection) -> None:
        """Cut a connection off, as a restart of the server does, and wait until its locks are gone."""
        pid = connection.info.backend_pid
        self.execute("SELECT pg_terminate_backend(%s)", pid)
        while self.execute("SELECT 1 FROM pg_stat_activity WHERE pid = %s", pid):
            pass

    def cut_all(self) -> None:
        """Cut off the connections of actors who were left behind in mid-transaction, and wait for their locks' end."""
        others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        while self.execute(f"SELECT pg_terminate_backend(pid) {others} AND state <> 'idle'"):
            pass

    @staticmethod
    def _may_be_blocked(connection: WorldConnection) -> bool:
        """Say whether any other actor holds a lock: much cheaper than to ask, and the answer is mostly no."""
        return any(
            other is not connection and not other.closed and other.status != pg.STATUS_READY
            for other in list(WorldConnection.all)
        )

    def _is_blocked(self, connection: WorldConnection) -> bool:
        ((blocked,),) = self.execute("SELECT pg_blocking_pids(%s) <> '{}'", connection.info.backend_pid)
        return bool(blocked)


def _has_answer(connection: Any, seconds: float) -> bool:
    return bool(select.select([connection.fileno()], [], [], seconds)[0])


_TABLES = (
    "simulation_sale",
    "events_ticket",
    "orders_refund",
    "orders_orderstatushistory",
    "payments_sumuptransaction",
    "payments_sumupcheckout",
    "orders_orderitem",
    "orders_order",
    "events_listingfee",
    "events_event",
    "accounts_artistprofile",
    "accounts_user",
    "paypoll.audit",
    "paypoll.outbox",
    "paypoll.checkout_seen",
    "paypoll.listing_fee",
    "paypoll.watch",
    "paypoll.ticket_place",
    "paypoll.fulfilment",
    "paypoll.trouble",
    "paypoll.run",
    "paypoll.lease",
    "paypoll.ledger_cursor",
    "paypoll.ledger_entry",
    "paypoll.finding",
    "paypoll.refund",
)


def empty(observer: Observer, *, thoroughly: bool) -> None:
    """Empty every table and let ids begin at 1 again. `thoroughly`: so that no dead rows are left either."""
    if thoroughly:
        observer.execute("ALTER TABLE paypoll.audit DISABLE TRIGGER USER")
        observer.execute(f"TRUNCATE {', '.join(_TABLES)} RESTART IDENTITY CASCADE")
        observer.execute("ALTER TABLE paypoll.audit ENABLE TRIGGER USER")
        return
    deletes = ";".join(f"DELETE FROM {table}" for table in _TABLES)  # noqa: S608 - our own names
    restart = "SELECT setval(seqrelid::regclass, 1, false) FROM pg_sequence"
    # A replica's session: no triggers, and no look at foreign keys.
    observer.execute(";".join(("BEGIN", "SET LOCAL session_replication_role = replica", deletes, restart, "COMMIT")))
