"""paypoll's own tables: their migrations, and what the database itself forbids."""

from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import DBAPIError, IntegrityError

from paypoll.database import SCHEMA, transaction
from paypoll.errors import SchemaError
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.shop.schema_check import require_known_schema, schema_problems
from paypoll.state.audit import record
from paypoll.state.tables import checkout_seen, metadata, oldest, ticket_place, watch
from paypoll.state.told_before import take_over
from paypoll.state.upgrade import HEAD, OLDEST, current_version, require_current, upgrade
from paypoll.testing import NOW

VERSION = sa.table("schema_version", sa.column("version_num", sa.Text), schema=SCHEMA)


def test_migrations_all_lead_to_the_tables_as_they_are_defined(engine: sa.Engine) -> None:
    with transaction(engine) as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "include_schemas": True,
                "version_table": VERSION.name,
                "version_table_schema": SCHEMA,
                "compare_server_default": True,
                "include_name": lambda name, kind, _parents: kind != "schema" or name == SCHEMA,
            },
        )
        assert compare_metadata(context, metadata) == []


def test_head_is_the_newest_migration() -> None:
    config = Config()
    config.set_main_option("script_location", "paypoll.state:migrations")
    assert ScriptDirectory.from_config(config).get_current_head() == HEAD


def test_upgrade_again_changes_nothing(engine: sa.Engine) -> None:
    with transaction(engine) as connection:
        assert upgrade(connection) == (HEAD, HEAD)


