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
    # Of a PAID one, the payment: SumUp's list of payments names no checkout.
    sa.Column("transaction_id", sa.Text),
    sa.Index("checkout_seen_transaction", "transaction_id"),
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
    # confirmation, late_confirmation, payment_failed, under_review, refund, event_listed, organiser_orders, alert
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

listing_fee = sa.Table(
    "listing_fee",
    metadata,
    # The shop's payment_reference, which is random: no restored shop gives it out again.
    sa.Column("reference", sa.Text, primary_key=True),
    # open, failed, expired, review, paid: the shop has no words for most of it.
    sa.Column("state", sa.Text, nullable=False, server_default=sa.text("'open'")),
    # The fee's payment_status, and the checkout that it names, as of the last look: look at once when they differ.
    sa.Column("status", sa.Text),
    sa.Column("named_checkout", sa.Text),
    sa.Column("first_seen_at", UtcDateTime, nullable=False),
    # When it came into its state.
    sa.Column("settled_at", UtcDateTime),
    # NULL: it is not followed any more, unless it is tried anew, or somebody changes it.
    sa.Column("next_check_at", UtcDateTime),
    sa.Column("last_checked_at", UtcDateTime),
    sa.Column("last_run", sa.Text),
    sa.Column("last_answer", sa.Text),
    sa.Column("checks", sa.Integer, nullable=False, server_default=sa.text("0")),
    sa.Column("lease_run", sa.Text),
    sa.Column("lease_until", UtcDateTime),
    # The checkouts seen at SumUp, as `checkout_seen` has them of orders, by their ids.
    sa.Column("seen", Json),
    # The payment that was taken for it. Unique: none is taken for two.
    sa.Column("checkout_id", sa.Text, unique=True),
    sa.Column("transaction_id", sa.Text, unique=True),
    sa.Column("transaction_code", sa.Text),
    sa.Column("paid_at", UtcDateTime),
    sa.Column("taken_at", UtcDateTime),
    sa.Column("amount", sa.Numeric(12, 3)),
    sa.Column("currency", sa.Text),
    sa.Column("merchant_code", sa.Text),
    sa.CheckConstraint("state IN ('open', 'failed', 'expired', 'review', 'paid')", name="listing_fee_state"),
    sa.Index("listing_fee_next_check", "next_check_at"),
)

