"""A real pgbouncer before the database, which lends a session for one transaction only, as managed databases do.

It has one session to lend, for all commands at once: whatever leaned on a session, or held one while it asked for
another, would show.
"""

import getpass
import os
import pwd
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from tests.acceptance.promises import check_completed, check_issued
from tests.acceptance.stage import PATIENCE, ROLE, Stage
from tests.acceptance.test_organisers import OVER, Connected
from tests.acceptance.test_world import crowd
from tests.conftest import Server

from paypoll.database import DatabaseOptions, make_engine

PGBOUNCER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
SETTINGS = 78
_CONFIG = """
[databases]
* = host={server.folder}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = trust
auth_file = {folder}/users
pool_mode = transaction
default_pool_size = 1
"""

pytestmark = pytest.mark.skipif(PGBOUNCER is None, reason="pgbouncer is not installed (apt-get install pgbouncer)")


@contextmanager
def pooler(server: Server) -> Iterator[int]:
    """Run a pgbouncer before this server, and yield its port on loopback."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    folder = Path(tempfile.mkdtemp(prefix="paypoll-pgbouncer-"))
    (folder / "users").write_text(f'"{ROLE}" ""\n"postgres" ""\n', encoding="utf-8")
    (folder / "config").write_text(_CONFIG.format(server=server, port=port, folder=folder), encoding="utf-8")
    # It refuses to run as root; then it runs as whoever may use PostgreSQL's folder.
    user = server.folder.owner() if os.geteuid() == 0 else getpass.getuser()
    if os.geteuid() == 0:
        for path in (folder, *folder.iterdir()):
            os.chown(path, pwd.getpwnam(user).pw_uid, -1)
    process = subprocess.Popen(  # noqa: S603 - what Debian installs
        [str(PGBOUNCER), folder / "config"],
        user=user if os.geteuid() == 0 else None,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert process.stdout is not None
        said = []
        for line in process.stdout:
            said.append(line)
            if "process up" in line:
                break
        assert process.poll() is None, said
        yield port
    finally:
        process.terminate()
        process.communicate(timeout=PATIENCE)
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def port(server: Server) -> Iterator[int]:
    """The port of a pgbouncer that lends its sessions by the transaction."""
    with pooler(server) as listening:
        yield listening


@pytest.fixture
def pooled(stage: Stage, port: int) -> Stage:
    """A stage whose paypoll reaches its database through pgbouncer."""
    stage.environ["database__url"] = through(stage, port)
    return stage


def port_of(pooled: Stage) -> int:
    port = sa.make_url(pooled.environ["database__url"]).port
    assert port is not None
    return port


def through(stage: Stage, port: int, role: str = ROLE) -> str:
    return f"postgresql://{role}@127.0.0.1:{port}/{stage.engine.url.database}"


def test_pooler_lends_sessions_by_the_transaction_orders_of_organisers_are_completed(pooled: Stage) -> None:
    connected = Connected(pooled)
    for merchant in ("MONE", "MTWO"):
        connected.organiser(merchant, sumup_expires_at=OVER)
    organisers_orders = [connected.order(f"ORD-{number}", "MTWO" if number % 2 else "MONE") for number in range(6)]
    own = crowd(pooled, 4)
    run = pooled.run_once()
    assert run.code == 0, run.stderr
    for order in organisers_orders:
        check_issued(pooled, order, on_paper=False)
    for order in own:
        check_completed(pooled, order)
    assert connected.refreshes == 2
    # Nothing of it is left in the session, which the next one gets.
    assert pooled.sql("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'") == []
    assert pooled.sql("SELECT 1 FROM paypoll.lease") == []


def test_pooler_every_other_command_works_through_it(pooled: Stage) -> None:
    (order,) = crowd(pooled, 1, checkout="PENDING")
    assert pooled.paypoll("db", "upgrade", database__url=through(pooled, port_of(pooled), "postgres")).code == 0
    for command in (
        ("db", "status"),
        ("queue",),
        ("runs",),
        ("inspect", order.number, "--live"),
        ("run-once", "--dry-run"),
        ("expire", order.number, "--yes"),
    ):
        ended = pooled.paypoll(*command)
        assert ended.code == 0, (command, ended.stderr)
    assert pooled.status(order) == "expired"
    checked = pooled.paypoll("check", "--json")
    assert checked.stderr == "", checked.stderr
    found = {one["topic"]: one for one in checked.report["findings"]}
    assert [found[topic]["mark"] for topic in ("database", "time-outs", "connections", "rights")] == ["OK"] * 4
    assert found["database"]["text"].endswith(", through a pooler")


def test_pooler_row_held_by_the_shop_is_waited_for_no_longer_than_the_time_out(pooled: Stage) -> None:
    held, other = crowd(pooled, 2)
    with pooled.engine.begin() as shop:
        shop.execute(sa.text("SELECT 1 FROM orders_order WHERE id = :id FOR UPDATE"), {"id": held.id})
        run = pooled.run_once(database__lock_timeout="200ms")
    assert run.code == 0, run.stderr
    assert pooled.status(held) == "pending_verification"
    check_completed(pooled, other)


def test_pooler_what_a_transaction_sets_ends_with_it(pooled: Stage) -> None:
    url = sa.make_url(through(pooled, port_of(pooled))).set(drivername="postgresql+psycopg2")
    looks = make_engine(DatabaseOptions(url, statement_timeout=timedelta(seconds=7)), read_only=True)
    plain = sa.create_engine(url)
    write = sa.text("UPDATE paypoll.trouble SET detail = ''")
    try:
        with looks.begin() as connection:
            assert connection.scalar(sa.text("SHOW statement_timeout")) == "7s"
            with pytest.raises(DBAPIError, match="read-only"):
                connection.execute(write)
        # The same session, as there is but one, as somebody else gets it.
        with plain.begin() as connection:
            assert connection.scalar(sa.text("SHOW statement_timeout")) == "0"
            connection.execute(write)
    finally:
        looks.dispose()
        plain.dispose()


def test_pooler_options_in_the_address_are_refused_with_advice(pooled: Stage) -> None:
    pooled.environ["database__url"] += "?options=-csearch_path%3Dpublic"
    checked = pooled.paypoll("check")
    assert checked.code == SETTINGS, checked.stderr
    assert "take options= out" in checked.stdout


def test_address_of_several_hosts_the_one_that_answers_is_used(pooled: Stage) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        closed = free.getsockname()[1]
    several = pooled.environ["database__url"].replace("127.0.0.1", f"127.0.0.1:{closed},127.0.0.1")
    looked = pooled.paypoll("db", "status", database__url=several)
    assert looked.code == 0, looked.stderr
