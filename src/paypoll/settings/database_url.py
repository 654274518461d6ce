"""The address of the shop's database, in the one form that the rest of paypoll gets: with the driver named.

SQLAlchemy 2.1 takes `postgresql://` for psycopg 3; paypoll uses psycopg2. No error shows the address: it may hold
a password.
"""

import re
from urllib.parse import parse_qsl, quote, unquote

_POSTGRESQL = "postgresql+psycopg2"
_DRIVERS = {
    "postgresql": _POSTGRESQL,
    "postgres": _POSTGRESQL,
    _POSTGRESQL: _POSTGRESQL,
    "sqlite": "sqlite",
    "sqlite+pysqlite": "sqlite",
}
# Split as SQLAlchemy does: the password ends at the first @.
_URL = re.compile(
    r"""(?P<scheme>[\w+]+)://
        (?: (?P<user>[^:/@?]*) (?: : (?P<password>[^@]*) )? @ )?
        (?P<place> [^/?]* )
        (?: / (?P<database> [^?]* ) )?
        (?: \? (?P<query> .* ) )?""",
    re.VERBOSE,
)
_PLACE = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._%-]*)(?::(?P<port>\d{1,5}))?")
_QUERY_SECRET = re.compile(r"(?i)(?<![^&?])((?:ssl)?password)=([^&]*)")
_LAST_PORT = 65_535
_PORT_BEHIND_HOST = re.compile(r"[^/\[:]*:\d*")
_TAKES_WRITES = ("read-write", "primary", "any")
_SEVERAL = "write one:5432,two:5433 before the /, or host=one,two&port=5432,5433 behind the ?"
_EXAMPLE = "postgresql://user@host:5432/database"


def normal_url(url: str, password: str | None = None) -> str:
    """Return the address with the driver named and the password, if one is given apart from it, put in.

    Raise ValueError with a sentence that shows neither.
    """
    if not url.isprintable() or (match := _URL.fullmatch(url)) is None:
        raise ValueError(f"is not a database address; it looks like {_EXAMPLE}")
    driver = _DRIVERS.get(match["scheme"])
    if driver is None:
        raise ValueError(f"{match['scheme']}:// is not supported; write {_EXAMPLE} (psycopg2 is used by itself)")
    rest = url.removeprefix(match["scheme"])
    if driver == "sqlite":
        return driver + _sqlite_rest(match, rest, password)
    options = parse_qsl(match["query"] or "", keep_blank_values=True)
    _require_known_options(options)
    hosts = _hosts_among(options)
    places = [_host_and_port(place) for place in match["place"].split(",")]
    _require_one_spelling(places, options)
    if len(places) > 1:
        rest = _with_hosts_as_options(match, places)
    if max(len(places), len(hosts)) > 1 and "target_session_attrs" not in dict(options):
        # Of several servers the one that takes writes is meant, unless the address says otherwise.
        rest += "&target_session_attrs=read-write"
    if password is None:
        return driver + rest
    if passwords_in(url):
        raise ValueError("holds a password, and database.password is given too; keep one of them")
    if not match["user"]:
        raise ValueError(f"database.password needs a user in the address: {_EXAMPLE}")
    user, colon, behind = rest.removeprefix("://").partition("@")
    return f"{driver}://{user.rstrip(':')}:{quote(password, safe='')}{colon}{behind}"


def _require_one_spelling(places: list[tuple[str, str]], options: list[tuple[str, str]]) -> None:
    """Raise ValueError for a host or a port that stands before the ? and behind it: the latter would win, in silence.

    hostaddr goes with one host before it, which is the name that it is known by.
    """
    (host, port), *others = places
    before = {"host": bool(others or host), "port": bool(others or port), "hostaddr": bool(others)}
    if any(before.get(name) for name, _ in options):
        raise ValueError("names hosts or ports before the ? and behind it; keep one of them")


def _host_and_port(place: str) -> tuple[str, str]:
    match = _PLACE.fullmatch(place)
    if match is None:
        raise ValueError("the host is odd; in a password write @ as %40, / as %2F, : as %3A and % as %25")
    if match["port"] and not 0 < int(match["port"]) <= _LAST_PORT:
        raise ValueError("the port must be between 1 and 65535")
    return match["host"], match["port"] or ""


