"""The settings that a decision depends on."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self
from zoneinfo import ZoneInfo

from paypoll.clock import local_moment

if TYPE_CHECKING:  # the settings load this module, in every run, and hardly one needs these
    from paypoll.payments.order import Event, Order

REFERENCES = ("{order_number}", "hosted_order_{order_number}", "order_{order_number}", "JE-{order_number}")
"""The forms of checkout references that the shop's flows make; two of them store no checkout id."""

FEE_REFERENCES = ("{fee_reference}", "listing_fee_{fee_reference}")
"""The forms of the references of listing fees: the widget's and the redirect's."""

LONGEST_REFERENCE = 90
"""SumUp takes no longer one, by its published document; asked for one, it could only refuse."""


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator has settled about deciding.

    `merchant_code` is the platform's own SumUp merchant, expected where neither the stored checkout nor the event's
    organiser names one. `max_age`: from then on an unpaid order expires. `late_window`: for so long after that a
    payment may still arrive. `references`: patterns of the references under which the shop makes checkouts, with
    `{order_number}`. `failed_grace`: for so long after a declined card the buyer may be typing another one.
    `fee_references` are patterns of the references of listing fees, with `{fee_reference}`. `what` names what is to be
    paid, in sentences.
    `review_when_full`: an order paid in time for more places than are left goes to a person. `api_url` is where SumUp
    is asked: its pages for customers are at the same domain.
    """

    currency: str
    merchant_code: str
    time_zone: ZoneInfo
    max_age: timedelta = timedelta(hours=2)
    late_window: timedelta = timedelta(hours=72)
    max_quantity: int = 100
    create_guest_accounts: bool = True
    close_before_expiry: bool = True
    references: tuple[str, ...] = REFERENCES
    failed_grace: timedelta = timedelta(minutes=10)
    review_when_full: bool = False
    api_url: str = "https://api.sumup.com"
    fee_references: tuple[str, ...] = FEE_REFERENCES
    what: str = "order"

    def for_fees(self) -> Self:
        """Return the policy for a listing fee, which is asked about and held against SumUp's answers as an order is."""
        patterns = tuple(pattern.replace("{fee_reference}", "{order_number}") for pattern in self.fee_references)
        return replace(self, references=patterns, what="fee")

    def references_of(self, order: "Order") -> tuple[str, ...]:
        """Return every reference under which the shop may have made a checkout of this order at SumUp.

        Those of the stored rows, and the forms that some flows of the shop use without storing anything.
        """
        stored = (checkout.reference for checkout in order.checkouts if checkout.reference)
        made = (pattern.replace("{order_number}", order.number) for pattern in self.references)
        return tuple(dict.fromkeys(reference for reference in (*stored, *made) if len(reference) <= LONGEST_REFERENCE))

    def starts(self, event: "Event") -> datetime:
        """Return when the event starts, as an aware datetime in the site's time zone."""
        return local_moment(event.starts_on, event.starts_at, self.time_zone)

    def is_over(self, event: "Event", now: datetime) -> bool:
        """Say whether the event's day has passed: the shop's scanner admits on the event's date only."""
        return event.starts_on < now.astimezone(self.time_zone).date()
