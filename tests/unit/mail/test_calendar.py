"""The calendar file, read back by a library and, where it could be wrong about time, by its own rules."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Calendar, Timezone

from paypoll.mail.content.calendar import CalendarSite, calendar_file
from paypoll.mail.content.contexts import ConfirmationContext, OrderLine

JERSEY = ZoneInfo("Europe/Jersey")
SITE = CalendarSite("Jersey Events", "https://shop.example.org", "example.org", JERSEY)
STAMP = datetime(2026, 11, 23, 15, 0, 7, 999, tzinfo=UTC)
LINE = OrderLine(
    event_title="Winter Concert",
    starts=datetime(2026, 12, 7, 19, 30, tzinfo=JERSEY),
    venue_name="Town Hall",
    venue_address="1 High Street\nSt Helier",
    quantity=2,
    price=Decimal("12.50"),
    ticket_numbers=("WINTER-SECRET",),
    event_id=17,
)


def file_of(*lines: OrderLine, site: CalendarSite = SITE) -> bytes:
    order = ConfirmationContext("ORD-1", "Ada", "ada@example.org", Decimal(25), "GBP", lines)
    # As it comes out of the outbox.
    file = calendar_file(ConfirmationContext.from_json(order.to_json()), site, STAMP)
    assert file is not None
    return file


def entries(file: bytes) -> list[Any]:
    return list(Calendar.from_ical(file).walk("VEVENT"))


def test_file_of_an_order_says_what_when_and_where() -> None:
    file = file_of(LINE)
    (entry,) = entries(file)
    assert entry["summary"] == "Winter Concert"
    assert entry.decoded("dtstart") == LINE.starts
    assert entry["location"] == "Town Hall, 1 High Street, St Helier"
    assert entry["uid"] == "event-17@example.org"
    assert entry.decoded("dtstamp") == STAMP.replace(microsecond=0)
    assert "2 tickets, order ORD-1, Jersey Events" in entry["description"]
    assert Calendar.from_ical(file)["method"] == "PUBLISH"
    assert "duration" not in entry


def test_entry_ends_after_the_time_that_events_last_also_across_a_change_of_the_clocks() -> None:
    for month, day in ((12, 7), (3, 28), (10, 31)):
        starts = datetime(2027, month, day, 0, 30, tzinfo=JERSEY)
        (entry,) = entries(file_of(replace(LINE, starts=starts), site=replace(SITE, duration=timedelta(hours=2))))
        assert entry.decoded("dtend").astimezone(UTC) - entry.decoded("dtstart").astimezone(UTC) == timedelta(hours=2)
    (entry,) = entries(file_of(LINE))
    assert "dtend" not in entry


def test_entry_leads_to_the_events_page_where_the_mail_says_enough() -> None:
    by_slug = replace(SITE, event_address="{base_url}/e/{event_slug}/")
    by_id = replace(SITE, event_address="{base_url}/e/{event_id}/")
    line = replace(LINE, event_slug="winter/../concert é")
    old = replace(LINE, event_id=None)
    slug = "winter%2F..%2Fconcert%20%C3%A9"
    cases = [(line, by_slug, f"/e/{slug}/"), (line, by_id, "/e/17/"), (old, by_id, ""), (old, by_slug, "")]
    for one, site, path in cases:
        (entry,) = entries(file_of(one, site=site))
        assert entry["url"] == f"https://shop.example.org{path}"


def test_file_does_not_hold_the_tickets_numbers() -> None:
    assert b"WINTER-SECRET" not in file_of(LINE)


def test_file_of_the_same_order_has_the_same_bytes() -> None:
    assert file_of(LINE) == file_of(LINE)


def test_file_of_several_events_has_each_once() -> None:
    other = replace(LINE, event_id=18, event_title="Summer Fête", starts=datetime(2027, 7, 5, 20, 0, tzinfo=JERSEY))
    child = replace(LINE, quantity=1, price=Decimal(5))
    found = entries(file_of(LINE, other, child))
    assert [entry["uid"] for entry in found] == ["event-17@example.org", "event-18@example.org"]
    assert found[0]["description"].startswith("3 tickets")


def test_file_of_mail_that_an_earlier_version_posted_has_a_stable_uid_as_well() -> None:
    old = replace(LINE, event_id=None)
    (first,), (again,) = entries(file_of(old)), entries(file_of(old, site=replace(SITE, name="renamed")))
    assert first["uid"] == again["uid"]
    assert len(entries(file_of(old, replace(old, event_title="Another")))) == 2


@pytest.mark.parametrize(
    "starts", [None, datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, tzinfo=UTC)], ids=str
)
def test_order_without_dates_has_no_file(starts: datetime | None) -> None:
    order = ConfirmationContext("ORD-1", "Ada", "a@b.c", Decimal(5), "GBP", (replace(LINE, starts=starts),))
    assert calendar_file(order, SITE, STAMP) is None


def read_by_its_own_rules(file: bytes) -> datetime:
    """Return the start as a calendar reads it that knows no time zone but the file's own."""
    calendar = Calendar.from_ical(file)
    (zone,) = calendar.walk("VTIMEZONE")
    assert isinstance(zone, Timezone)
    (entry,) = calendar.walk("VEVENT")
    local: datetime = entry.decoded("dtstart").replace(tzinfo=None)
    return local.replace(tzinfo=zone.to_tz(lookup_tzid=False)).astimezone(UTC)


