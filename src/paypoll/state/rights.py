"""What paypoll's database role must be allowed to do: the list that `db grants` prints and `check` asks about.

Columns, where only some are named. What is not here, paypoll does not do: it deletes nothing of the shop's, changes
no price, reads no password, and its audit trail only grows.
"""

from dataclasses import dataclass
from enum import StrEnum

import sqlalchemy as sa

from paypoll.database import SCHEMA
from paypoll.shop import tables as shop
from paypoll.shop.refunds import written
from paypoll.state import tables as own


class Right(StrEnum):
    """A privilege of PostgreSQL."""

    SELECT = "SELECT"
    INSERT = "INSERT"
    UPDATE = "UPDATE"
    DELETE = "DELETE"


@dataclass(frozen=True, slots=True)
class Need:
    """A right that paypoll needs on a table; no `columns` stands for the whole table."""

    table: str
    right: Right
    columns: tuple[str, ...] = ()


def _read(table: sa.Table, *, but: tuple[str, ...] = ()) -> Need:
    return Need(table.name, Right.SELECT, tuple(column.name for column in table.columns if column.name not in but))


def _add(table: sa.Table) -> Need:
    """Return the right to insert every column but the id, which the database gives."""
    return Need(table.name, Right.INSERT, tuple(column.name for column in table.columns if column.name != "id"))


def _change(table: sa.Table, *columns: str) -> Need:
    return Need(table.name, Right.UPDATE, columns)


def _own(table: sa.Table, *rights: Right) -> tuple[Need, ...]:
    return tuple(Need(f"{SCHEMA}.{table.name}", right) for right in rights)


_ACCOUNT_DETAILS = (
    "password",
    "last_login",
    "is_superuser",
    "is_staff",
    "is_active",
    "date_joined",
    "user_type",
    "phone",
    "email_verified",
)

SHOP_NEEDS: tuple[Need, ...] = (
    _read(shop.users, but=_ACCOUNT_DETAILS),
    # For guests; `password` is written (one that nobody knows), and cannot be read. Never UPDATE: it could take over an
    # admin's account.
    _add(shop.users),
    _read(shop.organisers),
    _change(
        shop.organisers,
        "sumup_access_token",
        "sumup_refresh_token",
        "sumup_token_type",
        "sumup_expires_at",
        "sumup_scope",
        "sumup_connection_status",
        "updated_at",
    ),
    _read(shop.events),
    _change(shop.events, "tickets_sold", "status", "updated_at"),
    _read(shop.listing_fees, but=("payment_data",)),
    _change(shop.listing_fees, "payment_status", "paid_at", "payment_data"),
    _read(shop.orders),
    _change(shop.orders, "status", "is_paid", "paid_at", "transaction_id", "user_id", "payment_notes", "updated_at"),
    _read(shop.items),
    _read(shop.history),
    _add(shop.history),
    _read(shop.refunds),
    _read(shop.tickets),
    _add(shop.tickets),
    # The code of tickets that a page of the shop issued without one; a person asks for it.
    _change(shop.tickets, "pdf_file", "qr_code", "qr_data", "validation_hash"),
    _read(shop.checkouts),
    _change(
        shop.checkouts,
        "sumup_checkout_id",
        "status",
        "paid_at",
        "sumup_response",
        "should_poll",
        "polling_started_at",
        "last_polled_at",
        "poll_count",
        "updated_at",
    ),
)

OWN_NEEDS: tuple[Need, ...] = (
    Need(f"{SCHEMA}.schema_version", Right.SELECT),
    *_own(own.oldest, Right.SELECT),
    *_own(own.watch, Right.SELECT, Right.INSERT, Right.UPDATE),
    *_own(own.checkout_seen, Right.SELECT, Right.INSERT, Right.UPDATE),
    *_own(own.listing_fee, Right.SELECT, Right.INSERT, Right.UPDATE),
    *_own(own.outbox, Right.SELECT, Right.INSERT, Right.UPDATE),
    *_own(own.trouble, Right.SELECT, Right.INSERT, Right.UPDATE, Right.DELETE),
    *_own(own.run, Right.SELECT, Right.INSERT, Right.UPDATE),
    *_own(own.lease, Right.SELECT, Right.INSERT, Right.UPDATE, Right.DELETE),
    *_own(own.ledger_cursor, Right.SELECT, Right.INSERT, Right.UPDATE),
    *_own(own.ledger_entry, Right.SELECT, Right.INSERT, Right.UPDATE),
    *_own(own.finding, Right.SELECT, Right.INSERT, Right.UPDATE),
    *_own(own.refund, Right.SELECT, Right.INSERT, Right.UPDATE),
    *_own(own.pause, Right.SELECT, Right.INSERT, Right.DELETE),
    # Append-only: they are what keeps a place from being filled twice, a payment from being spent twice, and a change
    # from going unrecorded.
    *_own(own.audit, Right.SELECT, Right.INSERT),
    *_own(own.ticket_place, Right.SELECT, Right.INSERT),
    *_own(own.fulfilment, Right.SELECT, Right.INSERT),
)

