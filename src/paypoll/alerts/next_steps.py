"""The commands for each thing that admins are told: what to look at first, then one for each way it may end.

They are pasted into a root shell, and an order's number is text from the database. So an order is named by its number
only where no shell and no command can read anything else into it, and by its id otherwise.
"""

import re
from collections.abc import Sequence
from typing import NamedTuple

from paypoll.payments.decision import NoticeKind, Reason
from paypoll.payments.order_statuses import OrderStatus

_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]*")
"""Not a dash at the start: `--yes` would be an option."""

_PROGRAM = "sudo paypoll"


class Step(NamedTuple):
    """A command to paste, and what it is for or when it is the right one."""

    when: str
    command: str


_LOOK = Step("See everything about it, and what SumUp says now", "inspect {order} --live")
_ISSUE = Step(
    "If the payment stands, and what stood in the way is put right", 'resolve {order} --issue --reason "paid"'
)
_OVERRIDE = Step(
    "If the payment is right all the same: issue the tickets",
    'resolve {order} --issue --override --reason "checked at SumUp"',
)
_ADMIT = Step(
    "If there is room, and the customer comes: issue the tickets",
    'resolve {order} --issue --override --reason "admitted"',
)
_ANYWAY = Step(
    "If the tickets are due without it: issue them", 'resolve {order} --issue --override --reason "paid otherwise"'
)
_REFUNDED = Step(
    "When the money has been given back: close the review",
    'resolve {order} --refund-noted --reason "refunded at SumUp"',
)
_REJECT = Step(
    "If no tickets are due, and no money is to go back", 'resolve {order} --reject --reason "no tickets are due"'
)
_RECHECK = Step("If it is put right by now: have it asked and decided anew", 'recheck {order} --why "put right"')
_RESEND = Step("When the address is put right in the shop: send it at once", "resend {order}")
_ELSEWHERE = Step("Or send its tickets to another address", "resend {order} --to ADDRESS")
_CHECK = Step("See what is wrong, and whether it is mended", "check")
_WHOSE_KEY = Step("See whether the key is of the account that the shop sells on", "check")
_TRY_MAIL = Step("See whether the mail server takes mail from us", "check --send-test-alert")
_QUEUE = Step("See what waits, and why", "queue")
_RETRY = Step("When it is mended: send at once what waits or was given up", "mail retry --all")
_MAILS = Step("See the mail that has not gone out, and when it is tried next", "mail list")

_OF_REVIEWS: dict[Reason, tuple[Step, ...]] = {
    Reason.MISMATCH: (_OVERRIDE, _REFUNDED),
    Reason.REFUNDED: (_REFUNDED, _OVERRIDE),
    Reason.UNCONFIRMED: (_OVERRIDE, _REFUNDED),
    Reason.REJECTED: (_REFUNDED,),
    Reason.SPENT_ELSEWHERE: (_REJECT,),
    Reason.NOT_FOUND: (_WHOSE_KEY, _RECHECK, _ANYWAY, _REJECT),
    Reason.BAD_CHECKOUT_ID: (_RECHECK, _ANYWAY, _REJECT),
    Reason.CONTRADICTION: (_RECHECK, _OVERRIDE, _REJECT),
    Reason.UNDER_WAY: (_RECHECK, _OVERRIDE, _REJECT),
    Reason.NOT_CLOSED: (_RECHECK, _REJECT),
    Reason.NOTHING_TO_PAY: (_ANYWAY, _REJECT),
    Reason.NO_ITEMS: (_ISSUE, _REFUNDED),
    Reason.BAD_QUANTITY: (_OVERRIDE, _REFUNDED),
    Reason.EVENT_GONE: (_REFUNDED, _ISSUE),
    Reason.EVENT_CANCELLED: (_REFUNDED, _ISSUE),
    Reason.EVENT_OVER: (_REFUNDED, _ISSUE),
    Reason.TOO_LATE: (_ADMIT, _REFUNDED),
    Reason.HALL_FULL: (_ADMIT, _REFUNDED),
    Reason.NO_ACCOUNT: (_ISSUE, _REFUNDED),
    Reason.BAD_ACCOUNT_EMAIL: (_ISSUE, _REFUNDED),
    Reason.TICKETS_INCOMPLETE: (_ISSUE, _REFUNDED),
    Reason.TICKETS_GONE: (_ISSUE, _REFUNDED),
    Reason.TICKETS_UNPAID: (_ANYWAY, _REJECT),
    Reason.ID_REUSED: (_REFUNDED, _REJECT),
    Reason.MEMORY_LOST: (_ADMIT, _REFUNDED),
    Reason.PAID_NOT_ISSUED: (_OVERRIDE, _REFUNDED),
}

