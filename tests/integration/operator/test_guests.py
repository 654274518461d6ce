"""`paypoll db repair-guests`: what version 0.1.0 made of guests is put right, by the tables' owner and nobody else."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from paypoll.database import transaction
from paypoll.state.grants import grants_sql
from paypoll.testing import NOW

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.operator.conftest import Command, Desk

UNUSABLE = "!" + "x" * 40
ROLE = "paypoll_repair"


@pytest.fixture
def damaged(desk: "Desk", engine: sa.Engine) -> "Desk":
    """A shop after 0.1.0: ORD-1's guest is locked out, and the order has no account."""
    first = desk.place("ORD-1")
    desk.run()
    guest = desk.shop.rows("accounts_user", email="ord-1@example.org")[0]["id"]
    desk.shop.update("accounts_user", guest, is_active=False, password=UNUSABLE)
    with transaction(engine) as connection:
        connection.execute(sa.text("UPDATE orders_order SET user_id = NULL WHERE id = :id"), {"id": first})
    return desk


def account(desk: "Desk", email: str) -> dict[str, Any]:
    (row,) = desk.shop.rows("accounts_user", email=email)
    return row


def test_repair_lets_the_owner_of_the_address_in_and_gives_the_order_its_account(
    damaged: "Desk", paypoll: "Command"
) -> None:
    done = paypoll("db", "repair-guests", "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "Put right: 1 accounts, 1 orders."
    guest = account(damaged, "ord-1@example.org")
    assert (guest["is_active"], guest["password"][:14], guest["email_verified"]) == (True, "pbkdf2_sha256$", False)
    (order,) = damaged.shop.rows("orders_order")
    assert order["user_id"] == guest["id"]
    trail = [row for row in damaged.trail(order["id"]) if row["action"] == "repaired"]
    assert [row["actor"] for row in trail] == ["margot"]
    again = paypoll("db", "repair-guests", "--yes", "--json")
    assert json.loads(again.stdout) == {"schema": 1, "accounts": [], "orders": [], "repaired": None}
    assert account(damaged, "ord-1@example.org") == guest


@pytest.mark.parametrize(("option", "status"), [(("--dry-run",), 0), (("--dry-run", "--yes"), 0), ((), 2)])
def test_preview_shows_what_would_be_changed_and_changes_nothing(
    damaged: "Desk", paypoll: "Command", option: tuple[str, ...], status: int
) -> None:
    before = damaged.shop.rows("accounts_user"), damaged.shop.rows("orders_order")
    shown = paypoll("db", "repair-guests", *option)
    assert shown.returncode == status
    assert "ord-1@example.org (id" in shown.stdout
    assert "ORD-1: its tickets are for ord-1@example.org" in shown.stdout
    assert "othing was changed" in shown.stdout + shown.stderr
    assert (damaged.shop.rows("accounts_user"), damaged.shop.rows("orders_order")) == before


@pytest.mark.parametrize(
    "change",
    [
        {"is_active": True},
        {"password": "pbkdf2_sha256$1$s$d"},
        {"is_staff": True},
        {"is_superuser": True},
        {"user_type": "artist"},
        {"last_login": NOW},
        {"date_joined": NOW - timedelta(days=1)},
    ],
    ids=lambda change: next(iter(change)),
)
def test_account_that_differs_in_one_thing_from_what_0_1_0_made_is_left_alone(
    damaged: "Desk", paypoll: "Command", change: dict[str, Any]
) -> None:
    guest = account(damaged, "ord-1@example.org")
    damaged.shop.update("accounts_user", guest["id"], **change)
    before = account(damaged, "ord-1@example.org")
    assert paypoll("db", "repair-guests", "--yes").returncode == 0
    assert account(damaged, "ord-1@example.org") == before


@pytest.fixture
def least_url(engine: sa.Engine, database_url: str) -> "Iterator[str]":
    with transaction(engine) as connection:
        connection.exec_driver_sql(grants_sql(ROLE).replace("BEGIN;", "").replace("COMMIT;", "").replace("%", "%%"))
    yield database_url.replace("postgres@", f"{ROLE}@")
    with transaction(engine) as connection:
        connection.exec_driver_sql(f"DROP OWNED BY {ROLE}")


def test_paypolls_own_role_is_refused_with_the_way_to_do_it(
    damaged: "Desk", paypoll: "Command", least_url: str
) -> None:
    before = damaged.shop.rows("accounts_user")
    refused = paypoll("db", "repair-guests", "--yes", PAYPOLL_DATABASE__URL=least_url)
    assert refused.returncode == 77
    assert "run this as the owner of the shop's tables" in " ".join(refused.stderr.split())
    assert damaged.shop.rows("accounts_user") == before


def test_run_never_activates_an_account_that_it_finds_inactive(damaged: "Desk") -> None:
    before = account(damaged, "ord-1@example.org")
    second = damaged.place("ORD-2")
    damaged.shop.update("orders_order", second, email="Ord-1@Example.org")
    damaged.run()
    assert {ticket["customer_id"] for ticket in damaged.tickets(second)} == {before["id"]}
    assert account(damaged, "ord-1@example.org") == before
