"""A copy of paypoll's own tables, rows and rights, and the way back.

The rows are in the format of PostgreSQL's COPY, which pg_dump uses too; the tables are not in it: the migrations make
them, at the version that the rows are of. So a backup needs no program beside paypoll, of no particular version, no
more rights than paypoll's role has, and can be brought to a later schema.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import IO, Any

import psycopg2  # type: ignore[import-untyped]  # it has no types of its own
import sqlalchemy as sa
from alembic.util import CommandError
from psycopg2 import errors, sql

import paypoll
from paypoll.database import SCHEMA
from paypoll.errors import DatabaseUnavailableError, RefusedError, SchemaError, SettingsError
from paypoll.state.backup_file import BackedUpTable, Backup, BackupWriter, Grant, Manifest
from paypoll.state.tables import metadata, oldest
from paypoll.state.upgrade import HEAD, current_version, lock_tables, note_oldest, oldest_version, upgrade

_VERSIONS = ("schema_version", oldest.name)
_OURS = frozenset(table.name for table in metadata.tables.values()) - {*_VERSIONS}
_RIGHTS = frozenset({"SELECT", "INSERT", "UPDATE", "DELETE", "TRUNCATE", "REFERENCES", "TRIGGER", "USAGE", "CREATE"})

_TABLES = sa.text(
    "SELECT relname, has_table_privilege(oid, 'SELECT') FROM pg_class"
    " WHERE relnamespace = CAST(:schema AS regnamespace) AND relkind = 'r' ORDER BY relname"
)
_COLUMNS = sa.text(
    "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped"
    " AND attgenerated = '' ORDER BY attnum"
)
_SEQUENCE = sa.text("SELECT pg_get_serial_sequence(:table, 'id')")
_LAST_ID = sa.text("SELECT pg_sequence_last_value(CAST(:sequence AS regclass))")
_SET_LAST_ID = sa.text("SELECT setval(CAST(:sequence AS regclass), :last)")
_GRANTS = sa.text("""
    WITH given AS (
        SELECT 'SCHEMA' AS kind, nspname AS name, NULL AS part, nspowner AS owner, nspacl AS acl
        FROM pg_namespace WHERE nspname = :schema
        UNION ALL
        SELECT CASE relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END, relname, NULL, relowner, relacl
        FROM pg_class WHERE relnamespace = CAST(:schema AS regnamespace) AND relkind IN ('r', 'S')
        UNION ALL
        SELECT 'TABLE', relname, attname, relowner, attacl
        FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid AND NOT attisdropped
        WHERE relnamespace = CAST(:schema AS regnamespace) AND relkind = 'r'
    )
    SELECT kind, name, part, rolname, privilege_type, is_grantable
    FROM given CROSS JOIN LATERAL aclexplode(acl) AS one LEFT JOIN pg_roles ON pg_roles.oid = one.grantee
    WHERE one.grantee <> owner
    ORDER BY kind, name, part, rolname, privilege_type
""")
_FUNCTIONS = sa.text(
    "SELECT CAST(CAST(oid AS regprocedure) AS text) FROM pg_proc"
    " WHERE pronamespace = CAST(:schema AS regnamespace) AND proname = 'refuse_change'"
)
_ROLES = sa.text("SELECT rolname FROM pg_roles")


@dataclass(frozen=True, slots=True)
class Restored:
    """What came of it: `version` is that of the tables now.

    `left_out`: tables in the backup that paypoll does not know; `missing_roles` had rights and are not on this server.
    """

    version: str
    rows: int
    left_out: tuple[str, ...]
    missing_roles: tuple[str, ...]


def back_up(connection: sa.Connection, writer: BackupWriter, now: datetime) -> Manifest:
    """Write all rows of schema `paypoll` as they are at one moment. The transaction must have just begun.

    Raise SchemaError when there are no tables.
    """
    # What a run changes meanwhile is not seen, and nobody waits for us. Large tables take longer than a statement may.
    connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SET LOCAL statement_timeout = 0")
    version = current_version(connection)
    if version is None:
        raise SchemaError("paypoll's own tables are not there: there is nothing to back up")
    there = connection.execute(_TABLES, {"schema": SCHEMA}).all()
    tables = [
        _copy_out(connection, writer, name)
        for name, readable in there
        if name not in _VERSIONS and (readable or name in _OURS)
    ]
    manifest = Manifest(
        version=version,
        oldest=oldest_version(connection),
        dialect=connection.dialect.name,
        database=str(connection.scalar(sa.select(sa.func.current_database()))),
        paypoll=paypoll.__version__,
        taken_at=now,
        tables=tuple(tables),
        grants=tuple(Grant(*row) for row in connection.execute(_GRANTS, {"schema": SCHEMA})),
    )
    writer.describe(manifest)
    return manifest


def rows_there(connection: sa.Connection) -> bool:
    """Say whether paypoll's own tables hold anything."""
    inspector = sa.inspect(connection)
    names = _OURS & set(inspector.get_table_names(schema=SCHEMA)) if inspector.has_schema(SCHEMA) else set()
    tables = (sa.table(name, schema=SCHEMA) for name in sorted(names))
    return any(connection.scalar(sa.select(sa.exists().select_from(table))) for table in tables)


