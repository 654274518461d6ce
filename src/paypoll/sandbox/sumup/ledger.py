"""What the simulated SumUp knows, and what can happen to it.

Each operation is atomic; an entry that was handed out never changes.
"""

import itertools
import random
import threading
import uuid
from collections.abc import Callable
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

from paypoll.clock import Clock
from paypoll.payments.gateway import CheckoutStatus
from paypoll.sandbox.sumup.entries import (
    CARD_THAT_DECLINES,
    CARD_THAT_PAYS,
    DECLINED_AMOUNTS,
    FAILED,
    HOSTED_PAGE_LIFE,
    PENDING,
    SUCCESSFUL,
    Checkout,
    CheckoutStateError,
    DuplicateError,
    Kind,
    LedgerError,
    Merchant,
    NoCheckoutError,
    NoTransactionError,
    PaymentUnderWayError,
    Payout,
    Return,
    TooMuchError,
    Transaction,
)
from paypoll.sandbox.sumup.paying_out import payouts_of

__all__ = [
    "CARD_THAT_DECLINES",
    "CARD_THAT_PAYS",
    "Checkout",
    "CheckoutStateError",
    "DuplicateError",
    "Kind",
    "Ledger",
    "LedgerError",
    "NoCheckoutError",
]

OnChange = Callable[[Checkout | None, Checkout], None]
"""Is told of a checkout that was made or changed: how it was, and how it is."""


