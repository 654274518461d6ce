"""The simulator's connection to a client, where the moment matters."""

import socket
import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from paypoll.sandbox.sumup.server import SocketLine

if TYPE_CHECKING:
    from paypoll.sandbox.sumup.server import _Handler


class SetWhenWaitedFor(threading.Event):
    """An event that is set right after somebody has waited for it in vain."""

    def wait(self, timeout: float | None = None) -> bool:
        del timeout
        was_set = self.is_set()
        self.set()
        return was_set


def test_pause_that_is_over_between_two_looks_is_over_and_hangs_up_on_nobody() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        line = SocketLine(cast("_Handler", SimpleNamespace(connection=ours)))
        line.over = cast("Any", SetWhenWaitedFor())
        line.pause(3600)
