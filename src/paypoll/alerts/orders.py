"""The wording of what admins are told about an order: what was found, and what to do."""

from collections.abc import Iterable, Mapping

from paypoll.payments.decision import Level, Notice, Reason
from paypoll.payments.gateway import CheckoutAnswer
from paypoll.payments.matching import FlawedPayment, VerifiedPayment
from paypoll.payments.money import show_amount
from paypoll.payments.order import Order

_REVIEW_ADVICE: dict[Reason, tuple[str, ...]] = {
    Reason.MISMATCH: (
        "Compare the payment in SumUp's dashboard with the order.",
        "If it is right, issue the tickets by hand; if not, refund it.",
    ),
    Reason.REFUNDED: (
        "The money went back, at least in part. Issue nothing unless the customer has paid again.",
        "Mark the order as refunded in the shop if that is what it is.",
    ),
    Reason.REJECTED: (
        "Refund the payment if that has not been done. Then close the review again with `paypoll resolve`.",
    ),
    Reason.SPENT_ELSEWHERE: (
        "The same payment has already paid for another order. Do not issue tickets for it twice.",
    ),
    Reason.NOT_FOUND: (
        "Look in SumUp's dashboard for a payment by this customer, of this amount.",
        "If there is none, cancel the order; if there is one, issue the tickets by hand.",
    ),
    Reason.BAD_CHECKOUT_ID: (
        "Look in SumUp's dashboard for a payment by this customer, of this amount.",
        "Find out how the shop came to store such an id.",
    ),
    Reason.NOTHING_TO_PAY: ("An order without an amount cannot be verified by a payment. Issue or cancel it by hand.",),
    Reason.TOO_LATE: ("Refund the payment, or admit the customer by hand.",),
    Reason.HALL_FULL: ("Refund the payment, or admit the customer by hand.",),
    Reason.TICKETS_INCOMPLETE: (
        "See which tickets exist and why. Issue the missing ones by hand, or cancel the odd ones.",
    ),
    Reason.TICKETS_GONE: ("The tickets were issued before and are gone now. Find out who removed them, and why.",),
    Reason.TICKETS_UNPAID: ("Tickets exist, but SumUp knows no payment for them. Cancel them or collect the money.",),
}
_PAID_ADVICE = ("The customer has paid. Refund the payment, or put the order right and issue the tickets by hand.",)


def review(order: Order, reason: Reason, found: Iterable[str]) -> Notice:
    """Tell that an order was put to review."""
    return Notice(
        key=f"review:{reason}",
        level=Level.CRITICAL,
        headline=f"Order {order.number} needs a person: {reason.replace('_', ' ')}",
        found=tuple(found),
        todo=_REVIEW_ADVICE.get(reason, _PAID_ADVICE),
    )


def paid_twice(
    order: Order, kept: VerifiedPayment, others: Iterable[CheckoutAnswer], currency: str
) -> tuple[Notice, ...]:
    """Tell of every payment that is one too many."""
    return tuple(
        Notice(
            key=f"paid_twice:{other.id}",
            level=Level.CRITICAL,
            headline=f"Order {order.number} was paid twice",
            found=(
                f"Its tickets rest on checkout {kept.checkout_id}, transaction {kept.transaction_code or 'not named'}.",
                f"Checkout {other.id} (transaction {other.transaction_code or 'not named'}) is PAID as well: "
                + (show_amount(other.amount, other.currency) if other.amount is not None else currency),
            ),
            todo=(f"Refund the payment of checkout {other.id} in SumUp's dashboard.",),
        )
        for other in others
    )


def may_be_paid_twice(order: Order, kept: VerifiedPayment, left_open: Mapping[str, str]) -> tuple[Notice, ...]:
    """Tell of every checkout that could still take, or may have taken, the money once more."""
    return tuple(
        Notice(
            key=f"may_be_paid_twice:{checkout_id}",
            level=Level.ALERT,
            headline=f"Order {order.number} has its tickets, and may be paid a second time",
            found=(
                f"Its tickets rest on checkout {kept.checkout_id}.",
                f"It has another checkout, {checkout_id}: {why}.",
            ),
            todo=(f"Look for checkout {checkout_id} in SumUp's dashboard in a day or two; if it was paid, refund it.",),
        )
        for checkout_id, why in left_open.items()
    )