_OF_ORDERS: dict[str, tuple[Step, ...]] = {
    NoticeKind.PAID_TWICE: (_LOOK,),
    NoticeKind.MAY_BE_PAID_TWICE: (_LOOK,),
    NoticeKind.MAY_BE_PAID: (_LOOK,),
    NoticeKind.GIVEN_UP: (_LOOK,),
    NoticeKind.EXPIRED: (_LOOK,),
    NoticeKind.PAID_LATE: (_LOOK,),
    NoticeKind.REPLAYED: (_LOOK,),
    NoticeKind.ISSUED_BY_SHOP: (_LOOK,),
    NoticeKind.PAID_BUT_VOID: (_LOOK,),
    NoticeKind.PAID_NOT_ISSUED: (_LOOK, _OVERRIDE, _REFUNDED),
    NoticeKind.BROKEN_ANSWER: (_LOOK,),
    NoticeKind.UNKNOWN_STATUS: (_LOOK,),
    "refund_not_made": (
        _LOOK,
        Step("If the money is to go back all the same", 'refund {order} --reason "asked again"'),
    ),
    "refund_not_shown": (_LOOK,),
    "refund_surplus": (_LOOK,),
    "mail_waits": (_LOOK, _RESEND),
    "undeliverable": (_LOOK, _RESEND, _ELSEWHERE),
}

_OF_STATUSES: dict[str, Step] = {
    OrderStatus.PENDING_VERIFICATION: Step("Ask SumUp and decide at once", "run-once --order {order}"),
    OrderStatus.FAILED: Step("Ask SumUp and decide at once", "run-once --order {order}"),
    OrderStatus.EXPIRED: Step("Ask SumUp and decide at once", "run-once --order {order}"),
    OrderStatus.COMPLETED: Step("Send its tickets once more", "resend {order}"),
}
_COMPLETE = Step("Ask SumUp, and make what is missing", 'resolve {order} --issue --reason "completed by the shop"')
_OFF_THE_LIST = Step("Take it off the list", 'resolve {order} --reject --reason "looked at"')

_TAKE_FEE = Step("If it is paid: ask SumUp, and publish its event", 'resolve {order} --issue --reason "paid"')
_TAKE_FEE_ALL_THE_SAME = Step(
    "If the payment is right all the same: take it, and publish the event",
    'resolve {order} --issue --override --reason "checked at SumUp"',
)
_FEE_IN_CASH = Step(
    "If it was paid in another way", 'resolve {order} --issue --override --reason "paid in another way"'
)
_FEE_REFUNDED = Step(
    "When the money has been given back: close it", 'resolve {order} --refund-noted --reason "refunded at SumUp"'
)
_FEE_CLOSED = Step("If nothing is to be done: close it", 'resolve {order} --reject --reason "looked at"')

