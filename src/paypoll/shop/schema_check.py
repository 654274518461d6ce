"""Compare the shop's database with the tables and columns that this version knows, before anything is changed."""

from collections.abc import Sequence

import sqlalchemy as sa

from paypoll.errors import SchemaError
from paypoll.shop.tables import INSERTED, metadata

# A column whose type is a domain has the domain's default, and is as strict.
_OF_POSTGRESQL = sa.text(
    """
    SELECT relation.relname, attribute.attname,
        (attribute.attnotnull OR type.typnotnull) AND NOT attribute.atthasdef
            AND attribute.attidentity = '' AND type.typdefault IS NULL
    FROM pg_catalog.pg_class relation
    JOIN pg_catalog.pg_attribute attribute ON attribute.attrelid = relation.oid
    JOIN pg_catalog.pg_type type ON type.oid = attribute.atttypid
    WHERE relation.relname = ANY (:names) AND relation.relkind IN ('r', 'p', 'f')
        AND pg_catalog.pg_table_is_visible(relation.oid)
        AND attribute.attnum > 0 AND NOT attribute.attisdropped
    """
)


def schema_problems(connection: sa.Connection) -> list[str]:
    """Return what is wrong with the shop's tables, a sentence each that names the table and the column."""
    columns = _columns(connection, [table.name for table in metadata.sorted_tables])
    problems = []
    for table in metadata.sorted_tables:
        if table.name not in columns:
            problems.append(f"the table {table.name} is missing from the shop's database")
            continue
        there = columns[table.name]
        problems += [
            f"the column {table.name}.{column.name} is missing: this is not the shop that paypoll knows"
            for column in table.columns
            if column.name not in there
        ]
        if table in INSERTED:
            problems += [
                f"the column {table.name}.{name} is new to paypoll, must not be empty and has no default: "
                "give it a default in the database, or use a version of paypoll that knows it"
                for name, must_be_given in there.items()
                if must_be_given and name not in table.columns
            ]
    return problems


def require_known_schema(connection: sa.Connection) -> None:
    """Raise SchemaError, naming every column, unless the shop's tables are as paypoll knows them."""
    if problems := schema_problems(connection):
        raise SchemaError("; ".join(problems))


def _columns(connection: sa.Connection, names: Sequence[str]) -> dict[str, dict[str, bool]]:
    """Return the columns of these tables, where they are there, and of each whether an INSERT must give it a value.

    Not by SQLAlchemy's inspector on PostgreSQL, which asks for much more, and every run comes here.
    """
    columns: dict[str, dict[str, bool]] = {}
    if connection.dialect.name == "postgresql":
        for table, name, must_be_given in connection.execute(_OF_POSTGRESQL, {"names": list(names)}):
            columns.setdefault(table, {})[name] = must_be_given
        return columns
    found = sa.inspect(connection).get_multi_columns(filter_names=names)
    for (_, table), listed in found.items():
        columns[table] = {one["name"]: not one["nullable"] and one.get("default") is None for one in listed}
    return columns
