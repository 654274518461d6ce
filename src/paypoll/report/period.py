"""The time that a report is about, divided into hours, days, weeks or months of the site's time zone. Pure."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import StrEnum
from functools import cached_property

from paypoll.clock import local_moment

LONGEST = timedelta(days=3660)
"""No report is about more than ten years: 120 months fit a plot."""


class Grain(StrEnum):
    """What a column of a plot stands for."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


_MOST = ((Grain.HOUR, timedelta(days=2)), (Grain.DAY, timedelta(days=62)), (Grain.WEEK, timedelta(days=400)))


@dataclass(frozen=True)
class Period:
    """From `since` until just before `until`, both aware. Days are those of `zone`."""

    since: datetime
    until: datetime
    zone: tzinfo

    def __contains__(self, moment: datetime) -> bool:
        """Say whether the moment is of the period."""
        return self.since <= moment < self.until

    @cached_property
    def grain(self) -> Grain:
        """How the period is divided: into 62 columns at most, as long as it is no more than a year."""
        length = self.until - self.since
        return next((grain for grain, most in _MOST if length <= most), Grain.MONTH)

    @cached_property
    def columns(self) -> tuple[datetime, ...]:
        """The beginnings of the columns, in UTC. The first may begin before the period does."""
        found = [self.column_of(self.since)]
        while (following := self._after(found[-1])) < self.until:
            found.append(following)
        return tuple(found)

    def column_of(self, moment: datetime) -> datetime:
        """Return the beginning of the column that the moment is of."""
        if self.grain is Grain.HOUR:
            return hour_of(moment)
        return self._midnight(_first_day(moment.astimezone(self.zone).date(), self.grain))

    def _after(self, column: datetime) -> datetime:
        if self.grain is Grain.HOUR:
            return column + timedelta(hours=1)
        day = column.astimezone(self.zone).date()
        # Well into the next one, whatever its length.
        within = {Grain.DAY: 1, Grain.WEEK: 7, Grain.MONTH: 31}[self.grain]
        return self._midnight(_first_day(day + timedelta(days=within), self.grain))

    def _midnight(self, day: date) -> datetime:
        return local_moment(day, time(0), self.zone).astimezone(UTC)

    def name_of(self, column: datetime) -> str:
        """Return what stands below a column: 14:00, 24 Nov, Nov 2026."""
        local = column.astimezone(self.zone)
        if self.grain is Grain.HOUR:
            return f"{local:%H:%M}"
        return f"{local:%b %Y}" if self.grain is Grain.MONTH else f"{local.day} {local:%b}"


def hour_of(moment: datetime) -> datetime:
    """Return the beginning of the hour, by UTC: half past, where a zone's clocks are half an hour off."""
    return moment.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def _first_day(day: date, grain: Grain) -> date:
    match grain:
        case Grain.WEEK:
            return day - timedelta(days=day.weekday())
        case Grain.MONTH:
            return day.replace(day=1)
    return day
