"""The pure sums of the report: shares to the penny, ranks, columns of time, cases, and what went back."""

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from paypoll.cli.commands.report import asked_period
from paypoll.cli.moments import MomentType
from paypoll.cli.render.report import report_parts, sparks, summed
from paypoll.payments.money import exponent
from paypoll.payments.shares import shares, shares_back
from paypoll.report import words
from paypoll.report.cases import Case, case_sums, cases, ranked
from paypoll.report.facts import CaseStep, Facts, Line, Payment, ReturnSeen, RunSeen
from paypoll.report.money import MoneyBooks
from paypoll.report.page import render_page
from paypoll.report.period import Grain, Period
from paypoll.report.sums import sum_up

JERSEY = ZoneInfo("Europe/Jersey")
UNTIL = datetime(2026, 11, 26, 12, tzinfo=UTC)
WEEK = Period(UNTIL - timedelta(days=7), UNTIL, JERSEY)
HOUR = timedelta(hours=1)
NOTHING = Facts((), (), (), (), (), {}, (), (), (), ())

amounts = st.decimals(min_value=0, max_value=10**8, places=2)
moments = st.datetimes(datetime(2026, 11, 20), datetime(2026, 11, 26), timezones=st.just(UTC))  # noqa: DTZ001


def a_line(event: int | None, total: Decimal, places: int = 1) -> Line:
    return Line(event, f"Event {event}", 1, "The Choir", total, places)


def period_of(since: str, until: str | None) -> Period:
    begin, end = (None if text is None else MomentType().convert(text, None, None) for text in (since, until))
    assert begin is not None
    return asked_period(begin, end, JERSEY, UNTIL)


def a_payment(amount: Decimal, *lines: Line, at: datetime = UNTIL - HOUR, on_word: bool = False) -> Payment:
    paid_at, who = at - timedelta(seconds=30), {"by_shop": False, "by_person": on_word, "on_word": on_word}
    return Payment(1, paid_at, at, amount, "GBP", lines=lines, **who)


def a_return(returned: str | Decimal, paid: str | Decimal, *lines: Line, at: datetime = UNTIL - HOUR) -> ReturnSeen:
    return ReturnSeen(1, at, Decimal(returned), Decimal(paid), "GBP", lines)


@given(amounts, st.lists(st.decimals(min_value=-10, max_value=10**6, places=2), min_size=1, max_size=8))
def test_shares_add_up_and_each_is_within_a_penny_of_its_part(amount: Decimal, weights: Sequence[Decimal]) -> None:
    parts = shares(amount, weights, "GBP")
    assert sum(parts) == amount
    total = sum(max(weight, Decimal(0)) for weight in weights)
    for part, weight in zip(parts, weights, strict=True):
        assert part >= 0
        assert part == part.quantize(Decimal("0.01"))
        if total:
            assert abs(part * total - amount * max(weight, Decimal(0))) < Decimal("0.01") * total


@pytest.mark.parametrize(
    ("amount", "weights", "currency", "expected"),
    [
        ("10.00", ["1", "1", "1"], "GBP", ["3.34", "3.33", "3.33"]),
        ("100", ["1", "1", "1"], "JPY", ["34", "33", "33"]),
        ("0.01", ["0.10", "99.90"], "GBP", ["0.00", "0.01"]),
        ("1.001", ["1", "1"], "GBP", ["0.501", "0.500"]),
        ("10.000", ["1", "1", "1"], "GBP", ["3.34", "3.33", "3.33"]),  # as the column of three digits keeps it
        ("1000.000", ["1", "1", "1"], "JPY", ["334", "333", "333"]),
        ("5.00", ["0", "0"], "GBP", ["5.00", "0.00"]),
        ("5.00", ["NaN", "2"], "GBP", ["0.00", "5.00"]),
        ("-1.00", ["1", "2"], "GBP", ["-0.33", "-0.67"]),
    ],
)
def test_shares_by_example(amount: str, weights: Sequence[str], currency: str, expected: Sequence[str]) -> None:
    assert shares(Decimal(amount), list(map(Decimal, weights)), currency) == list(map(Decimal, expected))
    assert exponent(currency) <= 2


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=12), st.lists(st.integers(0, 100), max_size=6))
def test_what_goes_back_in_parts_takes_from_no_event_twice_and_leaves_nothing(
    pence: Sequence[int], percents: Sequence[int]
) -> None:
    parts = [Decimal(units).scaleb(-2) for units in pence]
    before = [Decimal(0)] * len(parts)
    for percent in (*sorted(percents), 100):
        size = sum(pence) * percent // 100
        # With a zero at its end, as our own columns have it.
        back = shares_back(Decimal(size * 10).scaleb(-3), parts, "GBP")
        assert sum(back) == Decimal(size).scaleb(-2)
        for of_part, earlier, part in zip(back, before, parts, strict=True):
            assert earlier <= of_part <= part
            assert of_part == of_part.quantize(Decimal("0.01"))
        before = back
    assert before == parts


