"""The settings that a decision depends on."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from paypoll.payments.order import Event


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator has settled about deciding.

    `merchant_code` is the platform's own SumUp merchant, expected where neither the stored checkout nor the event's
    organiser names one. `max_age`: from then on an unpaid order expires. `late_window`: for so long after that a
    payment may still arrive. `review_when_full`: an order paid in time for more places than are left goes to a person.
    `api_url` is where SumUp is asked: its pages for customers are at the same domain.
    """

    currency: str
    merchant_code: str
    time_zone: ZoneInfo
    max_age: timedelta = timedelta(hours=2)
    late_window: timedelta = timedelta(hours=72)
    max_quantity: int = 100
    create_guest_accounts: bool = True
    close_before_expiry: bool = True
    review_when_full: bool = False
    api_url: str = "https://api.sumup.com"

    def starts(self, event: Event) -> datetime:
        """Return when the event starts, as an aware datetime in the site's time zone."""
        return datetime.combine(event.starts_on, event.starts_at, tzinfo=self.time_zone)

    def is_over(self, event: Event, now: datetime) -> bool:
        """Say whether the event's day has passed: the shop's scanner admits on the event's date only."""
        return event.starts_on < now.astimezone(self.time_zone).date()
