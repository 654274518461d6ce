"""What admins are to be told about an order, as kinds and facts. How it is worded: `paypoll.alerts.orders`."""

from collections.abc import Iterable, Mapping, Sequence

from paypoll.payments.decision import Decision, Notice, NoticeKind, Outcome, Reason
from paypoll.payments.gateway import CheckoutAnswer
from paypoll.payments.matching import VerifiedPayment
from paypoll.payments.money import show_amount
from paypoll.payments.order import Fulfilment, Order
from paypoll.payments.override import OverriddenPayment, is_a_word


def review(reason: Reason, found: Iterable[str], payments: Iterable[str] = ()) -> Notice:
    """Tell that an order was put to review, because of these payments (checkout ids) if of any."""
    return Notice(NoticeKind.REVIEW, reason.value, tuple(found), tuple(payments))


def paid_twice(
    kept: VerifiedPayment | OverriddenPayment | Fulfilment, others: Iterable[CheckoutAnswer], currency: str
) -> tuple[Notice, ...]:
    """Tell of every payment that is one too many."""
    return tuple(
        Notice(
            NoticeKind.PAID_TWICE,
            other.id,
            (
                _rests_on(kept),
                f"Checkout {other.id} (transaction {other.transaction_code or 'not named'}) is PAID as well: "
                + (show_amount(other.amount, other.currency) if other.amount is not None else currency),
            ),
        )
        for other in others
    )


def _rests_on(kept: VerifiedPayment | OverriddenPayment | Fulfilment) -> str:
    if is_a_word(kept.checkout_id):
        return "It rests on a person's word alone: if that was about this payment, there is nothing to give back."
    return f"It rests on checkout {kept.checkout_id}."


def may_be_paid_twice(kept: VerifiedPayment | Fulfilment, left_open: Mapping[str, str]) -> tuple[Notice, ...]:
    """Tell of every checkout that could still take, or may have taken, the money once more."""
    return tuple(
        Notice(
            NoticeKind.MAY_BE_PAID_TWICE,
            checkout_id,
            (
                _rests_on(kept),
                f"It has another checkout, {checkout_id}: {why}.",
            ),
        )
        for checkout_id, why in left_open.items()
    )


def may_be_paid(left_open: Mapping[str, str]) -> tuple[Notice, ...]:
    """Tell of every checkout that could still take, or may have taken, money for which nothing is issued."""
    return tuple(
        Notice(
            NoticeKind.MAY_BE_PAID,
            checkout_id,
            (f"Of its checkout {checkout_id} SumUp says: {why}.",),
        )
        for checkout_id, why in left_open.items()
    )


def given_up(explanation: str, checkout_ids: Iterable[str]) -> Notice:
    """Tell that the last look at an order, which has these checkouts, was never answered, and is not made any more."""
    return Notice(NoticeKind.GIVEN_UP, found=(f"Of its last look: {explanation}.",), payments=tuple(checkout_ids))


def expired(explanation: str) -> Notice:
    """Tell that an order expired."""
    return Notice(NoticeKind.EXPIRED, found=(explanation,))


def paid_late(order: Order) -> Notice:
    """Tell that a late payment was honoured."""
    return Notice(NoticeKind.PAID_LATE, found=(f"It was already {order.status} when SumUp reported the payment.",))


def replayed(*, refund_checked: bool, paid_by: str = "") -> Notice:
    """Tell that the shop's return URL was called again for an order that has its tickets.

    `paid_by`: the checkout that pays for them by now, as the payment that bought them has gone back.
    """
    checked = () if refund_checked else ("SumUp did not let paypoll see whether the payment was refunded meanwhile.",)
    if paid_by:
        checked = (f"The payment that bought them has gone back; checkout {paid_by} pays for them.",)
    return Notice(
        NoticeKind.REPLAYED,
        found=(
            "Somebody called the shop's return page again. The tickets exist, nothing was issued or mailed.",
            *checked,
        ),
    )


def issued_by_shop() -> Notice:
    """Tell that the shop had issued the tickets itself before the payment was verified."""
    return Notice(
        NoticeKind.ISSUED_BY_SHOP,
        found=(
            "All tickets existed before paypoll verified the payment. SumUp confirms it; nothing was issued again.",
        ),
    )


def paid_but_void(payments: Iterable[CheckoutAnswer]) -> Notice:
    """Tell that money was taken for an order that is cancelled or refunded."""
    listed = tuple(payments)
    return Notice(
        NoticeKind.PAID_BUT_VOID,
        ",".join(sorted(answer.id for answer in listed)),
        tuple(f"Checkout {answer.id} is PAID, and SumUp shows no full refund." for answer in listed),
    )


def paid_not_issued(order: Order, payments: Iterable[CheckoutAnswer]) -> tuple[Notice, ...]:
    """Tell of payments for an order that somebody has moved to a status in which paypoll issues nothing."""
    return tuple(
        Notice(
            NoticeKind.PAID_NOT_ISSUED,
            answer.id,
            (f"The order is {order.status}, and SumUp says PAID for checkout {answer.id}.",),
        )
        for answer in payments
    )


def not_listed(reason: Reason, found: Iterable[str]) -> Notice:
    """Tell that a listing fee was paid for an event that cannot be published."""
    return Notice(NoticeKind.NOT_LISTED, reason.value, tuple(found))


def broken_answer(found: Iterable[str]) -> Notice:
    """Tell that SumUp's answers about an order cannot be used."""
    return Notice(NoticeKind.BROKEN_ANSWER, found=tuple(found))


def unknown_status(answer: CheckoutAnswer) -> Notice:
    """Tell that SumUp has a checkout status that this version of paypoll does not know."""
    return Notice(
        NoticeKind.UNKNOWN_STATUS,
        answer.status[:40],
        (f"Checkout {answer.id} has a status that this version of paypoll does not know.",),
    )


def to_review(
    reason: Reason,
    found: Sequence[str],
    extra: tuple[Notice, ...] = (),
    *,
    payments: Iterable[str] = (),
    close: tuple[str, ...] = (),
) -> Decision:
    """Return the decision that a person must look, with the notice that says why."""
    told = (review(reason, found, payments), *extra)
    return Decision(Outcome.REVIEW, reason, " ".join(found), notices=told, close=close)
