"""The simulator's own pages and control API, for people and scripts on this machine. There is no password.

    GET  /                                      every checkout, with buttons
    GET  /pay/{id}                              the payment page, as the shop's customer sees it
    POST /pay/{id}                              card=… (a form); then on to the checkout's redirect_url
    GET  /sandbox/checkouts                     the checkouts as JSON, those of all merchants
    POST /sandbox/checkouts                     a new one: the body of SumUp's POST /v0.1/checkouts, also with an `id`
    POST /sandbox/checkouts/{id}/pay            also: decline, expire, cancel, forget
    POST /sandbox/checkouts/{id}/begin-payment  an attempt that is PENDING; /end-payment {"status": "SUCCESSFUL"}
    POST /sandbox/checkouts/{id}/refund         {"amount": 5.00, "status": "PENDING"}, or nothing: all that is left
    POST /sandbox/checkouts/{id}/charge-back    the same
    POST /sandbox/checkouts/{id}/tamper         {"set": {…}, "remove": […], "body": "…"}: fields of SumUp's answer
    POST /sandbox/checkouts/{id}/contradict     {"kind": "failed-but-paid"}; see `tampering.Contradiction`
    POST /sandbox/checkouts/{id}/untamper
    POST /sandbox/sales                         {"merchant_code": "…", "amount": 5.00, "payment_type": "POS", …}
    POST /sandbox/payouts                       {"merchant_code": "…", "date": "2026-05-01", "fee_rate": 0.0169}
    POST /sandbox/merchants                     {"code": "…", "api_key": "…", "name": "…"}
    GET  /sandbox/notifications                 what was posted to the shop's return_url, and what became of it
    POST /sandbox/notifications/send            post now what is due
    GET  /sandbox/requests                      which requests SumUp's endpoints had
    POST /sandbox/requests/reset
    GET  /sandbox/faults
    POST /sandbox/faults                        {"kind": "status", "status": 503, "path": "/v0.1/*", "times": 2, …}
    POST /sandbox/faults/{number}/clear         also: /sandbox/faults/clear for all

Whatever changes something is a POST. Bodies are JSON; a browser's form is answered with a redirect to `/`. Only the
machine itself can reach this, and requests that a page of another site has the browser make are turned away.
"""

from dataclasses import asdict, dataclass
from http import HTTPStatus
from urllib.parse import unquote

from paypoll.payments.gateway import CheckoutStatus
from paypoll.sandbox.sumup.api.new_checkout import InvalidError
from paypoll.sandbox.sumup.entries import (
    CARD_THAT_PAYS,
    CheckoutStateError,
    DuplicateError,
    LedgerError,
)
from paypoll.sandbox.sumup.exchange import Answer, Request, answer, refusal, see_other
from paypoll.sandbox.sumup.faults import Faults
from paypoll.sandbox.sumup.journal import Journal
from paypoll.sandbox.sumup.notifications import Notification, Notifier
from paypoll.sandbox.sumup.panel import pages
from paypoll.sandbox.sumup.panel.books import Books
from paypoll.sandbox.sumup.panel.fault_requests import as_number, handle_faults
from paypoll.sandbox.sumup.panel.reading import BadRequestError, is_from_here, read_body


@dataclass(frozen=True, slots=True)
class Panel:
    """Answers requests to the simulator's own addresses."""

    books: Books
    faults: Faults
    journal: Journal
    notifier: Notifier

    @staticmethod
    def owns(path: str) -> bool:
        """Say whether this address is the panel's and not SumUp's."""
        return path == "/" or path.startswith(("/pay/", "/sandbox/"))

    def handle(self, request: Request) -> Answer:
        """Return the answer; every refusal is a JSON object with an error code."""
        if not is_from_here(request):
            return refusal(HTTPStatus.FORBIDDEN, "FORBIDDEN", "Not from another site.")
        nothing = refusal(HTTPStatus.NOT_FOUND, "NOT_FOUND", "There is no such thing in the sandbox.")
        try:
            return self._route(request) or nothing
        except (CheckoutStateError, DuplicateError) as error:
            return refusal(HTTPStatus.CONFLICT, "CONFLICT", str(error))
        except LedgerError as error:
            return refusal(HTTPStatus.NOT_FOUND, "NOT_FOUND", str(error))
        except InvalidError as error:
            return refusal(HTTPStatus.BAD_REQUEST, error.code, "Validation error", param=error.param)
        except BadRequestError as error:
            return refusal(HTTPStatus.BAD_REQUEST, "INVALID", str(error))

    def _route(self, request: Request) -> Answer | None:
        parts = [unquote(part) for part in request.path.split("/")[1:]]
        match request.method, parts:
            case "GET", [""]:
                return pages.listing(reversed(self.books.ledger.all()))
            case "GET", ["pay", checkout_id]:
                return pages.payment(self.books.ledger.get(checkout_id))
            case "POST", ["pay", checkout_id]:
                return self._pay(checkout_id, request.form.get("card", CARD_THAT_PAYS))
            case method, ["sandbox", "notifications", *rest]:
                return self._notifications(method, rest)
            case method, ["sandbox", "requests", *rest]:
                return self._requests(method, rest)
            case _, ["sandbox", "faults", *rest]:
                return handle_faults(self.faults, request, rest)
            case _, ["sandbox", *rest]:
                return self._books(request, rest)
        return None

    def _books(self, request: Request, rest: list[str]) -> Answer | None:
        match request.method, rest:
            case "GET", ["checkouts"]:
                return self.books.list_checkouts()
            case "POST", ["checkouts"]:
                return self.books.create_checkout(request)
            case "POST", ["checkouts", checkout_id, action]:
                done = self.books.act(checkout_id, action, {} if request.is_form else read_body(request))
                return see_other("/") if request.is_form else done
            case "POST", ["sales"]:
                return self.books.sell(request)
            case "POST", ["payouts"]:
                return self.books.pay_out(request)
            case "POST", ["merchants"]:
                return self.books.add_merchant(request)
        return None

    def _pay(self, checkout_id: str, card: str) -> Answer:
        ledger = self.books.ledger
        try:
            checkout = ledger.pay(checkout_id, card=card.replace(" ", ""))
        except CheckoutStateError:
            return pages.payment(ledger.get(checkout_id))  # it says why nothing can be paid
        if checkout.status == CheckoutStatus.FAILED:
            return pages.payment(checkout, "The payment was declined. You can try again.")
        return (
            see_other(checkout.redirect_url) if checkout.redirect_url else pages.payment(checkout, "Paid. Thank you!")
        )

    def _requests(self, method: str, rest: list[str]) -> Answer | None:
        if (method, rest) == ("GET", []):
            listed = [
                asdict(seen) | {"at": seen.at.isoformat(), "seconds": as_number(seen.seconds)}
                for seen in self.journal.entries
            ]
            return answer({"max_in_flight": self.journal.max_in_flight, "requests": listed})
        if (method, rest) == ("POST", ["reset"]):
            self.journal.reset()
            return answer({})
        return None

    def _notifications(self, method: str, rest: list[str]) -> Answer | None:
        if (method, rest) == ("GET", []):
            return answer([_notification(one) for one in self.notifier.all])
        if (method, rest) == ("POST", ["send"]):
            return answer({"tries": self.notifier.send_due()})
        return None


def _notification(one: Notification) -> dict[str, object]:
    return {
        "url": one.url,
        "body": one.body.decode(),
        "signed": one.signed,
        "statuses": list(one.statuses),
        "outcome": str(one.outcome),
        "due_at": one.due_at.isoformat(),
    }