def test_upgrade_leaves_nothing_behind_when_it_fails(engine: sa.Engine) -> None:
    with transaction(engine) as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}")
        # In the way of the last step.
        connection.exec_driver_sql(f"CREATE FUNCTION {SCHEMA}.refuse_change() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    with pytest.raises(DBAPIError), transaction(engine) as connection:
        upgrade(connection)
    with transaction(engine) as connection:
        assert current_version(connection) is None
        assert sa.inspect(connection).get_table_names(schema=SCHEMA) == []


def test_tables_of_an_older_version_are_refused(engine: sa.Engine) -> None:
    with transaction(engine) as connection:
        connection.execute(sa.update(VERSION).values(version_num="0000"))
        with pytest.raises(SchemaError, match=r"of version 0000.*: run `paypoll db upgrade`"):
            require_current(connection)


def test_tables_of_the_next_version_that_this_one_still_works_on_are_used(engine: sa.Engine) -> None:
    with transaction(engine) as connection:
        connection.execute(sa.update(VERSION).values(version_num="9999"))
        require_current(connection)
        with pytest.raises(SchemaError, match="newer than this paypoll"):
            upgrade(connection)


def test_tables_of_a_later_version_that_this_one_does_not_know_are_refused(engine: sa.Engine) -> None:
    with transaction(engine) as connection:
        connection.execute(sa.update(VERSION).values(version_num="9999"))
        connection.execute(sa.update(oldest).values(version_num="9999"))
        with pytest.raises(SchemaError, match=r"of version 9999.*: install the newer paypoll"):
            require_current(connection)


def test_oldest_version_that_still_works_is_one_of_the_migrations() -> None:
    config = Config()
    config.set_main_option("script_location", "paypoll.state:migrations")
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    assert {OLDEST, HEAD} <= known
    assert OLDEST <= HEAD


@pytest.mark.parametrize(
    "statement", ["UPDATE {0}.audit SET explanation = 'x'", "DELETE FROM {0}.audit", "TRUNCATE {0}.audit"]
)
def test_audit_trail_cannot_be_changed(engine: sa.Engine, statement: str) -> None:
    with transaction(engine) as connection:
        record(connection, now=NOW, action="verified", explanation="paid")
    with pytest.raises(DBAPIError, match="append-only"), transaction(engine) as connection:
        connection.exec_driver_sql(statement.format(SCHEMA))


def test_second_ticket_for_the_same_place_is_refused(engine: sa.Engine) -> None:
    place = {"order_item_id": 1, "place": 1, "order_id": 1}
    with transaction(engine) as connection:
        connection.execute(sa.insert(ticket_place).values(**place, ticket_id=1, ticket_number="A"))
    with pytest.raises(IntegrityError), transaction(engine) as connection:
        connection.execute(sa.insert(ticket_place).values(**place, ticket_id=2, ticket_number="B"))


@pytest.mark.parametrize(
    ("noted", "aside", "taken"), [("", False, True), ("FAILED", False, True), ("PAID", False, False), ("", True, False)]
)
def test_what_the_last_release_told_is_taken_over_unless_this_one_has_seen_it(
    engine: sa.Engine, noted: str, *, aside: bool, taken: bool
) -> None:
    """`aside`: a restored shop has given the order's id out again."""
    said = {"sumup_said": {"transactions": [{"id": "t-0", "status": "FAILED"}, {"id": "t-1", "status": "SUCCESSFUL"}]}}
    evidence = {"checkouts": {"c-1": {"status": "PAID", **said}, "c-2": {"status": "FAILED"}, "c-3": {"answer": "x"}}}
    with transaction(engine) as connection:
        for order_id in (7, -7) if aside else (7,):
            connection.execute(sa.insert(watch).values(order_id=order_id, first_seen_at=NOW, order_number="A-7"))
        row = {"order_id": 7, "merchant_code": "M1", "first_seen_at": NOW, "seen_at": NOW}
        if noted:
            connection.execute(sa.insert(checkout_seen).values(**row, checkout_id="c-1", status=noted))
        order: dict[str, Any] = {"action": "verified", "order_id": 7, "order_number": "A-7"}
        told: dict[str, Any] = {
            "outcome": "review",
            "reason": "mismatch",
            "explanation": "a penny off",
            "evidence": evidence,
        }
        record(connection, now=NOW, **order, **told)
        record(connection, now=NOW, **order, explanation="nothing was asked")
        take_over(connection)
        names = (checkout_seen.c.checkout_id, checkout_seen.c.transaction_id)
        found = connection.execute(sa.select(*names).where(checkout_seen.c.accounted)).all()
    assert found == ([("c-1", "t-1")] if taken else [])


class TestShopSchema:
    def test_the_shop_as_it_is_has_no_problems(self, engine: sa.Engine) -> None:
        with transaction(engine) as connection:
            assert schema_problems(connection) == []

    def test_row_44_missing_column_is_named(self, engine: sa.Engine) -> None:
        with transaction(engine) as connection:
            connection.exec_driver_sql("ALTER TABLE orders_order DROP COLUMN payment_notes")
            with pytest.raises(SchemaError, match=r"orders_order\.payment_notes"):
                require_known_schema(connection)

    def test_row_44_missing_table_is_named(self, engine: sa.Engine) -> None:
        with transaction(engine) as connection:
            connection.exec_driver_sql("DROP TABLE orders_refund")
            with pytest.raises(SchemaError, match="orders_refund"):
                require_known_schema(connection)

    def test_row_44_new_column_that_must_be_filled_is_named(self, engine: sa.Engine) -> None:
        with transaction(engine) as connection:
            connection.exec_driver_sql("ALTER TABLE events_ticket ADD COLUMN zone varchar(9) NOT NULL")
            with pytest.raises(SchemaError, match=r"events_ticket\.zone"):
                require_known_schema(connection)

    @pytest.mark.parametrize("column", ["zone varchar(9)", "zone varchar(9) NOT NULL DEFAULT 'A'"])
    def test_new_column_that_fills_itself_is_fine(self, engine: sa.Engine, column: str) -> None:
        with transaction(engine) as connection:
            connection.exec_driver_sql(f"ALTER TABLE events_ticket ADD COLUMN {column}")
            assert schema_problems(connection) == []

    def test_new_column_in_a_table_that_is_only_read_is_fine(self, engine: sa.Engine, shop: SmallShop) -> None:
        with transaction(engine) as connection:
            connection.exec_driver_sql("ALTER TABLE events_event ADD COLUMN zone varchar(9) NOT NULL")
            assert schema_problems(connection) == []
