"""A page of SumUp's ledger judged: whose each payment is, and what follows. Writes nothing."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

import sqlalchemy as sa

from paypoll.database import transaction
from paypoll.ledger.placing import place, place_on_fee
from paypoll.ledger.reading import Questions, UnansweredError, needs_details, read_details, sort_lines
from paypoll.payments.books import LedgerPage
from paypoll.payments.fee_ledger import PaidFee, judge_fee
from paypoll.payments.gateway import PaymentGateway
from paypoll.payments.ledger import (
    NOTHING,
    FindingKind,
    Judgement,
    LedgerPayment,
    LedgerRules,
    Owner,
    Role,
    is_as_expected,
    judge,
)
from paypoll.payments.order_statuses import VOID
from paypoll.payments.policy import Policy
from paypoll.state.fee_payments import fees_of
from paypoll.state.findings import NewFinding
from paypoll.state.here_again import listed_as_here_again
from paypoll.state.holdings import with_the_others
from paypoll.state.ledger import Entry, find_entries
from paypoll.state.owners import find_owners, paid_without_order


@dataclass(frozen=True, slots=True)
class Judged:
    """A payment, its order if anybody knows it, and what follows.

    `fee`: the listing fee that it is of instead. `asked`: SumUp was asked for it by its id. `gone`: by paypoll's own
    records it bought the tickets of an order that is gone from the shop; said where it is asked for.
    """

    payment: LedgerPayment
    owner: Owner | None
    judgement: Judgement
    fee: str = ""
    asked: bool = False
    gone: bool = False

    @property
    def entry(self) -> Entry:
        """What is kept of the payment."""
        return Entry.of(self.payment, self.owner.order_id if self.owner is not None else None)

    @property
    def is_held(self) -> bool:
        """Whether it is of an order for which it bought nothing, or that is void, and has not gone back."""
        if self.owner is None or self.payment.gone:
            return False
        return self.owner.role is Role.OTHER or self.owner.status in VOID

    @property
    def finding(self) -> NewFinding | None:
        """The finding, if there is one that somebody must hear of."""
        return None if self.judgement.settled else self.noted

    @property
    def noted(self) -> NewFinding | None:
        """What is written down of it, if anything."""
        if self.judgement.kind is None:
            return None
        return self._finding(self.judgement.kind, self.judgement.amount, self.judgement.facts, self.judgement.settled)

    @property
    def here_again(self) -> NewFinding | None:
        """The finding that money which had gone back is here again, if it is one."""
        if not self.judgement.here_again:
            return None
        return self._finding(FindingKind.HERE_AGAIN, self.payment.left, {"again": "yes"})

    def _finding(self, kind: FindingKind, amount: Decimal, facts: Mapping[str, str], settled: str = "") -> NewFinding:
        payment, owner = self.payment, self.owner
        detail = {
            **facts,
            "paid": str(payment.amount),
            "returned": str(payment.returned),
            "paid_at": payment.paid_at.isoformat() if payment.paid_at is not None else "",
            "summary": payment.summary,
            "foreign_id": payment.foreign_id,
            "status": owner.status if owner is not None else "",
        }
        return NewFinding(
            kind=kind,
            merchant_code=payment.merchant_code,
            amount=amount,
            currency=payment.currency,
            transaction_id=payment.transaction_id,
            transaction_code=payment.transaction_code,
            order_id=owner.order_id if owner is not None else None,
            order_number=owner.number if owner is not None else self.fee,
            detail={name: value for name, value in detail.items() if value},
            settled=settled,
        )


@dataclass(frozen=True, slots=True)
class JudgedPage:
    """The payments of a page that are judged, and the names of those that are `left`, since SumUp was not asked.

    `unanswered`: it was, and did not say.
    """

    judged: list[Judged]
    left: frozenset[str] = frozenset()
    unanswered: UnansweredError | None = None


class PageJudge:
    """Judges pages, asking SumUp about what their lines leave open. No transaction is open meanwhile."""

    def __init__(
        self,
        engine: sa.Engine,
        gateway: PaymentGateway,
        policy: Policy,
        rules: LedgerRules,
        stopped: Callable[[], bool],
    ) -> None:
        self._engine = engine
        self._gateway = gateway
        self._policy = policy
        self._rules = rules
        self._stopped = stopped

    def judge_page(
        self,
        page: LedgerPage,
        merchant_code: str,
        now: datetime,
        *,
        done: Collection[str] = (),
        should_end: Callable[[], bool] = lambda: False,
        questions: Questions | None = None,
    ) -> JudgedPage:
        """Return the page's online payments but those that are `done`, each judged, and what is left of them.

        One at least is judged before `should_end` counts, so that a page comes to its end however long that takes.
        `questions` are those asked about the page before.
        """
        questions = questions or Questions.to(self._gateway)
        lines = sort_lines(page.items, merchant_code)
        lines = replace(lines, payments={name: one for name, one in lines.payments.items() if name not in done})
        payments = dict(lines.payments)
        with transaction(self._engine) as connection:
            entries = find_entries(connection, payments)
            placed = {name: entry.order_id for name, entry in entries.items() if entry.order_id is not None}
            owners = find_owners(connection, payments.values(), placed, currency=self._policy.currency, now=now)
            unowned = [one for name, one in payments.items() if name not in owners]
            foreign = paid_without_order(connection, unowned, self._policy.references)
        for name, entry in entries.items():
            # A page that ends between a payment and what went back of it; or a tip that the line does not tell apart.
            if name in lines.headless or entry.gone:
                payments[name] = replace(payments[name], amount=entry.amount, paid_at=entry.paid_at)
            # The line knows what was refunded; a charge-back that was seen before stays seen.
            payments[name] = replace(payments[name], returned=max(payments[name].returned, entry.returned))
        foreign |= {name for name, one in payments.items() if name not in owners and self._rules.is_elses(one)}
        sound = {name for name, owner in owners.items() if is_as_expected(payments[name], owner)}
        voidable = {name for name, owner in owners.items() if self._rules.voids(owner)}
        wanted = needs_details(lines, entries, sound | foreign, voidable, owners)
        seen = _OnPage(payments, lines.changed, frozenset(owners), frozenset({*owners, *entries, *foreign}))
        seen.fees |= self._fees({name: one for name, one in payments.items() if name not in {*owners, *wanted}})
        self._ask(seen, wanted, questions, should_end)
        came_back = {name for name, entry in entries.items() if entry.gone and name in payments}
        with transaction(self._engine) as connection:
            new = [payments[name] for name in seen.placed]
            owners |= find_owners(connection, new, seen.placed, currency=self._policy.currency, now=now)
            owners = with_the_others(connection, owners, payments)
            came_back |= listed_as_here_again(connection, payments)
        owners |= {name: replace(owners[name], came_back=True) for name in came_back & owners.keys()}
        judged = [
            Judged(payment, None, judge_fee(payment, fee), fee.reference, asked=name in seen.asked)
            if (fee := seen.fees.get(name)) is not None
            else Judged(
                payment,
                owners.get(name),
                NOTHING if name in foreign else judge(payment, owners.get(name), self._rules, now),
                asked=name in seen.asked,
            )
            for name, payment in payments.items()
        ]
        return JudgedPage(judged, frozenset(seen.left), seen.unanswered)

    def _ask(
        self, seen: "_OnPage", wanted: Sequence[str], questions: Questions, should_end: Callable[[], bool]
    ) -> None:
        """Ask about the payments that are `wanted`, and take out those that are left.

        One after the other to its end: what is known of some when the time is up need not be asked again.
        """
        for position, name in enumerate(wanted):
            if position and should_end():
                seen.left = wanted[position:]
                break
            try:
                self._ask_about(seen, name, questions)
            except UnansweredError as error:
                seen.left, seen.unanswered = wanted[position:], error
                break
        for name in seen.left:
            del seen.payments[name]

    def _ask_about(self, seen: "_OnPage", name: str, questions: Questions) -> None:
        known = read_details(questions, seen.payments[name], stopped=self._stopped)
        if known is not None:
            seen.payments[name] = known
            seen.asked.add(name)
        elif name in seen.changed:  # what went back says nothing about what was paid
            del seen.payments[name]
            return
        if name not in seen.owned:
            seen.fees |= self._fees({name: seen.payments[name]})
        if name not in seen.noted and name not in seen.fees:
            self._place(seen, name, questions)

    def _fees(self, payments: Mapping[str, LedgerPayment]) -> dict[str, PaidFee]:
        """Return the listing fees of payments that are of no order."""
        texts = {name: [text for text in (one.foreign_id, one.summary) if text] for name, one in payments.items()}
        if not texts:
            return {}
        with transaction(self._engine) as connection:
            return fees_of(connection, texts, self._policy.fee_references)

    def _place(self, seen: "_OnPage", name: str, questions: Questions) -> None:
        """Look for the order, or the listing fee, of a payment that nobody has noted."""
        payment = seen.payments[name]
        if payment.gone or self._rules.is_elses(payment):
            return
        order_id = place(self._engine, questions, payment, self._policy.references)
        if order_id is not None:
            seen.placed[name] = order_id
        elif payment.merchant_code == self._policy.merchant_code and (
            reference := place_on_fee(self._engine, questions, payment, self._policy.fee_references)
        ):
            seen.fees[name] = PaidFee(reference)


@dataclass(slots=True)
class _OnPage:
    """A page's payments while SumUp is asked about them.

    `changed` as in PageLines; of `owned` payments the order is known; those that are `noted` need not be placed.
    """

    payments: dict[str, LedgerPayment]
    changed: frozenset[str]
    owned: frozenset[str]
    noted: frozenset[str]
    fees: dict[str, PaidFee] = field(default_factory=dict)
    placed: dict[str, int] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    left: Sequence[str] = ()
    unanswered: UnansweredError | None = None
