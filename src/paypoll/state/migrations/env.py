"""Alembic's entry: runs the migrations on the connection that `paypoll.state.upgrade` hands over."""

from alembic import context

from paypoll.database import SCHEMA
from paypoll.state.tables import metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    version_table="schema_version",
    version_table_schema=SCHEMA,
    include_schemas=True,
    # Whole steps or nothing, also when the last of several fails.
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
