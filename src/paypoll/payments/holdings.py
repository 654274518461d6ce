"""Which payments of an order still hold its money, and so pay for its tickets. Pure; rows 52 and 53 of outcomes.md."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal

from paypoll.payments.ledger import LedgerPayment, Owner


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
class Holdings:
    """The payments of an order that has its tickets, by their transaction ids, with what is left of each.

    `price` is what the order was completed by, and `bought_by` the payment that did it: it holds until the ledger shows
    otherwise, also where no ledger shows it. `before`: as the ledger had them; `now`: as it lists them now, over that.
    `unread`: those that a look at the order has seen and no ledger has shown: nobody knows over how much they are.
    """

    price: Left
    bought_by: str = ""
    before: Mapping[str, Left] = field(default_factory=dict)
    now: Mapping[str, Left] = field(default_factory=dict)
    unread: tuple[str, ...] = ()

    def told_to(self, owner: Owner, payment: LedgerPayment) -> Owner:
        """Return the owner of one of these payments, of which something went back, with what the others are to it."""
        name = payment.transaction_id
        bought = {self.bought_by: self.price} if self.bought_by else {}
        # One that is listed for the first time has held until now.
        before = {**bought, name: Left(payment.net, payment.currency), **self.before}
        held_before, hold = self._pay(before), self._holding()
        return replace(
            owner,
            held=tuple(sorted(hold - {name})),
            unread=self.unread,
            # Where the one that bought the tickets goes back last, its own finding says so.
            unpaid=not hold and name in held_before and self.bought_by not in held_before,
        )

    def rests_on_none_but(self, name: str) -> bool:
        """Say whether this payment bought the tickets, as far as is known, and no other pays for them, or may."""
        return self.bought_by in {"", name} and not self.unread and not self._holding() - {name}

    def _holding(self) -> set[str]:
        bought = {self.bought_by: self.price} if self.bought_by else {}
        return self._pay({**bought, **self.before, **self.now})

    def _pay(self, payments: Mapping[str, Left]) -> set[str]:
        """Return those that pay for the tickets: a penny does not."""
        return {
            name
            for name, left in payments.items()
            if left.amount >= self.price.amount and left.currency == self.price.currency
        }
