"""Findings: what SumUp's ledger and the orders do not agree about, and the cases of `state.told_cases`.

Each is told once, and closed once.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from paypoll.database import insert_unless_there
from paypoll.errors import NotFoundError, RefusedError
from paypoll.payments.ledger import FindingKind, OpenFinding, finding_key
from paypoll.payments.ticket_statuses import ADMITTING
from paypoll.payments.told import TOLD_OF_FEES
from paypoll.shop.tables import events, listing_fees, orders, tickets
from paypoll.state.audit import ACTOR, record
from paypoll.state.fee_payments import STANDS
from paypoll.state.ledger import GONE
from paypoll.state.same_order import is_another
from paypoll.state.tables import checkout_seen, finding, fulfilment, ledger_entry, watch

_BY_ORDER = timedelta(hours=2)

_MOST = 2000
"""So many open findings are looked through for whether they have ended."""

VOID_WAITS = {"void": "waits"}
"""What the detail of a finding says whose order is to be made void; see `state.waiting_voids`."""


@dataclass(frozen=True, slots=True)
class NewFinding:
    """A finding to be written down, unless it is there. `settled`: why it is closed from the beginning, and untold.

    `put_back`: the order had been void, and a person has put it back.
    """

    kind: FindingKind
    merchant_code: str
    amount: Decimal
    currency: str
    transaction_id: str = ""
    transaction_code: str = ""
    order_id: int | None = None
    order_number: str = ""
    detail: Mapping[str, Any] | None = None
    settled: str = ""
    put_back: bool = False

    @property
    def told_key(self) -> str:
        """The key of the same, had somebody to be told of it."""
        return replace(self, settled="").key

    @property
    def key(self) -> str:
        """What makes two sightings the same finding."""
        key = finding_key(
            self.kind,
            transaction_id=self.transaction_id,
            order_id=self.order_id,
            amount=self.amount,
            settled=bool(self.settled),
        )
        return f"{key}:put_back" if self.put_back else key


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding as it is written down."""

    id: int
    kind: str
    merchant_code: str
    transaction_id: str
    transaction_code: str
    order_id: int | None
    order_number: str
    amount: Decimal
    currency: str
    first_seen_at: datetime
    told_at: datetime | None
    closed_at: datetime | None
    closed_by: str
    closed_why: str
    detail: Mapping[str, Any]


def note(connection: sa.Connection, new: Iterable[NewFinding], now: datetime) -> int:
    """Write findings down that are not there yet; return how many were new."""
    count = 0
    by_key = {one.key: one for one in new}
    told_keys = {key: one.told_key for key, one in by_key.items()}
    # Asked for first: each attempt at an insert would use up a number, at every sweep anew.
    there = (
        set(connection.scalars(sa.select(finding.c.key).where(finding.c.key.in_([*by_key, *told_keys.values()]))))
        if by_key
        else set()
    )
    for key in sorted(key for key in by_key if not there & {key, told_keys[key]}):
        one = by_key[key]
        row = {
            "key": key,
            "kind": one.kind.value,
            "merchant_code": one.merchant_code,
            "transaction_id": one.transaction_id or None,
            "transaction_code": one.transaction_code or None,
            "order_id": one.order_id,
            "order_number": one.order_number or None,
            "amount": one.amount,
            "currency": one.currency,
            "first_seen_at": now,
            "detail": dict(one.detail or {}),
        }
        if one.settled:
            row |= {"closed_at": now, "closed_by": ACTOR, "closed_why": one.settled}
        count += connection.execute(insert_unless_there(connection, finding).values(row)).rowcount
    return count


def renew(connection: sa.Connection, known: Iterable[NewFinding]) -> None:
    """Have these findings, where they are open, say what is known of them by now; one that is void by now stays so."""
    for one in sorted(known, key=lambda new: new.key):
        unvoided = finding.c.detail["voided"].as_string().is_(None)
        same = sa.and_(finding.c.key == one.key, finding.c.closed_at.is_(None), unvoided)
        connection.execute(sa.update(finding).where(same).values(detail=dict(one.detail or {})))