def counted(connection: sa.Connection) -> tuple[BackedUpTable, ...]:
    """Return how many rows the tables have, where the rows are copied otherwise."""
    there = set(sa.inspect(connection).get_table_names(schema=SCHEMA))
    count = sa.select(sa.func.count())
    return tuple(
        BackedUpTable(name, (), connection.scalar(count.select_from(sa.table(name, schema=SCHEMA))) or 0)
        for name in sorted(_OURS & there)
    )


def put_back(connection: sa.Connection, backup: Backup, *, target: str = HEAD) -> Restored:
    """Replace paypoll's own tables by those of the backup, in the caller's transaction; `target` is their version then.

    Raise RefusedError when the backup is of another kind of database, newer than this paypoll, or not whole.
    """
    manifest = backup.manifest
    require_fitting(manifest, connection.dialect.name)
    lock_tables(connection)
    connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
    last_ids = _take_away(connection)
    try:
        upgrade(connection, manifest.version)
    except CommandError as error:
        raise RefusedError(f"the backup names a version of the tables that never was: {manifest.version}") from error
    known = set(sa.inspect(connection).get_table_names(schema=SCHEMA))
    kept = [table for table in manifest.tables if table.name in known]
    for table in kept:
        _copy_in(connection, backup, table)
        _go_on_counting(connection, table, last_ids.get(table.name))
    missing = _give_rights(connection, manifest.grants, {table.name for table in kept})
    if target > manifest.version:
        upgrade(connection, target)
    else:
        note_oldest(connection, manifest.oldest)
    left_out = tuple(table.name for table in manifest.tables if table.name not in known)
    return Restored(target, sum(table.rows for table in kept), left_out, missing)


def require_fitting(manifest: Manifest, dialect: str) -> None:
    """Raise RefusedError unless this paypoll can put the backup into a database of this kind."""
    if manifest.dialect != dialect:
        raise RefusedError(f"the backup is of {manifest.dialect}, and database.url names {dialect}")
    if manifest.version > HEAD:
        raise RefusedError(
            f"the backup is of version {manifest.version} of the tables, and this paypoll knows {HEAD}: install "
            f"paypoll {manifest.paypoll}, which made it"
        )


def _copy_out(connection: sa.Connection, writer: BackupWriter, name: str) -> BackedUpTable:
    columns = tuple(connection.scalars(_COLUMNS, {"table": f"{SCHEMA}.{_quoted(name)}"}))
    statement = sql.SQL("COPY {} ({}) TO STDOUT").format(_table(name), _names(columns))
    with writer.member(_member(name)) as file:
        rows = _copy(connection, statement, file)
    sequence = _sequence_of(connection, name) if "id" in columns else None
    last_id = connection.scalar(_LAST_ID, {"sequence": sequence}) if sequence else None
    return BackedUpTable(name, columns, rows, last_id)


def _copy_in(connection: sa.Connection, backup: Backup, table: BackedUpTable) -> None:
    there = set(connection.scalars(_COLUMNS, {"table": f"{SCHEMA}.{_quoted(table.name)}"}))
    if unknown := sorted(set(table.columns) - there):
        raise RefusedError(f"the backup does not fit: {table.name} has no column {', '.join(unknown)}")
    statement = sql.SQL("COPY {} ({}) FROM STDIN").format(_table(table.name), _names(table.columns))
    with backup.member(_member(table.name)) as file:
        rows = _copy(connection, statement, file)
    if rows != table.rows:
        raise RefusedError(f"the backup is not whole: {table.name} has {rows} rows of {table.rows}")


def _go_on_counting(connection: sa.Connection, table: BackedUpTable, before: int | None) -> None:
    """Let no id be given out a second time: neither one of the backup, nor one of the tables that were replaced."""
    sequence = _sequence_of(connection, table.name) if "id" in table.columns else None
    if sequence is None:
        return
    highest = connection.scalar(
        sa.select(sa.func.max(sa.column("id", sa.BigInteger))).select_from(sa.table(table.name, schema=SCHEMA))
    )
    if last := max(table.last_id or 0, before or 0, highest or 0):
        connection.execute(_SET_LAST_ID, {"sequence": sequence, "last": last})


