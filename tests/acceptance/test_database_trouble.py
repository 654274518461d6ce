"""Row 38 in its other forms: a restart in mid-run, and a database that refuses to write, for a while or for one order.

Where a fault cannot be had on every machine (a full disk), a trigger raises the very SQLSTATE that
PostgreSQL raises then, out of the middle of the transaction that fulfils the order.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.acceptance.promises import check_completed
from tests.acceptance.stage import PATIENCE, ROLE, Placed, Stage, opened_stage
from tests.acceptance.standby import Standby, standby_of
from tests.acceptance.test_world import TRY_LATER, crowd, ended, whole_or_untouched
from tests.conftest import SHOP_SCHEMA, Server, fastest_folder

from paypoll.database import DatabaseOptions, make_engine, transaction
from paypoll.sandbox.mail.smtp_session import Stage as Where
from paypoll.sandbox.sumup.effects import Latency
from paypoll.state.upgrade import upgrade

FILLED = "filled"
"""A database to be copied, with the shop's tables and paypoll's."""


@pytest.fixture(scope="module")
def own_server() -> Iterator[Server]:
    """A PostgreSQL server that may be restarted: nobody else is connected to it."""
    folder = Path(tempfile.mkdtemp(prefix="paypoll-restart-", dir=fastest_folder()))
    server = Server(folder)
    server.run(f"CREATE DATABASE {FILLED}")
    engine = make_engine(DatabaseOptions(sa.make_url(server.url(FILLED)).set(drivername="postgresql+psycopg2")))
    with transaction(engine) as connection:
        connection.exec_driver_sql(SHOP_SCHEMA.read_text(encoding="utf-8"))
        upgrade(connection)
    engine.dispose()
    yield server
    server.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def own_stage(own_server: Server, tmp_path: Path) -> Iterator[Stage]:
    """A stage on that server."""
    own_server.run(f"CREATE DATABASE shop TEMPLATE {FILLED}")
    with opened_stage(own_server.url("shop"), tmp_path) as stage:
        yield stage


@pytest.mark.parametrize("moment", [3, 8])
def test_row_38_database_restarted_in_mid_run_leaves_nothing_half_done(
    own_server: Server, own_stage: Stage, moment: int
) -> None:
    stage, orders = own_stage, crowd(own_stage, 10)
    try:
        # Twenty requests, one after the other: the run must not be over before the server is down.
        stage.sumup.fault(Latency(0.3))
        process = stage.start("run-once", sumup__parallel_requests="1", verification__batch_size="3")
        stage.sumup.journal.wait_until(lambda journal: journal.count() >= moment, PATIENCE)
        stage.engine.dispose()
        own_server.restart()
        run = ended(process)
        assert run.code == TRY_LATER, run.stderr
        assert run.errors[0].startswith("paypoll: the database is out of reach: ")
        assert "pending_verification" in {stage.status(order) for order in orders}
        for order in orders:
            whole_or_untouched(stage, order)
        stage.let_time_pass()
        assert stage.run_once().code == 0
        for order in orders:
            check_completed(stage, order)
    finally:
        stage.engine.dispose()
        own_server.run("DROP DATABASE shop WITH (FORCE)")


def test_row_38_database_restarted_while_the_mail_server_takes_a_mail_makes_no_second_one(
    own_server: Server, own_stage: Stage
) -> None:
    stage, (order,) = own_stage, crowd(own_stage, 1)
    try:
        stage.sink.fault(Where.MESSAGE, delay=3.0, keep=True, times=1)
        process = stage.start("run-once")
        stage.sink.wait_for(1, PATIENCE)
        stage.engine.dispose()
        own_server.restart()
        run = ended(process)
        assert run.code in (0, TRY_LATER), run.stderr
        (mail,) = stage.sql("SELECT state, maybe_twice FROM paypoll.outbox WHERE kind = 'confirmation'")
        assert mail == {"state": "sent", "maybe_twice": False}
        stage.let_time_pass()
        assert stage.run_once().code == 0
        check_completed(stage, order)
        assert stage.sql("SELECT count(*) AS times FROM paypoll.audit WHERE action = 'mailed'") == [{"times": 1}]
    finally:
        stage.engine.dispose()
        own_server.run("DROP DATABASE shop WITH (FORCE)")


@pytest.fixture
def standby(own_server: Server) -> Iterator[Standby]:
    """A standby of that server. For the last of the tests: the server ends in it."""
    own_server.run(f"CREATE DATABASE shop TEMPLATE {FILLED}")
    with standby_of(own_server) as following:
        yield following


@pytest.fixture
def safe_stage(standby: Standby, tmp_path: Path) -> Iterator[Stage]:
    """A stage whose shop finds the server that takes writes, before a failover and after it."""
    hosts = f"{standby.primary},{standby.folder}"
    with opened_stage(f"postgresql://postgres@/shop?host={hosts}&target_session_attrs=primary", tmp_path) as stage:
        yield stage


def test_row_38_standby_is_told_and_the_run_after_a_failover_carries_on(safe_stage: Stage, standby: Standby) -> None:
    stage = safe_stage
    orders = crowd(stage, 6)
    alone = f"postgresql://{ROLE}@/shop?host={standby.folder}"
    looked = stage.paypoll("queue", "--json", database__url=alone)
    assert looked.code == 0, looked.stderr
    run = stage.run_once(database__url=alone)
    assert run.code == TRY_LATER
    (line,) = run.errors
    assert line.startswith("paypoll: the database takes no writes: cannot execute ")
    assert "in database.url" in line
    checked = stage.paypoll("check", "--json", database__url=alone)
    assert checked.code == TRY_LATER
    (found,) = [one for one in checked.report["findings"] if one["mark"] == "PROBLEM"]
    assert (found["topic"], found["text"].rpartition("; ")[2]) == (
        "database",
        "it takes no writes: it is a standby",
    )
    assert "database.url" in found["next_step"]

    # The standby comes first, and is not the one that is meant.
    stage.environ["database__url"] = f"postgresql://{ROLE}@/shop?host={standby.folder},{standby.primary}"
    with stage.sumup.fault(Latency(0.15)):
        process = stage.start("run-once", sumup__parallel_requests="1", verification__batch_size="2")
        stage.sumup.journal.wait_until(lambda journal: journal.count() >= 4, PATIENCE)
        stage.engine.dispose()
        standby.take_over()
        run = ended(process)
    assert run.code == TRY_LATER, run.stderr
    # Out of reach; or, between the one's end and the other's beginning, one that takes no writes.
    assert run.errors[0].startswith("paypoll: the database ")
    assert len(run.errors) == 1
    assert "pending_verification" in {whole_or_untouched(stage, order) for order in orders}
    stage.let_time_pass()
    again = stage.run_once()
    assert again.code == 0, again.stderr
    for order in orders:
        check_completed(stage, order)


def refuse(stage: Stage, table: str, order: Placed, condition: str) -> None:
    """Let PostgreSQL refuse every new row of a table that is about this order."""
    stage.sql(
        "CREATE OR REPLACE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = '{condition}'; END $$"
    )
    stage.sql(
        f"CREATE TRIGGER refuse BEFORE INSERT ON {table} FOR EACH ROW WHEN (NEW.order_id = {order.id}) "
        "EXECUTE FUNCTION refuse()"
    )


@pytest.mark.parametrize(
    ("condition", "said"), [("disk_full", "is out of reach"), ("read_only_sql_transaction", "takes no writes")]
)
def test_row_38_database_that_cannot_write_is_one_clear_line_and_exit_75(
    stage: Stage, condition: str, said: str
) -> None:
    orders = crowd(stage, 3)
    refuse(stage, "paypoll.outbox", orders[1], condition)
    run = stage.paypoll("run-once")
    assert run.code == TRY_LATER
    (line,) = run.errors
    assert line.startswith(f"paypoll: the database {said}: refused")
    assert [whole_or_untouched(stage, order) for order in orders][1] == "pending_verification"
    stage.sql("DROP TRIGGER refuse ON paypoll.outbox")
    stage.let_time_pass()
    assert stage.run_once().code == 0
    for order in orders:
        check_completed(stage, order)


@pytest.mark.parametrize(
    ("condition", "table"), [("deadlock_detected", "paypoll.outbox"), ("serialization_failure", "events_ticket")]
)
def test_row_38_order_whose_transaction_is_broken_off_stays_whole_and_the_others_go_on(
    stage: Stage, condition: str, table: str
) -> None:
    orders = crowd(stage, 2)
    refuse(stage, table, orders[0], condition)
    run = stage.run_once()
    assert run.code == 0
    assert stage.tickets(orders[0]) == []
    assert (stage.status(orders[0]), stage.history(orders[0])) == ("pending_verification", [])
    check_completed(stage, orders[1])
    stage.sql(f"DROP TRIGGER refuse ON {table}")
    stage.let_time_pass()
    assert stage.run_once().code == 0
    check_completed(stage, orders[0])


def test_row_38_row_held_by_the_shop_for_long_is_passed_over_and_taken_by_the_next_run(stage: Stage) -> None:
    held, other = crowd(stage, 2)
    with stage.engine.begin() as shop:
        shop.execute(sa.text("SELECT 1 FROM orders_order WHERE id = :id FOR UPDATE"), {"id": held.id})
        run = stage.run_once(database__lock_timeout="200ms")
        assert stage.status(held) == "pending_verification"
        shop.exec_driver_sql("LOCK TABLE orders_order IN ACCESS EXCLUSIVE MODE")  # as a migration of the shop does
        looked = stage.paypoll("queue", database__lock_timeout="200ms")
        assert (looked.code, looked.stdout) == (TRY_LATER, "")
        assert looked.errors == ["paypoll: the database is too busy: canceling statement due to lock timeout"]
    assert run.code == 0
    check_completed(stage, other)
    stage.let_time_pass()
    assert stage.run_once().code == 0
    check_completed(stage, held)
