"""What a test or the demo can do to the simulated SumUp: its merchants, their money, and what it says of them."""

from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from paypoll.clock import Clock
from paypoll.sandbox.sumup.entries import CARD_THAT_PAYS, Checkout, Kind, Merchant, Payout, PayoutKind, Transaction
from paypoll.sandbox.sumup.keyring import (
    CLIENT_SCOPES,
    CONNECTION_SCOPES,
    EVERY_SCOPE,
    Access,
    AuthKind,
    Keyring,
    Scope,
)
from paypoll.sandbox.sumup.ledger import Ledger
from paypoll.sandbox.sumup.panel.books import contradict, untamper
from paypoll.sandbox.sumup.tampering import Contradiction, Tampering

TOKEN_LIFE: Final = timedelta(seconds=3599)
FEE_RATE: Final = Decimal("0.0169")


class Controls:
    """The simulated SumUp without its HTTP server. Every method may be called from any thread.

    A checkout is named by its id; methods raise `ledger.NoCheckoutError` for one that is not there and
    `ledger.CheckoutStateError` when its state does not allow what is asked.
    """

    def __init__(self, clock: Clock, *, rotate_refresh_tokens: bool, token_life: timedelta, seed: int | None) -> None:
        self._clock = clock
        self.ledger = Ledger(clock, seed)
        self.keyring = Keyring(clock, token_life, rotate=rotate_refresh_tokens)
        self._tampering = Tampering()

    # --- who may ask -------------------------------------------------------------------------------------

    def add_merchant(self, code: str, api_key: str, *, name: str = "", scopes: frozenset[Scope] = EVERY_SCOPE) -> None:
        """Let in whoever has the API key, as this merchant. A merchant may have several, with different scopes."""
        self.keyring.add_api_key(api_key, code, scopes)
        if name:
            self.ledger.add_merchant(Merchant(code, name))

    def add_client(
        self, client_id: str, secret: str, merchant_code: str = "", *, scopes: frozenset[Scope] = CLIENT_SCOPES
    ) -> None:
        """Let an OAuth client fetch tokens; by client_credentials it acts for this merchant, in these scopes."""
        self.keyring.add_client(client_id, secret, merchant_code, scopes)

    def connect_merchant(
        self,
        merchant_code: str,
        client_id: str,
        refresh_token: str = "",
        *,
        scopes: frozenset[Scope] = CONNECTION_SCOPES,
    ) -> str:
        """Return a refresh token (the given one), as if the merchant had let the client act for it."""
        return self.keyring.connect(client_id, merchant_code, refresh_token, scopes)

    def issue_access_token(self, merchant_code: str, *, scopes: frozenset[Scope] = CONNECTION_SCOPES) -> str:
        """Return a new access token of a connected merchant, as it would stand in the shop's database."""
        return self.keyring.issue(Access(AuthKind.REFRESH_TOKEN, merchant_code, scopes))

    def revoke(self, merchant_code: str) -> None:
        """Take the merchant's connection back: its refresh tokens are `invalid_grant`, its access tokens unknown."""
        self.keyring.revoke(merchant_code)

    def expire_access_tokens(self) -> None:
        """Answer 401 to every access token given out so far."""
        self.keyring.expire_tokens()

    # --- checkouts ---------------------------------------------------------------------------------------

    def create_checkout(
        self,
        *,
        reference: str,
        amount: Decimal,
        currency: str = "GBP",
        merchant_code: str,
        checkout_id: str = "",
        valid_until: datetime | None = None,
        redirect_url: str = "",
        return_url: str = "",
        description: str = "",
        hosted: bool = False,
    ) -> str:
        """Make a PENDING checkout and return its id.

        Unlike SumUp's own POST it lets a merchant have two with the same reference, of any length. A hosted one
        expires after 30 minutes, another one at `valid_until` or never. Raise `ledger.DuplicateError` when the id is
        taken.
        """
        wanted = Checkout(
            id=checkout_id,
            reference=reference,
            amount=amount,
            currency=currency,
            merchant_code=merchant_code,
            created_at=self._clock.now(),
            valid_until=valid_until,
            description=description,
            redirect_url=redirect_url,
            return_url=return_url,
            hosted=hosted,
        )
        return self.ledger.create(wanted, unique_reference=False).id

    def checkout(self, checkout_id: str) -> Checkout:
        """Return the checkout as it is now."""
        return self.ledger.get(checkout_id)

    def pay(self, checkout_id: str, *, card: str = CARD_THAT_PAYS, force: bool = False) -> Checkout:
        """Attempt to pay: PAID, or FAILED where SumUp's sandbox declines the card or the amount (11.00, 42.01, …).

        With `force` it is PAID whatever the amount, and also when it is EXPIRED: the payment was under way.
        """
        return self.ledger.pay(checkout_id, card=card, force=force)

    def decline(self, checkout_id: str) -> Checkout:
        """Let an attempt fail. The checkout is FAILED and can still be paid."""
        return self.ledger.decline(checkout_id)

    def begin_payment(self, checkout_id: str) -> Checkout:
        """Begin an attempt and leave it PENDING: closing is refused with CHECKOUT_CANT_BE_DEACTIVATED meanwhile."""
        return self.ledger.begin_payment(checkout_id)

    def end_payment(self, checkout_id: str, *, status: str = "SUCCESSFUL") -> Checkout:
        """End that attempt: SUCCESSFUL, FAILED or CANCELLED."""
        return self.ledger.end_payment(checkout_id, status)

    def expire(self, checkout_id: str) -> Checkout:
        """Make an unpaid checkout EXPIRED."""
        return self.ledger.close(checkout_id)

    def forget(self, checkout_id: str) -> None:
        """Know nothing of the checkout any more: 404, and in no list."""
        self.ledger.forget(checkout_id)

    # --- money -------------------------------------------------------------------------------------------

    def refund(self, checkout_id: str, amount: Decimal | None = None, *, status: str = "REFUNDED") -> Checkout:
        """Give money back, all that is left if no amount is given. `status` is the event's: PENDING, FAILED, …"""
        return self.ledger.give_back(checkout_id, Kind.REFUND, amount, status)

    def charge_back(self, checkout_id: str, amount: Decimal | None = None, *, status: str = "SUCCESSFUL") -> Checkout:
        """Let the customer's bank take money back, all that is left if no amount is given."""
        return self.ledger.give_back(checkout_id, Kind.CHARGE_BACK, amount, status)

    def settle_returns(self, checkout_id: str, *, status: str = "REFUNDED") -> None:
        """Give all that goes back of the checkout this status, as when a PENDING refund becomes final or fails."""
        payment = self.ledger.get(checkout_id).payment
        if payment is not None:
            self.ledger.settle_returns(payment.id, status)

    def sell(
        self,
        *,
        amount: Decimal,
        merchant_code: str,
        currency: str = "GBP",
        payment_type: str = "POS",
        entry_mode: str = "CHIP",
        description: str = "",
        foreign_transaction_id: str = "",
        status: str = "SUCCESSFUL",
    ) -> Transaction:
        """Put in a sale that no checkout knows: of a card reader (POS), or of another shop on the account (ECOM)."""
        now = self._clock.now()
        return self.ledger.sell(
            Transaction(
                id="",
                number=0,
                code="",
                status=status,
                amount=amount,
                currency=currency,
                merchant_code=merchant_code,
                at=now,
                changed_at=now,
                description=description,
                payment_type=payment_type,
                entry_mode=entry_mode,
                foreign_transaction_id=foreign_transaction_id,
            )
        )

    def pay_out(
        self, merchant_code: str, *, on: date | None = None, fee_rate: Decimal = FEE_RATE
    ) -> tuple[Payout, ...]:
        """Pay out what was not yet, less the fee; refunds and charge-backs are deducted. Return the new records."""
        return self.ledger.pay_out(merchant_code, on or self._clock.now().date(), fee_rate)

    def add_payout(
        self,
        merchant_code: str,
        amount: Decimal,
        *,
        kind: str = PayoutKind.PAYOUT,
        fee: Decimal = Decimal(0),
        currency: str = "GBP",
        on: date | None = None,
        transaction_code: str = "",
        status: str = "SUCCESSFUL",
    ) -> Payout:
        """Put a record of the payouts in, whether it fits the transactions or not."""
        day = on or self._clock.now().date()
        reference = f"payout-{day.isoformat()}"
        return self.ledger.add_payout(
            Payout(0, merchant_code, kind, amount, fee, currency, day, reference, transaction_code, status)
        )

    # --- answers that are wrong --------------------------------------------------------------------------

    def tamper(self, checkout_id: str, /, **changed: object) -> None:
        """Put other values into SumUp's answer about the checkout, wherever it is told of (read, list, close).

        `tampering.ABSENT` leaves a field out, `jsontext.JsonText` writes any text in its place, and a Decimal is
        written digit for digit.
        """
        self._tampering.set(checkout_id, changed)

    def tamper_body(self, checkout_id: str, body: bytes) -> None:
        """Put these bytes in the place of SumUp's whole answer about the checkout."""
        self._tampering.set_body(checkout_id, body)

    def tamper_transaction(self, checkout_id: str, /, **changed: object) -> None:
        """Put other values into the answer about the checkout's latest transaction. Raise ValueError without one."""
        self._tampering.set(self._latest(checkout_id), changed)

    def contradict(self, checkout_id: str, contradiction: Contradiction) -> None:
        """Let SumUp contradict itself about a paid checkout. Raise ValueError when it is not paid."""
        checkout = self.ledger.get(checkout_id)
        if checkout.payment is None:
            raise ValueError("the checkout is not paid")
        contradict(self._tampering, checkout, contradiction)

    def hide_from_history(self, checkout_id: str) -> None:
        """Leave the checkout's latest transaction out of the history. Raise ValueError without one."""
        self._tampering.hide(self._latest(checkout_id))

    def untamper(self, checkout_id: str) -> None:
        """Tell the truth about the checkout and its transactions again."""
        untamper(self._tampering, self.ledger.get(checkout_id))

    def _latest(self, checkout_id: str) -> str:
        attempts = self.ledger.get(checkout_id).attempts
        if not attempts:
            raise ValueError("nobody has tried to pay this checkout")
        return attempts[-1].id
