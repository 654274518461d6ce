"""Everything about one listing fee: what the shop has, what SumUp said, what was done, and what has been mailed."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from paypoll.admin.inspect import LiveLook
from paypoll.alerts.ledger import closing_steps
from paypoll.alerts.next_steps import Step, steps_of_fee
from paypoll.database import transaction
from paypoll.payments.decision import Reason
from paypoll.payments.fee_statuses import FeeState
from paypoll.payments.listing_fees import ListingFee, state_after
from paypoll.runs.listing_fees import FeeLooker
from paypoll.shop.listing_fees import find_fee
from paypoll.state.audit import describe_evidence
from paypoll.state.findings import Finding, find_of_fee
from paypoll.state.tables import audit, listing_fee, outbox
from paypoll.state.upgrade import require_ready


@dataclass(frozen=True, slots=True)
class FeeInspection:
    """A listing fee as `paypoll inspect` shows it. The rows are mappings of column names to values."""

    fee: ListingFee
    mails: tuple[Mapping[str, Any], ...]
    trail: tuple[Mapping[str, Any], ...]
    watch: Mapping[str, Any] | None
    live: LiveLook | None
    now: datetime
    findings: tuple[Finding, ...] = ()

    @property
    def next_steps(self) -> list[Step]:
        """What to paste, by why the last look that put it to a person did so."""
        fee = self.fee
        in_review = fee.state is FeeState.REVIEW and not fee.closed and not (fee.is_paid and fee.is_listed)
        put_there = (row for row in reversed(self.trail) if row["outcome"] in {"review", "complete"})
        reason = next((row["reason"] for row in put_there if row["status_to"] == FeeState.REVIEW), "")
        if not in_review:
            last = self.watch["last_answer"] if self.watch is not None else None
            reason = last if fee.is_paid and fee.settled is None and last == Reason.NO_PAYMENT else ""
        steps = steps_of_fee(f"review:{reason}" if reason else "", fee.reference)
        for finding in self.findings:
            if finding.closed_at is None:
                steps += closing_steps(finding)[1:-1]
        return steps


def inspect_fee(looker: FeeLooker, wanted: str, now: datetime, *, live: bool) -> FeeInspection | None:
    """Return everything about the fee that people call so; None when there is none.

    With `live`, SumUp is asked now; neither SumUp nor the database is changed by it.
    """
    require_ready(looker.engine)
    with transaction(looker.engine) as connection:
        reference = find_fee(connection, wanted)
    fee = looker.load(reference) if reference is not None else None
    if fee is None:
        return None
    with transaction(looker.engine) as connection:
        own = listing_fee.c.reference == fee.reference
        watched = connection.execute(sa.select(listing_fee).where(own)).mappings().first()
        about_fee = sa.or_(
            outbox.c.dedupe_key == f"event_listed:{fee.reference}",
            outbox.c.dedupe_key.contains(f":fee:{fee.reference}:", autoescape=True),
        )
        # They are of no order: few are, and of the keys' parts there is no index.
        of_no_order = sa.select(outbox).where(outbox.c.order_id.is_(None), about_fee)
        mails = connection.execute(of_no_order.order_by(outbox.c.id)).mappings()
        of_fee = sa.select(audit).where(audit.c.order_id.is_(None), audit.c.order_number == fee.reference)
        trail = connection.execute(of_fee.order_by(audit.c.id)).mappings()
        return FeeInspection(
            fee=fee,
            mails=tuple(dict(row) for row in mails),
            trail=tuple(dict(row) for row in trail),
            watch=dict(watched) if watched is not None else None,
            live=_look(looker, fee) if live else None,
            now=now,
            findings=tuple(find_of_fee(connection, fee.reference)),
        )


def _look(looker: FeeLooker, fee: ListingFee) -> LiveLook | None:
    looked = looker.look_at(fee.reference)
    if looked is None:
        return None
    decision = looked.decision
    return LiveLook(
        evidence=describe_evidence(looked.evidence),
        outcome=decision.outcome.value,
        reason=decision.reason.value,
        explanation=decision.explanation,
        status_after=state_after(looked.fee, decision).value,
        assumed=tuple(sorted(looked.evidence.assumed)),
    )
