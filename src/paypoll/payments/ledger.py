"""SumUp's ledger held against the orders: what a payment that it lists means. Pure.

The rows of docs/outcomes.md from 51 on are `judge`, one case after the other. Who reads the ledger and writes down what
was found: `paypoll.ledger`.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from fnmatch import fnmatchcase

from paypoll.payments.money import same_amount
from paypoll.payments.order_statuses import BASKET, LATE, MADE_VOID, VOID, WAITING, OrderStatus

_NOT_COMPLETED = VOID | LATE | BASKET | WAITING

PATIENCE = timedelta(minutes=30)
"""A payment younger than this that fits no order may be of one that the shop is about to write down."""


class FindingKind(StrEnum):
    """What SumUp's ledger and the orders do not agree about."""

    RETURNED = "returned"
    """Money went back, by refund or charge-back, of a payment whose tickets still admit."""
    SECOND_PAYMENT = "second_payment"
    """A payment of an order that another one has paid for."""
    NOT_FOLLOWED = "not_followed"
    """A payment of an order that paypoll leaves alone, or does not ask about any more."""
    UNPLACED = "unplaced"
    """A payment that nobody can place."""
    MISSING = "missing"
    """An order was completed by a payment that SumUp does not list, nor know."""
    AMOUNT_DIFFERS = "amount_differs"
    """The payment that completed an order has another amount or currency than it had then."""
    TICKETS_UNPAID = "tickets_unpaid"
    """Tickets that admit, of an order that nobody paid."""
    HERE_AGAIN = "here_again"
    """Money that had gone back is here again, as a charge-back was reversed, and its order has nothing for it."""
    FEE_RETURNED = "fee_returned"
    """Money of a listing fee went back, and its event is still published."""


@dataclass(frozen=True, slots=True)
class LedgerPayment:
    """A payment as SumUp's ledger has it. `net` is the amount without the tip, `returned` what has gone back of it.

    `charged_back` is the part of `returned` that the card's holder took back; `foreign_id` and `summary` are what the
    merchant called it. `taken` is False where SumUp says that no money was taken after all.
    """

    transaction_id: str
    transaction_code: str
    merchant_code: str
    amount: Decimal
    currency: str
    returned: Decimal = Decimal(0)
    charged_back: Decimal = Decimal(0)
    tip: Decimal = Decimal(0)
    paid_at: datetime | None = None
    summary: str = ""
    foreign_id: str = ""
    taken: bool = True

    @property
    def net(self) -> Decimal:
        """What was paid for the order."""
        return self.amount - self.tip

    @property
    def back(self) -> Decimal:
        """What went back; all of it where none was taken after all."""
        return self.returned if self.taken else self.net

    @property
    def left(self) -> Decimal:
        """What is left of what was paid for the order."""
        return max(self.net - self.back, Decimal(0))

    @property
    def gone(self) -> bool:
        """Whether all of it went back, or was never taken."""
        return not self.left

    @property
    def names(self) -> frozenset[str]:
        """What the shop and paypoll may know it by."""
        return frozenset({self.transaction_id, self.transaction_code} - {""})


class Role(StrEnum):
    """What a payment is to an order."""

    FULFILLED = "fulfilled"
    """paypoll completed the order by it."""
    NOTED_BY_SHOP = "noted_by_shop"
    """The shop has written it into the order."""
    OTHER = "other"
    """A checkout of the order holds it."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The order that a payment belongs to, and what is known of both.

    `expected` completed the order; `admitting` counts its tickets that admit or have, `used` the latter. `fulfilled`: a
    payment has completed it. `followed`: paypoll will look at it again. `accounted`: admins were told of this payment,
    or a person has judged it. `noted`: the refunds that the shop has. `given_back`: what went back by `paypoll refund`,
    or is on its way; `refunds_ended`: none is, so tickets that admit are not as they were left (a restored shop).
    `held`: other payments that pay for the tickets, and `unread`: that may; `unpaid`: this was the last that did
    (`payments.holdings`). `unnamed`: the checkout that completed the order, where nobody knows its payment's name, and
    this one is taken for it. `came_back`: all of the payment had gone back when it was seen last, or is listed as
    here again.
    """

    order_id: int
    number: str
    status: str
    role: Role
    expected: Decimal
    currency: str
    admitting: int = 0
    used: int = 0
    fulfilled: bool = False
    followed: bool = False
    accounted: bool = False
    given_back: Decimal = Decimal(0)
    refunds_ended: bool = False
    noted: Decimal = Decimal(0)
    held: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()
    unpaid: bool = False
    unnamed: str = ""
    came_back: bool = False


