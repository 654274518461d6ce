"""SumUp as it is behind its API: checkouts, payments, refunds, and what was said to whom.

What is true here is what the promises are held against; what the gateway says may be late, lost or garbled, and may
contradict itself (`sumup_answers`).
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

from tests.simulation.sumup_answers import (
    Contradiction,
    checkout_json,
    history_json,
    read_checkout,
    read_checkouts,
    read_transaction,
    transaction_json,
)
from tests.simulation.sumup_entries import Payment, RealCheckout, Return, Said

from paypoll.payments.books import LedgerPage, Period
from paypoll.payments.gateway import (
    Accepted,
    BrokenAnswer,
    CheckoutAnswer,
    Closing,
    Found,
    Look,
    NoAnswer,
    NotAllowed,
    NotFound,
    Refunding,
    RefundRefused,
    Refused,
    TransactionAnswer,
)
from paypoll.sumup import books

_LINKS_LIVE = timedelta(hours=1.5)

PAYABLE = ("PENDING", "FAILED")
ORGANISERS = ("MCHOIR", "MBAND")
"""Merchants of organisers: their checkouts are shown to their own credentials alone."""


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
        self.sales: dict[str, Payment] = {}
        self.said: list[Said] = []
        self.asked_back: list[tuple[str, Decimal]] = []
        """What paypoll asked to be given back: (transaction id, amount)."""
        self._links: dict[str, datetime] = {}
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

    def give_back(self, payment: Payment | None, amount: Decimal, kind: str = "REFUND") -> Decimal:
        """Give back up to this amount, and return how much it was."""
        if payment is None:
            return Decimal(0)
        given = min(amount, payment.left)
        if given > 0:
            payment.refunds.append(Return(self._tick(), given, kind, self._now()))
            payment.sums.append(payment.refunded())
        return given

    def win_back(self, payment: Payment) -> None:
        """Have the bank reverse what the card's holder has taken back."""
        payment.won_back += [back for back in payment.refunds if back.kind == "CHARGE_BACK"]
        payment.refunds = [back for back in payment.refunds if back.kind != "CHARGE_BACK"]
        payment.touched = self._now()
        payment.sums.append(payment.refunded())

    def sell(self, sale_id: str, amount: Decimal, kind: str, summary: str) -> Payment:
        """Take a payment that is none of the shop's: another shop's on the same account, or a card reader's."""
        sale = Payment(sale_id, sale_id.upper(), amount, "GBP", "MPLATFORM", self._tick(), self._now())
        sale.kind, sale.summary = kind, summary
        self.sales[sale_id] = sale
        return sale

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
        failure = self._failure("find", reference)
        if isinstance(failure, NotFound):
            return Found(())  # another account's key is shown its own list, which has nothing of this
        if failure:
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
        payment = self.sales.get(transaction_id) if real is None else real.payment
        if payment is None or payment.forgotten:
            return self._other_transaction(transaction_id)
        said = self._said_of(real) if real is not None else None
        if said is not None and said.is_unanswered:
            self._note("transaction", transaction_id, "NoAnswer")
            return NoAnswer("504")
        answer = transaction_json(payment, said)
        self._note("transaction", transaction_id, answer["status"], payment.refunded())
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

    def list_transactions(self, merchant_code: str, period: Period, page: str) -> Look[LedgerPage]:
        """Return a page of the merchant's history. A link to the next page is good for an hour or two."""
        self._faults.trip("sumup")
        if failure := self._failure("history", merchant_code):
            return failure
        if page and self._now() - self._links[page] > _LINKS_LIVE:
            self._note("history", merchant_code, "NotFound")
            return NotFound("404")
        payments = {one.payment.id: one.payment for one in self.checkouts.values() if one.payment} | self.sales
        own = [one for one in payments.values() if one.merchant == merchant_code and not one.forgotten]
        answer, link = history_json(own, period.changed_since, page, self._now())
        if link:
            self._links[link] = self._now()
        self._note("history", merchant_code, "Found")
        self._faults.trip("sumup")
        return books.read_history(answer)

    def refund(self, transaction_id: str, merchant_code: str, amount: Decimal, currency: str) -> Refunding:
        """Give back what paypoll asks for: at once, or so that the answer is lost."""
        del currency
        self._faults.trip("sumup")
        if failure := self._failure("refund", transaction_id):
            return failure
        payments = {one.payment.id: one.payment for one in self.checkouts.values() if one.payment}
        payment = payments.get(transaction_id)
        if payment is None or payment.merchant != merchant_code:
            self._note("refund", transaction_id, "NotFound")
            return NotFound("no such transaction")
        if amount > payment.left:
            self._note("refund", transaction_id, "Refused")
            return RefundRefused("409")
        self.asked_back.append((transaction_id, self.give_back(payment, amount)))
        if self._faults.fails("refund_answer"):
            self._note("refund", transaction_id, "NoAnswer")
            return NoAnswer("the answer did not arrive in time")
        self._note("refund", transaction_id, "Accepted")
        self._faults.trip("sumup")
        return Accepted()

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
