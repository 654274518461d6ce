"""One run: select and claim, verify, decide and apply, deliver, report.

    select due ──► claim ──► verify ──► decide and apply ──► deliver ──► report

The way of an order reads from top to bottom in `Cycle.run`. Each order's failure is its own: it stays due, and the
others go on. Three things go on at once: SumUp is asked about the next orders, this thread applies what was answered,
and the mail of those before them is printed and sent.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa
import structlog

from paypoll.alerts.outages import OutageReporter
from paypoll.clock import Clock
from paypoll.database import transaction
from paypoll.errors import DatabaseUnavailableError, SettingsError
from paypoll.mail.delivery_thread import Deliver, DeliveryThread
from paypoll.payments.decision import Outcome
from paypoll.payments.evidence import Evidence
from paypoll.payments.gateway import PaymentGateway
from paypoll.payments.order import Order
from paypoll.payments.policy import Policy
from paypoll.runs.apply import Applied, Applier
from paypoll.runs.asking import Asker
from paypoll.runs.brake import Brake, Braked, NotCountedError
from paypoll.runs.claims import Claims
from paypoll.runs.gone import GoneRound
from paypoll.runs.listing_fees import FeeRound
from paypoll.runs.organiser_digest import release_digests
from paypoll.runs.report import OrderError, RunReport, Swept
from paypoll.state.sumup_troubles import orders_to_ask_about
from paypoll.state.watches import WatchRules

log = structlog.get_logger(__name__)

_FEE_RESERVE = 5.0
"""For so many seconds after the time budget listing fees may still be looked at: many orders never starve them."""

Sweep = Callable[[Swept, Callable[[], bool]], Sequence[OrderError]]
"""Reads the ledgers that are due until its second argument says that it should end, and fills its first.

Returns what nobody foresaw.
"""

_DELIVERY_RESERVE = 20.0
"""For so many seconds after the time budget mail may still be sent."""


@dataclass(frozen=True, slots=True)
class CycleRules:
    """Limits of a run. After `time_budget` no order is begun: what is left is the next run's."""

    watch: WatchRules
    batch_size: int
    time_budget: timedelta
    lease: timedelta
    parallel_requests: int
    brake_orders: int = 5


