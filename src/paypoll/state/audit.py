"""The audit trail: it answers why a ticket was issued. Append-only; the database refuses UPDATE and DELETE."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from paypoll.payments.evidence import Evidence
from paypoll.payments.gateway import CheckoutAnswer, Found, TransactionAnswer
from paypoll.state.tables import audit
from paypoll.statements import later

ACTOR = "paypoll"

_APPEND = later(sa.insert(audit), joins=True)


def record(
    connection: sa.Connection,
    *,
    now: datetime,
    action: str,
    explanation: str,
    order_id: int | None = None,
    order_number: str | None = None,
    run_id: str | None = None,
    actor: str = ACTOR,
    outcome: str | None = None,
    reason: str | None = None,
    status_from: str | None = None,
    status_to: str | None = None,
    evidence: Mapping[str, Any] | None = None,
) -> None:
    """Append one row: what was done, by whom, why, and from which state to which."""
    row = {
        "at": now,
        "run_id": run_id,
        "actor": actor,
        "order_id": order_id,
        "order_number": order_number,
        "action": action,
        "outcome": outcome,
        "reason": reason,
        "explanation": explanation,
        "status_from": status_from,
        "status_to": status_to,
        "evidence": evidence,
    }
    connection.execute(_APPEND, row)


def describe_evidence(evidence: Evidence) -> dict[str, Any]:
    """Return what SumUp was asked and what it said, as JSON.

    The answers about paid checkouts are kept whole: they are why a ticket was issued. Of the others, what was decided
    on is enough: a waiting order adds a row every five minutes.
    """
    described: dict[str, Any] = {
        "checkouts": {checkout_id: _describe(look) for checkout_id, look in evidence.reads.items()}
    }
    if evidence.searches:
        described["searches"] = {
            f"{question.reference} ({question.merchant_code or 'platform'})": _describe(look)
            for question, look in evidence.searches.items()
        }
    if evidence.transactions:
        described["transactions"] = {
            checkout_id: _describe(look) for checkout_id, look in evidence.transactions.items()
        }
    if evidence.closings:
        described["closings"] = {checkout_id: _describe(look) for checkout_id, look in evidence.closings.items()}
    return described


def _describe(look: object) -> object:
    if not isinstance(look, Found):
        return {"answer": type(look).__name__, "detail": getattr(look, "detail", "")}
    value = look.value
    if isinstance(value, tuple):
        return {"answer": "Found", "checkouts": [answer.id for answer in value]}
    if isinstance(value, TransactionAnswer):
        return {
            "answer": "Found",
            "id": value.id,
            "transaction_code": value.transaction_code,
            "status": value.status,
            "refunded": str(value.refunded),
            "charged_back": str(value.charged_back),
        }
    if not isinstance(value, CheckoutAnswer):
        return {"answer": type(value).__name__}
    described: dict[str, object] = {
        "answer": "Found",
        "status": value.status,
        "reference": value.reference,
        "amount": None if value.amount is None else str(value.amount),
        "currency": value.currency,
        "merchant_code": value.merchant_code,
    }
    if value.successful_attempts or value.transaction_code:
        described["sumup_said"] = dict(value.raw)
    return described
