"""Make and upgrade paypoll's own tables. Alembic is imported only here and only when it is needed.

Two numbers say what the tables are: `schema_version` holds the newest migration that was made, `alembic_version` the
oldest one whose release still works on them. So an upgrade can be done while the last release still runs, on this host
or another, and the last release can be put back. docs/contributing.md has the rule for migrations that follows.
"""

import sqlalchemy as sa

from paypoll.database import SCHEMA, transaction
from paypoll.errors import SchemaError
from paypoll.shop.schema_check import require_known_schema
from paypoll.state.marks import HOW_TO_BEGIN_ANEW, bears_marks
from paypoll.state.tables import oldest

HEAD = "0010"
"""The newest migration, named here so that a run need not load Alembic to know it. A test keeps it true."""

OLDEST = "0001"
"""The HEAD of the oldest release that works on the tables as HEAD leaves them. A release older than it refuses to run.

At most one release back: it becomes the HEAD of the last release when a migration takes away what that one no longer
uses.
"""

_NEWEST_TABLE = "schema_version"
newest = sa.table(_NEWEST_TABLE, sa.column("version_num", sa.Text), schema=SCHEMA)


def current_version(connection: sa.Connection) -> str | None:
    """Return the newest migration of paypoll's own tables, or None when they are not there."""
    inspector = sa.inspect(connection)
    if inspector.has_table(_NEWEST_TABLE, schema=SCHEMA):
        return connection.scalar(sa.select(newest.c.version_num))
    if inspector.has_table(oldest.name, schema=SCHEMA):  # 0.1.0 made them, and had the one number for both
        return connection.scalar(sa.select(oldest.c.version_num))
    return None


def next_step(connection: sa.Connection, version: str | None) -> str:
    """Return what has to be done before this paypoll can work on tables of this version; empty when it can."""
    if version == HEAD:
        return ""
    if version is None or version < HEAD:
        return "run `paypoll db upgrade`"
    works_from = connection.scalar(sa.select(oldest.c.version_num))
    return "" if works_from is not None and works_from <= HEAD else "install the newer paypoll that made them"


def require_current(connection: sa.Connection) -> None:
    """Raise SchemaError unless this paypoll works on its own tables as they are."""
    version = current_version(connection)
    if version is None and bears_marks(connection):
        raise SchemaError(
            "paypoll's own tables are gone, but the shop's orders bear its marks, and tickets could be issued twice: "
            f"{HOW_TO_BEGIN_ANEW}"
        )
    if step := next_step(connection, version):
        there = f"are of version {version}, this paypoll needs {HEAD}" if version else "are not there yet"
        raise SchemaError(f"paypoll's own tables {there}: {step}")


def upgrade(connection: sa.Connection, target: str = HEAD) -> tuple[str | None, str]:
    """Bring paypoll's own tables to this version, in the caller's transaction; return the old and the new version.

    Two upgrades at once are one after the other: the second finds nothing to do. `target`: an earlier version, for the
    rows of a backup of that one.
    """
    from alembic import command
    from alembic.config import Config

    if connection.dialect.name == "postgresql":
        lock_tables(connection)
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
    if before is not None and not sa.inspect(connection).has_table(_NEWEST_TABLE, schema=SCHEMA):
        command.stamp(config, before)
    command.upgrade(config, target)
    note_oldest(connection, OLDEST)
    return before, target


def lock_tables(connection: sa.Connection) -> None:
    """Let nobody else make or upgrade paypoll's own tables until the transaction ends."""
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(hashtext('paypoll.upgrade'))"))


def oldest_version(connection: sa.Connection) -> str:
    """Return the oldest version whose release still works on the tables as they are."""
    return connection.scalar(sa.select(oldest.c.version_num)) or OLDEST


def note_oldest(connection: sa.Connection, version: str) -> None:
    """Write down the oldest version whose release still works on the tables."""
    oldest.create(connection, checkfirst=True)
    connection.execute(sa.delete(oldest))
    connection.execute(sa.insert(oldest).values(version_num=version))


def require_ready(engine: sa.Engine) -> None:
    """Raise SchemaError unless the shop's tables and paypoll's own are those of this version."""
    with transaction(engine) as connection:
        require_known_schema(connection)
        require_current(connection)
