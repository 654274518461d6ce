"""Keep organisers' access tokens fresh (OAuth 2, grant refresh_token).

A refresh may invalidate the refresh token it was made with: if the new one is stored late, or not at all, the
organiser's connection is lost. So, step by step:

1. One thread of this process at a time, and by a lease one run on all hosts; the shop knows no such lease.
2. Read the tokens again: another run may have renewed them meanwhile, and then its token serves.
3. Write them back as they are, in a short transaction: if that fails, a new token could not be stored either.
4. Ask SumUp, with no transaction open.
5. Store at once, if the refresh token is still the one that was used; otherwise somebody else has stored newer ones.

A kill between 4 and 5 loses the new tokens. As long as SumUp hands the same refresh token out again (its documented
answer does) that costs one more request; if it gives a new one, the next refresh is `invalid_grant`, and a person
is told. paypoll cannot prevent that.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final, TypeAlias

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

from paypoll.clock import Clock
from paypoll.database import Trouble, describe_error, sort_error, transaction
from paypoll.errors import DatabaseUnavailableError
from paypoll.payments.gateway import BrokenAnswer, NoAnswer, NotAllowed
from paypoll.shop.changes import mark_connection_expired, rehearse_token_write, store_tokens
from paypoll.shop.connections import OrganiserConnection, reread_connection
from paypoll.sumup import document, refusal
from paypoll.sumup.document import UnreadableError
from paypoll.sumup.organisers.lease import Lease
from paypoll.sumup.pace import StoppedError, Wait
from paypoll.sumup.retry import STOPPED, Ask
from paypoll.sumup.token_answer import TokenAnswer, read_token_answer
from paypoll.sumup.transport import Reply, Request, is_bearer

log = structlog.get_logger(__name__)

NoToken: TypeAlias = NotAllowed | NoAnswer | BrokenAnswer

_MARGIN: Final = timedelta(seconds=60)
_RENEWAL_PAUSE: Final = 300.0
_FAILURE_STANDS: Final = 60.0
_REFUSALS: Final = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
# Said of whoever asks, and not of the refresh token that is asked with.
_ABOUT_THE_CLIENT: Final = frozenset({"invalid_client", "unauthorized_client"})
_STORE_PAUSES: Final = (0.5, 1.0, 2.0, 4.0, 8.0)
_REPLACED: Final = NoAnswer("the organiser's connection to SumUp was changed meanwhile")


@dataclass(frozen=True, slots=True)
class OAuthClient:
    """The platform's client id and secret, in whose name organisers are connected."""

    id: str
    secret: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class _Failed:
    """A refresh that failed. Until `stands_until` (monotonic; None: to the end of the run) it is not tried again."""

    outcome: NoToken
    stands_until: float | None


