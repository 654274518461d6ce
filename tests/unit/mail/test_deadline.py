"""How long a socket may wait: the silence that is allowed, or what is left of the time."""

import socket
from collections.abc import Iterator

import pytest

from paypoll.mail.smtp.connection import Deadline


@pytest.fixture
def sock() -> Iterator[socket.socket]:
    with socket.socket() as made:
        yield made


def test_deadline_with_time_left_allows_a_silence(sock: socket.socket) -> None:
    Deadline(100.0, silence=3.0).apply(sock)
    assert sock.gettimeout() == 3.0


def test_deadline_that_is_near_allows_no_longer_silence(sock: socket.socket) -> None:
    Deadline(2.0, silence=30.0).apply(sock)
    assert 1.0 < (sock.gettimeout() or 0) <= 2.0


def test_deadline_that_is_patient_allows_silence_until_the_end_of_the_step(sock: socket.socket) -> None:
    deadline = Deadline(100.0, silence=3.0)
    deadline.be_patient()
    deadline.apply(sock)
    assert 90.0 < (sock.gettimeout() or 0) <= 100.0
    deadline.start(100.0)
    deadline.apply(sock)
    assert sock.gettimeout() == 3.0


def test_deadline_that_has_passed_ends_the_step(sock: socket.socket) -> None:
    deadline = Deadline(0.0, silence=3.0)
    with pytest.raises(TimeoutError):
        deadline.apply(sock)
    deadline.be_patient()
    with pytest.raises(TimeoutError):
        deadline.apply(sock)
