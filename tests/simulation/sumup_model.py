"""SumUp as it is behind its API: checkouts, payments, refunds, and what was said to whom.

What is true here is what the promises are held against; what the gateway says may be late, lost or garbled.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Protocol

from paypoll.payments.gateway import (
    Attempt,
    BrokenAnswer,
    CheckoutAnswer,
    Closing,
    Found,
    Look,
    NoAnswer,
    NotAllowed,
    NotFound,
    Refused,
    TransactionAnswer,
    TransactionStatus,
)

PAYABLE = ("PENDING", "FAILED")


@dataclass
class Payment:
    """Money that was taken, and what was given back of it: (tick, amount) each."""

    id: str
    code: str
    amount: Decimal
    currency: str
    tick: int
    at: datetime
    refunds: list[tuple[int, Decimal]] = field(default_factory=list)

    def refunded(self, tick: int | None = None) -> Decimal:
        """Return what was given back before this tick, or by now."""
        return sum((amount for when, amount in self.refunds if tick is None or when < tick), Decimal(0))


@dataclass
class RealCheckout:
    """A checkout as SumUp has it. `order` is the number of the order that it was really made for."""

    id: str
    reference: str
    order: str
    amount: Decimal
    currency: str
    merchant: str
    status: str = "PENDING"
    declined: int = 0
    payment: Payment | None = None

    @property
    def held(self) -> Decimal:
        """How much of the customer's money is held."""
        return Decimal(0) if self.payment is None else self.payment.amount - self.payment.refunded()


@dataclass(frozen=True)
class Said:
    """What a run was told. `found` is the status, or NotFound, NoAnswer and so on; `refunded` what it was told of."""

    tick: int
    run_id: str
    question: str
    subject: str
    found: str
    refunded: Decimal = Decimal(0)


class Faults(Protocol):
    """What may go wrong on the way to SumUp, decided by the world."""

    def fails(self, question: str) -> str:
        """Return the kind of failure for this call; an empty text when it works."""
        ...

    def trip(self, place: str) -> None:
        """Let time pass and others get in between; a crash may happen."""
        ...

    def run_id(self) -> str:
        """Return which run is asking."""
        ...

    def note(self, what: str) -> None:
        """Write a line into the log of events."""
        ...


