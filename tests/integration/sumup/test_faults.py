"""The network at its worst: cut, slow, endless, or somebody else at the other end."""

import gzip
import socket
import threading
import time
from contextlib import suppress
from itertools import repeat
from typing import TYPE_CHECKING

import pytest

from paypoll.clock import SystemClock
from paypoll.payments.gateway import BrokenAnswer, Found, NoAnswer
from paypoll.sumup.client import SumUpClient

if TYPE_CHECKING:
    from tests.integration.sumup.conftest import FaultyServer, MakeClient

CHECKOUT = {"id": "co-1", "status": "PENDING"}
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
LONG = 10.0


def hang_up(connection: socket.socket) -> None:
    """End the connection without a word."""
    connection.close()


def reset(connection: socket.socket) -> None:
    """End the connection so that the other side is told of a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
    connection.close()


@pytest.mark.parametrize(
    "fault",
    [
        hang_up,
        reset,
        b"SSH-2.0-OpenSSH_9.2\r\n",
        HEAD + b'Content-Length: 500\r\n\r\n{"id": "co-1"',
        HEAD + b'Transfer-Encoding: chunked\r\n\r\n400\r\n{"id": "co-1"',
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
        HEAD + b"X: " + b"x" * 70_000 + b"\r\n\r\n",
    ],
    ids=["hang up", "reset", "not http", "cut short", "chunk cut short", "chunk of no size", "endless header"],
)
def test_read_checkout_connection_lost_is_asked_again_then_no_answer(
    server: "FaultyServer", client: SumUpClient, fault: object
) -> None:
    server.says(fault)  # type: ignore[arg-type]  # pytest's parameters have no common type
    look = client.read_checkout("co-1", "MC1")
    assert isinstance(look, NoAnswer)
    assert "tries: 3" in look.detail
    assert len(server.asked) == 3
    server.says(fault, server.json(CHECKOUT))  # type: ignore[arg-type]  # the same
    assert isinstance(client.read_checkout("co-1", "MC1"), Found)


@pytest.mark.parametrize("status", [102, 103])
def test_read_checkout_interim_answer_is_asked_again_and_shifts_no_later_answer(
    server: "FaultyServer", client: SumUpClient, status: int
) -> None:
    def answer_late(connection: socket.socket) -> None:
        connection.sendall(f"HTTP/1.1 {status} Interim\r\nLink: </style.css>\r\n\r\n".encode())
        if connection.recv(65_536):  # the next request came before the answer
            connection.sendall(server.json(CHECKOUT))

    server.says(answer_late, server.json({"id": "co-2", "status": "PENDING"}))
    look = client.read_checkout("co-2", "MC1")
    assert isinstance(look, Found)
    assert look.value.id == "co-2"
    assert len(server.asked) == 2
    server.says(server.http(status))
    look = client.read_checkout("co-2", "MC1")
    assert isinstance(look, NoAnswer)
    assert f"HTTP {status} (interim)" in look.detail


def test_read_checkout_nobody_listens_is_no_answer(make_client: "MakeClient") -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    client = make_client(base_url=f"http://127.0.0.1:{port}")
    assert isinstance(client.read_checkout("co-1", "MC1"), NoAnswer)


def test_read_checkout_silence_is_no_answer_after_the_read_timeout(
    server: "FaultyServer", make_client: "MakeClient"
) -> None:
    done = threading.Event()

    def say_nothing(_: socket.socket) -> None:
        done.wait(LONG)

    server.says(say_nothing)
    client = make_client(tries=1, read_timeout=0.2, answer_timeout=60)
    try:
        assert client.read_checkout("co-1", "MC1") == NoAnswer("SumUp did not answer in time")
    finally:
        done.set()


@pytest.mark.parametrize(
    "before",
    [b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nX: ", HEAD + b"Content-Length: 5000\r\n\r\n", HEAD + b"\r\n"],
    ids=["status", "headers", "body", "body without end"],
)
def test_read_checkout_dripping_answer_is_given_up_at_the_answer_timeout(
    server: "FaultyServer", make_client: "MakeClient", before: bytes
) -> None:
    done = threading.Event()

    def drip(connection: socket.socket) -> None:
        connection.sendall(before)
        # A byte every twentieth of a second: never silent for as long as the read time-out.
        while not done.wait(0.05):
            connection.sendall(b" ")

    server.says(drip)
    client = make_client(tries=1, read_timeout=LONG, answer_timeout=0.5, clock=SystemClock())
    began = time.monotonic()
    try:
        look = client.read_checkout("co-1", "MC1")
    finally:
        done.set()
    assert look == NoAnswer("SumUp did not answer in time")
    assert 0.4 < time.monotonic() - began < LONG / 2


def test_read_checkout_silence_amid_the_answer_ends_at_the_answer_timeout_if_that_is_sooner(
    server: "FaultyServer", make_client: "MakeClient"
) -> None:
    done = threading.Event()

    def fall_silent(connection: socket.socket) -> None:
        connection.sendall(HEAD + b"Content-Length: 5000\r\n\r\n{")
        done.wait(LONG)

    server.says(fall_silent)
    client = make_client(tries=1, read_timeout=LONG, answer_timeout=0.3)
    began = time.monotonic()
    try:
        assert client.read_checkout("co-1", "MC1") == NoAnswer("SumUp did not answer in time")
    finally:
        done.set()
    assert time.monotonic() - began < LONG / 2


def test_read_checkout_deadline_passed_before_the_answer_is_read_is_no_answer(
    server: "FaultyServer", make_client: "MakeClient"
) -> None:
    server.says(server.json(CHECKOUT))
    client = make_client(tries=1, answer_timeout=1e-9)
    assert client.read_checkout("co-1", "MC1") == NoAnswer("SumUp did not answer in time")


@pytest.mark.parametrize("framing", [b"Content-Length: 99999999\r\n\r\n", b"\r\n"], ids=["announced", "endless"])
def test_read_checkout_oversized_body_is_broken_and_not_read_to_its_end(
    server: "FaultyServer", client: SumUpClient, framing: bytes
) -> None:
    sent = 0

    def pour(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(HEAD + framing)
        with suppress(OSError):
            for piece in repeat(b" " * 65_536, 1500):
                connection.sendall(piece)
                sent += len(piece)

    server.says(pour)
    look = client.read_checkout("co-1", "MC1")
    assert isinstance(look, BrokenAnswer)
    assert "longer than" in look.detail
    server.close()
    assert len(server.asked) == 1
    # What lies in the sockets' buffers is sent, but not the hundred megabytes.
    assert sent < 50_000_000


def test_read_checkout_compressed_bomb_is_broken(server: "FaultyServer", client: SumUpClient) -> None:
    server.says(server.http(200, gzip.compress(b" " * 50_000_000), Content_Encoding="gzip"))
    look = client.read_checkout("co-1", "MC1")
    assert isinstance(look, BrokenAnswer)
    assert "longer than" in look.detail


def test_read_checkout_compressed_answer_is_read_though_not_asked_for(
    server: "FaultyServer", client: SumUpClient
) -> None:
    body = gzip.compress(b'{"id": "co-1", "status": "PENDING"}')
    server.says(server.http(200, body, Content_Encoding="gzip"))
    assert isinstance(client.read_checkout("co-1", "MC1"), Found)
    assert server.asked[0].headers["accept-encoding"] == "identity"


def test_read_checkout_falsely_compressed_answer_is_broken(server: "FaultyServer", client: SumUpClient) -> None:
    server.says(server.http(200, b'{"id": "co-1"}', Content_Encoding="gzip"))
    assert isinstance(client.read_checkout("co-1", "MC1"), BrokenAnswer)


def test_read_checkout_redirect_with_an_endless_body_is_not_read_to_its_end(
    server: "FaultyServer", client: SumUpClient
) -> None:
    sent = 0

    def pour(connection: socket.socket) -> None:
        nonlocal sent
        connection.sendall(b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\n")
        with suppress(OSError):
            for piece in repeat(b" " * 65_536, 1500):
                connection.sendall(piece)
                sent += len(piece)

    server.says(pour)
    look = client.read_checkout("co-1", "MC1")
    assert isinstance(look, BrokenAnswer)
    assert "longer than" in look.detail
    server.close()
    assert sent < 50_000_000


def test_read_checkout_certificate_nobody_vouches_for_is_no_answer(
    tls_server: "FaultyServer", make_client: "MakeClient"
) -> None:
    tls_server.says(tls_server.json(CHECKOUT))
    client = make_client(base_url=f"https://localhost:{tls_server.port}")
    look = client.read_checkout("co-1", "MC1")
    assert isinstance(look, NoAnswer)
    assert "TLS" in look.detail
    assert tls_server.asked == []
