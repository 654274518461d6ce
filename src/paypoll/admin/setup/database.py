"""The shop's database: how its owner gets in, what it tells, and paypoll's own role, tables and rights there."""

import os
import pwd
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from paypoll.admin.setup.shop_facts import DatabaseLogin
from paypoll.database import DatabaseOptions, describe_error, make_engine, transaction
from paypoll.errors import DatabaseUnavailableError, PaypollError, SettingsError
from paypoll.settings.addresses import is_loopback
from paypoll.settings.database_url import normal_url
from paypoll.settings.secret import Secret
from paypoll.shop.schema_check import schema_problems
from paypoll.shop.tables import checkouts
from paypoll.state.grants import grants_sql
from paypoll.state.upgrade import upgrade

ROLE = "paypoll"
_SUPERUSER = "postgres"
_NEWEST = 100
"""So many checkouts are looked at for the currency and the merchants that they name."""

_OWNER = sa.text(
    "SELECT current_user AS me, pg_catalog.pg_get_userbyid(c.relowner) AS owner, r.rolsuper AS super,"
    " r.rolsuper OR pg_catalog.pg_has_role(current_user, c.relowner, 'MEMBER') AS may_grant,"
    " r.rolsuper OR pg_catalog.has_database_privilege(current_database(), 'CREATE') AS may_create,"
    " r.rolsuper OR r.rolcreaterole AS may_make_roles,"
    " EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = :role) AS role_is_there"
    " FROM pg_catalog.pg_class c, pg_catalog.pg_roles r"
    " WHERE c.oid = to_regclass('orders_order') AND r.rolname = current_user"
)


# No two servers were started in the same microsecond.
_DATABASE = sa.text("SELECT current_database(), pg_catalog.pg_postmaster_start_time()")


@dataclass(frozen=True, slots=True)
class Way:
    """A way to log in: an address, which is secret, and the user of this machine to do it as (empty: as we are)."""

    url: Secret
    as_user: str = ""
    words: str = ""


@dataclass(frozen=True, slots=True)
class ShopDatabase:
    """The shop's database, as its owner sees it. `way` is how the owner gets in."""

    login: DatabaseLogin
    way: Way
    owner: str
    currency: str
    merchants: tuple[str, ...]


class NoWayInError(Exception):
    """The owner does not get in, or may not do what is needed. The sentence says what was tried."""


def owner_ways(login: DatabaseLogin, given: str = "") -> list[Way]:
    """Return the ways in which the owner of the shop's tables may get in, the best first.

    `given`: an address that somebody has named for it. On this machine PostgreSQL knows users by their name (peer).
    """
    if given:
        return [Way(Secret(given), words="the owner's address that was given")]
    ways = []
    is_here = not login.host or login.host.startswith("/") or is_loopback(login.host)
    if is_here and os.geteuid() == 0 and _is_user(_SUPERUSER):
        url = _url(login, host=login.host if login.host.startswith("/") else "")
        ways.append(Way(Secret(url), _SUPERUSER, "as the user postgres of this machine (peer)"))
    as_user = login.user if os.geteuid() == 0 and not login.password and _is_user(login.user) else ""
    url = _url(login, user=login.user, password=login.password, host=login.host)
    ways.append(Way(Secret(url), as_user, f"by the shop's own login{f', as {as_user}' if as_user else ''}"))
    if as_user:
        ways.append(Way(Secret(url), words="by the shop's own login, as we are"))
    return ways


def look_at(login: DatabaseLogin, ways: list[Way]) -> ShopDatabase:
    """Return what the owner sees, by the first way that leads in. Raise NoWayInError."""
    reasons = []
    for way in ways:
        try:
            with owner_transaction(way) as connection:
                return _seen(login, way, connection)
        except NoWayInError as error:
            reasons.append(f"{way.words}: {error}")
        except SettingsError as error:
            reasons.append(f"{way.words}: {'; '.join(error.problems)}")
        except (PaypollError, SQLAlchemyError, ValueError) as error:
            reasons.append(f"{way.words}: {describe_error(error)}")
    raise NoWayInError("; ".join(reasons))


def _seen(login: DatabaseLogin, way: Way, connection: sa.Connection) -> ShopDatabase:
    row = connection.execute(_OWNER, {"role": ROLE}).one_or_none()
    if row is None:
        raise NoWayInError("there is no table orders_order: it is not the shop's database, or its tables are not made")
    if problems := schema_problems(connection):
        raise NoWayInError(f"its tables are not those of the shop that paypoll knows: {problems[0]}")
    if not (row.may_grant and row.may_create):
        raise NoWayInError(f"the role {row.me} may not make a schema there or give rights: that takes {row.owner}'s")
    if not (row.role_is_there or row.may_make_roles):
        raise NoWayInError(f"the role {row.me} may make no role; have somebody run: CREATE ROLE {ROLE} LOGIN")
    newest = sa.select(checkouts.c.currency, checkouts.c.merchant_code).order_by(checkouts.c.id.desc()).limit(_NEWEST)
    rows = connection.execute(newest).all()
    currencies = [one.currency for one in rows if one.currency]
    return ShopDatabase(
        login=login,
        way=way,
        owner=row.owner,
        currency=max(set(currencies), key=currencies.count, default=""),
        merchants=tuple(dict.fromkeys(one.merchant_code for one in rows if one.merchant_code)),
    )


