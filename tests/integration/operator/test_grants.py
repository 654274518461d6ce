"""The whole work under the least privileges that `db grants` gives, and what that role cannot do."""

from collections.abc import Iterator
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import ProgrammingError

from paypoll.admin.inspect import inspect_order
from paypoll.admin.resolve import Resolution
from paypoll.app import App
from paypoll.database import SCHEMA, DatabaseOptions, make_engine, transaction
from paypoll.errors import SettingsError
from paypoll.payments.gateway import CheckoutStatus
from paypoll.settings.load import load_settings
from paypoll.shop import tables as shop_tables
from paypoll.shop.refunds import add_refund, void_tickets
from paypoll.state.grants import grants_sql
from paypoll.state.resolutions import Verdict
from paypoll.state.rights import NEEDS, SHOP_NEEDS, Right, excessive_rights, missing_rights
from paypoll.state.tables import metadata as own_metadata
from paypoll.testing import NOW

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Desk

ROLE = "paypoll_least"


@pytest.fixture
def least_url(engine: sa.Engine, database_url: str) -> Iterator[str]:
    """The address of the fresh database as the role with the least privileges."""
    with transaction(engine) as connection:
        connection.exec_driver_sql(sql_for_driver(ROLE))
    yield database_url.replace("postgres@", f"{ROLE}@")
    with transaction(engine) as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {ROLE}")


@pytest.fixture
def least(least_url: str) -> Iterator[sa.Engine]:
    made = make_engine(DatabaseOptions(sa.make_url(least_url).set(drivername="postgresql+psycopg2")))
    yield made
    made.dispose()


@pytest.fixture
def least_desk(desk: "Desk", settings_file: Path, least_url: str) -> Iterator["Desk"]:
    """The desk, where paypoll logs in as the role with the least privileges."""
    app = App(load_settings(settings_file, {"PAYPOLL_DATABASE__URL": least_url}), clock=desk.bench.clock)
    app.gateway, app.printer, app.mailer = desk.bench.gateway, desk.bench.printer, desk.bench.mailer
    desk.bench.app.close()
    desk.app = desk.bench.app = app
    yield desk
    app.close()


def sql_for_driver(role: str, *, refunds: bool = False) -> str:
    """Return the statements without their own transaction, and with what the driver takes for a placeholder doubled."""
    return grants_sql(role, refunds=refunds).replace("BEGIN;", "").replace("COMMIT;", "").replace("%", "%%")


def test_the_connection_is_really_that_role(least_desk: "Desk") -> None:
    with transaction(least_desk.app.engine) as connection:
        assert connection.scalar(sa.text("SELECT current_user")) == ROLE
        assert connection.scalar(sa.text("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")) is False


def test_whole_run_works_with_every_outcome(least_desk: "Desk") -> None:
    desk = least_desk
    states = {
        "PAID": "completed",
        "PENDING": "pending_verification",
        "FAILED": "failed",
        "EXPIRED": "expired",
    }
    placed = {said: desk.place(f"ORD-{said}", said) for said in states}
    wrong = desk.place("ORD-WRONG", amount="24.99")
    missing = desk.shop.add_order(
        "ORD-MISSING", "m@example.org", [(desk.event, 1, Decimal(5))], created_at=desk.app.clock.now()
    )
    report = desk.run()
    assert report.order_errors == []
    assert {said: desk.status(order_id) for said, order_id in placed.items()} == states
    assert desk.status(wrong) == "requires_manual_review"
    assert len(desk.tickets(placed["PAID"])) == 2
    assert any("Your tickets" in subject or "ickets" in subject for subject in desk.subjects())
    # A guest's account was made, the order is the account's, the places are counted, and the media files were noted.
    (account,) = desk.shop.rows("accounts_user", email="ord-paid@example.org")
    assert (account["is_active"], account["password"][:14]) == (True, "pbkdf2_sha256$")
    assert desk.shop.row("orders_order", placed["PAID"])["user_id"] == account["id"]
    assert desk.shop.row("events_event", desk.event)["tickets_sold"] == 2
    assert all(ticket["pdf_file"] and ticket["qr_code"] for ticket in desk.tickets(placed["PAID"]))
    # The late payment takes the lock on the event's row; the old one is closed and expires; the missing one is told.
    desk.sumup_says("ORD-FAILED")
    desk.bench.clock.move(timedelta(hours=3))
    again = desk.run()
    assert again.order_errors == []
    assert desk.status(placed["FAILED"]) == "completed"
    assert desk.status(placed["PENDING"]) == "expired"
    assert desk.status(missing) == "requires_manual_review"


