"""The words of what admins are told about an order: what happened, how loud it is, and what to do."""

from dataclasses import dataclass
from enum import StrEnum

from paypoll.payments.decision import Notice, NoticeKind, Reason
from paypoll.payments.order import Order


class Level(StrEnum):
    """How loud an alert is: it stands in the subject."""

    ALERT = "Alert"
    CRITICAL = "CRITICAL"


@dataclass(frozen=True, slots=True)
class OrderAlert:
    """An alert about one order, worded.

    `key` names the condition: together with the order it is told once. `found` is what the program saw, `todo` what
    a person should do, a sentence each.
    """

    key: str
    level: Level
    headline: str
    found: tuple[str, ...]
    todo: tuple[str, ...]

    @property
    def topic(self) -> str:
        """What it is about, without this order's own ids: many of one topic in a run become one summary."""
        kind, *rest = self.key.split(":")
        # The reason of a review, the kind of a mail; what comes after it names this order's payments.
        return ":".join([kind, *rest[:1]]) if kind in {"review", "undeliverable", "mail_waits"} else kind


@dataclass(frozen=True, slots=True)
class Words:
    """`headline` and `todo` may name the order's `{number}` and `{status}`, and the notice's `{subject}`.

    A listing fee has words of its own: `paypoll.alerts.listing_fees`.
    """

    level: Level
    headline: str
    todo: tuple[str, ...]


