"""The words of what admins are told about a listing fee: what happened, how loud it is, and what to do."""

from paypoll.alerts.orders import Level, OrderAlert, Words, worded
from paypoll.payments.decision import Notice, NoticeKind, Reason
from paypoll.payments.listing_fees import ListingFee

_BY_HAND = ("If the payment is right, take it by the command below, which publishes the event; if not, refund it.",)
_REVIEW_ADVICE: dict[Reason, tuple[str, ...]] = {
    Reason.MISMATCH: ("Compare the payment in SumUp's dashboard with the fee.", *_BY_HAND),
    Reason.REFUNDED: ("The money went back, at least in part. Publish nothing unless the organiser has paid again.",),
    Reason.NOT_FOUND: (
        "Look in SumUp's dashboard for a payment under this reference. Ask the organiser to pay if there is none.",
    ),
    Reason.MARKED_PAID: (
        "Publish the event in the shop's admin, unless it was made a draft again on purpose.",
        "Find the page that marks fees as paid by itself, and take it out.",
    ),
    Reason.DRAFT_AGAIN: (
        "See who made it a draft: an old form that was saved, a shop that was restored, or its organiser, on purpose.",
        "Publish it by the command below, or close the case.",
    ),
    Reason.NOT_CLOSED: ("Look at the checkout in SumUp's dashboard, and see that it cannot be paid any more.",),
}
_WORDS: dict[NoticeKind, Words] = {
    NoticeKind.NOT_LISTED: Words(
        Level.CRITICAL,
        "Listing fee {number} was paid, and its event cannot be published",
        (
            "The fee is marked as paid; the event was left as it is.",
            "Put the event right in the shop's admin and publish it, or refund the fee in SumUp's dashboard.",
        ),
    ),
    NoticeKind.PAID_TWICE: Words(
        Level.CRITICAL,
        "Listing fee {number} was paid twice",
        ("Refund the payment of checkout {subject} in SumUp's dashboard.",),
    ),
    NoticeKind.MAY_BE_PAID_TWICE: Words(
        Level.ALERT,
        "Listing fee {number} is paid, and may be paid a second time",
        ("paypoll asks about it no more. Look for checkout {subject} in SumUp's dashboard; if paid, refund it.",),
    ),
    NoticeKind.MAY_BE_PAID: Words(
        Level.CRITICAL,
        "Listing fee {number} is {status}, and may have been paid, or may still be",
        ("paypoll asks about it no more. Look for checkout {subject} in SumUp's dashboard; if paid, refund it.",),
    ),
    NoticeKind.GIVEN_UP: Words(
        Level.ALERT,
        "Listing fee {number} is {status}, and SumUp has not said whether it was paid",
        ("paypoll asks about it no more. Look for a payment of it in SumUp's dashboard.",),
    ),
    NoticeKind.PAID_LATE: Words(
        Level.ALERT,
        "Listing fee {number} was paid late; its event is published",
        ("Nothing, as a rule.",),
    ),
    NoticeKind.PAID_BUT_VOID: Words(
        Level.CRITICAL,
        "Listing fee {number} is {status}, but its payment was not given back",
        ("Refund the payment in SumUp's dashboard, or set the fee to paid in the shop's admin.",),
    ),
    NoticeKind.PAID_NOT_ISSUED: Words(
        Level.CRITICAL,
        "Listing fee {number} was paid after a person had closed it",
        ("Refund the payment in SumUp's dashboard, or take it by the command below.",),
    ),
    NoticeKind.BROKEN_ANSWER: Words(
        Level.ALERT,
        "Listing fee {number}: SumUp's answer cannot be used",
        ("Look at the checkout in SumUp's dashboard. The fee stays as it is and is asked for again.",),
    ),
    NoticeKind.UNKNOWN_STATUS: Words(
        Level.ALERT,
        "Listing fee {number}: SumUp has a new checkout status, {subject}",
        ("Look for a newer version of paypoll. The fee stays as it is and is asked for again.",),
    ),
}


def alert_about_fee(fee: ListingFee, notice: Notice) -> OrderAlert:
    """Return the alert that this notice about this listing fee makes."""
    words = _WORDS.get(notice.kind)
    if notice.kind is NoticeKind.REVIEW:
        advice = _REVIEW_ADVICE.get(Reason(notice.subject), _BY_HAND)
        words = Words(Level.CRITICAL, "Listing fee {number} needs a person: {subject}", advice)
    return worded(notice, words, number=fee.reference, status=fee.status)
