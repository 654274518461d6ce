"""A person's decision on a listing fee: take it as paid and publish its event, or close it without.

As `paypoll.admin.resolve` for orders: SumUp is asked with no transaction open, and the verdict is written down in one,
under the fee's row lock, with everything read again.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime

import sqlalchemy as sa

from paypoll.admin.deciding import decision_about, require_as_shown, require_fresh
from paypoll.admin.fee_case import FeeCase, as_if_open, weigh_fee
from paypoll.admin.resolve import Resolution
from paypoll.admin.weighing import patient
from paypoll.database import transaction
from paypoll.errors import OrderNotFoundError, RefusedError
from paypoll.mail.delivered import Delivered
from paypoll.payments.fee_statuses import PAID, FeeState
from paypoll.payments.fetch import Closing
from paypoll.payments.listing_fees import ListingFee
from paypoll.runs.apply import answer_for
from paypoll.runs.apply_fee import load_fee_for_decision, load_fee_with_records, post_listed
from paypoll.runs.listing_fees import FeeLooker
from paypoll.settings.model import SiteSettings
from paypoll.shop.changes import note_checkout
from paypoll.shop.listing_fees import find_fee, lock_fee, pay_fee, publish_event
from paypoll.state import findings, told_payments
from paypoll.state import listing_fees as fee_records
from paypoll.state.audit import describe_evidence, record
from paypoll.state.due_fees import enrol_fee
from paypoll.state.memory import require_ready_to_work
from paypoll.state.posted_alerts import forget_told_of_fee
from paypoll.state.resolutions import ACTION, Verdict
from paypoll.state.runs import new_run_id


@dataclass(frozen=True, slots=True)
class FeeSettled:
    """What came of it. `fee` is as it was; `published`: its event was a draft, and is published now."""

    fee: ListingFee
    resolution: Resolution
    status_to: str
    published: bool = False
    overridden: tuple[str, ...] = ()
    still_payable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class FeeResolver:
    """Looks at listing fees and writes a person's decision down. `domain` is that of our Message-IDs."""

    engine: sa.Engine
    looker: FeeLooker
    site: SiteSettings
    domain: str
    deliver: Callable[[str], Delivered]

    def find(self, wanted: str) -> ListingFee | None:
        """Return the fee that people call so, None when there is none. Raise RefusedError when nothing is to decide."""
        require_ready_to_work(self.engine)
        with transaction(self.engine) as connection:
            reference = find_fee(connection, wanted)
            if reference is None:
                return None
            fee = load_fee_with_records(connection, reference, self.looker.policy)
            return fee and _require_open(connection, fee)

    def look_at(self, fee: ListingFee) -> FeeCase:
        """Ask SumUp about the fee, closing nothing there, and say what stands against taking it as paid."""
        looker = replace(self.looker, policy=patient(self.looker.policy))
        asked_at = looker.clock.now()
        evidence = looker.fetch(as_if_open(fee), Closing.LEAVE)
        with transaction(self.engine) as connection:
            present = load_fee_for_decision(connection, fee.reference, looker.policy, evidence, lock=False) or fee
        return weigh_fee(present, evidence, self.looker.policy, asked_at, looker.clock.now())

    def settle(self, fee: ListingFee, resolution: Resolution, case: FeeCase | None = None) -> FeeSettled:
        """Write the verdict down and do what it says; a verdict of ISSUE needs the `case`. Raise RefusedError."""
        now = self.looker.clock.now()
        run_id = new_run_id(now)
        what, forbidden = f"listing fee {fee.reference}", "its payment has paid for something else"
        with decision_about(what, forbidden=forbidden), transaction(self.engine) as connection:
            if not lock_fee(connection, fee.reference):
                raise OrderNotFoundError(f"listing fee {fee.reference} is gone from the shop")
            enrol_fee(connection, fee.reference, now)
            loaded = load_fee_with_records(connection, fee.reference, self.looker.policy)
            present = _require_open(connection, loaded or fee)
            forget_told_of_fee(connection, fee.reference, "alert:review:", run_id)
            if resolution.verdict is Verdict.ISSUE:
                if case is None:
                    raise ValueError("a fee is taken only after SumUp was asked")
                return self._take(connection, present, resolution, case, run_id, now)
            return _close(connection, present, resolution, run_id, now)

    def send_mail(self) -> None:
        """Deliver what is due, so that the organiser does not wait for the next run."""
        self.deliver(new_run_id(self.looker.clock.now()))

    def _take(
        self,
        connection: sa.Connection,
        present: ListingFee,
        resolution: Resolution,
        asked: FeeCase,
        run_id: str,
        now: datetime,
    ) -> FeeSettled:
        policy = self.looker.policy
        what = f"listing fee {present.reference}"
        require_fresh(what, asked.asked_at, now)
        present = load_fee_for_decision(connection, present.reference, policy, asked.evidence, lock=True) or present
        case = weigh_fee(present, asked.evidence, policy, asked.asked_at, now)
        require_as_shown(what, asked, case, override=resolution.override, act="take it")
        answer = case.payment.answer if case.payment is not None else None
        paid_at = present.settled.paid_at if present.settled is not None else now
        if case.payment is not None:
            paid_at = fee_records.take_payment(connection, present, case.payment, now).paid_at
            told_payments.settle_of_fee(connection, present.reference, run_id, taken=case.payment.checkout_id)
        if case.payment is not None or not present.is_paid:
            pay_fee(connection, present, answer, paid_at)
        event = present.event
        published = event is not None and case.publishes and publish_event(connection, event.id, now)
        if published or (event is not None and event.status == "published"):
            post_listed(connection, present, self.site, self.domain, now)
        for row in present.checkouts:
            said = answer_for(row, case.evidence)
            paid = paid_at if said is not None and said is answer else None
            note_checkout(connection, row, said, now, settled=True, paid_at=paid)
        settled = FeeSettled(present, resolution, PAID, published, case.objections, case.still_payable)
        _record(connection, settled, case, run_id, now)
        fee_records.note_verdict(connection, present, FeeState.PAID, PAID, "person_issue", now)
        return settled


