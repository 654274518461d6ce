"""SumUp's endpoints, as far as paypoll and a shop use them.

    POST   /v0.1/checkouts                                    201, or 409 DUPLICATED_CHECKOUT
    GET    /v0.1/checkouts[?checkout_reference=…]             a list
    GET    /v0.1/checkouts/{id}
    DELETE /v0.1/checkouts/{id}                               200 EXPIRED, or 409 CHECKOUT_PROCESSED
    GET    /v2.1/merchants/{code}/transactions?id=…           or transaction_code=…
    GET    /v2.1/merchants/{code}/transactions/history
    POST   /token                                             client_credentials, refresh_token

A path with a slash at its end is 404, and so is another merchant's checkout.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote, urlencode

from paypoll.clock import Clock
from paypoll.sandbox.sumup import documents
from paypoll.sandbox.sumup.exchange import Answer, Request, answer, problem, refusal
from paypoll.sandbox.sumup.keyring import Access, AuthKind, Keyring, OAuthError, Tokens
from paypoll.sandbox.sumup.ledger import Attempt, Checkout, CheckoutStateError, DuplicateError, Ledger, NoCheckoutError
from paypoll.sandbox.sumup.new_checkout import InvalidError, read_moment, read_new_checkout
from paypoll.sandbox.sumup.tampering import Tampering

_NOT_FOUND: Final = "Resource not found"
_MOST_ITEMS: Final = 100


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
        match [unquote(part) for part in request.path.split("/")]:
            case ["", "token"]:
                return self._by_method(request, POST=lambda: self._token(request))
            case ["", "v0.1", "checkouts"]:
                return self._admit(access) or self._by_method(
                    request, GET=lambda: self._list(request, access), POST=lambda: self._create(request, access)
                )
            case ["", "v0.1", "checkouts", checkout_id] if checkout_id:
                return self._admit(access) or self._by_method(
                    request,
                    GET=lambda: self._read(checkout_id, access),
                    DELETE=lambda: self._close(checkout_id, access),
                )
            case ["", "v2.1", "merchants", merchant_code, "transactions"]:
                return self._admit(access, merchant_code) or self._by_method(
                    request, GET=lambda: self._transaction(request, merchant_code)
                )
            case ["", "v2.1", "merchants", merchant_code, "transactions", "history"]:
                return self._admit(access, merchant_code) or self._by_method(
                    request, GET=lambda: self._history(request, merchant_code)
                )
        return problem(HTTPStatus.NOT_FOUND, "not-found", "There is no such endpoint.")

    def _by_method(self, request: Request, **handlers: Callable[[], Answer]) -> Answer:
        if request.method not in handlers:
            return problem(HTTPStatus.METHOD_NOT_ALLOWED, "method-not-allowed", "Not with this method.")
        return handlers[request.method]()

    def _admit(self, access: Access, merchant_code: str | None = None) -> Answer | None:
        """Return why the bearer is not let in, None when it is. `merchant_code`: whose transactions are asked for."""
        if access.kind is AuthKind.NONE:
            return refusal(HTTPStatus.UNAUTHORIZED, "NOT_AUTHORIZED", "access token required")
        if not access.granted:
            return answer(
                {"error_message": "invalid access token", "error_code": "NOT_AUTHORIZED"}, HTTPStatus.UNAUTHORIZED
            )
        if merchant_code is None:
            return None
        if not access.sees_transactions:
            return _forbidden("request_not_allowed")
        if access.merchant_code != merchant_code:
            return problem(HTTPStatus.NOT_FOUND, "not-found", "It does not exist, or is not yours.")
        return None

    # --- checkouts ---------------------------------------------------------------------------------------

    def _own(self, checkout_id: str, access: Access) -> Checkout:
        checkout = self.ledger.get(checkout_id)
        if checkout.merchant_code != access.merchant_code:
            raise NoCheckoutError(checkout_id)
        return checkout

    def _read(self, checkout_id: str, access: Access) -> Answer:
        try:
            return Answer(HTTPStatus.OK, self._body(self._own(checkout_id, access)))
        except NoCheckoutError:
            return refusal(HTTPStatus.NOT_FOUND, "NOT_FOUND", _NOT_FOUND)

    def _close(self, checkout_id: str, access: Access) -> Answer:
        try:
            return Answer(HTTPStatus.OK, self._body(self.ledger.close(self._own(checkout_id, access).id)))
        except NoCheckoutError:
            return refusal(HTTPStatus.NOT_FOUND, "NOT_FOUND", _NOT_FOUND)
        except CheckoutStateError:
            return refusal(HTTPStatus.CONFLICT, "CHECKOUT_PROCESSED", "Checkout is already processed")

    def _list(self, request: Request, access: Access) -> Answer:
        found = self.ledger.find(access.merchant_code, request.params.get("checkout_reference"))
        return Answer(HTTPStatus.OK, b"[" + b",".join(map(self._body, found)) + b"]")

    def _create(self, request: Request, access: Access) -> Answer:
        try:
            wanted = read_new_checkout(request.body, self.clock.now())
            if wanted.merchant_code != access.merchant_code:
                return _forbidden("checkout_payments_not_allowed")
            return Answer(HTTPStatus.CREATED, self._body(self.ledger.create(wanted)))
        except InvalidError as error:
            return refusal(HTTPStatus.BAD_REQUEST, error.code, "Validation error", param=error.param)
        except DuplicateError:
            message = "Checkout with this checkout reference and pay to email already exists"
            return refusal(HTTPStatus.CONFLICT, "DUPLICATED_CHECKOUT", message)

    def _body(self, checkout: Checkout) -> bytes:
        return self.tampering.render(checkout.id, documents.checkout(checkout, self.pay_url(checkout.id)))

    # --- transactions ------------------------------------------------------------------------------------

    def _transaction(self, request: Request, merchant_code: str) -> Answer:
        wanted_id, code = request.params.get("id"), request.params.get("transaction_code")
        if not wanted_id and not code:
            return problem(HTTPStatus.BAD_REQUEST, "bad-request", "id or transaction_code is needed.")
        for checkout, attempt in self.ledger.transactions(merchant_code):
            if wanted_id in {None, attempt.id} and code in {None, attempt.code}:
                document = documents.transaction(checkout, attempt)
                return Answer(HTTPStatus.OK, self.tampering.render(attempt.id, document))
        return refusal(HTTPStatus.NOT_FOUND, "NOT_FOUND", _NOT_FOUND)

    def _history(self, request: Request, merchant_code: str) -> Answer:
        params = request.params
        try:
            oldest, newest = read_moment(params.get("oldest_time")), read_moment(params.get("newest_time"))
            limit = int(params.get("limit", "10"))
        except ValueError:
            return problem(HTTPStatus.BAD_REQUEST, "bad-request", "A time or the limit cannot be read.")
        if not 1 <= limit <= _MOST_ITEMS or params.get("order", "ascending") not in {"ascending", "descending"}:
            return problem(HTTPStatus.BAD_REQUEST, "bad-request", "limit or order is out of range.")
        found = [
            pair
            for pair in self.ledger.transactions(merchant_code)
            if (oldest is None or pair[1].at >= oldest) and (newest is None or pair[1].at <= newest)
        ]
        if params.get("order") == "descending":
            found.reverse()
        found = _after(found, params.get("oldest_ref") or params.get("newest_ref"))
        items = [documents.history_item(*pair) for pair in found[:limit]]
        links = []
        if len(found) > limit:
            side = "newest_ref" if params.get("order") == "descending" else "oldest_ref"
            kept = {name: value for name, value in params.items() if name not in {"oldest_ref", "newest_ref"}}
            links = [{"rel": "next", "href": urlencode({**kept, side: found[limit - 1][1].id})}]
        return answer({"items": items, "links": links})

    # --- tokens ------------------------------------------------------------------------------------------

    def _token(self, request: Request) -> Answer:
        form = request.form
        try:
            tokens = self.keyring.exchange(
                form.get("grant_type", ""),
                form.get("client_id", ""),
                form.get("client_secret", ""),
                form.get("refresh_token", ""),
            )
        except OAuthError as error:
            status = HTTPStatus.UNAUTHORIZED if error.code == "invalid_client" else HTTPStatus.BAD_REQUEST
            return answer({"error": error.code, "error_description": "The token request was refused."}, status)
        return answer(_token_document(tokens))


def _after(found: Sequence[tuple[Checkout, Attempt]], reference: str | None) -> list[tuple[Checkout, Attempt]]:
    """Return the transactions after the one with this id; all of them when there is none."""
    places = [place for place, pair in enumerate(found) if pair[1].id == reference]
    return list(found[places[0] + 1 :] if places else found)


def _forbidden(message: str) -> Answer:
    document = {"error_message": message, "error_code": "FORBIDDEN", "status_code": "403"}
    return answer(document, HTTPStatus.FORBIDDEN)


def _token_document(tokens: Tokens) -> dict[str, object]:
    document: dict[str, object] = {
        "access_token": tokens.access_token,
        "token_type": "Bearer",
        "expires_in": tokens.life,
        "scope": "payments transactions.history",
    }
    return document | ({"refresh_token": tokens.refresh_token} if tokens.refresh_token is not None else {})
