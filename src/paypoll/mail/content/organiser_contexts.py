"""What mails to organisers have to say, as it is kept in the outbox. For the rules see `contexts`."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import Any, Self

from paypoll.mail.content.reading import Reader


@dataclass(frozen=True, slots=True)
class ListingContext:
    """A listing fee that an organiser has paid, and the event that is published for it.

    `starts` is aware, in the site's time zone. `customer_name` is the organiser's, as in mails to customers.
    """

    reference: str
    customer_name: str
    email: str
    fee: Decimal
    currency: str
    event_title: str
    starts: datetime | None
    venue_name: str
    venue_address: str

    def to_json(self) -> dict[str, Any]:
        """Return the context as JSON."""
        return {
            "reference": self.reference,
            "customer_name": self.customer_name,
            "email": self.email,
            "fee": str(self.fee),
            "currency": self.currency,
            "event_title": self.event_title,
            "starts": self.starts.isoformat() if self.starts else None,
            "venue_name": self.venue_name,
            "venue_address": self.venue_address,
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the context that the JSON holds. Raise ComposeError when it holds none."""
        reader = Reader(content, "a listing")
        return cls(
            reference=reader.text("reference"),
            customer_name=reader.text("customer_name"),
            email=reader.text("email"),
            fee=reader.money("fee"),
            currency=reader.text("currency"),
            event_title=reader.text("event_title"),
            starts=reader.moment("starts"),
            venue_name=reader.text("venue_name"),
            venue_address=reader.lines_of_text("venue_address"),
        )


@dataclass(frozen=True, slots=True)
class DigestLine:
    """Places at an organiser's event that somebody has bought: one item of an order."""

    order_number: str
    buyer: str
    event_title: str
    quantity: int
    total: Decimal

    def to_json(self) -> dict[str, Any]:
        """Return the line as JSON."""
        return {
            "order_number": self.order_number,
            "buyer": self.buyer,
            "event_title": self.event_title,
            "quantity": self.quantity,
            "total": str(self.total),
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the line that the JSON holds."""
        reader = Reader(content, "a digest's line")
        return cls(
            order_number=reader.text("order_number"),
            buyer=reader.text("buyer"),
            event_title=reader.text("event_title"),
            quantity=reader.number("quantity"),
            total=reader.money("total"),
        )


@dataclass(frozen=True, slots=True)
class DigestContext:
    """The new orders of one run for the events of one organiser, whose name `customer_name` is."""

    customer_name: str
    email: str
    currency: str
    lines: tuple[DigestLine, ...]

    def with_lines(self, lines: tuple[DigestLine, ...]) -> Self:
        """Return the digest with more lines."""
        return replace(self, lines=self.lines + lines)

    @property
    def orders(self) -> int:
        """How many orders they are."""
        return len({line.order_number for line in self.lines})

    @property
    def places(self) -> int:
        """How many places were bought."""
        return sum(line.quantity for line in self.lines)

    @property
    def total(self) -> Decimal:
        """What they come to."""
        return sum((line.total for line in self.lines), Decimal(0))

    def to_json(self) -> dict[str, Any]:
        """Return the context as JSON."""
        return {
            "customer_name": self.customer_name,
            "email": self.email,
            "currency": self.currency,
            "lines": [line.to_json() for line in self.lines],
        }

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Self:
        """Return the context that the JSON holds. Raise ComposeError when it holds none."""
        reader = Reader(content, "an organiser's digest")
        return cls(
            customer_name=reader.text("customer_name"),
            email=reader.text("email"),
            currency=reader.text("currency"),
            lines=tuple(DigestLine.from_json(line) for line in reader.objects("lines")),
        )
