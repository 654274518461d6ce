"""Stand-ins for tests: builders of values, and in-memory fakes of the ports.

They are shipped so that whoever builds on paypoll can use them. The tests in tests/conformance hold each fake against
the same expectations as the real adapter.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from email.message import EmailMessage
from typing import Any
from zoneinfo import ZoneInfo

from paypoll.mail.address import address_problem
from paypoll.mail.mailer import MailError, MailSession, MailUnavailableError, RecipientRefusedError
from paypoll.payments.gateway import (
    Accepted,
    Attempt,
    BrokenAnswer,
    CheckoutAnswer,
    CheckoutStatus,
    Closing,
    Found,
    Look,
    NoAnswer,
    NotFound,
    NotSent,
    Refunding,
    RefundRefused,
    Refused,
    TransactionAnswer,
    TransactionStatus,
)
from paypoll.payments.listing_fees import ListingFee
from paypoll.payments.money import minor_units
from paypoll.payments.order import Checkout, Event, Order, OrderItem
from paypoll.payments.order_statuses import OrderStatus
from paypoll.payments.policy import Policy
from paypoll.tickets.qr import qr_png
from paypoll.tickets.ticket import PrintedTicket, PrintError, TicketFace

NOW = datetime(2026, 11, 23, 15, 0, tzinfo=UTC)
MERCHANT = "MPLATFORM"


def a_policy(**changes: Any) -> Policy:
    """Return a policy for a shop in Jersey that takes pounds."""
    return replace(Policy(currency="GBP", merchant_code=MERCHANT, time_zone=ZoneInfo("Europe/Jersey")), **changes)


def an_event(**changes: Any) -> Event:
    """Return an event two weeks after NOW, with room."""
    event = Event(
        id=7,
        title="Winter Concert",
        slug="winter-concert",
        venue_name="Town Hall",
        venue_address="1 High Street\nSt Helier",
        starts_on=date(2026, 12, 7),
        starts_at=time(19, 30),
        capacity=100,
        status="published",
        organiser_id=3,
        organiser_name="The Choir",
        merchant_code="",
        issued=0,
    )
    return replace(event, **changes)


def an_item(**changes: Any) -> OrderItem:
    """Return an order item: two places at 12.50."""
    item = OrderItem(
        id=70,
        event=an_event(),
        event_title="Winter Concert",
        quantity=2,
        price=Decimal("12.50"),
        total=Decimal("25.00"),
    )
    return replace(item, **changes)


def a_checkout(**changes: Any) -> Checkout:
    """Return the shop's row of one try at paying."""
    checkout = Checkout(
        id=500,
        reference="ORD-1001",
        checkout_ids=("chk-1",),
        amount=Decimal("25.00"),
        currency="GBP",
        merchant_code=MERCHANT,
        status="pending",
        created_at=NOW - timedelta(minutes=10),
    )
    return replace(checkout, **changes)


def an_order(**changes: Any) -> Order:
    """Return an order of ten minutes ago that waits for verification, with one checkout."""
    order = Order(
        id=1001,
        number="ORD-1001",
        status=OrderStatus.PENDING_VERIFICATION,
        total=Decimal("25.00"),
        is_paid=False,
        email="ada@example.org",
        first_name="Ada",
        last_name="Le Sueur",
        user_id=None,
        created_at=NOW - timedelta(minutes=10),
        items=(an_item(),),
        checkouts=(a_checkout(),),
    )
    if "created_at" in changes and "checkouts" not in changes:
        changes["checkouts"] = (a_checkout(created_at=changes["created_at"]),)
    return replace(order, **changes)


def a_fee(**changes: Any) -> ListingFee:
    """Return a listing fee of 25.00 GBP for a draft, with one checkout, by the widget."""
    made, rows = NOW - timedelta(minutes=10), (a_checkout(reference="LF-1"),)
    organiser = ("The Choir", "choir@example.org")
    fee = ListingFee(5, "LF-1", "pending", Decimal("25.00"), "GBP", made, an_event(status="draft"), *organiser)
    return replace(fee, **{"checkouts": rows, **changes})


