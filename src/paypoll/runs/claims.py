"""The orders that a run holds: it claims what is due, batch after batch, and gives back what it does not finish."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog

from paypoll.clock import Clock
from paypoll.database import transaction
from paypoll.payments.order import Order
from paypoll.runs.load import Loaded, load_claimed
from paypoll.runs.report import OrderError, RunReport
from paypoll.state import watches
from paypoll.state.watches import WatchRules

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Claims:
    """Claims orders for the run `run_id`, which `began` then: up to `batch_size` at a time, for as long as `lease`."""

    engine: sa.Engine
    clock: Clock
    run_id: str
    began: datetime
    watch: WatchRules
    batch_size: int
    lease: timedelta

    def enrol(self) -> None:
        """Put the orders under watch that the shop has made since."""
        with transaction(self.engine) as connection:
            watches.enrol(connection, self.watch, self.clock.now())

    def next_batch(self, report: RunReport) -> list[Order] | None:
        """Claim the next orders that are due, and load them; None when nothing is due any more."""
        now = self.clock.now()
        with transaction(self.engine) as connection:
            claimed = watches.claim(
                connection,
                self.watch,
                self.run_id,
                now,
                began=self.began,
                limit=self.batch_size,
                lease=self.lease,
            )
            loaded = load_claimed(connection, claimed, now)
        if not claimed:
            return None
        self._note_unreadable(loaded, report)
        return [loaded.orders[order_id] for order_id in claimed if order_id in loaded.orders]

    def claim_these(self, only: Sequence[int], report: RunReport) -> list[Order]:
        """Claim just these orders, due or not, but for those that another run holds."""
        now = self.clock.now()
        with transaction(self.engine) as connection:
            for order_id in only:
                watches.enrol_order(connection, order_id, now)
            claimed = watches.claim_these(connection, only, self.run_id, now, lease=self.lease)
            loaded = load_claimed(connection, claimed, now)
        self._note_unreadable(loaded, report)
        report.taken_over += len(set(only) - set(claimed))
        return list(loaded.orders.values())

    def release(self, order: Order) -> None:
        """Give an order back to which nothing was done. It stays due."""
        with transaction(self.engine) as connection:
            watches.release(connection, [order.id], self.run_id)

    def note_error(self, order_id: int, number: str, error: Exception, report: RunReport) -> None:
        """Write down that an order met an error, and give it back. It stays due."""
        met = OrderError.met(number, error)
        report.order_errors.append(met)
        if met.expected:
            log.warning("the order is held by somebody else; it stays due", order=number, error=met.error)
        else:
            log.error("the order met an unexpected error; it stays due", order=number, exc_info=error)
        with transaction(self.engine) as connection:
            watches.note_order_error(connection, order_id, self.run_id, self.clock.now(), met.error)

    def _note_unreadable(self, loaded: Loaded, report: RunReport) -> None:
        """Let an order that cannot be read meet its error, and the others go on (41a)."""
        for order_id, error in loaded.unreadable.items():
            self.note_error(order_id, error.number, error, report)
