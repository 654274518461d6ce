"""The simulator's own pages and control API, for people and scripts on this machine. There is no password.

    GET  /                                      every checkout, with buttons
    GET  /pay/{id}                              the payment page, as the shop's customer sees it
    POST /pay/{id}                              card=… (a form); then on to the checkout's redirect_url
    GET  /sandbox/checkouts                     the checkouts as JSON, those of all merchants
    POST /sandbox/checkouts                     a new one: the body of SumUp's POST /v0.1/checkouts, also with an `id`
    POST /sandbox/checkouts/{id}/pay            also: decline, expire, cancel, charge-back, forget
    POST /sandbox/checkouts/{id}/refund         {"amount": 5.00}, or nothing: all that is left
    POST /sandbox/checkouts/{id}/tamper         {"set": {…}, "remove": […], "body": "…"}: fields of SumUp's answer
    POST /sandbox/checkouts/{id}/untamper
    POST /sandbox/merchants                     {"code": "…", "api_key": "…"}
    GET  /sandbox/requests                      which requests SumUp's endpoints had
    POST /sandbox/requests/reset
    GET  /sandbox/faults
    POST /sandbox/faults                        {"kind": "status", "status": 503, "path": "/v0.1/*", "times": 2, …}
    POST /sandbox/faults/{number}/clear         also: /sandbox/faults/clear for all

Whatever changes something is a POST. Bodies are JSON; a browser's form is answered with a redirect to `/`. Only the
machine itself can reach this, and requests that a page of another site has the browser make are turned away.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from decimal import Decimal
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote, urlsplit

from paypoll.clock import Clock
from paypoll.payments.gateway import CheckoutStatus
from paypoll.sandbox.sumup import documents, pages
from paypoll.sandbox.sumup.effects import effect_named
from paypoll.sandbox.sumup.exchange import Answer, Request, answer, refusal, see_other
from paypoll.sandbox.sumup.faults import Aim, Fault, Faults
from paypoll.sandbox.sumup.journal import Journal
from paypoll.sandbox.sumup.keyring import Keyring
from paypoll.sandbox.sumup.ledger import (
    CARD_THAT_PAYS,
    Checkout,
    CheckoutStateError,
    DuplicateError,
    Kind,
    Ledger,
    NoCheckoutError,
)
from paypoll.sandbox.sumup.new_checkout import InvalidError, read_new_checkout
from paypoll.sandbox.sumup.tampering import ABSENT, Tampering

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})
_AIM_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "method": str,
    "path": str,
    "times": int,
    "probability": (int, Decimal),
    "seed": int,
    "processed": bool,
}


class BadRequestError(Exception):
    """The body is not what the control API takes. The text says what it takes."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Answers requests to the simulator's own addresses."""

    ledger: Ledger
    keyring: Keyring
    tampering: Tampering
    faults: Faults
    journal: Journal
    clock: Clock
    pay_url: Callable[[str], str]

    @staticmethod
    def owns(path: str) -> bool:
        """Say whether this address is the panel's and not SumUp's."""
        return path == "/" or path.startswith(("/pay/", "/sandbox/"))

    def handle(self, request: Request) -> Answer:
        """Return the answer; every refusal is a JSON object with an error code."""
        if not _is_from_here(request):
            return refusal(HTTPStatus.FORBIDDEN, "FORBIDDEN", "Not from another site.")
        try:
            return self._route(request)
        except NoCheckoutError as error:
            return refusal(HTTPStatus.NOT_FOUND, "NOT_FOUND", str(error))
        except (CheckoutStateError, DuplicateError) as error:
            return refusal(HTTPStatus.CONFLICT, "CONFLICT", str(error))
        except InvalidError as error:
            return refusal(HTTPStatus.BAD_REQUEST, error.code, "Validation error", param=error.param)
        except BadRequestError as error:
            return refusal(HTTPStatus.BAD_REQUEST, "INVALID", str(error))

    def _route(self, request: Request) -> Answer:
        parts = [unquote(part) for part in request.path.split("/")[1:]]
        match request.method, parts:
            case "GET", [""]:
                return pages.listing(reversed(self.ledger.all()))
            case "GET", ["pay", checkout_id]:
                return pages.payment(self.ledger.get(checkout_id))
            case "POST", ["pay", checkout_id]:
                return self._pay(checkout_id, request.form.get("card", CARD_THAT_PAYS))
            case "GET", ["sandbox", "checkouts"]:
                return answer([self._document(checkout) for checkout in self.ledger.all()])
            case "POST", ["sandbox", "checkouts"]:
                return self._create(request)
            case "POST", ["sandbox", "checkouts", checkout_id, action]:
                done = self._act(checkout_id, action, request)
                return see_other("/") if request.is_form else done
            case "POST", ["sandbox", "merchants"]:
                return self._add_merchant(request)
            case _, ["sandbox", "requests", *rest]:
                return self._requests(request.method, rest)
            case _, ["sandbox", "faults", *rest]:
                return self._faults(request, rest)
        return _no_such_thing()

    # --- checkouts ---------------------------------------------------------------------------------------

    def _pay(self, checkout_id: str, card: str) -> Answer:
        try:
            checkout = self.ledger.pay(checkout_id, card=card.replace(" ", ""))
        except CheckoutStateError:
            return pages.payment(self.ledger.get(checkout_id))  # it says why nothing can be paid
        if checkout.status == CheckoutStatus.FAILED:
            return pages.payment(checkout, "The payment was declined. You can try again.")
        return (
            see_other(checkout.redirect_url) if checkout.redirect_url else pages.payment(checkout, "Paid. Thank you!")
        )

    def _create(self, request: Request) -> Answer:
        wanted = read_new_checkout(request.body, self.clock.now())
        given_id = _text(_body(request), "id")
        made = self.ledger.create(replace(wanted, id=given_id), unique_reference=False)
        return answer(self._document(made), HTTPStatus.CREATED)

    def _act(self, checkout_id: str, action: str, request: Request) -> Answer:
        ledger, body = self.ledger, {} if request.is_form else _body(request)
        match action:
            case "pay":
                return answer(self._document(ledger.pay(checkout_id)))
            case "decline":
                return answer(self._document(ledger.decline(checkout_id)))
            case "expire" | "cancel":
                return answer(self._document(ledger.close(checkout_id)))
            case "refund":
                back = ledger.give_back(checkout_id, Kind.REFUND, _amount(body), "REFUNDED")
                return answer(self._document(back))
            case "charge-back":
                back = ledger.give_back(checkout_id, Kind.CHARGE_BACK, _amount(body), "SUCCESSFUL")
                return answer(self._document(back))
            case "forget":
                ledger.forget(checkout_id)
                return answer({})
            case "tamper":
                ledger.get(checkout_id)
                self._tamper(checkout_id, body)
                return answer({})
            case "untamper":
                self.tampering.clear(checkout_id)
                return answer({})
        return _no_such_thing()

    def _tamper(self, checkout_id: str, body: Mapping[str, object]) -> None:
        changes, removed = body.get("set", {}), body.get("remove", [])
        if not isinstance(changes, dict) or not isinstance(removed, list):
            raise BadRequestError("set is an object, remove a list of names")
        self.tampering.set(checkout_id, {**changes, **{str(name): ABSENT for name in removed}})
        if "body" in body:
            self.tampering.set_body(checkout_id, _text(body, "body").encode())

    def _document(self, checkout: Checkout) -> dict[str, object]:
        return documents.checkout(checkout, self.pay_url(checkout.id)) | {"refunded": checkout.refunded}

    # --- the rest ----------------------------------------------------------------------------------------

    def _add_merchant(self, request: Request) -> Answer:
        body = _body(request)
        code, api_key = _text(body, "code"), _text(body, "api_key")
        if not code or not api_key:
            raise BadRequestError("code and api_key are needed")
        self.keyring.add_api_key(api_key, code)
        return answer({"code": code}, HTTPStatus.CREATED)

    def _requests(self, method: str, rest: list[str]) -> Answer:
        if (method, rest) == ("GET", []):
            listed = [
                asdict(seen) | {"at": seen.at.isoformat(), "seconds": _number(seen.seconds)}
                for seen in self.journal.entries
            ]
            return answer({"max_in_flight": self.journal.max_in_flight, "requests": listed})
        if (method, rest) == ("POST", ["reset"]):
            self.journal.reset()
            return answer({})
        return _no_such_thing()

    def _faults(self, request: Request, rest: list[str]) -> Answer:
        match request.method, rest:
            case "GET", []:
                return answer([_fault_document(fault) for fault in self.faults.all()])
            case "POST", []:
                effect_and_aim = _body(request)
                aim = {name: effect_and_aim.pop(name) for name in list(effect_and_aim) if name in _AIM_TYPES}
                try:
                    effect = effect_named(str(effect_and_aim.pop("kind", "")), _plain(effect_and_aim))
                except ValueError as error:
                    raise BadRequestError(str(error)) from error
                return answer(_fault_document(self.faults.add(effect, _aim(aim))), HTTPStatus.CREATED)
            case "POST", ["clear"]:
                self.faults.clear()
                return answer({})
            case "POST", [number, "clear"]:
                for fault in self.faults.all():
                    if str(fault.number) == number:
                        fault.clear()
                        return answer({})
        return _no_such_thing()