@dataclass(frozen=True, slots=True)
class LedgerRules:
    """What the operator has settled. `ignore`: merchants, or MERCHANT/pattern, whose unknown payments are another's."""

    void_on_refund: bool = False
    ignore: tuple[str, ...] = ()

    def voids(self, owner: Owner) -> bool:
        """Say whether the order is made void once all that pays for its tickets went back (52)."""
        return self.void_on_refund and owner.role is Role.FULFILLED and owner.status in MADE_VOID

    def is_elses(self, payment: LedgerPayment) -> bool:
        """Say whether a payment that fits no order is one of another shop on the same account."""
        patterns = [rest for code, slash, rest in self._parts() if slash and code == payment.merchant_code]
        texts = [text for text in (payment.summary, payment.foreign_id) if text]
        return any(fnmatchcase(text, pattern) for pattern in patterns for text in texts)

    def _parts(self) -> list[tuple[str, str, str]]:
        return [one.partition("/") for one in self.ignore]


@dataclass(frozen=True, slots=True)
class Judgement:
    """What follows from a payment. `amount` is what the finding is about.

    `settled`: why nobody needs to be told of it; it is written down all the same, for the report.
    `follow`: its order is due at once. `void`: the order's tickets and its status become refunded. `wait`: too young to
    be judged. `here_again`: beside that, what is left of it had gone back, and its order has nothing for it.
    """

    kind: FindingKind | None = None
    amount: Decimal = Decimal(0)
    follow: bool = False
    void: bool = False
    wait: bool = False
    facts: dict[str, str] = field(default_factory=dict)
    settled: str = ""
    here_again: bool = False


NOTHING = Judgement()


def judge(payment: LedgerPayment, owner: Owner | None, rules: LedgerRules, now: datetime) -> Judgement:
    """Return what a payment in SumUp's ledger means; `owner` is its order, None when nobody knows one."""
    if owner is None:
        return _unplaced(payment, rules, now)
    is_other = owner.role is Role.OTHER or (owner.role is Role.NOTED_BY_SHOP and owner.status in _NOT_COMPLETED)
    judgement = _of_other_checkout(payment, owner) if is_other else _of_completed(payment, owner, rules)
    return replace(judgement, here_again=_is_here_again(payment, owner, judgement))


def _is_here_again(payment: LedgerPayment, owner: Owner, judgement: Judgement) -> bool:
    """Say whether money that had gone back is held again, and nobody is told of it otherwise (52b)."""
    if not owner.came_back or payment.gone or owner.status in WAITING | BASKET:
        return False
    if judgement.follow or judgement.kind in {FindingKind.SECOND_PAYMENT, FindingKind.NOT_FOLLOWED}:
        return False
    return owner.status in VOID | {OrderStatus.REVIEW} or not owner.admitting


def _unplaced(payment: LedgerPayment, rules: LedgerRules, now: datetime) -> Judgement:
    if payment.gone or rules.is_elses(payment):
        return NOTHING
    if payment.paid_at is not None and now - payment.paid_at < PATIENCE:
        return Judgement(wait=True)
    return Judgement(FindingKind.UNPLACED, payment.amount - payment.returned)  # 55


def _of_completed(payment: LedgerPayment, owner: Owner, rules: LedgerRules) -> Judgement:
    """Judge the payment that an order was completed by."""
    returned, full = payment.back, payment.gone
    if returned > 0:
        void = owner.status in VOID or not owner.admitting  # the shop knows, and nobody gets in
        if returned <= owner.given_back and (void or not (full and owner.refunds_ended)):
            return NOTHING
        if void or (not full and owner.noted >= returned):  # a part that the shop, or `paypoll refund`, gave back
            return Judgement(FindingKind.RETURNED, returned, settled="the shop knew of it")
        void = full and rules.voids(owner) and not (owner.held or owner.unread or owner.unnamed)  # 52, 52a
        return Judgement(FindingKind.RETURNED, returned, void=void, facts=_facts_of_return(payment, owner))  # 51, 52
    if not is_as_expected(payment, owner):
        return Judgement(FindingKind.AMOUNT_DIFFERS, payment.net, facts={"expected": str(owner.expected)})  # 57
    return NOTHING


