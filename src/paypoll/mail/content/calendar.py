"""The calendar file (.ics, RFC 5545) that goes with a confirmation: an entry for each event of the order.

Import it only where mail is packed: icalendar takes a while to load.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from icalendar import Calendar, Event, Timezone

from paypoll.mail.content.contexts import ConfirmationContext, OrderLine
from paypoll.settings.links import fill_event
from paypoll.settings.model import SiteSettings

_UTC_NAMES = frozenset({"UTC", "Etc/UTC", "GMT", "Etc/GMT", "Zulu", "Etc/Zulu", "UCT", "Etc/UCT", "Universal"})
# Other years are placeholders of the shop, not dates; calendars and time zone rules do not cover them either.
_YEARS = range(1970, 2200)


@dataclass(frozen=True, slots=True)
class CalendarSite:
    """What entries need to know of the site. `domain` makes their UIDs the site's own.

    `event_address` is a pattern (see `settings.links`), or empty. Without a `duration` entries have no end.
    """

    name: str
    base_url: str
    domain: str
    zone: ZoneInfo
    duration: timedelta = timedelta(0)
    event_address: str = ""

    @classmethod
    def of(cls, site: SiteSettings, domain: str) -> "CalendarSite":
        """Return what the settings say."""
        return cls(site.name, site.base_url, domain, site.zone, site.event_duration, site.event_address)


def calendar_file(order: ConfirmationContext, site: CalendarSite, stamp: datetime) -> bytes | None:
    """Return the file, or None when no event of the order has a date. The same arguments give the same bytes.

    `stamp` is when the confirmation was posted, aware. The shop knows no end of its events: how long one lasts, as a
    rule, is a setting. The file does not hold the tickets' numbers, because calendars are shared with others more
    easily than mail.
    """
    events = list(_events(order.lines))
    if not events:
        return None
    calendar = Calendar()
    calendar.add("prodid", "-//paypoll//tickets//EN")
    calendar.add("version", "2.0")
    calendar.add("calscale", "GREGORIAN")
    calendar.add("method", "PUBLISH")
    if site.zone.key not in _UTC_NAMES:
        years = [starts.astimezone(site.zone).year for _, starts, _ in events]
        calendar.add_component(_time_zone(site.zone, min(years), max(years)))
    for line, starts, quantity in events:
        calendar.add_component(_entry(order, line, starts, quantity, site, stamp))
    return bytes(calendar.to_ical())


def _events(lines: Sequence[OrderLine]) -> Iterator[tuple[OrderLine, datetime, int]]:
    """Yield each event once, with its start and the number of tickets: an order may list it several times."""
    found: dict[object, tuple[OrderLine, datetime, int]] = {}
    for line in lines:
        if line.starts is None or line.starts.year not in _YEARS:
            continue
        key = line.event_id if line.event_id is not None else (line.event_title, line.starts)
        first, starts, quantity = found.get(key, (line, line.starts, 0))
        found[key] = (first, starts, quantity + line.quantity)
    yield from found.values()


def _entry(
    order: ConfirmationContext, line: OrderLine, starts: datetime, quantity: int, site: CalendarSite, stamp: datetime
) -> Event:
    entry = Event()
    entry.add("uid", f"{_identity(line)}@{site.domain}")
    entry.add("dtstamp", stamp.astimezone(UTC).replace(microsecond=0))
    zone = UTC if site.zone.key in _UTC_NAMES else site.zone
    entry.add("dtstart", starts.astimezone(zone))
    if site.duration:
        # Counted in UTC: across a change of the clocks, two hours stay two hours.
        ends = (starts.astimezone(UTC) + site.duration).astimezone(zone)
        # Of the hour that comes twice, a time with a zone is the first one.
        entry.add("dtend", ends.astimezone(UTC) if ends.fold else ends)
    entry.add("summary", line.event_title)
    if place := ", ".join(filter(None, [line.venue_name, *line.venue_address.splitlines()])):
        entry.add("location", place)
    count = "1 ticket" if quantity == 1 else f"{quantity} tickets"
    entry.add("description", f"{count}, order {order.order_number}, {site.name}. The mail of this order has them.")
    entry.add("url", _address(line, site))
    return entry


def _address(line: OrderLine, site: CalendarSite) -> str:
    """Return the event's page, or the shop's where there is no pattern or the mail does not say what it asks for."""
    asked = {"event_id": line.event_id, "event_slug": line.event_slug}
    pattern = site.event_address
    if not pattern or any(f"{{{name}}}" in pattern and not value for name, value in asked.items()):
        return site.base_url
    return fill_event(pattern, base_url=site.base_url, event_id=line.event_id, event_slug=line.event_slug)


def _identity(line: OrderLine) -> str:
    """Return the event's UID, the same for every order, so that a second order does not make a second entry."""
    if line.event_id is not None:
        return f"event-{line.event_id}"
    return f"event-{hashlib.sha256(f'{line.event_title}|{line.starts}'.encode()).hexdigest()[:16]}"


@lru_cache(maxsize=16)
def _time_zone(zone: ZoneInfo, first_year: int, last_year: int) -> Timezone:
    """Return the zone's rules for the years of these events, not those of a century.

    icalendar lets summer time begin on the clock's new time, where RFC 5545 wants the old one: they differ by the hour
    that no clock shows, so every time that exists comes out right.
    """
    first, last = date(first_year - 1, 1, 1), date(last_year + 2, 1, 1)
    rules = Timezone.from_tzinfo(zone, zone.key, first_date=first, last_date=last)
    # icalendar's own note; some calendars show it to people.
    rules.pop("COMMENT", None)
    return rules
