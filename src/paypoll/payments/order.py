"""The shop's order, with everything that a decision about it may rest on.

Everything here is frozen. Money is Decimal in major units, times are aware datetimes in UTC.
"""

from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class Event:
    """An event of the shop.

    `starts_on` and `starts_at` are local to the site's time zone: the shop stores no zone.
    `merchant_code` is the organiser's own SumUp merchant, empty if the organiser is not connected.
    `issued` counts the tickets that admit somebody, None where they were not counted; it is counted again, under the
    event's lock, before tickets are issued. `sold` is the shop's own count, which may be ahead of it or behind.
    """

    id: int
    title: str
    slug: str
    venue_name: str
    venue_address: str
    starts_on: date
    starts_at: time
    capacity: int
    status: str
    organiser_id: int
    organiser_name: str
    merchant_code: str
    issued: int | None = None
    sold: int = 0

    @property
    def taken(self) -> int | None:
        """How many places a late payment must take as taken: nobody held one for it. None when not counted."""
        return None if self.issued is None else max(self.issued, self.sold)


@dataclass(frozen=True, slots=True)
class OrderItem:
    """One line of an order: `quantity` places at one event. `event` is None when the shop deleted it."""

    id: int
    event: Event | None
    event_title: str
    quantity: int
    price: Decimal
    total: Decimal


@dataclass(frozen=True, slots=True)
class Checkout:
    """A row of payments_sumupcheckout: one try at paying.

    `hosted_page` is the address of SumUp's page for it, where the shop has noted one with SumUp's answer.
    `checkout_ids` holds SumUp's ids from the row's two id columns, without empty ones and repetitions: when a
    customer tries again the shop reuses the row, and then the columns can differ.
    """

    id: int
    reference: str
    checkout_ids: tuple[str, ...]
    amount: Decimal
    currency: str
    merchant_code: str
    status: str
    created_at: datetime
    hosted_page: str = ""
    valid_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Ticket:
    """A ticket that exists, whoever issued it. `customer_id` is the account that it is for.

    `readable` says that it has a code for the scanner: a page of the shop issues tickets without one.
    """

    id: int
    number: str
    event_id: int
    status: str
    customer_id: int | None = None
    readable: bool = True


@dataclass(frozen=True, slots=True)
class Account:
    """The shop account that an order's tickets belong to. The e-mail is as stored: it goes into the tickets' hash."""

    id: int
    email: str


@dataclass(frozen=True, slots=True)
class Fulfilment:
    """What paypoll wrote when it fulfilled an order: kept so that it can be put back (outcomes, row 25a).

    `checkout_id` is SumUp's; `order_transaction_id` is what went into the order's `transaction_id` column.
    `by_person`: a person issued the tickets although SumUp's answer did not match. `transaction_id` is SumUp's, empty
    where it named none.
    """

    order_id: int
    checkout_id: str
    order_transaction_id: str
    paid_at: datetime
    fulfilled_at: datetime
    by_person: bool = False
    issued_by: str = "paypoll"
    transaction_id: str = ""

    @property
    def payment_ids(self) -> frozenset[str]:
        """The ids of its checkout and of the payment itself, as in `CheckoutAnswer`."""
        return frozenset({self.checkout_id, self.transaction_id} - {""})


@dataclass(frozen=True, slots=True)
class SeenCheckout:
    """A checkout of an order as paypoll last saw it at SumUp, whatever the shop's rows say by now.

    `failed_since` is the first of the looks that have said FAILED without a break, None unless that is its state.
    `accounted`: its payment bought tickets, or an admin was told of it. `transaction_id` is that payment's, empty
    unless it is PAID. `made_at` is when it was made, by SumUp's date; None where that is not known.
    """

    checkout_id: str
    merchant_code: str
    status: str
    failed_since: datetime | None = None
    accounted: bool = False
    transaction_id: str = ""
    made_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """An order of the shop with everything that a decision about it may rest on.

    `seen` holds the checkouts that paypoll has seen of it. `tried_at` is when the newest checkout that SumUp shows was
    made, None before it is asked. `changed_at` is when the order got its status, as far as paypoll knows; `looked_at`
    when paypoll last looked at it, None at first sight.
    `had_refund` is true when orders_refund has a row that was not turned down; `was_void` when the status history
    says that the order was once cancelled or refunded, or paypoll saw it so: the browser can set such an order back
    to waiting.
    `rejected` is true when a person has closed its review without tickets (`paypoll resolve`), and not thought better
    of it: the browser can set such an order back as well.
    `account` is the buyer's account, or the one with the order's e-mail; None when there is none yet.
    `missing_checks` counts earlier runs in which SumUp knew no checkout of this order.
    `records_of` is the number of the order that paypoll's records under this id are of, where it is another one: a shop
    restored from a backup gives ids out again. `before_memory`: the order is from before paypoll lost its records.
    `spent_elsewhere` holds SumUp ids (checkouts, transactions) that have fulfilled another order already.
    `written_to`: there is mail to the customer about a payment that bought nothing yet, sent or not.
    `newest_ticket` is the id of the newest ticket on paypoll's records if the shop has none so new, as after a restore.
    """

    id: int
    number: str
    status: str
    total: Decimal
    is_paid: bool
    email: str
    first_name: str
    last_name: str
    user_id: int | None
    created_at: datetime
    items: tuple[OrderItem, ...] = ()
    checkouts: tuple[Checkout, ...] = ()
    tickets: tuple[Ticket, ...] = ()
    had_refund: bool = False
    was_void: bool = False
    rejected: bool = False
    account: Account | None = None
    fulfilment: Fulfilment | None = None
    missing_checks: int = 0
    spent_elsewhere: frozenset[str] = frozenset()
    seen: tuple[SeenCheckout, ...] = ()
    tried_at: datetime | None = None
    changed_at: datetime | None = None
    looked_at: datetime | None = None
    records_of: str = ""
    before_memory: bool = False
    written_to: bool = False
    newest_ticket: int | None = None

    @property
    def known_as(self) -> str:
        """What tells this order from others in the keys of mails: its id, and where that was another's, its number."""
        return f"{self.id}:{self.number}" if self.records_of else str(self.id)

    @property
    def places(self) -> int:
        """How many tickets this order is for."""
        return sum(item.quantity for item in self.items)

    @property
    def customer_name(self) -> str:
        """First and last name as the customer typed them, without outer spaces."""
        return f"{self.first_name} {self.last_name}".strip()