_OF_FEES: dict[str, tuple[Step, ...]] = {
    Reason.MISMATCH: (_TAKE_FEE_ALL_THE_SAME, _FEE_REFUNDED),
    Reason.REFUNDED: (_FEE_REFUNDED, _TAKE_FEE_ALL_THE_SAME),
    Reason.UNCONFIRMED: (_TAKE_FEE_ALL_THE_SAME, _FEE_REFUNDED),
    Reason.SPENT_ELSEWHERE: (_FEE_CLOSED,),
    Reason.NOT_FOUND: (_TAKE_FEE, _FEE_IN_CASH, _FEE_CLOSED),
    Reason.BAD_CHECKOUT_ID: (_TAKE_FEE, _FEE_IN_CASH, _FEE_CLOSED),
    Reason.CONTRADICTION: (_TAKE_FEE, _TAKE_FEE_ALL_THE_SAME, _FEE_CLOSED),
    Reason.UNDER_WAY: (_TAKE_FEE, _TAKE_FEE_ALL_THE_SAME, _FEE_CLOSED),
    Reason.NOT_CLOSED: (_TAKE_FEE, _FEE_CLOSED),
    Reason.MARKED_PAID: (_TAKE_FEE, _FEE_CLOSED),
    Reason.DRAFT_AGAIN: (_TAKE_FEE, _FEE_REFUNDED, _FEE_CLOSED),
    Reason.NO_PAYMENT: (_FEE_IN_CASH, _FEE_CLOSED),
    Reason.EVENT_CANCELLED: (_TAKE_FEE, _FEE_REFUNDED),
    Reason.EVENT_OVER: (_TAKE_FEE, _FEE_REFUNDED),
    Reason.NOT_A_DRAFT: (_TAKE_FEE, _FEE_REFUNDED),
    NoticeKind.NOT_LISTED: (_TAKE_FEE, _FEE_REFUNDED),
    NoticeKind.PAID_NOT_ISSUED: (_TAKE_FEE, _FEE_REFUNDED),
    NoticeKind.PAID_TWICE: (_FEE_REFUNDED, _FEE_CLOSED),
}

_RECONCILE = Step("Hold SumUp's ledger against the orders now, changing nothing", "reconcile --since 7d")
_CLOSE = 'resolve --finding {number} --reason "settled"'

_OF_THE_WHOLE: dict[str, tuple[Step, ...]] = {
    "adopted": (_QUEUE,),
    "client_refused": (_CHECK, _QUEUE),
    "fee_gone": (),
    "fee_gone_open": (),
    "findings": (Step("See them, each with its number", "queue"), _RECONCILE),
    "ledger_unread": (_CHECK, _RECONCILE),
    "refund_order_gone": (),
    "shows_boxes": (_CHECK, Step("When the package is installed: see a ticket", "preview")),
    "alert_refused": (_TRY_MAIL, _RETRY),
    "cannot_print": (_CHECK, _MAILS, _RETRY),
    "clock": (_CHECK,),
    "digest": (Step("See what waits for you, the most urgent first", "queue --reviews"), _MAILS),
    "clocks_differ": (_CHECK,),
    "hall_overfull": (_QUEUE,),
    "mail_error": (_MAILS,),
    "may_not_close": (_CHECK,),
    "not_allowed": (_CHECK, _QUEUE),
    "order_gone": (),
    "order_gone_open": (),
    "organiser_mail_undeliverable": (_MAILS, _RETRY),
    "organiser_mail_waits": (_MAILS,),
    "orders_denied": (
        _CHECK,
        Step("If SumUp is right: let these orders go to review", "run-once --accept-reviews"),
        Step("If the key was wrong: have decided anew what went to review", 'recheck --reason not_found --why "key"'),
    ),
    "smtp_down": (_TRY_MAIL, _MAILS, _RETRY),
    "smtp_refuses": (_TRY_MAIL, _MAILS, _RETRY),
    "smtp_takes_nobody": (_TRY_MAIL, _MAILS, _RETRY),
    "stuck": (_QUEUE,),
    "summary": (Step("See them, with the commands for each", "queue --reviews"), _QUEUE),
    "sumup_silent": (_CHECK, _QUEUE),
}


def order_word(order_id: int, number: str) -> str:
    """Return how a command names this order: by its number where that is harmless in a shell, else as `id:17`."""
    return number if _PLAIN.fullmatch(number) else f"id:{order_id}"


