"""A run's round over the listing fees that are due: the way of an order, for what an organiser pays.

The same steps as in `paypoll.runs.cycle`: SumUp is asked about several at once, and what it said is applied one after
the other. Each fee's failure is its own: it stays due, and the others go on.
"""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog

from paypoll.clock import Clock
from paypoll.database import transaction
from paypoll.errors import DatabaseUnavailableError, SettingsError, UnreadableFeeError
from paypoll.payments.decision import Decision
from paypoll.payments.evidence import Evidence
from paypoll.payments.fetch import Closing, fetch_evidence
from paypoll.payments.gateway import PaymentGateway
from paypoll.payments.listing_fees import ListingFee, as_order, decide_fee, lists
from paypoll.payments.order import Order
from paypoll.payments.policy import Policy
from paypoll.runs.apply_fee import FeeApplier, fee_applied, load_fee_for_decision, load_fee_with_records
from paypoll.runs.load import describe_unreadable, is_the_data
from paypoll.runs.report import OrderError, RunReport
from paypoll.state import due_fees
from paypoll.state import listing_fees as fee_records
from paypoll.state.due_fees import FeeRules

log = structlog.get_logger(__name__)

_BATCH = 20
_MOST_IN_A_DRY_RUN = 200


@dataclass(frozen=True, slots=True)
class LookedAtFee:
    """What a run would decide about a fee now, and what that rests on."""

    fee: ListingFee
    evidence: Evidence
    decision: Decision


@dataclass(frozen=True, slots=True)
class FeeLooker:
    """Asks SumUp about listing fees. `gateway` is made when it is first needed."""

    engine: sa.Engine
    gateway: Callable[[], PaymentGateway]
    policy: Policy
    rules: FeeRules
    clock: Clock

    def load(self, reference: str) -> ListingFee | None:
        """Return the fee as it is now; None when it is gone. Raise UnreadableFeeError."""
        try:
            with transaction(self.engine) as connection:
                return load_fee_with_records(connection, reference, self.policy)
        except Exception as error:
            if not is_the_data(error):
                raise
            raise UnreadableFeeError(reference, describe_unreadable(error)) from error

    def fetch(self, fee: ListingFee, closing: Closing) -> Evidence:
        """Return SumUp's answers about the fee."""

        def rules(_order: Order, evidence: Evidence, _policy: Policy, now: datetime) -> Decision:
            return decide_fee(fee, evidence, self.policy, now)

        terms, now = self.policy.for_fees(), self.clock.now()
        return fetch_evidence(as_order(fee, terms), self.gateway(), terms, now, closing=closing, rules=rules)

    def look_at(self, reference: str) -> LookedAtFee | None:
        """Ask SumUp about a fee and decide as a run would, changing nothing. None when there is no such fee."""
        fee = self.load(reference)
        if fee is None:
            return None
        evidence = self.fetch(fee, Closing.ASSUME)
        with transaction(self.engine) as connection:
            present = load_fee_for_decision(connection, reference, self.policy, evidence, lock=False) or fee
        return LookedAtFee(present, evidence, decide_fee(present, evidence, self.policy, self.clock.now()))

    def rehearse(self, report: RunReport, should_end: Callable[[], bool]) -> None:
        """Say of every fee that is due what a run would do, changing nothing."""
        with transaction(self.engine) as connection:
            due = due_fees.peek_fees(connection, self.rules, report.started_at, limit=_MOST_IN_A_DRY_RUN)
        for reference in due:
            if should_end():
                return
            try:
                looked = self.look_at(reference)
            except (DatabaseUnavailableError, SettingsError):
                raise
            except Exception as error:  # noqa: BLE001 - around one fee, as in a run
                report.order_errors.append(OrderError.met(reference, error))
                continue
            if looked is not None:
                published = lists(looked.fee, looked.decision, self.policy, self.clock.now())
                told = tuple(notice.key for notice in looked.decision.notices)
                applied = fee_applied(looked.fee, looked.decision, looked.evidence, told, published=published)
                report.fees.append(applied)


