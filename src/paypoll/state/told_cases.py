"""Cases that were told by mail (`payments.told`), kept as findings: `queue` and the digest show them until they end.

Written down in the transaction that posts the alert, so a run that is killed tells of both or of neither. A case ends
when a person closes it (`resolve`), when all its payments are seen to have gone back, and when they bought tickets
after all.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import sqlalchemy as sa

from paypoll.database import insert_unless_there
from paypoll.payments.ledger import FindingKind
from paypoll.payments.told import ToldKind, told_checkouts, told_kind
from paypoll.state.audit import ACTOR
from paypoll.state.findings import close
from paypoll.state.ledger import GONE
from paypoll.state.posted_alerts import forget_told
from paypoll.state.tables import checkout_seen, finding, ledger_cursor, ledger_entry
from paypoll.state.undone import is_past, put_by

_TOLD = [kind.value for kind in ToldKind]
_OF_LEDGER = [kind.value for kind in FindingKind]
WENT_BACK = "the money went back"
_LISTED = "it is finding {} of SumUp's ledger"


@dataclass(frozen=True, slots=True)
class ToldCase:
    """What an alert tells: its `key` and words, the order (its id and number) or the fee, the amount in question.

    `known_as` is what tells this order, or fee, from others; `transaction_id` the payment, where the order is gone.
    """

    key: str
    headline: str
    found: tuple[str, ...]
    number: str
    known_as: str
    amount: Decimal
    currency: str
    order_id: int | None = None
    transaction_id: str = ""


class Kept(NamedTuple):
    """The number of a case, 0 where there is none that is open, and whether admins were told of all of it before."""

    number: int
    told: bool = False


def keep(connection: sa.Connection, case: ToldCase, now: datetime) -> Kept:
    """Write a case down, unless it is there.

    What is left of a case whose other payments went back was told with that one: it takes its place, and no mail.
    """
    kind = told_kind(case.key)
    if kind is None or (kind is ToldKind.PAID_TWICE and _ledgers_are_read(connection)):
        return Kept(0)
    key = f"told:{case.key}:{case.known_as}"
    detail: dict[str, Any] = {
        "headline": case.headline,
        "found": list(case.found),
        "checkouts": list(told_checkouts(case.key)),
    }
    row = {
        "key": key,
        "kind": kind.value,
        "merchant_code": "",  # no sweep looks after it
        "transaction_id": case.transaction_id or None,
        "order_id": case.order_id,
        "order_number": case.number,
        "amount": case.amount,
        "currency": case.currency,
        "first_seen_at": now,
        "told_at": now,
        "detail": detail,
    }
    rest_of = finding.c.detail["rest_of"].as_string().label("rest_of")
    query = sa.select(finding.c.id, finding.c.closed_at, rest_of).where(finding.c.key == key)
    there = connection.execute(query).first()
    if there is None:  # asked for first: an attempt at an insert would use up a number, at every look anew
        whole = _told_with_more(connection, case, kind)
        if whole is not None and whole.closed_at is not None:
            return Kept(0, told=True)  # a person has decided on all of it
        if whole is not None:
            detail["rest_of"] = str(whole.id)
        connection.execute(insert_unless_there(connection, finding).values(row))
        there = connection.execute(query).one()
        if whole is not None:
            close(connection, whole.id, why=f"finding {there.id} is what is left of it", now=now)
            _let_be_told_again(connection, whole.id)
        _supersede(connection, case, kind, there.id, now)
    return Kept(0 if there.closed_at is not None else int(there.id), told=there.rest_of is not None)


def _told_with_more(connection: sa.Connection, case: ToldCase, kind: ToldKind) -> Any:
    """Return the case in which all of this one was told, with more: open, or closed by a person; None without one."""
    checkouts = set(told_checkouts(case.key))
    if case.order_id is None or not checkouts:
        return None
    query = (
        sa.select(finding.c.id, finding.c.closed_at, finding.c.detail)
        .where(
            finding.c.order_id == case.order_id,
            finding.c.order_number == case.number,
            finding.c.kind == kind.value,
            sa.or_(finding.c.closed_at.is_(None), finding.c.closed_by != ACTOR),
        )
        .order_by(finding.c.closed_at.is_not(None), finding.c.id.desc())
        .with_for_update()
    )
    return next((row for row in connection.execute(query) if checkouts < set(row.detail["checkouts"])), None)


def seen_to_go_back(connection: sa.Connection, order_id: int, checkouts: Collection[str]) -> set[str]:
    """Return those of these payments of an order of which a case has ended because they went back, and none is open."""
    query = sa.select(finding.c.key, finding.c.closed_at, finding.c.detail).where(
        finding.c.order_id == order_id, finding.c.kind == ToldKind.PAID_BUT_VOID.value
    )
    rows = connection.execute(query).all()
    back = {one for row in rows if is_past(row.key) for one in row.detail["checkouts"]}
    still = {one for row in rows if row.closed_at is None for one in row.detail["checkouts"]}
    return (back - still).intersection(checkouts)


def _let_be_told_again(connection: sa.Connection, number: int) -> None:
    """Let the same be told, and kept, anew, should it be the case once more: what it tells of has ended (45)."""
    key, order_id = connection.execute(sa.select(finding.c.key, finding.c.order_id).where(finding.c.id == number)).one()
    told_as = str(key).removeprefix("told:").partition(f":order:{order_id}:")[0]
    forget_told(connection, order_id, f"alert:{told_as}:order:", f"finding-{number}")
    put_by(connection, number)


def _supersede(connection: sa.Connection, case: ToldCase, kind: ToldKind, number: int, now: datetime) -> None:
    """Close an older case of the order that this one contains: a void order is told of again with all its payments."""
    if case.order_id is None:
        return
    for row in _open_of(connection, case.order_id):
        checkouts = row["detail"]["checkouts"]
        if row["id"] != number and row["kind"] == kind and checkouts and set(checkouts) < set(told_checkouts(case.key)):
            close(connection, row["id"], why=f"finding {number} contains it", now=now)


def _ledgers_are_read(connection: sa.Connection) -> bool:
    """Say whether each merchant's ledger is read to its end: then its own finding tells of a second payment (53)."""
    read = [at is not None for at in connection.scalars(sa.select(ledger_cursor.c.swept_at))]
    return bool(read) and all(read)


