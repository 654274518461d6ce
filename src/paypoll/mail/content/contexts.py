"""What a mail has to say, as it is kept in the outbox: JSON, written when the mail is posted, read when it leaves.

Between the two there may be a newer version of paypoll. So unknown keys are ignored, and a key that is new must have
a default; what else is missing or of the wrong kind raises ComposeError. Text comes out fit for a mail (see `plain`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from paypoll.mail.content.organiser_contexts import DigestContext, ListingContext
from paypoll.mail.content.reading import Reader, web_address


@dataclass(frozen=True, slots=True)
class OrderLine:
    """A line of an order. `starts` is aware, in the site's time zone; None when the shop deleted the event.

    `price` is for one place, in major units of the order's currency. `ticket_numbers` is empty until they are issued.
    `event_id` and `event_slug` are the shop's; None and empty in mails that an earlier version posted.
    """

    event_title: str
    starts: datetime | None
    venue_name: str
    venue_address: str
    quantity: int
    price: Decimal
    ticket_numbers: tuple[str, ...] = ()
    event_id: int | None = None
    event_slug: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the line as JSON."""
        return {
            "event_title": self.event_title,
            "starts": self.starts.isoformat() if self.starts else None,
            "venue_name": self.venue_name,
            "venue_address": self.venue_address,
            "quantity": self.quantity,
            "price": str(self.price),
            "ticket_numbers": list(self.ticket_numbers),
            "event_id": self.event_id,
            "event_slug": self.event_slug,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the line that the JSON holds."""
        reader = Reader(content, "an order's line")
        return cls(
            event_title=reader.text("event_title"),
            starts=reader.moment("starts"),
            venue_name=reader.text("venue_name"),
            venue_address=reader.lines_of_text("venue_address"),
            quantity=reader.number("quantity"),
            price=reader.money("price"),
            ticket_numbers=reader.texts("ticket_numbers"),
            event_id=reader.optional_number("event_id"),
            event_slug=reader.text("event_slug", default=""),
        )


@dataclass(frozen=True, slots=True)
class ConfirmationContext:
    """An order that is paid, with its tickets; or under review, without any yet.

    `late`: it had failed or expired before the payment arrived.
    """

    order_number: str
    customer_name: str
    email: str
    total: Decimal
    currency: str
    lines: tuple[OrderLine, ...]
    late: bool = False

    def to_json(self) -> dict[str, Any]:
        """Return the context as JSON."""
        return {
            "order_number": self.order_number,
            "customer_name": self.customer_name,
            "email": self.email,
            "total": str(self.total),
            "currency": self.currency,
            "lines": [line.to_json() for line in self.lines],
            "late": self.late,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the context that the JSON holds. Raise ComposeError when it holds none."""
        reader = Reader(content, "a confirmation")
        return cls(
            order_number=reader.text("order_number"),
            customer_name=reader.text("customer_name"),
            email=reader.text("email"),
            total=reader.money("total"),
            currency=reader.text("currency"),
            lines=tuple(OrderLine.from_json(line) for line in reader.objects("lines")),
            late=reader.truth("late", default=False),
        )

    @property
    def tickets(self) -> int:
        """How many tickets come with it: those that are named, or all that were ordered where none is named yet."""
        named = sum(len(line.ticket_numbers) for line in self.lines)
        return named or sum(line.quantity for line in self.lines)


@dataclass(frozen=True, slots=True)
class FailureContext:
    """An order whose payment failed. `retry_url` is where the customer can try again.

    `page_url` is SumUp's own page for it, which is better while it lives: until `page_until`.
    """

    order_number: str
    customer_name: str
    email: str
    total: Decimal
    currency: str
    lines: tuple[OrderLine, ...]
    retry_url: str
    page_url: str = ""
    page_until: datetime | None = None

    def at(self, date: datetime) -> Self:
        """Return the context for a mail that leaves at this time: while SumUp's page lives, that is where to try."""
        lives = self.page_url and self.page_until is not None and date < self.page_until
        return replace(self, retry_url=self.page_url) if lives else self

    def to_json(self) -> dict[str, Any]:
        """Return the context as JSON."""
        return {
            "order_number": self.order_number,
            "customer_name": self.customer_name,
            "email": self.email,
            "total": str(self.total),
            "currency": self.currency,
            "lines": [line.to_json() for line in self.lines],
            "retry_url": self.retry_url,
            "page_url": self.page_url,
            "page_until": self.page_until.isoformat() if self.page_until else None,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the context that the JSON holds. Raise ComposeError when it holds none."""
        reader = Reader(content, "a failure mail")
        return cls(
            order_number=reader.text("order_number"),
            customer_name=reader.text("customer_name"),
            email=reader.text("email"),
            total=reader.money("total"),
            currency=reader.text("currency"),
            lines=tuple(OrderLine.from_json(line) for line in reader.objects("lines")),
            retry_url=reader.web_address("retry_url"),
            page_url=reader.web_address("page_url", ""),
            page_until=reader.optional_moment("page_until"),
        )


@dataclass(frozen=True, slots=True)
class AlertOrder:
    """An order in an alert's list. `amount` is ready to be read; `url` leads to the shop's admin page, or is empty."""

    number: str
    amount: str
    customer: str
    note: str = ""
    url: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return the order as JSON."""
        return {
            "number": self.number,
            "amount": self.amount,
            "customer": self.customer,
            "note": self.note,
            "url": self.url,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the order that the JSON holds."""
        reader = Reader(content, "an alert's order")
        return cls(
            number=reader.text("number"),
            amount=reader.text("amount"),
            customer=reader.text("customer"),
            note=reader.text("note", default=""),
            url=reader.web_address("url", default=""),
        )


@dataclass(frozen=True, slots=True)
class AlertContext:
    """What admins are told. `level` is `Alert` or `CRITICAL`, as it stands in the subject.

    `facts` are pairs of label and value, `links` of label and web address. `found` and `what_to_do` hold a sentence
    each. `orders` lists those that an alert about the whole is about. `commands` are pairs of when and a command to
    paste.
    """

    level: str
    headline: str
    what_happened: str
    facts: tuple[tuple[str, str], ...] = ()
    found: tuple[str, ...] = ()
    what_to_do: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    orders: tuple[AlertOrder, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the context as JSON."""
        return {
            "level": self.level,
            "headline": self.headline,
            "what_happened": self.what_happened,
            "facts": [list(fact) for fact in self.facts],
            "found": list(self.found),
            "what_to_do": list(self.what_to_do),
            "links": [list(link) for link in self.links],
            "orders": [order.to_json() for order in self.orders],
            "commands": [list(command) for command in self.commands],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the context that the JSON holds. Raise ComposeError when it holds none."""
        reader = Reader(content, "an alert")
        return cls(
            level=reader.text("level"),
            headline=reader.text("headline"),
            what_happened=reader.text("what_happened"),
            facts=reader.pairs("facts"),
            found=reader.texts("found"),
            what_to_do=reader.texts("what_to_do"),
            links=tuple((label, web_address(url, "links", "an alert")) for label, url in reader.pairs("links")),
            orders=tuple(AlertOrder.from_json(order) for order in reader.objects("orders", default=())),
            # Alerts of the last release, which may still wait, have none.
            commands=reader.pairs("commands"),
        )


MailContext = ConfirmationContext | FailureContext | ListingContext | DigestContext | AlertContext
