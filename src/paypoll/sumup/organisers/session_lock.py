"""A lock that spans processes and hosts, and is held while SumUp is asked.

Why not the profile's row lock: it lives in a transaction, and one that stays open while SumUp takes its time would
block the shop's pages and be cut off by time-outs. PostgreSQL's advisory lock belongs to a session instead. This one
gets a session of its own, in autocommit and outside of the pool: nothing is in a transaction, and whatever ends the
session (the end of the work, a kill -9, a lost host) ends the lock. A pooler that lends sessions by the transaction
would break that; what a second refresh at once could destroy is guarded by `paypoll.shop.changes` as well.

SQLite has no such lock: the demo is one process, and there the threads' lock in `refresh` is enough.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from paypoll.database import Trouble, describe_error, sort_error
from paypoll.errors import DatabaseUnavailableError
from paypoll.sumup.pace import StoppedError, Wait

_POLL_EVERY: Final = 0.2
_POLLS: Final = 300
"""A minute: longer than a refresh of another run takes with all its tries."""


class SessionLock:
    """Locks by name, for all who use the same database. `wait` sleeps, and says whether the run was told to stop."""

    def __init__(self, engine: sa.Engine, wait: Wait) -> None:
        self._engine = engine
        self._wait = wait

    @contextmanager
    def held(self, name: str) -> Iterator[bool]:
        """Hold the lock inside the block. False when somebody else kept it for a minute.

        Raise StoppedError when the run was told to stop meanwhile, DatabaseUnavailableError when the database is out
        of reach.
        """
        if self._engine.dialect.name != "postgresql":
            yield True
            return
        session = self._open()
        try:
            yield self._take(session, name)
        finally:
            # Closing ends the session and with it the lock. If it was lost already, so was the lock.
            with suppress(SQLAlchemyError):
                session.close()

    def _open(self) -> sa.Connection:
        try:
            session = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        except SQLAlchemyError as error:
            raise _sorted(error) from error
        session.detach()
        return session

    def _take(self, session: sa.Connection, name: str) -> bool:
        # Asked again and again rather than waited for: lock_timeout would cut a wait short, and SIGTERM could not.
        take = sa.select(sa.func.pg_try_advisory_lock(_key(name)))
        try:
            for _ in range(_POLLS):
                if session.scalar(take):
                    return True
                if self._wait(_POLL_EVERY):
                    raise StoppedError
        except SQLAlchemyError as error:
            raise _sorted(error) from error
        return False


def _key(name: str) -> int:
    """Return the lock's number, the same on every host."""
    digest = hashlib.sha256(f"paypoll:{name}".encode()).digest()
    return int.from_bytes(digest[:8], signed=True)


def _sorted(error: SQLAlchemyError) -> Exception:
    if sort_error(error) is Trouble.GONE:
        return DatabaseUnavailableError(f"the database is out of reach: {describe_error(error)}")
    return error
