"""The database: in reach, of the right shape, with the right rights, on the right time; and when the last run was."""

from collections.abc import Iterator
from datetime import timedelta

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from paypoll.app import App
from paypoll.checkup.finding import Finding, advice, fine, skipped, unreachable, wrong
from paypoll.database import describe_error, transaction
from paypoll.errors import DatabaseUnavailableError, SettingsError
from paypoll.rights import excessive_rights, missing_rights, missing_rights_on
from paypoll.shop.schema import schema_problems
from paypoll.shop.tables import checkouts, orders
from paypoll.state.runs import LastRun, last_run
from paypoll.state.upgrade import HEAD, current_version

_LARGEST_SKEW = timedelta(seconds=5)
"""Leases are minutes and late windows hours; more than this is a clock that nobody sets."""

_LARGEST_PAUSE = timedelta(minutes=15)
"""The timer fires every five minutes."""

_NEWEST = 100
"""So many checkouts are looked at for the merchants they name."""

_INDEX = "CREATE INDEX CONCURRENTLY orders_order_status ON orders_order (status)"
_GRANTS = "run the SQL of `paypoll db grants` as the owner of the shop's tables"


def check_database(app: App) -> Iterator[Finding]:
    """Look at all of it, in one transaction that changes nothing. Out of reach, the rest is skipped."""
    try:
        with transaction(app.engine) as connection:
            yield fine("database", _server(connection))
            yield from _clock(app, connection)
            yield from _rights(connection)
            yield from _schema(connection)
            yield from _index(connection)
            yield from _merchant(app, connection)
            yield from _own_tables(app, connection)
    except DatabaseUnavailableError as error:
        yield unreachable("database", str(error), "look at the database server and at the section [database]")
        yield skipped("schema, rights, clock, last run", "the database is out of reach")
    except SettingsError as error:
        for problem in error.problems:
            yield wrong("database", problem, "correct the section [database], or give the role its rights")
    except SQLAlchemyError as error:
        yield wrong("database", describe_error(error), "see above; `paypoll db grants` prints the rights it needs")


def _server(connection: sa.Connection) -> str:
    if connection.dialect.name != "postgresql":
        return f"{connection.dialect.name}: for the demo, not for a shop"
    role, name = connection.execute(sa.text("SELECT current_user, current_database()")).one()
    version = ".".join(map(str, connection.dialect.server_version_info or ()))
    return f"PostgreSQL {version}, database {name}, role {role}"


def _clock(app: App, connection: sa.Connection) -> Iterator[Finding]:
    if connection.dialect.name != "postgresql":
        return
    before = app.clock.now()
    there = connection.execute(sa.select(sa.func.clock_timestamp())).scalar_one()
    skew = there - (before + (app.clock.now() - before) / 2)
    seconds = f"{abs(skew.total_seconds()):.1f} s"
    if abs(skew) > _LARGEST_SKEW:
        direction = "behind" if skew > timedelta(0) else "ahead of"
        yield wrong("clock", f"this machine is {seconds} {direction} the database", "set both clocks by NTP")
    else:
        yield fine("clock", f"this machine and the database differ by {seconds}")


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
        yield wrong("shop's tables", problem, "look for a version of paypoll that knows this shop")
    if not problems:
        yield fine("shop's tables", "as paypoll knows them")


def _index(connection: sa.Connection) -> Iterator[Finding]:
    if connection.dialect.name != "postgresql" or not sa.inspect(connection).has_table(orders.name):
        return
    indexes = sa.inspect(connection).get_indexes(orders.name)
    if any(index["column_names"][:1] == ["status"] for index in indexes):
        yield fine("index", "orders_order has one on its status")
    else:
        yield advice("index", "orders_order has none on its status: each run reads the whole table", _INDEX)


def _merchant(app: App, connection: sa.Connection) -> Iterator[Finding]:
    """Compare our merchant with the shop's newest checkouts: SumUp says of a stranger's no more than "not found"."""
    ours = app.settings.sumup.merchant_code
    if not ours or schema_problems(connection) or missing_rights_on(connection, checkouts.name):
        return
    newest = sa.select(checkouts.c.merchant_code).order_by(checkouts.c.id.desc()).limit(_NEWEST)
    named = sorted({code for code in connection.scalars(newest) if code})
    if named and ours not in named:
        text = f"none of the newest checkouts is on merchant {ours}, but on {', '.join(named)}"
        yield advice("merchant in the shop", text, "correct sumup.merchant_code, unless all of these are organisers'")


def _own_tables(app: App, connection: sa.Connection) -> Iterator[Finding]:
    version = current_version(connection)
    if version != HEAD:
        text = f"version {version}, this paypoll needs {HEAD}" if version else "they are not there"
        newer = version is not None and version > HEAD
        step = "install the newer paypoll that made them" if newer else "run `paypoll db upgrade` as the owner"
        yield wrong("paypoll's tables", text, step)
        return
    yield fine("paypoll's tables", f"version {version}")
    yield _last_run(app, last_run(connection))


def _last_run(app: App, run: LastRun | None) -> Finding:
    from paypoll.cli.words import ago

    if run is None:
        return advice("last run", "there was none yet", "start the timer, or run `paypoll run-once`")
    text = f"{ago(run.started_at, app.clock.now())} on {run.host}, {run.ended or 'under way, or killed'}"
    if app.clock.now() - run.started_at > _LARGEST_PAUSE:
        return wrong("last run", text, "find out why the timer has not started one since")
    if run.ended == "failed":
        return wrong("last run", text, "look into its log")
    return fine("last run", text)