class TokenRefresher:
    """Gives out organisers' access tokens, and renews them. Used from several threads, for one run.

    Without a `client` nothing can be renewed; with `read_only` nothing may be: a dry run that renewed a token could
    not store what it got.
    """

    def __init__(
        self, engine: sa.Engine, client: OAuthClient | None, *, clock: Clock, wait: Wait, read_only: bool = False
    ) -> None:
        self._engine = engine
        self._client = client
        self._clock = clock
        self._wait = wait
        self._read_only = read_only
        self._lease = Lease(engine, wait)
        # One refresh at a time in this process. A thread that waits here holds no connection of the database.
        self._lock = threading.Lock()
        self._failed: dict[int, _Failed] = {}
        self._renewed: dict[int, tuple[str, float]] = {}

    def token(self, known: OrganiserConnection, refused: str, ask: Ask) -> str | NoToken:
        """Return a token that has not expired and is not the refused one; or why there is none.

        NotAllowed: a person has to do something. NoAnswer: the next run may succeed. Raise DatabaseUnavailableError.
        """
        if self._is_usable(known, refused):
            return known.access_token
        with self._lock:
            current = self._reread(known)
            if current is None:
                return _REPLACED
            if self._is_usable(current, refused):  # another thread or run has renewed it meanwhile
                return current.access_token
            failed = self._failed.get(known.profile_id)
            if failed is not None and (failed.stands_until is None or self._clock.monotonic() < failed.stands_until):
                return failed.outcome
            outcome = self._renew(current, refused, ask)
            if not isinstance(outcome, str):
                final = isinstance(outcome, NotAllowed)
                until = None if final else self._clock.monotonic() + _FAILURE_STANDS
                self._failed[known.profile_id] = _Failed(outcome, until)
            return outcome

    def may_renew(self, known: OrganiserConnection, refused: str) -> bool:
        """Say whether another token than the refused one may be had.

        SumUp says 401 not only of bad tokens but also of a missing scope and of another merchant's checkout. There no
        new token helps: one that was just fetched and is refused is not renewed again for some minutes.
        """
        with self._lock:
            token, at = self._renewed.get(known.profile_id, ("", 0.0))
            return token != refused or self._clock.monotonic() - at >= _RENEWAL_PAUSE

    def __repr__(self) -> str:
        return f"TokenRefresher(client={self._client!r})"

    def _is_usable(self, connection: OrganiserConnection, refused: str) -> bool:
        token, expires_at = connection.access_token, connection.expires_at
        if not connection.is_connected or token == refused or not is_bearer(token):
            return False
        return expires_at is None or self._clock.now() < expires_at - _MARGIN

    # -- one at a time ------------------------------------------------------------------------------------

    def _renew(self, known: OrganiserConnection, refused: str, ask: Ask) -> str | NoToken:
        if obstacle := self._obstacle(known, refused):
            return obstacle
        try:
            with self._lease.held(f"organiser-token:{known.profile_id}") as is_held:
                if not is_held:
                    return NoAnswer("another run is renewing the organiser's token and has not come to an end")
                current = self._reread(known)
                if current is None:
                    return _REPLACED
                if self._is_usable(current, refused):
                    return current.access_token
                return self._obstacle(current, refused) or self._exchange(current, ask)
        except StoppedError:
            return NoAnswer(STOPPED)

    def _obstacle(self, connection: OrganiserConnection, refused: str) -> NoToken | None:
        """Return why the token must not or cannot be renewed; None when SumUp is to be asked."""
        merchant = connection.merchant_code
        if connection.is_broken:
            return NotAllowed(merchant, "the organiser's connection has expired: the organiser has to connect again")
        if not connection.is_connected:
            return _REPLACED
        if self._client is None:
            return NotAllowed(
                merchant,
                "the organiser's access token has expired or is refused, and without sumup.client_id and "
                "sumup.client_secret in the settings it cannot be renewed: set them, or the organiser has to connect "
                "again",
            )
        if not connection.refresh_token:
            return NotAllowed(
                merchant,
                "the organiser's access token has expired or is refused, and there is no refresh token: the organiser "
                "has to connect again",
            )
        _, at = self._renewed.get(connection.profile_id, ("", float("-inf")))
        if refused and self._clock.monotonic() - at < _RENEWAL_PAUSE:
            return NotAllowed(merchant, "SumUp refuses the organiser's access token, which was renewed just now")
        if self._read_only:
            return NoAnswer("the organiser's access token has expired or is refused, and a dry run renews none")
        return None

    def _exchange(self, current: OrganiserConnection, ask: Ask) -> str | NoToken:
        """Ask SumUp for a new token, and store it or mark the connection by what it says."""
        if self._client is None:
            raise AssertionError("without a client there is an obstacle")
        try:
            with transaction(self._engine) as connection:
                if not rehearse_token_write(connection, current):
                    return _REPLACED
        except SQLAlchemyError as error:
            if sort_error(error) is Trouble.BUSY:
                return NoAnswer("the shop holds the organiser's profile; the token is renewed later")
            raise
        form = {
            "grant_type": "refresh_token",
            "refresh_token": current.refresh_token,
            "client_id": self._client.id,
            "client_secret": self._client.secret,
        }
        asked_at = self._clock.now()
        reply = ask(Request("POST", "/token", "/token", form=form))
        if not isinstance(reply, Reply):
            return reply
        if reply.status != HTTPStatus.OK:
            return self._turned_down(current, reply)
        try:
            answer = read_token_answer(reply.body)
        except UnreadableError as error:
            return BrokenAnswer(f"no access token: {error}", garbled=True)
        return self._keep(current, answer, asked_at)

    def _keep(self, current: OrganiserConnection, answer: TokenAnswer, asked_at: datetime) -> str | NoToken:
        def store(connection: sa.Connection) -> bool:
            return store_tokens(
                connection,
                current,
                access_token=answer.access_token,
                refresh_token=answer.refresh_token,
                token_type=answer.token_type,
                scope=answer.scope,
                expires_at=asked_at + answer.life,
                now=self._clock.now(),
            )

        if not self._persist(store, current, "organiser_tokens_not_stored"):
            return self._somebody_elses(current)
        self._renewed[current.profile_id] = (answer.access_token, self._clock.monotonic())
        log.info("organiser_token_renewed", merchant=current.merchant_code, profile=current.profile_id)
        return answer.access_token

    def _turned_down(self, current: OrganiserConnection, reply: Reply) -> str | NoToken:
        said = refusal.describe(reply)
        if reply.status not in _REFUSALS or not refusal.is_sumups(reply):
            return BrokenAnswer(f"no access token: unexpected answer {said}", garbled=True)
        errors = _error_codes(reply)
        if "invalid_grant" not in errors:
            # 18a: whatever it says, it was said to this request alone. That the client is wrong shows at the others
            # too, at a request each; taking it for all of them would let one organiser hold up the others' orders.
            why = f"no access token: SumUp answered {said} to the client of the settings"
            return NotAllowed(current.merchant_code, why, about_client=not errors.isdisjoint(_ABOUT_THE_CLIENT))
        # Final for this refresh token. If it is no longer the stored one, somebody has used it before us.
        if not self._persist(
            lambda connection: mark_connection_expired(connection, current, self._clock.now()),
            current,
            "organiser_connection_not_marked",
        ):
            return self._somebody_elses(current)
        log.error("organiser_connection_expired", merchant=current.merchant_code, profile=current.profile_id)
        return NotAllowed(
            current.merchant_code, f"SumUp answered {said} to the refresh: the organiser has to connect again"
        )

    def _somebody_elses(self, current: OrganiserConnection) -> str | NoToken:
        """Return the token that somebody (the shop, most likely) has put in the place of the one we renewed."""
        log.info("organiser_token_was_replaced", merchant=current.merchant_code, profile=current.profile_id)
        now = self._reread(current)
        return now.access_token if now is not None and self._is_usable(now, "") else _REPLACED

    # -- the database -------------------------------------------------------------------------------------

    def _reread(self, known: OrganiserConnection) -> OrganiserConnection | None:
        with transaction(self._engine) as connection:
            return reread_connection(connection, known)

    def _persist(self, write: Callable[[sa.Connection], bool], current: OrganiserConnection, otherwise: str) -> bool:
        """Write in a transaction of its own, and again while the row is held or the database away.

        SumUp's answer cannot be fetched a second time, so this waits longer than anything else in a run, also when
        the run was told to stop (then without the pauses). After the last try, say so and raise.
        """
        for pause in (*_STORE_PAUSES, None):
            try:
                with transaction(self._engine) as connection:
                    return write(connection)
            except (SQLAlchemyError, DatabaseUnavailableError) as error:
                lasting = isinstance(error, SQLAlchemyError) and sort_error(error) is not Trouble.BUSY
                if lasting or pause is None:
                    words = describe_error(error)
                    log.critical(otherwise, merchant=current.merchant_code, profile=current.profile_id, error=words)
                    raise
                self._wait(pause)
        raise AssertionError("the last try returns or raises")


def _error_codes(reply: Reply) -> set[str]:
    """Return what SumUp calls the refusal (RFC 6749, section 5.2)."""
    fields = document.parse(reply.body)
    if not isinstance(fields, dict):
        return set()
    return {str(fields.get(name, "")).lower() for name in ("error", "error_code")}