_REVIEW_ADVICE: dict[Reason, tuple[str, ...]] = {
    Reason.MISMATCH: (
        "Compare the payment in SumUp's dashboard with the order.",
        "If it is right, let paypoll issue the tickets; if not, refund it.",
    ),
    Reason.REFUNDED: (
        "The money went back, at least in part. Issue nothing unless the customer has paid again.",
        "Mark the order as refunded in the shop if that is what it is, and cancel its tickets, if it has any.",
    ),
    Reason.REJECTED: ("Refund the payment if that has not been done. Then close the review again.",),
    Reason.SPENT_ELSEWHERE: (
        "The same payment has already paid for another order. Do not issue tickets for it twice.",
    ),
    Reason.NOT_FOUND: (
        "Look in SumUp's dashboard for a payment by this customer, of this amount.",
        "If there is none, cancel the order; if there is one, let paypoll issue the tickets.",
    ),
    Reason.BAD_CHECKOUT_ID: (
        "Look in SumUp's dashboard for a payment by this customer, of this amount.",
        "Find out how the shop came to store such an id.",
    ),
    Reason.UNCONFIRMED: (
        "Look at the payment in SumUp's dashboard: if it stands, issue the tickets; if it went back, reject the order.",
    ),
    Reason.CONTRADICTION: (
        "Look for a payment of this order in SumUp's dashboard. Issue the tickets if it was paid, else reject it.",
    ),
    Reason.UNDER_WAY: ("Look at the payment in SumUp's dashboard: SumUp has not said for days whether it was made.",),
    Reason.NOT_CLOSED: (
        "Look at the checkout in SumUp's dashboard, and see that it cannot be paid any more. Then reject the order.",
    ),
    Reason.NOTHING_TO_PAY: (
        "An order without an amount cannot be verified by a payment. Let paypoll issue its tickets, or cancel it.",
        "Refund what was paid for it all the same.",
    ),
    Reason.TOO_LATE: ("Refund the payment, or admit the customer.",),
    Reason.HALL_FULL: ("Refund the payment, or admit the customer.",),
    Reason.TICKETS_INCOMPLETE: (
        "See which tickets exist and why, and put them right in the shop. paypoll then completes the order.",
    ),
    Reason.TICKETS_GONE: ("The tickets were issued before and are gone now. Find out who removed them, and why.",),
    Reason.ID_REUSED: (
        "The shop was restored from a backup, and has given this order the id of another. Look at the payment.",
        "paypoll has records of the other order under this id, and issues nothing for it: refund the payment.",
    ),
    Reason.MEMORY_LOST: (
        "Ask the customer whether the tickets arrived: paypoll's records of that time are lost.",
        "If not, let paypoll issue them; a second set would be valid beside the first.",
    ),
    Reason.TICKETS_UNPAID: (
        "Tickets exist, but SumUp knows no payment for them. Cancel them, or collect the money and let them stand.",
    ),
}
_PAID_ADVICE = ("The customer has paid. Refund the payment, or put the order right and let paypoll issue the tickets.",)
_REVIEW_HEADLINE = "Order {number} needs a person: {subject}"
_WORDS: dict[NoticeKind, Words] = {
    NoticeKind.PAID_TWICE: Words(
        Level.CRITICAL,
        "Order {number} was paid twice",
        ("Refund the payment of checkout {subject} in SumUp's dashboard.",),
    ),
    NoticeKind.MAY_BE_PAID_TWICE: Words(
        Level.ALERT,
        "Order {number} has its tickets, and may be paid a second time",
        ("paypoll asks about it no more. Look for checkout {subject} in SumUp's dashboard; if paid, refund it.",),
    ),
    NoticeKind.MAY_BE_PAID: Words(
        Level.CRITICAL,
        "Order {number} is {status}, and may have been paid, or may still be",
        ("paypoll asks about it no more. Look for checkout {subject} in SumUp's dashboard; if paid, refund it.",),
    ),
    NoticeKind.GIVEN_UP: Words(
        Level.ALERT,
        "Order {number} is {status}, and SumUp has not said whether it was paid",
        ("paypoll asks about it no more. Look for a payment of it in SumUp's dashboard; if there is one, refund it.",),
    ),
    NoticeKind.EXPIRED: Words(
        Level.ALERT,
        "Order {number} expired unpaid",
        ("Nothing, as a rule. paypoll keeps watching, in case the money arrives after all.",),
    ),
    NoticeKind.PAID_LATE: Words(
        Level.ALERT,
        "Order {number} was paid late; its tickets are issued",
        ("Nothing, as a rule. If its places were given away meanwhile, look at the event's numbers.",),
    ),
    NoticeKind.REPLAYED: Words(
        Level.ALERT,
        "Order {number} was set back to waiting; its tickets stand",
        ("Nothing, unless it happens often: then the shop's return page should be mended.",),
    ),
    NoticeKind.ISSUED_BY_SHOP: Words(
        Level.ALERT,
        "Order {number}: the shop issued the tickets itself",
        ("Find the page of the shop that issues tickets before the payment is verified, and turn it off.",),
    ),
    NoticeKind.PAID_BUT_VOID: Words(
        Level.CRITICAL,
        "Order {number} is {status}, but its payment was not given back",
        ("Refund the payment in SumUp's dashboard, or reinstate the order.",),
    ),
    NoticeKind.PAID_NOT_ISSUED: Words(
        Level.CRITICAL,
        "Order {number} is {status}, and was paid",
        (
            "paypoll issues nothing for an order in this status.",
            "If its tickets are due, issue them; if not, refund the payment of checkout {subject}.",
        ),
    ),
    NoticeKind.BROKEN_ANSWER: Words(
        Level.ALERT,
        "Order {number}: SumUp's answer cannot be used",
        ("Look at the checkout in SumUp's dashboard. The order stays as it is and is asked for again.",),
    ),
    NoticeKind.UNKNOWN_STATUS: Words(
        Level.ALERT,
        "Order {number}: SumUp has a new checkout status, {subject}",
        ("Look for a newer version of paypoll. The order stays as it is and is asked for again.",),
    ),
}


def alert_about(order: Order, notice: Notice) -> OrderAlert:
    """Return the alert that tells the admins of this notice about this order."""
    words = _WORDS.get(notice.kind)
    if notice.kind is NoticeKind.REVIEW:
        words = Words(Level.CRITICAL, _REVIEW_HEADLINE, _REVIEW_ADVICE.get(Reason(notice.subject), _PAID_ADVICE))
    return worded(notice, words, number=order.number, status=order.status)


def worded(notice: Notice, words: Words | None, *, number: str, status: str) -> OrderAlert:
    """Return the alert that these words make of a notice. Raise KeyError where nobody has written any."""
    if words is None:
        raise KeyError(notice.kind)
    subject = notice.subject.replace("_", " ") if notice.kind is NoticeKind.REVIEW else notice.subject
    # Not str.format on the result: the number is text from the database and may hold braces.
    known = {"number": number, "status": status, "subject": subject}
    return OrderAlert(
        key=notice.key,
        level=words.level,
        headline=words.headline.format_map(known),
        found=notice.found,
        todo=tuple(sentence.format_map(known) for sentence in words.todo),
    )
