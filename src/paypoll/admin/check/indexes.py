"""Indexes that the shop's tables lack, and that are worth it where they are large. paypoll never makes them."""

from collections.abc import Iterator

import sqlalchemy as sa

from paypoll.admin.check.result import CheckResult, advice, fine
from paypoll.shop.tables import checkouts, orders

_LARGE = 50_000
"""Below so many orders, reading the whole table takes no longer than a few hundredths of a second."""

_ORDER_BYTES = 200
"""About what an order takes, where PostgreSQL has not counted them yet (it does so after some changes)."""

_INDEX = "CREATE INDEX CONCURRENTLY orders_order_status_created_at ON orders_order (status, created_at)"
# Whole and finished ones: CREATE INDEX CONCURRENTLY leaves an invalid one behind when it is broken off.
_INDEXED = sa.text(
    "SELECT EXISTS (SELECT 1 FROM pg_index JOIN pg_attribute ON attrelid = indrelid AND attnum = indkey[0]"
    " WHERE indrelid = to_regclass(:table) AND attname = :column AND indisvalid AND indpred IS NULL)"
)
_SIZE = sa.text(
    "SELECT CASE WHEN reltuples < 0 THEN pg_relation_size(oid) / :order_bytes ELSE reltuples END::bigint"
    " FROM pg_class WHERE oid = to_regclass(:orders)"
)
_PAYMENTS = (orders.c.transaction_id, checkouts.c.sumup_checkout_id, checkouts.c.checkout_id)
"""By these it is found whether a payment has completed another order (`paypoll.state.spent`)."""


def check_indexes(connection: sa.Connection) -> Iterator[CheckResult]:
    """Recommend indexes for what runs ask. Only a large table is worth one."""
    if connection.dialect.name != "postgresql":
        return
    size = connection.scalar(_SIZE, {"orders": orders.name, "order_bytes": _ORDER_BYTES})
    if size is None:
        return
    if _is_indexed(connection, orders.c.status):
        yield fine("index", f"{orders.name} has one that starts with its status")
    elif size <= _LARGE:
        yield fine("index", f"{orders.name} needs none on its status yet")
    else:
        text = f"{orders.name} has about {size:,} rows and no index that starts with status: each run reads them all"
        yield advice("index", text, _INDEX)
    missing = [column for column in _PAYMENTS if not _is_indexed(connection, column)]
    if missing and size > _LARGE:
        names = ", ".join(str(column) for column in missing)
        text = f"no index on {names}: for each paid order, all orders are read"
        yield advice("index of payments", text, "; ".join(map(_statement, missing)))


def _is_indexed(connection: sa.Connection, column: sa.Column[str]) -> bool:
    return bool(connection.scalar(_INDEXED, {"table": column.table.name, "column": column.name}))


def _statement(column: sa.Column[str]) -> str:
    table = column.table.name
    return f"CREATE INDEX CONCURRENTLY {table}_{column.name} ON {table} ({column.name})"