@given(
    st.lists(st.tuples(st.integers(1, 4), amounts), min_size=1, max_size=6),
    amounts,
    st.lists(st.integers(0, 100), max_size=5),
    st.decimals(min_value=0, max_value=9, places=2),
)
def test_order_that_went_back_in_full_has_nothing_left_of_any_event(
    bought: Sequence[tuple[int, Decimal]], paid: Decimal, percents: Sequence[int], tip: Decimal
) -> None:
    lines = [a_line(event, total) for event, total in bought]
    steps = [(paid * percent / 100).quantize(Decimal("0.01")) for percent in sorted(percents)]
    at = UNTIL - timedelta(days=6)
    seen = [a_return(back, paid, *lines, at=at + place * HOUR) for place, back in enumerate([*steps, paid + tip])]
    whole = MoneyBooks(WEEK)
    whole.take(a_payment(paid, *lines, at=at))
    whole.give_back(seen)
    for sums in whole.sums():
        assert (sums.taken, sums.returned, sums.kept) == (paid, paid, Decimal(0))
        assert all(row.kept == 0 for row in sums.rows)
    # And the periods of it add up to that, event by event.
    rows: dict[str, Decimal] = {}
    for place in range(len(seen)):
        hour = Period(at + place * HOUR, at + (place + 1) * HOUR, UTC)
        books = MoneyBooks(hour)
        books.give_back(one for one in seen if one.at < hour.until)
        for row in (row for sums in books.sums() for row in sums.rows):
            assert row.returned >= 0
            rows[row.event] = rows.get(row.event, Decimal(0)) + row.returned
    assert rows == {row.event: row.returned for sums in whole.sums() for row in sums.rows if row.event in rows}
    assert sum(rows.values()) == paid


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=300), st.integers(0, 100))
def test_rank_is_of_the_sample_and_so_many_percent_do_not_exceed_it(sample: list[float], percent: int) -> None:
    ordered = sorted(sample)
    found = ranked(ordered, percent)
    assert found in ordered
    assert sum(value <= found for value in ordered) * 100 >= percent * len(ordered)
    # The smallest of which that is true.
    assert sum(value < found for value in ordered) * 100 < max(percent, 1) * len(ordered)


@given(st.lists(st.tuples(amounts, st.lists(st.tuples(st.integers(1, 4), amounts), max_size=4), moments), max_size=12))
def test_money_by_event_and_by_column_adds_up_to_the_whole(
    payments: list[tuple[Decimal, list[tuple[int, Decimal]], datetime]],
) -> None:
    books = MoneyBooks(WEEK)
    for amount, lines, at in payments:
        books.take(a_payment(amount, *(a_line(event, total) for event, total in lines), at=at))
    whole = sum((amount for amount, _, _ in payments), Decimal(0))
    for sums in books.sums():
        assert sums.taken == whole == sum(row.taken for row in sums.rows) == sum(sums.taken_by_column)
        assert sums.orders == len(payments)


def test_refund_seen_again_and_by_another_source_counts_once_and_only_what_is_new() -> None:
    def seen(days: float, returned: str) -> ReturnSeen:
        return a_return(returned, "25.00", a_line(1, Decimal(25)), at=UNTIL - timedelta(days=days))

    books = MoneyBooks(WEEK)
    books.give_back([seen(1, "25.00"), seen(9, "10.00"), seen(5, "10.00"), seen(1.5, "25.00"), seen(0.5, "10.00")])
    (sums,) = books.sums()
    assert (sums.returned, sums.rows[0].returned) == (Decimal("15.00"), Decimal("15.00"))
    assert not sums.taken


