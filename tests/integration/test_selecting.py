"""How PostgreSQL finds the orders that are due, as it says itself."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from paypoll.database import transaction
from paypoll.shop.tables import items
from paypoll.state import pauses, watches
from paypoll.testing import NOW

if TYPE_CHECKING:
    from tests.integration.conftest import Bench, Place

# As many as it takes for PostgreSQL to be far off when it guesses.
_MORE = """
INSERT INTO orders_order
SELECT copy.* FROM orders_order placed CROSS JOIN generate_series(1, 3000) g
CROSS JOIN jsonb_populate_record(placed, jsonb_build_object('id', 1000 + g, 'order_number', 'ORD-' || g)) copy
"""

_ITEMS = """
INSERT INTO orders_orderitem
SELECT copy.* FROM orders_orderitem bought CROSS JOIN generate_series(1, 3000) g
CROSS JOIN jsonb_populate_record(bought, jsonb_build_object('id', 1000 + g, 'order_id', 1000 + g)) copy
"""


def enrol(bench: "Bench", connection: sa.Connection) -> None:
    watches.enrol(connection, bench.app.watch_rules, NOW)


def peek(bench: "Bench", connection: sa.Connection) -> None:
    watches.peek(connection, bench.app.watch_rules, NOW, limit=1)


def look(bench: "Bench", connection: sa.Connection) -> None:
    watches.is_any_due(connection, bench.app.watch_rules, NOW, sa.false())


def claim(bench: "Bench", connection: sa.Connection) -> None:
    rules, lease = bench.app.watch_rules, timedelta(minutes=3)
    watches.claim(connection, rules, "a run", NOW, began=NOW, limit=20, lease=lease)


@pytest.mark.parametrize("find", [enrol, peek, look, claim])
def test_orders_that_postgresql_has_no_statistics_of_are_read_once_and_not_once_for_every_order(
    bench: "Bench", place: "Place", find: Callable[["Bench", sa.Connection], None]
) -> None:
    """With IN, 20,000 orders that had come within a minute ran into the statement timeout of 30 s; so take 0.3 s."""
    place("ORD-0", "PENDING")
    with transaction(bench.app.engine) as connection:
        connection.exec_driver_sql(_MORE)
        if find is not enrol:
            enrol(bench, connection)
    with transaction(bench.app.engine) as connection:
        # The first statement is the one that finds them; what it changes is undone.
        plan = _explained(connection, lambda: find(bench, connection))
        connection.rollback()
    scans = [node for node in _nodes(plan) if node["Node Type"] == "Seq Scan"]
    assert scans
    assert {node["Actual Loops"] for node in scans} <= {0, 1}


def test_orders_are_put_on_an_empty_list_in_portions(
    bench: "Bench", place: "Place", monkeypatch: pytest.MonkeyPatch
) -> None:
    """All at once, 50,000 orders of a new shop would not have been through within the statement timeout."""
    monkeypatch.setattr(watches, "_ENROLLED_AT_ONCE", 1000)
    place("ORD-0", "PENDING")
    portions: list[int] = []
    with transaction(bench.app.engine) as connection:
        connection.exec_driver_sql(_MORE)

    def count(_connection: object, cursor: Any, statement: str, *_: object) -> None:
        if statement.startswith("INSERT INTO paypoll.watch"):
            portions.append(cursor.rowcount)

    with transaction(bench.app.engine) as connection:
        sa.event.listen(connection, "after_cursor_execute", count)
        enrol(bench, connection)
    assert portions == [1000, 1000, 1000, 1, 0]


def test_a_paused_event_with_more_orders_than_fit_into_memory_is_not_walked_through_for_every_order(
    bench: "Bench", place: "Place"
) -> None:
    """As a list of its orders, a paused event of 300,000 orders had every run end at the statement timeout."""
    order = place("ORD-0", "PENDING")
    with transaction(bench.app.engine) as connection:
        connection.exec_driver_sql(_MORE)
        connection.exec_driver_sql(_ITEMS)
        event = connection.scalar(sa.select(items.c.event_id).where(items.c.order_id == order))
        pauses.begin(connection, pauses.Scope(event_id=event), who="anna", reason="a test", now=NOW)
        connection.exec_driver_sql("ANALYZE orders_order, orders_orderitem")
    with transaction(bench.app.engine) as connection:
        connection.exec_driver_sql("SET LOCAL work_mem = '64kB'")
        plan = _explained(connection, lambda: look(bench, connection))
        assert not watches.is_any_due(connection, bench.app.watch_rules, NOW, sa.false())
    assert max(node["Actual Rows"] * node["Actual Loops"] for node in _nodes(plan)) <= 2 * 3001


def _explained(connection: sa.Connection, find: Callable[[], None]) -> dict[str, Any]:
    """Return the plan of the first statement, with what it really took."""
    plans: list[dict[str, Any]] = []

    def explain(_connection: object, cursor: Any, statement: str, parameters: Any, *_: object) -> None:
        if not plans:
            cursor.execute("SAVEPOINT before_it")
            cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}", parameters)
            plans.append(cursor.fetchone()[0][0]["Plan"])
            cursor.execute("ROLLBACK TO before_it")

    sa.event.listen(connection, "before_cursor_execute", explain)
    find()
    return plans[0]


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from _nodes(part)
