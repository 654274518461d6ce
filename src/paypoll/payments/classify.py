"""Sort everything SumUp said about an order: what was paid, what may still be paid, and what is not known."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Self, TypeGuard

from paypoll.characters import is_token
from paypoll.payments.decision import UNSETTLED, Decision
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
    TransactionStatus,
)
from paypoll.payments.matching import FlawedPayment, UncheckedPayment, VerifiedPayment, compare
from paypoll.payments.order import Checkout, Order
from paypoll.payments.order_statuses import BASKET
from paypoll.payments.policy import Policy

_KNOWN = frozenset(CheckoutStatus)


@dataclass(frozen=True, slots=True)
class Dispute:
    """A checkout about which SumUp contradicts itself, in a sentence: one of its answers says that it was paid."""

    checkout_id: str
    why: str


@dataclass(frozen=True, slots=True)
class Assessment:
    """The state of every SumUp checkout of one order, each checkout in exactly one of these lists.

    `under_way` lists those whose newest attempt is PENDING, `disputed` those that may have been paid though SumUp does
    not say PAID, `missing` those stored that SumUp does not know with any credential. `unknown_status` holds answers
    with a status of the future. `searched` is true when every lookup by reference was made and answered; `no_answer`,
    `not_allowed` and `broken` hold what kept SumUp from answering a question. `unaskable` lists stored ids that no
    SumUp id can be. `answers` has SumUp's usable answers, by checkout id.
    """

    verified: tuple[VerifiedPayment, ...]
    flawed: tuple[FlawedPayment, ...]
    unchecked: tuple[UncheckedPayment, ...]
    disputed: tuple[Dispute, ...]
    under_way: tuple[str, ...]
    pending: tuple[str, ...]
    failed: tuple[str, ...]
    expired: tuple[str, ...]
    missing: tuple[str, ...]
    unknown_status: tuple[CheckoutAnswer, ...]
    searched: bool
    no_answer: tuple[NoAnswer | BrokenAnswer, ...]
    not_allowed: tuple[NotAllowed, ...]
    broken: tuple[BrokenAnswer, ...]
    unaskable: tuple[str, ...]
    answers: Mapping[str, CheckoutAnswer]

    def without_spent(self, names: frozenset[str]) -> tuple[Self, tuple[CheckoutAnswer, ...]]:
        """Return this without the payments that have paid for another order, by these `names`, and their answers.

        They are nobody's second payment: whoever gave them back would take the money for the other order's tickets.
        One that has gone back in full is nobody's at all, and stays.
        """
        spent = tuple(answer for answer in self.money if answer.payment_names & names)
        if not spent:
            return self, ()
        return replace(
            self,
            verified=tuple(one for one in self.verified if one.answer not in spent),
            flawed=tuple(one for one in self.flawed if one.answer not in spent),
            unchecked=tuple(one for one in self.unchecked if one.answer not in spent),
        ), spent

    @property
    def paid(self) -> bool:
        """Whether SumUp says PAID for any checkout, fitting or not."""
        return bool(self.verified or self.flawed or self.unchecked)

    @property
    def paid_answers(self) -> tuple[CheckoutAnswer, ...]:
        """The answers that say PAID, fitting or not."""
        verdicts: tuple[VerifiedPayment | FlawedPayment | UncheckedPayment, ...] = (
            *self.verified,
            *self.flawed,
            *self.unchecked,
        )
        return tuple(verdict.answer for verdict in verdicts)

    @property
    def money(self) -> tuple[CheckoutAnswer, ...]:
        """The answers that say PAID, without those of which all the money has gone back."""
        returned = {payment.answer.id for payment in self.flawed if payment.returned}
        return tuple(answer for answer in self.paid_answers if answer.id not in returned)

    @property
    def known_at_sumup(self) -> bool:
        """Whether SumUp knows any checkout of this order."""
        return bool(self.answers)

    @property
    def answered(self) -> bool:
        """Whether SumUp answered every question."""
        return self.searched and not (self.no_answer or self.not_allowed or self.broken or self.unchecked)


def is_denied(order: Order, seen: Assessment) -> bool:
    """Say whether SumUp does not know a checkout any more that it has answered about before.

    A key of another account is answered so, and a last look with it is none: it is made again. So is that at a basket
    of which it knows no stored checkout: all of its looks may have fallen into the hours of such a key, and nobody is
    told of it as of one that waits.
    """
    known = {one.checkout_id for one in order.seen}
    if order.status in BASKET:
        known |= {checkout_id for checkout in order.checkouts for checkout_id in checkout.checkout_ids}
    return not known.isdisjoint(seen.missing)


def is_answer(order: Order, seen: Assessment, evidence: Evidence, decision: Decision) -> bool:
    """Say whether a look leaves nothing open, so that it may be the last one.

    To close a checkout is a question as well; and what is held back, or judged by clocks that differ, is not decided.
    """
    closed = not any(is_silence(closing) for closing in evidence.closings.values())
    settled = evidence.clocks_agree and decision.reason not in UNSETTLED
    return seen.answered and closed and settled and not is_denied(order, seen)


def assess(order: Order, evidence: Evidence, policy: Policy) -> Assessment:
    """Sort the evidence. Total: a question that was not asked counts as one without an answer."""
    ids = checkout_ids(order, evidence, policy)
    answers = {
        checkout_id: look.value for checkout_id in ids if isinstance(look := evidence.reads.get(checkout_id), Found)
    }
    verdicts = [
        compare(order, row_of(order, answer.id), answer, _transaction_look(answer, evidence), policy)
        for answer in answers.values()
        if answer.status == CheckoutStatus.PAID
    ]
    reads = [evidence.reads.get(i, NoAnswer("not asked yet")) for i in ids]
    searches = [evidence.searches.get(question, NoAnswer("not asked yet")) for question in searches_for(order, policy)]
    asked = [*reads, *searches]
    disputed = tuple(_disputes(ids, answers, evidence))
    unclear = {dispute.checkout_id for dispute in disputed}
    under_way = tuple(i for i, answer in answers.items() if i not in unclear and _is_under_way(answer))
    clear = {i: answer for i, answer in answers.items() if i not in unclear and i not in under_way}
    return Assessment(
        verified=tuple(verdict for verdict in verdicts if isinstance(verdict, VerifiedPayment)),
        flawed=tuple(verdict for verdict in verdicts if isinstance(verdict, FlawedPayment)),
        unchecked=tuple(verdict for verdict in verdicts if isinstance(verdict, UncheckedPayment)),
        disputed=disputed,
        under_way=under_way,
        pending=_ids_with(clear, CheckoutStatus.PENDING),
        failed=_ids_with(clear, CheckoutStatus.FAILED),
        expired=_ids_with(clear, CheckoutStatus.EXPIRED),
        missing=tuple(i for i in ids if isinstance(evidence.reads.get(i), NotFound) and i not in unclear),
        unknown_status=tuple(answer for answer in answers.values() if answer.status not in _KNOWN),
        searched=all(isinstance(look, Found) for look in searches),  # no list is no answer, not even 404
        no_answer=tuple(look for look in asked if is_silence(look)),
        not_allowed=tuple(look for look in asked if isinstance(look, NotAllowed)),
        broken=tuple(look for look in asked if isinstance(look, BrokenAnswer) and not look.garbled),
        unaskable=unaskable_ids(order),
        answers=answers,
    )


def _disputes(ids: Iterable[str], answers: Mapping[str, CheckoutAnswer], evidence: Evidence) -> Iterator[Dispute]:
    """Find the checkouts that SumUp does not call PAID while something else it says means that money was taken.

    Two answers that disagree are never "definitely not paid" (3a, 4a).
    """
    listed_paid = {
        answer.id
        for look in evidence.searches.values()
        if isinstance(look, Found)
        for answer in look.value
        if answer.status == CheckoutStatus.PAID
    }
    for checkout_id in ids:
        answer = answers.get(checkout_id)
        if checkout_id in listed_paid and (answer is None or answer.status != CheckoutStatus.PAID):
            read = f"the checkout itself reads {answer.status}" if answer is not None else "it cannot be read"
            yield Dispute(checkout_id, f"SumUp lists checkout {checkout_id} as PAID, and {read}")
        elif answer is not None and answer.status != CheckoutStatus.PAID and _may_hold_money(answer, evidence):
            why = f"checkout {checkout_id} is {answer.status}, and holds a SUCCESSFUL transaction"
            yield Dispute(checkout_id, why)


def _may_hold_money(answer: CheckoutAnswer, evidence: Evidence) -> bool:
    """Say whether an attempt of a checkout that is not PAID may have taken money, by its transaction."""
    if not answer.successful_attempts:
        return False
    look = _transaction_look(answer, evidence)
    if not isinstance(look, Found):
        return True
    not_taken = {TransactionStatus.FAILED, TransactionStatus.CANCELLED}
    return look.value.status not in not_taken and not look.value.is_all_back


def _is_under_way(answer: CheckoutAnswer) -> bool:
    """Say whether a payment is being made just now: the newest attempt is PENDING (3b)."""
    newest = answer.newest_attempt
    return (
        answer.status in {CheckoutStatus.PENDING, CheckoutStatus.FAILED}
        and newest is not None
        and newest.status == TransactionStatus.PENDING
    )


def checkout_ids(order: Order, evidence: Evidence, policy: Policy) -> dict[str, str]:
    """Return the ids of this order's checkouts, each with its likeliest merchant.

    Those that the shop's rows hold, those found by reference, and those seen earlier: the shop may forget them.
    """
    seen = {checkout.checkout_id: checkout.merchant_code for checkout in order.seen}
    ids = {
        checkout_id: checkout.merchant_code or merchants(order, policy)[0]
        for checkout in order.checkouts
        for checkout_id in checkout.checkout_ids
        if is_token(checkout_id)
    }
    return seen | evidence.found_ids | ids


def searches_for(order: Order, policy: Policy) -> tuple[FindCheckouts, ...]:
    """Return the lookups by reference that would find every checkout of this order.

    A lookup as an organiser asks with the platform's credential as well, so the platform is not asked once more.
    """
    every = merchants(order, policy)
    others = [merchant for merchant in every if merchant != policy.merchant_code]
    asked_as = others if others and _organisers(order) else every
    return tuple(
        FindCheckouts(reference, merchant)
        for merchant in dict.fromkeys(asked_as)
        for reference in policy.references_of(order)
    )


def merchants(order: Order, policy: Policy) -> tuple[str, ...]:
    """Return every merchant that the order's money may have gone to, likeliest first; the platform's may be empty.

    Those of the rows, those of the organisers whose events were bought, those at which paypoll saw a checkout of it
    (of an order that is gone no more is known), and the platform's.
    """
    stored = [checkout.merchant_code for checkout in order.checkouts if checkout.merchant_code]
    seen = [checkout.merchant_code for checkout in order.seen if checkout.merchant_code]
    return tuple(dict.fromkeys([*stored, *_organisers(order), *seen, policy.merchant_code]))


def unaskable_ids(order: Order) -> tuple[str, ...]:
    """Return the stored checkout ids that are no plain token: cases for a person, as an id goes into a path."""
    ids = (checkout_id for checkout in order.checkouts for checkout_id in checkout.checkout_ids)
    return tuple(checkout_id for checkout_id in ids if not is_token(checkout_id))


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
    return tuple(dict.fromkeys([likeliest, *merchants(order, policy)]))


def _organisers(order: Order) -> list[str]:
    """Return the merchants of the organisers whose events were bought."""
    return [item.event.merchant_code for item in order.items if item.event is not None and item.event.merchant_code]


def _transaction_look(answer: CheckoutAnswer, evidence: Evidence) -> Look[TransactionAnswer] | None:
    named = answer.transaction_id or any(attempt.id for attempt in answer.successful_attempts)
    return evidence.transactions.get(answer.id, NoAnswer("not asked yet")) if named else None


def _ids_with(answers: dict[str, CheckoutAnswer], status: CheckoutStatus) -> tuple[str, ...]:
    return tuple(checkout_id for checkout_id, answer in answers.items() if answer.status == status)
