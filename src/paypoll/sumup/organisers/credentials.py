"""Whose token goes with a request: the organiser's own for the organiser's merchant, then the platform's."""

from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa

from paypoll.database import transaction
from paypoll.logs import register_secret
from paypoll.payments.gateway import BrokenAnswer, NoAnswer, NotAllowed
from paypoll.shop.connections import OrganiserConnection, find_connections
from paypoll.sumup.auth import Credential
from paypoll.sumup.organisers.refresh import TokenRefresher
from paypoll.sumup.retry import Ask

_CONNECT_AGAIN: Final = "the organiser has to connect to SumUp again in the shop"


class OrganiserCredentials:
    """The platform's credential, and before it that of each organiser who is connected to the merchant asked for.

    The shop's profiles are read for every question: another run, or the shop, may have refreshed a token or replaced
    a connection since the last one. Only that the platform's own merchant is nobody else's is kept, for a run: its own
    credential is the right one there, whoever connects to it meanwhile. Raise DatabaseUnavailableError when they
    cannot be read.
    """

    def __init__(self, engine: sa.Engine, platform: Credential, refresher: TokenRefresher) -> None:
        self._engine = engine
        self._platform = platform
        self._refresher = refresher
        self._registered: set[str] = set()
        self._platform_alone = False

    def candidates(self, merchant_code: str) -> Sequence[Credential]:
        """Return the credentials that may apply to this merchant's checkouts, the likeliest first.

        Where the only connection to the merchant is broken, the last candidate is one that is always refused: a 404
        to the platform then proves nothing, and the order is left as it is instead of being taken for unpaid.
        """
        is_platform = merchant_code == self._platform.merchant_code
        if not merchant_code or (is_platform and self._platform_alone):
            return (self._platform,)
        with transaction(self._engine) as connection:
            found = find_connections(connection, merchant_code)
        self._platform_alone = self._platform_alone or (is_platform and not found)
        connected = [one for one in found if one.is_connected]
        for one in connected:
            self._register(one)
        if connected:
            return (*(OrganiserToken(one, self._refresher) for one in connected), self._platform)
        if not is_platform and any(one.is_broken for one in found):
            return (self._platform, BrokenConnection(merchant_code))
        return (self._platform,)

    def _register(self, connection: OrganiserConnection) -> None:
        for token in {connection.access_token, connection.refresh_token} - self._registered:
            register_secret(token)
            self._registered.add(token)


class OrganiserToken:
    """An organiser's access token, for one question. State that outlasts the question is kept by the refresher."""

    def __init__(self, connection: OrganiserConnection, refresher: TokenRefresher) -> None:
        self.merchant_code = connection.merchant_code
        self._connection = connection
        self._refresher = refresher
        self._refused = ""

    def token(self, ask: Ask) -> str | NotAllowed | NoAnswer | BrokenAnswer:
        """Return the stored token, or a new one when it has expired or was refused."""
        return self._refresher.token(self._connection, self._refused, ask)

    def renew(self, refused: str) -> bool:
        """Note that SumUp refused the token. Return whether there may be another one."""
        self._refused = refused
        return self._refresher.may_renew(self._connection, refused)

    def __repr__(self) -> str:
        return f"OrganiserToken(merchant_code={self.merchant_code!r})"


class BrokenConnection:
    """A connection for which there is no token."""

    def __init__(self, merchant_code: str) -> None:
        self.merchant_code = merchant_code

    def token(self, ask: Ask) -> NotAllowed:
        """Return NotAllowed, which says what the organiser or an admin has to do."""
        del ask
        return NotAllowed(self.merchant_code, f"the connection to SumUp is broken: {_CONNECT_AGAIN}")

    def renew(self, refused: str) -> bool:
        """Return False: there is nothing to renew."""
        del refused
        return False
