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
from paypoll.state.told_cases import ToldCase, end, keep, seen_to_go_back
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
        assert still_open() == [both.number]
        assert ends(["chk-1"]) == ends(None, ToldKind.REFUND_NOT_MADE) == [both.number]
        assert ends(["chk-1", "chk-2", "chk-3"]) == []
        with pytest.raises(RefusedError, match=f"finding {both.number} was closed by paypoll: the money went back"):
            findings.close(connection, both.number, why="again", now=NOW, who="bob")
        again = keep(connection, case("paid_but_void:chk-1,chk-2"), NOW)  # should it be here once more
        assert (again.number > both.number, again.told) == (True, False)
        findings.close(connection, again.number, why="kept", now=NOW, who="bob")
        assert keep(connection, case("paid_but_void:chk-1,chk-2"), NOW).number == 0  # settled is settled
        assert keep(connection, case("expired:chk-1"), NOW).number == 0


def test_row_22_what_is_left_of_a_case_takes_its_place_and_was_told(desk: "Desk") -> None:
    both, one = case("paid_but_void:chk-1,chk-2"), case("paid_but_void:chk-1")
    with transaction(desk.app.engine) as connection:
        whole = keep(connection, both, NOW)
        left = keep(connection, one, NOW)
        assert (left.told, keep(connection, one, NOW)) == (True, left)
        assert [found.id for found in findings.find_open(connection)] == [left.number]
        assert seen_to_go_back(connection, 1, ["chk-1", "chk-2"]) == {"chk-2"}
        again = keep(connection, both, NOW)  # the other is here once more
        assert (again.told, again.number > whole.number) == (False, True)
        assert [found.id for found in findings.find_open(connection)] == [again.number]
        findings.close(connection, again.number, why="kept", now=NOW, who="bob")
        # Whoever has decided on both is not told of one.
        assert keep(connection, case("paid_but_void:chk-2"), NOW) == (0, True)


def test_second_payment_is_a_case_only_where_a_ledger_is_not_read(desk: "Desk") -> None:
    twice = case("paid_twice:chk-2")
    with transaction(desk.app.engine) as connection:
        connection.execute(sa.insert(ledger_cursor).values(merchant_code=MERCHANT, swept_at=NOW))
        assert keep(connection, twice, NOW).number == 0
        connection.execute(sa.insert(ledger_cursor).values(merchant_code="MORGANISER", refused="no scope"))
        assert keep(connection, twice, NOW).number != 0