def test_money_that_is_here_again_is_taken_off_what_went_back_event_by_event_when_it_was_seen() -> None:
    def seen(days: float, returned: str, *, here_again: bool = False) -> ReturnSeen:
        lines = a_line(1, Decimal(10)), a_line(2, Decimal(15))
        return replace(a_return(returned, "25.00", *lines, at=UNTIL - timedelta(days=days)), here_again=here_again)

    # Another source that saw it before says the same later in the list, and one that lags behind says nothing new.
    sightings = [seen(9, "25.00"), seen(5, "5.01", here_again=True), seen(5, "5.01"), seen(2, "20.00"), seen(1, "5.01")]
    books = MoneyBooks(WEEK)
    books.give_back(sightings)
    (sums,) = books.sums()
    assert (sums.returned, sums.here_again, sums.kept) == tuple(map(Decimal, ("-5.00", "19.99", "5.00")))
    assert {row.event: str(row.returned) for row in sums.rows} == {"Event 1": "-2.00", "Event 2": "-3.00"}
    assert sum(sums.returned_by_column) == sums.returned
    said = "19.99 GBP that had gone back is here again"
    report = replace(sum_up(NOTHING, WEEK, UNTIL), money=(sums,))
    assert said in "\n".join(map(str, report_parts(report, "Shop", columns=100)))
    assert said in render_page(report, site_name="Shop", language="en")


def test_order_that_is_gone_from_the_shop_keeps_its_money_in_the_sum() -> None:
    books = MoneyBooks(WEEK)
    books.take(a_payment(Decimal("7.50")))
    (sums,) = books.sums()
    assert (sums.rows[0].event, sums.rows[0].taken) == ("(order gone from the shop)", Decimal("7.50"))


@pytest.mark.parametrize(
    ("since", "until", "grain", "number"),
    [
        ("2026-11-25T12:10", "2026-11-26T12:00", Grain.HOUR, 24),
        ("2026-03-20T00:00", "2026-04-04T00:00", Grain.DAY, 16),  # over the change of the clocks
        ("2026-10-20T00:00", "2026-11-04T00:00", Grain.DAY, 15),
        ("2026-01-01T00:00", "2026-12-31T00:00", Grain.WEEK, 53),
        ("2024-01-15T00:00", "2026-01-15T00:00", Grain.MONTH, 25),
    ],
)
def test_columns_cover_the_period_and_every_moment_has_its_own(
    since: str, until: str, grain: Grain, number: int
) -> None:
    period = Period(datetime.fromisoformat(since + "Z"), datetime.fromisoformat(until + "Z"), JERSEY)
    assert (period.grain, len(period.columns)) == (grain, number)
    length = (period.until - period.since) / 500
    for step in range(500):
        assert period.column_of(period.since + step * length) in period.columns


def test_cases_are_told_from_the_steps_of_their_orders() -> None:
    begin = UNTIL - timedelta(days=3)
    steps = [
        CaseStep(1, begin, reason="mismatch"),
        CaseStep(1, begin + HOUR, reason="mismatch"),
        CaseStep(1, begin + 5 * HOUR, how="issue"),
        CaseStep(2, begin - timedelta(days=30), reason="refunded"),
        CaseStep(2, begin + HOUR, how="reject"),
        CaseStep(3, begin, how="complete"),
        CaseStep(4, begin, how="issue"),
        CaseStep(5, begin, reason="no_items"),
    ]
    assert cases(steps)[:2] == [
        Case(begin, "mismatch", begin + 5 * HOUR, "issue"),
        Case(begin - timedelta(days=30), "refunded", begin + HOUR, "reject"),
    ]
    sums = case_sums(steps, {5: begin}, WEEK)
    assert (sums.opened, sums.closed, sums.open_now, sums.oldest_open) == (2, 3, 1, begin)
    assert sums.took is not None
    assert (sums.took.number, sums.took.median) == (2, 5 * 3600)
    assert sums.closed_by_how == {"issue": 2, "reject": 1}


def test_runs_that_were_killed_and_the_time_without_any_are_told() -> None:
    runs = [
        RunSeen(UNTIL - timedelta(hours=10), "finished", {"mails_put_off": 2, "mails_sent": 1}),
        RunSeen(UNTIL - timedelta(hours=9), "", {}),
        RunSeen(UNTIL - timedelta(minutes=5), "", {}),
    ]
    report = sum_up(replace(NOTHING, runs=runs), WEEK, UNTIL)
    assert (report.runs.number, report.runs.killed, report.runs.pause_since) == (3, 1, runs[1].started_at)
    assert [(hour.failed, hour.of) for hour in report.mail.bad_hours] == [(2, 3)]


def test_report_of_nothing_says_so_in_every_form() -> None:
    from tests.json_schemas import check_printed

    from paypoll.cli.render.screen import json_text
    from paypoll.report.document import document

    report = sum_up(NOTHING, WEEK, UNTIL)
    assert "no payment bought tickets" in "\n".join(map(str, report_parts(report, "Shop", columns=80)))
    assert "no payment bought tickets" in render_page(report, site_name="Shop", language="en")
    check_printed(("report", "--json"), json_text({"schema": 1, **document(report)}))


