"""Fewer messages to the database: statements that travel together, and several queries asked as one.

Each message costs a paid order the same, however little it says: Python lets go of its lock, waits, and takes it back
among the threads that ask SumUp and send mail.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import sqlalchemy as sa
from sqlalchemy.sql.dml import UpdateBase

_LATER, _JOINS = "paypoll_later", "paypoll_joins"
JOINED = "WITH paypoll_first AS ("
"""How a statement begins that is two of ours."""
_NOTHING_MORE = "/* what was put off */"

S = TypeVar("S", bound=UpdateBase)


# ---------------------------------------------------------------------------------------------------------
# Statements that travel together
# ---------------------------------------------------------------------------------------------------------


def later(statement: S, *, joins: bool = False) -> S:
    """Return the statement so that it is sent with the next one, or before the commit: nobody reads its result.

    It keeps its place in the order, its own snapshot and its own locks. An error of it is raised by the statement that
    it travels with, or by the commit; the transaction is lost either way.

    `joins`: what is put off just before it is of the same deed, in another table, and neither reads the other's rows:
    a change and its line in the history. The two become one statement, of one snapshot.
    """
    inline = statement.inline() if isinstance(statement, sa.Insert) else statement  # asks for no new key
    return inline.execution_options(**{_LATER: True, _JOINS: joins})


def send_together(engine: sa.Engine, first: str) -> None:
    """Let this engine of psycopg2's put off what is marked as `later`. Each transaction begins with `first`.

    That one travels with the transaction's first statement, so that it costs no message of its own.
    """
    messages = _Messages(first)
    sa.event.listen(engine, "begin", messages.begin)
    sa.event.listen(engine, "do_execute", messages.execute)
    sa.event.listen(engine, "do_executemany", messages.send_what_waits)
    sa.event.listen(engine, "commit", messages.finish)
    sa.event.listen(engine, "rollback", messages.forget)
    # What was put off since the savepoint is to be undone as well; and a failed transaction takes nothing but this.
    sa.event.listen(engine, "rollback_savepoint", lambda connection, _name, _context: messages.forget(connection))


class _Messages:
    """What waits to be sent on each connection of an engine."""

    def __init__(self, first: str) -> None:
        self._first = first
        self._waiting: WeakKeyDictionary[Any, list[str]] = WeakKeyDictionary()

    def begin(self, connection: sa.Connection) -> None:
        """Let the settings of the transaction wait for its first statement."""
        self._waiting[connection.connection.dbapi_connection] = [self._first]

    def forget(self, connection: sa.Connection) -> None:
        """Send nothing of what waits. A connection that was lost has taken it along."""
        if not connection.invalidated:
            self._waiting.pop(connection.connection.dbapi_connection, None)

    def finish(self, connection: sa.Connection) -> None:
        """Send what waits. A transaction that asked nothing has nothing to send either."""
        if self._waiting.get(connection.connection.dbapi_connection, []) not in ([], [self._first]):
            try:
                connection.exec_driver_sql(_NOTHING_MORE)
            except BaseException:
                # SQLAlchemy takes a commit that fails for the end of the transaction, which this one has not come to.
                if not connection.invalidated:
                    connection.connection.rollback()
                raise

    def execute(self, cursor: Any, statement: str, parameters: Any, context: Any) -> bool:
        """Send the statement with what waits, or let it wait. False: SQLAlchemy sends it, as it does without us."""
        session = cursor.connection
        # Without a transaction each is one of its own, and a message of several would make them one.
        waiting = self._waiting.get(session) if not session.autocommit else None
        if waiting is None:
            return False
        if context.execution_options.get(_LATER):
            text = _filled_in(cursor, statement, parameters)
            if context.execution_options.get(_JOINS) and self._can_be_joined(text, waiting):
                text = f"{JOINED}{waiting.pop()})\n{text}"
            waiting.append(text)
            return True
        if not waiting:
            return False
        if cursor.name is not None:  # psycopg2 writes a DECLARE around it
            return self.send_what_waits(cursor)
        cursor.execute(_taken(waiting, _filled_in(cursor, statement, parameters)))
        return True

    def _can_be_joined(self, text: str, waiting: Sequence[str]) -> bool:
        if not waiting or waiting[-1] == self._first:
            return False
        # PostgreSQL knows changes within WITH at the top alone, so there are never three. And it makes the second
        # change before the first: rows of one table would be numbered the wrong way round.
        return not waiting[-1].startswith((JOINED, text.partition("(")[0]))

    def send_what_waits(self, cursor: Any, *_: Any) -> bool:
        """Send what waits, without the statement at hand: SQLAlchemy sends that."""
        if (waiting := self._waiting.get(cursor.connection)) and not cursor.connection.autocommit:
            with cursor.connection.cursor() as another:
                another.execute(_taken(waiting))
        return False


def _taken(waiting: list[str], *last: str) -> str:
    together = ";\n".join([*waiting, *last])
    waiting.clear()  # whether it succeeds or not: what failed is not sent again
    return together


def _filled_in(cursor: Any, statement: str, parameters: Any) -> str:
    return str(cursor.mogrify(statement, parameters), "utf-8")  # the encoding that every connection asks for


# ---------------------------------------------------------------------------------------------------------
# Several queries asked as one
# ---------------------------------------------------------------------------------------------------------

_PART = "part"
Row = Mapping[str, Any] | sa.RowMapping
Rows = Sequence[Mapping[str, Any]]


class Together:
    """Several queries asked as one, by UNION ALL: of one moment, in one message. Each has its own columns and rows.

    A row of the whole is a row of one of them. They share columns of the same type, so that it is hardly wider than the
    widest. The order of the rows is not kept. Queries and their columns are known by name; to be built once.
    """

    def __init__(self, **queries: sa.SelectBase) -> None:
        parts = {name: query.subquery(name) for name, query in queries.items()}
        self._places: dict[str, tuple[tuple[str, int], ...]] = {}
        kinds: list[type[Any]] = []  # of each shared column
        types: list[Any] = []
        for name, part in parts.items():
            free: dict[type[Any], list[int]] = defaultdict(list)
            for place, kind in enumerate(kinds):
                free[kind].append(place)
            taken = []
            for column in part.c:
                kind = type(column.type)
                if not free[kind]:
                    free[kind].append(len(kinds))
                    kinds.append(kind)
                    types.append(column.type)
                taken.append((column.key, free[kind].pop(0)))
            self._places[name] = tuple(taken)
        selects = [self._padded(name, part, types) for name, part in parts.items()]
        self._query = sa.union_all(*selects)

    def ask(self, connection: sa.Connection, values: Mapping[str, Any]) -> dict[str, Rows]:
        """Return the rows of each query."""
        found: dict[str, list[Mapping[str, Any]]] = {name: [] for name in self._places}
        for part, *row in connection.execute(self._query, values):
            found[part].append({key: row[place] for key, place in self._places[part]})
        return dict(found)

    def _padded(self, name: str, part: sa.Subquery, types: Sequence[Any]) -> sa.Select[Any]:
        # The first query says of what type a column is, also where it has none: PostgreSQL would take it for a text.
        is_first = name == next(iter(self._places))
        row: list[sa.ColumnElement[Any]] = [sa.cast(sa.null(), type_) if is_first else sa.null() for type_ in types]
        for key, place in self._places[name]:
            row[place] = part.c[key]
        labelled = (column.label(f"c{place}") for place, column in enumerate(row))
        return sa.select(sa.literal_column(f"'{name}'", sa.String).label(_PART), *labelled)
