"""The SQL that gives paypoll's database role what it needs, and takes everything else away."""

import re
import textwrap
from collections.abc import Sequence
from itertools import groupby

from paypoll.database import SCHEMA
from paypoll.state.rights import Need, inserted_with_sequence, needs

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")
_LONGEST = 63  # PostgreSQL cuts longer names, and would grant to another role than the one that was meant
_WIDTH = 110

_BEGIN = """\
BEGIN;

DO $grant$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = {literal}) THEN
        CREATE ROLE {role} {login};
    END IF;
    EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), {literal});
    EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', current_schema(), {literal});
END $grant$;
GRANT USAGE ON SCHEMA {schema} TO {role};
REVOKE ALL ON ALL TABLES IN SCHEMA {schema} FROM {role};
"""

_READERS = """\
-- A group of PostgreSQL's, {role}, whose members may look at all that paypoll looks at, and change nothing.
-- First run `paypoll db upgrade` as the owner of the shop's tables; then run this as the owner (or a superuser):
--     paypoll db grants --read-only{option} | psql --set ON_ERROR_STOP=1 shop
-- It may be run again, after each `paypoll db upgrade` at the latest.
-- Who logs in is a member: CREATE ROLE ada LOGIN IN ROLE {role}; on this machine the user ada needs no password then.

"""
_NO_SEQUENCES = "REVOKE ALL ON ALL SEQUENCES IN SCHEMA {schema} FROM {role};\n"

READERS = "paypoll_read"
"""The group of those who may only look, if nothing else is said."""

_HEAD = """\
-- Least privilege for paypoll's database role {role}.
-- First run `paypoll db upgrade` as the owner of the shop's tables; then run this as the owner (or a superuser):
--     paypoll db grants{option} | psql --set ON_ERROR_STOP=1 shop
-- It may be run again, after each `paypoll db upgrade` at the latest: what the role had before is taken away first.
-- The role is made without a password. Give it one in psql with: \\password {role}

"""

# An identity column needs no right on its sequence, an older shop's serial column does.
_SEQUENCES = """\
DO $grant$
DECLARE
    shop_table text;
    id_sequence text;
BEGIN
    FOREACH shop_table IN ARRAY ARRAY[{tables}] LOOP
        id_sequence := pg_get_serial_sequence(shop_table, 'id');
        IF id_sequence IS NOT NULL THEN
            EXECUTE format('GRANT USAGE ON SEQUENCE %s TO %I', id_sequence, {literal});
        END IF;
    END LOOP;
END $grant$;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA {schema} TO {role};

COMMIT;
"""


def grants_sql(role: str, *, refunds: bool = False, read_only: bool = False) -> str:
    """Return the statements for this role. Raise ValueError when no role can have the name.

    `refunds`: it may also write what a refund changes in the shop. `read_only`: it is a group that may only look.
    """
    # A dollar could end the quoted block early, and a backslash be read by psql.
    if not role or len(role.encode()) > _LONGEST or not role.isprintable() or set(role) & {"$", "\\"}:
        raise ValueError(f"a role's name has 1 to {_LONGEST} printable bytes, and neither $ nor a backslash")
    words = {"role": _identifier(role), "literal": _literal(role), "schema": SCHEMA}
    words["option"] = " --refunds" if refunds else ""
    if read_only:
        words["option"] = f" --role {role}" if role != READERS else ""
    wanted = needs(refunds=refunds, reading=read_only)
    shop_tables = dict.fromkeys(need.table for need in wanted if not need.table.startswith(f"{SCHEMA}."))
    said, begin = (_READERS, _BEGIN + _NO_SEQUENCES) if read_only else (_HEAD, _BEGIN)
    statements = [(said + begin).format(login="NOLOGIN" if read_only else "LOGIN", **words)]
    statements += [f"REVOKE ALL ON {table} FROM {words['role']};" for table in shop_tables]
    statements.append("")
    for table, of_table in groupby(wanted, key=lambda need: need.table):
        statements.append(f"GRANT\n    {_listed(tuple(of_table))}\n    ON {table} TO {words['role']};")
    statements.append("")
    if read_only:
        return "\n".join([*statements, "COMMIT;", ""])
    tables = ", ".join(map(_literal, inserted_with_sequence(refunds=refunds)))
    statements.append(_SEQUENCES.format(tables=tables, **words))
    return "\n".join(statements)


def _listed(needs: Sequence[Need]) -> str:
    return ",\n    ".join(need.right + (f" ({_folded(need.columns)})" if need.columns else "") for need in needs)


def _folded(columns: Sequence[str]) -> str:
    return textwrap.fill(", ".join(columns), _WIDTH, subsequent_indent=" " * 8, break_long_words=False)


def _identifier(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
