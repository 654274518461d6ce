"""What SumUp was asked about one order, and what it said."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Self, TypeAlias

from paypoll.payments.gateway import CheckoutAnswer, CheckoutStatus, Closing, Found, Look, NotFound, TransactionAnswer


@dataclass(frozen=True, slots=True)
class ReadCheckout:
    """Ask for the state of one checkout, by SumUp's id, as each of these merchants until one of them knows it."""

    checkout_id: str
    merchant_codes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FindCheckouts:
    """Ask which checkouts were made under a reference."""

    reference: str
    merchant_code: str


@dataclass(frozen=True, slots=True)
class ReadTransaction:
    """Ask for the transaction behind a paid checkout: the only place where a refund shows."""

    transaction_id: str
    merchant_code: str
    checkout_id: str


@dataclass(frozen=True, slots=True)
class CloseCheckout:
    """Make an unpaid checkout unpayable, asked as ReadCheckout is. The only question that changes something."""

    checkout_id: str
    merchant_codes: tuple[str, ...]


SUMUP_CLOCK_TOLERANCE = timedelta(minutes=10)
"""From here on either clock is wrong: nothing fails or expires on its word (46). Evidence is younger than a lease."""

Question: TypeAlias = ReadCheckout | FindCheckouts | ReadTransaction | CloseCheckout
Answer: TypeAlias = Look[CheckoutAnswer] | Look[tuple[CheckoutAnswer, ...]] | Look[TransactionAnswer] | Closing


@dataclass(frozen=True, slots=True)
class Evidence:
    """SumUp's answers about one order, all fetched in this run.

    `reads`, `transactions` and `closings` are keyed by checkout id, `searches` by the question itself. `assumed` names
    the checkouts of which a dry run takes for granted that SumUp would close them; empty in a run. `asked_at` is when
    the first question was asked: evidence has an age.
    """

    reads: Mapping[str, Look[CheckoutAnswer]] = field(default_factory=dict)
    searches: Mapping[FindCheckouts, Look[tuple[CheckoutAnswer, ...]]] = field(default_factory=dict)
    transactions: Mapping[str, Look[TransactionAnswer]] = field(default_factory=dict)
    closings: Mapping[str, Closing] = field(default_factory=dict)
    assumed: frozenset[str] = frozenset()
    asked_at: datetime | None = None

    def with_read(self, question: ReadCheckout, look: Look[CheckoutAnswer]) -> Self:
        """Return the evidence with the state of a checkout."""
        return replace(self, reads={**self.reads, question.checkout_id: look})

    def with_search(self, question: FindCheckouts, look: Look[tuple[CheckoutAnswer, ...]]) -> Self:
        """Return the evidence with the checkouts of a reference.

        A checkout that is listed as PAID was perhaps paid just now: unless its own answer says PAID as well, that is
        dropped, so that it is read once more. Should the two go on to disagree, nothing is decided on either.
        """
        reads = dict(self.reads)
        for answer in look.value if isinstance(look, Found) else ():
            read = reads.get(answer.id)
            says_paid = isinstance(read, Found) and read.value.status == CheckoutStatus.PAID
            if answer.status == CheckoutStatus.PAID and not says_paid:
                reads.pop(answer.id, None)
        return replace(self, searches={**self.searches, question: look}, reads=reads)

    def with_transaction(self, question: ReadTransaction, look: Look[TransactionAnswer]) -> Self:
        """Return the evidence with the transaction of a checkout."""
        return replace(self, transactions={**self.transactions, question.checkout_id: look})

    def with_closing(self, question: CloseCheckout, closing: Closing) -> Self:
        """Return the evidence with the result of closing a checkout.

        Whatever was known about the checkout is out of date now. Unless SumUp says that it is closed, what was read
        before is dropped, so that it is read again.
        """
        closings = {**self.closings, question.checkout_id: closing}
        reads = dict(self.reads)
        if isinstance(closing, Found) and closing.value.status == CheckoutStatus.EXPIRED:
            reads[question.checkout_id] = closing
        else:
            reads.pop(question.checkout_id, None)
        return replace(self, reads=reads, closings=closings)

    def with_assumed_closing(self, question: CloseCheckout) -> Self:
        """Return the evidence as it would be if SumUp closed the checkout; nobody has asked it to."""
        read = self.reads.get(question.checkout_id)
        closed: Closing = NotFound("not read before")
        if isinstance(read, Found):
            closed = Found(replace(read.value, status=CheckoutStatus.EXPIRED))
        return replace(self.with_closing(question, closed), assumed=self.assumed | {question.checkout_id})

    @property
    def clock_difference(self) -> timedelta:
        """By how much SumUp's clock was ahead of ours, or behind (negative), in the answer that differed most."""
        if self.asked_at is None:
            return timedelta(0)
        told = [look.value.answered_at for look in self.reads.values() if isinstance(look, Found)]
        differences = [moment - self.asked_at for moment in told if moment is not None]
        return max(differences, key=abs, default=timedelta(0))

    @property
    def clocks_agree(self) -> bool:
        """Whether ages, and the end of a window, mean anything (46)."""
        return abs(self.clock_difference) <= SUMUP_CLOCK_TOLERANCE

    @property
    def found_ids(self) -> dict[str, str]:
        """Checkout ids that a search by reference turned up, each with the merchant it was found under."""
        return {
            answer.id: question.merchant_code
            for question, look in self.searches.items()
            if isinstance(look, Found)
            for answer in look.value
        }

    @property
    def sumup_ids(self) -> frozenset[str]:
        """Every name of a payment in the answers: what may have paid for another order already."""
        answers = (look.value for look in self.reads.values() if isinstance(look, Found))
        of_transactions = (self._transaction_names(checkout_id) for checkout_id in self.transactions)
        return frozenset().union(*(answer.payment_names for answer in answers), *of_transactions)

    def with_checkouts_of(self, names: frozenset[str]) -> frozenset[str]:
        """Return these names and the checkouts whose transaction has one of them: it alone may say its code (1a)."""
        return names | {
            checkout_id for checkout_id in self.transactions if self._transaction_names(checkout_id) & names
        }

    def _transaction_names(self, checkout_id: str) -> frozenset[str]:
        look = self.transactions[checkout_id]
        return (
            frozenset({look.value.id, look.value.transaction_code} - {""}) if isinstance(look, Found) else frozenset()
        )

    @property
    def shows_paid(self) -> bool:
        """Whether SumUp says PAID of any checkout."""
        answers = (look.value for look in self.reads.values() if isinstance(look, Found))
        return any(answer.status == CheckoutStatus.PAID for answer in answers)

    @property
    def shows_payment(self) -> bool:
        """Whether money was taken, by the state of any checkout or by one of its attempts."""
        answers = (look.value for look in self.reads.values() if isinstance(look, Found))
        return any(answer.status == CheckoutStatus.PAID or answer.successful_attempts for answer in answers)
