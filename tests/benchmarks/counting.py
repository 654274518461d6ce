"""How many messages a run sends to the database, and how many statements are in them."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg2.extensions as pg  # type: ignore[import-untyped]  # it has no types of its own
import sqlalchemy as sa
import structlog
from tests.benchmarks.bed import NO_LEDGER, Bed

from paypoll.app import App
from paypoll.runs.record import record_run
from paypoll.settings.load import load_settings
from paypoll.statements import JOINED

NOT_COUNTED = "BEGIN and COMMIT are not counted; the settings of a transaction travel with its first statement"


@dataclass
class Counts:
    """What was sent. A message holds one statement or several that nobody reads the results of."""

    messages: int = 0
    statements: int = 0
    transactions: int = 0


@contextmanager
def counting(engine: sa.Engine, *, here: bool = False) -> Iterator[Counts]:
    """Count what the block sends on this engine's new connections, where psycopg2 sends it.

    `here`: what this thread sends alone. How often the others ask whether there is more hangs on the machine.
    """
    counts, lock, thread = Counts(), threading.Lock(), threading.current_thread()

    def count(what: str, number: int = 1) -> None:
        if not here or threading.current_thread() is thread:
            with lock:
                setattr(counts, what, getattr(counts, what) + number)

    class Counted(pg.cursor):  # type: ignore[misc]  # its base has no types
        def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002 - psycopg2's name
            count("messages")
            count("statements", -query.count(JOINED))
            super().execute(query, vars)

    def connected(connection: Any, _record: object) -> None:
        connection.cursor_factory = Counted

    def executed(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        count("statements", not statement.startswith("/*"))

    def begun(_connection: sa.Connection) -> None:
        count("transactions")

    listeners = (("connect", connected), ("before_cursor_execute", executed), ("begin", begun))
    engine.dispose()
    for name, listener in listeners:
        sa.event.listen(engine, name, listener)
    try:
        yield counts
    finally:
        for name, listener in listeners:
            sa.event.remove(engine, name, listener)
        engine.dispose()


def counted(bed: Bed) -> Counts:
    """Return what a run sends."""
    app = App(load_settings(bed.config, NO_LEDGER))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        with counting(app.engine) as counts:
            record_run(app, "run-once")
    finally:
        app.close()
    return counts
