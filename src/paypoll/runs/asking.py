"""Asks SumUp about the orders of a run: several at once, and batch after batch as they are claimed.

In threads, while the thread of the run applies what was answered. No transaction is open meanwhile.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context

import structlog

from paypoll.clock import Clock
from paypoll.errors import DatabaseUnavailableError, SettingsError
from paypoll.payments.evidence import Evidence
from paypoll.payments.fetch import fetch_evidence
from paypoll.payments.gateway import PaymentGateway
from paypoll.payments.order import Order
from paypoll.payments.order_statuses import WATCHED
from paypoll.payments.policy import Policy
from paypoll.runs.claims import Claims
from paypoll.runs.report import RunReport

log = structlog.get_logger(__name__)


class Asker:
    """Claims orders and fetches SumUp's answers about them. `gateway` is made when first needed.

    `should_end`: the run's time is up, or it was told to stop; `stopped`: the latter alone.
    """

    def __init__(
        self,
        claims: Claims,
        gateway: Callable[[], PaymentGateway],
        policy: Policy,
        clock: Clock,
        *,
        parallel_requests: int,
        stopped: Callable[[], bool],
        should_end: Callable[[], bool],
        on_paid: Callable[[], None],
    ) -> None:
        self._claims = claims
        self._gateway = gateway
        self._policy = policy
        self._clock = clock
        self._parallel_requests = parallel_requests
        self._stopped = stopped
        self._should_end = should_end
        self._on_paid = on_paid
        self._has_asked = False

    @property
    def halted(self) -> str:
        """Why SumUp is not to be asked any more in this run; empty while it may be."""
        return self._gateway().halted if self._has_asked else ""

    def is_halted(self, report: RunReport) -> bool:
        """Say whether SumUp is not to be asked any more in this run, and say so in the log the first time."""
        halted = self.halted
        if halted and not report.sumup_halted:
            report.sumup_halted = halted
            log.error("SumUp is not asked any more in this run; the other orders stay due", reason=halted)
        return bool(halted)

    def answers(self, report: RunReport, only: Sequence[int]) -> Generator[tuple[Order, Evidence], None, None]:
        """Ask SumUp about what is due, or about the orders `only`; yield each order with its evidence.

        The next batch is claimed and asked about before the last one is all applied: SumUp is not left waiting.
        """
        batches = self._claimed_batches(report, only)
        asked: deque[tuple[Order, Future[Evidence | None]]] = deque()
        with (
            ThreadPoolExecutor(max_workers=self._parallel_requests, thread_name_prefix="verify") as pool,
            ExitStack() as at_the_end,
        ):
            # After an error nobody would read the answers to what has not been asked yet.
            at_the_end.callback(pool.shutdown, wait=False, cancel_futures=True)
            while True:
                while len(asked) < self._claims.batch_size and (batch := next(batches, None)) is not None:
                    # A person waits for just these: they are asked about also when the time is up.
                    asked.extend((order, self._ask(pool, order, limited=not only)) for order in batch)
                if not asked:
                    self.is_halted(report)
                    return
                order, answer = asked.popleft()
                try:
                    evidence = answer.result()
                except (DatabaseUnavailableError, SettingsError):
                    raise  # organisers' credentials are read from the database
                except Exception as error:  # noqa: BLE001 - around one order: its failure never stops the others
                    self._claims.note_error(order.id, order.number, error, report)
                    continue
                if evidence is None or self._stopped():
                    self._claims.release(order)
                    if evidence is None and not self._stopped():
                        report.ended = "out_of_time"
                    continue
                yield order, evidence

    def _claimed_batches(self, report: RunReport, only: Sequence[int]) -> Iterator[list[Order]]:
        """Claim batch after batch, until nothing is due, the time is up, or the run is told to stop."""
        if only:
            yield self._claims.claim_these(only, report)
            return
        self._claims.enrol()
        while not self.is_halted(report):
            if self._should_end():
                report.ended = "out_of_time"
                return
            if (batch := self._claims.next_batch(report)) is None:
                return
            yield batch

    def _ask(self, pool: ThreadPoolExecutor, order: Order, *, limited: bool) -> Future[Evidence | None]:
        self._has_asked = True
        # In a copy of this thread's context, so that what is logged there names the run.
        return pool.submit(copy_context().run, self._fetch, order, self._gateway(), limited)

    def _fetch(self, order: Order, gateway: PaymentGateway, limited: bool) -> Evidence | None:  # noqa: FBT001 - a thread's
        """Ask about the order; None when the run's time is up: two batches that wait for a slow SumUp are too many."""
        if limited and self._should_end():
            return None
        # Only an order that waits for its tickets is worth a printing process; quiet looks find old payments.
        on_paid = self._on_paid if order.status in WATCHED else lambda: None
        return fetch_evidence(order, gateway, self._policy, self._clock.now(), on_paid=on_paid)