class Ledger:
    """All entries of all merchants. `seed` makes the ids the same in every run; without it they never repeat.

    `refunds_begin_as` is the status of a refund that the API is asked for, `refunds_show_after` how long it takes
    until SumUp tells of one. `on_change` is called under the ledger's lock: it must be quick.
    """

    def __init__(self, clock: Clock, seed: int | None = None) -> None:
        self.refunds_begin_as = "REFUNDED"
        self.refunds_show_after = timedelta(0)
        self.on_change: OnChange = lambda before, after: None  # noqa: ARG005 - nobody listens yet
        self._clock = clock
        self._random = random.Random(seed)  # noqa: S311 - ids of a simulation
        self._numbers = itertools.count(1)
        self._lock = threading.RLock()
        self._merchants: dict[str, Merchant] = {}
        self._checkouts: dict[str, Checkout] = {}
        self._sales: dict[str, Transaction] = {}
        # The checkout of each attempt: SumUp is asked for a transaction as often as for a checkout.
        self._checkout_of: dict[str, str] = {}
        self._payouts: list[Payout] = []

    # --- merchants ---------------------------------------------------------------------------------------

    def add_merchant(self, merchant: Merchant) -> None:
        """Put a merchant in, or put other words about it in."""
        with self._lock:
            self._merchants[merchant.code] = merchant

    def merchant(self, code: str) -> Merchant:
        """Return the merchant; one that nobody described has a name made from its code."""
        with self._lock:
            return self._merchants.get(code) or Merchant(code, f"Merchant {code}")

    # --- checkouts ---------------------------------------------------------------------------------------

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
            return self._put(made)

    def get(self, checkout_id: str) -> Checkout:
        """Return the checkout as it is now, EXPIRED if its time has passed unpaid. Raise NoCheckoutError.

        One whose payment is being authorised waits for the end of that.
        """
        with self._lock:
            checkout = self._checkouts.get(checkout_id)
            if checkout is None:
                raise NoCheckoutError(f"there is no checkout {checkout_id!r}")
            over = checkout.valid_until is not None and checkout.valid_until <= self._clock.now()
            open_ = checkout.status in {CheckoutStatus.PENDING, CheckoutStatus.FAILED} and checkout.under_way is None
            if over and open_:
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

    def close(self, checkout_id: str) -> Checkout:
        """Make it EXPIRED. Raise CheckoutStateError when it is paid, PaymentUnderWayError while it is being paid."""
        with self._lock:
            checkout = self.get(checkout_id)
            if checkout.status == CheckoutStatus.PAID:
                raise CheckoutStateError("the checkout is paid")
            if checkout.under_way is not None:
                raise PaymentUnderWayError("a payment of the checkout is under way")
            return self._put(replace(checkout, status=CheckoutStatus.EXPIRED))

    def forget(self, checkout_id: str) -> None:
        """Take the checkout out, with its transactions, as if it had never been. Raise NoCheckoutError."""
        with self._lock:
            del self._checkouts[self.get(checkout_id).id]

    # --- paying ------------------------------------------------------------------------------------------

    def pay(self, checkout_id: str, *, card: str = CARD_THAT_PAYS, force: bool = False) -> Checkout:
        """Attempt to pay with the card: PAID, or FAILED where card or amount is one that is declined.

        Raise CheckoutStateError when it is PAID or EXPIRED. With `force` only PAID stands in the way: so a test gets
        the payment that was under way while the checkout expired.
        """
        with self._lock:
            checkout = self._payable(checkout_id, force=force)
            declined = not force and (card == CARD_THAT_DECLINES or checkout.amount in DECLINED_AMOUNTS)
            return self._attempt(checkout, card, FAILED if declined else SUCCESSFUL)

    def decline(self, checkout_id: str) -> Checkout:
        """Let an attempt at paying fail: FAILED, until another attempt. Raise CheckoutStateError."""
        with self._lock:
            return self._attempt(self._payable(checkout_id, force=False), CARD_THAT_DECLINES, FAILED)

    def begin_payment(self, checkout_id: str, *, card: str = CARD_THAT_PAYS) -> Checkout:
        """Begin an attempt and leave it PENDING, as while the bank asks its customer. Raise CheckoutStateError."""
        with self._lock:
            return self._attempt(self._payable(checkout_id, force=False), card, PENDING)

    def end_payment(self, checkout_id: str, status: str = SUCCESSFUL) -> Checkout:
        """End the attempt that is under way: SUCCESSFUL, FAILED or CANCELLED. Raise CheckoutStateError without one."""
        with self._lock:
            checkout = self.get(checkout_id)
            begun = checkout.under_way
            if begun is None:
                raise CheckoutStateError("no payment of the checkout is under way")
            ended = replace(begun, status=status, changed_at=self._clock.now())
            attempts = tuple(ended if attempt is begun else attempt for attempt in checkout.attempts)
            became = CheckoutStatus.PAID if ended.successful else CheckoutStatus.FAILED
            return self._put(replace(checkout, status=became, attempts=attempts))

    def sell(self, sale: Transaction) -> Transaction:
        """Put in a sale without a checkout, of a card reader or another shop. Its id, number and code are given."""
        with self._lock:
            number = next(self._numbers)
            made = replace(sale, id=self._new_id(), number=number, code=f"TSB{number:07d}")
            self._sales[made.id] = made
            return made

    # --- money that goes back ----------------------------------------------------------------------------

    def give_back(self, checkout_id: str, kind: Kind, amount: Decimal | None, status: str) -> Checkout:
        """Add a refund or charge-back, of all that is left if no amount is given. The checkout stays PAID.

        Raise CheckoutStateError when it is not paid, TooMuchError when not that much is left of the payment.
        """
        with self._lock:
            payment = self.get(checkout_id).payment
            if payment is None:
                raise CheckoutStateError("the checkout is not paid")
            self.give_back_of(payment.id, kind, amount, status)
            return self.get(checkout_id)

    def give_back_of(self, transaction_id: str, kind: Kind, amount: Decimal | None, status: str) -> Transaction:
        """Do the same with a transaction, whether it has a checkout or not. Raise NoTransactionError as well."""
        with self._lock:
            transaction = self._transaction(transaction_id)
            back = transaction.left if amount is None else amount
            if not transaction.successful or transaction.left == 0:
                raise CheckoutStateError("nothing is left that could go back")
            if not 0 < back <= transaction.left:
                raise TooMuchError(back, transaction.left)
            now = self._clock.now()
            shown = now + self.refunds_show_after
            event = Return(self._new_id(), next(self._numbers), kind, status, back, now, shown, shown)
            return self._replace(replace(transaction, returns=(*transaction.returns, event), changed_at=shown))

    def settle_returns(self, transaction_id: str, status: str) -> Transaction:
        """Give everything that goes back of this transaction this status, as when a PENDING refund becomes final."""
        with self._lock:
            transaction, now = self._transaction(transaction_id), self._clock.now()
            settled = tuple(replace(back, status=status, changed_at=now) for back in transaction.returns)
            return self._replace(replace(transaction, returns=settled, changed_at=now))

    # --- the merchant's books ----------------------------------------------------------------------------

    def transactions(self, merchant_code: str) -> tuple[Transaction, ...]:
        """Return the merchant's transactions as SumUp tells of them now, the oldest first."""
        with self._lock:
            found = [attempt for checkout in self.find(merchant_code, None) for attempt in checkout.attempts]
            found += [sale for sale in self._sales.values() if sale.merchant_code == merchant_code]
            return tuple(map(self._as_told, sorted(found, key=lambda one: (one.at, one.number))))

    def transaction(self, transaction_id: str, merchant_code: str) -> Transaction:
        """Return one of them. Raise NoTransactionError, also when it is another merchant's."""
        with self._lock:
            found = self._as_told(self._transaction(transaction_id))
            if found.merchant_code != merchant_code:
                raise NoTransactionError("it is another merchant's")
            return found

    def pay_out(self, merchant_code: str, on: date, fee_rate: Decimal) -> tuple[Payout, ...]:
        """Pay out all that was not yet: a record for each sale, less the fee, and for all that went back of one."""
        with self._lock:
            made: list[Payout] = []
            for transaction in self.transactions(merchant_code):
                records = payouts_of(transaction, on, fee_rate, lambda: next(self._numbers))
                if records:
                    made += records
                    self._replace(_paid_out(self._transaction(transaction.id), on))
            self._payouts += made
            return tuple(made)

    def add_payout(self, payout: Payout) -> Payout:
        """Put in a record of any kind. Its number is given."""
        with self._lock:
            made = replace(payout, number=next(self._numbers))
            self._payouts.append(made)
            return made

    def payouts(self, merchant_code: str) -> tuple[Payout, ...]:
        """Return the merchant's payouts and deductions by date, those of a day as they were made."""
        with self._lock:
            found = (payout for payout in self._payouts if payout.merchant_code == merchant_code)
            return tuple(sorted(found, key=lambda payout: (payout.on, payout.number)))

    # --- inside ------------------------------------------------------------------------------------------

    def _payable(self, checkout_id: str, *, force: bool) -> Checkout:
        checkout = self.get(checkout_id)
        if checkout.status == CheckoutStatus.PAID or (checkout.status == CheckoutStatus.EXPIRED and not force):
            raise CheckoutStateError(f"the checkout is {checkout.status}")
        if checkout.under_way is not None:
            raise PaymentUnderWayError("a payment of the checkout is under way")
        return checkout

    def _attempt(self, checkout: Checkout, card: str, status: str) -> Checkout:
        number, now = next(self._numbers), self._clock.now()
        attempt = Transaction(
            id=self._new_id(),
            number=number,
            code=f"TSB{number:07d}",
            status=status,
            amount=checkout.amount,
            currency=checkout.currency,
            merchant_code=checkout.merchant_code,
            at=now,
            changed_at=now,
            card=card,
            description=checkout.description,
        )
        became = {SUCCESSFUL: CheckoutStatus.PAID, FAILED: CheckoutStatus.FAILED}.get(status, checkout.status)
        return self._put(replace(checkout, status=became, attempts=(*checkout.attempts, attempt)))

    def _transaction(self, transaction_id: str) -> Transaction:
        if transaction_id in self._sales:
            return self._sales[transaction_id]
        checkout = self._checkouts.get(self._checkout_of.get(transaction_id, ""))
        for attempt in checkout.attempts if checkout is not None else ():
            if attempt.id == transaction_id:
                return attempt
        raise NoTransactionError(f"there is no transaction {transaction_id!r}")

    def _as_told(self, transaction: Transaction) -> Transaction:
        now = self._clock.now()
        if all(back.shown_from <= now for back in transaction.returns):
            return transaction
        return replace(transaction, returns=tuple(back for back in transaction.returns if back.shown_from <= now))

    def _replace(self, changed: Transaction) -> Transaction:
        if changed.id in self._sales:
            self._sales[changed.id] = changed
            return changed
        checkout = self._checkouts[self._checkout_of[changed.id]]
        attempts = tuple(changed if attempt.id == changed.id else attempt for attempt in checkout.attempts)
        self._put(replace(checkout, attempts=attempts))
        return changed

    def _put(self, checkout: Checkout) -> Checkout:
        before = self._checkouts.get(checkout.id)
        self._checkouts[checkout.id] = checkout
        self._checkout_of.update((attempt.id, checkout.id) for attempt in checkout.attempts)
        self.on_change(before, checkout)
        return checkout

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._random.getrandbits(128), version=4))


def _paid_out(transaction: Transaction, on: date) -> Transaction:
    returns = tuple(replace(back, deducted=True) for back in transaction.returns)
    return replace(transaction, paid_out_on=transaction.paid_out_on or on, returns=returns)
