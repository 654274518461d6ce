"""The report for programs: tables for CSV files, and one document for JSON. Amounts are exact, as text. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from paypoll.payments.money import digits
from paypoll.report.result import MoneyRow, MoneySums, Report, ServiceSums


@dataclass(frozen=True, slots=True)
class Table:
    """A CSV file: its name, the heads of its columns, and its rows."""

    name: str
    heads: tuple[str, ...]
    rows: Sequence[tuple[object, ...]]


def tables(report: Report) -> list[Table]:
    """Return the report as tables; times are in the site's time zone, with their distance from UTC."""
    return [
        Table(
            "money.csv",
            (
                "currency",
                "organiser",
                "event",
                "orders",
                "places",
                "in",
                "back",
                "kept",
                "event_date",
                "event_time",
                "event_id",
                "organiser_id",
            ),
            [
                (
                    row.currency,
                    row.organiser,
                    row.event,
                    row.orders,
                    row.places,
                    *(digits(value, row.currency) for value in (row.taken, row.returned, row.kept)),
                    *_starts(row).values(),
                    row.event_id,
                    row.organiser_id,
                )
                for sums in report.money
                for row in sums.rows
            ],
        ),
        Table(
            "money-by-time.csv",
            ("currency", "from", "in", "back"),
            [(sums.currency, *row) for sums in report.money for row in _by_column(report, sums)],
        ),
        Table(
            "issued-on-word.csv",
            ("currency", "orders", "places", "amount"),
            [
                (sums.currency, sums.on_word.orders, sums.on_word.places, digits(sums.on_word.amount, sums.currency))
                for sums in report.money
                if sums.on_word.orders
            ],
        ),
        Table(
            "orders-by-time.csv",
            ("from", "placed", "completed", "sumup_failed", "mail_failed"),
            list(
                zip(
                    _columns(report),
                    report.orders.placed_by_column,
                    report.orders.completed_by_column,
                    report.sumup.failed_by_column,
                    report.mail.failed_by_column,
                    strict=True,
                )
            ),
        ),
        Table("order-statuses.csv", ("status", "orders"), list(report.orders.by_status.items())),
        Table(
            "outcomes.csv",
            ("outcome", "reason", "orders"),
            [(row.outcome, row.reason, row.orders) for row in report.outcomes],
        ),
        Table(
            "findings.csv",
            ("kind", "opened", "closed", "open_now"),
            [(row.kind, row.opened, row.closed, row.open_now) for row in report.findings],
        ),
        Table(
            "bad-hours.csv",
            ("service", "hour", "failed", "of"),
            [
                (name, _local(report, hour.at), hour.failed, hour.of)
                for name, sums in (("sumup", report.sumup), ("mail", report.mail))
                for hour in sums.bad_hours
            ],
        ),
    ]


def document(report: Report) -> dict[str, Any]:
    """Return the report as one document of plain values."""
    return {
        "since": report.period.since,
        "until": report.period.until,
        "time_zone": str(report.period.zone),
        "made_at": report.made_at,
        "column": report.period.grain.value,
        "columns": list(report.period.columns),
        "orders": asdict(report.orders),
        "money": [_money(sums) for sums in report.money],
        "paid_to_ticket": {
            "seconds": asdict(report.waits.spread) if report.waits.spread else None,
            "within": [
                {"seconds": None if seconds == float("inf") else seconds, "orders": number}
                for seconds, number in report.waits.within
            ],
            "by_person": report.waits.by_person,
            "by_shop": report.waits.by_shop,
        },
        "outcomes": [asdict(row) for row in report.outcomes],
        "cases": asdict(report.cases),
        "findings": [asdict(row) for row in report.findings],
        "sumup": _service(report.sumup),
        "mail": {**_service(report.mail), "undeliverable": report.undeliverable},
        "runs": asdict(report.runs),
        "troubles": [asdict(one) for one in report.troubles],
    }


def _money(sums: MoneySums) -> dict[str, Any]:
    def text(value: Any) -> str:
        return digits(value, sums.currency)

    return {
        "currency": sums.currency,
        "orders": sums.orders,
        "places": sums.places,
        **{name: text(getattr(sums, name)) for name in ("taken", "returned", "here_again", "kept")},
        "taken_by_column": [text(value) for value in sums.taken_by_column],
        "returned_by_column": [text(value) for value in sums.returned_by_column],
        "on_word": {
            "orders": sums.on_word.orders,
            "places": sums.on_word.places,
            "amount": text(sums.on_word.amount),
        },
        "rows": [
            {
                "organiser": row.organiser,
                "event": row.event,
                "orders": row.orders,
                "places": row.places,
                **{name: text(getattr(row, name)) for name in ("taken", "returned", "kept")},
                **_starts(row),
                "event_id": row.event_id,
                "organiser_id": row.organiser_id,
            }
            for row in sums.rows
        ],
    }


def _starts(row: MoneyRow) -> dict[str, str]:
    day, _, time = row.starts.partition(" ")
    return {"event_date": day, "event_time": time}


def _service(sums: ServiceSums) -> dict[str, Any]:
    return {
        "asked": sums.asked,
        "failed": sums.failed,
        "failed_by_column": list(sums.failed_by_column),
        "bad_hours": [asdict(hour) for hour in sums.bad_hours],
    }


def _by_column(report: Report, sums: MoneySums) -> list[tuple[str, str, str]]:
    taken = (digits(value, sums.currency) for value in sums.taken_by_column)
    returned = (digits(value, sums.currency) for value in sums.returned_by_column)
    return list(zip(_columns(report), taken, returned, strict=True))


def _columns(report: Report) -> list[str]:
    return [_local(report, column) for column in report.period.columns]


def _local(report: Report, moment: datetime) -> str:
    return moment.astimezone(report.period.zone).isoformat()
