"""Deliver mail in a thread of its own, while the run goes on with the next orders."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from types import TracebackType
from typing import Protocol, Self

from paypoll.mail.delivered import Delivered
from paypoll.state.due_mail import Whose

Deliver = Callable[[Callable[[], bool], Whose], Delivered]
"""Sends the mail that is due until told to stop: customers' mail alone, alerts alone, or all."""


class ShouldStop(Protocol):
    """Says whether a delivery, that of alerts or one without them, is to stop."""

    def __call__(self, *, alerts: bool) -> bool:
        """Return whether it is to stop."""
        ...


class DeliveryThread:
    """Delivers the outbox, one delivery at a time, and adds the numbers of each to `result`.

    A context manager: at its end it waits for the delivery that is under way, and raises what that raised. When the
    block itself ends with an error, the delivery stops after the mail at hand.
    """

    def __init__(self, deliver: Deliver, result: Delivered, should_stop: ShouldStop) -> None:
        self._deliver = deliver
        self._result = result
        self._should_stop = should_stop
        self._under_way: Future[None] | None = None
        self._abandoned = False

    def __enter__(self) -> Self:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="delivery")
        self._pool.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._abandoned = kind is not None
        self._pool.__exit__(kind, error, trace)
        if kind is None and self._under_way is not None:
            self._under_way.result()

    def nudge(self) -> None:
        """Say that there may be mail for customers.

        A delivery that is under way finds new mail by itself, since it goes on until nothing is due. One that has
        failed is the last before `send_all`, and its error is raised at the end: orders do not depend on mail.
        """
        if self._under_way is None or (self._under_way.done() and self._under_way.exception() is None):
            self._under_way = self._start(Whose.CUSTOMERS)

    def send_all(self) -> None:
        """Deliver all that is due, alerts to admins included, after what is under way; return when that is done."""
        self._start(Whose.ALL).result()

    def _start(self, whose: Whose) -> Future[None]:
        # In a copy of this thread's context, so that what is logged there names the run.
        return self._pool.submit(copy_context().run, self._send, whose)

    def _send(self, whose: Whose) -> None:
        if self._result.halted:
            # Alerts may be taken all the same: they have another recipient, and often stay on the server's own host.
            if whose is Whose.CUSTOMERS or self._result.alerts_halted:
                return
            whose = Whose.ADMINS
        alerts = whose is not Whose.CUSTOMERS
        done = self._deliver(lambda: self._abandoned or self._should_stop(alerts=alerts), whose)
        self._result.add(done)
