"""Whose credential it is: the memberships of its owner, and a merchant's name, country and currency."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Final

from paypoll.sandbox.sumup.api.documents import timestamp
from paypoll.sandbox.sumup.entries import Merchant
from paypoll.sandbox.sumup.exchange import Answer, Request, answer, problem
from paypoll.sandbox.sumup.keyring import Access
from paypoll.sandbox.sumup.ledger import Ledger

_MOST_MEMBERSHIPS: Final = 25
# A merchant's age matters to nobody here.
_OPENED: Final = timestamp(datetime(2020, 1, 1, tzinfo=UTC))


def memberships(ledger: Ledger, request: Request, access: Access) -> Answer:
    """Return the bearer's memberships: here that of its one merchant."""
    params = request.params
    try:
        offset, limit = int(params.get("offset", "0")), int(params.get("limit", "10"))
    except ValueError:
        offset = limit = -1
    if offset < 0 or not 1 <= limit <= _MOST_MEMBERSHIPS:
        return problem(HTTPStatus.BAD_REQUEST, "bad-request", "Request validation failed.")
    items = [_membership(ledger.merchant(access.merchant_code))]
    kind = params.get("resource.type", params.get("kind", "merchant"))
    if kind != "merchant" or params.get("status", "accepted") != "accepted":
        items = []
    return answer({"items": items[offset : offset + limit], "total_count": len(items)})


def merchant(ledger: Ledger, merchant_code: str, access: Access) -> Answer:
    """Return the merchant, if it is the bearer's."""
    if access.merchant_code != merchant_code:
        detail = "The requested resource doesn't exist or does not belong to you."
        return problem(HTTPStatus.NOT_FOUND, "not-found", detail)
    found = ledger.merchant(merchant_code)
    return answer(
        {
            "merchant_code": found.code,
            "company": {"name": found.name},
            "country": found.country,
            "business_profile": {"name": found.name},
            "default_currency": found.currency,
            "default_locale": found.locale,
            "sandbox": True,
            "created_at": _OPENED,
            "updated_at": _OPENED,
        }
    )


def _membership(found: Merchant) -> dict[str, object]:
    resource = {
        "id": found.code,
        "type": "merchant",
        "name": found.name,
        "created_at": _OPENED,
        "updated_at": _OPENED,
        "attributes": {"sandbox": True},
    }
    return {
        "id": f"mem_{found.code}",
        "resource_id": found.code,
        "type": "merchant",
        "roles": ["role_owner"],
        "permissions": [],
        "created_at": _OPENED,
        "updated_at": _OPENED,
        "status": "accepted",
        "resource": resource,
    }