@pytest.mark.parametrize("zone", ["Europe/Jersey", "America/New_York", "Australia/Lord_Howe", "Asia/Tokyo"])
@pytest.mark.parametrize("start", [datetime(2027, 1, 1, tzinfo=UTC), datetime(2027, 7, 1, tzinfo=UTC)])
def test_start_read_by_the_files_own_time_zone_is_the_same_moment(zone: str, start: datetime) -> None:
    there = ZoneInfo(zone)
    # Around midnight of New Year and in the middle of the year: before and after every change of the clocks.
    for days in (0, 80, 90, 100, 130):
        moment = (start + timedelta(days=days, hours=13)).astimezone(there)
        file = file_of(replace(LINE, starts=moment), site=replace(SITE, zone=there))
        assert read_by_its_own_rules(file) == moment


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2027, 3, 28, 0, 59, tzinfo=UTC),  # the last minute of winter
        datetime(2027, 3, 28, 1, 0, tzinfo=UTC),  # the first of summer, 02:00 on the clock
        datetime(2027, 10, 31, 2, 0, tzinfo=UTC),  # winter again, after the hour that comes twice
    ],
)
def test_start_on_the_day_the_clocks_change_is_the_same_moment(moment: datetime) -> None:
    file = file_of(replace(LINE, starts=moment.astimezone(JERSEY)))
    assert read_by_its_own_rules(file) == moment
    assert entries(file)[0].decoded("dtstart") == moment


def test_start_in_a_zone_that_is_utc_needs_no_rules() -> None:
    file = file_of(LINE, site=replace(SITE, zone=ZoneInfo("UTC")))
    assert b"DTSTART:20261207T193000Z" in file
    assert b"VTIMEZONE" not in file


@pytest.mark.parametrize(
    "text",
    ['Rock; Roll, and \\ more: "x"', "🎉" * 200, "نجوم " * 40, "BEGIN:VEVENT", "a\\nb", "END:VCALENDAR=0D=0A"],
)
def test_odd_text_comes_back_as_it_was_in_lines_that_every_calendar_takes(text: str) -> None:
    file = file_of(replace(LINE, event_title=text, venue_name=text, venue_address=""))
    (entry,) = entries(file)
    assert entry["summary"] == text.strip()
    assert entry["location"] == text.strip()
    assert all(len(line) <= 75 for line in file.split(b"\r\n"))
    file.decode()


@given(st.text(st.characters(exclude_categories=())))
def test_any_title_makes_one_entry(title: str) -> None:
    assert len(entries(file_of(replace(LINE, event_title=title)))) == 1