def _with_hosts_as_options(match: re.Match[str], places: list[tuple[str, str]]) -> str:
    """Return what follows the scheme with `host1:5432,host2:5432` in the form that SQLAlchemy reads."""
    if not all(host for host, _ in places):
        raise ValueError("one of its hosts, between the commas, is empty")
    query = match["query"] or ""
    options = ["host=" + ",".join(host.strip("[]") for host, _ in places)]
    if any(port for _, port in places):
        options.append("port=" + ",".join(port for _, port in places))
    login = match.string[match.end("scheme") : match.start("place")]
    return f"{login}/{match['database'] or ''}?{'&'.join([*options, *([query] if query else [])])}"


def _hosts_among(options: list[tuple[str, str]]) -> list[str]:
    """Return the hosts behind the `?`: `host=one,two&port=5432,5433`, or SQLAlchemy's `host=one:5432&host=two:5433`.

    Raise ValueError for what SQLAlchemy reads otherwise than it was meant, or refuses when it connects.
    """
    names = [name for name, _ in options]
    given = [value for name, value in options if name == "host"]
    hosts = given if len(given) > 1 else given[0].split(",") if given else []
    twice = {name for name in names if names.count(name) > 1} - {"host"}
    if twice & {"port", "hostaddr"} or (len(given) > 1 and ("port" in names or any("," in host for host in given))):
        raise ValueError(f"names its hosts in two ways; {_SEVERAL}")
    if twice:
        raise ValueError(f"has the option {min(twice)!r} twice; keep one of them")
    if len(given) == 1 and any(_PORT_BEHIND_HOST.fullmatch(host) for host in hosts):
        raise ValueError(f"has a port in the host behind the ?; {_SEVERAL}")
    return hosts


def _require_known_options(options: list[tuple[str, str]]) -> None:
    """Raise ValueError for what libpq does not know, or what keeps it from every server that takes writes.

    Connecting would fail, in words that no operator expects.
    """
    for name, value in options:
        if not _is_known_option(name):
            raise ValueError(
                f"has the option {name!r}, which PostgreSQL's own library (libpq) does not know; take it out"
                " (behind a pooler, such as pgbouncer, paypoll needs none)"
            )
        if name == "port" and not re.fullmatch(r"\d{0,5}(?:,\d{0,5})*", value):
            raise ValueError("the port behind the ? must be a number")
        if name == "target_session_attrs" and value not in _TAKES_WRITES:
            raise ValueError("target_session_attrs must be read-write: paypoll writes, and a standby takes no writes")


def _is_known_option(name: str) -> bool:
    from psycopg2 import ProgrammingError  # type: ignore[import-untyped]  # it has no types of its own
    from psycopg2.extensions import parse_dsn  # type: ignore[import-untyped]  # the same

    try:
        return name.isidentifier() and bool(parse_dsn(f"{name}=x"))
    except ProgrammingError:
        return False


def passwords_in(url: str) -> tuple[str, ...]:
    """Return the passwords that the address holds, as they are meant (not percent-encoded)."""
    match = _URL.fullmatch(url)
    if match is None:
        return ()
    found = [match["password"], *(secret for _, secret in _QUERY_SECRET.findall(match["query"] or ""))]
    return tuple(unquote(secret) for secret in found if secret)


def takes_no_password(url: str) -> bool:
    """Say whether a password from elsewhere cannot be meant for the address: it has one, or names no user."""
    match = _URL.fullmatch(url)
    return match is not None and (not match["user"] or bool(passwords_in(url)))


def masked_url(url: str) -> str:
    """Return the address with `***` in place of its passwords."""
    match = _URL.fullmatch(url)
    if match is None:
        return "***"
    if match["password"]:
        url = f"{url[: match.start('password')]}***{url[match.end('password') :]}"
    address, mark, query = url.partition("?")
    return address + mark + _QUERY_SECRET.sub(r"\1=***", query)


def _sqlite_rest(match: re.Match[str], rest: str, password: str | None) -> str:
    if password is not None:
        raise ValueError("is SQLite, which has no password; leave database.password out")
    # Relative to what? The demo, the timer and a shell have different working folders.
    if match["place"] or match["user"] is not None or not (match["database"] or "").startswith("/"):
        raise ValueError("must hold the full path of a file: sqlite:////full/path/shop.db (four slashes)")
    return rest