def make_role_and_tables(there: ShopDatabase, *, refunds: bool) -> tuple[str | None, str]:
    """Make paypoll's role, tables and rights, as the owner. Return the tables' version before, and now.

    `refunds`: also the rights to write refunds into the shop.
    """
    with owner_transaction(there.way) as connection:
        versions = upgrade(connection)
    with acting_as(there.way.as_user):
        engine = _engine(there.way)
        try:
            with engine.connect() as connection:
                # It has a transaction of its own, and what the driver would take for placeholders.
                connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(
                    grants_sql(ROLE, refunds=refunds).replace("%", "%%")
                )
        finally:
            engine.dispose()
    return versions


def way_in_for_paypoll(
    there: ShopDatabase, known: Secret | None, *, given: str, as_user: str
) -> tuple[str, Secret | None]:
    """Return the address by which paypoll's role gets in, and the password if it takes one.

    By the address that is `given` if it leads there, else by its name alone (peer) on this machine, else with the
    password that is `known`, else with a new one. `as_user`: the user that runs are of, where we may become it.
    """
    if given and _leads_in(given, known, as_user, there):
        return given, known
    login = there.login
    socket = login.host if login.host.startswith("/") else ""
    if not login.host or socket or is_loopback(login.host):
        plain = _url(login, user="" if as_user else ROLE, host=socket)
        if _leads_in(plain, None, as_user, there):
            return plain, None
    url = _url(login, user=ROLE, host=login.host)
    if known and _leads_in(url, known, "", there):
        return url, known
    password = Secret(secrets.token_urlsafe(32))
    with owner_transaction(there.way) as connection:
        from psycopg2.extensions import encrypt_password  # type: ignore[import-untyped]  # it has no types of its own

        # The server, and so its log, gets to see what a password is checked by, not the password.
        driver = connection.connection.driver_connection
        verifier = encrypt_password(password.reveal(), ROLE, driver, "scram-sha-256")
        connection.exec_driver_sql(f"ALTER ROLE {ROLE} PASSWORD '{verifier}'")
    if not _leads_in(url, password, "", there):
        raise NoWayInError(
            f"the role {ROLE} is there, but the server does not let it in: give it a line in pg_hba.conf like the"
            " shop's own"
        )
    return url, password


@contextmanager
def owner_transaction(way: Way) -> Iterator[sa.Connection]:
    """Run a block in one transaction of the owner's."""
    with acting_as(way.as_user):
        engine = _engine(way)
        try:
            with transaction(engine) as connection:
                yield connection
        finally:
            engine.dispose()


@contextmanager
def acting_as(user: str) -> Iterator[None]:
    """Be another user of this machine meanwhile, for what PostgreSQL knows one by (peer). Empty: stay who we are."""
    if not user:
        yield
        return
    found = pwd.getpwnam(user)
    group = os.getegid()
    os.setegid(found.pw_gid)
    os.seteuid(found.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)


def _leads_in(url: str, password: Secret | None, as_user: str, there: ShopDatabase) -> bool:
    """Say whether this leads paypoll's role into the database that the owner gets into."""
    try:
        way = Way(Secret(normal_url(url, password.reveal() if password else None)), as_user)
        with owner_transaction(there.way) as connection:
            wanted = connection.execute(_DATABASE).one()
        with owner_transaction(way) as connection:
            is_ours = connection.scalar(sa.text("SELECT current_user")) == ROLE
            return is_ours and connection.execute(_DATABASE).one() == wanted
    except (DatabaseUnavailableError, SettingsError, SQLAlchemyError, ValueError):
        return False


def _engine(way: Way) -> sa.Engine:
    url = sa.make_url(normal_url(way.url.reveal()))
    return make_engine(DatabaseOptions(url, connect_timeout=timedelta(seconds=5)))


def _url(login: DatabaseLogin, *, user: str = "", password: Secret | None = None, host: str = "") -> str:
    """Return an address, as an operator would write it."""
    name = quote(login.name, safe="")
    who = quote(user, safe="") + (f":{quote(password.reveal(), safe='')}" if password else "") if user else ""
    options = [*login.options]
    if not host or host.startswith("/"):
        place = ""
        options = [("host", host)] * bool(host) + [("port", login.port)] * bool(login.port) + options
    else:
        place = (f"[{host}]" if ":" in host else host) + (f":{login.port}" if login.port else "")
    query = "&".join(f"{key}={quote(value, safe='/')}" for key, value in options)
    return f"postgresql://{who}{'@' if who else ''}{place}/{name}" + (f"?{query}" if query else "")


def _is_user(name: str) -> bool:
    try:
        return bool(pwd.getpwnam(name)) if name else False
    except KeyError:
        return False