def an_attempt(**changes: Any) -> Attempt:
    """Return a successful attempt at paying 25.00 GBP."""
    attempt = Attempt(
        id="txn-1",
        transaction_code="TCODE1",
        status=TransactionStatus.SUCCESSFUL,
        amount=Decimal("25.00"),
        currency="GBP",
        merchant_code=MERCHANT,
        timestamp=NOW - timedelta(minutes=5),
        payment_type="ECOM",
        entry_mode="CUSTOMER_ENTRY",
        auth_code="012345",
        tip_amount=Decimal(0),
    )
    return replace(attempt, **changes)


def an_answer(status: str = CheckoutStatus.PAID, **changes: Any) -> CheckoutAnswer:
    """Return SumUp's answer about `a_checkout`, in the given status, fitting in every respect."""
    paid = status == CheckoutStatus.PAID
    attempts = (an_attempt(),) if paid else ()
    if status == CheckoutStatus.FAILED:
        # Long enough ago for the buyer to be done with trying (row 3c).
        attempts = (an_attempt(status=TransactionStatus.FAILED, timestamp=NOW - timedelta(minutes=10)),)
    answer = CheckoutAnswer(
        id="chk-1",
        status=status,
        reference="ORD-1001",
        amount=Decimal("25.00"),
        currency="GBP",
        merchant_code=MERCHANT,
        transaction_code="TCODE1" if paid else "",
        transaction_id="txn-1" if paid else "",
        attempts=attempts,
        raw={"status": str(status)},
    )
    return replace(answer, **changes)


def a_transaction(**changes: Any) -> TransactionAnswer:
    """Return SumUp's answer about the transaction of `an_answer`, of which nothing was given back."""
    transaction = TransactionAnswer(
        id="txn-1",
        transaction_code="TCODE1",
        status=TransactionStatus.SUCCESSFUL,
        amount=Decimal("25.00"),
        currency="GBP",
        refunded=Decimal(0),
        charged_back=Decimal(0),
        raw={},
    )
    return replace(transaction, **changes)


@dataclass
class FakeGateway:
    """A PaymentGateway that answers from dictionaries; what is not in them is NotFound.

    A closed checkout answers EXPIRED from then on; one that is paid, expired or being paid refuses. `asked` lists the
    questions. While it is `down`, for the reason given there, nothing is answered. A refund shows at once.
    """

    checkouts: dict[str, Look[CheckoutAnswer]] = field(default_factory=dict)
    transactions: dict[str, Look[TransactionAnswer]] = field(default_factory=dict)
    searches: dict[str, Look[tuple[CheckoutAnswer, ...]]] = field(default_factory=dict)
    closings: dict[str, Closing] = field(default_factory=dict)
    merchants: Look[frozenset[str]] = field(default_factory=lambda: Found(frozenset({MERCHANT})))
    asked: list[tuple[str, str]] = field(default_factory=list)
    halted: str = ""
    down: str = ""

    def read_checkout(self, checkout_id: str, merchant_code: str) -> Look[CheckoutAnswer]:
        """Return what `checkouts` holds."""
        del merchant_code
        return self._failure("read", checkout_id) or self.checkouts.get(checkout_id, NotFound())

    def find_checkouts(self, reference: str, merchant_code: str) -> Look[tuple[CheckoutAnswer, ...]]:
        """Return what `searches` holds, else the checkouts that have this reference."""
        del merchant_code
        known = (look.value for look in self.checkouts.values() if isinstance(look, Found))
        found = Found(tuple(answer for answer in known if answer.reference == reference))
        return self._failure("find", reference) or self.searches.get(reference, found)

    def read_transaction(self, transaction_id: str, merchant_code: str) -> Look[TransactionAnswer]:
        """Return what `transactions` holds."""
        del merchant_code
        return self._failure("transaction", transaction_id) or self.transactions.get(transaction_id, NotFound())

    def close_checkout(self, checkout_id: str, merchant_code: str) -> Closing:
        """Return what `closings` holds, else close an unpaid checkout and refuse any other."""
        del merchant_code
        if answer := self._failure("close", checkout_id) or self.closings.get(checkout_id):
            return answer
        look = self.checkouts.get(checkout_id, NotFound())
        if not isinstance(look, Found):
            return look
        if look.value.status not in {CheckoutStatus.PENDING, CheckoutStatus.FAILED}:
            return Refused("it was processed")
        if any(attempt.status == "PENDING" for attempt in look.value.attempts):
            return Refused("a payment is under way")
        self.checkouts[checkout_id] = closed = Found(replace(look.value, status=CheckoutStatus.EXPIRED))
        return closed

    def refund(self, transaction_id: str, merchant_code: str, amount: Decimal, currency: str) -> Refunding:
        """Give the amount back if so much of the transaction is left."""
        del merchant_code
        if not transaction_id or not (minor_units(amount, currency) or 0) > 0:
            return NotSent("there is nothing that could be given back")
        if failure := self._failure("refund", transaction_id):
            return failure
        look = self.transactions.get(transaction_id, NotFound())
        if not isinstance(look, Found):
            return look
        if amount > look.value.left:
            return RefundRefused("more than is left of it")
        self.transactions[transaction_id] = Found(replace(look.value, refunded=look.value.refunded + amount))
        return Accepted()

    def read_merchants(self) -> Look[frozenset[str]]:
        """Return what `merchants` holds."""
        return self._failure("merchants", "of our key") or self.merchants

    def _failure(self, question: str, subject: str) -> NoAnswer | BrokenAnswer | None:
        self.asked.append((question, subject))
        if not subject:
            return BrokenAnswer("there is nothing to ask for")
        return NoAnswer(self.down) if self.down else None


