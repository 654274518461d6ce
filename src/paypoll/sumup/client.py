"""SumUp as a payment gateway and as the keeper of the books: each question, and every way in which it can be answered.

Two ports, one adapter: they share the credentials, the request rate and the breaker.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import partial
from http import HTTPStatus
from typing import Final, TypeVar, cast

import structlog

from paypoll.characters import is_token
from paypoll.clock import Clock
from paypoll.payments.books import ONLINE, LedgerPage, PayoutRecord, Period
from paypoll.payments.gateway import (
    BrokenAnswer,
    CheckoutAnswer,
    CheckoutStatus,
    Closing,
    Failure,
    Found,
    Look,
    NoAnswer,
    NotAllowed,
    NotFound,
    NotSent,
    Refunding,
    Refused,
    TransactionAnswer,
)
from paypoll.payments.money import exponent, minor_units
from paypoll.sumup import books, statuses, wire
from paypoll.sumup.auth import Credential, Credentials
from paypoll.sumup.options import SumUpOptions
from paypoll.sumup.pace import Breaker, Wait
from paypoll.sumup.retry import STOPPED, Exchange, Observer, RequestSeen
from paypoll.sumup.stretches import MOST_LISTED, in_stretches
from paypoll.sumup.transport import Reply, Request

log = structlog.get_logger(__name__)

R = TypeVar("R")
Understand = Mapping[int, Callable[[bytes], R]]
"""What to make of the body, for each status that answers the question."""

_PAGE_SIZE: Final = "100"
_LONGEST_REFERENCE: Final = 255
_MOST_MEMBERSHIPS: Final = 25
"""As many as SumUp lists at a time."""


def _unobserved(seen: RequestSeen) -> None:
    del seen


class SumUpClient:
    """Asks SumUp, from any number of threads. See `paypoll.payments.gateway.PaymentGateway`, and for the books
    `paypoll.payments.ledger.LedgerSource`, for what the answers mean.

    `wait` sleeps and says whether the run was told to stop; from then on no request begins, and the answer is
    NoAnswer. `on_request` is told of every HTTP request. Nothing is connected before the first question.
    """

    def __init__(
        self,
        options: SumUpOptions,
        credentials: Credentials,
        *,
        clock: Clock,
        wait: Wait,
        on_request: Observer = _unobserved,
    ) -> None:
        self._credentials = credentials
        self._exchange = Exchange(options, clock, wait, on_request)

    @property
    def breaker(self) -> Breaker:
        """Whether SumUp has been given up for this run, and why."""
        return self._exchange.breaker

    @property
    def halted(self) -> str:
        """Why SumUp is not asked any more in this run; empty while it is."""
        return self.breaker.reason if self.breaker.open else ""

    def read_checkout(self, checkout_id: str, merchant_code: str) -> Look[CheckoutAnswer]:
        """Return the checkout's state now. An answer about another id is a BrokenAnswer."""
        request = _checkout_request("GET", checkout_id)
        if isinstance(request, BrokenAnswer):
            return request
        understand: Understand[Found[CheckoutAnswer] | BrokenAnswer] = {
            HTTPStatus.OK: partial(wire.read_checkout, asked_id=checkout_id)
        }
        return self._call(lambda: self._first(request, merchant_code, understand))

    def find_checkouts(self, reference: str, merchant_code: str) -> Look[tuple[CheckoutAnswer, ...]]:
        """Return every checkout with this checkout_reference; an empty tuple when there is none.

        A credential sees its own merchants' checkouts only, so each is asked. If any of them fails, return that
        failure: a partial list could hide the paid checkout.
        """
        # Without a reference SumUp would list every checkout there is; half a surrogate pair has no form in a URL.
        if not reference or len(reference) > _LONGEST_REFERENCE or not _is_encodable(reference):
            return BrokenAnswer("the reference is empty or no text: SumUp was not asked")
        request = Request("GET", "/v0.1/checkouts", "/v0.1/checkouts", params={"checkout_reference": reference})
        understand: Understand[Found[tuple[CheckoutAnswer, ...]] | BrokenAnswer] = {
            HTTPStatus.OK: partial(wire.read_checkouts, asked_reference=reference)
        }
        return self._call(lambda: self._all(request, merchant_code, understand))

    def read_transaction(self, transaction_id: str, merchant_code: str) -> Look[TransactionAnswer]:
        """Return the transaction with what was refunded of it."""
        if not is_token(transaction_id) or not is_token(merchant_code):
            return BrokenAnswer("the transaction's id or merchant is no plain token: SumUp was not asked")
        request = Request(
            "GET",
            f"/v2.1/merchants/{merchant_code}/transactions",
            "/v2.1/merchants/{merchant_code}/transactions",
            params={"id": transaction_id},
        )
        understand: Understand[Found[TransactionAnswer] | BrokenAnswer] = {
            HTTPStatus.OK: partial(wire.read_transaction, asked_id=transaction_id)
        }
        return self._call(lambda: self._first(request, merchant_code, understand))

    def read_merchants(self) -> Look[frozenset[str]]:
        """Return the codes of the merchants that the platform's credential is a member of."""
        request = Request("GET", "/v0.1/memberships", "/v0.1/memberships", params={"limit": str(_MOST_MEMBERSHIPS)})
        understand: Understand[Found[frozenset[str]] | BrokenAnswer] = {HTTPStatus.OK: wire.read_memberships}
        return self._call(lambda: self._first(request, "", understand))

    def close_checkout(self, checkout_id: str, merchant_code: str) -> Closing:
        """Make an unpaid checkout unpayable. Found: closed (EXPIRED). Refused: it was processed, read it again.

        If the answer is lost and a second try finds the checkout closed by the first, SumUp may well refuse: that
        asks for another look as well.
        """
        request = _checkout_request("DELETE", checkout_id)
        if isinstance(request, BrokenAnswer):
            return request
        understand: Understand[Found[CheckoutAnswer] | BrokenAnswer | Refused] = {
            HTTPStatus.OK: partial(_read_closed, asked_id=checkout_id),
            HTTPStatus.CONFLICT: statuses.read_conflict,
        }
        return self._call(lambda: self._first(request, merchant_code, understand))

    def list_transactions(self, merchant_code: str, period: Period, page: str) -> Look[LedgerPage]:
        """Return a page of the merchant's online transactions, the oldest first; `page` is empty for the first."""
        link = books.read_link(page) if page else {}
        if not is_token(merchant_code) or link is None:
            return BrokenAnswer("the merchant, or the link to the next page, is no plain text: SumUp was not asked")
        times = {
            "changes_since": period.changed_since, "oldest_time": period.since, "newest_time": period.until,
        }  # fmt: skip
        first = {"order": "ascending", "limit": _PAGE_SIZE, "payment_types[]": ONLINE}
        first |= {name: _timestamp(moment) for name, moment in times.items() if moment is not None}
        request = Request(
            "GET",
            f"/v2.1/merchants/{merchant_code}/transactions/history",
            "/v2.1/merchants/{merchant_code}/transactions/history",
            params=link or first,
        )
        understand: Understand[Found[LedgerPage] | BrokenAnswer] = {HTTPStatus.OK: books.read_history}
        return self._call(lambda: self._first(request, merchant_code, understand))

    def list_payouts(self, merchant_code: str, first: date, last: date) -> Look[tuple[PayoutRecord, ...]]:
        """Return the records of these days, both included: all of them, or the failure, which may be of one day."""
        if not is_token(merchant_code):
            return BrokenAnswer("the merchant's code is no plain token: SumUp was not asked")
        understand: Understand[Found[tuple[PayoutRecord, ...]] | BrokenAnswer] = {HTTPStatus.OK: books.read_payouts}

        def ask(first: date, last: date) -> Look[tuple[PayoutRecord, ...]]:
            request = Request(
                "GET",
                f"/v1.0/merchants/{merchant_code}/payouts",
                "/v1.0/merchants/{merchant_code}/payouts",
                params={"start_date": str(first), "end_date": str(last), "limit": str(MOST_LISTED), "order": "asc"},
            )
            return self._call(lambda: self._first(request, merchant_code, understand))

        return in_stretches(ask, first, last)

    def refund(self, transaction_id: str, merchant_code: str, amount: Decimal, currency: str) -> Refunding:
        """Ask for this much of a transaction to be given back, once: only refusals (401, 403, 404) go on to the next
        credential.
        """
        if not is_token(transaction_id) or not is_token(merchant_code):
            return NotSent("the transaction's id or merchant is no plain token: SumUp was not asked")
        if not (minor_units(amount, currency) or 0) > 0:
            return NotSent("the amount is none that could be given back: SumUp was not asked")
        request = Request(
            "POST",
            f"/v1.0/merchants/{merchant_code}/payments/{transaction_id}/refunds",
            "/v1.0/merchants/{merchant_code}/payments/{id}/refunds",
            json=f'{{"amount": {amount:.{exponent(currency)}f}}}',
        )
        return self._call(lambda: self._refund_with_any(request, merchant_code))

    def close(self) -> None:
        """Close all connections."""
        self._exchange.close()

    def _call(self, ask: Callable[[], R]) -> R:
        """Ask, and count the result for the circuit breaker."""
        look = ask()
        if isinstance(look, NoAnswer):
            if look.detail != STOPPED and self.breaker.lost():
                log.warning("sumup_given_up", reason=self.breaker.reason, last_problem=look.detail)
        elif not isinstance(look, BrokenAnswer | NotSent):
            # A BrokenAnswer may come from a proxy: it does not say whether SumUp is up or down.
            self.breaker.answered()
        return look

    def _first(self, request: Request, merchant_code: str, understand: Understand[R]) -> R | Failure:
        """Ask with each credential until one gets another answer than 404, 401 or 403: it may be another merchant's."""
        turned_away: list[NotFound | NotAllowed] = []
        for credential in self._credentials.candidates(merchant_code):
            look = self._ask_as(credential, request, understand)
            if not isinstance(look, NotFound | NotAllowed):
                return look
            turned_away.append(look)
        return _worse(turned_away, merchant_code)

    def _all(
        self,
        request: Request,
        merchant_code: str,
        understand: Understand[Found[tuple[CheckoutAnswer, ...]] | BrokenAnswer],
    ) -> Look[tuple[CheckoutAnswer, ...]]:
        """Ask with every credential and put the lists together."""
        found: dict[str, CheckoutAnswer] = {}
        turned_away: list[NotFound | NotAllowed] = []
        answered = False
        for credential in self._credentials.candidates(merchant_code):
            look = self._ask_as(credential, request, understand)
            if isinstance(look, NoAnswer | BrokenAnswer):
                return look
            if isinstance(look, NotFound):
                # By its document SumUp lists nothing where there is nothing. This is no word about any checkout.
                return BrokenAnswer(f"{look.detail} to a look-up by reference, instead of a list", garbled=True)
            if isinstance(look, Found):
                answered = True
                found |= {checkout.id: checkout for checkout in look.value}
            else:
                turned_away.append(look)
        if turned_away or not answered:
            return _worse(turned_away, merchant_code)
        return Found(tuple(found.values()))

    def _refund_with_any(self, request: Request, merchant_code: str) -> Refunding:
        turned_away: list[NotFound | NotAllowed] = []
        for credential in self._credentials.candidates(merchant_code):
            answer = self._refund_as(credential, request)
            if not isinstance(answer, NotFound | NotAllowed):
                return answer
            turned_away.append(answer)
        return _worse(turned_away, merchant_code)

    def _refund_as(self, credential: Credential, request: Request) -> Refunding:
        """Send the request with this credential; once more only where SumUp refused its token (401)."""
        token = credential.token(self._exchange.ask)
        if not isinstance(token, str):
            return token if isinstance(token, NotAllowed) else NotSent(token.detail)
        reply = self._exchange.ask_once(replace(request, bearer=token))
        if isinstance(reply, Reply) and reply.status == HTTPStatus.UNAUTHORIZED and credential.renew(token):
            token = credential.token(self._exchange.ask)
            if not isinstance(token, str):
                return token if isinstance(token, NotAllowed) else NotSent(token.detail)
            reply = self._exchange.ask_once(replace(request, bearer=token))
        return statuses.refunding(reply, credential.merchant_code) if isinstance(reply, Reply) else reply

    def _ask_as(self, credential: Credential, request: Request, understand: Understand[R]) -> R | Failure:
        """Ask with this credential; when it is refused (401), once more with a new token if one can be had."""
        token = credential.token(self._exchange.ask)
        if not isinstance(token, str):
            return token
        reply = self._exchange.ask(replace(request, bearer=token))
        if isinstance(reply, Reply) and reply.status == HTTPStatus.UNAUTHORIZED and credential.renew(token):
            token = credential.token(self._exchange.ask)
            if not isinstance(token, str):
                return token
            reply = self._exchange.ask(replace(request, bearer=token))
        if not isinstance(reply, Reply):
            return reply
        if (reader := understand.get(reply.status)) is None:
            return statuses.failure(reply, credential.merchant_code)
        return _dated(reader(reply.body), reply.date)