def _read(row: sa.RowMapping) -> Finding:
    texts = ("transaction_id", "transaction_code", "order_number", "closed_by", "closed_why")
    values: dict[str, Any] = {name: row[name] or "" if name in texts else row[name] for name in Finding.__slots__}
    return Finding(**values)


def find_open(connection: sa.Connection) -> list[Finding]:
    """Return the open findings, the oldest first."""
    query = sa.select(finding).where(finding.c.closed_at.is_(None)).order_by(finding.c.first_seen_at, finding.c.id)
    return [_read(row) for row in connection.execute(query).mappings()]


def count_open(connection: sa.Connection) -> int:
    """Return how many findings are open."""
    return connection.scalar(sa.select(sa.func.count()).where(finding.c.closed_at.is_(None))) or 0


def find_of_order(connection: sa.Connection, order_id: int) -> list[Finding]:
    """Return all findings about an order, the oldest first."""
    query = sa.select(finding).where(finding.c.order_id == order_id).order_by(finding.c.id)
    return [_read(row) for row in connection.execute(query).mappings()]


def find_of_fee(connection: sa.Connection, reference: str, *, only_open: bool = False) -> list[Finding]:
    """Return the findings about a listing fee, the oldest first."""
    query = sa.select(finding).where(_of_fee(reference)).order_by(finding.c.id)
    if only_open:
        query = query.where(finding.c.closed_at.is_(None))
    return [_read(row) for row in connection.execute(query).mappings()]


def _of_fee(reference: str) -> sa.ColumnElement[bool]:
    kinds = [FindingKind.FEE_RETURNED.value, *sorted(TOLD_OF_FEES)]  # of orders these have the order's id
    return sa.and_(finding.c.order_id.is_(None), finding.c.kind.in_(kinds), finding.c.order_number == reference)


def take_untold(
    connection: sa.Connection, merchant_code: str, now: datetime, transaction_id: str = ""
) -> list[Finding]:
    """Return the open findings that nobody was told of, and mark them as told in the caller's transaction.

    With `transaction_id` those about this payment alone.
    Of a second payment the look at its order tells (row 12). It has a while for that; then the finding is told.
    """
    by_order = sa.exists().where(checkout_seen.c.transaction_id == finding.c.transaction_id, checkout_seen.c.accounted)
    # Of one that is here again, the look has told when it was there first.
    second = sa.and_(
        finding.c.kind == FindingKind.SECOND_PAYMENT.value, finding.c.detail["again"].as_string().is_(None)
    )
    open_ones = sa.and_(
        finding.c.merchant_code == merchant_code,
        finding.c.told_at.is_(None),
        finding.c.closed_at.is_(None),
        finding.c.transaction_id == transaction_id if transaction_id else sa.true(),
    )
    connection.execute(sa.update(finding).where(open_ones, second, by_order).values(told_at=now))
    untold = (
        sa.select(finding)
        .where(open_ones, sa.or_(sa.not_(second), finding.c.first_seen_at <= now - _BY_ORDER))
        .order_by(finding.c.id)
        .with_for_update(skip_locked=True)
    )
    found = [_read(row) for row in connection.execute(untold).mappings()]
    if found:
        ids = [one.id for one in found]
        connection.execute(sa.update(finding).where(finding.c.id.in_(ids)).values(told_at=now))
    return found


def close(
    connection: sa.Connection, finding_id: int, *, why: str, now: datetime, who: str = ACTOR, run_id: str | None = None
) -> Finding:
    """Close a finding and write that into the trail. Raise NotFoundError, or RefusedError when it is closed."""
    query = sa.select(finding).where(finding.c.id == finding_id).with_for_update()
    row = connection.execute(query).mappings().first()
    if row is None:
        raise NotFoundError(f"there is no finding {finding_id}; `paypoll queue` lists the open ones")
    found = _read(row)
    if found.closed_at is not None:
        raise RefusedError(f"finding {finding_id} was closed by {found.closed_by}: {found.closed_why}")
    connection.execute(
        sa.update(finding).where(finding.c.id == finding_id).values(closed_at=now, closed_by=who, closed_why=why)
    )
    record(
        connection,
        now=now,
        action="finding_closed",
        actor=who,
        order_id=found.order_id,
        order_number=found.order_number or None,
        run_id=run_id,
        reason=found.kind,
        explanation=why,
        evidence={"finding": found.id, "transaction": found.transaction_id},
    )
    return found


