"""What paypoll leaves in the shop's own rows: a shop that bears these marks had a paypoll before."""

import sqlalchemy as sa

from paypoll.shop.tables import history, orders

LAST_LINE = r"(?:^|.*\n)\[(\d{4}-\d\d-\d\d \d\d:\d\d) UTC\] paypoll: "
"""The newest of paypoll's dated lines in an order's payment notes."""

MARKED = orders.c.payment_notes.contains(" UTC] paypoll: ", autoescape=True)
REVIEWED = sa.and_(history.c.status == "manual_review", history.c.changed_by_id.is_(None))

_RESTORE = "restore them with `paypoll db restore` from the backup that belongs to the shop's; if there is none, "
_ADOPT = "`paypoll db adopt` shows what it would take over as it is"
HOW_TO_REMEMBER = f"{_RESTORE}{_ADOPT}"
"""What to do where paypoll's tables are empty."""
HOW_TO_BEGIN_ANEW = f"{_RESTORE}run `paypoll db upgrade`; then {_ADOPT}"
"""What to do where they are gone."""

_MAY_READ = sa.and_(
    *(
        sa.func.has_column_privilege(column.table.name, column.name, "SELECT")
        for column in (orders.c.payment_notes, history.c.status, history.c.changed_by_id)
    )
)


def bears_marks(connection: sa.Connection) -> bool:
    """Say whether the shop shows that there was a paypoll before. Not where we may not look: no run begins there."""
    if connection.dialect.name == "postgresql" and not connection.scalar(sa.select(_MAY_READ)):
        return False
    marks = (sa.select(orders.c.id).where(MARKED), sa.select(history.c.id).where(REVIEWED))
    return any(connection.scalar(mark.limit(1)) is not None for mark in marks)
