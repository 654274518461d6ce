"""The money of orders that are gone from the shop: deleted by somebody, or lost when the shop was restored.

Nobody sees such an order in the shop any more, and its checkout may be paid all the same. So it is looked at until its
window ends, by what paypoll remembers of it: what can still be paid is closed, and a payment is told.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog

from paypoll.alerts.desk import AlertDesk
from paypoll.alerts.gone import tell_of_gone
from paypoll.clock import Clock
from paypoll.database import transaction
from paypoll.errors import DatabaseUnavailableError, SettingsError
from paypoll.payments.classify import assess, is_denied
from paypoll.payments.decision import Decision, Reason, unchanged
from paypoll.payments.evidence import Evidence
from paypoll.payments.fetch import fetch_evidence
from paypoll.payments.gateway import CheckoutAnswer, Found, NotAllowed, NotFound, PaymentGateway
from paypoll.payments.order import Order
from paypoll.payments.policy import Policy
from paypoll.payments.schedule import as_shown, is_over, next_look
from paypoll.runs.load import spent_elsewhere
from paypoll.runs.report import OrderError, RunReport
from paypoll.state import watches
from paypoll.state.audit import describe_evidence, record
from paypoll.state.gone import claim_gone, hold_gone, load_gone
from paypoll.state.seen_checkouts import note_seen

log = structlog.get_logger(__name__)

_BATCH = 10


def decide_gone(order: Order, evidence: Evidence, policy: Policy, now: datetime) -> Decision:
    """Decide about an order that is gone: never tickets; what can still be paid is closed."""
    seen = assess(order, evidence, policy)
    close = tuple(checkout_id for checkout_id in seen.pending if checkout_id not in evidence.closings)
    if payments := held(order, evidence, policy, now):
        named = ", ".join(answer.id for answer in payments)
        return unchanged(Reason.PAID_BUT_VOID, f"gone from the shop, but SumUp holds payment {named}", close=close)
    reason = Reason.VOID if seen.answered else Reason.NO_ANSWER
    return unchanged(reason, "gone from the shop, and no money is known to be held", close=close)


def held(order: Order, evidence: Evidence, policy: Policy, now: datetime) -> tuple[CheckoutAnswer, ...]:
    """Return the payments that have not gone back: whoever deleted the order may have refunded it before."""
    seen, _ = assess(order, evidence, policy).without_spent(order.spent_elsewhere)
    known = (Found, NotAllowed, NotFound)  # the last two: what went back can never be read
    return tuple(
        answer
        for answer in seen.money
        if is_over(order, policy, now) or isinstance(evidence.transactions.get(answer.id, NotFound()), known)
    )


@dataclass(frozen=True, slots=True)
class GoneRound:
    """The orders of one run that are gone from the shop."""

    engine: sa.Engine
    gateway: Callable[[], PaymentGateway]
    policy: Policy
    desk: AlertDesk
    clock: Clock
    run_id: str
    lease: timedelta

    def run(self, report: RunReport, should_end: Callable[[], bool], observe: Callable[[Evidence], None]) -> None:
        """Look at each that is due, until the time is up or SumUp does not answer any more."""
        is_done = True
        while is_done and not should_end():
            with transaction(self.engine) as connection:
                claimed = claim_gone(connection, self.run_id, self.clock.now(), limit=_BATCH, lease=self.lease)
                gone = load_gone(connection, claimed) if claimed else []
            if not claimed:
                return
            looks = [self._look_at(order, report, observe) for order in gone if not (should_end() or self._halted())]
            is_done = sum(looks) == len(claimed)
            with transaction(self.engine) as connection:
                watches.release(connection, claimed, self.run_id)

    def _halted(self) -> str:
        return self.gateway().halted

    def _look_at(self, order: Order, report: RunReport, observe: Callable[[Evidence], None]) -> bool:
        """Ask SumUp about an order and write down what follows. False when it is not this run's any more."""
        try:
            evidence = fetch_evidence(order, self.gateway(), self.policy, self.clock.now(), rules=decide_gone)
            observe(evidence)
            return self._apply(order, evidence, self.clock.now())
        except (DatabaseUnavailableError, SettingsError):
            raise
        except Exception as error:
            met = OrderError.met(order.number, error)
            report.order_errors.append(met)
            log.exception("an order that is gone from the shop met an error; it stays due", order=order.number)
            with transaction(self.engine) as connection:
                watches.note_order_error(connection, order.id, self.run_id, self.clock.now(), met.error)
            return True

    def _apply(self, order: Order, evidence: Evidence, now: datetime) -> bool:
        with transaction(self.engine) as connection:
            left = hold_gone(connection, order.id, self.run_id)
            is_old = evidence.asked_at is None or now - evidence.asked_at > self.lease  # 26a
            if left is None or is_old or not load_gone(connection, [order.id]):
                return False
            # What it was completed by stays on record under the id that it had.
            spent = spent_elsewhere(connection, abs(order.id), evidence)
            order = replace(order, spent_elsewhere=spent)
            seen = assess(order, evidence, self.policy)
            decision = decide_gone(order, evidence, self.policy, now)
            payments = held(order, evidence, self.policy, now)
            told = tell_of_gone(self.desk, connection, order.number, payments, now)
            note_seen(connection, order, seen.answers, now, accounted=bool(payments))
            record(
                connection,
                now=now,
                action="verified",
                order_id=order.id,
                order_number=order.number,
                run_id=self.run_id,
                outcome=decision.outcome.value,
                reason=decision.reason.value,
                explanation=decision.explanation,
                evidence=describe_evidence(evidence),
            )
            present = as_shown(order, seen.answers, now)
            following = next_look(
                present,
                self.policy,
                now,
                status=order.status,
                outstanding=any(one not in evidence.closings for one in decision.close),
                answered=seen.answered and not is_denied(order, seen) and len(payments) == len(seen.money),
            )
            watches.note_check(
                connection,
                order.id,
                self.run_id,
                now,
                status=left.status or "",
                changed=False,
                next_check_at=following,
                answer=decision.reason.value,
                missing=False,
            )
        log.info("an order that is gone from the shop", order=order.number, reason=decision.reason.value, told=told)
        return True
