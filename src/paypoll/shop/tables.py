"""The shop's tables, with the columns that paypoll reads or writes.

The shop (a Django project) makes and owns these tables; paypoll never alters them. No column has a default in the
database, so an INSERT names every NOT NULL column: in the tables of `INSERTED`, all of them are listed here.
"""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from paypoll.database import UtcDateTime

metadata = sa.MetaData()

_Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_Json = sa.JSON(none_as_null=True).with_variant(JSONB(none_as_null=True), "postgresql")


def _required(name: str, kind: Any) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


users = sa.Table(
    "accounts_user",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    _required("password", sa.String(128)),
    sa.Column("last_login", UtcDateTime),
    _required("is_superuser", sa.Boolean),
    _required("first_name", sa.String(150)),
    _required("last_name", sa.String(150)),
    sa.Column("email", sa.String(254), nullable=False, unique=True),
    _required("is_staff", sa.Boolean),
    _required("is_active", sa.Boolean),
    _required("date_joined", UtcDateTime),
    _required("user_type", sa.String(20)),
    _required("phone", sa.String(20)),
    _required("email_verified", sa.Boolean),
)

organisers = sa.Table(
    "accounts_artistprofile",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    _required("display_name", sa.String(100)),
    _required("business_name", sa.String(200)),
    _required("updated_at", UtcDateTime),
    sa.Column("user_id", _Id, sa.ForeignKey("accounts_user.id"), nullable=False, unique=True),
    _required("sumup_access_token", sa.Text),
    _required("sumup_refresh_token", sa.Text),
    _required("sumup_token_type", sa.String(20)),
    sa.Column("sumup_expires_at", UtcDateTime),
    _required("sumup_scope", sa.String(255)),
    _required("sumup_merchant_code", sa.String(50)),
    _required("sumup_connection_status", sa.String(20)),
)

events = sa.Table(
    "events_event",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    _required("title", sa.String(200)),
    _required("slug", sa.String(200)),
    _required("venue_name", sa.String(200)),
    _required("venue_address", sa.Text),
    _required("event_date", sa.Date),
    _required("event_time", sa.Time),
    _required("capacity", sa.Integer),
    _required("tickets_sold", sa.Integer),
    _required("status", sa.String(20)),
    _required("updated_at", UtcDateTime),
    sa.Column("organiser_id", _Id, sa.ForeignKey("accounts_user.id"), nullable=False),
)

listing_fees = sa.Table(
    "events_listingfee",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    _required("amount", sa.Numeric(10, 2)),
    _required("currency", sa.String(3)),
    _required("payment_status", sa.String(20)),
    sa.Column("payment_reference", sa.String(100), nullable=False, unique=True),
    _required("sumup_checkout_id", sa.String(255)),
    _required("created_at", UtcDateTime),
    sa.Column("paid_at", UtcDateTime),
    _required("payment_data", _Json),
    sa.Column("event_id", _Id, sa.ForeignKey("events_event.id"), nullable=False, unique=True),
    sa.Column("organizer_id", _Id, sa.ForeignKey("accounts_user.id"), nullable=False),
)

orders = sa.Table(
    "orders_order",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("order_number", sa.String(100), nullable=False, unique=True),
    _required("email", sa.String(254)),
    _required("phone", sa.String(20)),
    _required("delivery_first_name", sa.String(50)),
    _required("delivery_last_name", sa.String(50)),
    _required("status", sa.String(30)),
    _required("total", sa.Numeric(10, 2)),
    _required("transaction_id", sa.String(255)),
    _required("is_paid", sa.Boolean),
    sa.Column("paid_at", UtcDateTime),
    _required("created_at", UtcDateTime),
    _required("updated_at", UtcDateTime),
    sa.Column("user_id", _Id, sa.ForeignKey("accounts_user.id")),
    _required("payment_notes", sa.Text),
)

items = sa.Table(
    "orders_orderitem",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    _required("event_title", sa.String(200)),
    _required("quantity", sa.Integer),
    _required("price", sa.Numeric(10, 2)),
    _required("total", sa.Numeric(10, 2)),
    sa.Column("event_id", _Id, sa.ForeignKey("events_event.id")),
    sa.Column("order_id", _Id, sa.ForeignKey("orders_order.id"), nullable=False),
)

history = sa.Table(
    "orders_orderstatushistory",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    # Narrower than the order's own status: requires_manual_review has 22 characters and does not fit.
    _required("status", sa.String(20)),
    _required("note", sa.Text),
    _required("created_at", UtcDateTime),
    sa.Column("changed_by_id", _Id, sa.ForeignKey("accounts_user.id")),
    sa.Column("order_id", _Id, sa.ForeignKey("orders_order.id"), nullable=False),
)

refunds = sa.Table(
    "orders_refund",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    _required("amount", sa.Numeric(10, 2)),
    _required("status", sa.String(20)),
    sa.Column("order_id", _Id, sa.ForeignKey("orders_order.id"), nullable=False),
)

TURNED_DOWN = ("rejected", "failed", "cancelled", "declined")
"""Refunds in one of these states gave nothing back. The shop's other states (asked for, approved, done) all mean that a
person has to look before tickets are issued again."""

tickets = sa.Table(
    "events_ticket",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("ticket_number", sa.String(20), nullable=False, unique=True),
    sa.Column("qr_code", sa.String(100)),
    _required("purchase_date", UtcDateTime),
    _required("status", sa.String(20)),
    _required("seat_number", sa.String(20)),
    _required("special_requirements", sa.Text),
    sa.Column("customer_id", _Id, sa.ForeignKey("accounts_user.id"), nullable=False),
    sa.Column("event_id", _Id, sa.ForeignKey("events_event.id"), nullable=False),
    _required("is_validated", sa.Boolean),
    sa.Column("order_id", _Id, sa.ForeignKey("orders_order.id")),
    sa.Column("pdf_file", sa.String(100)),
    _required("qr_data", sa.Text),
    sa.Column("validated_at", UtcDateTime),
    sa.Column("validated_by_id", _Id, sa.ForeignKey("accounts_user.id")),
    _required("validation_hash", sa.String(32)),
    sa.Column("ticket_tier_id", _Id),
)

checkouts = sa.Table(
    "payments_sumupcheckout",
    metadata,
    sa.Column("id", _Id, primary_key=True),
    sa.Column("payment_id", sa.String(100), nullable=False, unique=True),
    sa.Column("checkout_reference", sa.String(255), nullable=False, unique=True),
    _required("sumup_checkout_id", sa.String(255)),
    _required("amount", sa.Numeric(10, 2)),
    _required("currency", sa.String(3)),
    _required("merchant_code", sa.String(50)),
    # One of created, pending, paid, failed, expired; also varchar(20).
    _required("status", sa.String(20)),
    sa.Column("valid_until", UtcDateTime),
    sa.Column("sumup_response", _Json),
    _required("created_at", UtcDateTime),
    _required("updated_at", UtcDateTime),
    sa.Column("paid_at", UtcDateTime),
    sa.Column("order_id", _Id, sa.ForeignKey("orders_order.id")),
    _required("checkout_id", sa.String(255)),
    _required("should_poll", sa.Boolean),
    sa.Column("polling_started_at", UtcDateTime),
    sa.Column("last_polled_at", UtcDateTime),
    _required("poll_count", sa.Integer),
)

INSERTED = (users, tickets, history)
"""The tables that paypoll inserts into: a NOT NULL column without default that it does not know stops it."""
