"""The database: in reach, of the right shape, with the right rights, on the right time; and when the last run was."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from paypoll.admin.check.finding import Finding, advice, fine, skipped, unreachable, wrong
from paypoll.admin.check.indexes import check_indexes
from paypoll.admin.check.sessions import check_sessions, is_pooled
from paypoll.clock import Clock, ago
from paypoll.database import DatabaseOptions, describe_error, transaction
from paypoll.errors import DatabaseUnavailableError, SettingsError
from paypoll.runs.clock_check import clock_difference, describe_difference
from paypoll.settings.model import Settings
from paypoll.shop.schema_check import schema_problems
from paypoll.shop.tables import checkouts, organisers
from paypoll.state.rights import excessive_rights, missing_rights, missing_rights_on
from paypoll.state.runs import LastRun, last_run
from paypoll.state.upgrade import HEAD, current_version, next_step

_LARGEST_SKEW = timedelta(seconds=5)
"""Leases are minutes and late windows hours; more than this is a clock that nobody sets."""

_LARGEST_PAUSE = timedelta(minutes=15)
"""The timer fires every five minutes."""

_NEWEST = 100
"""So many checkouts are looked at for the merchants they name."""

_GRANTS = "run the SQL of `paypoll db grants` as the owner of the shop's tables"

_NEW_COLUMN = re.compile(r"the column (\S+)\.(\S+) is new ")
_OTHER_SHOP = "look for a version of paypoll that knows this shop"


def check_database(engine: sa.Engine, options: DatabaseOptions, settings: Settings, clock: Clock) -> Iterator[Finding]:
    """Look at all of it, in one transaction that changes nothing. Out of reach, the rest is skipped."""
    try:
        with transaction(engine) as connection:
            yield fine("database", _server(connection))
            yield from check_sessions(options, connection)
            yield from _clock(settings, clock, connection)
            yield from _rights(connection)
            yield from _schema(connection)
            yield from check_indexes(connection)
            yield from _merchant(settings, connection)
            yield from _own_tables(clock, connection)
    except DatabaseUnavailableError as error:
        yield unreachable("database", str(error), "look at the database server and at the section [database]")
        yield skipped("schema, rights, clock, last run", "the database is out of reach")
    except SettingsError as error:
        for problem in error.problems:
            yield wrong("database", problem, _way_in(problem))
        yield skipped("schema, rights, clock, last run", "the database does not let us in")
    except SQLAlchemyError as error:
        yield wrong("database", describe_error(error), "see above; `paypoll db grants` prints the rights it needs")


def _way_in(problem: str) -> str:
    """Return what to do about a refused login or right."""
    if "startup parameter" in problem:
        return "take options= out of database.url: a pooler refuses it"
    if "password" in problem:
        return "correct database.password (or the file or credential it comes from)"
    if "does not exist" in problem:
        return "correct database.url: the role's name, or the database's"
    return f"correct the section [database]; if a right is missing, {_GRANTS}"


def _server(connection: sa.Connection) -> str:
    if connection.dialect.name != "postgresql":
        return f"{connection.dialect.name}: for the demo, not for a shop"
    role, name = connection.execute(sa.text("SELECT current_user, current_database()")).one()
    version = ".".join(map(str, connection.dialect.server_version_info or ()))
    pooled = ", through a pooler" if is_pooled(connection) else ""
    return f"PostgreSQL {version}, database {name}, role {role}{pooled}"


def _clock(settings: Settings, clock: Clock, connection: sa.Connection) -> Iterator[Finding]:
    if connection.dialect.name != "postgresql":
        return
    ahead = clock_difference(clock, connection)
    if abs(ahead) <= _LARGEST_SKEW:
        yield fine("clock", f"this machine and the database differ by {abs(ahead).total_seconds():.1f} s")
        return
    text = describe_difference(ahead)
    if abs(ahead) > settings.database.clock_tolerance:
        text += "; no run begins until they agree (database.clock_tolerance)"
    yield wrong("clock", text, "set both clocks by NTP")


def _rights(connection: sa.Connection) -> Iterator[Finding]:
    if connection.dialect.name != "postgresql":
        yield skipped("rights", "only PostgreSQL has any")
        return
    lacking = missing_rights(connection)
    for problem in lacking:
        yield wrong("rights", problem, _GRANTS)
    if not lacking:
        yield fine("rights", "the role may do all that paypoll does")
    if excess := excessive_rights(connection):
        yield advice("rights", f"the role may also {', '.join(excess)}", f"{_GRANTS}, and log in as that role")


def _schema(connection: sa.Connection) -> Iterator[Finding]:
    problems = schema_problems(connection)
    for problem in problems:
        new = _NEW_COLUMN.match(problem)
        step = f"ALTER TABLE {new[1]} ALTER {new[2]} SET DEFAULT …" if new else _OTHER_SHOP
        yield wrong("shop's tables", problem, step)
    if not problems:
        yield fine("shop's tables", "as paypoll knows them")


def _merchant(settings: Settings, connection: sa.Connection) -> Iterator[Finding]:
    """Compare our merchant with the shop's newest checkouts: SumUp says of a stranger's no more than "not found"."""
    ours = settings.sumup.merchant_code
    unreadable = any(missing_rights_on(connection, table.name) for table in (checkouts, organisers))
    if not ours or schema_problems(connection) or unreadable:
        return
    newest = sa.select(checkouts.c.merchant_code).order_by(checkouts.c.id.desc()).limit(_NEWEST)
    of_organisers = set(connection.scalars(sa.select(organisers.c.sumup_merchant_code).distinct()))
    others = sorted({code for code in connection.scalars(newest) if code} - of_organisers)
    if others and ours not in others:
        text = f"the shop's newest checkouts are on merchant {', '.join(others)}, and none is on {ours}"
        yield wrong("merchant in the shop", text, "correct sumup.merchant_code: it is the shop's own merchant")


def _own_tables(clock: Clock, connection: sa.Connection) -> Iterator[Finding]:
    version = current_version(connection)
    if step := next_step(connection, version):
        text = f"version {version}, this paypoll needs {HEAD}" if version else "they are not there"
        yield wrong("paypoll's tables", text, step if step.startswith("install") else f"{step} as the owner")
        return
    yield fine("paypoll's tables", f"version {version}")
    yield _last_run(clock.now(), last_run(connection))


def _last_run(now: datetime, run: LastRun | None) -> Finding:
    if run is None:
        return advice("last run", "there was none yet", "start the timer, or run `paypoll run-once`")
    text = f"{ago(run.started_at, now)} on {run.host}, {run.ended or 'under way, or killed'}"
    if now - run.started_at > _LARGEST_PAUSE:
        return wrong("last run", text, "find out why the timer has not started one since")
    if run.ended == "failed":
        return wrong("last run", text, "look into its log")
    return fine("last run", text)
