"""A made-up mail of each kind, with which `paypoll check` tries the templates and `paypoll preview` shows them."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from email.message import EmailMessage

from paypoll.mail.content.compose import KINDS, Composer
from paypoll.mail.content.contexts import (
    AlertContext,
    AlertOrder,
    ConfirmationContext,
    FailureContext,
    MailContext,
    OrderLine,
)
from paypoll.mail.content.organiser_contexts import DigestContext, DigestLine, ListingContext
from paypoll.mail.content.reading import ComposeError
from paypoll.mail.content.refund_context import RefundContext

_LINES = (
    OrderLine(
        event_title="Winter Concert",
        starts=datetime(2026, 12, 7, 19, 30, tzinfo=UTC),
        venue_name="Town Hall",
        venue_address="1 High Street\nSt Helier",
        quantity=2,
        price=Decimal("12.50"),
        ticket_numbers=("WINTER-CON-A1B2C3D4E", "WINTER-CON-F5G6H7J8K"),
        event_id=17,
    ),
    OrderLine(
        event_title="An event that the shop deleted",
        starts=None,
        venue_name="",
        venue_address="",
        quantity=1,
        price=Decimal("5.00"),
    ),
)
_UNISSUED = tuple(replace(line, ticket_numbers=()) for line in _LINES)


def _confirmation(*, late: bool) -> ConfirmationContext:
    return ConfirmationContext(
        order_number="ORD-1001",
        customer_name="Ada Le Sueur",
        email="ada@example.org",
        total=Decimal("30.00"),
        currency="GBP",
        lines=_LINES,
        late=late,
    )


SAMPLES: dict[str, MailContext] = {
    "confirmation": _confirmation(late=False),
    "late_confirmation": _confirmation(late=True),
    "payment_failed": FailureContext(
        order_number="ORD-1001",
        customer_name="Ada Le Sueur",
        email="ada@example.org",
        total=Decimal("30.00"),
        currency="GBP",
        lines=_UNISSUED,
        retry_url="https://shop.example.org/orders/ORD-1001/",
    ),
    "under_review": ConfirmationContext(
        order_number="ORD-1001",
        customer_name="Ada Le Sueur",
        email="ada@example.org",
        total=Decimal("30.00"),
        currency="GBP",
        lines=_UNISSUED,
    ),
    "event_listed": ListingContext(
        reference="LF-1A2B3C4D",
        customer_name="St Helier Choir",
        email="choir@example.org",
        fee=Decimal("25.00"),
        currency="GBP",
        event_title="Winter Concert",
        starts=datetime(2026, 12, 7, 19, 30, tzinfo=UTC),
        venue_name="Town Hall",
        venue_address="1 High Street\nSt Helier",
    ),
    "organiser_orders": DigestContext(
        customer_name="St Helier Choir",
        email="choir@example.org",
        currency="GBP",
        lines=(
            DigestLine("ORD-1001", "Ada Le Sueur", "Winter Concert", 2, Decimal("25.00")),
            DigestLine("ORD-1002", "Ben Quérée", "Winter Concert", 1, Decimal("12.50")),
        ),
    ),
    "refund": RefundContext(
        order_number="ORD-1001",
        customer_name="Ada Le Sueur",
        email="ada@example.org",
        total=Decimal("30.00"),
        currency="GBP",
        lines=_UNISSUED,
        refunded=Decimal("12.50"),
        card="VISA ending 3456",
        void_tickets=("WINTER-CON-A1B2C3D4E",),
        kept=2,
    ),
    "alert": AlertContext(
        level="CRITICAL",
        headline="Order ORD-1001 needs a person: amount differs",
        what_happened="Order ORD-1001 needs a person: amount differs.",
        facts=(("Order", "ORD-1001"), ("Amount", "30.00 GBP"), ("Customer", "Ada Le Sueur <ada@example.org>")),
        found=("Checkout chk-1 is PAID, but its amount is 29.99 GBP.",),
        what_to_do=(
            "Compare the payment in SumUp's dashboard with the order.",
            "Issue the tickets, or refund it.",
        ),
        links=(("The order in the shop", "https://shop.example.org/admin/orders/order/1001/change/"),),
        orders=(AlertOrder(number="ORD-1002", amount="12.50 GBP", customer="bob@example.org", note="placed 14:50"),),
        commands=(
            ("See everything about it, and what SumUp says now", "sudo paypoll inspect ORD-1001 --live"),
            ("When the money has been given back", 'sudo paypoll resolve ORD-1001 --refund-noted --reason "refunded"'),
        ),
    ),
}

SUMMARY = AlertContext(
    level="Alert",
    headline="12 orders: expired",
    what_happened="12 orders: expired.",
    found=("The first of them: Order ORD-1002 expired.",),
    what_to_do=("Nothing, unless a customer asks: a payment that still arrives is honoured.",),
    orders=tuple(
        AlertOrder(
            number=f"ORD-{number}",
            amount="12.50 GBP",
            customer=f"Customer {number} <customer-{number}@example.org>",
            note="SumUp's checkout was still pending after 2 hours; it was closed.",
            url=f"https://shop.example.org/admin/orders/order/{number}/change/",
        )
        for number in range(1002, 1014)
    ),
)
"""The summary that replaces many alerts of the same topic; its kind is `alert`."""


def template_problems(composer: Composer) -> list[str]:
    """Return what is broken in the templates, a sentence each, found by composing a mail of each kind."""
    problems = []
    for kind in KINDS:
        try:
            _composed(composer, kind)
        except ComposeError as error:
            problems.append(str(error))
    # The same broken layout breaks several kinds.
    return list(dict.fromkeys(problems))


def without_commands(composer: Composer) -> list[str]:
    """Return the templates whose alerts lack the commands to paste, as one's own do that are of an older release."""
    alert = _composed(composer, "alert")
    parts = {f"alert.{suffix}": alert.get_body((kind,)) for suffix, kind in (("txt", "plain"), ("html", "html"))}
    command = "sudo paypoll inspect ORD-1001 --live"
    return [name for name, part in parts.items() if part is not None and command not in part.get_content()]


def _composed(composer: Composer, kind: str) -> EmailMessage:
    return composer.compose(
        kind,
        SAMPLES[kind].to_json(),
        message_id="<sample@example.org>",
        date=datetime(2026, 11, 23, 15, 0, tzinfo=UTC),
        to=["ada@example.org"],
    )
