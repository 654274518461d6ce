"""SumUp's refusals: who is not let in, and what does not exist. Each endpoint has the form that its document shows."""

from http import HTTPStatus
from typing import Final

from paypoll.sandbox.sumup.exchange import JSON, PROBLEM, Answer, answer, problem, refusal
from paypoll.sandbox.sumup.keyring import Access, Scope

# Made up, and always the same: nothing is traced here.
_TRACE: Final = "3c77294349d3b5647ea2d990f0d8f017"


def admit(
    access: Access, merchant_code: str | None = None, scope: Scope | None = None, *, problem_type: bool = False
) -> Answer | None:
    """Return why the bearer is not let in, None when it is.

    `merchant_code`: whose data is asked for. `problem_type`: the endpoint announces a problem as one
    (application/problem+json); the older ones send the same body as plain JSON.
    """
    if not access.granted:
        return unauthorized(problem_type=problem_type)
    if scope is not None and not access.may(scope):
        return forbidden("request_not_allowed")
    if merchant_code is not None and access.merchant_code != merchant_code:
        return problem(HTTPStatus.NOT_FOUND, "not-found", "It does not exist, or is not yours.")
    return None


def unauthorized(*, problem_type: bool = False) -> Answer:
    """Return what SumUp's gateway says to a bearer that is missing, unknown or expired: it tells them not apart."""
    content_type = PROBLEM if problem_type else JSON
    return problem(HTTPStatus.UNAUTHORIZED, "unauthorized", "Unauthorized.", content_type, trace_id=_TRACE)


def forbidden(message: str) -> Answer:
    """Return what SumUp says to a bearer that lacks the scope or the right."""
    document = {"error_message": message, "error_code": "FORBIDDEN", "status_code": "403"}
    return answer(document, HTTPStatus.FORBIDDEN)


def not_found() -> Answer:
    """Return what the checkout and transaction endpoints say of a thing that is not there."""
    return refusal(HTTPStatus.NOT_FOUND, "NOT_FOUND", "Resource not found")


def invalid(param: str = "", code: str = "INVALID", message: str = "Validation error") -> dict[str, object]:
    """Return the body of a 400, or one of several of them."""
    return {"message": message, "error_code": code, **({"param": param} if param else {})}