@dataclass
class FakePrinter:
    """A TicketPrinter whose PDFs are a line of text. `broken` makes it fail, with that reason."""

    broken: str = ""

    def get_ready(self) -> None:
        """Be ready as it is."""

    def expect(self, orders: Iterable[Sequence[TicketFace]]) -> None:
        """Print nothing ahead."""

    def print_tickets(self, faces: Sequence[TicketFace]) -> list[PrintedTicket]:
        """Return a line a face."""
        if self.broken:
            raise PrintError(self.broken)
        return [self._print(face) for face in faces]

    def _print(self, face: TicketFace) -> PrintedTicket:
        try:
            return PrintedTicket(f"%PDF-fake {face.ticket_number} {face.qr_data}".encode(), qr_png(face.qr_data))
        except ValueError as error:
            raise PrintError(f"the tickets of order {face.order_number} could not be printed: {error}") from None

    def print_together(self, faces: Sequence[TicketFace]) -> bytes:
        """Return all lines."""
        if not faces:
            raise PrintError("there is no ticket to print")
        return b"\n".join(ticket.pdf for ticket in self.print_tickets(faces))


@dataclass
class FakeMailer:
    """A Mailer that keeps what it is given.

    `failures` are raised by the next sends, one each; `down` by connecting. `refused` are the recipients that it
    never takes, each with the server's answer.
    """

    sent: list[tuple[EmailMessage, tuple[str, ...]]] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    down: str = ""
    refused: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def connect(self) -> Iterator[MailSession]:
        """Open a session, unless `down`."""
        if self.down:
            raise MailUnavailableError(self.down)
        session = _FakeSession(self)
        try:
            yield session
        finally:
            session.is_over = True

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> None:
        """Keep the message for the recipients that are taken, or raise the next failure. Sessions call it."""
        if self.failures:
            raise self.failures.pop(0)
        problems = {address: address_problem(address) or self.refused.get(address, "") for address in recipients}
        taken = tuple(address for address in recipients if not problems[address])
        if taken:
            self.sent.append((deepcopy(message), taken))
        if len(taken) < len(recipients) or not recipients:
            raise RecipientRefusedError("; ".join(filter(None, problems.values())) or "there is no recipient")


@dataclass
class _FakeSession:
    """A MailSession of the FakeMailer. One that was lost stays lost."""

    mailer: FakeMailer
    is_over: bool = False

    def send(self, message: EmailMessage, recipients: Sequence[str]) -> None:
        if self.is_over:
            raise MailUnavailableError("the session with the mail server was lost before")
        try:
            self.mailer.send(message, recipients)
        except MailError as error:
            self.is_over = isinstance(error, MailUnavailableError)
            raise
        except BaseException:
            self.is_over = True
            raise


class FakeClock:
    """A Clock that stands still until it is moved."""

    def __init__(self, now: datetime = NOW) -> None:
        self._now = now
        self._start = now

    def now(self) -> datetime:
        """Return the time it was set to."""
        return self._now

    def monotonic(self) -> float:
        """Return the seconds that it was moved."""
        return (self._now - self._start).total_seconds()

    def move(self, by: timedelta) -> None:
        """Move it forward."""
        self._now += by
