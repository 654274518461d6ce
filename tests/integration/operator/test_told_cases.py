"""Cases that were told by mail: kept once, listed until they end, and ended once."""

from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from paypoll.database import transaction
from paypoll.errors import RefusedError
from paypoll.payments.told import ToldKind
from paypoll.state import findings
from paypoll.state.tables import ledger_cursor
from paypoll.state.told_cases import ToldCase, end, keep
from paypoll.testing import MERCHANT, NOW

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Desk


def case(key: str) -> ToldCase:
    return ToldCase(key, "Order ORD-1 was paid", ("found",), "ORD-1", "order:1:ORD-1", Decimal(25), "GBP", order_id=1)


def test_case_is_kept_once_and_ends_once(desk: "Desk") -> None:
    with transaction(desk.app.engine) as connection:

        def still_open() -> list[int]:
            return [one.id for one in findings.find_open(connection)]

        def ends(checkouts: list[str] | None, *kinds: ToldKind) -> list[int]:
            end(connection, 1, checkouts, kinds=kinds or ToldKind, why="the money went back", now=NOW, run_id="run-1")
            return still_open()

        first = keep(connection, case("paid_but_void:chk-1"), NOW)
        assert keep(connection, case("paid_but_void:chk-1"), NOW) == first
        both = keep(connection, case("paid_but_void:chk-1,chk-2"), NOW)  # told of again, with all its payments
        assert still_open() == [both]
        assert ends(["chk-1"]) == ends(None, ToldKind.REFUND_NOT_MADE) == [both]
        assert ends(["chk-1", "chk-2", "chk-3"]) == []
        assert keep(connection, case("paid_but_void:chk-1,chk-2"), NOW) == 0  # settled is settled
        with pytest.raises(RefusedError, match=f"finding {both} was closed by paypoll: the money went back"):
            findings.close(connection, both, why="again", now=NOW, who="bob")
        assert keep(connection, case("expired:chk-1"), NOW) == 0


def test_second_payment_is_a_case_only_where_a_ledger_is_not_read(desk: "Desk") -> None:
    twice = case("paid_twice:chk-2")
    with transaction(desk.app.engine) as connection:
        connection.execute(sa.insert(ledger_cursor).values(merchant_code=MERCHANT, swept_at=NOW))
        assert keep(connection, twice, NOW) == 0
        connection.execute(sa.insert(ledger_cursor).values(merchant_code="MORGANISER", refused="no scope"))
        assert keep(connection, twice, NOW) != 0
