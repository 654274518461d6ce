"""The money of listing fees that are gone from the shop, deleted or lost in a restore: as `paypoll.runs.gone`."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import structlog

from paypoll.alerts.desk import AlertDesk
from paypoll.alerts.gone import tell_of_gone_fee
from paypoll.database import transaction
from paypoll.errors import DatabaseUnavailableError, SettingsError
from paypoll.payments.classify import assess, is_denied
from paypoll.payments.evidence import Evidence
from paypoll.payments.fetch import fetch_evidence
from paypoll.payments.order import Order
from paypoll.payments.schedule import as_shown, next_look
from paypoll.runs.gone import decide_gone, held
from paypoll.runs.listing_fees import FeeLooker
from paypoll.runs.report import OrderError, RunReport
from paypoll.state import listing_fees as fee_records
from paypoll.state.audit import describe_evidence, record
from paypoll.state.gone_fees import claim_gone_fees, load_gone_fee, note_gone_fee

log = structlog.get_logger(__name__)

_BATCH = 10


@dataclass(frozen=True, slots=True)
class GoneFeeRound:
    """The listing fees of one run that are gone from the shop."""

    looker: FeeLooker
    desk: AlertDesk
    lease: timedelta
    run_id: str

    def run(self, report: RunReport, should_end: Callable[[], bool], observe: Callable[[Evidence], None]) -> None:
        """Look at those that are due: what can still be paid is closed, and a payment is told."""
        looker = self.looker
        with transaction(looker.engine) as connection:
            due = claim_gone_fees(connection, self.run_id, looker.clock.now(), limit=_BATCH, lease=self.lease)
        for reference in due:
            if should_end() or looker.gateway().halted:
                with transaction(looker.engine) as connection:
                    fee_records.release_fee(connection, reference, self.run_id)
                continue
            try:
                self._look_at(reference, observe)
            except (DatabaseUnavailableError, SettingsError):
                raise
            except Exception as error:
                met = OrderError.met(reference, error)
                report.order_errors.append(met)
                log.exception("a listing fee that is gone from the shop met an error; it stays due", fee=reference)
                with transaction(looker.engine) as connection:
                    now = looker.clock.now()
                    fee_records.note_fee_error(connection, reference, self.run_id, now, met.error)

    def _look_at(self, reference: str, observe: Callable[[Evidence], None]) -> None:
        looker, terms = self.looker, self.looker.policy.for_fees()
        with transaction(looker.engine) as connection:
            order = load_gone_fee(connection, reference)
        if order is None:
            return
        evidence = fetch_evidence(order, looker.gateway(), terms, looker.clock.now(), rules=decide_gone)
        observe(evidence)
        self._apply(order, evidence)

    def _apply(self, order: Order, evidence: Evidence) -> None:
        now, terms = self.looker.clock.now(), self.looker.policy.for_fees()
        with transaction(self.looker.engine) as connection:
            if not fee_records.hold_fee(connection, order.number, self.run_id):
                return
            if evidence.asked_at is None or now - evidence.asked_at > self.lease:  # 26a
                fee_records.release_fee(connection, order.number, self.run_id)
                return
            spent = fee_records.spent_on_others(connection, order.number, evidence.sumup_ids)
            order = replace(order, spent_elsewhere=evidence.with_checkouts_of(spent))
            seen = assess(order, evidence, terms)
            decision = decide_gone(order, evidence, terms, now)
            payments = held(order, evidence, terms, now)
            tell_of_gone_fee(self.desk, connection, order.number, payments, now)
            record(
                connection,
                now=now,
                action="fee verified",
                order_number=order.number,
                run_id=self.run_id,
                outcome=decision.outcome.value,
                reason=decision.reason.value,
                explanation=decision.explanation,
                evidence=describe_evidence(evidence),
            )
            following = next_look(
                as_shown(order, seen.answers, now),
                terms,
                now,
                status=order.status,
                outstanding=any(one not in evidence.closings for one in decision.close),
                answered=seen.answered and not is_denied(order, seen) and len(payments) == len(seen.money),
            )
            note_gone_fee(connection, order.number, self.run_id, now, following, decision.reason.value)
