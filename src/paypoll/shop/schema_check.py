"""Compare the shop's database with the tables and columns that this version knows, before anything is changed."""

from typing import Any

import sqlalchemy as sa

from paypoll.errors import SchemaError
from paypoll.shop.tables import INSERTED, metadata


def schema_problems(connection: sa.Connection) -> list[str]:
    """Return what is wrong with the shop's tables, a sentence each that names the table and the column."""
    names = [table.name for table in metadata.sorted_tables]
    found = sa.inspect(connection).get_multi_columns(filter_names=names)
    columns = {table: {column["name"]: column for column in listed} for (_, table), listed in found.items()}
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
                for name, column in there.items()
                if name not in table.columns and _must_be_given(column)
            ]
    return problems


def require_known_schema(connection: sa.Connection) -> None:
    """Raise SchemaError, naming every column, unless the shop's tables are as paypoll knows them."""
    if problems := schema_problems(connection):
        raise SchemaError("; ".join(problems))


def _must_be_given(column: Any) -> bool:
    filled = column.get("default") is not None or column.get("identity") or column.get("computed")
    return not column["nullable"] and not filled
