"""SumUp's endpoints, as far as paypoll and a shop use them.

    POST   /v0.1/checkouts                                    201, or 409 DUPLICATED_CHECKOUT
    GET    /v0.1/checkouts[?checkout_reference=…]             a list
    GET    /v0.1/checkouts/{id}
    DELETE /v0.1/checkouts/{id}                               200 EXPIRED, or 409, see `checkouts`
    GET    /v2.1/merchants/{code}/transactions?id=…           or another of its names, see `transactions`
    GET    /v2.1/merchants/{code}/transactions/history        see `history`
    POST   /v1.0/merchants/{code}/payments/{id}/refunds       201 {}
    GET    /v1.0/merchants/{code}/payouts?start_date=…        and end_date=…; JSON or CSV
    GET    /v1/merchants/{code}
    GET    /v0.1/memberships
    POST   /token                                             client_credentials, refresh_token

A path with a slash at its end is 404, and so is another merchant's checkout.
"""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import unquote

from paypoll.clock import Clock
from paypoll.sandbox.sumup.api import account, tokens
from paypoll.sandbox.sumup.api.checkouts import Checkouts
from paypoll.sandbox.sumup.api.history import history
from paypoll.sandbox.sumup.api.payouts import payouts
from paypoll.sandbox.sumup.api.refusals import admit
from paypoll.sandbox.sumup.api.transactions import Transactions
from paypoll.sandbox.sumup.exchange import Answer, Request, problem
from paypoll.sandbox.sumup.keyring import Access, AuthKind, Keyring, Scope
from paypoll.sandbox.sumup.ledger import Ledger
from paypoll.sandbox.sumup.tampering import Tampering

Handler = Callable[[], Answer]


@dataclass(frozen=True, slots=True)
class SumUpApi:
    """Answers requests to SumUp from the ledger. `pay_url` gives the address of a checkout's payment page."""

    ledger: Ledger
    keyring: Keyring
    tampering: Tampering
    clock: Clock
    pay_url: Callable[[str], str]

    def access(self, request: Request) -> Access:
        """Return what the request's bearer opens. For the token endpoint its kind is the grant type asked for."""
        if request.path != "/token":
            return self.keyring.access(request.headers.get("authorization"))
        known = {AuthKind.CLIENT_CREDENTIALS.value, AuthKind.REFRESH_TOKEN.value}
        grant_type = request.form.get("grant_type", "")
        return Access(AuthKind(grant_type) if grant_type in known else AuthKind.UNKNOWN)

    def handle(self, request: Request, access: Access) -> Answer:
        """Return SumUp's answer to the request."""
        match [unquote(part) for part in request.path.split("/")[1:]]:
            case ["token"]:
                return _by_method(request, POST=lambda: tokens.issue(self.keyring, request.form))
            case ["v0.1", "checkouts", *rest]:
                return self._checkouts(request, access, rest)
            case ["v0.1", "memberships"]:
                return admit(access, problem_type=True) or _by_method(
                    request, GET=lambda: account.memberships(self.ledger, request, access)
                )
            case ["v1", "merchants", merchant_code] if merchant_code:
                return admit(access, problem_type=True) or _by_method(
                    request, GET=lambda: account.merchant(self.ledger, merchant_code, access)
                )
            case ["v1.0" | "v2.1" as version, "merchants", merchant_code, *rest]:
                return self._money(request, access, merchant_code, [version, *rest])
        return _no_endpoint()

    def _checkouts(self, request: Request, access: Access, rest: list[str]) -> Answer:
        endpoint = Checkouts(self.ledger, self.tampering, self.clock, self.pay_url)
        match rest:
            case []:
                return admit(access) or _by_method(
                    request, GET=lambda: endpoint.list(request, access), POST=lambda: endpoint.create(request, access)
                )
            case [checkout_id] if checkout_id:
                return admit(access) or _by_method(
                    request,
                    GET=lambda: endpoint.read(checkout_id, access),
                    DELETE=lambda: endpoint.close(checkout_id, access),
                )
        return _no_endpoint()

    def _money(self, request: Request, access: Access, merchant_code: str, rest: list[str]) -> Answer:
        endpoint = Transactions(self.ledger, self.tampering)
        match rest:
            case ["v2.1", "transactions"]:
                return admit(access, merchant_code, Scope.HISTORY) or _by_method(
                    request, GET=lambda: endpoint.read(request, merchant_code)
                )
            case ["v2.1", "transactions", "history"]:
                return admit(access, merchant_code, Scope.HISTORY) or _by_method(
                    request, GET=lambda: self._history(request, merchant_code)
                )
            case ["v1.0", "payouts"]:
                return admit(access, merchant_code, Scope.PAYOUTS) or _by_method(
                    request, GET=lambda: payouts(self.ledger.payouts(merchant_code), request)
                )
            case ["v1.0", "payments", transaction_id, "refunds"] if transaction_id:
                return admit(access) or _by_method(
                    request, POST=lambda: endpoint.refund(request, merchant_code, transaction_id, access)
                )
        return _no_endpoint()

    def _history(self, request: Request, merchant_code: str) -> Answer:
        known = self.ledger.transactions(merchant_code)
        return history([one for one in known if not self.tampering.hides(one.id)], request)


def _by_method(request: Request, **handlers: Handler) -> Answer:
    if request.method not in handlers:
        return problem(HTTPStatus.METHOD_NOT_ALLOWED, "method-not-allowed", "Not with this method.")
    return handlers[request.method]()


def _no_endpoint() -> Answer:
    return problem(HTTPStatus.NOT_FOUND, "not-found", "There is no such endpoint.")
