"""What a refund changes in the shop: its rows of orders_refund, and its tickets.

The rights and columns for it are asked for only where refunds are sent: a shop that does without them need not have
them.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from paypoll.database import UtcDateTime, describe_error, is_right_missing
from paypoll.errors import SettingsError
from paypoll.payments.ticket_statuses import REFUNDED, VALID
from paypoll.shop.tables import refunds, tickets

_TAKEN = "completed"
_WIDTH = 255
GRANTS = (
    "run the SQL of `paypoll db grants --refunds` as the owner of the shop's tables, "
    "or turn sumup.allow_refunds and ledger.on_refund off"
)
"""What to do where the rights are missing."""

written = sa.Table(
    refunds.name,
    sa.MetaData(),
    sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
    sa.Column("reason", sa.Text, nullable=False),
    sa.Column("amount", sa.Numeric(10, 2), nullable=False),
    sa.Column("status", sa.String(20), nullable=False),
    sa.Column("processed_at", UtcDateTime),
    sa.Column("admin_note", sa.Text, nullable=False),
    sa.Column("refund_transaction_id", sa.String(_WIDTH), nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("updated_at", UtcDateTime, nullable=False),
    sa.Column("order_id", sa.BigInteger, nullable=False),
    sa.Column("processed_by_id", sa.BigInteger),
)
"""The shop's table as a refund writes it; runs read no more of it than `paypoll.shop.tables.refunds` has."""


def refund_table_problems(connection: sa.Connection) -> list[str]:
    """Return why no row can be added to orders_refund, a sentence each; empty when one can."""
    there = {column["name"]: column for column in sa.inspect(connection).get_columns(written.name)}
    known = {column.name for column in written.columns}
    problems = [f"the column {written.name}.{name} is missing" for name in sorted(known - there.keys())]
    for name, column in there.items():
        if name not in known and not column["nullable"] and column.get("default") is None:
            problems.append(f"the column {written.name}.{name} is new and must be filled")
    return problems


def add_refund(
    connection: sa.Connection,
    order_id: int,
    amount: Decimal,
    transaction_code: str,
    *,
    reason: str,
    who: str,
    now: datetime,
) -> None:
    """Add a row of money that went back. `reason` is a person's words, `who` that person."""
    row = {
        "order_id": order_id,
        "amount": amount,
        "status": _TAKEN,
        "reason": reason,
        "admin_note": f"refunded at SumUp by paypoll, asked for by {who}",
        "refund_transaction_id": transaction_code[:_WIDTH],
        "processed_at": now,
        "processed_by_id": None,
        "created_at": now,
        "updated_at": now,
    }
    with _grants_named():
        connection.execute(sa.insert(written).inline(), row)


def void_tickets(connection: sa.Connection, order_id: int, numbers: Sequence[str] | None = None) -> tuple[str, ...]:
    """Set valid tickets of the order to refunded, so that the scanner refuses them, and return their numbers.

    Without `numbers` all of them. One that was used has admitted its holder, and stays so for the door list.
    """
    own = [tickets.c.order_id == order_id, tickets.c.status == VALID]
    if numbers is not None:
        own.append(tickets.c.ticket_number.in_(list(numbers)))
    changed = sa.update(tickets).where(*own).values(status=REFUNDED).returning(tickets.c.ticket_number)
    with _grants_named():
        return tuple(sorted(connection.scalars(changed)))


@contextmanager
def _grants_named() -> Iterator[None]:
    """Raise SettingsError with what to do where the database refuses us what a refund writes.

    PostgreSQL names the table alone, and the rights on it that everybody needs may all be there.
    """
    try:
        yield
    except DBAPIError as error:
        if not is_right_missing(error):
            raise
        refused = f"the database refuses what a refund writes: {describe_error(error)}"
        raise SettingsError([refused, GRANTS], source="[database]") from error
