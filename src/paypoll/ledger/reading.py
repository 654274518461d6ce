"""A page of SumUp's ledger, and what its lines do not say: each payment asked for by its id where it matters."""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from functools import cache
from typing import Self

from paypoll.payments.books import ONLINE, LedgerItem
from paypoll.payments.gateway import (
    CheckoutAnswer,
    Found,
    Look,
    NotFound,
    PaymentGateway,
    TransactionAnswer,
    TransactionStatus,
)
from paypoll.payments.ledger import LedgerPayment
from paypoll.state.ledger import Entry

_NOT_TAKEN = frozenset({TransactionStatus.CANCELLED, TransactionStatus.FAILED})
_TAKEN_WORDS = frozenset({"SUCCESSFUL", "PAID_OUT", "REFUNDED", "CHARGE_BACK", "CHARGEBACK", ""})


class UnansweredError(Exception):
    """SumUp did not say what had to be known: the page is not judged, and asked for again. Holds what it said."""

    def __init__(self, look: object) -> None:
        super().__init__(getattr(look, "detail", ""))
        self.look = look


@dataclass(frozen=True, slots=True)
class Questions:
    """What SumUp is asked in the judging of a page, each once: many payments may be of the same few orders."""

    read_transaction: Callable[[str, str], Look[TransactionAnswer]]
    find_checkouts: Callable[[str, str], Look[tuple[CheckoutAnswer, ...]]]

    @classmethod
    def to(cls, gateway: PaymentGateway) -> Self:
        """Return the questions about one page."""
        return cls(cache(gateway.read_transaction), cache(gateway.find_checkouts))


@dataclass(frozen=True, slots=True)
class PageLines:
    """The payments of a page by their ids, and those of which more has to be known than their lines say.

    `headless`: only what went back of it stands on this page, and its `amount` is that. `refunded`: what the lines say
    that was refunded, which stays so; what was charged back may come back.
    """

    payments: Mapping[str, LedgerPayment]
    changed: frozenset[str]
    headless: frozenset[str] = frozenset()
    refunded: Mapping[str, Decimal] = field(default_factory=dict)


def sort_lines(items: Iterable[LedgerItem], merchant_code: str) -> PageLines:
    """Return the online payments that the lines are about.

    `changed`: something went back of it, or it was not taken: the lines tell that by halves.
    """
    payments: dict[str, LedgerPayment] = {}
    changed: set[str] = set()
    whole: set[str] = set()
    refunded: dict[str, Decimal] = {}
    by_lines: dict[str, Decimal] = {}
    for item in items:
        if item.payment_type not in {ONLINE, ""}:
            continue
        if item.kind != "PAYMENT" or item.refunded or item.status not in _TAKEN_WORDS | {"FAILED", "PENDING"}:
            changed.add(item.transaction_id)
        if item.kind == "PAYMENT":
            whole.add(item.transaction_id)
            refunded[item.transaction_id] = item.refunded
        elif item.kind == "REFUND":
            by_lines[item.transaction_id] = by_lines.get(item.transaction_id, Decimal(0)) + item.amount
        taken = item.status not in {"FAILED", "PENDING"}
        if item.kind == "PAYMENT" or item.transaction_id not in payments:
            payments[item.transaction_id] = LedgerPayment(
                transaction_id=item.transaction_id,
                transaction_code=item.transaction_code,
                merchant_code=merchant_code,
                amount=item.amount,
                currency=item.currency,
                returned=item.refunded,
                paid_at=item.at,
                summary=item.summary,
                taken=taken or item.kind != "PAYMENT",
            )
    # A declined card, or a payment under way: no money of anybody's.
    idle = {name for name, payment in payments.items() if not payment.taken and name not in changed}
    kept = {name: one for name, one in payments.items() if name not in idle}
    refunded |= {name: max(amount, refunded.get(name, amount)) for name, amount in by_lines.items()}
    return PageLines(kept, frozenset(changed), frozenset(kept.keys() - whole), refunded)


def read_details(
    questions: Questions, payment: LedgerPayment, *, stopped: Callable[[], bool] = lambda: False
) -> LedgerPayment | None:
    """Return the payment with all that SumUp says about it alone; None: not known by its id. Raise UnansweredError."""
    if stopped():
        raise UnansweredError(None)
    look = questions.read_transaction(payment.transaction_id, payment.merchant_code)
    if isinstance(look, NotFound):
        return None
    if not isinstance(look, Found):
        raise UnansweredError(look)
    return with_details(payment, look.value)


def with_details(payment: LedgerPayment, answer: TransactionAnswer) -> LedgerPayment:
    """Return the payment as SumUp's answer about it has it."""
    states = {answer.status, answer.simple_status}
    return replace(
        payment,
        transaction_code=answer.transaction_code or payment.transaction_code,
        amount=payment.amount if answer.amount is None else answer.amount,
        currency=answer.currency or payment.currency,
        returned=answer.returned,
        charged_back=answer.charged_back,
        tip=answer.tip_amount,
        paid_at=answer.timestamp or payment.paid_at,
        summary=_text(answer, "product_summary") or payment.summary,
        foreign_id=_text(answer, "foreign_transaction_id"),
        taken=not states & _NOT_TAKEN,
    )


def _text(answer: TransactionAnswer, name: str) -> str:
    value = answer.raw.get(name)
    return value if isinstance(value, str) else ""


def needs_details(
    lines: PageLines,
    entries: Mapping[str, Entry],
    sound: Collection[str],
    voidable: Collection[str] = (),
    owned: Collection[str] = (),
) -> list[str]:
    """Return the payments to be asked for by their ids: what went back since, what does not fit, what nobody knows.

    `sound`: those whose line says all there is to know. `owned`: those of orders, of which no other amount is told
    without asking. `voidable`: those whose going back makes an order void: never without asking, and the customer is
    told whether it was the bank.
    """
    wanted = []
    for name, payment in lines.payments.items():
        entry = entries.get(name)
        if entry is not None and entry.returned > lines.refunded.get(name, 0):
            wanted.append(name)  # it was charged back, and may be here again
        elif name in lines.changed:
            if entry is None or not entry.gone or name in voidable:  # of what is gone there is no more to go
                wanted.append(name)
        # A tip, which no line tells apart, was taken off the entry.
        elif name not in sound and (entry is None or entry.amount != payment.amount or name in owned):
            wanted.append(name)
    return wanted