def _is_from_here(request: Request) -> bool:
    """Say whether the request was made by a program of this machine, or by our own page in its browser.

    A page of another site can have the browser send forms here, or reach here under a name of its own that leads to
    loopback (DNS rebinding). Neither passes: browsers say where such a request comes from.
    """
    host = request.headers.get("host", "")
    try:
        if urlsplit(f"//{host}").hostname not in _LOOPBACK:
            return False
    except ValueError:
        return False
    origin = request.headers.get("origin")
    return request.method == "GET" or origin is None or origin == f"http://{host}"


def _body(request: Request) -> dict[str, object]:
    if not request.body:
        return {}
    try:
        body = json.loads(request.body, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise BadRequestError("the body is not JSON") from error
    if not isinstance(body, dict):
        raise BadRequestError("the body is not a JSON object")
    return body


def _text(body: Mapping[str, object], name: str) -> str:
    value = body.get(name, "")
    if not isinstance(value, str):
        raise BadRequestError(f"{name} is not a text")
    return value


def _amount(body: Mapping[str, object]) -> Decimal | None:
    value = body.get("amount")
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise BadRequestError("amount is not a number")
    return Decimal(value)


def _aim(options: dict[str, object]) -> Aim:
    for name, value in options.items():
        right = _AIM_TYPES[name]
        if not isinstance(value, right) or (isinstance(value, bool) and right is not bool):
            raise BadRequestError(f"{name} is of the wrong type")
    return Aim(**_plain(options))  # type: ignore[arg-type]  # each was looked at just now


def _plain(options: Mapping[str, object]) -> dict[str, object]:
    """Return the options with numbers as the faults know them: they are seconds and chances, not money."""
    return {name: float(value) if isinstance(value, Decimal) else value for name, value in options.items()}


def _fault_document(fault: Fault) -> dict[str, object]:
    aim = {field.name: getattr(fault.aim, field.name) for field in fields(fault.aim)}
    return {
        "number": fault.number,
        "effect": repr(fault.effect),
        **aim,
        "probability": _number(fault.aim.probability),
        "hits": fault.hits,
    }


def _number(value: float | None) -> Decimal | None:
    return None if value is None else Decimal(repr(value))


def _no_such_thing() -> Answer:
    return refusal(HTTPStatus.NOT_FOUND, "NOT_FOUND", "There is no such thing in the sandbox.")
