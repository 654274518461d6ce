"""Time, as a port: everything that asks for the time takes a Clock, so that a test can move it."""

import time
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from datetime import time as time_of_day
from typing import Protocol

CLOCK_TOLERANCE = timedelta(minutes=10)
"""Clocks of one another's may differ by so much. What is dated later was written under a clock that was ahead."""

_UNITS = ((86400, "day"), (3600, "hour"), (60, "minute"))


class Clock(Protocol):
    """Tells the wall-clock time and a time that never jumps."""

    def now(self) -> datetime:
        """Return the time as an aware datetime in UTC."""
        ...

    def monotonic(self) -> float:
        """Return seconds on a clock that only moves forward, for time-outs and durations."""
        ...


class SystemClock:
    """The clock of this machine."""

    def now(self) -> datetime:
        """Return the time as an aware datetime in UTC."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds on a clock that only moves forward."""
        return time.monotonic()


def local_moment(day: date, at: time_of_day, zone: tzinfo) -> datetime:
    """Return the moment that a local date and time mean, aware, as a clock in that zone shows it.

    A time in the hour that summer time skips is on no clock: it is taken for as long after midnight as it says, which
    clocks show as an hour later. A time in the hour that comes twice is the first.
    """
    moment = datetime.combine(day, at, tzinfo=zone)
    try:
        return moment.astimezone(UTC).astimezone(zone)
    except OverflowError:  # a placeholder of the shop, at the end of the calendar
        return moment


@dataclass(frozen=True, slots=True)
class Days:
    """Days of a zone, the first and the last included. `today` is not before the last."""

    first: date
    last: date
    today: date
    zone: tzinfo

    @property
    def begin(self) -> datetime:
        """The moment at which the first day begins, in UTC."""
        return local_moment(self.first, time_of_day(0), self.zone).astimezone(UTC)

    @property
    def end(self) -> datetime:
        """The moment at which the last day is over, in UTC."""
        return local_moment(self.last + timedelta(days=1), time_of_day(0), self.zone).astimezone(UTC)


def span(duration: timedelta) -> str:
    """Return a duration as people say it: 3 minutes, 2 hours, 5 days."""
    seconds = int(abs(duration.total_seconds()))
    for size, name in _UNITS:
        if seconds >= size:
            number = seconds // size
            return f"{number} {name}{'s' if number != 1 else ''}"
    return f"{seconds} second{'s' if seconds != 1 else ''}"


def ago(moment: datetime, now: datetime) -> str:
    """Return how long ago a moment was, or in how long it will be."""
    if abs((now - moment).total_seconds()) < 1:
        return "now"
    return f"{span(now - moment)} ago" if moment <= now else f"in {span(moment - now)}"
