"""SumUp's refusals, told apart from those of a proxy or firewall in front of it."""

import re
from collections.abc import Mapping
from typing import Final

from paypoll.sumup import document
from paypoll.sumup.document import UnreadableError
from paypoll.sumup.transport import Reply

_FORBIDDEN: Final = 403
# Letters and separators only: an error code, and never a token that a server might quote.
_CODE: Final = re.compile(r"[A-Za-z][A-Za-z_-]{1,47}")


def is_blocked(reply: Reply) -> bool:
    """Say whether a 403 comes from a firewall, which judges our traffic, and not from SumUp, which judges our rights.

    SumUp's firewall says `request-blocked` in the problem's type; others send a page of HTML.
    """
    if reply.status != _FORBIDDEN:
        return False
    problem = _problem(reply)
    return problem is None or "request-blocked" in str(problem.get("type", ""))


def is_sumups(reply: Reply) -> bool:
    """Say whether the refusal is SumUp's own: a JSON object. A proxy's 404 page says nothing about a checkout."""
    return _problem(reply) is not None


def describe(reply: Reply) -> str:
    """Return the status and SumUp's error code, such as `409 CHECKOUT_PROCESSED`. Nothing else of the body."""
    problem = _problem(reply) or {}
    kind = problem.get("type")
    candidates = (
        problem.get("error_code"),
        problem.get("error"),
        kind.rstrip("/").rpartition("/")[2] if isinstance(kind, str) else None,
    )
    code = next((text for text in candidates if isinstance(text, str) and _CODE.fullmatch(text)), "")
    return f"{reply.status} {code}".strip()


def _problem(reply: Reply) -> Mapping[str, object] | None:
    try:
        found = document.parse(reply.body)
    except UnreadableError:
        return None
    return found if isinstance(found, dict) else None