class SumUp:
    """Plays the PaymentGateway of all hosts, and SumUp's own pages for customers and admins."""

    halted = ""

    def __init__(self, faults: Faults, tick: Callable[[], int], now: Callable[[], datetime]) -> None:
        self.checkouts: dict[str, RealCheckout] = {}
        self.said: list[Said] = []
        self._faults = faults
        self._tick = tick
        self._now = now

    # -- the customer's page, and the admin's --------------------------------------------------------------

    def open_checkout(
        self, reference: str, order: str, amount: Decimal, *, currency: str = "GBP", merchant: str = "MPLATFORM"
    ) -> RealCheckout:
        """Make a checkout."""
        made = RealCheckout(f"chk-{len(self.checkouts) + 1:04}", reference, order, amount, currency, merchant)
        self.checkouts[made.id] = made
        return made

    def pay(self, checkout: RealCheckout, *, as_payment: Payment | None = None) -> bool:
        """Pay, if the page still takes it. `as_payment`: SumUp shows another checkout's payment here as well."""
        if checkout.status not in PAYABLE:
            return False
        self._faults.note(f"pays {checkout.id} of {checkout.order}: {checkout.amount} {checkout.currency}")
        checkout.status = "PAID"
        number = checkout.id.removeprefix("chk-")
        checkout.payment = as_payment or Payment(
            f"txn-{number}", f"TCODE{number}", checkout.amount, checkout.currency, self._tick(), self._now()
        )
        return True

    def decline(self, checkout: RealCheckout) -> None:
        """Try to pay, with a card that is refused."""
        if checkout.status in PAYABLE:
            self._faults.note(f"is declined at {checkout.id} of {checkout.order}")
            checkout.status, checkout.declined = "FAILED", checkout.declined + 1

    def run_out(self, checkout: RealCheckout) -> None:
        """The page has been open for too long."""
        if checkout.status in PAYABLE:
            checkout.status = "EXPIRED"

    def refund(self, checkout: RealCheckout, amount: Decimal) -> Decimal:
        """Give back up to this amount, and return how much it was."""
        if checkout.payment is None:
            return Decimal(0)
        given = min(amount, checkout.held)
        if given > 0:
            checkout.payment.refunds.append((self._tick(), given))
        return given

    # -- the API -------------------------------------------------------------------------------------------

    def read_checkout(self, checkout_id: str, merchant_code: str) -> Look[CheckoutAnswer]:
        """Return the state of a checkout."""
        self._faults.trip("sumup")
        if failure := self._failure("read", checkout_id):
            return failure
        answer = self._answer(checkout_id)
        self._note("read", checkout_id, answer.value.status if isinstance(answer, Found) else "NotFound")
        self._faults.trip("sumup")
        return answer

    def find_checkouts(self, reference: str, merchant_code: str) -> Look[tuple[CheckoutAnswer, ...]]:
        """Return the checkouts with this reference."""
        self._faults.trip("sumup")
        if failure := self._failure("find", reference):
            return failure
        ids = [one.id for one in self.checkouts.values() if one.reference == reference]
        answers = [answer.value for one in ids if isinstance(answer := self._answer(one), Found)]
        self._note("find", reference, "Found")
        self._faults.trip("sumup")
        return Found(tuple(answers))

    def read_transaction(self, transaction_id: str, merchant_code: str) -> Look[TransactionAnswer]:
        """Return a transaction, with what was refunded of it."""
        self._faults.trip("sumup")
        if failure := self._failure("transaction", transaction_id):
            return failure
        payment = next(
            (one.payment for one in self.checkouts.values() if one.payment and one.payment.id == transaction_id), None
        )
        if payment is None:
            self._note("transaction", transaction_id, "NotFound")
            return NotFound("no such transaction")
        refunded = payment.refunded()
        self._note("transaction", transaction_id, "SUCCESSFUL", refunded)
        self._faults.trip("sumup")
        return Found(
            TransactionAnswer(
                id=payment.id,
                transaction_code=payment.code,
                status=TransactionStatus.SUCCESSFUL,
                amount=payment.amount,
                currency=payment.currency,
                refunded=refunded,
                charged_back=Decimal(0),
                raw={},
            )
        )

    def close_checkout(self, checkout_id: str, merchant_code: str) -> Closing:
        """Close a checkout, unless it was processed."""
        self._faults.trip("sumup")
        if failure := self._failure("close", checkout_id):
            return failure
        real = self.checkouts.get(checkout_id)
        if real is None:
            self._note("close", checkout_id, "NotFound")
            return NotFound("no such checkout")
        if real.status != "PENDING":
            self._note("close", checkout_id, "Refused")
            self._faults.trip("sumup")
            return Refused("CHECKOUT_PROCESSED")
        real.status = "EXPIRED"
        if self._faults.fails("close_answer"):  # a time-out after the effect
            self._note("close", checkout_id, "NoAnswer")
            return NoAnswer("the answer did not arrive in time")
        self._note("close", checkout_id, "EXPIRED")
        self._faults.trip("sumup")
        answer = self._answer(checkout_id)
        return answer if isinstance(answer, Found) else NotFound()

    def _failure(self, question: str, subject: str) -> NoAnswer | BrokenAnswer | NotFound | NotAllowed | None:
        kind = self._faults.fails(question)
        if not kind:
            return None
        self._note(question, subject, kind)
        if kind == "NotFound":
            return NotFound("404")
        if kind == "NotAllowed":
            return NotAllowed("", "401")
        if kind == "Broken":
            return BrokenAnswer("the answer has no status")
        if kind == "Garbled":
            return BrokenAnswer("the answer is a proxy's page", garbled=True)
        return NoAnswer("504")

    def _note(self, question: str, subject: str, found: str, refunded: Decimal = Decimal(0)) -> None:
        self._faults.note(f"SumUp, asked to {question} {subject}: {found}")
        self.said.append(Said(self._tick(), self._faults.run_id(), question, subject, found, refunded))

    def _answer(self, checkout_id: str) -> Found[CheckoutAnswer] | NotFound:
        real = self.checkouts.get(checkout_id)
        if real is None:
            return NotFound("no such checkout")
        paid = real.payment
        attempts = tuple(_attempt(f"{real.id}-declined-{i}", "FAILED", real, None) for i in range(real.declined))
        if paid is not None:
            attempts += (_attempt(paid.id, "SUCCESSFUL", real, paid),)
        return Found(
            CheckoutAnswer(
                id=real.id,
                status=real.status,
                reference=real.reference,
                amount=real.amount,
                currency=real.currency,
                merchant_code=real.merchant,
                transaction_code=paid.code if paid else "",
                transaction_id=paid.id if paid else "",
                attempts=attempts,
                raw={"id": real.id, "status": real.status},
            )
        )


def _attempt(attempt_id: str, status: str, real: RealCheckout, paid: Payment | None) -> Attempt:
    return Attempt(
        id=attempt_id,
        transaction_code=paid.code if paid else "",
        status=TransactionStatus(status),
        amount=real.amount,
        currency=real.currency,
        merchant_code=real.merchant,
        timestamp=paid.at if paid else None,
        payment_type="ECOM",
        entry_mode="CUSTOMER_ENTRY",
        auth_code="",
        tip_amount=Decimal(0),
    )
