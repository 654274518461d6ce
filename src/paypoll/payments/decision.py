"""What can be decided about an order, and what the admins are told of it."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from paypoll.payments.matching import VerifiedPayment


class Outcome(StrEnum):
    """What becomes of the order."""

    COMPLETE = "complete"
    """Issue the tickets, send the confirmation."""
    RESTORE = "restore"
    """The tickets exist: put the order back to completed, issue nothing, send nothing to the customer."""
    FAIL = "fail"
    EXPIRE = "expire"
    REVIEW = "review"
    """A person must look; no tickets."""
    UNCHANGED = "unchanged"
    """Keep the order's status and look again later."""


class Reason(StrEnum):
    """Why it was decided so: the code in the audit trail, in metrics and in alert keys."""

    PAID = "paid"
    PAID_LATE = "paid_late"
    REPLAYED = "replayed"
    OVERWRITTEN = "overwritten"
    ISSUED_BY_SHOP = "issued_by_shop"

    NOT_WATCHED = "not_watched"
    STILL_PENDING = "still_pending"
    RETRYING = "retrying"
    UNDER_WAY = "under_way"
    CONTRADICTION = "contradiction"
    CLOCKS_DIFFER = "clocks_differ"
    NOT_CLOSED = "not_closed"
    BEFORE_OUR_TIME = "before_our_time"
    SETTLED = "settled"
    PAID_TWICE = "paid_twice"
    PAID_NOT_ISSUED = "paid_not_issued"
    CLOSING_FIRST = "closing_first"
    NO_ANSWER = "no_answer"
    NOT_ALLOWED = "not_allowed"
    BROKEN_ANSWER = "broken_answer"
    UNKNOWN_STATUS = "unknown_status"
    MISSING_ONCE = "missing_once"
    HELD_BACK = "held_back"
    ABANDONED = "abandoned"
    STILL_UNPAID = "still_unpaid"
    VOID = "void"
    PAID_BUT_VOID = "paid_but_void"
    RETURNED = "returned"

    PAYMENT_FAILED = "payment_failed"
    CHECKOUT_EXPIRED = "checkout_expired"
    TOO_OLD = "too_old"

    UNCONFIRMED = "unconfirmed"
    MISMATCH = "mismatch"
    REFUNDED = "refunded"
    REJECTED = "rejected"
    SPENT_ELSEWHERE = "spent_elsewhere"
    NOT_FOUND = "not_found"
    BAD_CHECKOUT_ID = "bad_checkout_id"
    NOTHING_TO_PAY = "nothing_to_pay"
    NO_ITEMS = "no_items"
    BAD_QUANTITY = "bad_quantity"
    EVENT_GONE = "event_gone"
    EVENT_CANCELLED = "event_cancelled"
    EVENT_OVER = "event_over"
    TOO_LATE = "too_late"
    HALL_FULL = "hall_full"
    NO_ACCOUNT = "no_account"
    BAD_ACCOUNT_EMAIL = "bad_account_email"
    TICKETS_INCOMPLETE = "tickets_incomplete"
    TICKETS_GONE = "tickets_gone"
    TICKETS_UNPAID = "tickets_unpaid"
    ID_REUSED = "id_reused"
    MEMORY_LOST = "memory_lost"

    NO_CHECKOUT = "no_checkout"
    MARKED_PAID = "marked_paid"
    NOT_A_DRAFT = "not_a_draft"
    DRAFT_AGAIN = "draft_again"
    NO_PAYMENT = "no_payment"


UNSETTLED = frozenset(
    {
        Reason.NO_ANSWER,
        Reason.NOT_ALLOWED,
        Reason.BROKEN_ANSWER,
        Reason.UNKNOWN_STATUS,
        Reason.CLOCKS_DIFFER,
        Reason.CLOSING_FIRST,
        Reason.HELD_BACK,
        Reason.RETRYING,
    }
)
"""A look that ends so is not the last one, whatever SumUp answered: nothing follows from it yet."""


class NoticeKind(StrEnum):
    """What an admin is told about an order."""

    REVIEW = "review"
    PAID_TWICE = "paid_twice"
    MAY_BE_PAID_TWICE = "may_be_paid_twice"
    MAY_BE_PAID = "may_be_paid"
    GIVEN_UP = "given_up"
    EXPIRED = "expired"
    PAID_LATE = "paid_late"
    REPLAYED = "replayed"
    ISSUED_BY_SHOP = "issued_by_shop"
    PAID_BUT_VOID = "paid_but_void"
    PAID_NOT_ISSUED = "paid_not_issued"
    BROKEN_ANSWER = "broken_answer"
    UNKNOWN_STATUS = "unknown_status"
    NOT_LISTED = "not_listed"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that the admins must be told about this order: its kind, and what was found, a sentence each.

    `subject` is what tells it from others of its kind: a review's reason, a checkout's id, a status; `payments` the
    checkouts it is about, so that another payment is told anew (45). What it is called and what a person should do:
    `paypoll.alerts.orders`.
    """

    kind: NoticeKind
    subject: str = ""
    found: tuple[str, ...] = ()
    payments: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """The condition: together with the order it is told once."""
        return ":".join(filter(None, (self.kind.value, self.subject, ",".join(sorted(self.payments)))))


_ACCOUNTED = frozenset({NoticeKind.REVIEW, NoticeKind.PAID_TWICE, NoticeKind.PAID_BUT_VOID, NoticeKind.PAID_NOT_ISSUED})


@dataclass(frozen=True, slots=True)
class Decision:
    """The outcome for one order, with its reason in a sentence for the audit trail.

    `payment` is set for COMPLETE; optional for RESTORE, which may put back what a person had issued without one; None
    otherwise. `close` names SumUp checkouts that should be closed before this decision is applied: an order that
    expires, or is paid otherwise, must not be payable any more.
    """

    outcome: Outcome
    reason: Reason
    explanation: str
    payment: "VerifiedPayment | None" = None
    notices: tuple[Notice, ...] = ()
    close: tuple[str, ...] = field(default=())

    @property
    def accounts(self) -> bool:
        """Whether the payments that it rests on are accounted for from now on, so that no look tells of them again.

        They bought something, or an admin is told of them.
        """
        return self.payment is not None or any(notice.kind in _ACCOUNTED for notice in self.notices)

    def __post_init__(self) -> None:
        fits = {Outcome.COMPLETE: self.payment is not None, Outcome.RESTORE: True}
        if not fits.get(self.outcome, self.payment is None):
            raise ValueError(f"{self.outcome} and payment do not go together")


def unchanged(reason: Reason, explanation: str, told: tuple[Notice, ...] = (), close: tuple[str, ...] = ()) -> Decision:
    """Return the decision to keep the order's status and look again later."""
    return Decision(Outcome.UNCHANGED, reason, explanation, notices=told, close=close)