def _take_away(connection: sa.Connection) -> dict[str, int]:
    """Drop paypoll's own tables, and return the last ids that they gave out. What hangs on them stops it.

    The schema itself stays, with whatever else somebody has put into it.
    """
    has_schema = sa.inspect(connection).has_schema(SCHEMA)
    there = sa.inspect(connection).get_table_names(schema=SCHEMA) if has_schema else []
    names = [name for name in there if name in _OURS or name in _VERSIONS]
    last_ids = {}
    for name in names:
        columns = set(connection.scalars(_COLUMNS, {"table": f"{SCHEMA}.{name}"}))
        if "id" in columns and (sequence := _sequence_of(connection, name)):
            last_ids[name] = connection.scalar(_LAST_ID, {"sequence": sequence}) or 0
    if names:
        tables = sql.SQL(", ").join(map(_table, names))
        with _in_our_words():
            _execute(connection, sql.SQL("DROP TABLE {}").format(tables))
            for function in connection.scalars(_FUNCTIONS, {"schema": SCHEMA}).all():
                connection.exec_driver_sql(f"DROP FUNCTION {function}")
    return last_ids


def _give_rights(connection: sa.Connection, grants: tuple[Grant, ...], tables: set[str]) -> tuple[str, ...]:
    """Give the roles that are there what they had, and return the others."""
    roles = set(connection.scalars(_ROLES))
    sequences = set(sa.inspect(connection).get_sequence_names(schema=SCHEMA))
    missing = set()
    for grant in grants:
        there = {"SCHEMA": {SCHEMA}, "TABLE": tables | {*_VERSIONS}, "SEQUENCE": sequences}.get(grant.kind, set())
        if grant.name not in there or grant.right not in _RIGHTS:
            continue
        if grant.role is not None and grant.role not in roles:
            missing.add(grant.role)
            continue
        statement = sql.SQL("GRANT {}{} ON {} {} TO {}{}").format(
            sql.SQL(grant.right),
            sql.SQL(" ({})").format(sql.Identifier(grant.column)) if grant.column else sql.SQL(""),
            sql.SQL(grant.kind),
            sql.Identifier(SCHEMA) if grant.kind == "SCHEMA" else _table(grant.name),
            sql.SQL("PUBLIC") if grant.role is None else sql.Identifier(grant.role),
            sql.SQL(" WITH GRANT OPTION") if grant.grantable else sql.SQL(""),
        )
        _execute(connection, statement)
    return tuple(sorted(missing))


def _sequence_of(connection: sa.Connection, table: str) -> str | None:
    sequence: str | None = connection.scalar(_SEQUENCE, {"table": f"{SCHEMA}.{_quoted(table)}"})
    return sequence


def _member(table: str) -> str:
    return f"rows/{table}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def _table(name: str) -> sql.Composable:
    return sql.Identifier(SCHEMA, name)


def _names(columns: tuple[str, ...]) -> sql.Composable:
    return sql.SQL(", ").join(map(sql.Identifier, columns))


def _execute(connection: sa.Connection, statement: sql.Composable) -> None:
    connection.exec_driver_sql(statement.as_string(_driver(connection)))


def _driver(connection: sa.Connection) -> Any:
    return connection.connection.driver_connection


def _copy(connection: sa.Connection, statement: sql.Composable, file: IO[bytes]) -> int:
    """Copy rows to or from the file, and return their number."""
    with _in_our_words(), _driver(connection).cursor() as cursor:
        cursor.copy_expert(statement, file)
        return int(cursor.rowcount)


@contextmanager
def _in_our_words() -> Iterator[None]:
    """Raise what PostgreSQL says as the errors that the rest of paypoll knows.

    These statements go past SQLAlchemy, or fail for what is in the backup.
    """
    try:
        yield
    except (psycopg2.Error, sa.exc.DBAPIError) as error:
        original = getattr(error, "orig", error)
        words = _first_line(original)
        for kinds, made in _KINDS:
            if isinstance(original, kinds):
                raise made(words) from error
        raise


def _first_line(error: BaseException) -> str:
    return getattr(getattr(error, "diag", None), "message_primary", None) or str(error).strip().partition("\n")[0]


_KINDS: tuple[tuple[Any, Callable[[str], Exception]], ...] = (
    (
        errors.InsufficientPrivilege,
        lambda words: SettingsError([f"the database refuses: {words}"], source="[database]"),
    ),
    (
        errors.DependentObjectsStillExist,
        lambda words: RefusedError(f"{words}: something of yours hangs on the tables; drop it, and make it anew after"),
    ),
    (
        (psycopg2.DataError, psycopg2.IntegrityError),
        lambda words: RefusedError(f"the backup does not fit the tables: {words}"),
    ),
    (psycopg2.OperationalError, lambda words: DatabaseUnavailableError(f"the database: {words}")),
)
