"""Payouts as they are shown: rows of one name apart, days of a merchant with their sum."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

from paypoll.admin.payouts import PaidOut
from paypoll.cli.render.payouts import paid_out_parts
from paypoll.cli.render.table import Table
from paypoll.payments.books import PayoutRecord
from paypoll.payments.payouts import Paid, Share, lines_of

DAY = date(2026, 11, 1)
RECORD = PayoutRecord("1", "PAYOUT", Decimal(9), Decimal(1), "GBP", str(DAY), "SUCCESSFUL", "p1", "C1")


def tables(*records: tuple[PayoutRecord, Share]) -> list[list[str]]:
    """Return the names of the rows, table by table."""
    lines = [
        line
        for record, share in records
        for line in lines_of(record, "M1", Paid("ORD-1", "", Decimal(10), record.currency, "", None, (share,)))
    ]
    parts = paid_out_parts(PaidOut(DAY, DAY, DAY, lines))
    return [[row[0] for row in part.rows] for part in parts if isinstance(part, Table)]


def test_events_of_one_name_are_told_apart_as_the_report_does() -> None:
    def share(event_id: int, day: str, time: str, title: str = "Open Mic", organiser: int = 7) -> Share:
        return Share(event_id, title, day, time, organiser, "The Choir", Decimal(1))

    shares = (
        share(1, "2026-12-12", "15:00"),
        share(2, "2026-12-12", "19:30"),
        share(3, "2026-12-13", "19:30"),
        share(4, "2026-12-14", "19:30", "Gala"),
        share(5, "2026-12-14", "19:30", "Gala", organiser=8),
        share(6, "20260-01-01", "19:30", "Concert"),
        share(7, "2026-12-14", "19:30"),
        share(8, "2026-12-14", "19:30"),
    )
    _, by_event = tables(*((RECORD, one) for one in shares))
    assert by_event == [
        "The Choir (7): Concert",
        "The Choir (7): Gala",
        "The Choir (7): Open Mic, 12 Dec 2026 15:00",
        "The Choir (7): Open Mic, 12 Dec 2026 19:30",
        "The Choir (7): Open Mic, 13 Dec 2026",
        "The Choir (7): Open Mic, 14 Dec 2026 19:30 (7)",
        "The Choir (7): Open Mic, 14 Dec 2026 19:30 (8)",
        "The Choir (8): Gala",
    ]


def test_days_have_their_reference_or_how_many_and_each_currency_its_sum() -> None:
    one = Share(1, "Gala", "2026-12-14", "19:30", 7, "The Choir", Decimal(1))
    records = (
        RECORD,
        replace(RECORD, reference="p2"),
        replace(RECORD, on="2026-11-02"),
        replace(RECORD, currency="EUR"),
    )
    by_day, _ = tables(*((record, one) for record in records))
    assert by_day == [
        "M1, 2026-11-01, p1",
        "M1 in all",
        "M1, 2026-11-01, 2 references",
        "M1, 2026-11-02, p1",
        "M1 in all",
    ]
