"""Databases with other rules for letters than the usual ones: a Turkish locale, and an encoding that is none."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.acceptance.fees import place_fee
from tests.acceptance.papers import body
from tests.acceptance.promises import check_completed
from tests.acceptance.stage import PRICE, Stage, opened_stage
from tests.conftest import SHOP_SCHEMA, Server

from paypoll.database import DatabaseOptions, make_engine, transaction
from paypoll.state.upgrade import upgrade

_SOURCES = Path("/usr/share/i18n/locales")
_TURKISH = "tr_TR"


@contextmanager
def stage_in(server: Server, folder: Path, properties: str) -> Iterator[Stage]:
    """Set a stage up in a database with these properties."""
    server.run(f"CREATE DATABASE shop TEMPLATE template0 {properties}")
    url = server.url("shop")
    engine = make_engine(DatabaseOptions(sa.make_url(url).set(drivername="postgresql+psycopg2")))
    with transaction(engine) as connection:
        connection.exec_driver_sql(SHOP_SCHEMA.read_text(encoding="utf-8"))
        upgrade(connection)
    engine.dispose()
    with opened_stage(url, folder) as stage:
        yield stage
    server.run("DROP DATABASE shop WITH (FORCE)")


@pytest.fixture
def turkish(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Stage]:
    """A stage whose database is in Turkish, where the small letter of I is ı. A server of its own knows the locale."""
    if shutil.which("localedef") is None or not (_SOURCES / _TURKISH).exists():
        pytest.skip("there is no source of the Turkish locale (apt-get install locales)")
    folder = Path(tempfile.mkdtemp(prefix="paypoll-turkish-"))
    folder.chmod(0o755)
    name = f"{_TURKISH}.UTF-8"
    subprocess.run(["localedef", "-i", _TURKISH, "-f", "UTF-8", folder / name], check=True)  # noqa: S603, S607 - ours
    monkeypatch.setenv("LOCPATH", os.fspath(folder))
    server = Server(folder / "server")
    with stage_in(server, tmp_path, f"LOCALE '{name}'") as stage:
        yield stage
    server.stop()
    shutil.rmtree(folder)


@pytest.fixture
def of_bytes(server: Server, tmp_path: Path) -> Iterator[Stage]:
    """A stage whose database keeps bytes as they come, as old ones do that were made under the locale C."""
    with stage_in(server, tmp_path, "ENCODING 'SQL_ASCII' LOCALE 'C'") as stage:
        # The shop says that its bytes are UTF-8; paypoll has to say so itself.
        stage.sql("ALTER ROLE postgres IN DATABASE shop SET client_encoding = 'UTF8'")
        stage.engine.dispose()
        yield stage


def test_database_in_turkish_finds_accounts_numbers_and_refunds_in_any_case(turkish: Stage) -> None:
    stage = turkish
    assert stage.sql("SELECT lower('I') AS i") == [{"i": "ı"}]
    capitals, accented = stage.shop.add_user("INFO@BUYER.EXAMPLE"), stage.shop.add_user("ÉMILE@BUYER.EXAMPLE")
    orders = {
        capitals: stage.order("ORD-INSIDE-1", checkout="PAID", email="info@buyer.example"),
        accented: stage.order("ORD-INSIDE-2", checkout="PAID", email="émile@buyer.example"),
    }
    turned_down = stage.order("ORD-INSIDE-3", checkout="PAID")
    stage.shop.insert("orders_refund", order_id=turned_down.id, status="DECLINED")
    run = stage.run_once()
    assert run.code == 0, run.stderr
    for account, order in orders.items():
        assert {ticket["customer_id"] for ticket in stage.tickets(order)} == {account}
    assert stage.status(turned_down) == "completed"
    place_fee(stage, "LF-INI")
    for wanted in ("ord-inside-1", "INFO@BUYER", "100%", "lf-ini"):
        found = stage.paypoll("inspect", wanted)
        assert (found.code == 0) is (wanted != "100%"), (wanted, found.stderr)


def test_database_without_an_encoding_is_read_and_written_as_utf_8(of_bytes: Stage) -> None:
    stage = of_bytes
    concert = stage.event("Café Chantant – Žižkov", slug="cafe-chantant")
    order = stage.order(
        "ORD-ACCENTS",
        places=[(concert, 2, PRICE)],
        checkout="PAID",
        delivery_first_name="Zoë",
        delivery_last_name="Ødegård",
    )
    run = stage.run_once()
    assert run.code == 0, run.stderr
    check_completed(stage, order)
    assert "Café Chantant – Žižkov" in body(stage.mails(order)[0])