def test_troubles_that_come_and_go_work(least_desk: "Desk") -> None:
    desk = least_desk
    desk.place("ORD-1")
    desk.bench.mailer.down = "connection refused"
    desk.run()
    desk.bench.mailer.down = ""
    desk.bench.clock.move(timedelta(hours=2))
    assert desk.run().order_errors == []
    assert desk.backlog().troubles == ()


def test_operator_commands_work(least_desk: "Desk") -> None:
    desk = least_desk
    issued, rejected = desk.in_review("ORD-1"), desk.in_review("ORD-2")
    inspect_order(desk.app.engine, "ORD-1", desk.app.clock.now(), live=desk.app.dry_run())
    desk.app.dry_run().run()
    case = desk.app.resolver.look_at(desk.app.resolver.find_in_review("ORD-1"))
    desk.app.resolver.settle(case.order, Resolution(Verdict.ISSUE, "margot", "fine", override=True), case)
    desk.app.resolver.settle(desk.app.resolver.find_in_review("ORD-2"), Resolution(Verdict.REJECT, "margot", "a test"))
    desk.run()
    desk.app.resender.resend("ORD-1", "margot")
    assert (desk.status(issued), desk.status(rejected)) == ("completed", "requires_manual_review")
    assert desk.backlog().empty


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM events_ticket",
        "UPDATE events_ticket SET status = 'valid'",
        "UPDATE events_ticket SET ticket_number = 'MINE'",
        "UPDATE events_ticket SET customer_id = 1",
        "UPDATE orders_order SET total = 0",
        "UPDATE orders_order SET email = 'thief@example.org'",
        "DELETE FROM orders_order",
        "UPDATE orders_orderitem SET price = 0",
        "UPDATE orders_orderitem SET quantity = 99",
        "INSERT INTO orders_orderitem (quantity) VALUES (1)",
        "UPDATE events_event SET ticket_price = 0",
        "UPDATE events_event SET capacity = 9999",
        "SELECT password FROM accounts_user",
        "SELECT * FROM accounts_user",
        "UPDATE accounts_user SET is_superuser = true",
        "UPDATE accounts_user SET password = 'x'",
        "UPDATE accounts_user SET is_active = true",
        "UPDATE accounts_artistprofile SET sumup_merchant_code = 'THIEF'",
        "UPDATE payments_sumupcheckout SET amount = 0",
        "INSERT INTO payments_sumupcheckout (status) VALUES ('paid')",
        "DELETE FROM orders_orderstatushistory",
        "UPDATE orders_refund SET status = 'rejected'",
        "INSERT INTO orders_refund (amount) VALUES (1)",
        "UPDATE paypoll.audit SET explanation = ''",
        "DELETE FROM paypoll.audit",
        "TRUNCATE paypoll.audit",
        "DELETE FROM paypoll.ticket_place",
        "UPDATE paypoll.fulfilment SET checkout_id = 'x'",
        "DELETE FROM paypoll.outbox",
        "CREATE TABLE paypoll.mine (id int)",
        "SELECT * FROM events_listingfee_of_others",
    ],
)
def test_role_cannot(least: sa.Engine, engine: sa.Engine, statement: str) -> None:
    if "listingfee_of_others" in statement:
        with transaction(engine) as connection:
            connection.exec_driver_sql("CREATE TABLE events_listingfee_of_others (id int)")
    with pytest.raises(ProgrammingError, match="permission denied"), least.begin() as connection:
        connection.exec_driver_sql(statement)


def test_rights_are_all_there_and_none_too_many(least: sa.Engine, engine: sa.Engine) -> None:
    with transaction(least) as connection:
        assert missing_rights(connection) == []
        assert excessive_rights(connection) == []
    with transaction(engine) as connection:
        assert {"read password hashes", "change passwords"} < set(excessive_rights(connection))


