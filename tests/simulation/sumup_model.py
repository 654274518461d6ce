"""SumUp as it is behind its API: checkouts, payments, refunds, and what was said to whom.

What is true here is what the promises are held against; what the gateway says may be late, lost or garbled, and may
contradict itself (`sumup_answers`).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Protocol

from tests.simulation.sumup_answers import (
    Contradiction,
    checkout_json,
    read_checkout,
    read_checkouts,
    read_transaction,
    transaction_json,
)

from paypoll.payments.gateway import (
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
)

PAYABLE = ("PENDING", "FAILED")
ORGANISERS = ("MCHOIR", "MBAND")
"""Merchants of organisers: their checkouts are shown to their own credentials alone."""


@dataclass
class Payment:
    """Money that was taken, and what was given back of it: (tick, amount) each.

    `on_the_way` is what is being given back, and not there yet: (tick, amount, status of the event).
    """

    id: str
    code: str
    amount: Decimal
    currency: str
    merchant: str
    tick: int
    at: datetime
    simple_status: str = "SUCCESSFUL"
    refunds: list[tuple[int, Decimal]] = field(default_factory=list)
    on_the_way: list[tuple[int, Decimal, str]] = field(default_factory=list)

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
    made_at: datetime
    status: str = "PENDING"
    declined_at: list[datetime] = field(default_factory=list)
    payment: Payment | None = None
    said: Contradiction | None = None

    @property
    def held(self) -> Decimal:
        """How much of the customer's money is held."""
        return Decimal(0) if self.payment is None else self.payment.amount - self.payment.refunded()


