"""What follows for a refund that a person asked for, given how far it has come and what its transaction says. Pure.

SumUp has no idempotency key for refunds. So the request of an intent is sent once at most, and only while nothing has
gone back since the intent was written down. From the moment in which it may have been sent, nothing but reading the
transaction leads on: to the end, to a wait, or to an admin.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum

from paypoll.payments.gateway import Found, Look, TransactionAnswer, TransactionStatus
from paypoll.payments.money import minor_units, show_amount

SENT_WITHIN = timedelta(hours=1)
"""A request that was not sent by then is not sent any more: whoever asked for it is told instead."""

SHOWN_WITHIN = timedelta(days=1)
"""A refund that SumUp does not show by then never began. No request is under way for so long."""

TOLD_AFTER = timedelta(minutes=30)
"""From then on a refund that does not show is told to an admin."""

_TAKEN = frozenset({TransactionStatus.SUCCESSFUL, TransactionStatus.REFUNDED, TransactionStatus.CHARGED_BACK})


class RefundState(StrEnum):
    """How far a refund has come. The first two are open: one a transaction, by a unique index."""

    INTENDED = "intended"
    """Written down; nothing was sent."""
    ASKED = "asked"
    """The request may have been sent: only reading the transaction leads on."""
    DONE = "done"
    """The transaction shows it, and the shop's rows say so."""
    WITHDRAWN = "withdrawn"
    """It was not sent, and is not any more."""
    REFUSED = "refused"
    """SumUp refused it, or it could not be sent: nothing went back."""
    FAILED = "failed"
    """SumUp began it, and it came to nothing."""
    UNSEEN = "unseen"
    """It may have been sent, and SumUp has never shown it."""


OPEN = frozenset({RefundState.INTENDED, RefundState.ASKED})


@dataclass(frozen=True, slots=True)
class Standing:
    """What of a transaction had gone back at a moment, in major units."""

    refunded: Decimal
    charged_back: Decimal
    returning: Decimal
    failed: Decimal

    @classmethod
    def of(cls, transaction: TransactionAnswer) -> "Standing":
        """Return how the transaction stands."""
        return cls(transaction.refunded, transaction.charged_back, transaction.returning, transaction.failed)


@dataclass(frozen=True, slots=True)
class RefundIntent:
    """A refund that a person asked for, as it is written down. `amount` is in major units of `currency`.

    `before` is how the transaction stood when it was asked for. `tickets` names those that it voids; a refund of all
    that is left voids every ticket of the order, unless `beside`: the payment is another than the one that bought the
    tickets. `changed_at` is when it got its state.
    """

    id: int
    order_id: int
    order_number: str
    checkout_id: str
    transaction_id: str
    merchant_code: str
    amount: Decimal
    currency: str
    tickets: tuple[str, ...]
    beside: bool
    who: str
    reason: str
    state: RefundState
    before: Standing
    created_at: datetime
    changed_at: datetime
    told: bool = False
    note: str = ""


class Step(StrEnum):
    """What to do next about an open refund."""

    SEND = "send"
    FINISH = "finish"
    WAIT = "wait"
    WITHDRAW = "withdraw"
    FAIL = "fail"
    GIVE_UP = "give_up"


ENDS: dict[Step, RefundState] = {
    Step.WITHDRAW: RefundState.WITHDRAWN,
    Step.FAIL: RefundState.FAILED,
    Step.GIVE_UP: RefundState.UNSEEN,
}
"""The steps that end a refund without the money having gone back, and the state that is written."""


@dataclass(frozen=True, slots=True)
class Next:
    """The next step and why, a clause. `tell`: an admin must hear of it; `surplus` went back beyond what was asked."""

    step: Step
    why: str
    tell: bool = False
    surplus: Decimal = Decimal(0)


def next_step(intent: RefundIntent, look: Look[TransactionAnswer], now: datetime, *, allowed: bool) -> Next:
    """Return what follows for an open refund. `allowed`: the settings let refunds be sent."""
    if intent.state == RefundState.INTENDED:
        return _before_sending(intent, look, now, allowed=allowed)
    return _after_sending(intent, look, now)


def obstacle(transaction: TransactionAnswer, amount: Decimal, currency: str) -> str:
    """Return why so much of this transaction cannot be given back, a clause; empty when it can."""
    if transaction.status not in _TAKEN or transaction.amount is None:
        return f"the transaction's status is {transaction.said or transaction.status}: no money was taken"
    if transaction.currency != currency.upper():
        return f"the transaction's currency is {transaction.currency or 'missing'}, not {currency}"
    if not (minor_units(amount, currency) or 0) > 0:
        return f"{amount} is no amount that could be given back in {currency}"
    if amount > transaction.left:
        paid, left = show_amount(transaction.amount, currency), show_amount(max(transaction.left, Decimal(0)), currency)
        return f"{show_amount(amount, currency)} is more than is left of it: {paid} was paid, {left} is left"
    return ""


def _before_sending(intent: RefundIntent, look: Look[TransactionAnswer], now: datetime, *, allowed: bool) -> Next:
    if not allowed:
        return Next(Step.WITHDRAW, "sumup.allow_refunds is off", tell=True)
    if now - intent.created_at > SENT_WITHIN:
        return Next(Step.WITHDRAW, "it was not sent within the hour in which it was asked for", tell=True)
    if not isinstance(look, Found):
        return Next(Step.WAIT, f"its transaction could not be read: {_detail(look)}")
    transaction = look.value
    before = intent.before
    stood = (before.refunded, before.charged_back, before.returning)
    if (transaction.refunded, transaction.charged_back, transaction.returning) != stood:
        return Next(Step.WITHDRAW, "money of this payment has gone back since it was asked for", tell=True)
    if why := obstacle(transaction, intent.amount, intent.currency):
        return Next(Step.WITHDRAW, why, tell=True)
    return Next(Step.SEND, "nothing has gone back since it was asked for")


def _after_sending(intent: RefundIntent, look: Look[TransactionAnswer], now: datetime) -> Next:
    age = now - intent.changed_at
    late = age >= TOLD_AFTER
    if not isinstance(look, Found):
        return Next(Step.WAIT, f"its transaction could not be read: {_detail(look)}", tell=late)
    transaction, before = look.value, intent.before
    shown = transaction.refunded - before.refunded
    if shown >= intent.amount:
        return Next(Step.FINISH, "SumUp shows it", tell=shown > intent.amount, surplus=shown - intent.amount)
    if transaction.returning - before.returning > 0:
        return Next(Step.WAIT, "SumUp shows it, and it is not final yet", tell=late)
    if transaction.failed - before.failed >= intent.amount:
        return Next(Step.FAIL, "SumUp began it, and it came to nothing", tell=True)
    if age >= SHOWN_WITHIN:
        return Next(Step.GIVE_UP, "SumUp has not shown it for a day", tell=True)
    return Next(Step.WAIT, "SumUp does not show it yet", tell=late)


def _detail(look: object) -> str:
    return getattr(look, "detail", "") or type(look).__name__
