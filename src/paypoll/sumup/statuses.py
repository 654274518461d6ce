"""What the status of a reply means where its body does not answer the question: a refusal, a fault, or nothing."""

from http import HTTPStatus
from typing import Final

from paypoll.payments.gateway import (
    Accepted,
    BrokenAnswer,
    Failure,
    NoAnswer,
    NotAllowed,
    NotFound,
    NotSent,
    Refunding,
    RefundRefused,
    Refused,
)
from paypoll.sumup import refusal
from paypoll.sumup.transport import Reply

_PROCESSED: Final = "CHECKOUT_PROCESSED"
_REDIRECTS: Final = range(300, 400)
_TAKEN: Final = range(200, 300)
_LATER: Final = range(500, 600)
# SumUp's own refusals of a refund, by its document; 429 turns a request away before anybody looks at it.
_NO_REFUND: Final = frozenset(
    {
        HTTPStatus.BAD_REQUEST,
        HTTPStatus.CONFLICT,
        HTTPStatus.UNPROCESSABLE_ENTITY,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)


def failure(reply: Reply, merchant_code: str) -> Failure:
    """Return what a status means that does not answer the question; `merchant_code` is whose credential asked."""
    said = refusal.describe(reply)
    if reply.status in {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}:
        return NotAllowed(merchant_code, f"SumUp answered {said}")
    if reply.status == HTTPStatus.NOT_FOUND and refusal.is_sumups(reply):
        return NotFound(f"SumUp answered {said}")
    if reply.status in _REDIRECTS:
        return BrokenAnswer(f"a redirect ({reply.status}), which is not followed", garbled=True)
    return BrokenAnswer(f"an unexpected answer: {said}", garbled=True)


def refunding(reply: Reply, merchant_code: str) -> Refunding:
    """Return what a reply to a refund means: a refusal only where it is surely SumUp's own."""
    said = f"SumUp answered {refusal.describe(reply)}"
    if reply.status in _TAKEN:
        return Accepted()
    if refusal.is_blocked(reply):
        return NotSent("a firewall in front of SumUp blocks our requests (403)")
    if reply.status in _NO_REFUND and refusal.is_sumups(reply):
        return RefundRefused(said)
    if reply.status in _LATER or reply.status == HTTPStatus.REQUEST_TIMEOUT:
        return NoAnswer(said)
    return failure(reply, merchant_code)


def read_conflict(body: bytes) -> Refused:
    """Return why a checkout cannot be closed (409), and whether that is because it was processed."""
    said = refusal.describe(Reply(HTTPStatus.CONFLICT, body))
    return Refused(f"SumUp answered {said}", processed=_PROCESSED in said)
