"""Sessions of the database: does a pooler lend them, are our time-outs in force, and are there enough."""

from collections.abc import Iterator

import sqlalchemy as sa

from paypoll.admin.check.result import CheckResult, advice, fine, unreachable, wrong
from paypoll.database import CONNECTIONS, DatabaseOptions, transaction_settings

_LIMITS = sa.text(
    "SELECT current_user AS role, current_database() AS database, rolconnlimit, datconnlimit,"
    " current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int"
    " - coalesce(current_setting('reserved_connections', true), '0')::int AS most,"
    " (SELECT sum(numbackends) FROM pg_catalog.pg_stat_database) AS taken,"
    " (SELECT count(*) FROM pg_catalog.pg_stat_activity WHERE pid = pg_backend_pid()) AS ours"
    " FROM pg_catalog.pg_roles, pg_catalog.pg_database WHERE rolname = current_user AND datname = current_database()"
)
_IN_FORCE = sa.text("SELECT name, setting FROM pg_catalog.pg_settings WHERE name = ANY(:names)")


def is_pooled(connection: sa.Connection) -> bool:
    """Say whether a pooler stands between: then the session that answers is not the one that we were given."""
    given = connection.connection.driver_connection
    return given is not None and given.info.backend_pid != connection.scalar(sa.text("SELECT pg_backend_pid()"))


def check_sessions(options: DatabaseOptions, connection: sa.Connection) -> Iterator[CheckResult]:
    """Compare what the server says with what runs need. Only PostgreSQL has sessions."""
    if connection.dialect.name != "postgresql":
        return
    yield from _time_outs(options, connection)
    if is_pooled(connection):
        yield fine("connections", f"a pooler lends them; a run uses up to {CONNECTIONS} at a time")
    else:
        yield from _connections(connection)


def _time_outs(options: DatabaseOptions, connection: sa.Connection) -> Iterator[CheckResult]:
    wanted = transaction_settings(options)
    there = {row.name: row.setting for row in connection.execute(_IN_FORCE, {"names": list(wanted)})}
    others = [f"{name} is {there.get(name)}, not {value}" for name, value in wanted.items() if there.get(name) != value]
    if others:
        step = "connect to the database itself, or by a pooler that passes on what a transaction sets"
        yield wrong("time-outs", f"not in force: {', '.join(others)}", step)
    else:
        yield fine("time-outs", "the server says that ours are in force")


def _connections(connection: sa.Connection) -> Iterator[CheckResult]:
    row = connection.execute(_LIMITS).one()
    name = connection.dialect.identifier_preparer.quote
    limits = {
        f"role {row.role}": (row.rolconnlimit, f"ALTER ROLE {name(row.role)} CONNECTION LIMIT {CONNECTIONS + 2}"),
        f"database {row.database}": (row.datconnlimit, f"ALTER DATABASE {name(row.database)} CONNECTION LIMIT -1"),
    }
    low = {what: limit for what, limit in limits.items() if 0 <= limit[0] <= CONNECTIONS}
    for what, (limit, step) in low.items():
        text = f"{what} may have {limit} at a time"
        if limit < CONNECTIONS:
            yield wrong("connections", f"{text}, and a run uses up to {CONNECTIONS}", step)
        else:
            yield advice("connections", f"{text}: during a run no other command gets one", step)
    free = row.most - row.taken + row.ours
    if free < CONNECTIONS:
        text = f"{free} of the server's {row.most} are free, and a run uses up to {CONNECTIONS}"
        yield unreachable("connections", text, "find out who holds the others, or raise max_connections")
    elif not low:
        yield fine("connections", f"a run uses up to {CONNECTIONS}; {free} of the server's {row.most} are free")