def end(
    connection: sa.Connection,
    order_id: int,
    checkouts: Collection[str] | None,
    *,
    why: str,
    now: datetime,
    run_id: str,
    kinds: Iterable[ToldKind] = ToldKind,
) -> None:
    """Close the order's cases, of these `kinds`, whose payments are all among these checkouts; None: all of them."""
    wanted = set(kinds)
    for row in _open_of(connection, order_id):
        about = set(row["detail"]["checkouts"])
        if row["kind"] in wanted and (checkouts is None or (about and about <= set(checkouts))):
            close(connection, row["id"], why=why, now=now, run_id=run_id)
            if row["kind"] == ToldKind.PAID_BUT_VOID and why == WENT_BACK:
                _let_be_told_again(connection, row["id"])


def end_returned(connection: sa.Connection, now: datetime, run_id: str) -> None:
    """Close the cases of which SumUp's ledger shows that all the money went back, or which are findings of its own."""
    _end_of_gone(connection, now, run_id)
    is_open = sa.and_(finding.c.closed_at.is_(None), finding.c.kind.in_(_TOLD), finding.c.order_id.is_not(None))
    order_ids = list(connection.scalars(sa.select(finding.c.order_id).where(is_open).distinct()))
    if not order_ids:
        return
    back: dict[int, set[str]] = {}
    for order_id, checkout_id in went_back(connection, order_ids):
        back.setdefault(order_id, set()).add(checkout_id)
    for order_id, checkouts in sorted(back.items()):
        end(connection, order_id, checkouts, why=WENT_BACK, now=now, run_id=run_id)
    listed = (
        sa.select(checkout_seen.c.order_id, checkout_seen.c.checkout_id, finding.c.id)
        .join(finding, finding.c.transaction_id == checkout_seen.c.transaction_id)
        .where(checkout_seen.c.order_id.in_(order_ids), finding.c.kind.in_(_OF_LEDGER))
        .where(finding.c.closed_at.is_(None))
    )
    for row in connection.execute(listed).all():
        end(connection, row.order_id, [row.checkout_id], why=_LISTED.format(row.id), now=now, run_id=run_id)


def _end_of_gone(connection: sa.Connection, now: datetime, run_id: str) -> None:
    """The same for what is gone from the shop: its case has the payment's own name."""
    listed = finding.alias("listed")
    query = (
        sa.select(finding.c.id, GONE.label("is_back"), listed.c.id)
        .outerjoin(ledger_entry, ledger_entry.c.transaction_id == finding.c.transaction_id)
        .outerjoin(
            listed,
            sa.and_(
                listed.c.transaction_id == finding.c.transaction_id,
                listed.c.kind.in_(_OF_LEDGER),
                listed.c.closed_at.is_(None),
            ),
        )
        .where(finding.c.closed_at.is_(None), finding.c.kind.in_(_TOLD), finding.c.transaction_id.is_not(None))
    )
    ended: dict[int, str] = {}
    for number, is_back, listed_as in connection.execute(query.with_for_update(of=finding)).all():
        if is_back or listed_as:  # the ledger may have several findings of a payment
            ended.setdefault(number, WENT_BACK if is_back else _LISTED.format(listed_as))
    for number, why in ended.items():
        close(connection, number, why=why, now=now, run_id=run_id)


def went_back(connection: sa.Connection, order_ids: Collection[int]) -> set[tuple[int, str]]:
    """Return the orders with their checkouts of which SumUp's ledger shows that all the money went back."""
    query = (
        sa.select(checkout_seen.c.order_id, checkout_seen.c.checkout_id)
        .join(ledger_entry, ledger_entry.c.transaction_id == checkout_seen.c.transaction_id)
        .where(checkout_seen.c.order_id.in_(list(order_ids)), GONE)
    )
    return {(row.order_id, row.checkout_id) for row in connection.execute(query)}


def _open_of(connection: sa.Connection, order_id: int) -> Sequence[sa.RowMapping]:
    """Return the order's open cases, locked: a person may close one just now."""
    query = sa.select(finding.c.id, finding.c.kind, finding.c.detail).where(
        finding.c.order_id == order_id, finding.c.closed_at.is_(None), finding.c.kind.in_(_TOLD)
    )
    return connection.execute(query.order_by(finding.c.id).with_for_update()).mappings().all()
