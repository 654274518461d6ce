"""Cases that admins were told of by mail, and that nothing else would show them again: money that bought nothing.

Each is kept as a finding beside those of SumUp's ledger, until a person says that it is settled, or its money is seen
to have gone back.
"""

from enum import StrEnum


class ToldKind(StrEnum):
    """What was told. The values are the kinds of the alerts."""

    PAID_TWICE = "paid_twice"
    PAID_BUT_VOID = "paid_but_void"
    PAID_NOT_ISSUED = "paid_not_issued"
    MAY_BE_PAID = "may_be_paid"
    MAY_BE_PAID_TWICE = "may_be_paid_twice"
    GIVEN_UP = "given_up"
    ORDER_GONE = "order_gone"
    ORDER_GONE_OPEN = "order_gone_open"
    FEE_GONE = "fee_gone"
    FEE_GONE_OPEN = "fee_gone_open"
    REFUND_NOT_MADE = "refund_not_made"


TOLD_OF_FEES = frozenset({ToldKind.PAID_BUT_VOID, ToldKind.MAY_BE_PAID, ToldKind.MAY_BE_PAID_TWICE, ToldKind.GIVEN_UP})
"""Of a listing fee. Its second payments, and those after it was closed, `queue` lists with the fee (60f, 60p)."""

OF_WHAT_IS_GONE = frozenset({ToldKind.ORDER_GONE, ToldKind.ORDER_GONE_OPEN, ToldKind.FEE_GONE, ToldKind.FEE_GONE_OPEN})
"""There is no order and no fee to show any more."""


def told_kind(key: str) -> ToldKind | None:
    """Return the kind of case that an alert with this key tells of; None where it is none that is kept."""
    kind = key.partition(":")[0]
    return ToldKind(kind) if kind in set(ToldKind) else None


def told_checkouts(key: str) -> tuple[str, ...]:
    """Return the checkouts that an alert with this key is about."""
    return tuple(name for name in key.partition(":")[2].split(",") if name)