def _require_open(connection: sa.Connection, fee: ListingFee) -> ListingFee:
    """Return the fee if there is anything to decide about it."""
    done = fee.settled is not None and fee.is_paid and fee.is_listed
    asks_for_somebody = findings.find_of_fee(connection, fee.reference, only_open=True) or told_payments.told_of_fees(
        connection, fee.reference
    )
    if done and not asks_for_somebody:
        raise RefusedError(f"listing fee {fee.reference} is paid and its event published: there is nothing to decide")
    return fee


def _close(
    connection: sa.Connection, present: ListingFee, resolution: Resolution, run_id: str, now: datetime
) -> FeeSettled:
    """Close the case: nothing of the shop's is changed, and the fee's money is followed all the same (60p)."""
    settled = FeeSettled(present, resolution, present.status)
    told_payments.settle_of_fee(connection, present.reference, run_id)
    _record(connection, settled, None, run_id, now)
    done = present.settled is not None and present.is_listed
    state = FeeState.PAID if done else FeeState.REVIEW
    fee_records.note_verdict(connection, present, state, present.status, f"person_{resolution.verdict}", now)
    return settled


def _record(connection: sa.Connection, settled: FeeSettled, case: FeeCase | None, run_id: str, now: datetime) -> None:
    verdict, explanation = settled.resolution.verdict, settled.resolution.reason
    findings.close_of_fee(
        connection,
        settled.fee.reference,
        why=f"{verdict.value}: {explanation}",
        who=settled.resolution.who,
        now=now,
    )
    if settled.overridden:
        explanation += " | Overridden: " + " ".join(settled.overridden)
    record(
        connection,
        now=now,
        action=ACTION,
        actor=settled.resolution.who,
        order_number=settled.fee.reference,
        run_id=run_id,
        outcome=verdict.value,
        reason="overridden" if settled.overridden else f"person_{verdict}",
        explanation=explanation + ("; its event is published" if settled.published else ""),
        status_from=settled.fee.status,
        status_to=settled.status_to,
        evidence=describe_evidence(case.evidence) if case is not None else None,
    )