@dataclass(frozen=True, slots=True)
class FeeRound:
    """The listing fees of one run."""

    looker: FeeLooker
    applier: FeeApplier
    lease: timedelta
    parallel_requests: int = 1

    def run(
        self,
        report: RunReport,
        *,
        began: datetime,
        should_end: Callable[[], bool],
        observe: Callable[[Evidence], None],
        hold: bool,
    ) -> None:
        """Look at every fee that is due, until the time is up. With `hold`, SumUp denies too many orders (48)."""
        with transaction(self.looker.engine) as connection:
            due_fees.enrol_fees(connection, self.looker.rules, self.looker.clock.now())
        with ExitStack() as at_the_end:
            pool: ThreadPoolExecutor | None = None
            while not should_end() and not (pool and self._is_halted(report)):
                claimed = self._claim(report.run_id, began)
                if not claimed:
                    return
                if pool is None:
                    pool = at_the_end.enter_context(
                        ThreadPoolExecutor(max_workers=self.parallel_requests, thread_name_prefix="fees")
                    )
                    # After an error nobody would read the answers to what has not been asked yet.
                    at_the_end.callback(pool.shutdown, wait=False, cancel_futures=True)
                asked = [(reference, self._ask(pool, reference, report, should_end)) for reference in claimed]
                for reference, answer in asked:
                    with structlog.contextvars.bound_contextvars(fee=reference):
                        self._apply_answer(reference, answer, report, observe, hold=hold)

    def _claim(self, run_id: str, began: datetime) -> list[str]:
        looker = self.looker
        with transaction(looker.engine) as connection:
            return due_fees.claim_fees(
                connection, looker.rules, run_id, looker.clock.now(), began=began, limit=_BATCH, lease=self.lease
            )

    def _is_halted(self, report: RunReport) -> bool:
        if not report.sumup_halted:
            report.sumup_halted = self.looker.gateway().halted
        return bool(report.sumup_halted)

    def _ask(
        self, pool: ThreadPoolExecutor, reference: str, report: RunReport, should_end: Callable[[], bool]
    ) -> Future[Evidence | None] | None:
        """Have SumUp asked about the fee in a thread of the pool; None where there is nothing to ask about."""
        try:
            fee = self.looker.load(reference)
        except (DatabaseUnavailableError, SettingsError):
            raise
        except Exception as error:  # noqa: BLE001 - around one fee: its failure never stops the others
            self._note_error(reference, error, report)
            return None
        if fee is None:
            self._note_taken_over(reference, report)
            return None
        gateway, present = self.looker.gateway(), fee  # made here, not by several threads at once

        def fetch() -> Evidence | None:
            with structlog.contextvars.bound_contextvars(fee=reference):
                return None if should_end() or gateway.halted else self.looker.fetch(present, Closing.ASK)

        # In a copy of this thread's context, so that what is logged there names the run.
        return pool.submit(copy_context().run, fetch)

    def _apply_answer(
        self,
        reference: str,
        answer: Future[Evidence | None] | None,
        report: RunReport,
        observe: Callable[[Evidence], None],
        *,
        hold: bool,
    ) -> None:
        if answer is None:
            return
        try:
            evidence = answer.result()
            if evidence is None:
                self._release(reference, report.run_id)
                return
            observe(evidence)
            applied = self.applier.apply(reference, evidence, self.looker.clock.now(), hold=hold)
        except (DatabaseUnavailableError, SettingsError):
            raise
        except Exception as error:  # noqa: BLE001 - around one fee: its failure never stops the others
            self._note_error(reference, error, report)
            return
        if applied is None:
            self._note_taken_over(reference, report)
            return
        report.fees.append(applied)
        log.info(applied.outcome.value, reason=applied.reason.value, explanation=applied.explanation)

    def _note_taken_over(self, reference: str, report: RunReport) -> None:
        report.taken_over += 1
        log.info("another run, or the shop, has taken the fee over")
        self._release(reference, report.run_id)

    def _note_error(self, reference: str, error: Exception, report: RunReport) -> None:
        met = OrderError.met(reference, error)
        report.order_errors.append(met)
        exception = None if met.expected else error
        log.error("the listing fee met an error; it stays due", error=met.error, exc_info=exception)
        with transaction(self.looker.engine) as connection:
            fee_records.note_fee_error(connection, reference, report.run_id, self.looker.clock.now(), met.error)

    def _release(self, reference: str, run_id: str) -> None:
        with transaction(self.looker.engine) as connection:
            fee_records.release_fee(connection, reference, run_id)
