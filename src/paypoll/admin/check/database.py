"""The database: in reach, of the right shape, with the right rights, on the right time; and when the last run was."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from paypoll.admin.check.indexes import check_indexes
from paypoll.admin.check.result import CheckResult, advice, fine, skipped, unreachable, wrong
from paypoll.admin.check.sessions import check_sessions, is_pooled
from paypoll.alerts.mail_standstills import mail_standstills
from paypoll.alerts.next_steps import order_word
from paypoll.clock import Clock, ago
from paypoll.database import (
    NAME_THE_PRIMARY,
    SCHEMA,
    DatabaseOptions,
    busy_means_later,
    describe_error,
    transaction,
)
from paypoll.errors import DatabaseUnavailableError, SettingsError
from paypoll.runs.clock_check import clock_difference, describe_difference
from paypoll.settings.model import Settings
from paypoll.shop.refunds import GRANTS, refund_table_problems
from paypoll.shop.schema_check import schema_problems
from paypoll.shop.tables import checkouts, organisers
from paypoll.state.marks import HOW_TO_BEGIN_ANEW, HOW_TO_REMEMBER, bears_marks
from paypoll.state.memory import is_lost
from paypoll.state.pauses import Pause, pauses
from paypoll.state.rights import excessive_rights, missing_rights, missing_rights_on
from paypoll.state.runs import LastRun, last_run
from paypoll.state.tables import outbox, pause, trouble
from paypoll.state.upgrade import HEAD, current_version, next_step

_LARGEST_SKEW = timedelta(seconds=5)
"""Leases are minutes and late windows hours; more than this is a clock that nobody sets."""

_LARGEST_PAUSE = timedelta(minutes=15)
"""The timer fires every five minutes."""

_RIGHTS_NAMED = 2
"""Of the rights that are missing, so many are named."""

_NEWEST = 100
"""So many checkouts are looked at for the merchants they name."""

_GRANTS = "run the SQL of `paypoll db grants` as the owner of the shop's tables"
_READ_GRANTS = "run the SQL of `paypoll db grants --read-only` as their owner, and log in as a member of that group"

_NEW_COLUMN = re.compile(r"the column (\S+)\.(\S+) is new ")
_OTHER_SHOP = "look for a version of paypoll that knows this shop"

_TAKES_NO_WRITES = sa.text(
    "SELECT pg_catalog.pg_is_in_recovery(), current_setting('default_transaction_read_only')::boolean"
)


def check_database(
    engine: sa.Engine, options: DatabaseOptions, settings: Settings, clock: Clock
) -> Iterator[CheckResult]:
    """Look at all of it, in one transaction that changes nothing. Out of reach, the rest is skipped."""
    try:
        with busy_means_later(), transaction(engine) as connection:
            yield _server(connection)
            yield from check_sessions(options, connection)
            yield from _clock(settings, clock, connection)
            yield from _rights(connection, settings)
            yield from _schema(connection)
            yield from check_indexes(connection)
            yield from _merchant(settings, connection)
            yield from _own_tables(settings, clock, connection)
    except DatabaseUnavailableError as error:
        yield unreachable("database", str(error), "look at the database server and at the section [database]")
        yield skipped("schema, rights, clock, last run", "the database is out of reach")
    except SettingsError as error:
        for problem in error.problems:
            yield wrong("database", problem, _way_in(problem, settings))
        yield skipped("schema, rights, clock, last run", "the database does not let us in")
    except SQLAlchemyError as error:
        yield wrong("database", describe_error(error), "see above; `paypoll db grants` prints the rights it needs")


def _way_in(problem: str, settings: Settings) -> str:
    """Return what to do about a refused login or right."""
    if "startup parameter" in problem:
        return "take options= out of database.url: a pooler refuses it"
    if "password" in problem:
        password = settings.database.password
        return f"correct {(password.origin if password else '') or 'database.password, or the one in database.url'}"
    if "does not exist" in problem:
        return "correct database.url: the role's name, or the database's"
    return f"correct the section [database]; if a right is missing, {_GRANTS}"


def _server(connection: sa.Connection) -> CheckResult:
    if connection.dialect.name != "postgresql":
        return fine("database", f"{connection.dialect.name}: for the demo, not for a shop")
    role, name = connection.execute(sa.text("SELECT current_user, current_database()")).one()
    version = ".".join(map(str, connection.dialect.server_version_info or ()))
    pooled = ", through a pooler" if is_pooled(connection) else ""
    text = f"PostgreSQL {version}, database {name}, role {role}{pooled}"
    # Not transaction_read_only, which this look itself has set.
    standby, read_only = connection.execute(_TAKES_NO_WRITES).one()
    if standby or read_only:
        why = "it is a standby" if standby else "default_transaction_read_only is on"
        return unreachable("database", f"{text}; it takes no writes: {why}", NAME_THE_PRIMARY)
    return fine("database", text)


def _clock(settings: Settings, clock: Clock, connection: sa.Connection) -> Iterator[CheckResult]:
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


def _rights(connection: sa.Connection, settings: Settings) -> Iterator[CheckResult]:
    if connection.dialect.name != "postgresql":
        yield skipped("rights", "only PostgreSQL has any")
        return
    reading = settings.database.read_only
    refunds = not reading and (settings.sumup.allow_refunds or settings.ledger.on_refund == "void")
    lacking = missing_rights(connection, reading=reading)
    if refunds:
        problems = [problem for problem in missing_rights(connection, refunds=True) if problem not in lacking]
        for problem in (*problems, *refund_table_problems(connection)):
            yield wrong("rights for refunds", problem, GRANTS)
    if lacking:
        # One remedy for all of them, so one line: after an upgrade they are many.
        more = f", and {len(lacking) - _RIGHTS_NAMED} more" if len(lacking) > _RIGHTS_NAMED else ""
        yield wrong("rights", "; ".join(lacking[:_RIGHTS_NAMED]) + more, _READ_GRANTS if reading else _GRANTS)
    else:
        yield fine("rights", "the role may look at all of it" if reading else "the role may do all that paypoll does")
    if reading and not missing_rights(connection):
        text = "the role may also change what paypoll changes, and these settings are for looking only"
        yield advice("rights", text, _READ_GRANTS)
    elif excess := excessive_rights(connection):
        yield advice("rights", f"the role may also {', '.join(excess)}", f"{_GRANTS}, and log in as that role")


def _schema(connection: sa.Connection) -> Iterator[CheckResult]:
    problems = schema_problems(connection)
    for problem in problems:
        new = _NEW_COLUMN.match(problem)
        step = f"ALTER TABLE {new[1]} ALTER {new[2]} SET DEFAULT …" if new else _OTHER_SHOP
        yield wrong("shop's tables", problem, step)
    if not problems:
        yield fine("shop's tables", "as paypoll knows them")


def _merchant(settings: Settings, connection: sa.Connection) -> Iterator[CheckResult]:
    """Compare our merchant with the shop's newest checkouts: SumUp says of a stranger's no more than "not found"."""
    ours = settings.sumup.merchant_code
    reading = settings.database.read_only
    unreadable = any(missing_rights_on(connection, table.name, reading=reading) for table in (checkouts, organisers))
    if not ours or schema_problems(connection) or unreadable:
        return
    newest = sa.select(checkouts.c.merchant_code).order_by(checkouts.c.id.desc()).limit(_NEWEST)
    of_organisers = set(connection.scalars(sa.select(organisers.c.sumup_merchant_code).distinct()))
    others = sorted({code for code in connection.scalars(newest) if code} - of_organisers)
    if others and ours not in others:
        text = f"the shop's newest checkouts are on merchant {', '.join(others)}, and none is on {ours}"
        yield wrong("merchant in the shop", text, "correct sumup.merchant_code: it is the shop's own merchant")


def _own_tables(settings: Settings, clock: Clock, connection: sa.Connection) -> Iterator[CheckResult]:
    version = current_version(connection)
    if version is None and bears_marks(connection):
        text = "they are gone, but the shop's orders bear paypoll's marks: no run begins"
        yield wrong("paypoll's tables", text, HOW_TO_BEGIN_ANEW)
        return
    if step := next_step(connection, version):
        text = f"version {version}, this paypoll needs {HEAD}" if version else "they are not there"
        yield wrong("paypoll's tables", text, step if step.startswith("install") else f"{step} as the owner")
        return
    yield fine("paypoll's tables", f"version {version}")
    if is_lost(connection):
        text = "paypoll's tables are empty, but the shop's orders bear its marks: its records are lost, no run begins"
        yield wrong("records", text, HOW_TO_REMEMBER)
    now = clock.now()
    yield _last_run(now, last_run(connection))
    reading = settings.database.read_only
    ours = (f"{SCHEMA}.{table.name}" for table in (outbox, trouble, pause))
    if any(missing_rights_on(connection, table, reading=reading) for table in ours):
        return  # told above
    for standstill in mail_standstills(connection, settings.alerts.to, now):
        yield unreachable("standstill", standstill, "`paypoll mail list`; mended, `paypoll mail retry --all`")
    for one in pauses(connection):
        text = f"{one.words}, by {one.by_whom} {ago(one.since, now)}: {one.reason}"
        yield advice("paused", text, f"`{_resume(one)}`")


def _resume(one: Pause) -> str:
    if one.order_id is not None:
        return f"paypoll resume {order_word(one.order_id, one.order_number)}"
    return f"paypoll resume --event {one.event_id}" if one.event_id is not None else "paypoll resume --all"


def _last_run(now: datetime, run: LastRun | None) -> CheckResult:
    if run is None:
        return advice("last run", "there was none yet", "start the timer, or run `paypoll run-once`")
    text = f"{ago(run.started_at, now)} on {run.host}, {run.ended or 'under way, or killed'}"
    if run.started_at > now + _LARGEST_SKEW:
        text = f"in the future: {text}"
        return wrong("last run", text, "a clock was or is wrong: set the clocks of all machines by NTP")
    if now - run.started_at > _LARGEST_PAUSE:
        return wrong("last run", text, "find out why the timer has not started one since")
    if run.ended == "failed":
        return wrong("last run", text, "look into its log")
    return fine("last run", text)
