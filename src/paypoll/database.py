"""The connection to the database: engine, transactions, and errors sorted by what to do about them.

PostgreSQL is the real one. SQLite is the demo's: one file for the shop and one, attached under the name `paypoll`,
for our own tables.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import partial
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from paypoll.errors import DatabaseUnavailableError, RefusedError, SettingsError
from paypoll.statements import send_together

SCHEMA = "paypoll"
"""The schema of paypoll's own tables; in SQLite, the attached database of that name."""

CONNECTIONS = 3
"""The most connections of a run: one for the orders, one for the mail, and one that the threads which ask SumUp share.

No code asks for a second one while it holds the first, so that with fewer it would be slower, and never stand still.
"""


@dataclass(frozen=True, slots=True)
class DatabaseOptions:
    """How to reach the database. The URL may hold a password, so it is kept out of the repr.

    `lock_timeout` bounds the wait for a row that the shop holds, `statement_timeout` any single statement.
    """

    url: "sa.URL"
    connect_timeout: timedelta = timedelta(seconds=10)
    lock_timeout: timedelta = timedelta(seconds=5)
    statement_timeout: timedelta = timedelta(seconds=30)

    def __repr__(self) -> str:
        return f"DatabaseOptions({self.url.render_as_string(hide_password=True)})"


class UtcDateTime(sa.types.TypeDecorator[datetime]):
    """An aware datetime in UTC, in PostgreSQL's timestamptz or SQLite's text. Refuses naive ones."""

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Return the time as the database stores it."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime must not reach the database")
        in_utc = value.astimezone(UTC)
        return in_utc.replace(tzinfo=None) if dialect.name == "sqlite" else in_utc

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        """Return the time as an aware datetime in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


def make_engine(options: DatabaseOptions, *, read_only: bool = False) -> sa.Engine:
    """Return an engine. Nothing connects yet. With `read_only`, the database refuses every change."""
    if options.url.get_backend_name() == "sqlite":
        return _sqlite_engine(options.url, read_only=read_only)
    engine = sa.create_engine(
        options.url,
        pool_size=CONNECTIONS,
        max_overflow=0,
        # Whoever holds one is through after a statement or two, each of which has its own limit.
        pool_timeout=2 * options.statement_timeout.total_seconds(),
        # Escapes such as \u00e9 are refused by a database that is not in UTF-8, the letters themselves are not.
        json_serializer=partial(json.dumps, ensure_ascii=False),
        # Python makes no number of thousands of digits: it stays a text.
        json_deserializer=partial(json.loads, parse_int=lambda digits: digits if len(digits) > 4000 else int(digits)),  # noqa: PLR2004
        # A statement's parameters may be tokens and customers' data: they stay out of the errors' texts.
        hide_parameters=True,
        connect_args={
            "connect_timeout": max(2, int(options.connect_timeout.total_seconds())),
            "application_name": "paypoll",
            # Without it psycopg2 takes the database's own, and with SQL_ASCII no letter but English ones.
            "client_encoding": "utf8",
            # A host that vanished without a word is noticed within a minute, not after the kernel's two hours.
            "keepalives_idle": 20,
            "keepalives_interval": 10,
            "keepalives_count": 3,
            # The same for what was sent and is not acknowledged: milliseconds; Linux would go on for a quarter hour.
            "tcp_user_timeout": 50_000,
        },
    )
    statement = "; ".join(f"SET LOCAL {name} = '{value}'" for name, value in transaction_settings(options).items())
    if read_only:
        statement += "; SET TRANSACTION READ ONLY"
    # In each transaction and not once a session: a pooler lends another session for the next one, and refuses or
    # drops what the start of a session asks for.
    send_together(engine, statement)
    sa.event.listen(engine, "handle_error", _without_rows)
    return engine


def transaction_settings(options: DatabaseOptions) -> dict[str, str]:
    """Return what is set in each transaction, by PostgreSQL's names; durations in milliseconds."""
    durations = {
        "lock_timeout": options.lock_timeout,
        "statement_timeout": options.statement_timeout,
        "idle_in_transaction_session_timeout": timedelta(minutes=5),
    }
    milliseconds = {name: str(int(value.total_seconds() * 1000)) for name, value in durations.items()}
    return {"TimeZone": "UTC", **milliseconds}


def _without_rows(context: sa.engine.ExceptionContext) -> None:
    """Keep an error's first sentence only: DETAIL quotes the row that broke a rule, and with it tokens."""
    primary = getattr(getattr(context.original_exception, "diag", None), "message_primary", None)
    if primary:
        context.original_exception.args = (primary,)
        if context.sqlalchemy_exception is not None:
            kind = type(context.original_exception)
            context.sqlalchemy_exception.args = (f"({kind.__module__}.{kind.__name__}) {primary}",)


