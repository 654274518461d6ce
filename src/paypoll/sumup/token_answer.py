"""SumUp's answer to a request for a token, read strictly. Every token in it is known to the logs from then on."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Final

from paypoll.logs import register_secret
from paypoll.sumup import document
from paypoll.sumup.document import UnreadableError
from paypoll.sumup.transport import is_bearer

_LIFE_IF_UNSAID: Final = 600
_LONGEST_LIFE: Final = 24 * 3600


@dataclass(frozen=True, slots=True)
class TokenAnswer:
    """An access token, good for `life` from the request on. What SumUp left out is empty, save the token itself."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    token_type: str
    scope: str
    life: timedelta


def read_token_answer(body: bytes) -> TokenAnswer:
    """Return what the answer grants. Raise UnreadableError, which never quotes the body, when it is of no use."""
    fields = document.parse(body)
    if not isinstance(fields, dict):
        raise UnreadableError("the answer is not a JSON object")
    access_token = fields.get("access_token")
    if not isinstance(access_token, str) or not is_bearer(access_token):
        raise UnreadableError("access_token is missing or no token")
    kind = fields.get("token_type", "Bearer")
    if not isinstance(kind, str) or kind.lower() != "bearer":
        raise UnreadableError("token_type is not Bearer")
    refresh_token, scope = fields.get("refresh_token"), fields.get("scope")
    answer = TokenAnswer(
        access_token=access_token,
        refresh_token=refresh_token if isinstance(refresh_token, str) else "",
        token_type=kind,
        scope=scope if isinstance(scope, str) else "",
        life=_life(fields.get("expires_in")),
    )
    register_secret(answer.access_token)
    register_secret(answer.refresh_token)
    return answer


def _life(seconds: object) -> timedelta:
    if not isinstance(seconds, Decimal) or seconds <= 0:
        seconds = Decimal(_LIFE_IF_UNSAID)
    return timedelta(seconds=int(min(seconds, Decimal(_LONGEST_LIFE))))
