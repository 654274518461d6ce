"""Sort everything SumUp said about an order: what was paid, what may still be paid, and what is not known."""

import re
from dataclasses import dataclass
from typing import TypeGuard

from paypoll.payments.evidence import CloseCheckout, Evidence, FindCheckouts, ReadCheckout, ReadTransaction
from paypoll.payments.gateway import (
    BrokenAnswer,
    CheckoutAnswer,
    CheckoutStatus,
    Found,
    Look,
    NoAnswer,
    NotAllowed,
    NotFound,
    TransactionAnswer,
)
from paypoll.payments.matching import FlawedPayment, UncheckedPayment, VerifiedPayment, compare
from paypoll.payments.order import Checkout, Order
from paypoll.payments.policy import Policy

_KNOWN = frozenset(CheckoutStatus)
# An id comes from the database and goes into a path: what is not a plain token is a case for a person, not a request.
_PLAIN_TOKEN = re.compile(r"(?!\.)[A-Za-z0-9._-]{1,128}")


@dataclass(frozen=True, slots=True)
class Assessment:
    """The state of every SumUp checkout of one order, each checkout in exactly one of these lists.

    `strange` holds answers with a status of the future. `searched` is true when every lookup by reference was made
    and answered; `silences`, `refusals` and `oddities` hold what kept SumUp from answering a question. `unaskable`
    lists stored ids that no SumUp id can be.
    """

    verified: tuple[VerifiedPayment, ...]
    flawed: tuple[FlawedPayment, ...]
    unchecked: tuple[UncheckedPayment, ...]
    pending: tuple[str, ...]
    failed: tuple[str, ...]
    expired: tuple[str, ...]
    strange: tuple[CheckoutAnswer, ...]
    searched: bool
    silences: tuple[NoAnswer | BrokenAnswer, ...]
    refusals: tuple[NotAllowed, ...]
    oddities: tuple[BrokenAnswer, ...]
    unaskable: tuple[str, ...]

    @property
    def paid(self) -> bool:
        """Whether SumUp says PAID for any checkout, fitting or not."""
        return bool(self.verified or self.flawed or self.unchecked)

    @property
    def known_at_sumup(self) -> bool:
        """Whether SumUp knows any checkout of this order."""
        return bool(self.paid or self.pending or self.failed or self.expired or self.strange)


def assess(order: Order, evidence: Evidence, policy: Policy) -> Assessment:
    """Sort the evidence. Total: a question that was not asked counts as one without an answer."""
    answers = {
        checkout_id: look.value
        for checkout_id in checkout_ids(order, evidence, policy)
        if isinstance(look := evidence.reads.get(checkout_id), Found)
    }
    verdicts = [
        compare(order, row_of(order, answer.id), answer, _transaction_look(answer, evidence), policy)
        for answer in answers.values()
        if answer.status == CheckoutStatus.PAID
    ]
    reads = [evidence.reads.get(i, NoAnswer("not asked yet")) for i in checkout_ids(order, evidence, policy)]
    searches = [evidence.searches.get(question, NoAnswer("not asked yet")) for question in searches_for(order, policy)]
    asked = [*reads, *searches]
    return Assessment(
        verified=tuple(verdict for verdict in verdicts if isinstance(verdict, VerifiedPayment)),
        flawed=tuple(verdict for verdict in verdicts if isinstance(verdict, FlawedPayment)),
        unchecked=tuple(verdict for verdict in verdicts if isinstance(verdict, UncheckedPayment)),
        pending=_ids_with(answers, CheckoutStatus.PENDING),
        failed=_ids_with(answers, CheckoutStatus.FAILED),
        expired=_ids_with(answers, CheckoutStatus.EXPIRED),
        strange=tuple(answer for answer in answers.values() if answer.status not in _KNOWN),
        searched=all(isinstance(look, Found | NotFound) for look in searches),
        silences=tuple(look for look in asked if is_silence(look)),
        refusals=tuple(look for look in asked if isinstance(look, NotAllowed)),
        oddities=tuple(look for look in asked if isinstance(look, BrokenAnswer) and not look.garbled),
        unaskable=unaskable_ids(order),
    )


