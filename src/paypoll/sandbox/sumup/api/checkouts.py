"""The endpoints of checkouts."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus

from paypoll.clock import Clock
from paypoll.sandbox.sumup.api import documents
from paypoll.sandbox.sumup.api.new_checkout import LONGEST_REFERENCE, InvalidError, read_new_checkout
from paypoll.sandbox.sumup.api.refusals import forbidden, invalid, not_found
from paypoll.sandbox.sumup.entries import (
    Checkout,
    CheckoutStateError,
    DuplicateError,
    NoCheckoutError,
    PaymentUnderWayError,
)
from paypoll.sandbox.sumup.exchange import Answer, Request, answer, refusal
from paypoll.sandbox.sumup.keyring import Access
from paypoll.sandbox.sumup.ledger import Ledger
from paypoll.sandbox.sumup.tampering import Tampering


@dataclass(frozen=True, slots=True)
class Checkouts:
    """Answers about checkouts. `pay_url` gives the address of a checkout's payment page."""

    ledger: Ledger
    tampering: Tampering
    clock: Clock
    pay_url: Callable[[str], str]

    def read(self, checkout_id: str, access: Access) -> Answer:
        """Return the checkout."""
        try:
            return Answer(HTTPStatus.OK, self._body(self._own(checkout_id, access)))
        except NoCheckoutError:
            return not_found()

    def close(self, checkout_id: str, access: Access) -> Answer:
        """Deactivate it: EXPIRED. 409 when it was paid, and another 409 while a payment is being authorised."""
        try:
            return Answer(HTTPStatus.OK, self._body(self.ledger.close(self._own(checkout_id, access).id)))
        except NoCheckoutError:
            return not_found()
        except PaymentUnderWayError:
            return refusal(HTTPStatus.CONFLICT, "CHECKOUT_CANT_BE_DEACTIVATED", "Checkout can't be deactivated")
        except CheckoutStateError:
            return refusal(HTTPStatus.CONFLICT, "CHECKOUT_PROCESSED", "Checkout is already processed")

    def list(self, request: Request, access: Access) -> Answer:
        """Return the merchant's checkouts, all of them or those with this reference."""
        found = self.ledger.find(access.merchant_code, request.params.get("checkout_reference"))
        return Answer(HTTPStatus.OK, b"[" + b",".join(map(self._body, found)) + b"]")

    def create(self, request: Request, access: Access) -> Answer:
        """Make a checkout for the bearer's merchant."""
        try:
            wanted = read_new_checkout(request.body, self.clock.now(), LONGEST_REFERENCE)
            if wanted.merchant_code != access.merchant_code:
                return forbidden("checkout_payments_not_allowed")
            return Answer(HTTPStatus.CREATED, self._body(self.ledger.create(wanted)))
        except InvalidError as error:
            return answer(invalid(error.param, error.code), HTTPStatus.BAD_REQUEST)
        except DuplicateError:
            message = "Checkout with this checkout reference and pay to email already exists"
            return refusal(HTTPStatus.CONFLICT, "DUPLICATED_CHECKOUT", message)

    def _own(self, checkout_id: str, access: Access) -> Checkout:
        checkout = self.ledger.get(checkout_id)
        if checkout.merchant_code != access.merchant_code:
            raise NoCheckoutError(checkout_id)
        return checkout

    def _body(self, checkout: Checkout) -> bytes:
        merchant = self.ledger.merchant(checkout.merchant_code)
        return self.tampering.render(checkout.id, documents.checkout(checkout, merchant, self.pay_url(checkout.id)))
