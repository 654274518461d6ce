"""Accounts of the shop's customers: whose an order is, and those that paypoll makes for guests.

paypoll's role may insert accounts and never change one: whoever can change a password can take over an admin's.
"""

import base64
import secrets
import string
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

import sqlalchemy as sa

from paypoll.database import insert_unless_there, lower_case
from paypoll.payments.order import Account, Order
from paypoll.shop.tables import orders, organisers, users

_ITERATIONS = 600_000
_SALT_LENGTH = 22
_DIGEST_BYTES = 32
_ALPHABET = string.ascii_letters + string.digits

_EMAILS: sa.BindParameter[str] = sa.bindparam("emails", expanding=True)
# By the unique index of the column; only who is not there is looked for among all accounts.
_AS_SPELLED, _IN_ANY_CASE = (
    sa.select(users.c.id, users.c.email).where(email.in_(_EMAILS)).order_by(users.c.id)
    for email in (users.c.email, lower_case(users.c.email))
)
# One guest at a time: the address is unique only byte for byte, and two orders may spell it in two ways.
_LOCK_GUEST = sa.select(sa.func.pg_advisory_xact_lock(sa.func.hashtextextended(sa.bindparam("guest"), 0)))


def accounts_with(connection: sa.Connection, emails: Iterable[str]) -> list[Account]:
    """Return the accounts that have these e-mails, in any case; where one is written exactly so, that one alone."""
    wanted = {email for email in emails if email}
    found: list[Account] = []
    if wanted:
        rows = connection.execute(_AS_SPELLED, {"emails": sorted(wanted)})
        found += [Account(user_id, email) for user_id, email in rows]
    if others := {email.lower() for email in wanted - {account.email for account in found}}:
        rows = connection.execute(_IN_ANY_CASE, {"emails": sorted(others)})
        found += [Account(user_id, email) for user_id, email in rows]
    return found


def emails_of(connection: sa.Connection, user_ids: Iterable[int]) -> dict[int, str]:
    """Return the e-mails of these accounts by their ids."""
    query = sa.select(users.c.id, users.c.email).where(users.c.id.in_(sorted(user_ids)))
    return {row.id: row.email for row in connection.execute(query)}


def names_and_email_of(connection: sa.Connection, user_id: int) -> tuple[frozenset[str], str] | None:
    """Return all that this organiser may be called, and the account's e-mail as it is now; None when it is gone."""
    query = (
        sa.select(
            users.c.email, users.c.first_name, users.c.last_name, organisers.c.business_name, organisers.c.display_name
        )
        .outerjoin(organisers, organisers.c.user_id == users.c.id)
        .where(users.c.id == user_id)
    )
    row = connection.execute(query).first()
    if row is None:
        return None
    person = f"{row.first_name or ''} {row.last_name or ''}".strip()
    names = {name for name in (person, row.business_name, row.display_name) if name}
    return frozenset(names or {""}), row.email


def account_of(email: str, accounts: Sequence[Account]) -> Account | None:
    """Return the account that has the e-mail, in any case; None when there is none.

    Where several accounts differ in case only, the one that is written exactly so goes first, then the oldest.
    """
    same = [account for account in accounts if account.email.lower() == email.lower()]
    return min(same, key=lambda one: (one.email != email, one.id), default=None)


def account_for_guest(connection: sa.Connection, order: Order, now: datetime) -> Account:
    """Return the account of a guest who had none when the order was read; make it unless it is there by now.

    The owner of the address gets in by the shop's reset mail, which goes to active accounts with a usable password;
    nobody else does, because nobody knows the password. A guest without an e-mail gets an address that belongs to the
    order alone, so that strangers do not share an account.

    Two runs with two orders of one new guest come here one after the other, and the second finds the first one's
    account, however each order spells the address.
    """
    email = order.email or f"{order.number.lower()}@guest.invalid"
    if connection.dialect.name == "postgresql":
        connection.execute(_LOCK_GUEST, {"guest": f"paypoll.guest:{email.lower()}"})
    if known := account_of(email, accounts_with(connection, [email])):
        return known
    row = {
        "password": unknown_password(),
        "last_login": None,
        "is_superuser": False,
        "first_name": order.first_name,
        "last_name": order.last_name,
        "email": email,
        "is_staff": False,
        "is_active": True,
        "date_joined": now,
        "user_type": "customer",
        "phone": "",
        "email_verified": False,
    }
    # The shop itself may register the address at this very moment: then both of us read its row.
    connection.execute(insert_unless_there(connection, users).values(row))
    user_id = connection.execute(sa.select(users.c.id).where(users.c.email == email)).scalar_one()
    return Account(int(user_id), email)


def unknown_password() -> str:
    """Return a password's hash in the shop's form that no password has: its digest is random, none was computed."""
    salt = "".join(secrets.choice(_ALPHABET) for _ in range(_SALT_LENGTH))
    digest = base64.b64encode(secrets.token_bytes(_DIGEST_BYTES)).decode()
    return f"pbkdf2_sha256${_ITERATIONS}${salt}${digest}"


# ---------------------------------------------------------------------------------------------------------
# For the owner of the tables, to put right what version 0.1.0 made (`paypoll.state.guest_repair`). No run comes here.
# ---------------------------------------------------------------------------------------------------------


def let_in(connection: sa.Connection, user_ids: Collection[int]) -> int:
    """Give each of these accounts, if it can still be entered by nobody, the form that `account_for_guest` makes."""
    changed = 0
    for user_id in sorted(user_ids):
        update = sa.update(users).where(users.c.id == user_id, locked_out())
        changed += connection.execute(update.values(is_active=True, password=unknown_password())).rowcount
    return changed


def give_owner(connection: sa.Connection, order_id: int, user_id: int, now: datetime) -> bool:
    """Set the order's account, unless it has one by now. False when it has."""
    update = sa.update(orders).where(orders.c.id == order_id, orders.c.user_id.is_(None))
    return connection.execute(update.values(user_id=user_id, updated_at=now)).rowcount == 1


def may_change_accounts(connection: sa.Connection) -> bool:
    """Say whether the connected role may change accounts, as the tables' owner may and paypoll's own must not."""
    if connection.dialect.name != "postgresql":
        return True
    asked = [
        sa.func.has_column_privilege(users.name, column, right)
        for column in ("password", "is_active")
        for right in ("SELECT", "UPDATE")
    ]
    return all(connection.execute(sa.select(*asked)).one())


def locked_out() -> sa.ColumnElement[bool]:
    """Return the form of an account that 0.1.0 made for a guest: a customer's, inactive, with no usable password."""
    return sa.and_(
        users.c.password.like("!%"),
        users.c.is_active.is_(False),
        users.c.user_type == "customer",
        users.c.is_staff.is_(False),
        users.c.is_superuser.is_(False),
        users.c.last_login.is_(None),
    )
