"""SumUp's payouts held against the orders, for whoever keeps the books, through the installed command."""

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from tests.acceptance.stage import MERCHANT, Ended, Stage


def rows_of(ended: Ended) -> list[dict[str, str]]:
    """Return the lines of CSV."""
    return list(csv.DictReader(io.StringIO(ended.stdout)))


def test_more_than_an_answer_holds_is_asked_for_day_by_day_and_a_day_that_is_too_long_is_named(stage: Stage) -> None:
    today = datetime.now(UTC).date()
    for number in range(8000):
        day = today - timedelta(days=number % 2)
        stage.sumup.add_payout(MERCHANT, Decimal("23.45"), fee=Decimal("0.40"), transaction_code=f"T{number}", on=day)
    read = stage.paypoll("reconcile", "--payouts", "--since", str(today - timedelta(days=20)), "--csv")
    assert (read.code, len(rows_of(read))) == (0, 8000)
    for number in range(4000):
        stage.sumup.add_payout(MERCHANT, Decimal("23.45"), fee=Decimal("0.40"), transaction_code=f"U{number}", on=today)
    read = stage.paypoll("reconcile", "--payouts", "--since", "1d")
    assert (read.code, read.stdout) == (1, "")
    assert f"{today} alone has more than one answer holds" in read.stderr
