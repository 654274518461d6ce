"""What SumUp took and gave back within a period, by what it was for: each line of its list at its own time. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from paypoll.ledger.judging import Judged
from paypoll.payments.books import LedgerItem
from paypoll.payments.ledger import FindingKind, Role

_NOT_DONE = frozenset({"PENDING", "FAILED", "CANCELLED"})


class Purpose(StrEnum):
    """What a payment was for."""

    TICKETS = "tickets"
    """It bought an order's tickets by paypoll: what `paypoll report` counts as money in."""
    GONE = "tickets_of_gone_orders"
    """The same, of an order that is gone from the shop, or whose id another order has now."""
    TIPS = "tips"
    """What of such a payment was a tip."""
    BY_SHOP = "completed_by_shop"
    """It is of an order that the shop has completed by itself."""
    NOTHING = "bought_nothing"
    """It is of an order, and bought no tickets: a second payment, or one that waits."""
    FEES = "listing_fees"
    """It is a listing fee's."""
    UNPLACED = "unplaced"
    """Nobody can place it."""
    OTHERS = "something_else"
    """It is nobody's finding: `ledger.ignore` names it, or the shop knows it as no order's."""


_OF_TICKETS = frozenset({Purpose.TICKETS, Purpose.GONE})


@dataclass(slots=True)
class Sum:
    """What was taken and given back. `returned_since`: what went back of the taken, but not within the period."""

    taken: Decimal = Decimal(0)
    returned: Decimal = Decimal(0)
    returned_since: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class WentBack:
    """What went back of a payment within the period; when, if SumUp says so."""

    amount: Decimal
    at: datetime | None = None


@dataclass(slots=True)
class LedgerSums:
    """Takes the lines of a period, page by page.

    `went_back`: what went back within it, by transaction; `not_taken`: those of which SumUp took nothing after all.
    """

    by_purpose: dict[tuple[str, Purpose], Sum] = field(default_factory=dict)
    went_back: dict[str, list[WentBack]] = field(default_factory=dict)
    not_taken: set[str] = field(default_factory=set)
    _paid: set[str] = field(default_factory=set)
    _touched: dict[str, Judged] = field(default_factory=dict)

    def add(self, items: Iterable[LedgerItem], judged: Mapping[str, Judged]) -> None:
        """Enter the lines of a page. What was not judged is no money of anybody's: a declined card."""
        for item in items:
            one = judged.get(item.transaction_id)
            if one is None:
                continue
            is_new = item.kind == "PAYMENT" and not self.is_paid(item.transaction_id)
            if is_new:
                self._paid.add(item.transaction_id)
            if not one.payment.taken:
                self.not_taken.add(item.transaction_id)
            elif is_new:
                self._take(item, one)
            elif item.kind != "PAYMENT" and item.status not in _NOT_DONE:
                self.went_back.setdefault(item.transaction_id, []).append(WentBack(item.amount, item.at))
                self._touched[item.transaction_id] = one

    def is_paid(self, transaction_id: str) -> bool:
        """Say whether the payment was made within the period."""
        return transaction_id in self._paid

    def end(self, *, is_past: bool) -> None:
        """Enter what went back, now that all lines are known.

        More than they say went back of the period's payments: later, where it `is_past`, else when SumUp does not say.
        """
        for name, one in self._touched.items():
            known = sum((back.amount for back in self.went_back.get(name, ())), Decimal(0))
            more, is_paid = max(one.payment.returned - known, Decimal(0)), self.is_paid(name)
            if is_paid and more and not is_past:
                self.went_back.setdefault(name, []).append(WentBack(more))
                known, more = known + more, Decimal(0)
            # Of an earlier payment the rest had gone back before: so it was when the period was over.
            before = Decimal(0) if is_paid else more
            for purpose, amount in _parts(one, before, before + known):
                self._sum(one, purpose).returned += amount
            for purpose, amount in _parts(one, known, known + more) if is_paid else ():
                self._sum(one, purpose).returned_since += amount
        self._touched.clear()

    def total(self, currency: str) -> Sum:
        """Return what all of a currency comes to."""
        sums = [one for (code, _), one in self.by_purpose.items() if code == currency]
        return Sum(
            sum((one.taken for one in sums), Decimal(0)),
            sum((one.returned for one in sums), Decimal(0)),
            sum((one.returned_since for one in sums), Decimal(0)),
        )

    @property
    def currencies(self) -> list[str]:
        """The currencies, in the order of their names."""
        return sorted({code for code, _ in self.by_purpose})

    def _take(self, item: LedgerItem, judged: Judged) -> None:
        # Of what is gone an earlier sweep knows the amount without the tip; of others the line may not know the tip.
        purpose, amount = purpose_of(judged), max(item.amount, judged.payment.amount)
        tip = max(amount - judged.payment.net, Decimal(0)) if purpose in _OF_TICKETS else Decimal(0)
        if tip:
            self._sum(judged, Purpose.TIPS).taken += tip
        self._sum(judged, purpose).taken += amount - tip
        if judged.payment.returned:
            self._touched[item.transaction_id] = judged

    def _sum(self, judged: Judged, purpose: Purpose) -> Sum:
        return self.by_purpose.setdefault((judged.payment.currency, purpose), Sum())


def _parts(judged: Judged, before: Decimal, after: Decimal) -> list[tuple[Purpose, Decimal]]:
    """Return what went back from one sum of it to another, by what it was of: the price first, then the tip."""
    purpose = purpose_of(judged)
    if purpose not in _OF_TICKETS:
        return [(purpose, after - before)]
    price = min(after, judged.payment.net) - min(before, judged.payment.net)
    parts = [(purpose, price), (Purpose.TIPS, after - before - price)]
    return [(which, amount) for which, amount in parts if amount]


def purpose_of(judged: Judged) -> Purpose:
    """Return what the payment was for."""
    if judged.fee:
        return Purpose.FEES
    if judged.gone:
        return Purpose.GONE
    if judged.owner is None:
        unplaced = judged.judgement.kind is FindingKind.UNPLACED or judged.judgement.wait
        return Purpose.UNPLACED if unplaced else Purpose.OTHERS
    by_role = {Role.FULFILLED: Purpose.TICKETS, Role.NOTED_BY_SHOP: Purpose.BY_SHOP, Role.OTHER: Purpose.NOTHING}
    return by_role[judged.owner.role]
