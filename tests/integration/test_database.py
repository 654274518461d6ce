"""The connection to the database: what it is told to notice, and what its troubles mean."""

import os
import socket
import threading
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import JSONB
from tests.conftest import Server

from paypoll.database import DatabaseOptions, Trouble, make_engine, sort_error, transaction
from paypoll.errors import DatabaseUnavailableError, RefusedError
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.shop.orders import read_order


@pytest.fixture
def tcp_port(server: Server) -> Iterator[int]:
    """A port on loopback that leads one connection to PostgreSQL, which itself listens on a Unix socket only."""
    with socket.create_server(("127.0.0.1", 0)) as door, socket.socket(socket.AF_UNIX) as inside:

        def carry(source: socket.socket, target: socket.socket) -> None:
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)

        def let_in() -> None:
            inside.connect(f"{server.folder}/.s.PGSQL.5432")
            client, _ = door.accept()
            with client:
                back = threading.Thread(target=carry, args=(inside, client))
                back.start()
                carry(client, inside)
                back.join()

        porter = threading.Thread(target=let_in)
        porter.start()
        yield door.getsockname()[1]
        porter.join()


@pytest.fixture
def tcp_engine(database_url: str, tcp_port: int) -> Iterator[sa.Engine]:
    """An engine on the fresh database, over TCP."""
    name = sa.make_url(database_url).database
    made = make_engine(DatabaseOptions(sa.make_url(f"postgresql+psycopg2://postgres@127.0.0.1:{tcp_port}/{name}")))
    yield made
    made.dispose()


def test_connection_over_tcp_notices_a_host_that_has_vanished_within_a_minute(tcp_engine: sa.Engine) -> None:
    with tcp_engine.connect() as connection, socket.socket(fileno=os.dup(connection.connection.fileno())) as wire:

        def option(number: int) -> int:
            return wire.getsockopt(socket.IPPROTO_TCP, number)

        assert wire.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
        silence = option(socket.TCP_KEEPIDLE) + option(socket.TCP_KEEPINTVL) * option(socket.TCP_KEEPCNT)
        assert timedelta(seconds=silence) <= timedelta(minutes=1)
        unacknowledged = timedelta(milliseconds=option(socket.TCP_USER_TIMEOUT))
        assert timedelta(0) < unacknowledged <= timedelta(minutes=1)


def test_account_spelled_as_in_the_order_is_found_by_the_index_of_the_column(engine: sa.Engine) -> None:
    shop = SmallShop(engine)
    account = shop.add_user("ada@example.org")
    shop.add_user("ADA@EXAMPLE.ORG")
    order_id = shop.add_order("ORD-1", "ada@example.org", [])
    asked: list[tuple[str, Any]] = []

    @sa.event.listens_for(engine, "before_cursor_execute")
    def note(_connection: object, _cursor: object, statement: str, values: Any, *_others: object) -> None:
        asked.append((statement, values))

    with transaction(engine) as connection:
        order = read_order(connection, order_id)
        connection.execute(sa.text("SET LOCAL enable_seqscan = off"))
        ((look, values),) = [one for one in asked if "FROM accounts_user \nWHERE" in one[0]]
        plan = connection.exec_driver_sql(f"EXPLAIN {look}", values).scalars().all()
    assert order is not None
    assert order.account is not None
    assert order.account.id == account
    assert "Index Scan" in " ".join(plan)


def test_connections_that_are_all_taken_mean_that_the_database_is_out_of_reach(engine: sa.Engine) -> None:
    # As `make_engine` has it, but smaller, and nobody waits for half a minute.
    narrow = sa.create_engine(engine.url, pool_size=1, max_overflow=0, pool_timeout=0)
    try:
        with narrow.connect():
            with pytest.raises(sa.exc.TimeoutError) as met:
                narrow.connect()
            assert sort_error(met.value) is Trouble.GONE
            with pytest.raises(DatabaseUnavailableError, match="out of reach"), transaction(narrow):
                raise AssertionError("nobody gets here without a connection")
    finally:
        narrow.dispose()


@pytest.mark.parametrize(
    "statement",
    ["SELECT convert(convert_to('Žižkov', 'UTF8'), 'UTF8', 'LATIN1')", r"SELECT convert_from('\xeb', 'UTF8')"],
)
def test_text_that_does_not_fit_the_databases_encoding_is_no_bug(engine: sa.Engine, statement: str) -> None:
    """As in a database in LATIN1, which has no Ž, and in one in SQL_ASCII, which takes any bytes."""
    with pytest.raises(RefusedError, match="does not fit the encoding"), transaction(engine) as connection:
        connection.exec_driver_sql(statement)


def test_number_of_thousands_of_digits_in_a_document_is_read_as_text(engine: sa.Engine) -> None:
    """Python makes no number of it, and the shop keeps answers of SumUp's whole."""
    column = sa.text("SELECT ('{\"long\": ' || repeat('9', 5000) || ', \"short\": 7}')::jsonb AS said")
    with transaction(engine) as connection:
        said = connection.execute(column.columns(said=JSONB)).scalar_one()
    assert said == {"long": "9" * 5000, "short": 7}
