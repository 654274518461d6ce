"""Answers that a test wants wrong: fields replaced or left out, a whole body of other bytes, or a contradiction."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, final

from paypoll.sandbox.sumup.jsontext import dumps


@final
class Absent:
    """The value of a field that is to be left out."""

    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = Absent()


class Contradiction(StrEnum):
    """Two answers of SumUp, or two fields of one, that cannot both be true."""

    FAILED_BUT_PAID = "failed-but-paid"
    """The checkout is FAILED, and one of its attempts is SUCCESSFUL."""
    EXPIRED_BUT_PAID = "expired-but-paid"
    """The checkout is EXPIRED, and one of its attempts is SUCCESSFUL."""
    PENDING_BUT_PAID = "pending-but-paid"
    """The checkout is PENDING, and one of its attempts is SUCCESSFUL."""
    PAID_BUT_TRANSACTION_PENDING = "paid-but-transaction-pending"
    """The checkout is PAID, and its transaction, asked for, is still PENDING."""
    PAID_BUT_TRANSACTION_FAILED = "paid-but-transaction-failed"
    """The checkout is PAID, and its transaction, asked for, is FAILED."""
    PAID_WITHOUT_TRANSACTIONS = "paid-without-transactions"
    """The checkout is PAID with a `transaction_id`, and has no `transactions`."""
    SIMPLE_STATUS_CANCELLED = "simple-status-cancelled"
    """The transaction is SUCCESSFUL by `status`, and CANCELLED by `simple_status`."""
    SIMPLE_STATUS_FAILED = "simple-status-failed"
    """The same with FAILED."""
    SIMPLE_STATUS_NON_COLLECTION = "simple-status-non-collection"
    """The same with NON_COLLECTION: the merchant owes it after a charge-back."""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a contradiction changes in the answer about the checkout, and in that about its transaction."""

    checkout: Mapping[str, object]
    transaction: Mapping[str, object]


def changes_of(contradiction: Contradiction) -> Changes:
    """Return what to change in true answers about a paid checkout."""
    # Only a checkout that is PAID names the transaction that paid it.
    unpaid = {"transaction_id": ABSENT, "transaction_code": ABSENT}
    match contradiction:
        case Contradiction.FAILED_BUT_PAID:
            return Changes({"status": "FAILED", **unpaid}, {})
        case Contradiction.EXPIRED_BUT_PAID:
            return Changes({"status": "EXPIRED", **unpaid}, {})
        case Contradiction.PENDING_BUT_PAID:
            return Changes({"status": "PENDING", **unpaid}, {})
        case Contradiction.PAID_BUT_TRANSACTION_PENDING:
            return Changes({}, {"status": "PENDING", "simple_status": "PENDING"})
        case Contradiction.PAID_BUT_TRANSACTION_FAILED:
            return Changes({}, {"status": "FAILED", "simple_status": "FAILED"})
        case Contradiction.PAID_WITHOUT_TRANSACTIONS:
            return Changes({"transactions": ABSENT}, {})
        case Contradiction.SIMPLE_STATUS_CANCELLED:
            return Changes({}, {"simple_status": "CANCELLED"})
        case Contradiction.SIMPLE_STATUS_FAILED:
            return Changes({}, {"simple_status": "FAILED"})
        case Contradiction.SIMPLE_STATUS_NON_COLLECTION:
            return Changes({}, {"simple_status": "NON_COLLECTION"})


class Tampering:
    """What to change in which answer. The name of an answer is the id of its checkout or transaction."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fields: dict[str, dict[str, object]] = {}
        self._bodies: dict[str, bytes] = {}
        self._hidden: set[str] = set()

    def set(self, name: str, fields: Mapping[str, object]) -> None:
        """Change these fields from now on, besides earlier ones."""
        with self._lock:
            self._fields.setdefault(name, {}).update(fields)

    def set_body(self, name: str, body: bytes) -> None:
        """Answer with these bytes, whatever the fields."""
        with self._lock:
            self._bodies[name] = body

    def hide(self, name: str) -> None:
        """Leave the transaction out of the history."""
        with self._lock:
            self._hidden.add(name)

    def hides(self, name: str) -> bool:
        """Say whether the transaction is left out of the history."""
        with self._lock:
            return name in self._hidden

    def clear(self, name: str) -> None:
        """Undo all changes."""
        with self._lock:
            self._fields.pop(name, None)
            self._bodies.pop(name, None)
            self._hidden.discard(name)

    def render(self, name: str, document: Mapping[str, object]) -> bytes:
        """Return the answer's body with the changes made."""
        with self._lock:
            if name in self._bodies:
                return self._bodies[name]
            changed = {**document, **self._fields.get(name, {})}
        return dumps({field: value for field, value in changed.items() if value is not ABSENT}).encode()
