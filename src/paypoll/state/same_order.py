"""Whether the order under an id is the one that paypoll has noted things about: a restored shop gives ids out again.

Row 39a of docs/outcomes.md. Whatever asks it by id asks it here, so that a list, a sum and a run cannot differ.
"""

from typing import Any

import sqlalchemy as sa

from paypoll.database import readable
from paypoll.shop.tables import orders
from paypoll.state.tables import fulfilment, watch


def is_another(
    order: sa.FromClause = orders, noted: sa.FromClause = watch, paid: sa.FromClause = fulfilment
) -> sa.ColumnElement[bool]:
    """Return whether the order is another one than `noted` and `paid`, the rows under its id, are about; never NULL.

    One that was made in the same microsecond is the same one, whose number somebody has changed; one with the same
    number that was made later is another. All three must be in the query; what an outer join leaves out says nothing.
    """
    made, recorded = _made(order, noted)
    renamed = [table.c.order_number != order.c.order_number for table in (noted, paid)]
    differs = sa.or_(sa.and_(sa.or_(*renamed), made.is_distinct_from(recorded)), made > recorded)
    return sa.func.coalesce(differs, sa.false())


def has_its_id_and_number(order: sa.FromClause, noted: sa.FromClause = watch) -> sa.ColumnElement[bool]:
    """Return whether another order has both now, as in a shop that counts its numbers. `noted` may be set aside."""
    made, recorded = _made(order, noted)
    same_id = order.c.id == sa.func.abs(noted.c.order_id)
    return sa.and_(same_id, order.c.order_number == noted.c.order_number, sa.func.coalesce(made > recorded, sa.false()))


def _made(order: sa.FromClause, noted: sa.FromClause) -> tuple[sa.ColumnElement[Any], sa.ColumnElement[Any]]:
    made, recorded = (readable(column, or_null=True) for column in (order.c.created_at, noted.c.order_created_at))
    return made, recorded


IS_ANOTHER: sa.ColumnElement[bool] = is_another()
"""`is_another` of the tables under their own names."""
