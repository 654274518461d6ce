"""Make and upgrade paypoll's own tables. Alembic is imported only here and only when it is needed."""

import sqlalchemy as sa

from paypoll.database import SCHEMA, transaction
from paypoll.errors import SchemaError
from paypoll.shop.schema import require_known_schema

HEAD = "0001"
"""The newest migration, named here so that a run need not load Alembic to know it. A test keeps it true."""

_version = sa.table("alembic_version", sa.column("version_num", sa.Text), schema=SCHEMA)


def current_version(connection: sa.Connection) -> str | None:
    """Return the version of paypoll's own tables, or None when they are not there."""
    if not sa.inspect(connection).has_table("alembic_version", schema=SCHEMA):
        return None
    return connection.scalar(sa.select(_version.c.version_num))


def require_current(connection: sa.Connection) -> None:
    """Raise SchemaError unless paypoll's own tables are of this version."""
    version = current_version(connection)
    if version is None:
        raise SchemaError("paypoll's own tables are not there yet: run `paypoll db upgrade`")
    if version != HEAD:
        hint = "run `paypoll db upgrade`" if version < HEAD else "a newer paypoll has upgraded them: install that one"
        raise SchemaError(f"paypoll's own tables are of version {version}, this paypoll needs {HEAD}: {hint}")


def upgrade(connection: sa.Connection) -> tuple[str | None, str]:
    """Bring paypoll's own tables to this version, in the caller's transaction; return the old and the new version.

    Two upgrades at once are one after the other: the second finds nothing to do.
    """
    from alembic import command
    from alembic.config import Config

    if connection.dialect.name == "postgresql":
        connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('paypoll.upgrade'))"))
        has_schema = connection.scalar(
            sa.text("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = :name"), {"name": SCHEMA}
        )
        if not has_schema:
            connection.execute(sa.schema.CreateSchema(SCHEMA))
    before = current_version(connection)
    if before is not None and before > HEAD:
        raise SchemaError(f"paypoll's own tables are of version {before}, newer than this paypoll ({HEAD})")
    config = Config()
    config.set_main_option("script_location", "paypoll.state:migrations")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    return before, HEAD


def require_ready(engine: sa.Engine) -> None:
    """Raise SchemaError unless the shop's tables and paypoll's own are those of this version."""
    with transaction(engine) as connection:
        require_known_schema(connection)
        require_current(connection)
