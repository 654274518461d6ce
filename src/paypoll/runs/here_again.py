"""A look at a void order that sees money again which SumUp's ledger had shown to have gone back."""

from datetime import datetime

import sqlalchemy as sa

from paypoll.alerts.desk import AlertDesk
from paypoll.alerts.ledger import tell_of_findings
from paypoll.payments import notices
from paypoll.payments.classify import Assessment
from paypoll.payments.decision import Decision, Notice, NoticeKind
from paypoll.payments.evidence import Evidence
from paypoll.payments.gateway import Found
from paypoll.payments.order import Order
from paypoll.state.findings import take_untold
from paypoll.state.here_again import left_to_the_ledger, note_seen_again
from paypoll.state.told_cases import seen_to_go_back


def without_ledgers_own(
    connection: sa.Connection,
    desk: AlertDesk,
    order: Order,
    decision: Decision,
    seen: Assessment,
    evidence: Evidence,
    now: datetime,
    run_id: str,
) -> list[Notice]:
    """Return what the look tells. Money that had gone back and is here again is the ledger's finding (52b).

    Whoever sees it first tells of it, the look or the sweep, in the caller's transaction. Where the look was not let
    see whether it went back, or was asked before the ledger, what was seen before stands.
    """
    told: list[Notice] = []
    for notice in decision.notices:
        if notice.kind is not NoticeKind.PAID_BUT_VOID:
            told.append(notice)
            continue
        checkouts = notice.subject.split(",")
        others = left_to_the_ledger(connection, order.id, checkouts)
        for one in (one for one in others if one.gone):
            transaction = evidence.transactions.get(one.checkout_id)
            is_newer = evidence.asked_at is not None and evidence.asked_at > one.seen_at
            if isinstance(transaction, Found) and is_newer:
                note_seen_again(connection, one, order.number, order.status, transaction.value.returned, now, run_id)
                untold = take_untold(connection, one.entry.merchant_code, now, one.entry.transaction_id)
                tell_of_findings(desk, connection, untold, now, first=False)
        unread = [one for one in checkouts if not isinstance(evidence.transactions.get(one), Found)]
        silent = seen_to_go_back(connection, order.id, unread) if unread else set()
        left = sorted(set(checkouts) - {one.checkout_id for one in others} - silent)
        if left:
            told.append(notices.paid_but_void(seen.answers[checkout_id] for checkout_id in left))
    return told
