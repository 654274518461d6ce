"""A small shop to play with: puts rows into the shop's tables the way the shop does, whatever columns they have."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from paypoll.database import UtcDateTime, transaction
from paypoll.shop.tables import metadata

_EMPTY: Mapping[type[Any], Any] = {
    sa.Boolean: False,
    sa.Integer: 0,
    sa.Numeric: Decimal(0),
    sa.String: "",
    sa.DateTime: datetime(2026, 1, 1, tzinfo=UTC),
    sa.Date: date(2026, 1, 1),
    sa.Time: time(0, 0),
    sa.JSON: {},
}


class SmallShop:
    """Writes events, orders and checkouts into a shop's database. Not for a real shop: it asks nothing twice."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._tables: dict[str, sa.Table] = {}

    def make_tables(self) -> None:
        """Make the shop's tables, with the columns that paypoll knows: enough for SQLite and a demo."""
        with transaction(self._engine) as connection:
            metadata.create_all(connection)

    def insert(self, table: str, **values: Any) -> int:
        """Insert a row and return its id. NOT NULL columns that are not named get an empty value of their type."""
        with transaction(self._engine) as connection:
            there = self._reflected(connection, table)
            filled = {
                column.name: _empty(column)
                for column in there.columns
                if not column.nullable and not column.primary_key and column.name not in values
            }
            insert = sa.insert(there).values({**filled, **values}).returning(there.c.id)
            return int(connection.execute(insert).scalar_one())

    def update(self, table: str, row_id: int, **values: Any) -> None:
        """Change a row, as a page of the shop that saves it."""
        with transaction(self._engine) as connection:
            there = self._reflected(connection, table)
            connection.execute(sa.update(there).where(there.c.id == row_id).values(values))

    def rows(self, table: str, **where: Any) -> list[dict[str, Any]]:
        """Return the rows of a table that have these values, in the order of their ids."""
        with transaction(self._engine) as connection:
            there = self._reflected(connection, table)
            query = sa.select(there).order_by(there.c.id)
            for column, value in where.items():
                query = query.where(there.c[column] == value)
            return [dict(row) for row in connection.execute(query).mappings()]

    def row(self, table: str, row_id: int) -> dict[str, Any]:
        """Return one row."""
        (row,) = self.rows(table, id=row_id)
        return row

    def add_user(self, email: str, *, first_name: str = "", last_name: str = "", **values: Any) -> int:
        """Add an account and return its id."""
        return self.insert(
            "accounts_user",
            email=email,
            first_name=first_name,
            last_name=last_name,
            user_type=values.pop("user_type", "customer"),
            is_active=True,
            **values,
        )

    def add_organiser(self, email: str, name: str, **values: Any) -> int:
        """Add an organiser and return the id of the account."""
        user_id = self.add_user(email, user_type="artist")
        self.insert(
            "accounts_artistprofile",
            user_id=user_id,
            display_name=name[:100],
            business_name=name[:200],
            **{"sumup_connection_status": "not_connected", **values},
        )
        return user_id

    def add_event(self, organiser_id: int, title: str, *, starts: datetime, **values: Any) -> int:
        """Add a published event and return its id. `starts` is local time of the site."""
        return self.insert(
            "events_event",
            title=title,
            organiser_id=organiser_id,
            event_date=starts.date(),
            event_time=starts.time().replace(tzinfo=None),
            **{
                "slug": "-".join(title.lower().split())[:190],
                "venue_name": "Town Hall",
                "venue_address": "1 High Street\nSt Helier",
                "capacity": 5000,  # room for the crowds of the tests
                "status": "published",
                **values,
            },
        )

    def add_order(
        self, number: str, email: str, places: Sequence[tuple[int | None, int, Decimal]], **values: Any
    ) -> int:
        """Add an order and return its id. `places` are items: event, quantity, price of one."""
        total = sum((price * quantity for _, quantity, price in places), Decimal(0))
        created = values.pop("created_at", datetime.now(UTC) - timedelta(minutes=5))
        order_id = self.insert(
            "orders_order",
            order_number=number,
            email=email,
            created_at=created,
            updated_at=created,
            **{
                "status": "pending_verification",
                "delivery_first_name": "Ada",
                "delivery_last_name": "Le Sueur",
                "total": total,
                **values,
            },
        )
        for event_id, quantity, price in places:
            title = self.row("events_event", event_id)["title"] if event_id is not None else "A deleted event"
            self.insert(
                "orders_orderitem",
                order_id=order_id,
                event_id=event_id,
                event_title=title,
                quantity=quantity,
                price=price,
                total=price * quantity,
            )
        return order_id

    def add_checkout(self, order_id: int, reference: str, checkout_id: str, **values: Any) -> int:
        """Add the shop's row of a checkout and return its id."""
        order = self.row("orders_order", order_id)
        return self.insert(
            "payments_sumupcheckout",
            order_id=order_id,
            payment_id=f"pay-{reference}",
            checkout_reference=reference,
            sumup_checkout_id=checkout_id,
            created_at=order["created_at"],
            updated_at=order["created_at"],
            **{"amount": order["total"], "currency": "GBP", "status": "pending", "should_poll": True, **values},
        )

    def _reflected(self, connection: sa.Connection, name: str) -> sa.Table:
        if name not in self._tables:
            reflected = sa.Table(name, sa.MetaData(), autoload_with=connection, resolve_fks=False)
            for column in reflected.columns:
                if isinstance(column.type, sa.DateTime):
                    column.type = UtcDateTime()
            self._tables[name] = reflected
        return self._tables[name]


def _empty(column: sa.Column[Any]) -> Any:
    for kind, value in _EMPTY.items():
        if isinstance(column.type, UtcDateTime) and kind is sa.DateTime:
            return value
        if isinstance(column.type, kind):
            return value
    raise TypeError(f"no empty value for {column.table.name}.{column.name}")
