"""paypoll's own tables, in the schema `paypoll`. The migrations beside this module make them.

A test upgrades an empty database and compares it with these definitions.
"""

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB

from paypoll.database import SCHEMA, UtcDateTime

metadata = sa.MetaData(schema=SCHEMA)

Id = sa.BigInteger().with_variant(sa.Integer, "sqlite")
Json = sa.JSON().with_variant(JSONB, "postgresql")

watch = sa.Table(
    "watch",
    metadata,
    # The shop's order id. No foreign key: the shop may delete the order, and its audit trail must not mind.
    sa.Column("order_id", Id, primary_key=True, autoincrement=False),
    # The order's status as paypoll left it. One that differs has been changed by somebody else: look at once.
    sa.Column("status", sa.Text),
    sa.Column("first_seen_at", UtcDateTime, nullable=False),
    # When the order got its status, as far as paypoll knows; the window counts from here, among others.
    sa.Column("settled_at", UtcDateTime),
    # NULL: its money is not followed any more, unless somebody changes the order's status.
    sa.Column("next_check_at", UtcDateTime),
    sa.Column("last_checked_at", UtcDateTime),
    sa.Column("last_run", sa.Text),
    sa.Column("last_answer", sa.Text),
    sa.Column("checks", sa.Integer, nullable=False, server_default=sa.text("0")),
    # Checks in which SumUp knew no checkout of the order at all.
    sa.Column("missing_checks", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("lease_run", sa.Text),
    sa.Column("lease_until", UtcDateTime),
    # When the admins were told that the order is waiting for too long.
    sa.Column("stuck_told_at", UtcDateTime),
    # paypoll itself has seen the order cancelled or refunded; the shop does not always keep a history of that.
    sa.Column("seen_void", sa.Boolean, nullable=False, server_default=sa.false()),
    # What tells this order from another of the same id: a shop restored from a backup gives ids out again.
    sa.Column("order_number", sa.Text),
    sa.Column("order_created_at", UtcDateTime),
    sa.Index("watch_next_check", "next_check_at"),
    sa.Index("watch_last_checked", "last_checked_at"),
    sa.Index("watch_settled", "settled_at"),
)

checkout_seen = sa.Table(
    "checkout_seen",
    metadata,
    sa.Column("order_id", Id, primary_key=True, autoincrement=False),
    sa.Column("checkout_id", sa.Text, primary_key=True),
    sa.Column("merchant_code", sa.Text, nullable=False),
    # SumUp's word when it was last seen.
    sa.Column("status", sa.Text, nullable=False),
    sa.Column("first_seen_at", UtcDateTime, nullable=False),
    sa.Column("seen_at", UtcDateTime, nullable=False),
    # The first of the looks that have said FAILED without a break.
    sa.Column("failed_since", UtcDateTime),
    # Its payment bought tickets, or an admin was told of it.
    sa.Column("accounted", sa.Boolean, nullable=False, server_default=sa.false()),
    # When it was made, by SumUp's date: a try at paying, also where the shop has no row of it or reuses an old one.
    sa.Column("made_at", UtcDateTime),
)

audit = sa.Table(
    "audit",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("at", UtcDateTime, nullable=False),
    sa.Column("run_id", sa.Text),
    # Who did it: `paypoll` for a run, else the person's name.
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("order_id", Id),
    sa.Column("order_number", sa.Text),
    # What was done: verified, closed, mailed, resolved ...
    sa.Column("action", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text),
    sa.Column("reason", sa.Text),
    sa.Column("explanation", sa.Text, nullable=False),
    sa.Column("status_from", sa.Text),
    sa.Column("status_to", sa.Text),
    # What SumUp was asked and what it said.
    sa.Column("evidence", Json),
    sa.Index("audit_order", "order_id", "id"),
)

outbox = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("order_id", Id),
    # confirmation, late_confirmation, payment_failed, under_review, alert
    sa.Column("kind", sa.Text, nullable=False),
    # What an alert is about (review:mismatch, expired ...): many of one topic in a run become one summary.
    sa.Column("topic", sa.Text),
    # The idempotency key: the same condition is mailed once.
    sa.Column("dedupe_key", sa.Text, nullable=False, unique=True),
    sa.Column("recipients", Json, nullable=False),
    # What the templates are filled with; rendered at delivery, so that a broken template loses nothing.
    sa.Column("content", Json, nullable=False),
    # waiting -> sending -> sent, or undeliverable; withdrawn: overtaken by events before it was sent
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("message_id", sa.Text, nullable=False, unique=True),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("next_attempt_at", UtcDateTime, nullable=False),
    sa.Column("lease_run", sa.Text),
    sa.Column("lease_until", UtcDateTime),
    sa.Column("last_error", sa.Text),
    # It went out, but whether the server took it is not known: then it was sent again, and may have arrived twice.
    sa.Column("maybe_twice", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("subject", sa.Text),
    sa.Column("sent_at", UtcDateTime),
    sa.CheckConstraint("state IN ('waiting', 'sending', 'sent', 'undeliverable', 'withdrawn')", name="outbox_state"),
    sa.Index("outbox_due", "state", "next_attempt_at"),
    sa.Index("outbox_order", "order_id"),
)

ticket_place = sa.Table(
    "ticket_place",
    metadata,
    # The primary key is what makes a second ticket for the same place impossible, whatever the program does.
    sa.Column("order_item_id", Id, primary_key=True, autoincrement=False),
    sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("order_id", Id, nullable=False),
    sa.Column("ticket_id", Id, nullable=False, unique=True),
    sa.Column("ticket_number", sa.Text, nullable=False, unique=True),
    sa.CheckConstraint("place >= 1", name="ticket_place_counts_from_one"),
    sa.Index("ticket_place_order", "order_id"),
)

fulfilment = sa.Table(
    "fulfilment",
    metadata,
    sa.Column("order_id", Id, primary_key=True, autoincrement=False),
    # Unique: a payment that fulfilled one order can never fulfil another, whatever the shop's rows say.
    sa.Column("checkout_id", sa.Text, nullable=False, unique=True),
    sa.Column("transaction_id", sa.Text, unique=True),
    sa.Column("transaction_code", sa.Text),
    # What went into the order's transaction_id and paid_at, to be put back when the shop overwrites them.
    sa.Column("order_transaction_id", sa.Text, nullable=False),
    sa.Column("paid_at", UtcDateTime, nullable=False),
    sa.Column("amount", sa.Numeric(12, 3), nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("merchant_code", sa.Text, nullable=False),
    # paypoll, or shop: who had issued the tickets.
    sa.Column("issued_by", sa.Text, nullable=False),
    sa.Column("fulfilled_at", UtcDateTime, nullable=False),
    sa.Column("run_id", sa.Text),
    # A person issued the tickets although SumUp's answer did not match.
    sa.Column("by_person", sa.Boolean, nullable=False, server_default=sa.false()),
    # What tells this order from another of the same id.
    sa.Column("order_number", sa.Text),
)

trouble = sa.Table(
    "trouble",
    metadata,
    # sumup_silent, smtp_down, cannot_print:<kind>, not_allowed:<merchant>: something that lasts, told once and once
    # more when it is over.
    sa.Column("key", sa.Text, primary_key=True),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("last_seen_at", UtcDateTime, nullable=False),
    sa.Column("told_at", UtcDateTime),
    sa.Column("detail", sa.Text, nullable=False),
)

run = sa.Table(
    "run",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("command", sa.Text, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("started_at", UtcDateTime, nullable=False),
    sa.Column("ended_at", UtcDateTime),
    # finished, incomplete, out_of_time, stopped, failed; NULL: under way, or killed.
    sa.Column("ended", sa.Text),
    sa.Column("counts", Json),
    sa.Index("run_started", "started_at"),
)

lease = sa.Table(
    "lease",
    metadata,
    # organiser-token:<profile>: what one run on all hosts may do at a time, also while no transaction is open.
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),
    # By the database's clock. A holder that lives prolongs it in time.
    sa.Column("until", UtcDateTime, nullable=False),
)

oldest = sa.Table(
    # The name is that of Alembic's own table in 0.1.0, which runs on tables of its own version alone and reads it here.
    "alembic_version",
    metadata,
    # The oldest migration whose release still works on these tables; see `paypoll.state.upgrade`.
    sa.Column("version_num", sa.String(32), primary_key=True),
)
