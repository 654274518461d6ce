"""A lease by name that one run on all hosts has, and that is kept while SumUp is asked.

Why not the profile's row lock: it lives in a transaction, and one that stays open while SumUp takes its time would
block the shop's pages and be cut off by time-outs. Why not PostgreSQL's advisory lock: it belongs to a session, and a
pooler that lends sessions by the transaction leaves it in one that others use, for ever. So it is a row, taken and
renewed in short transactions. A run that is killed or loses the database renews it no more, and it runs out before
anybody who waits for it gives up.

A run that was suspended meanwhile may find somebody else at work: what a second refresh at once could destroy is
guarded by `paypoll.shop.changes` as well.

SQLite is the demo's: it is one process, and there the threads' lock in `refresh` is enough.
"""

import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import copy_context
from datetime import timedelta
from typing import Final

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from paypoll.database import describe_error, transaction
from paypoll.errors import PaypollError
from paypoll.state import leases
from paypoll.sumup.pace import StoppedError, Wait

log = structlog.get_logger(__name__)

LENGTH: Final = timedelta(seconds=30)
POLL_EVERY: Final = 0.2
POLLS: Final = 300
"""A minute: longer than a refresh of another run takes with all its tries, and than a dead run's lease lasts."""


class Lease:
    """Leases by name, for all who use the same database. `wait` sleeps, and says whether the run was told to stop.

    A lease that is held is renewed every so many seconds.
    """

    def __init__(self, engine: sa.Engine, wait: Wait, *, renew_every: float = 10.0) -> None:
        self._engine = engine
        self._wait = wait
        self._renew_every = renew_every

    @contextmanager
    def held(self, name: str) -> Iterator[bool]:
        """Hold the lease inside the block. False when somebody else kept it for a minute.

        Raise StoppedError when the run was told to stop meanwhile, DatabaseUnavailableError when the database is out
        of reach.
        """
        if self._engine.dialect.name != "postgresql":
            yield True
            return
        holder = secrets.token_hex(8)
        if not self._take(name, holder):
            yield False
            return
        with self._renewed(name, holder):
            yield True

    def _take(self, name: str, holder: str) -> bool:
        for _ in range(POLLS):
            with transaction(self._engine) as connection:
                if leases.take(connection, name, holder, LENGTH):
                    return True
            if self._wait(POLL_EVERY):
                raise StoppedError
        return False

    @contextmanager
    def _renewed(self, name: str, holder: str) -> Iterator[None]:
        """Renew the lease again and again inside the block, and give it back at its end."""
        over = threading.Event()
        renew = threading.Thread(
            target=copy_context().run, args=(self._renew_until, over.wait, name, holder), name="lease", daemon=True
        )
        renew.start()
        try:
            yield
        finally:
            over.set()
            renew.join()
            # What cannot be given back runs out by itself.
            with suppress(SQLAlchemyError, PaypollError), transaction(self._engine) as connection:
                leases.give_back(connection, name, holder)

    def _renew_until(self, is_over: Callable[[float], bool], name: str, holder: str) -> None:
        while not is_over(self._renew_every):
            try:
                with transaction(self._engine) as connection:
                    is_ours = leases.renew(connection, name, holder, LENGTH)
            except (SQLAlchemyError, PaypollError) as error:
                log.warning("the lease could not be renewed", lease=name, error=describe_error(error))
                continue
            if not is_ours:
                log.warning("the lease ran out, and another run has it", lease=name)
                return
