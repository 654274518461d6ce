"""Who asks SumUp: API keys, and access tokens that are fetched, kept and renewed.

A credential is asked for its token before each request, and told when SumUp refuses it. Which credentials may apply
to a merchant's checkout, and in which order, is for a `Credentials` to say: here the platform's alone, and in
`paypoll.sumup.organisers` an organiser's own before it.
"""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final, Protocol

from paypoll.clock import Clock
from paypoll.errors import SettingsError
from paypoll.logs import register_secret
from paypoll.payments.gateway import BrokenAnswer, NoAnswer, NotAllowed
from paypoll.sumup import refusal
from paypoll.sumup.document import UnreadableError
from paypoll.sumup.retry import Ask
from paypoll.sumup.token_answer import read_token_answer
from paypoll.sumup.token_file import StoredToken, TokenFile
from paypoll.sumup.transport import Reply, Request, is_bearer

_MARGIN: Final = timedelta(seconds=60)
_RENEWAL_PAUSE: Final = 300.0
_REFUSALS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class Credential(Protocol):
    """A credential for SumUp's API. Used from several threads; its repr shows nothing secret."""

    @property
    def merchant_code(self) -> str:
        """The merchant whose credential it is; empty for the platform's."""
        ...

    def token(self, ask: Ask) -> str | NotAllowed | NoAnswer | BrokenAnswer:
        """Return the bearer token, using `ask` if it must be fetched; or why there is none."""
        ...

    def renew(self, refused: str) -> bool:
        """Forget a token that SumUp refused. Return whether asking for a token again may bring another one."""
        ...


class Credentials(Protocol):
    """All credentials of this installation."""

    def candidates(self, merchant_code: str) -> Sequence[Credential]:
        """Return the credentials that may apply to this merchant's checkouts, the likeliest first."""
        ...


class PlatformCredentials:
    """The platform's credential, for every merchant."""

    def __init__(self, credential: Credential) -> None:
        self._only = (credential,)

    def candidates(self, merchant_code: str) -> Sequence[Credential]:
        """Return the platform's credential."""
        del merchant_code
        return self._only


class ApiKey:
    """A key that does not expire. Raise SettingsError if it cannot stand in an HTTP header."""

    def __init__(self, secret: str, *, merchant_code: str = "") -> None:
        if not is_bearer(secret):
            raise SettingsError(["sumup.api_key is empty, or holds blanks or characters that are not ASCII"])
        self._secret = secret
        self.merchant_code = merchant_code

    def token(self, ask: Ask) -> str:
        """Return the key."""
        del ask
        return self._secret

    def renew(self, refused: str) -> bool:
        """Return False: there is no other key."""
        del refused
        return False

    def __repr__(self) -> str:
        return f"ApiKey(merchant_code={self.merchant_code!r})"


class ClientCredentials:
    """A client id and secret, with which access tokens are fetched (OAuth 2, grant client_credentials).

    One token serves all threads until a minute before it expires; with a `store`, the runs of that hour as well.
    """

    def __init__(
        self, client_id: str, secret: str, clock: Clock, *, store: TokenFile | None = None, merchant_code: str = ""
    ) -> None:
        self._client_id = client_id
        self._secret = secret
        self._clock = clock
        self._store = store
        self.merchant_code = merchant_code
        # Held while a token is fetched, so that many threads fetch one.
        self._lock = threading.Lock()
        self._token: StoredToken | None = None
        self._store_read = False
        self._renewed_at: float | None = None
        self._refusal: NotAllowed | None = None

    def token(self, ask: Ask) -> str | NotAllowed | NoAnswer | BrokenAnswer:
        """Return the token at hand, the stored one, or a new one. A refusal is final for this run."""
        with self._lock:
            if self._refusal is not None:
                return self._refusal
            if self._token is None and self._store is not None and not self._store_read:
                self._store_read = True
                self._token = self._store.load()
                if self._token is not None:
                    register_secret(self._token.value)
            if self._token is None or not self._is_fresh(self._token):
                fetched = self._fetch(ask)
                if not isinstance(fetched, StoredToken):
                    return fetched
                self._token = fetched
            return self._token.value

    def renew(self, refused: str) -> bool:
        """Forget the refused token, unless another thread has done so.

        SumUp says 401 not only of bad tokens but also of a missing scope and of another merchant's checkout. There no
        new token helps, so after a renewal the next one is some minutes off.
        """
        with self._lock:
            if self._token is None or self._token.value != refused:
                return True
            now = self._clock.monotonic()
            if self._renewed_at is not None and now - self._renewed_at < _RENEWAL_PAUSE:
                return False
            self._renewed_at = now
            self._token = None
            return True

    def __repr__(self) -> str:
        return f"ClientCredentials(merchant_code={self.merchant_code!r})"

    def _is_fresh(self, token: StoredToken) -> bool:
        return self._clock.now() < token.expires_at

    def _fetch(self, ask: Ask) -> StoredToken | NotAllowed | NoAnswer | BrokenAnswer:
        form = {
            "grant_type": "client_credentials",
            "client_id": self._client_id,
            "client_secret": self._secret,
        }
        asked_at = self._clock.now()
        reply = ask(Request("POST", "/token", "/token", form=form))
        if not isinstance(reply, Reply):
            return reply
        if reply.status in _REFUSALS and refusal.is_sumups(reply):
            self._refusal = NotAllowed(self.merchant_code, f"no access token: {refusal.describe(reply)}")
            return self._refusal
        if reply.status != HTTPStatus.OK:
            return BrokenAnswer(f"no access token: unexpected answer {refusal.describe(reply)}", garbled=True)
        try:
            token = read_token(reply.body, asked_at)
        except UnreadableError as error:
            return BrokenAnswer(f"no access token: {error}", garbled=True)
        if self._store is not None:
            self._store.save(token)
        return token


def read_token(body: bytes, asked_at: datetime) -> StoredToken:
    """Return the access token of a token answer; it counts as expired a minute early.

    Raise UnreadableError, which never quotes the body, when there is none that can be used.
    """
    answer = read_token_answer(body)
    # Half of a life that is shorter than two margins, or the token would never be used twice.
    return StoredToken(answer.access_token, asked_at + answer.life - min(_MARGIN, answer.life / 2))