def steps_of_review(reason: str, order: str) -> list[Step]:
    """Return the steps for an order in review, named as `order_word` does. No reason: the shop put it there."""
    known = Reason(reason) if reason in set(Reason) else None
    steps = [_LOOK, *(_OF_REVIEWS.get(known, (_REFUNDED,)) if known else (_ISSUE, _REFUNDED, _REJECT))]
    return _told(steps, order, known.value if known else "review")


def steps_of_order(key: str, order: str, *, finding: int = 0) -> list[Step]:
    """Return the steps for what an alert about one order tells, by the alert's key, such as `review:mismatch`.

    `finding`: the number of the case that is kept of an order that is in no review.
    """
    kind, _, rest = key.partition(":")
    if kind == NoticeKind.REVIEW:
        return steps_of_review(rest.partition(":")[0], order)
    steps = [step for step in _OF_ORDERS.get(kind, (_LOOK,)) if not (finding and step in {_OVERRIDE, _REFUNDED})]
    return _told([*steps, *_closing(finding)], order, kind)


def steps_of_told(number: int, kind: str, order: str = "") -> list[Step]:
    """Return the steps for a case that was told and is kept; `order` names what it is about, if that is still there."""
    return _told([*([_LOOK] if order else []), *_closing(number)], order, kind)


def _closing(number: int) -> list[Step]:
    return [Step("When it is settled: close it", _CLOSE.format(number=number))] if number else []


def steps_of_whole(key: str) -> list[Step]:
    """Return the steps for what an alert about the whole tells; none where it says that something is over."""
    kind, _, rest = key.partition(":")
    if kind not in _OF_THE_WHOLE or f":{rest}".rpartition(":over:")[1]:
        return []
    return _told(_OF_THE_WHOLE[kind], "", kind)


def steps_of_finding(number: int, order: str = "", *, closed: bool = False) -> list[Step]:
    """Return the steps for a finding of the ledger by its number; `order` is the order that it is about, if any.

    One that is `closed` is over, and only told.
    """
    look = [_LOOK] if order else [_RECONCILE]
    return _told([*look, *([] if closed else _closing(number))], order, "finding")


def fee_word(reference: str) -> str:
    """Return how a command names this listing fee: by its reference where that is harmless in a shell, else not."""
    return reference if _PLAIN.fullmatch(reference) else ""


def steps_of_fee(key: str, reference: str, *, finding: int = 0) -> list[Step]:
    """Return the steps for what an alert about a listing fee tells, by the alert's key, such as `review:mismatch`.

    Its reference is named where it is harmless. Without a key: a fee that needs nobody, but that somebody looks at.
    `finding`: the number of the case that is kept of it.
    """
    kind, _, rest = key.partition(":")
    reason = (rest.partition(":")[0] if kind == NoticeKind.REVIEW else "") or kind
    if not (word := fee_word(reference)):
        return _told([_QUEUE, *_closing(finding)], "", reason)
    return _told([_LOOK, *_OF_FEES.get(reason, ()), *_closing(finding)], word, reason)


def steps_of_status(status: str, order: str) -> list[Step]:
    """Return the steps for an order that needs nobody, but that somebody looks at."""
    steps = [step for step in (_OF_STATUSES.get(status),) if step is not None]
    return _told([_LOOK, *steps], order)


def steps_of_astray(order: str, *, paid: bool) -> list[Step]:
    """Return the steps for an order that a page of the shop completed by itself; not `paid`: it only has tickets."""
    return _told([_LOOK, *([_COMPLETE] if paid else []), _OFF_THE_LIST], order)


def steps_of_mail(mail_id: int, order: str) -> list[Step]:
    """Return the steps for a mail that has not gone out; no order: it is an alert about the whole."""
    at_once = Step("Try it at once", f"mail retry {mail_id}")
    dropped = Step("If it need not be sent", f'mail give-up {mail_id} --reason "reached otherwise"')
    return _told([at_once, *([_ELSEWHERE] if order else []), dropped], order)


def _told(steps: Sequence[Step], order: str, key: str = "") -> list[Step]:
    explained = [Step("What it means", f"explain {key}")] if key else []
    return [Step(when, f"{_PROGRAM} {command.format(order=order)}") for when, command in (*steps, *explained)]
