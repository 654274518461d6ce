"""The endpoints of single transactions: reading one, and giving its money back."""

import json
from dataclasses import dataclass
from decimal import Decimal
from http import HTTPStatus
from typing import Final

from paypoll.payments.money import minor_units
from paypoll.sandbox.sumup.api import documents
from paypoll.sandbox.sumup.api.refusals import not_found
from paypoll.sandbox.sumup.entries import CheckoutStateError, Kind, NoTransactionError, TooMuchError, Transaction
from paypoll.sandbox.sumup.exchange import Answer, Request, answer, problem
from paypoll.sandbox.sumup.keyring import Access, Scope
from paypoll.sandbox.sumup.ledger import Ledger
from paypoll.sandbox.sumup.tampering import Tampering

_NAMES: Final = {
    "id": "id",
    "transaction_code": "code",
    "foreign_transaction_id": "foreign_transaction_id",
    "client_transaction_id": "client_transaction_id",
}


class _UnreadableAmountError(Exception):
    """The body of a refund has no amount that could be given back. The text is SumUp's detail."""


@dataclass(frozen=True, slots=True)
class Transactions:
    """Answers about transactions."""

    ledger: Ledger
    tampering: Tampering

    def read(self, request: Request, merchant_code: str) -> Answer:
        """Return the transaction that all the names given in the query fit."""
        names = {name: value for name, value in request.params.items() if name in _NAMES and value}
        if not names:
            return problem(HTTPStatus.BAD_REQUEST, "bad-request", f"One of {', '.join(_NAMES)} is needed.")
        for found in self._candidates(names, merchant_code):
            if all(getattr(found, _NAMES[name]) == value for name, value in names.items()):
                return Answer(HTTPStatus.OK, self.tampering.render(found.id, documents.transaction(found)))
        return not_found()

    def refund(self, request: Request, merchant_code: str, transaction_id: str, access: Access) -> Answer:
        """Give money back: the amount in the body, or all that is left of it."""
        if not (access.may(Scope.REFUNDS) or access.may(Scope.PAYMENTS)):
            return problem(HTTPStatus.FORBIDDEN, "forbidden", "users is not allowed to make a refund")
        try:
            amount = _amount(request.body)
            # Of another merchant's address, the bearer finds nothing there either.
            owner = merchant_code if access.merchant_code == merchant_code else ""
            found = self.ledger.transaction(transaction_id, owner)
            self.ledger.give_back_of(found.id, Kind.REFUND, amount, self.ledger.refunds_begin_as)
            return answer({}, HTTPStatus.CREATED)
        except _UnreadableAmountError as error:
            return problem(HTTPStatus.BAD_REQUEST, "bad-request", str(error))
        except NoTransactionError:
            return problem(HTTPStatus.NOT_FOUND, "not-found", "Transaction not found")
        except TooMuchError as error:
            return _too_much(error.left, found.currency)
        except CheckoutStateError:
            detail = "The transaction is not refundable in its current state"
            return problem(HTTPStatus.CONFLICT, "conflict", detail)

    def _candidates(self, names: dict[str, str], merchant_code: str) -> tuple[Transaction, ...]:
        if "id" not in names:
            return self.ledger.transactions(merchant_code)
        try:
            return (self.ledger.transaction(names["id"], merchant_code),)
        except NoTransactionError:
            return ()


def _too_much(left: Decimal, currency: str) -> Answer:
    # In minor units, as SumUp's example has it, where everything else is in major ones.
    error = {
        "code": "INVALID_AMOUNT",
        "detail": "Amount exceeds the refundable amount",
        "reason": "amount_too_high",
        "max_refundable_amount": minor_units(left, currency),
    }
    return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "unprocessable-entity", "Refund failed.", errors=[error])


def _amount(body: bytes) -> Decimal | None:
    """Return the amount that a refund asks for, None when it is all that is left. Raise _UnreadableAmountError."""
    try:
        fields = json.loads(body or b"{}", parse_float=Decimal, parse_int=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise _UnreadableAmountError("Request validation failed.") from error
    if not isinstance(fields, dict):
        raise _UnreadableAmountError("Request validation failed.")
    amount = fields.get("amount")
    if amount is None:
        return None
    if not isinstance(amount, Decimal):
        raise _UnreadableAmountError("Request validation failed.")
    if not amount > 0:
        raise _UnreadableAmountError("amount must be greater than zero")
    return amount
