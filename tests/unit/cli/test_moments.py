"""Periods as people write them, in days: of what has a day and no time of day."""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import click
import pytest

from paypoll.cli.moments import asked_days, asked_span

NOW = datetime(2026, 11, 27, 12, tzinfo=UTC)
JERSEY = ZoneInfo("Europe/Jersey")
DAY = timedelta(days=1)


@pytest.mark.parametrize("hour", range(0, 24, 5))
@pytest.mark.parametrize("step", [timedelta(days=7), timedelta(hours=13), timedelta(hours=24)])
def test_durations_that_touch_share_no_day_and_leave_none_out(hour: int, step: timedelta) -> None:
    now, found = NOW.replace(hour=hour), []
    for number in range(8, 0, -1):
        until = (number - 1) * step if number > 1 else None
        try:
            days = asked_days(number * step, until, JERSEY, now)
        except click.UsageError:
            continue  # no day ends in it
        found += [days.first + number * DAY for number in range((days.last - days.first).days + 1)]
    assert found == [found[0] + number * DAY for number in range(len(found))]
    assert found[-1] == now.date()


@pytest.mark.parametrize("zone", ["America/Santiago", "Europe/Jersey", "Pacific/Auckland"])
def test_days_are_those_that_were_asked_for_also_where_clocks_change_at_midnight(zone: str) -> None:
    days = asked_days(date(2026, 9, 1), date(2026, 9, 5), ZoneInfo(zone), NOW)
    assert (days.first, days.last) == (date(2026, 9, 1), date(2026, 9, 5))
    following = asked_days(date(2026, 9, 6), date(2026, 12, 31), ZoneInfo(zone), NOW)
    assert (following.first, following.last) == (date(2026, 9, 6), following.today)
    assert days.end == following.begin


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (date(2026, 11, 5), date(2026, 11, 4)),
        (timedelta(hours=2), timedelta(hours=1)),
        (timedelta(days=10**6), None),
        (date(1, 1, 1), timedelta(days=10**6)),
        (date(1, 1, 1), None),
    ],
)
def test_days_that_cannot_be_are_refused(since: timedelta | date, until: timedelta | date | None) -> None:
    with pytest.raises(click.UsageError):
        asked_days(since, until, JERSEY, NOW)


@pytest.mark.parametrize("asked", [asked_days, asked_span])
def test_period_that_has_not_begun_is_refused_as_such(asked: Callable[..., object]) -> None:
    with pytest.raises(click.UsageError, match="--since is in the future"):
        asked(date(2026, 12, 1), date(2026, 12, 31), JERSEY, NOW)
    with pytest.raises(click.UsageError, match="--since must be before --until"):
        asked(date(2026, 11, 5), date(2026, 11, 4), JERSEY, NOW)
    asked(date(2026, 11, 27), date(2026, 12, 31), JERSEY, NOW)