def _facts_of_return(payment: LedgerPayment, owner: Owner) -> dict[str, str]:
    facts = {"whole": "yes" if payment.gone else "no", "charged_back": str(payment.charged_back)}
    if owner.used:
        facts |= {"used": str(owner.used), "admitting": str(owner.admitting)}
    others = {"held": ", ".join(owner.held), "unread": ", ".join(owner.unread), "unnamed": owner.unnamed}
    return facts | {name: which for name, which in others.items() if which}


def is_as_expected(payment: LedgerPayment, owner: Owner) -> bool:
    """Say whether the payment is over the amount that completed its order, or of a checkout that did not."""
    return owner.role is Role.OTHER or (
        same_amount(payment.net, owner.expected, owner.currency) and payment.currency == owner.currency
    )


def _of_other_checkout(payment: LedgerPayment, owner: Owner) -> Judgement:
    """Judge a payment of an order that was not completed by it, or not yet."""
    if owner.unpaid and owner.admitting and owner.status not in VOID:  # 52a, be a penny of it left or not
        return Judgement(FindingKind.RETURNED, payment.back, facts=_facts_of_return(payment, owner))
    if payment.gone:
        return NOTHING
    kept = payment.amount - payment.returned
    if owner.fulfilled:  # 53: row 12, whenever it comes
        return Judgement(FindingKind.SECOND_PAYMENT, kept, follow=not owner.accounted)
    if owner.accounted and not (owner.came_back and owner.status in LATE):
        return NOTHING
    if owner.followed:  # 50
        return Judgement(follow=True)
    return Judgement(FindingKind.NOT_FOLLOWED, kept)  # 54


@dataclass(frozen=True, slots=True)
class OpenFinding:
    """A finding that is open, and what is known of it now. `payment_order`: the order that its payment completed.

    `returned`: what went back of that payment; `gone`: all that was paid by it.
    """

    id: int
    kind: FindingKind
    amount: Decimal
    payment_order: str = ""
    seen_again: bool = False
    returned: Decimal | None = None
    gone: bool = False
    order_status: str = ""
    admitting: int | None = None
    order_paid: bool = False
    fee_stands: bool = False

    @property
    def more_is_back(self) -> bool:
        """Whether more went back than it says."""
        return self.returned is not None and self.returned > self.amount


_NONE_ADMITS = "none of its tickets admits any more"


def settled_why(finding: OpenFinding) -> str:
    """Return why an open finding has ended by itself; empty while it stands."""
    match finding.kind:
        case FindingKind.RETURNED | FindingKind.FEE_RETURNED if finding.more_is_back:
            return "more went back since"
        case FindingKind.AMOUNT_DIFFERS | FindingKind.HERE_AGAIN if finding.gone:
            return "the money went back"
        case FindingKind.RETURNED:
            if finding.order_status in VOID:
                return f"the order is {finding.order_status}"
            return _NONE_ADMITS if finding.admitting == 0 else ""
        case FindingKind.MISSING:
            return "SumUp lists the payment again" if finding.seen_again else ""
        case FindingKind.TICKETS_UNPAID:
            if finding.order_paid:
                return "the order is paid"
            return _NONE_ADMITS if finding.admitting == 0 else ""
        case FindingKind.UNPLACED | FindingKind.NOT_FOLLOWED | FindingKind.SECOND_PAYMENT:
            if finding.payment_order:
                return f"it has paid for order {finding.payment_order}"
            return "the money went back" if finding.gone else ""
        case FindingKind.HERE_AGAIN:
            is_set_aside = finding.order_status in VOID | {OrderStatus.REVIEW}
            return "the order has its tickets" if finding.admitting and not is_set_aside else ""
        case FindingKind.FEE_RETURNED:
            return "" if finding.fee_stands else "the fee is void, or its event not published any more"
    return ""


_BY_AMOUNT = frozenset({FindingKind.RETURNED, FindingKind.AMOUNT_DIFFERS, FindingKind.FEE_RETURNED})


def finding_key(
    kind: FindingKind, *, transaction_id: str, order_id: int | None, amount: Decimal, settled: bool = False
) -> str:
    """Return what makes two sightings the same finding. Of money that goes back in parts, each part is told.

    What was `settled` when it was seen is another one: should its tickets admit again, that is told.
    """
    if kind is FindingKind.TICKETS_UNPAID:
        return f"{kind}:order:{order_id}"
    ending = f":{amount.normalize():f}" if kind in _BY_AMOUNT else ""
    return f"{kind}:{transaction_id}{ending}{':settled' if settled else ''}"