class Cycle:
    """The use case `run-once`. Takes its ports as arguments; `gateway` and `deliver` are made when first needed."""

    def __init__(
        self,
        engine: sa.Engine,
        gateway: Callable[[], PaymentGateway],
        applier: Applier,
        deliver: Deliver,
        outages: OutageReporter,
        clock: Clock,
        rules: CycleRules,
        stopped: Callable[[], bool],
        *,
        on_paid: Callable[[], None] = lambda: None,
        fees: FeeRound | None = None,
        sweep: Sweep | None = None,
        gone: GoneRound | None = None,
        gone_fees: GoneRound | None = None,
        beforehand: Callable[[RunReport], None] = lambda report: None,  # noqa: ARG005 - nothing but orders to look at
    ) -> None:
        self._engine = engine
        self._gateway = gateway
        self._applier = applier
        self._deliver = deliver
        self._outages = outages
        self._clock = clock
        self._stopped = stopped
        self._fees = fees
        self._sweep = sweep
        self._gone = gone
        self._gone_fees = gone_fees
        self._beforehand = beforehand
        self._policy: Policy = applier.policy
        self._brake = Brake(applier.policy, rules.brake_orders)
        self._run_id = applier.run_id
        self._began = clock.now()
        self._deadline = clock.monotonic() + rules.time_budget.total_seconds()
        self._alerts_from: float | None = None
        self._claims = Claims(engine, clock, self._run_id, self._began, rules.watch, rules.batch_size, rules.lease)
        self._asker = Asker(
            self._claims,
            gateway,
            self._policy,
            clock,
            parallel_requests=rules.parallel_requests,
            stopped=stopped,
            should_end=self._should_end,
            on_paid=on_paid,
        )

    def run(self, report: RunReport, only: Sequence[int] = ()) -> RunReport:
        """Do one run over what is due, or over the orders `only`. The report is filled as the run goes on."""
        with self._delivery_thread(report) as delivery:
            if only:
                delivery.nudge()
                self._look_at_orders(report, only, delivery)
                self._tell_of_brake(report, whole=False)
            else:
                self._look_at_what_is_due(report, delivery)
            report.standstills += self._outages.tell_of_sumup(self._engine, self._clock.now())
            self._outages.tell_of_stuck_orders(self._engine, self._clock.now())
            self._outages.summarise_alerts(self._engine, self._clock.now())
            if self._applier.rules.tell_organisers:
                with transaction(self._engine) as connection:
                    release_digests(connection, self._run_id, self._clock.now())
            delivery.send_all()
        if self._stopped():
            report.ended = "stopped"
        elif report.delivered.cut_short:
            report.ended = "out_of_time"
        return report

    def _look_at_what_is_due(self, report: RunReport, delivery: DeliveryThread) -> None:
        self._beforehand(report)
        delivery.nudge()
        self._look_at_orders(report, (), delivery)
        if self._sweep_ledgers(report):
            self._look_at_orders(report, (), delivery)
        self._tell_of_brake(report, whole=True)
        if self._gone is not None and not self._asker.is_halted(report):
            self._gone.run(report, self._should_end, self._outages.observe)
        if self._fees is not None:
            self._fees.run(
                report,
                began=self._began,
                should_end=lambda: self._stopped() or self._clock.monotonic() >= self._deadline + _FEE_RESERVE,
                observe=self._outages.observe,
                hold=bool(self._brake.held),
            )
        if self._gone_fees is not None and not self._asker.is_halted(report):
            self._gone_fees.run(report, self._should_end, self._outages.observe)
        if to_ask := self._to_ask_about():
            self._look_at_orders(report, to_ask, delivery)

    def _look_at_orders(self, report: RunReport, only: Sequence[int], delivery: DeliveryThread) -> None:
        with closing(self._asker.answers(report, only)) as answers:
            for order, evidence, braked in self._braked(answers, report):
                applied = self._apply(order, evidence, report, braked)
                self._outages.observe(evidence)
                if applied is not None and applied.outcome is not Outcome.UNCHANGED:
                    delivery.nudge()

    def _to_ask_about(self) -> list[int]:
        """Return orders to ask about because a trouble with SumUp lasts and no order is due that would show it."""
        if self._outages.has_heard or self._should_end():
            return []
        with transaction(self._engine) as connection:
            query = orders_to_ask_about(self._policy.merchant_code, besides_run=self._run_id)
            return list(connection.scalars(query))

    def _sweep_ledgers(self, report: RunReport) -> bool:
        """Read SumUp's ledgers, if that is due. True when orders are due because of what stands there.

        After the orders, so that nobody waits for his ticket; with half of the time that is left, for those it finds.
        """
        if self._sweep is None or self._should_end() or self._asker.halted:
            return False
        until = (self._clock.monotonic() + self._deadline) / 2
        try:
            report.order_errors += self._sweep(
                report.swept, lambda: self._should_end() or self._clock.monotonic() >= until
            )
        except (DatabaseUnavailableError, SettingsError):
            raise
        except Exception as error:
            # Whatever stands in the ledger, mail and alerts go on.
            report.order_errors.append(OrderError.met("SumUp's ledger", error))
            log.exception("the sweep of SumUp's ledger met an unexpected error; it stays due")
        return report.swept.due > 0

    # -- decide and apply ---------------------------------------------------------------------------------

    def _braked(
        self, answers: Iterator[tuple[Order, Evidence]], report: RunReport
    ) -> Iterator[tuple[Order, Evidence, Braked]]:
        """Yield the orders with their evidence, and what the brake says of them; those that it may hold, later (48)."""
        for order, evidence in answers:
            if not self._brake.observe(order, evidence, self._clock.now()):
                yield order, evidence, self._brake.unheard
            for awaited in self._brake.due():
                yield awaited.order, awaited.evidence, awaited.braked
        for awaited in self._brake.due(ended=True):
            if self._stopped():
                self._claims.release(awaited.order)
            else:
                yield awaited.order, awaited.evidence, awaited.braked
        report.held_back = self._brake.held

    def _tell_of_brake(self, report: RunReport, *, whole: bool) -> None:
        brake = self._brake
        if brake.held:
            log.critical("orders are held back: SumUp denies too many", held=brake.held, answered=brake.answered)
        if brake.held or (whole and brake.answered and report.ended == "finished" and not self._stopped()):
            self._outages.tell_of_denial(
                self._engine,
                self._clock.now(),
                held=brake.held,
                answered=brake.answered,
                merchant_code=self._policy.merchant_code,
                merchants=self._gateway().read_merchants() if brake.held else None,
            )

    def _apply(self, order: Order, evidence: Evidence, report: RunReport, braked: Braked) -> Applied | None:
        with structlog.contextvars.bound_contextvars(order=order.number):
            try:
                applied = self._applier.apply(order.id, evidence, self._clock.now(), braked)
            except (DatabaseUnavailableError, SettingsError):
                raise
            except NotCountedError:
                self._brake.count(order, evidence)
                return None
            except Exception as error:  # noqa: BLE001 - around one order: its failure never stops the others
                self._claims.note_error(order.id, order.number, error, report)
                return None
            if applied is None:
                report.taken_over += 1
                log.info("another run, or the shop, has taken the order over")
                return None
            report.applied.append(applied)
            self._log_applied(applied)
            return applied

    @staticmethod
    def _log_applied(applied: Applied) -> None:
        log.info(
            applied.outcome.value,
            reason=applied.reason.value,
            explanation=applied.explanation,
            status_from=applied.status_from,
            status_to=applied.status_to,
            tickets=applied.tickets,
        )

    # -- deliver ------------------------------------------------------------------------------------------

    def _delivery_thread(self, report: RunReport) -> DeliveryThread:
        return DeliveryThread(self._deliver, report.delivered, self._should_end_delivery)

    def _should_end(self) -> bool:
        return self._stopped() or self._clock.monotonic() >= self._deadline

    def _should_end_delivery(self, *, alerts: bool) -> bool:
        if not alerts:
            return self._should_end()
        # The last delivery has a reserve of its own, and its alerts go first: else a lasting backlog of customers'
        # mail would let none of them out, run after run. It counts from their turn on: the mail before may have taken
        # minutes.
        if self._alerts_from is None:
            self._alerts_from = max(self._clock.monotonic(), self._deadline)
        return self._stopped() or self._clock.monotonic() >= self._alerts_from + _DELIVERY_RESERVE