trouble = sa.Table(
    "trouble",
    metadata,
    # sumup_silent, smtp_down, cannot_print:<kind>, not_allowed:<merchant>: something that lasts, told once, again
    # every `alerts.remind_every`, and most of it once more when it is over.
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
    # finished, incomplete, out_of_time, stopped, failed; unknown: restored; NULL: under way, or killed.
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

ledger_cursor = sa.Table(
    "ledger_cursor",
    metadata,
    # How far SumUp's list of a merchant's transactions was read.
    sa.Column("merchant_code", sa.Text, primary_key=True),
    # Everything that changed before this, by SumUp's clock, was read; the next sweep begins a little earlier.
    sa.Column("read_until", UtcDateTime),
    # When a sweep came to its end; the next is due `ledger.every` later.
    sa.Column("swept_at", UtcDateTime),
    # When SumUp was last asked, also in vain.
    sa.Column("asked_at", UtcDateTime),
    # When the payments of the last days were all listed again, to see whether one is gone.
    sa.Column("looked_back_at", UtcDateTime),
    # The sweep under way: since when it lists changes, when it began, and its next page. A run that is killed, or
    # whose time is up, leaves the rest to the next.
    sa.Column("sweep_since", UtcDateTime),
    sa.Column("sweep_began_at", UtcDateTime),
    sa.Column("next_page", sa.Text),
    # The transactions that were judged already of that page, where the time was up amid it.
    sa.Column("page_done", Json),
    # Why the list could not be read the last time: a credential without the scope, mostly.
    sa.Column("refused", sa.Text),
)

ledger_entry = sa.Table(
    "ledger_entry",
    metadata,
    # A payment of an order as SumUp's list last showed it. No row stands for what is somebody else's.
    sa.Column("transaction_id", sa.Text, primary_key=True),
    sa.Column("merchant_code", sa.Text, nullable=False),
    sa.Column("transaction_code", sa.Text),
    sa.Column("order_id", Id),
    # Without a tip: nothing is left of it once so much went back.
    sa.Column("amount", sa.Numeric(12, 3), nullable=False),
    sa.Column("returned", sa.Numeric(12, 3), nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("paid_at", UtcDateTime),
    sa.Column("seen_at", UtcDateTime, nullable=False),
    sa.Index("ledger_entry_order", "order_id"),
)

finding = sa.Table(
    "finding",
    metadata,
    # What SumUp's ledger and the orders do not agree about.
    sa.Column("id", Id, primary_key=True),
    # What makes two sightings the same finding: kind, transaction or order, and the amount that went back.
    sa.Column("key", sa.Text, nullable=False, unique=True),
    # See paypoll.payments.ledger.FindingKind.
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("merchant_code", sa.Text, nullable=False),
    # NULL when it is about an order alone.
    sa.Column("transaction_id", sa.Text),
    sa.Column("transaction_code", sa.Text),
    # NULL when nobody knows whose payment it is.
    sa.Column("order_id", Id),
    sa.Column("order_number", sa.Text),
    # What it is about: the payment, or what went back of it.
    sa.Column("amount", sa.Numeric(12, 3), nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    sa.Column("first_seen_at", UtcDateTime, nullable=False),
    # When its alert, or the summary that it stands in, was posted.
    sa.Column("told_at", UtcDateTime),
    sa.Column("closed_at", UtcDateTime),
    # paypoll, or the person.
    sa.Column("closed_by", sa.Text),
    sa.Column("closed_why", sa.Text),
    sa.Column("detail", Json, nullable=False),
    sa.Index("finding_open", "first_seen_at", postgresql_where=sa.text("closed_at IS NULL")),
    sa.Index("finding_order", "order_id"),
    sa.Index("finding_transaction", "transaction_id"),
)

_OPEN_REFUND = sa.text("state IN ('intended', 'asked')")
_MONEY = sa.Numeric(12, 3)

refund = sa.Table(
    "refund",
    metadata,
    sa.Column("id", Id, primary_key=True),
    sa.Column("order_id", Id, nullable=False),
    # What tells this order from another of the same id.
    sa.Column("order_number", sa.Text, nullable=False),
    sa.Column("checkout_id", sa.Text, nullable=False),
    sa.Column("transaction_id", sa.Text, nullable=False),
    sa.Column("merchant_code", sa.Text, nullable=False),
    sa.Column("amount", _MONEY, nullable=False),
    sa.Column("currency", sa.Text, nullable=False),
    # The numbers of the tickets that it voids.
    sa.Column("tickets", Json, nullable=False),
    # Its payment is another than the one that bought the tickets.
    sa.Column("beside", sa.Boolean, nullable=False),
    sa.Column("who", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
    # See `paypoll.payments.refunding.RefundState`.
    sa.Column("state", sa.Text, nullable=False),
    # How the transaction stood when the refund was asked for.
    sa.Column("refunded_before", _MONEY, nullable=False),
    sa.Column("charged_back_before", _MONEY, nullable=False),
    sa.Column("returning_before", _MONEY, nullable=False),
    sa.Column("failed_before", _MONEY, nullable=False),
    sa.Column("created_at", UtcDateTime, nullable=False),
    sa.Column("changed_at", UtcDateTime, nullable=False),
    # When the next run looks at its transaction; NULL once it has ended.
    sa.Column("next_look_at", UtcDateTime),
    # The admins were told that it does not show.
    sa.Column("told", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("note", sa.Text, nullable=False, server_default=sa.text("''")),
    sa.CheckConstraint("amount > 0", name="refund_amount"),
    sa.CheckConstraint(
        "state IN ('intended', 'asked', 'done', 'withdrawn', 'refused', 'failed', 'unseen')", name="refund_state"
    ),
    sa.CheckConstraint(
        "(state IN ('intended', 'asked')) = (next_look_at IS NOT NULL)", name="refund_is_followed_while_open"
    ),
    sa.Index("refund_order", "order_id"),
    sa.Index("refund_next_look", "next_look_at"),
    # One at a time of a payment: two that are open could not be told apart in its transaction.
    sa.Index("refund_open", "transaction_id", unique=True, postgresql_where=_OPEN_REFUND, sqlite_where=_OPEN_REFUND),
)

pause = sa.Table(
    "pause",
    metadata,
    # all, event:<id>, order:<id>: what runs leave alone until a person resumes it.
    sa.Column("scope", sa.Text, primary_key=True),
    sa.Column("everything", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("event_id", Id),
    sa.Column("order_id", Id),
    sa.Column("since", UtcDateTime, nullable=False),
    sa.Column("by_whom", sa.Text, nullable=False),
    sa.Column("reason", sa.Text, nullable=False),
)

oldest = sa.Table(
    # The name is that of Alembic's own table in 0.1.0, which runs on tables of its own version alone and reads it here.
    "alembic_version",
    metadata,
    # The oldest migration whose release still works on these tables; see `paypoll.state.upgrade`.
    sa.Column("version_num", sa.String(32), primary_key=True),
)
