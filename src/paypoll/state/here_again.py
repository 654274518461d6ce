"""Money that had gone back and is here again, of orders that have nothing for it: told once each time (52b)."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from paypoll.payments.ledger import FindingKind, finding_key
from paypoll.state.audit import ACTOR
from paypoll.state.findings import NewFinding, note
from paypoll.state.ledger import GONE, Entry, note_entries
from paypoll.state.tables import checkout_seen, finding, ledger_entry
from paypoll.state.undone import put_by

_KIND = FindingKind.HERE_AGAIN


def listed_as_here_again(connection: sa.Connection, transaction_ids: Collection[str]) -> set[str]:
    """Return those of these payments about which such a finding is open."""
    is_open = sa.and_(finding.c.kind == _KIND.value, finding.c.closed_at.is_(None))
    named = finding.c.transaction_id.in_(list(transaction_ids))
    return set(connection.scalars(sa.select(finding.c.transaction_id).where(named, is_open)))


@dataclass(frozen=True, slots=True)
class LedgersOwn:
    """A payment of which the ledger tells: `gone`, as it has shown at `seen_at`, or here again (`finding_id`)."""

    checkout_id: str
    entry: Entry
    gone: bool
    seen_at: datetime
    finding_id: int | None


def left_to_the_ledger(connection: sa.Connection, order_id: int, checkouts: Collection[str]) -> list[LedgersOwn]:
    """Return those of an order's payments of which the ledger tells, or has told, and not the look at the order.

    What a person has decided on stands until the money goes back once more.
    """
    key = sa.literal(finding_key(_KIND, transaction_id="", order_id=None, amount=Decimal(0)))
    columns = [ledger_entry.c[name] for name in Entry.__slots__]
    is_open_or_decided = sa.or_(finding.c.closed_at.is_(None), finding.c.closed_by != ACTOR)
    stands = sa.and_(finding.c.id.is_not(None), is_open_or_decided)
    query = (
        sa.select(checkout_seen.c.checkout_id, GONE, ledger_entry.c.seen_at, finding.c.id, *columns)
        .join(ledger_entry, ledger_entry.c.transaction_id == checkout_seen.c.transaction_id)
        .outerjoin(finding, finding.c.key == key + ledger_entry.c.transaction_id)
        .where(
            checkout_seen.c.order_id == order_id,
            checkout_seen.c.checkout_id.in_(list(checkouts)),
            sa.or_(GONE, stands),
        )
        .order_by(checkout_seen.c.checkout_id)
    )
    return [
        LedgersOwn(checkout_id, Entry(*entry), gone, seen_at, number)
        for checkout_id, gone, seen_at, number, *entry in connection.execute(query)
    ]


def note_seen_again(
    connection: sa.Connection,
    known: LedgersOwn,
    number: str,
    status: str,
    returned: Decimal,
    now: datetime,
    run_id: str,
) -> None:
    """Write down that a look at its order, of this number and status, has seen the money again, before the ledger."""
    one = replace(known.entry, returned=returned)
    if known.finding_id is not None:
        put_by(connection, known.finding_id)
    note_entries(connection, [one], now, run_id)
    new = NewFinding(
        kind=_KIND,
        merchant_code=one.merchant_code,
        amount=one.amount - one.returned,
        currency=one.currency,
        transaction_id=one.transaction_id,
        transaction_code=one.transaction_code,
        order_id=one.order_id,
        order_number=number,
        detail={"again": "yes", "status": status},
    )
    note(connection, [new], now)