REFUND_NEEDS: tuple[Need, ...] = (_add(written), _change(shop.tickets, "status"))
"""What sending refunds, or voiding what went back, needs besides: a row of orders_refund, tickets that admit nobody.

The settings are sumup.allow_refunds and ledger.on_refund.
"""

NEEDS = SHOP_NEEDS + OWN_NEEDS

_TABLES = list(dict.fromkeys(need.table for need in NEEDS))


def needs(*, refunds: bool, reading: bool = False) -> tuple[Need, ...]:
    """Return all that the role needs, table by table. `reading`: what one needs that may only look."""
    wanted = (*NEEDS, *(REFUND_NEEDS if refunds else ()))
    if reading:
        wanted = tuple(need for need in NEEDS if need.right is Right.SELECT)
    return tuple(sorted(wanted, key=lambda need: _TABLES.index(need.table)))


def inserted_with_sequence(*, refunds: bool) -> tuple[str, ...]:
    """Return the shop's tables whose ids may come from a sequence that is not part of the column (serial): USAGE."""
    of_the_shop = (*SHOP_NEEDS, *(REFUND_NEEDS if refunds else ()))
    return tuple(need.table for need in of_the_shop if need.right is Right.INSERT)


def missing_rights(connection: sa.Connection, *, refunds: bool = False, reading: bool = False) -> list[str]:
    """Return what the connected role may not do and must, a sentence a table and right. Asks PostgreSQL only.

    Tables and columns that are not there are left out: the schema's own check names them. `refunds`: it must be able
    to send refunds as well. `reading`: it need only look.
    """
    there = _columns_there(connection)
    problems = []
    for need in needs(refunds=refunds, reading=reading):
        if need.table not in there:
            continue
        name = need.right.value
        if not need.columns:
            allowed = sa.select(sa.func.has_table_privilege(need.table, name))
            lacking = [] if connection.scalar(allowed) else ["(the whole table)"]
        else:
            wanted = [column for column in need.columns if column in there[need.table]]
            asked = [sa.func.has_column_privilege(need.table, column, name) for column in wanted]
            granted = connection.execute(sa.select(*asked)).one()
            lacking = [column for column, may in zip(wanted, granted, strict=True) if not may]
        if lacking:
            problems.append(f"may not {name} {need.table}: {', '.join(lacking)}")
    return problems


def missing_rights_on(connection: sa.Connection, table: str, *, reading: bool = False) -> bool:
    """Say whether the connected role lacks a right on this table. Only PostgreSQL has any."""
    if connection.dialect.name != "postgresql":
        return False
    return any(f" {table}: " in problem for problem in missing_rights(connection, reading=reading))


def excessive_rights(connection: sa.Connection) -> list[str]:
    """Return the rights of the connected role that paypoll never uses and that would do most harm if it were stolen."""
    there = _columns_there(connection)
    asked = {
        "read password hashes": sa.func.has_column_privilege("accounts_user", "password", "SELECT"),
        "change passwords": sa.func.has_column_privilege("accounts_user", "password", "UPDATE"),
        "delete tickets": sa.func.has_table_privilege("events_ticket", "DELETE"),
        "change prices": sa.func.has_column_privilege("orders_orderitem", "price", "UPDATE"),
        "change the audit trail": sa.func.has_table_privilege(f"{SCHEMA}.audit", "UPDATE"),
    }
    if not {"accounts_user", "events_ticket", "orders_orderitem", f"{SCHEMA}.audit"} <= there.keys():
        return []
    granted = connection.execute(sa.select(*asked.values())).one()
    return [what for what, may in zip(asked, granted, strict=True) if may]


def _columns_there(connection: sa.Connection) -> dict[str, set[str]]:
    """Return the columns of each table that PostgreSQL finds under its name, whatever the role may do with it."""
    names = sorted({need.table for need in NEEDS})
    found: dict[str, set[str]] = {}
    query = sa.text(
        "SELECT attname FROM pg_catalog.pg_attribute "
        "WHERE attrelid = to_regclass(:name) AND attnum > 0 AND NOT attisdropped"
    )
    for name in names:
        if columns := set(connection.scalars(query, {"name": name})):
            found[name] = columns
    return found
