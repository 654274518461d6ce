"""The money of orders and listing fees that are gone from the shop: deleted by somebody, or lost in a restore.

Nobody sees them in the shop any more, and their checkouts may be paid all the same. So each is looked at until its
window ends, by what paypoll remembers of it: what can still be paid is closed, and a payment is told. `GoneRound` is
the way of both, `ORDERS` and `FEES` have in what they differ.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import sqlalchemy as sa
import structlog

from paypoll.alerts.desk import AlertDesk
from paypoll.alerts.gone import fee_gone, fee_gone_open, order_gone, order_gone_open, tell_of_gone
from paypoll.alerts.orders import OrderAlert
from paypoll.clock import Clock
from paypoll.database import transaction
from paypoll.errors import DatabaseUnavailableError, SettingsError
from paypoll.payments.evidence import Evidence
from paypoll.payments.fetch import fetch_evidence
from paypoll.payments.gateway import CheckoutAnswer, PaymentGateway
from paypoll.payments.gone import GoneLook, decide_gone, look_at_gone
from paypoll.payments.order import Order
from paypoll.payments.policy import Policy
from paypoll.runs.load import spent_elsewhere
from paypoll.runs.report import OrderError, RunReport
from paypoll.state import watches
from paypoll.state.audit import describe_evidence, record
from paypoll.state.gone import GONE_FEES, GONE_ORDERS, Gone, GoneRows
from paypoll.state.listing_fees import spent_on_others
from paypoll.state.seen_checkouts import note_seen

log = structlog.get_logger(__name__)

_BATCH = 10


@dataclass(frozen=True, slots=True)
class GoneSource:
    """In what the way of an order and that of a listing fee differ, once they are gone.

    `kind` and `action` name it in the log and the audit trail. `terms` makes the policy that it is asked about by,
    `spent` finds payments that bought something else, `note` writes a look down and gives the lease back.
    """

    kind: str
    action: str
    rows: GoneRows
    terms: Callable[[Policy], Policy]
    spent: Callable[[sa.Connection, Order, Evidence], frozenset[str]]
    alert: Callable[[str, CheckoutAnswer], OrderAlert]
    alert_open: Callable[[str, str, str], OrderAlert]
    note: Callable[[sa.Connection, Order, GoneLook, str, datetime], None]


def _spent_on_other_orders(connection: sa.Connection, order: Order, evidence: Evidence) -> frozenset[str]:
    # What it was completed by stays on record under the id that it had.
    return spent_elsewhere(connection, abs(order.id), evidence)


def _note_order(connection: sa.Connection, order: Order, look: GoneLook, run_id: str, now: datetime) -> None:
    note_seen(connection, order, look.answers, now, accounted=bool(look.payments))
    watches.note_check(
        connection,
        order.id,
        run_id,
        now,
        status=watches.left_in(connection, order.id) or "",
        changed=False,
        next_check_at=look.following,
        answer=look.decision.reason.value,
        missing=False,
    )


def _spent_on_other_fees(connection: sa.Connection, order: Order, evidence: Evidence) -> frozenset[str]:
    return evidence.with_checkouts_of(spent_on_others(connection, order.number, evidence.sumup_ids))


def _note_fee(connection: sa.Connection, order: Order, look: GoneLook, run_id: str, now: datetime) -> None:
    noted = {"next_check_at": look.following, "last_checked_at": now, "last_answer": look.decision.reason.value}
    gone = Gone(order.number, order.number)
    GONE_FEES.give_back(connection, [gone], run_id, last_run=run_id, **noted)


ORDERS = GoneSource(
    kind="order",
    action="verified",
    rows=GONE_ORDERS,
    terms=lambda policy: policy,
    spent=_spent_on_other_orders,
    alert=order_gone,
    alert_open=order_gone_open,
    note=_note_order,
)
FEES = GoneSource(
    kind="fee",
    action="fee verified",
    rows=GONE_FEES,
    terms=Policy.for_fees,
    spent=_spent_on_other_fees,
    alert=fee_gone,
    alert_open=fee_gone_open,
    note=_note_fee,
)


@dataclass(frozen=True, slots=True)
class GoneRound:
    """What is gone from the shop in one run: the orders, or the listing fees."""

    engine: sa.Engine
    gateway: Callable[[], PaymentGateway]
    policy: Policy
    desk: AlertDesk
    clock: Clock
    run_id: str
    lease: timedelta
    source: GoneSource

    def run(self, report: RunReport, should_end: Callable[[], bool], observe: Callable[[Evidence], None]) -> None:
        """Look at each that is due, until the time is up or SumUp does not answer any more."""
        while not should_end():
            with transaction(self.engine) as connection:
                now = self.clock.now()
                claimed = self.source.rows.claim(connection, self.run_id, now, limit=_BATCH, lease=self.lease)
            if not claimed:
                return
            for at, gone in enumerate(claimed):
                if should_end() or self.gateway().halted:
                    with transaction(self.engine) as connection:
                        self.source.rows.give_back(connection, claimed[at:], self.run_id)
                    return
                with structlog.contextvars.bound_contextvars(**{self.source.kind: gone.number}):
                    if not self._look_at(gone, report, observe):  # the next run's: this one would claim it again
                        with transaction(self.engine) as connection:
                            self.source.rows.give_back(connection, [gone], self.run_id, last_run=self.run_id)

    def _look_at(self, gone: Gone, report: RunReport, observe: Callable[[Evidence], None]) -> bool:
        """Ask SumUp about one and write down what follows. False when it is not this run's, or not gone, any more."""
        terms = self.source.terms(self.policy)
        try:
            with transaction(self.engine) as connection:
                order = self.source.rows.load(connection, gone)
            if order is None:
                return False
            evidence = fetch_evidence(order, self.gateway(), terms, self.clock.now(), rules=decide_gone)
            observe(evidence)
            return self._apply(gone, evidence, terms, self.clock.now())
        except (DatabaseUnavailableError, SettingsError):
            raise
        except Exception as error:
            met = OrderError.met(gone.number, error)
            report.order_errors.append(met)
            log.exception("what is gone from the shop met an error; it stays due")
            with transaction(self.engine) as connection:
                noted = {"last_checked_at": self.clock.now(), "last_answer": f"error: {met.error}"}
                self.source.rows.give_back(connection, [gone], self.run_id, last_run=self.run_id, **noted)
            return True

    def _apply(self, gone: Gone, evidence: Evidence, terms: Policy, now: datetime) -> bool:
        with transaction(self.engine) as connection:
            is_old = evidence.asked_at is None or now - evidence.asked_at > self.lease  # 26a
            if not self.source.rows.hold(connection, gone, self.run_id) or is_old:
                return False
            order = self.source.rows.load(connection, gone)
            if order is None:
                return False
            order = replace(order, spent_elsewhere=self.source.spent(connection, order, evidence))
            look = look_at_gone(order, evidence, terms, now)
            told = tell_of_gone(self.desk, connection, self.source.alert, gone.number, look.payments, now)
            for checkout_id, why in look.open.items():
                alert = self.source.alert_open(gone.number, checkout_id, why)
                if self.desk.tell_of_one_gone(connection, alert, gone.number, now):
                    told.append(checkout_id)
            record(
                connection,
                now=now,
                action=self.source.action,
                order_id=order.id or None,
                order_number=gone.number,
                run_id=self.run_id,
                outcome=look.decision.outcome.value,
                reason=look.decision.reason.value,
                explanation=look.decision.explanation,
                evidence=describe_evidence(evidence),
            )
            self.source.note(connection, order, look, self.run_id, now)
        log.info("looked at what is gone from the shop", reason=look.decision.reason.value, told=told)
        return True