def expired(order: Order, explanation: str) -> Notice:
    """Tell that an order expired."""
    return Notice(
        key="expired",
        level=Level.ALERT,
        headline=f"Order {order.number} expired unpaid",
        found=(explanation,),
        todo=("Nothing, as a rule. paypoll keeps watching, in case the money arrives after all.",),
    )


def paid_late(order: Order) -> Notice:
    """Tell that a late payment was honoured."""
    return Notice(
        key="paid_late",
        level=Level.ALERT,
        headline=f"Order {order.number} was paid late; its tickets are issued",
        found=(f"The order was already {order.status} when SumUp reported the payment.",),
        todo=("Nothing, as a rule. If its places were given away meanwhile, look at the event's numbers.",),
    )


def replayed(order: Order, *, refund_checked: bool) -> Notice:
    """Tell that the shop's return URL was called again for an order that has its tickets."""
    checked = () if refund_checked else ("SumUp did not let paypoll see whether the payment was refunded meanwhile.",)
    return Notice(
        key="replayed",
        level=Level.ALERT,
        headline=f"Order {order.number} was set back to waiting; its tickets stand",
        found=(
            "Somebody called the shop's return page again. The tickets exist, nothing was issued or mailed.",
            *checked,
        ),
        todo=("Nothing, unless it happens often: then the shop's return page should be mended.",),
    )


def issued_by_shop(order: Order) -> Notice:
    """Tell that the shop had issued the tickets itself before the payment was verified."""
    return Notice(
        key="issued_by_shop",
        level=Level.ALERT,
        headline=f"Order {order.number}: the shop issued the tickets itself",
        found=(
            "All tickets existed before paypoll verified the payment. SumUp confirms it; nothing was issued again.",
        ),
        todo=("Find the page of the shop that issues tickets before the payment is verified, and turn it off.",),
    )


def paid_but_void(order: Order, payments: Iterable[CheckoutAnswer]) -> Notice:
    """Tell that money was taken for an order that is cancelled or refunded."""
    listed = tuple(payments)
    return Notice(
        key="paid_but_void:" + ",".join(sorted(answer.id for answer in listed)),
        level=Level.CRITICAL,
        headline=f"Order {order.number} is {order.status}, but its payment was not given back",
        found=tuple(f"Checkout {answer.id} is PAID, and SumUp shows no full refund." for answer in listed),
        todo=("Refund the payment in SumUp's dashboard, or reinstate the order.",),
    )


def broken_answer(order: Order, found: Iterable[str]) -> Notice:
    """Tell that SumUp's answers about an order cannot be used."""
    return Notice(
        key="broken_answer",
        level=Level.ALERT,
        headline=f"Order {order.number}: SumUp's answer cannot be used",
        found=tuple(found),
        todo=("Look at the checkout in SumUp's dashboard. The order stays as it is and is asked for again.",),
    )


def unknown_status(order: Order, answer: CheckoutAnswer) -> Notice:
    """Tell that SumUp has a checkout status that this version of paypoll does not know."""
    return Notice(
        key=f"unknown_status:{answer.status[:40]}",
        level=Level.ALERT,
        headline=f"Order {order.number}: SumUp has a new checkout status, {answer.status[:40]}",
        found=(f"Checkout {answer.id} has a status that this version of paypoll does not know.",),
        todo=("Look for a newer version of paypoll. The order stays as it is and is asked for again.",),
    )


def flaw_sentences(payments: Iterable[FlawedPayment]) -> tuple[str, ...]:
    """Return what does not fit in these payments, a sentence each."""
    return tuple(
        f"Checkout {payment.answer.id} is PAID, but {sentence}."
        for payment in payments
        for _, sentence in payment.flaws
    )