def test_rights_for_refunds_are_given_only_when_they_are_asked_for(least: sa.Engine, engine: sa.Engine) -> None:
    with transaction(least) as connection:
        lacking = missing_rights(connection, refunds=True)
    assert [problem.partition(":")[0] for problem in lacking] == [
        "may not INSERT orders_refund",
        "may not UPDATE events_ticket",
    ]
    with pytest.raises(SettingsError, match="paypoll db grants --refunds"), transaction(least) as connection:
        void_tickets(connection, 1)
    with pytest.raises(SettingsError, match="paypoll db grants --refunds"), transaction(least) as connection:
        add_refund(connection, 1, Decimal(5), "TCODE1", reason="cannot come", who="margot", now=NOW)
    with transaction(engine) as connection:
        connection.exec_driver_sql(sql_for_driver(ROLE, refunds=True))
    with transaction(least) as connection:
        assert (missing_rights(connection, refunds=True), excessive_rights(connection)) == ([], [])
    with pytest.raises(ProgrammingError, match="permission denied"), least.begin() as connection:
        connection.exec_driver_sql("UPDATE orders_refund SET status = 'rejected'")
    with transaction(engine) as connection:
        connection.exec_driver_sql(sql_for_driver(ROLE))
    with transaction(least) as connection:
        assert missing_rights(connection, refunds=True) == lacking


def test_right_that_is_taken_away_is_named(least: sa.Engine, engine: sa.Engine) -> None:
    with transaction(engine) as connection:
        connection.exec_driver_sql(f"REVOKE UPDATE (payment_notes) ON orders_order FROM {ROLE}")
        connection.exec_driver_sql(f"REVOKE INSERT ON {SCHEMA}.audit FROM {ROLE}")
    with transaction(least) as connection:
        assert missing_rights(connection) == [
            "may not UPDATE orders_order: payment_notes",
            f"may not INSERT {SCHEMA}.audit: (the whole table)",
        ]


def test_grants_again_take_back_what_was_granted_besides(least: sa.Engine, engine: sa.Engine) -> None:
    with transaction(engine) as connection:
        connection.exec_driver_sql(f"GRANT ALL ON accounts_user, {SCHEMA}.audit TO {ROLE}")
        connection.exec_driver_sql(sql_for_driver(ROLE))
    with transaction(least) as connection:
        assert (missing_rights(connection), excessive_rights(connection)) == ([], [])


def test_grants_cover_ids_from_a_sequence_of_an_older_shop(desk: "Desk", engine: sa.Engine, least: sa.Engine) -> None:
    with transaction(engine) as connection:
        connection.exec_driver_sql(
            "ALTER TABLE orders_orderstatushistory ALTER id DROP IDENTITY;"
            "CREATE SEQUENCE history_ids OWNED BY orders_orderstatushistory.id;"
            "ALTER TABLE orders_orderstatushistory ALTER id SET DEFAULT nextval('history_ids')"
        )
    order_id = desk.place("ORD-1", CheckoutStatus.PENDING)
    insert = sa.text(
        "INSERT INTO orders_orderstatushistory (status, note, created_at, changed_by_id, order_id) "
        "VALUES ('x', '', now(), NULL, :order_id)"
    )
    with pytest.raises(ProgrammingError, match="permission denied"), least.begin() as connection:
        connection.execute(insert, {"order_id": order_id})
    with transaction(engine) as connection:
        connection.exec_driver_sql(sql_for_driver(ROLE))
    with transaction(least) as connection:
        connection.execute(insert, {"order_id": order_id})


@pytest.mark.parametrize("role", ["Pay Poll", 'a"b', "o'brien"])
def test_grants_for_a_role_with_an_odd_name_work(engine: sa.Engine, role: str) -> None:
    quoted = '"' + role.replace('"', '""') + '"'
    with engine.connect() as connection, connection.begin() as rolled_back:
        connection.exec_driver_sql(sql_for_driver(role))
        connection.exec_driver_sql(f"SET LOCAL ROLE {quoted}")
        assert missing_rights(connection) == []
        rolled_back.rollback()


def test_every_table_that_paypoll_knows_is_granted() -> None:
    readable = {need.table for need in NEEDS if need.right is Right.SELECT}
    assert {table.name for table in shop_tables.metadata.sorted_tables} <= readable
    assert {f"{SCHEMA}.{table.name}" for table in own_metadata.sorted_tables} <= readable
    added = {need.table for need in SHOP_NEEDS if need.right is Right.INSERT}
    assert added == {table.name for table in shop_tables.INSERTED}
