"""The beginning and the end of a period, as people write them."""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from paypoll.clock import Days

_NOT_YET = "--since is in the future: of that there is nothing yet"


class MomentType(click.ParamType["timedelta | date"]):
    """A time as people write it: 7d for seven days ago, or a day."""

    name = "7d|YYYY-MM-DD"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta | date:
        """Return how long ago, or the day, or complain about the option."""
        if isinstance(value, timedelta | date):
            return value
        from paypoll.settings.units import parse_duration

        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
        try:
            return parse_duration(value)
        except ValueError:
            self.fail(f"{value!r} is neither a day, such as 2026-11-01, nor so long ago, such as 7d", param, ctx)


def asked_span(
    since: timedelta | date, until: timedelta | date | None, zone: tzinfo, now: datetime
) -> tuple[datetime, datetime]:
    """Return the beginning and the end of a period, in UTC. Days are those of the site's zone, the last one included.

    It ends now at the latest, and now if nothing is said. Raise UsageError where nothing lies between the two.
    """
    from paypoll.clock import local_moment

    def moment(asked: timedelta | date, *, end: bool = False) -> datetime:
        if isinstance(asked, timedelta):
            return now - asked
        return local_moment(asked + timedelta(days=end), time(0), zone).astimezone(UTC)

    try:
        begin, finish = moment(since), now if until is None else min(moment(until, end=True), now)
    except OverflowError:
        raise click.UsageError("that is beyond the calendar") from None
    if begin > now:
        raise click.UsageError(_NOT_YET)
    if begin >= finish:
        raise click.UsageError("--since must be before --until")
    return begin, finish


def asked_days(since: timedelta | date, until: timedelta | date | None, zone: tzinfo, now: datetime) -> "Days":
    """Return the days of a period, for what has a day and no time of day, the last one included.

    They end today at the latest, and today if nothing is said. Of durations that touch, each day is in one: a day is
    where it ends. Raise UsageError where there is none, or more than ten years of them.
    """
    from paypoll.clock import Days
    from paypoll.report.period import LONGEST

    today = now.astimezone(zone).date()

    def day_of(ago: timedelta) -> date:
        return (now - ago).astimezone(zone).date()

    try:
        first = day_of(since) if isinstance(since, timedelta) else since
        if isinstance(until, timedelta):
            last = day_of(until) - timedelta(days=1)
        else:
            last = today if until is None else min(until, today)
    except OverflowError:
        raise click.UsageError("that is beyond the calendar") from None
    if first > today:
        raise click.UsageError(_NOT_YET)
    if first > last:
        raise click.UsageError("--since must be before --until, by a day at least: a payout has no time of day")
    if last - first >= LONGEST:
        raise click.UsageError(f"payouts are shown of {LONGEST.days} days at most")
    return Days(first, last, today, zone)
