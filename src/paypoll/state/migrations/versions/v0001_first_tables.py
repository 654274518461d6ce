"""The first tables.

A migration says what was then: it shares nothing with `paypoll.state.tables`, which says what is now.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

from paypoll.database import SCHEMA, UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_MAIL_STATES = "state IN ('waiting', 'sending', 'sent', 'undeliverable', 'withdrawn')"
_JSON = sa.JSON().with_variant(JSONB, "postgresql")


def upgrade() -> None:
    """Make the tables, and forbid changes of the audit trail."""
    _make_watch()
    _make_audit()
    _make_outbox()
    _make_fulfilment()
    _make_trouble_and_run()
    _forbid_changes_of_the_audit_trail()


def downgrade() -> None:
    """Refuse: the tables hold the audit trail. Drop the schema `paypoll` by hand if it is really to go."""
    raise NotImplementedError("paypoll's first migration cannot be undone: it would destroy the audit trail")


def _make_watch() -> None:
    op.create_table(
        "watch",
        sa.Column("order_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("status", sa.Text),
        sa.Column("first_seen_at", UtcDateTime, nullable=False),
        sa.Column("settled_at", UtcDateTime),
        sa.Column("next_check_at", UtcDateTime),
        sa.Column("last_checked_at", UtcDateTime),
        sa.Column("last_run", sa.Text),
        sa.Column("last_answer", sa.Text),
        sa.Column("checks", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("missing_checks", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("lease_run", sa.Text),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("stuck_told_at", UtcDateTime),
        schema=SCHEMA,
    )
    op.create_index("watch_next_check", "watch", ["next_check_at"], schema=SCHEMA)
    op.create_index("watch_settled", "watch", ["settled_at"], schema=SCHEMA)


def _make_audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("at", UtcDateTime, nullable=False),
        sa.Column("run_id", sa.Text),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("order_id", _ID),
        sa.Column("order_number", sa.Text),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("explanation", sa.Text, nullable=False),
        sa.Column("status_from", sa.Text),
        sa.Column("status_to", sa.Text),
        sa.Column("evidence", _JSON),
        schema=SCHEMA,
    )
    op.create_index("audit_order", "audit", ["order_id", "id"], schema=SCHEMA)


def _make_outbox() -> None:
    op.create_table(
        "outbox",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("order_id", _ID),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("topic", sa.Text),
        sa.Column("dedupe_key", sa.Text, nullable=False, unique=True),
        sa.Column("recipients", _JSON, nullable=False),
        sa.Column("content", _JSON, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("message_id", sa.Text, nullable=False, unique=True),
        sa.Column("created_at", UtcDateTime, nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False, server_default=sa.text("0")),
        sa.Column("next_attempt_at", UtcDateTime, nullable=False),
        sa.Column("lease_run", sa.Text),
        sa.Column("lease_until", UtcDateTime),
        sa.Column("last_error", sa.Text),
        sa.Column("maybe_twice", sa.Boolean, nullable=False, server_default=sa.false()),
        sa.Column("subject", sa.Text),
        sa.Column("sent_at", UtcDateTime),
        sa.CheckConstraint(_MAIL_STATES, name="outbox_state"),
        schema=SCHEMA,
    )
    op.create_index("outbox_due", "outbox", ["state", "next_attempt_at"], schema=SCHEMA)
    op.create_index("outbox_order", "outbox", ["order_id"], schema=SCHEMA)


def _make_fulfilment() -> None:
    op.create_table(
        "ticket_place",
        sa.Column("order_item_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("place", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("order_id", _ID, nullable=False),
        sa.Column("ticket_id", _ID, nullable=False, unique=True),
        sa.Column("ticket_number", sa.Text, nullable=False, unique=True),
        sa.CheckConstraint("place >= 1", name="ticket_place_counts_from_one"),
        schema=SCHEMA,
    )
    op.create_index("ticket_place_order", "ticket_place", ["order_id"], schema=SCHEMA)
    op.create_table(
        "fulfilment",
        sa.Column("order_id", _ID, primary_key=True, autoincrement=False),
        sa.Column("checkout_id", sa.Text, nullable=False, unique=True),
        sa.Column("transaction_id", sa.Text, unique=True),
        sa.Column("transaction_code", sa.Text),
        sa.Column("order_transaction_id", sa.Text, nullable=False),
        sa.Column("paid_at", UtcDateTime, nullable=False),
        sa.Column("amount", sa.Numeric(12, 3), nullable=False),
        sa.Column("currency", sa.Text, nullable=False),
        sa.Column("merchant_code", sa.Text, nullable=False),
        sa.Column("issued_by", sa.Text, nullable=False),
        sa.Column("fulfilled_at", UtcDateTime, nullable=False),
        sa.Column("run_id", sa.Text),
        schema=SCHEMA,
    )


def _make_trouble_and_run() -> None:
    op.create_table(
        "trouble",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("since", UtcDateTime, nullable=False),
        sa.Column("last_seen_at", UtcDateTime, nullable=False),
        sa.Column("told_at", UtcDateTime),
        sa.Column("detail", sa.Text, nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "run",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("started_at", UtcDateTime, nullable=False),
        sa.Column("ended_at", UtcDateTime),
        sa.Column("ended", sa.Text),
        sa.Column("counts", _JSON),
        schema=SCHEMA,
    )
    op.create_index("run_started", "run", ["started_at"], schema=SCHEMA)


def _forbid_changes_of_the_audit_trail() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for event in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER {SCHEMA}.audit_no_{event.lower()} BEFORE {event} ON audit "
                "BEGIN SELECT RAISE(ABORT, 'the audit trail is append-only'); END"
            )
        return
    op.execute(
        f"CREATE FUNCTION {SCHEMA}.refuse_change() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit trail is append-only'; END $$"
    )
    op.execute(
        f"CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE ON {SCHEMA}.audit "
        f"FOR EACH ROW EXECUTE FUNCTION {SCHEMA}.refuse_change()"
    )
    op.execute(
        f"CREATE TRIGGER audit_no_truncate BEFORE TRUNCATE ON {SCHEMA}.audit "
        f"FOR EACH STATEMENT EXECUTE FUNCTION {SCHEMA}.refuse_change()"
    )
