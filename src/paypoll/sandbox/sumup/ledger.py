"""What the simulated SumUp knows: checkouts, the attempts at paying them, and what was given back.

Amounts are Decimals in major units, times are aware datetimes in UTC. Each operation is atomic; a Checkout that was
handed out never changes.
"""

import itertools
import random
import threading
import uuid
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import Final

from paypoll.clock import Clock
from paypoll.payments.gateway import CheckoutStatus

CARD_THAT_PAYS: Final = "5555444433331111"
CARD_THAT_DECLINES: Final = "4000000000000002"
DECLINED_AMOUNTS: Final = frozenset(map(Decimal, ("11.00", "42.01", "42.76", "42.91")))
"""Amounts whose payment fails in SumUp's own sandbox."""

HOSTED_PAGE_LIFE: Final = timedelta(minutes=30)


class LedgerError(Exception):
    """The ledger refuses. The text says why."""


class NoCheckoutError(LedgerError):
    """There is no such checkout, or it was forgotten."""


class CheckoutStateError(LedgerError):
    """The checkout is not in a state in which this can be done."""


class DuplicateError(LedgerError):
    """The merchant has a checkout with this id or reference already."""


class Kind(StrEnum):
    """How money went back."""

    REFUND = "REFUND"
    CHARGE_BACK = "CHARGE_BACK"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at paying; SumUp calls it a transaction. `status` is SUCCESSFUL or FAILED."""

    id: str
    number: int
    code: str
    status: str
    amount: Decimal
    at: datetime
    card: str

    @property
    def successful(self) -> bool:
        """Whether money was taken."""
        return self.status == "SUCCESSFUL"


@dataclass(frozen=True, slots=True)
class Return:
    """Money that went back, or is about to, as an event of the transaction."""

    number: int
    kind: Kind
    status: str
    amount: Decimal
    at: datetime


@dataclass(frozen=True, slots=True)
class Checkout:
    """A checkout. `valid_until` is None when it never expires; texts that were not given are empty."""

    id: str
    reference: str
    amount: Decimal
    currency: str
    merchant_code: str
    created_at: datetime
    valid_until: datetime | None = None
    description: str = ""
    redirect_url: str = ""
    return_url: str = ""
    hosted: bool = False
    status: str = CheckoutStatus.PENDING
    attempts: tuple[Attempt, ...] = ()
    returns: tuple[Return, ...] = ()

    @property
    def payment(self) -> Attempt | None:
        """The attempt in which money was taken."""
        return next((attempt for attempt in self.attempts if attempt.successful), None)

    @property
    def refunded(self) -> Decimal:
        """The sum of the refunds that did not fail, in major units."""
        return self._sum(Kind.REFUND)

    @property
    def left(self) -> Decimal:
        """What is left of the payment, in major units; 0 when there was none."""
        paid = self.payment.amount if self.payment is not None else Decimal(0)
        return paid - self._sum(Kind.REFUND) - self._sum(Kind.CHARGE_BACK)

    def _sum(self, kind: Kind) -> Decimal:
        counted = (back.amount for back in self.returns if back.kind is kind and back.status != "FAILED")
        return sum(counted, Decimal(0))


class Ledger:
    """All checkouts of all merchants. `seed` makes the ids the same in every run; without it they never repeat."""

    def __init__(self, clock: Clock, seed: int | None = None) -> None:
        self._clock = clock
        self._random = random.Random(seed)  # noqa: S311 - ids of a simulation
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._checkouts: dict[str, Checkout] = {}

    def create(self, checkout: Checkout, *, unique_reference: bool = True) -> Checkout:
        """Put a new checkout in; one without an id gets one.

        A hosted one without `valid_until` is given the 30 minutes of its page. Raise DuplicateError when the id is
        taken, or the merchant has the reference already, in whatever state (unless that is wanted: SumUp's list is
        documented to have any number of entries).
        """
        with self._lock:
            if checkout.id in self._checkouts:
                raise DuplicateError("a checkout has this id already")
            if unique_reference and self.find(checkout.merchant_code, checkout.reference):
                raise DuplicateError("the merchant has a checkout with this reference already")
            valid_until = checkout.valid_until
            if valid_until is None and checkout.hosted:
                valid_until = checkout.created_at + HOSTED_PAGE_LIFE
            made = replace(checkout, id=checkout.id or self._new_id(), valid_until=valid_until)
            self._checkouts[made.id] = made
            return made

    def get(self, checkout_id: str) -> Checkout:
        """Return the checkout as it is now, EXPIRED if its time has passed unpaid. Raise NoCheckoutError."""
        with self._lock:
            checkout = self._checkouts.get(checkout_id)
            if checkout is None:
                raise NoCheckoutError(f"there is no checkout {checkout_id!r}")
            over = checkout.valid_until is not None and checkout.valid_until <= self._clock.now()
            if over and checkout.status in {CheckoutStatus.PENDING, CheckoutStatus.FAILED}:
                return self._put(replace(checkout, status=CheckoutStatus.EXPIRED))
            return checkout

    def all(self) -> tuple[Checkout, ...]:
        """Return every checkout, the oldest entry first."""
        with self._lock:
            return tuple(self.get(checkout_id) for checkout_id in tuple(self._checkouts))

    def find(self, merchant_code: str, reference: str | None) -> tuple[Checkout, ...]:
        """Return the merchant's checkouts with this reference; all of them when it is None."""
        with self._lock:
            ids = [
                checkout.id
                for checkout in self._checkouts.values()
                if checkout.merchant_code == merchant_code and reference in {None, checkout.reference}
            ]
            return tuple(map(self.get, ids))

    def pay(self, checkout_id: str, *, card: str = CARD_THAT_PAYS, force: bool = False) -> Checkout:
        """Attempt to pay with the card: PAID, or FAILED where card or amount is one that is declined.

        Raise CheckoutStateError when it is PAID or EXPIRED. With `force` only PAID stands in the way: so a test gets
        the payment that was under way while the checkout expired.
        """
        with self._lock:
            checkout = self._payable(checkout_id, force=force)
            declined = not force and (card == CARD_THAT_DECLINES or checkout.amount in DECLINED_AMOUNTS)
            return self._attempt(checkout, card, successful=not declined)

    def decline(self, checkout_id: str) -> Checkout:
        """Let an attempt at paying fail: FAILED, until another attempt. Raise CheckoutStateError."""
        with self._lock:
            return self._attempt(self._payable(checkout_id, force=False), CARD_THAT_DECLINES, successful=False)

    def close(self, checkout_id: str) -> Checkout:
        """Make it EXPIRED. Raise CheckoutStateError when it is paid."""
        with self._lock:
            checkout = self.get(checkout_id)
            if checkout.status == CheckoutStatus.PAID:
                raise CheckoutStateError("the checkout is paid")
            return self._put(replace(checkout, status=CheckoutStatus.EXPIRED))

    def give_back(self, checkout_id: str, kind: Kind, amount: Decimal | None, status: str) -> Checkout:
        """Add a refund or charge-back, of all that is left if no amount is given. The checkout stays PAID.

        Raise CheckoutStateError when it is not paid, or not that much is left of the payment.
        """
        with self._lock:
            checkout = self.get(checkout_id)
            if checkout.payment is None:
                raise CheckoutStateError("the checkout is not paid")
            back = checkout.left if amount is None else amount
            if not 0 < back <= checkout.left:
                raise CheckoutStateError(f"{back} cannot go back: {checkout.left} is left of the payment")
            event = Return(next(self._numbers), kind, status, back, self._clock.now())
            return self._put(replace(checkout, returns=(*checkout.returns, event)))

    def forget(self, checkout_id: str) -> None:
        """Take the checkout out, with its transactions, as if it had never been. Raise NoCheckoutError."""
        with self._lock:
            del self._checkouts[self.get(checkout_id).id]

    def transactions(self, merchant_code: str) -> tuple[tuple[Checkout, Attempt], ...]:
        """Return the merchant's transactions with their checkouts, the oldest first."""
        found = ((checkout, attempt) for checkout in self.find(merchant_code, None) for attempt in checkout.attempts)
        return tuple(sorted(found, key=lambda pair: (pair[1].at, pair[1].number)))

    def _payable(self, checkout_id: str, *, force: bool) -> Checkout:
        checkout = self.get(checkout_id)
        if checkout.status == CheckoutStatus.PAID or (checkout.status == CheckoutStatus.EXPIRED and not force):
            raise CheckoutStateError(f"the checkout is {checkout.status}")
        return checkout

    def _attempt(self, checkout: Checkout, card: str, *, successful: bool) -> Checkout:
        number = next(self._numbers)
        attempt = Attempt(
            id=self._new_id(),
            number=number,
            code=f"TSB{number:07d}",
            status="SUCCESSFUL" if successful else "FAILED",
            amount=checkout.amount,
            at=self._clock.now(),
            card=card,
        )
        status = CheckoutStatus.PAID if successful else CheckoutStatus.FAILED
        return self._put(replace(checkout, status=status, attempts=(*checkout.attempts, attempt)))

    def _put(self, checkout: Checkout) -> Checkout:
        self._checkouts[checkout.id] = checkout
        return checkout

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))
