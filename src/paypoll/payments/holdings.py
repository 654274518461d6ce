"""Which payments of an order still hold its money, and so pay for its tickets. Pure; rows 52a and 53 of outcomes.md."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from decimal import ROUND_DOWN, Decimal

from paypoll.payments.ledger import LedgerPayment, Owner
from paypoll.payments.money import exponent


@dataclass(frozen=True, slots=True)
class Left:
    """What is left of a payment."""

    amount: Decimal
    currency: str

    @classmethod
    def of(cls, payment: LedgerPayment) -> "Left":
        """Return what is left of this one."""
        return cls(payment.left, payment.currency)


@dataclass(frozen=True, slots=True)
class Places:
    """What an order has of one event: prices with how many places each, and how many of its tickets still admit."""

    prices: tuple[tuple[Decimal, int], ...]
    admitting: int

    @property
    def bought(self) -> int:
        """How many places were bought."""
        return sum(quantity for _, quantity in self.prices)


def price_of_the_rest(price: Left, places: Collection[Places]) -> Decimal | None:
    """Return what the tickets of an order over this price that still admit cost; None where nobody can tell.

    Where a voucher made the order cheaper, or a fee dearer, what is asked for a ticket is the less of both.
    """
    if all(one.admitting == one.bought for one in places):
        return price.amount
    whole = rest = Decimal(0)
    for one in places:
        different = {amount for amount, quantity in one.prices if quantity}
        if one.admitting > one.bought or not all(amount.is_finite() for amount in different):
            return None
        if one.admitting not in {0, one.bought} and len(different) > 1:
            return None
        total = sum((amount * quantity for amount, quantity in one.prices), Decimal(0))
        whole += total
        rest += total * one.admitting / one.bought if one.admitting else 0
    if not 0 < rest <= whole:
        return None
    penny = Decimal(1).scaleb(-exponent(price.currency))
    return min(rest, (price.amount * rest / whole).quantize(penny, ROUND_DOWN))


@dataclass(frozen=True, slots=True)
class Holdings:
    """The payments of an order that has its tickets, by their transaction ids, with what is left of each.

    `price` is what the order was completed by, and `bought_by` the payment that did it: it holds until the ledger shows
    otherwise, also where no ledger shows it. `before`: as the ledger had them; `now`: as it lists them now, over that.
    `unread`: those that a look at the order has seen and no ledger has shown: nobody knows over how much they are.
    `rest`: what the tickets that still admit cost, less than `price` where some do no more; None where nobody can tell:
    then whatever is left of another payment may pay for them.
    """

    price: Left
    bought_by: str = ""
    before: Mapping[str, Left] = field(default_factory=dict)
    now: Mapping[str, Left] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    rest: Decimal | None = None

    def told_to(self, owner: Owner, payment: LedgerPayment) -> Owner:
        """Return the owner of one of these payments, of which something went back, with what the others are to it."""
        name = payment.transaction_id
        # One that is listed for the first time has held until now.
        before = {**self._bought, name: Left(payment.net, payment.currency), **self.before}
        held_before, hold = self._pay(before), self._pay(self._all)
        return replace(
            owner,
            held=tuple(sorted(self._may_pay - {name})),
            unread=self.unread,
            # Where the one that bought the tickets goes back last, its own finding says so.
            unpaid=not hold and name in held_before and self.bought_by not in held_before,
        )

    def rests_on_none_but(self, name: str) -> bool:
        """Say whether this payment bought the tickets, as far as is known, and no other pays for them, or may."""
        return self.bought_by in {"", name} and not self.unread and not self._may_pay - {name}

    @property
    def _bought(self) -> Mapping[str, Left]:
        return {self.bought_by: self.price} if self.bought_by else {}

    @property
    def _all(self) -> Mapping[str, Left]:
        return {**self._bought, **self.before, **self.now}

    @property
    def _may_pay(self) -> set[str]:
        """Return those that pay for the tickets, or may."""
        if self.rest is not None:
            return self._pay(self._all)
        return {name for name, left in self._all.items() if left.amount > 0}

    def _pay(self, payments: Mapping[str, Left]) -> set[str]:
        """Return those that pay for the tickets: a penny does not."""
        return {
            name
            for name, left in payments.items()
            if left.amount >= (self.price.amount if self.rest is None else self.rest)
            and left.currency == self.price.currency
        }
