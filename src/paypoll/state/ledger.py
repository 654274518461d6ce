"""How far SumUp's ledger was read, for each merchant, and the payments of orders seen in it."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from paypoll.clock import CLOCK_TOLERANCE
from paypoll.database import insert_unless_there
from paypoll.payments.ledger import LedgerPayment
from paypoll.payments.money import show_amount
from paypoll.state import leases
from paypoll.state.tables import fulfilment, ledger_cursor, ledger_entry
from paypoll.state.unnamed import BOUGHT_BY, bought_by
from paypoll.statements import Rows

OVERLAP = timedelta(hours=1)
"""Each sweep begins so much earlier than the last one ended: clocks differ, and SumUp's list may lag."""

LOOK_BACK = timedelta(days=7)
"""Once a day all payments of so long are listed again, to see whether one is gone."""

_LOOK_BACK_EVERY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Cursor:
    """A sweep under way: since when it lists what changed, when it began, where it goes on.

    `first`: this merchant's list was never read to its end. `done`: the transactions that were judged already of the
    page where it goes on.
    """

    merchant_code: str
    since: datetime
    began_at: datetime
    next_page: str
    first: bool
    done: frozenset[str] = frozenset()


CURSORS = sa.select(
    ledger_cursor.c.merchant_code, ledger_cursor.c.asked_at, ledger_cursor.c.sweep_since, ledger_cursor.c.refused
)
"""How far the ledgers were read."""


def due_among(cursors: Rows, merchants: Sequence[str], every: timedelta, now: datetime) -> list[str]:
    """Return those of these merchants whose ledger is to be read now, by what `CURSORS` has found."""
    known = {row["merchant_code"]: row for row in cursors}
    due = []
    for code in merchants:
        row = known.get(code)
        if row is None or row["asked_at"] is None:
            due.append(code)
        elif row["sweep_since"] is not None and row["refused"] is None:
            due.append(code)  # a run was killed in it, or had no more time
        elif not now - every < row["asked_at"] <= now + CLOCK_TOLERANCE:
            due.append(code)
    return due


def take(connection: sa.Connection, merchant_code: str, run_id: str, lease: timedelta) -> bool:
    """Take the merchant's ledger for this run. False while another run on any host has it."""
    return leases.take(connection, f"ledger:{merchant_code}", run_id, lease)


def keep(connection: sa.Connection, merchant_code: str, run_id: str, lease: timedelta) -> bool:
    """Prolong this run's hold, in the transaction of what it writes. False when another run has taken it."""
    return leases.renew(connection, f"ledger:{merchant_code}", run_id, lease)


def give_back(connection: sa.Connection, merchant_code: str, run_id: str) -> None:
    """Let other runs read the merchant's ledger again."""
    leases.give_back(connection, f"ledger:{merchant_code}", run_id)


def begin_new(connection: sa.Connection, merchants: Sequence[str], first_since: timedelta, now: datetime) -> None:
    """Write down for each of these merchants who has no cursor that his first sweep lists what changed since then."""
    missing = set(merchants) - set(connection.scalars(sa.select(ledger_cursor.c.merchant_code)))
    rows = [
        {"merchant_code": code, "sweep_since": now - first_since, "sweep_began_at": now} for code in sorted(missing)
    ]
    if rows:
        connection.execute(insert_unless_there(connection, ledger_cursor), rows)


def begin(connection: sa.Connection, merchant_code: str, first_since: timedelta, now: datetime) -> Cursor:
    """Begin a sweep, or go on with the one that is under way. Called with the merchant's lease."""
    connection.execute(insert_unless_there(connection, ledger_cursor).values(merchant_code=merchant_code))
    same = ledger_cursor.c.merchant_code == merchant_code
    row = connection.execute(sa.select(ledger_cursor).where(same)).one()
    # One that began in the future did so under a clock that was ahead.
    if row.sweep_since is not None and row.sweep_began_at <= now + CLOCK_TOLERANCE:
        connection.execute(sa.update(ledger_cursor).where(same).values(asked_at=now))
        done = frozenset(row.page_done or ())
        first = row.read_until is None
        return Cursor(merchant_code, row.sweep_since, row.sweep_began_at, row.next_page or "", first, done)
    if row.read_until is None:
        since = now - first_since
    else:
        since = min(row.read_until, now) - OVERLAP
        # What is dated in the future was read under a clock that was ahead: until when in truth, nobody can tell.
        newest = now + CLOCK_TOLERANCE
        looked_back = row.looked_back_at is not None and now - _LOOK_BACK_EVERY < row.looked_back_at <= newest
        if not looked_back or row.read_until > newest:
            since = min(since, now - LOOK_BACK)
    values = {"sweep_since": since, "sweep_began_at": now, "next_page": None, "page_done": None, "asked_at": now}
    connection.execute(sa.update(ledger_cursor).where(same).values(values))
    return Cursor(merchant_code, since, now, "", row.read_until is None)