@dataclass(frozen=True)
class Said:
    """What a run was told. `found` is the status, or NotFound, NoAnswer and so on; `refunded` what it was told of.

    `question` is read, find, close, transaction, or "listed": a checkout in the answer to a find. `attempts` are the
    statuses of the attempts in an answer about a checkout, the newest last.
    """

    tick: int
    at: datetime
    run_id: str
    question: str
    subject: str
    found: str
    refunded: Decimal = Decimal(0)
    attempts: tuple[str, ...] = ()


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
        number = f"chk-{len(self.checkouts) + 1:04}"
        made = RealCheckout(number, reference, order, amount, currency, merchant, self._now())
        self.checkouts[made.id] = made
        return made

    def pay(self, checkout: RealCheckout, *, as_payment: Payment | None = None) -> bool:
        """Pay, if the page still takes it. `as_payment`: SumUp shows another checkout's payment here as well."""
        if checkout.status not in PAYABLE:
            return False
        self._faults.note(f"pays {checkout.id} of {checkout.order}: {checkout.amount} {checkout.currency}")
        checkout.status = "PAID"
        number = checkout.id.removeprefix("chk-")
        amount, currency, merchant = checkout.amount, checkout.currency, checkout.merchant
        checkout.payment = as_payment or Payment(
            f"txn-{number}", f"TCODE{number}", amount, currency, merchant, self._tick(), self._now()
        )
        return True

    def decline(self, checkout: RealCheckout) -> None:
        """Try to pay, with a card that is refused."""
        if checkout.status in PAYABLE:
            self._faults.note(f"is declined at {checkout.id} of {checkout.order}")
            checkout.status = "FAILED"
            checkout.declined_at.append(self._now())

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
        answer = self._answer("read", checkout_id, merchant_code)
        self._faults.trip("sumup")
        return answer

    def find_checkouts(self, reference: str, merchant_code: str) -> Look[tuple[CheckoutAnswer, ...]]:
        """Return the checkouts with this reference."""
        self._faults.trip("sumup")
        if failure := self._failure("find", reference):
            return failure
        self._note("find", reference, "Found")
        known = [one for one in self.checkouts.values() if one.reference == reference and _is_shown(one, merchant_code)]
        answers = [checkout_json(one, self._said_of(one), listed=True) for one in known]
        for answer in answers:
            self._note("listed", answer["id"], answer["status"], attempts=_attempts_in(answer))
        self._faults.trip("sumup")
        return read_checkouts(answers, reference)

    def read_transaction(self, transaction_id: str, merchant_code: str) -> Look[TransactionAnswer]:
        """Return a transaction, with what was refunded of it."""
        self._faults.trip("sumup")
        if failure := self._failure("transaction", transaction_id):
            return failure
        real = next((one for one in self.checkouts.values() if one.payment and one.payment.id == transaction_id), None)
        if real is None or real.payment is None:
            return self._other_transaction(transaction_id)
        said = self._said_of(real)
        if said is not None and said.is_unanswered:
            self._note("transaction", transaction_id, "NoAnswer")
            return NoAnswer("504")
        answer = transaction_json(real.payment, said)
        self._note("transaction", transaction_id, answer["status"], real.payment.refunded())
        self._faults.trip("sumup")
        return read_transaction(answer)

    def close_checkout(self, checkout_id: str, merchant_code: str) -> Closing:
        """Close a checkout, unless it was processed."""
        self._faults.trip("sumup")
        if failure := self._failure("close", checkout_id):
            return failure
        real = self.checkouts.get(checkout_id)
        if real is None or not _is_shown(real, merchant_code):
            self._note("close", checkout_id, "NotFound")
            return NotFound("no such checkout")
        said = self._said_of(real)
        refusal = said.closing if said is not None else ""
        if not refusal and real.status != "PENDING":
            refusal = "CHECKOUT_PROCESSED"
        if refusal:
            return self._refuse_to_close(checkout_id, refusal)
        real.status = "EXPIRED"
        if self._faults.fails("close_answer"):  # a time-out after the effect
            self._note("close", checkout_id, "NoAnswer")
            return NoAnswer("the answer did not arrive in time")
        answer = self._answer("close", checkout_id, merchant_code)
        self._faults.trip("sumup")
        return answer

    def read_merchants(self) -> Look[frozenset[str]]:
        """Say whose key it is: that of the platform's merchant, whatever the world."""
        return Found(frozenset({"MPLATFORM"}))

    def _refuse_to_close(self, checkout_id: str, refusal: str) -> Closing:
        refused: dict[str, Closing] = {
            "403": NotAllowed("", "403"),
            "404": NotFound("404"),
        }
        answer = refused.get(refusal, Refused(f"SumUp answered 409 {refusal}"))
        self._note("close", checkout_id, type(answer).__name__)
        self._faults.trip("sumup")
        return answer

    def _other_transaction(self, transaction_id: str) -> Look[TransactionAnswer]:
        """Return an attempt that took no money, if a checkout has one under this id."""
        for one in self.checkouts.values():
            said = self._said_of(one)
            if said is not None and said.transaction and transaction_id == f"txn-{one.id}-tried":
                tried = Payment(transaction_id, "", one.amount, one.currency, one.merchant, 0, one.made_at)
                answer = transaction_json(tried, said)
                self._note("transaction", transaction_id, answer["status"])
                return read_transaction(answer)
        self._note("transaction", transaction_id, "NotFound")
        return NotFound("no such transaction")

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

    def _note(
        self,
        question: str,
        subject: str,
        found: str,
        refunded: Decimal = Decimal(0),
        attempts: Sequence[str] = (),
    ) -> None:
        self._faults.note(f"SumUp, asked to {question} {subject}: {found}")
        run_id = self._faults.run_id()
        self.said.append(Said(self._tick(), self._now(), run_id, question, subject, found, refunded, tuple(attempts)))

    def _answer(
        self, question: str, checkout_id: str, merchant_code: str
    ) -> Found[CheckoutAnswer] | NotFound | BrokenAnswer:
        real = self.checkouts.get(checkout_id)
        if real is None or not _is_shown(real, merchant_code):
            self._note(question, checkout_id, "NotFound")
            return NotFound("no such checkout")
        answer = checkout_json(real, self._said_of(real), listed=False)
        self._note(question, checkout_id, answer["status"], attempts=_attempts_in(answer))
        return read_checkout(answer, self._now())

    def _said_of(self, real: RealCheckout) -> Contradiction | None:
        """Return what is said about a checkout against the truth, while it is."""
        said = real.said
        return None if said is None or (said.until is not None and self._now() >= said.until) else said


def _is_shown(real: RealCheckout, merchant_code: str) -> bool:
    return real.merchant not in ORGANISERS or real.merchant == merchant_code


def _attempts_in(answer: dict[str, Any]) -> list[str]:
    return [attempt["status"] for attempt in answer.get("transactions", ())]