def own_file(url: sa.URL) -> Path:
    """Return the file that holds paypoll's own tables beside a shop in SQLite."""
    return Path(url.database or "").with_suffix(".paypoll.db")


def _sqlite_engine(url: sa.URL, *, read_only: bool) -> sa.Engine:
    if not url.database or url.database == ":memory:":
        raise ValueError("SQLite needs a file: paypoll keeps its own tables in a second file beside it")
    own = own_file(url)
    engine = sa.create_engine(url, connect_args={"timeout": 10}, hide_parameters=True)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _record: object) -> None:
        # Python's sqlite3 begins transactions by rules of its own; off, so that ours are the only ones.
        connection.isolation_level = None
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute(f"ATTACH DATABASE ? AS {SCHEMA}", (str(own),))
        connection.execute(f"PRAGMA query_only = {'ON' if read_only else 'OFF'}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: sa.Connection) -> None:
        # The write lock is taken at once: SQLite has no row locks, so this is our FOR UPDATE.
        connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")

    return engine


def insert_unless_there(connection: sa.Connection, table: sa.Table) -> Any:
    """Return an INSERT that does nothing when the row is there already (ON CONFLICT DO NOTHING)."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(table).on_conflict_do_nothing()
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(table).on_conflict_do_nothing()


class _Among(FunctionElement[bool]):
    """Whether a column is among what a query returns."""

    inherit_cache = True
    type = sa.Boolean()


@compiles(_Among)
def _in(element: _Among, compiler: sa.sql.compiler.SQLCompiler, **options: Any) -> str:
    column, query = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} IN {query}"


@compiles(_Among, "postgresql")
def _any_of_array(element: _Among, compiler: sa.sql.compiler.SQLCompiler, **options: Any) -> str:
    column, query = (compiler.process(part, **options) for part in element.clauses)
    return f"{column} = ANY (ARRAY{query})"


def is_among(column: sa.ColumnElement[Any], query: sa.CompoundSelect[Any] | sa.Select[Any]) -> sa.ColumnElement[bool]:
    """Return `column IN (query)`, with the query answered once and the column found by its index.

    PostgreSQL takes IN for a join, and without statistics (a table that was filled a minute ago) for one of few rows:
    then it runs the query again for every row.
    """
    return _Among(column, query.scalar_subquery())


_EARLIEST, _LATEST = datetime(1, 1, 2, tzinfo=UTC), datetime(9999, 12, 30, tzinfo=UTC)


def readable(column: sa.ColumnElement[Any], *, or_null: bool = False) -> sa.ColumnElement[datetime]:
    """Return a time of the shop's for a list or a sum: one that Python has no date for is drawn to the nearest it has.

    With `or_null` it is NULL. PostgreSQL knows the year 20260, the year 44 BC and infinity: no such row spoils a list.
    """
    first, last = (sa.literal(moment, UtcDateTime()) for moment in (_EARLIEST, _LATEST))
    bounds = (sa.null(), sa.null()) if or_null else (last, first)
    clipped = sa.case((column > last, bounds[0]), (column < first, bounds[1]), else_=column)
    return sa.type_coerce(clipped, UtcDateTime())


class _LowerCase(FunctionElement[str]):
    """A text in lower case, with A to Z as everywhere, whatever the database's locale takes for their small letters."""

    inherit_cache = True
    type = sa.Text()


@compiles(_LowerCase)
def _lower(element: _LowerCase, compiler: sa.sql.compiler.SQLCompiler, **options: Any) -> str:
    return f"lower({compiler.process(element.clauses, **options)})"


@compiles(_LowerCase, "postgresql")
def _lower_by_c_first(element: _LowerCase, compiler: sa.sql.compiler.SQLCompiler, **options: Any) -> str:
    # C knows A to Z alone; the locale, where it has any letters, the others.
    return f'lower(lower({compiler.process(element.clauses, **options)} COLLATE "C") COLLATE "default")'


def lower_case(column: sa.ColumnElement[Any]) -> sa.ColumnElement[str]:
    """Return the column in lower case. By a Turkish locale, lower('I') alone is no i."""
    return _LowerCase(column)


# ---------------------------------------------------------------------------------------------------------
# Errors
# ---------------------------------------------------------------------------------------------------------


class Trouble(Enum):
    """What an error of the database means for the work."""

    BUSY = "busy"
    """Somebody else holds the row, or a deadlock was broken: this order comes next time, the others go on."""
    GONE = "gone"
    """The database is out of reach, read-only or full: stop, the next run carries on."""
    SETTINGS = "settings"
    """The login is refused, or a right is missing: a person must put it right."""
    OTHER = "other"
    """Not a trouble of the world: a bug, a missing right, a constraint."""


# https://www.postgresql.org/docs/current/errcodes-appendix.html
_BUSY_STATES = frozenset({"55P03", "40P01", "40001", "57014"})
_GONE_STATES = frozenset({"25006", "25P03", "57P01", "57P02", "57P03", "57P04", "57P05"})
_NO_RIGHT_STATE = "42501"
_SETTINGS_STATES = frozenset({_NO_RIGHT_STATE, "28000", "28P01", "3D000"})
# At connecting, psycopg2 has no state to tell, only the words of the server, of a pooler or of libpq.
_SETTINGS_WORDS = re.compile(
    r"authentication failed|does not exist|no password supplied|no pg_hba\.conf entry"
    r"|unsupported startup parameter|no such database|no such user"
    r"|invalid (?:dsn|port number|integer value|connection option|\w+ value)|could not match \d+ (?:port|host)"
)
_GONE_CLASSES = frozenset({"08", "53", "58"})
_READ_ONLY_STATE = "25006"
# An old database in LATIN1 has no letter for it; one in SQL_ASCII holds bytes that are no UTF-8.
_ENCODING_STATES = frozenset({"22P05", "22021"})
# What libpq says at connecting of servers that are not what target_session_attrs asks for.
_READ_ONLY_WORDS = re.compile(r"session is read-only|server is in hot standby mode")

NAME_THE_PRIMARY = "name the server that takes them, or all servers (host1:5432,host2:5432), in database.url"
"""What to do where the server takes no writes."""


def sort_error(error: SQLAlchemyError) -> Trouble:
    """Say what an error of the database means for the work."""
    if isinstance(error, PoolTimeoutError):
        return Trouble.GONE  # every connection is taken by somebody who waits for the database
    if not isinstance(error, DBAPIError):
        return Trouble.OTHER
    state = getattr(error.orig, "pgcode", None)
    if state in _BUSY_STATES:
        return Trouble.BUSY
    if state in _SETTINGS_STATES or (state is None and _SETTINGS_WORDS.search(str(error.orig))):
        return Trouble.SETTINGS
    if state in _GONE_STATES or (state or "")[:2] in _GONE_CLASSES or error.connection_invalidated:
        return Trouble.GONE
    if isinstance(error, OperationalError) and "locked" in str(error.orig):  # SQLite
        return Trouble.BUSY
    # Without a state there was no answer from a server: it could not be reached, or went away.
    if isinstance(error, OperationalError | InterfaceError) and state is None:
        return Trouble.GONE
    return Trouble.OTHER


def is_right_missing(error: DBAPIError) -> bool:
    """Say whether the database refused a statement because our role may not do that."""
    return getattr(error.orig, "pgcode", None) == _NO_RIGHT_STATE


def describe_error(error: Exception) -> str:
    """Return the database's own words in one line, without the statement and its parameters; else the error's."""
    words = str(getattr(error, "orig", None) or error).strip().splitlines()
    return " ".join(word.strip() for word in words[:2]) or type(error).__name__


def _describe_gone(error: SQLAlchemyError) -> str:
    words = describe_error(error)
    if getattr(getattr(error, "orig", None), "pgcode", None) == _READ_ONLY_STATE or _READ_ONLY_WORDS.search(words):
        return f"the database takes no writes: {words}; it is a standby, or set to read-only: {NAME_THE_PRIMARY}"
    return f"the database is out of reach: {words}"


@contextmanager
def busy_means_later() -> Iterator[None]:
    """Raise DatabaseUnavailableError for a lock, a deadlock or a time-out that the block did not handle itself.

    Nothing is half-done then, and the next try may succeed. On a standby it is replication that ends a long look.
    """
    try:
        yield
    except SQLAlchemyError as error:
        if sort_error(error) is not Trouble.BUSY:
            raise
        raise DatabaseUnavailableError(f"the database is too busy: {describe_error(error)}") from error


@contextmanager
def transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """Run a block in one transaction.

    Raise DatabaseUnavailableError when the database is out of reach, SettingsError when it refuses the login or a
    right, and RefusedError for a text that does not fit its encoding. Other errors of the database pass through;
    `sort_error` tells what they mean.
    """
    try:
        with engine.begin() as connection:
            yield connection
    except SQLAlchemyError as error:
        sort = sort_error(error)
        if sort is Trouble.GONE:
            raise DatabaseUnavailableError(_describe_gone(error)) from error
        if sort is Trouble.SETTINGS:
            raise SettingsError([f"the database refuses: {describe_error(error)}"], source="[database]") from error
        if getattr(getattr(error, "orig", None), "pgcode", None) in _ENCODING_STATES:
            raise RefusedError(f"a text does not fit the encoding of the database: {describe_error(error)}") from error
        raise