def note_page(connection: sa.Connection, cursor: Cursor, next_page: str, done: Collection[str] = ()) -> None:
    """Note where the sweep goes on, and what is `done` already of that page."""
    same = ledger_cursor.c.merchant_code == cursor.merchant_code
    values = {"next_page": next_page, "page_done": sorted(done) or None, "refused": None}
    connection.execute(sa.update(ledger_cursor).where(same).values(values))


def restart(connection: sa.Connection, merchant_code: str) -> None:
    """Forget the page at which the sweep was to go on, because SumUp does not take it any more."""
    same = ledger_cursor.c.merchant_code == merchant_code
    connection.execute(sa.update(ledger_cursor).where(same).values(next_page=None, page_done=None))


def note_refusal(connection: sa.Connection, merchant_code: str, why: str, now: datetime) -> None:
    """Note that the ledger may not be read; asked again when it is due."""
    same = ledger_cursor.c.merchant_code == merchant_code
    connection.execute(sa.update(ledger_cursor).where(same).values(refused=why, asked_at=now))


def finish(connection: sa.Connection, cursor: Cursor, now: datetime, *, looked_back: bool = True) -> None:
    """End the sweep: everything that had changed before it began was read.

    Without `looked_back` the next one looks back again: there was no time to ask for all that is missing.
    """
    values = {
        "read_until": cursor.began_at,
        "swept_at": now,
        "sweep_since": None,
        "sweep_began_at": None,
        "next_page": None,
        "page_done": None,
        "refused": None,
    }
    if looked_back and (cursor.first or cursor.began_at - cursor.since >= LOOK_BACK):
        values["looked_back_at"] = cursor.began_at
    connection.execute(
        sa.update(ledger_cursor).where(ledger_cursor.c.merchant_code == cursor.merchant_code).values(values)
    )


RETURNS_SEEN = "returns_seen"
"""Of the trail: what had gone back of a payment, `before` and `returned` in its evidence."""

LEFT: sa.ColumnElement[Decimal] = ledger_entry.c.amount - ledger_entry.c.returned
GONE: sa.ColumnElement[bool] = LEFT <= 0
"""Says of an entry, as `LedgerPayment.gone` of a payment, that nothing is left of what was paid."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A payment as SumUp's ledger has it, its `amount` without a tip. Without an order nobody could place it."""

    transaction_id: str
    transaction_code: str
    merchant_code: str
    order_id: int | None
    amount: Decimal
    returned: Decimal
    currency: str
    paid_at: datetime | None

    @property
    def gone(self) -> bool:
        """Whether nothing is left of it; see `GONE`."""
        return self.returned >= self.amount

    @classmethod
    def of(cls, payment: LedgerPayment, order_id: int | None) -> "Entry":
        """Return what is kept of a payment."""
        return cls(
            transaction_id=payment.transaction_id,
            transaction_code=payment.transaction_code,
            merchant_code=payment.merchant_code,
            order_id=order_id,
            amount=payment.net,
            returned=payment.back,
            currency=payment.currency,
            paid_at=payment.paid_at,
        )


def find_entries(connection: sa.Connection, transaction_ids: Collection[str]) -> dict[str, Entry]:
    """Return those of these payments that were seen before, and of which order."""
    columns = [ledger_entry.c[name] for name in Entry.__slots__]
    query = sa.select(*columns).where(ledger_entry.c.transaction_id.in_(list(transaction_ids)))
    return {row[0]: Entry(*(row[place] for place in range(len(columns)))) for row in connection.execute(query)}


