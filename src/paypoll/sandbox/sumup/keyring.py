"""Who may ask the simulated SumUp: API keys, OAuth clients, and the tokens that were given out.

Nothing here has a repr or an error text with a secret in it.
"""

import secrets
import threading
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from paypoll.clock import Clock


class AuthKind(StrEnum):
    """How a request was authorised, or that it was not. The request log shows this instead of the token."""

    NONE = "none"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    API_KEY = "api_key"
    CLIENT_CREDENTIALS = "client_credentials"
    REFRESH_TOKEN = "refresh_token"  # noqa: S105 - the name of a grant type


class Scope(StrEnum):
    """What a bearer may do besides having checkouts made, read and closed."""

    PAYMENTS = "payments"
    HISTORY = "transactions.history"
    PAYOUTS = "payouts.read"
    REFUNDS = "refunds.write"


EVERY_SCOPE: Final = frozenset(Scope)
CONNECTION_SCOPES: Final = frozenset({Scope.PAYMENTS, Scope.HISTORY})
"""Those of a merchant's connection unless others are given: what shops have long asked for."""
CLIENT_SCOPES: Final = frozenset({Scope.PAYMENTS})
"""Those of a token of client_credentials unless others are given: it has long seen no transactions at SumUp."""


@dataclass(frozen=True, slots=True)
class Access:
    """What a bearer may see: the checkouts of one merchant, and what the scopes allow."""

    kind: AuthKind
    merchant_code: str = ""
    scopes: frozenset[Scope] = EVERY_SCOPE

    @property
    def granted(self) -> bool:
        """Whether the bearer is let in at all."""
        return self.kind not in {AuthKind.NONE, AuthKind.UNKNOWN, AuthKind.EXPIRED}

    def may(self, scope: Scope) -> bool:
        """Say whether the bearer may do this."""
        return self.granted and scope in self.scopes


class OAuthError(Exception):
    """The token endpoint refuses. `code` is the error code of RFC 6749, section 5.2."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the token endpoint gives out. `refresh_token` is None where no new one is given; `life` is in seconds."""

    access_token: str = field(repr=False)
    refresh_token: str | None = field(repr=False)
    life: int
    scopes: frozenset[Scope]


@dataclass(frozen=True, slots=True)
class _Client:
    secret: str = field(repr=False)
    merchant_code: str
    scopes: frozenset[Scope]


@dataclass(frozen=True, slots=True)
class _Token:
    access: Access
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class _Grant:
    client_id: str
    merchant_code: str
    scopes: frozenset[Scope]


class Keyring:
    """All credentials. `rotate` says whether a refresh gives a new refresh token and invalidates the old one."""

    def __init__(self, clock: Clock, token_life: timedelta, *, rotate: bool) -> None:
        self.rotate = rotate
        self.token_life = token_life
        self._clock = clock
        self._lock = threading.Lock()
        self._api_keys: dict[str, Access] = {}
        self._clients: dict[str, _Client] = {}
        self._tokens: dict[str, _Token] = {}
        self._grants: dict[str, _Grant] = {}

    def add_api_key(self, key: str, merchant_code: str, scopes: frozenset[Scope] = EVERY_SCOPE) -> None:
        """Let in whoever has this key, as this merchant."""
        with self._lock:
            self._api_keys[key] = Access(AuthKind.API_KEY, merchant_code, scopes)

    def add_client(
        self, client_id: str, secret: str, merchant_code: str, scopes: frozenset[Scope] = CLIENT_SCOPES
    ) -> None:
        """Let this client fetch tokens; by client_credentials it acts for its own merchant, in these scopes."""
        with self._lock:
            self._clients[client_id] = _Client(secret, merchant_code, scopes)

    def connect(
        self,
        client_id: str,
        merchant_code: str,
        refresh_token: str = "",
        scopes: frozenset[Scope] = CONNECTION_SCOPES,
    ) -> str:
        """Return a refresh token, as if the merchant had let the client act for it."""
        with self._lock:
            return self._new_grant(_Grant(client_id, merchant_code, scopes), refresh_token)

    def issue(self, access: Access) -> str:
        """Return a new access token that lets its bearer in so."""
        with self._lock:
            return self._new_token(access)

    def revoke(self, merchant_code: str) -> None:
        """Take back what the merchant granted: its refresh tokens and the access tokens made from them."""
        with self._lock:
            self._grants = {token: made for token, made in self._grants.items() if made.merchant_code != merchant_code}
            lost = (AuthKind.REFRESH_TOKEN, merchant_code)
            self._tokens = {
                token: made
                for token, made in self._tokens.items()
                if (made.access.kind, made.access.merchant_code) != lost
            }

    def expire_tokens(self) -> None:
        """Let every access token be expired: the next request with one is answered 401."""
        with self._lock:
            now = self._clock.now()
            self._tokens = {token: _Token(made.access, now) for token, made in self._tokens.items()}

    def access(self, authorization: str | None) -> Access:
        """Return what the Authorization header opens."""
        if not authorization:
            return Access(AuthKind.NONE)
        scheme, _, bearer = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return Access(AuthKind.UNKNOWN)
        with self._lock:
            if bearer in self._api_keys:
                return self._api_keys[bearer]
            token = self._tokens.get(bearer)
        if token is None:
            return Access(AuthKind.UNKNOWN)
        return token.access if self._clock.now() < token.expires_at else Access(AuthKind.EXPIRED)

    def exchange(self, grant_type: str, client_id: str, secret: str, refresh_token: str) -> Tokens:
        """Give out tokens. Raise OAuthError."""
        with self._lock:
            client = self._clients.get(client_id)
            if client is None or client.secret != secret:
                raise OAuthError("invalid_client")
            if grant_type == AuthKind.CLIENT_CREDENTIALS:
                access = Access(AuthKind.CLIENT_CREDENTIALS, client.merchant_code, client.scopes)
                return Tokens(self._new_token(access), None, self._life, client.scopes)
            if grant_type != AuthKind.REFRESH_TOKEN:
                raise OAuthError("unsupported_grant_type")
            grant = self._grants.get(refresh_token)
            if grant is None or grant.client_id != client_id:
                raise OAuthError("invalid_grant")
            renewed = None
            if self.rotate:
                del self._grants[refresh_token]
                renewed = self._new_grant(grant)
            access = Access(AuthKind.REFRESH_TOKEN, grant.merchant_code, grant.scopes)
            return Tokens(self._new_token(access), renewed, self._life, grant.scopes)

    @property
    def _life(self) -> int:
        return int(self.token_life.total_seconds())

    def _new_token(self, access: Access) -> str:
        token = f"at-{secrets.token_urlsafe(24)}"
        self._tokens[token] = _Token(access, self._clock.now() + self.token_life)
        return token

    def _new_grant(self, grant: _Grant, refresh_token: str = "") -> str:
        token = refresh_token or f"rt-{secrets.token_urlsafe(24)}"
        self._grants[token] = grant
        return token