def test_amounts_and_durations_are_said_as_people_write_them() -> None:
    assert words.amount(Decimal("1234567.500"), "GBP") == "1,234,567.50 GBP"
    assert words.amount(Decimal(-1250), "JPY") == "-1,250 JPY"
    said = [words.duration(seconds) for seconds in (0.44, 12, 59.96, 150, 9000, 400000, math.inf)]
    assert said == ["0.4 s", "12 s", "59 s", "2.5 min", "2.5 h", "4.6 d", "more"]


def test_sparkline_never_hides_a_value_and_fits_its_room() -> None:
    values = [Decimal(value) for value in (0, 1, 500, 1000)]
    assert "".join(sparks([*values, Decimal(-1)], "▁▂▃▄▅▆▇█")) == " ▁▅█-"
    assert summed(values, 2) == [1, 1500]


@pytest.mark.parametrize(
    ("since", "until", "begin", "end"),
    [
        ("7d", None, "2026-11-19T12:00:00+00:00", "2026-11-26T12:00:00+00:00"),
        ("30d", "1d", "2026-10-27T12:00:00+00:00", "2026-11-25T12:00:00+00:00"),
        # A day begins with the midnight of the site's zone: in July at eleven in the evening, by UTC. The last counts.
        ("2026-07-01", "2026-07-31", "2026-06-30T23:00:00+00:00", "2026-07-31T23:00:00+00:00"),
        ("2026-11-01", "2026-12-31", "2026-11-01T00:00:00+00:00", "2026-11-26T12:00:00+00:00"),
    ],
)
def test_period_is_asked_for_by_days_or_by_how_long_ago(since: str, until: str | None, begin: str, end: str) -> None:
    asked = period_of(since, until)
    assert (asked.since.isoformat(), asked.until.isoformat()) == (begin, end)


@pytest.mark.parametrize(
    ("since", "until"),
    [("1d", "2d"), ("9999d", None), ("9999-12-31", None), ("1d", "9999-12-31"), ("0001-01-01", "1d")],
)
def test_period_that_cannot_be_is_refused(since: str, until: str | None) -> None:
    with pytest.raises(click.UsageError):
        period_of(since, until)


@pytest.mark.parametrize("text", ["yesterday", "2026-13-01", ""])
def test_moment_that_is_neither_a_day_nor_a_duration_is_refused(text: str) -> None:
    with pytest.raises(click.UsageError, match="neither a day"):
        MomentType().convert(text, None, None)


def test_rows_of_one_name_are_told_apart_by_what_they_differ_in() -> None:
    nights = [
        # event, its title, organiser, its name, when
        (1, "Open Mic", 1, "The Choir", "2026-12-12 19:30"),
        (2, "Open Mic", 1, "The Choir", "2027-01-12 19:30"),
        (3, "Open Mic", 2, "The Band", "2026-12-12 19:30"),
        (4, "Matinee", 2, "The Band", "2026-12-13 11:00"),
        (5, "Matinee", 2, "The Band", "2026-12-13 15:00"),
        (6, "Twin", 2, "The Band", "2026-12-14 15:00"),
        (7, "Twin", 2, "The Band", "2026-12-14 15:00"),
        (8, "Alpha", 3, "The Duo", "infinity 15:00"),
        (9, "Alpha", 4, "The Duo", "infinity 15:00"),
        (None, "Open Mic", None, "", ""),
    ]
    books = MoneyBooks(WEEK)
    for event, title, organiser, name, starts in nights:
        books.take(a_payment(Decimal(10), Line(event, title, organiser, name, Decimal(10), 1, starts)))
    (sums,) = books.sums()
    assert {row.event_id: said for row, said in zip(sums.rows, words.told_apart(sums.rows), strict=True)} == {
        1: ("The Choir", "12 Dec 2026"),
        2: ("The Choir", "12 Jan 2027"),
        3: ("The Band", ""),
        4: ("The Band", "13 Dec 2026 11:00"),
        5: ("The Band", "13 Dec 2026 15:00"),
        6: ("The Band", "14 Dec 2026 15:00 (6)"),
        7: ("The Band", "14 Dec 2026 15:00 (7)"),
        8: ("The Duo (3)", ""),
        9: ("The Duo (4)", ""),
        None: ("", ""),
    }
