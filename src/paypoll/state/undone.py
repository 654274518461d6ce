"""Findings that what SumUp says by now undoes: money that had gone back is here again."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from paypoll.payments.ledger import FindingKind, LedgerPayment
from paypoll.state.audit import ACTOR
from paypoll.state.findings import NewFinding, close
from paypoll.state.ledger import GONE
from paypoll.state.tables import finding, ledger_entry

_PAST = "past:"
_MONEY_BACK = frozenset({FindingKind.RETURNED.value, FindingKind.FEE_RETURNED.value})
_HELD = frozenset(
    kind.value
    for kind in (
        FindingKind.SECOND_PAYMENT,
        FindingKind.UNPLACED,
        FindingKind.NOT_FOLLOWED,
        FindingKind.HERE_AGAIN,
    )
)


def end_undone(
    connection: sa.Connection, payments: Iterable[LedgerPayment], now: datetime, run_id: str | None
) -> set[str]:
    """End the findings that what SumUp has just answered about these payments undoes; return their keys.

    Money that went back is here again, as a charge-back was reversed. Should it go back once more, or be held once
    more, that is another finding.
    """
    known = {one.transaction_id: one for one in payments}
    if not known:
        return set()
    query = (
        sa.select(finding, GONE.label("was_gone"), ledger_entry.c.seen_at)
        .outerjoin(ledger_entry, ledger_entry.c.transaction_id == finding.c.transaction_id)
        .where(finding.c.transaction_id.in_(known), finding.c.key.not_like(f"{_PAST}%"))
        .order_by(finding.c.id)
        .with_for_update(of=finding)
    )
    rows = connection.execute(query).mappings().all()
    undone = {row["id"] for row in rows if _is_undone(row, known[row["transaction_id"]])}
    # Of money that had gone back in parts, what is gone still is told as well.
    parts = {row["transaction_id"] for row in rows if row["id"] in undone and row["kind"] in _MONEY_BACK}
    for row in rows:
        if row["transaction_id"] in parts and row["kind"] in _MONEY_BACK and row["closed_by"] == ACTOR:
            undone.add(row["id"])
    for row in (row for row in rows if row["id"] in undone):
        if row["closed_at"] is None:
            close(connection, row["id"], why="the money is here again", now=now, run_id=run_id)
        put_by(connection, row["id"])
    return {row["key"] for row in rows if row["id"] in undone}


def _is_undone(row: sa.RowMapping, payment: LedgerPayment) -> bool:
    if row["kind"] in _MONEY_BACK:
        charged_back = Decimal(str(row["detail"].get("charged_back") or 0))
        return bool(row["amount"] > payment.back or charged_back > payment.charged_back)
    if not row["was_gone"] or payment.gone:
        return False
    if row["kind"] == FindingKind.HERE_AGAIN and row["closed_by"] not in {None, ACTOR}:
        # A person's word about the money that is here now stands; not one about what has gone back once more since.
        return bool(row["closed_at"] < row["seen_at"])
    return row["kind"] in _HELD and row["closed_by"] == ACTOR


def here_again(found: NewFinding) -> NewFinding:
    """Return the finding about money that had gone back, and is held once more."""
    return replace(found, detail={**(found.detail or {}), "again": "yes"})


def is_past(key: str) -> bool:
    """Say whether a finding with this key was put by."""
    return key.startswith(_PAST)


def put_by(connection: sa.Connection, finding_id: int) -> None:
    """Let the same, when it is seen again, be another finding than this one."""
    past = sa.literal(f"{_PAST}{finding_id}:") + finding.c.key  # at the front: how a key ends says what was settled
    connection.execute(sa.update(finding).where(finding.c.id == finding_id).values(key=past))