def checkout_ids(order: Order, evidence: Evidence, policy: Policy) -> dict[str, str]:
    """Return the ids of this order's checkouts, stored or found by reference, each with its likeliest merchant."""
    ids = {
        checkout_id: checkout.merchant_code or merchants(order, policy)[0]
        for checkout in order.checkouts
        for checkout_id in checkout.checkout_ids
        if _PLAIN_TOKEN.fullmatch(checkout_id)
    }
    return evidence.found_ids | ids


def searches_for(order: Order, policy: Policy) -> tuple[FindCheckouts, ...]:
    """Return the lookups by reference that would find every checkout of this order."""
    return tuple(
        FindCheckouts(reference, merchant)
        for merchant in merchants(order, policy)
        for reference in policy.references_of(order)
    )


def merchants(order: Order, policy: Policy) -> tuple[str, ...]:
    """Return the merchants that the order's money may have gone to, likeliest first; the platform's may be empty."""
    stored = [checkout.merchant_code for checkout in order.checkouts if checkout.merchant_code]
    likely = stored or _organisers(order) or [policy.merchant_code]
    return tuple(dict.fromkeys(likely))


def unaskable_ids(order: Order) -> tuple[str, ...]:
    """Return the stored checkout ids that are no plain token."""
    ids = (checkout_id for checkout in order.checkouts for checkout_id in checkout.checkout_ids)
    return tuple(checkout_id for checkout_id in ids if not _PLAIN_TOKEN.fullmatch(checkout_id))


def is_silence(look: object) -> TypeGuard[NoAnswer | BrokenAnswer]:
    """Say whether a look has nothing from SumUp in it: no answer, or something that is not even JSON."""
    return isinstance(look, NoAnswer) or (isinstance(look, BrokenAnswer) and look.garbled)


def row_of(order: Order, checkout_id: str) -> Checkout | None:
    """Return the shop's newest row that holds this SumUp id."""
    rows = [checkout for checkout in order.checkouts if checkout_id in checkout.checkout_ids]
    return max(rows, key=lambda row: (row.created_at, row.id), default=None)


def transaction_question(order: Order, answer: CheckoutAnswer, policy: Policy) -> ReadTransaction | None:
    """Return how to ask for the transaction behind a PAID answer, or None where SumUp names none."""
    transaction_id = answer.transaction_id or next((attempt.id for attempt in answer.successful_attempts), "")
    if not transaction_id:
        return None
    merchant_code = answer.merchant_code or merchants(order, policy)[0]
    return ReadTransaction(transaction_id, merchant_code, answer.id)


def read_question(order: Order, evidence: Evidence, policy: Policy, checkout_id: str) -> ReadCheckout:
    """Return how to ask for the state of one of the order's checkouts."""
    return ReadCheckout(checkout_id, _merchants_for(order, evidence, policy, checkout_id))


def close_question(order: Order, evidence: Evidence, policy: Policy, checkout_id: str) -> CloseCheckout:
    """Return how to close one of the order's checkouts."""
    return CloseCheckout(checkout_id, _merchants_for(order, evidence, policy, checkout_id))


def _merchants_for(order: Order, evidence: Evidence, policy: Policy, checkout_id: str) -> tuple[str, ...]:
    """Return every merchant that the checkout may be at, the likeliest first: the shop's row may name a wrong one.

    The platform's credential is tried for every merchant, so it need not be named.
    """
    likeliest = checkout_ids(order, evidence, policy)[checkout_id]
    return tuple(dict.fromkeys([likeliest, *merchants(order, policy), *_organisers(order)]))


def _organisers(order: Order) -> list[str]:
    """Return the merchants of the organisers whose events were bought."""
    return [item.event.merchant_code for item in order.items if item.event is not None and item.event.merchant_code]


def _transaction_look(answer: CheckoutAnswer, evidence: Evidence) -> Look[TransactionAnswer] | None:
    named = answer.transaction_id or any(attempt.id for attempt in answer.successful_attempts)
    return evidence.transactions.get(answer.id, NoAnswer("not asked yet")) if named else None


def _ids_with(answers: dict[str, CheckoutAnswer], status: CheckoutStatus) -> tuple[str, ...]:
    return tuple(checkout_id for checkout_id, answer in answers.items() if answer.status == status)
