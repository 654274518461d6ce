"""Find orders by what a customer or SumUp's dashboard names: an e-mail, a name, a checkout, a transaction, a ticket."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from paypoll.database import lower_case, readable, transaction
from paypoll.payments.decision import Outcome
from paypoll.shop.find import search_fees, search_orders
from paypoll.shop.tables import orders
from paypoll.state.tables import (
    audit,
    checkout_seen,
    finding,
    fulfilment,
    ledger_entry,
    listing_fee,
    refund,
    ticket_place,
)
from paypoll.state.upgrade import require_ready

_CODE = re.compile(r"(?=.*[0-9])[A-Za-z0-9-]{8,64}")
"""With a figure: a word, such as a key or a status of SumUp's answers, is of every order."""

MOST = 50
"""So many orders are returned: whoever finds more must say more."""


@dataclass(frozen=True, slots=True)
class FoundOrder:
    """An order that the search has found."""

    order_id: int
    order_number: str
    status: str
    customer: str
    email: str
    total: Decimal
    created_at: datetime


def search(engine: sa.Engine, text: str) -> tuple[FoundOrder, ...]:
    """Return the orders that the text is of, the newest first."""
    require_ready(engine)
    with transaction(engine) as connection:
        return _described(connection, sorted(found_ids(connection, text)))


def found_ids(connection: sa.Connection, text: str) -> set[int]:
    """Return the ids of the orders that the text is of, by the shop's rows and by paypoll's own records."""
    wanted = text.strip().lower()
    found = search_orders(connection, text)
    if not wanted:
        return found
    for table, columns in (
        (fulfilment, (fulfilment.c.checkout_id, fulfilment.c.transaction_id, fulfilment.c.transaction_code)),
        (checkout_seen, (checkout_seen.c.checkout_id, checkout_seen.c.transaction_id)),
        (ledger_entry, (ledger_entry.c.transaction_id, ledger_entry.c.transaction_code)),
        (finding, (finding.c.transaction_id, finding.c.transaction_code)),
        (refund, (refund.c.transaction_id,)),
        (ticket_place, (ticket_place.c.ticket_number,)),
    ):
        known = sa.or_(*(lower_case(column) == wanted for column in columns))
        found |= {one for one in connection.scalars(sa.select(table.c.order_id).where(known)) if one is not None}
    return found or _found_by_code(connection, text.strip())


def found_fees(connection: sa.Connection, text: str) -> set[str]:
    """Return the references of the listing fees that the text is of, by the shop's rows and by our own records."""
    wanted = text.strip().lower()
    known = [lower_case(column) == wanted for column in (listing_fee.c.transaction_id, listing_fee.c.transaction_code)]
    if _CODE.fullmatch(wanted):
        known.append(lower_case(sa.cast(listing_fee.c.seen, sa.Text)).contains(f'"{wanted}"', autoescape=True))
    own = sa.select(listing_fee.c.reference).where(sa.or_(*known))
    return search_fees(connection, text) | (set(connection.scalars(own)) if wanted else set())


def _found_by_code(connection: sa.Connection, code: str) -> set[int]:
    """Return the orders whose payments' transactions have this code, as alerts name them, by what SumUp said.

    Of a payment that bought nothing, such as one in review or a second one, no row of ours has the code. The trail is
    read through for it, so only of looks that issued tickets or called a person, and only where nothing else was found.
    """
    if not _CODE.fullmatch(code):
        return set()
    told = audit.c.outcome.in_([Outcome.COMPLETE.value, Outcome.REVIEW.value])
    said = sa.cast(audit.c.evidence, sa.Text).ilike(f'%"{code}"%')
    query = sa.select(audit.c.order_id).distinct().where(told, audit.c.order_id.is_not(None), said)
    return set(connection.scalars(query))


def _described(connection: sa.Connection, order_ids: Sequence[int]) -> tuple[FoundOrder, ...]:
    query = (
        sa.select(
            orders.c.id,
            orders.c.order_number,
            orders.c.status,
            orders.c.delivery_first_name,
            orders.c.delivery_last_name,
            orders.c.email,
            orders.c.total,
            readable(orders.c.created_at).label("placed"),
        )
        .where(orders.c.id.in_(order_ids))
        .order_by(orders.c.created_at.desc(), orders.c.id.desc())
        .limit(MOST)
    )
    return tuple(
        FoundOrder(
            order_id=row["id"],
            order_number=row["order_number"],
            status=row["status"],
            customer=f"{row['delivery_first_name']} {row['delivery_last_name']}".strip(),
            email=row["email"],
            total=row["total"],
            created_at=row["placed"],
        )
        for row in connection.execute(query).mappings()
    )