def close_of_order(
    connection: sa.Connection, order_id: int, *, but: Collection[str], why: str, who: str, now: datetime
) -> None:
    """Close the open findings about an order that a person has decided upon, `but` those of these kinds."""
    query = sa.select(finding.c.id, finding.c.kind).where(finding.c.order_id == order_id, finding.c.closed_at.is_(None))
    for row in connection.execute(query).all():
        if row.kind not in but:
            close(connection, row.id, why=why, now=now, who=who)


def close_of_fee(connection: sa.Connection, reference: str, *, why: str, who: str, now: datetime) -> None:
    """Close the open findings about a listing fee that a person has decided upon."""
    for one in find_of_fee(connection, reference, only_open=True):
        close(connection, one.id, why=why, now=now, who=who)


def load_open_facts(connection: sa.Connection, merchant_code: str) -> list[OpenFinding]:
    """Return the merchant's open findings with what is known of their payments and orders now."""
    admitting = (
        sa.select(sa.func.count())
        .where(tickets.c.order_id == finding.c.order_id, tickets.c.status.in_(ADMITTING))
        .correlate(finding)
        .scalar_subquery()
    )
    paid_for = orders.alias("paid_for")
    noted = watch.alias("noted")
    # A restored shop may have lost the order, and given its id out again (39a).
    still_there = (
        sa.exists(paid_for.c.id)
        .select_from(paid_for.outerjoin(noted, noted.c.order_id == paid_for.c.id))
        .where(paid_for.c.id == fulfilment.c.order_id, ~is_another(paid_for, noted))
        .correlate(fulfilment)
    )
    more = finding.alias("more")
    most_returned = (
        sa.select(sa.func.max(more.c.amount))
        .where(more.c.transaction_id == finding.c.transaction_id, more.c.kind == FindingKind.FEE_RETURNED.value)
        .correlate(finding)
        .scalar_subquery()
    )
    query = (
        sa.select(
            finding.c.id,
            finding.c.kind,
            finding.c.amount,
            finding.c.first_seen_at,
            finding.c.order_id,
            fulfilment.c.order_number.label("paid_order"),
            ledger_entry.c.seen_at,
            # The payments of fees have no entry.
            sa.func.coalesce(ledger_entry.c.returned, most_returned).label("returned"),
            GONE.label("gone"),
            STANDS.label("fee_stands"),
            orders.c.status,
            orders.c.is_paid,
            admitting.label("admitting"),
        )
        .select_from(finding)
        .outerjoin(ledger_entry, ledger_entry.c.transaction_id == finding.c.transaction_id)
        .outerjoin(fulfilment, sa.and_(fulfilment.c.transaction_id == finding.c.transaction_id, still_there))
        .outerjoin(orders, orders.c.id == finding.c.order_id)
        .outerjoin(
            listing_fees,
            sa.and_(
                finding.c.kind == FindingKind.FEE_RETURNED.value,
                listing_fees.c.payment_reference == finding.c.order_number,
            ),
        )
        .outerjoin(events, events.c.id == listing_fees.c.event_id)
        .where(
            finding.c.merchant_code == merchant_code,
            finding.c.closed_at.is_(None),
            finding.c.kind.in_([kind.value for kind in FindingKind]),
        )
        .order_by(finding.c.id)
        .limit(_MOST)
    )
    return [_with_facts(row) for row in connection.execute(query)]


def _with_facts(row: Any) -> OpenFinding:
    return OpenFinding(
        id=row.id,
        kind=FindingKind(row.kind),
        amount=row.amount,
        payment_order=row.paid_order or "",
        seen_again=row.seen_at is not None and row.seen_at > row.first_seen_at,
        returned=row.returned,
        gone=bool(row.gone),
        order_status=row.status or "",
        admitting=row.admitting if row.order_id is not None else None,
        order_paid=bool(row.is_paid),
        fee_stands=bool(row.fee_stands),
    )