def _dated(look: R, date: datetime | None) -> R:
    """Return the answer with what SumUp's clock said when it was given."""
    if isinstance(look, Found) and isinstance(look.value, CheckoutAnswer):
        return cast("R", Found(replace(look.value, answered_at=date)))
    return look


def _worse(turned_away: list[NotFound | NotAllowed], merchant_code: str) -> NotFound | NotAllowed:
    """Return NotAllowed if there is one: a checkout that a credential may not see does not count as missing."""
    for look in turned_away:
        if isinstance(look, NotAllowed):
            return look
    return turned_away[0] if turned_away else NotAllowed(merchant_code, "no credential for this merchant")


def _read_closed(body: bytes, asked_id: str) -> Found[CheckoutAnswer] | BrokenAnswer:
    look = wire.read_checkout(body, asked_id)
    if isinstance(look, Found) and look.value.status != CheckoutStatus.EXPIRED:
        return BrokenAnswer(f"closing was answered with {look.value.status[:64]!r}, not with EXPIRED")
    return look


def _checkout_request(method: str, checkout_id: str) -> Request | BrokenAnswer:
    if not is_token(checkout_id):
        return BrokenAnswer("the checkout's id is no plain token: SumUp was not asked")
    return Request(method, f"/v0.1/checkouts/{checkout_id}", "/v0.1/checkouts/{id}")


def _timestamp(moment: datetime) -> str:
    """Return a time as SumUp's history takes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