def others_of(connection: sa.Connection, transaction_id: str) -> list[Entry]:
    """Return the other payments of the order that this one is of, as they were seen last."""
    one, columns = ledger_entry.alias("one"), [ledger_entry.c[name] for name in Entry.__slots__]
    query = (
        sa.select(*columns)
        .join(one, one.c.order_id == ledger_entry.c.order_id)
        .where(one.c.transaction_id == transaction_id, ledger_entry.c.transaction_id != transaction_id)
        .order_by(ledger_entry.c.transaction_id)
    )
    return [Entry(*row) for row in connection.execute(query)]


def note_entries(connection: sa.Connection, entries: Iterable[Entry], now: datetime, run_id: str | None = None) -> None:
    """Write down that these payments stand in SumUp's ledger now, and into the trail what went back since."""
    from sqlalchemy.dialects.postgresql import insert

    entries = list(entries)
    _note_returns(connection, entries, now, run_id)
    rows: list[dict[str, object]] = [
        {name: getattr(entry, name) for name in Entry.__slots__} | {"seen_at": now} for entry in entries
    ]
    # In one order, so that two runs never wait for each other.
    rows.sort(key=lambda row: str(row["transaction_id"]))
    if not rows:
        return
    new = insert(ledger_entry)
    changed: dict[str, Any] = {name: new.excluded[name] for name in ("amount", "returned", "seen_at")}
    changed["order_id"] = sa.func.coalesce(new.excluded.order_id, ledger_entry.c.order_id)
    connection.execute(
        new.on_conflict_do_update(index_elements=[ledger_entry.c.transaction_id], set_=changed).values(rows)
    )


def _note_returns(connection: sa.Connection, entries: Sequence[Entry], now: datetime, run_id: str | None) -> None:
    """Write into the trail what has gone back by now of payments that bought tickets, where that was another amount.

    Less than before: a charge-back was reversed. An order that is gone from the shop counts as well.
    """
    from paypoll.state.audit import record  # what an idle run does without

    known = find_entries(connection, [one.transaction_id for one in entries])
    before = {name: one.returned for name, one in known.items()}
    changed = {one.transaction_id: one for one in entries if one.returned != before.get(one.transaction_id, 0)}
    for name, (order_id, number) in sorted(bought_by(connection, changed).items()):
        one, earlier = changed[name], before.get(name, Decimal(0))
        code = one.transaction_code or name
        said = [show_amount(amount, one.currency) for amount in (one.returned, earlier)]
        record(
            connection,
            now=now,
            action=RETURNS_SEEN,
            order_id=order_id,
            order_number=number or None,
            run_id=run_id,
            explanation=f"SumUp's ledger: {said[0]} of payment {code} has gone back in all; it was {said[1]} before",
            evidence={"transaction": name, "returned": str(one.returned), "before": str(earlier)},
        )


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A payment that completed an order, and that a sweep over its time has not met."""

    order_id: int
    order_number: str
    transaction_id: str
    transaction_code: str
    merchant_code: str
    amount: Decimal
    currency: str
    paid_at: datetime


def find_unlisted(
    connection: sa.Connection,
    merchant_code: str,
    since: datetime,
    until: datetime,
    *,
    seen_since: datetime | None = None,
    limit: int | None = None,
) -> list[Unlisted]:
    """Return the payments of completed orders from between two times that were not seen since `seen_since`, or all.

    What a person issued on no payment has none to be listed.
    """
    seen = sa.exists().where(ledger_entry.c.transaction_id == BOUGHT_BY)
    query = (
        sa.select(
            fulfilment.c.order_id,
            fulfilment.c.order_number,
            BOUGHT_BY.label("transaction_id"),
            fulfilment.c.transaction_code,
            fulfilment.c.merchant_code,
            fulfilment.c.amount,
            fulfilment.c.currency,
            fulfilment.c.paid_at,
        )
        .where(
            fulfilment.c.merchant_code == merchant_code,
            BOUGHT_BY.is_not(None),
            fulfilment.c.paid_at >= since,
            fulfilment.c.paid_at < until,
            sa.not_(seen.where(ledger_entry.c.seen_at >= seen_since)) if seen_since is not None else sa.true(),
        )
        .order_by(fulfilment.c.paid_at)
        .limit(limit)
    )
    return [
        Unlisted(
            order_id=row.order_id,
            order_number=row.order_number or "",
            transaction_id=row.transaction_id,
            transaction_code=row.transaction_code or "",
            merchant_code=row.merchant_code,
            amount=row.amount,
            currency=row.currency,
            paid_at=row.paid_at,
        )
        for row in connection.execute(query)
    ]
