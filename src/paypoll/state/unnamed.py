"""Orders completed by a payment that SumUp had not named: a look at the checkout that it was made under may name it."""

from collections.abc import Collection
from dataclasses import dataclass

import sqlalchemy as sa

from paypoll.state.tables import checkout_seen, fulfilment

_seen = checkout_seen.alias("bought_under")
BOUGHT_BY: sa.ColumnElement[str | None] = sa.func.coalesce(
    fulfilment.c.transaction_id,
    sa.select(_seen.c.transaction_id)
    .where(_seen.c.order_id == fulfilment.c.order_id, _seen.c.checkout_id == fulfilment.c.checkout_id)
    .correlate(fulfilment)
    .scalar_subquery(),
)
"""The payment that completed an order, as far as SumUp has named it, then or since."""


_IDS: sa.BindParameter[str] = sa.bindparam("ids", expanding=True)
_named_since = sa.and_(_seen.c.order_id == fulfilment.c.order_id, _seen.c.checkout_id == fulfilment.c.checkout_id)
# Two queries and not `BOUGHT_BY`: each has an index.
_BOUGHT = (
    sa.select(fulfilment.c.order_id, fulfilment.c.order_number, fulfilment.c.transaction_id)
    .where(fulfilment.c.transaction_id.in_(_IDS))
    .union_all(
        sa.select(fulfilment.c.order_id, fulfilment.c.order_number, _seen.c.transaction_id)
        .join(_seen, _named_since)
        .where(fulfilment.c.transaction_id.is_(None), _seen.c.transaction_id.in_(_IDS))
    )
)


def bought_by(connection: sa.Connection, transaction_ids: Collection[str]) -> dict[str, tuple[int, str]]:
    """Return the orders, by id and number, whose tickets these payments have bought, also of those gone since."""
    if not transaction_ids:
        return {}
    rows = connection.execute(_BOUGHT, {"ids": sorted(transaction_ids)})
    return {transaction_id: (order_id, number or "") for order_id, number, transaction_id in rows}


@dataclass(frozen=True, slots=True)
class Unnamed:
    """An order, and the checkout that completed it."""

    order_id: int
    checkout_id: str
    merchant_code: str


def find_unnamed(connection: sa.Connection, order_ids: Collection[int]) -> list[Unnamed]:
    """Return those of these orders that a payment has completed whose name nobody knows."""
    from paypoll.payments.override import is_a_word  # what an idle run does without

    columns = (fulfilment.c.order_id, fulfilment.c.checkout_id, fulfilment.c.merchant_code)
    query = sa.select(*columns).where(fulfilment.c.order_id.in_(list(order_ids)), BOUGHT_BY.is_(None))
    found = [Unnamed(*row) for row in connection.execute(query.order_by(fulfilment.c.order_id))]
    return [one for one in found if not is_a_word(one.checkout_id)]


def give_name(connection: sa.Connection, one: Unnamed, transaction_id: str) -> bool:
    """Write down what SumUp calls the payment by now; False where no look at the checkout was written down."""
    same = sa.and_(checkout_seen.c.order_id == one.order_id, checkout_seen.c.checkout_id == one.checkout_id)
    named = sa.update(checkout_seen).where(same, checkout_seen.c.transaction_id.is_(None))
    return connection.execute(named.values(transaction_id=transaction_id)).rowcount > 0
