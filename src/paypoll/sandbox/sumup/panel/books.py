"""The control API's requests about what stands in the ledger: checkouts, sales, payouts, merchants."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from http import HTTPStatus
from typing import Final

from paypoll.clock import Clock
from paypoll.sandbox.sumup.api import documents
from paypoll.sandbox.sumup.api.new_checkout import LONGEST_OLD_REFERENCE, read_new_checkout
from paypoll.sandbox.sumup.entries import Checkout, Kind, Merchant, Transaction
from paypoll.sandbox.sumup.exchange import Answer, Request, answer
from paypoll.sandbox.sumup.keyring import Keyring
from paypoll.sandbox.sumup.ledger import Ledger
from paypoll.sandbox.sumup.panel.reading import (
    BadRequestError,
    read_body,
    read_day,
    read_needed,
    read_number,
    read_text,
)
from paypoll.sandbox.sumup.tampering import ABSENT, Contradiction, Tampering, changes_of

_FEE_RATE: Final = Decimal("0.0169")


@dataclass(frozen=True, slots=True)
class Books:
    """Writes the ledger as the requests say. Its methods raise LedgerError, InvalidError and BadRequestError."""

    ledger: Ledger
    keyring: Keyring
    tampering: Tampering
    clock: Clock
    pay_url: Callable[[str], str]

    def list_checkouts(self) -> Answer:
        """Return every checkout, whoever's it is."""
        return answer([self._document(checkout) for checkout in self.ledger.all()])

    def create_checkout(self, request: Request) -> Answer:
        """Make a checkout, also a second one with a reference, and with an id that is wished for."""
        wanted = read_new_checkout(request.body, self.clock.now(), LONGEST_OLD_REFERENCE)
        given_id = read_text(read_body(request), "id")
        made = self.ledger.create(replace(wanted, id=given_id), unique_reference=False)
        return answer(self._document(made), HTTPStatus.CREATED)

    def act(self, checkout_id: str, action: str, body: Mapping[str, object]) -> Answer | None:
        """Do something with a checkout; return None when there is no such thing to do."""
        changed = self._change(checkout_id, action, body)
        if changed is not None:
            return answer(self._document(changed))
        match action:
            case "forget":
                self.ledger.forget(checkout_id)
            case "tamper":
                self.ledger.get(checkout_id)
                self._tamper(checkout_id, body)
            case "contradict":
                contradict(self.tampering, self.ledger.get(checkout_id), _contradiction(body))
            case "untamper":
                untamper(self.tampering, self.ledger.get(checkout_id))
            case _:
                return None
        return answer({})

    def sell(self, request: Request) -> Answer:
        """Put in a sale without a checkout, such as a card reader's."""
        body, now = read_body(request), self.clock.now()
        amount = read_number(body, "amount")
        if amount is None or not amount > 0:
            raise BadRequestError("amount is needed, and more than 0")
        sale = Transaction(
            id="",
            number=0,
            code="",
            status="SUCCESSFUL",
            amount=amount,
            currency=read_text(body, "currency", "GBP"),
            merchant_code=read_needed(body, "merchant_code"),
            at=now,
            changed_at=now,
            description=read_text(body, "description"),
            payment_type=read_text(body, "payment_type", "POS"),
            entry_mode=read_text(body, "entry_mode", "CHIP"),
            foreign_transaction_id=read_text(body, "foreign_transaction_id"),
        )
        return answer(documents.transaction(self.ledger.sell(sale)), HTTPStatus.CREATED)

    def pay_out(self, request: Request) -> Answer:
        """Pay out all of a merchant that was not yet."""
        body = read_body(request)
        on = read_day(body, "date", self.clock.now().date())
        rate = read_number(body, "fee_rate")
        made = self.ledger.pay_out(read_needed(body, "merchant_code"), on, _FEE_RATE if rate is None else rate)
        return answer([{"type": str(one.kind), "amount": one.amount, "fee": one.fee} for one in made])

    def add_merchant(self, request: Request) -> Answer:
        """Let in whoever has the API key, as this merchant."""
        body = read_body(request)
        code, api_key = read_needed(body, "code"), read_needed(body, "api_key")
        self.keyring.add_api_key(api_key, code)
        if "name" in body:
            self.ledger.add_merchant(Merchant(code, read_text(body, "name")))
        return answer({"code": code}, HTTPStatus.CREATED)

    def _change(self, checkout_id: str, action: str, body: Mapping[str, object]) -> Checkout | None:
        ledger = self.ledger
        match action:
            case "pay":
                return ledger.pay(checkout_id)
            case "decline":
                return ledger.decline(checkout_id)
            case "begin-payment":
                return ledger.begin_payment(checkout_id)
            case "end-payment":
                return ledger.end_payment(checkout_id, read_text(body, "status", "SUCCESSFUL"))
            case "expire" | "cancel":
                return ledger.close(checkout_id)
            case "refund":
                status = read_text(body, "status", "REFUNDED")
                return ledger.give_back(checkout_id, Kind.REFUND, read_number(body, "amount"), status)
            case "charge-back":
                status = read_text(body, "status", "SUCCESSFUL")
                return ledger.give_back(checkout_id, Kind.CHARGE_BACK, read_number(body, "amount"), status)
        return None

    def _tamper(self, checkout_id: str, body: Mapping[str, object]) -> None:
        changes, removed = body.get("set", {}), body.get("remove", [])
        if not isinstance(changes, dict) or not isinstance(removed, list):
            raise BadRequestError("set is an object, remove a list of names")
        self.tampering.set(checkout_id, {**changes, **{str(name): ABSENT for name in removed}})
        if "body" in body:
            self.tampering.set_body(checkout_id, read_text(body, "body").encode())

    def _document(self, checkout: Checkout) -> dict[str, object]:
        merchant = self.ledger.merchant(checkout.merchant_code)
        told = documents.checkout(checkout, merchant, self.pay_url(checkout.id))
        return told | {"refunded": checkout.refunded}


def contradict(tampering: Tampering, checkout: Checkout, contradiction: Contradiction) -> None:
    """Let SumUp contradict itself about a checkout. Raise BadRequestError when it is not paid."""
    if checkout.payment is None:
        raise BadRequestError("the checkout is not paid: pay it first")
    changes = changes_of(contradiction)
    tampering.set(checkout.id, changes.checkout)
    tampering.set(checkout.payment.id, changes.transaction)


def untamper(tampering: Tampering, checkout: Checkout) -> None:
    """Let SumUp tell the truth about a checkout and its transactions again."""
    for name in (checkout.id, *(attempt.id for attempt in checkout.attempts)):
        tampering.clear(name)


def _contradiction(body: Mapping[str, object]) -> Contradiction:
    try:
        return Contradiction(read_text(body, "kind"))
    except ValueError as error:
        raise BadRequestError(f"kind is one of {', '.join(Contradiction)}") from error
