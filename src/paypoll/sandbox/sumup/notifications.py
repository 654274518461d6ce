"""What SumUp posts to a checkout's `return_url`, in its old form and in its new one, and again when it is not taken.

The old form is unsigned and says that a checkout's status has changed. The new one names what happened and is signed;
SumUp's own libraries verify it. Neither is proof of anything: whoever gets one asks the API. Any 2xx takes it.
Otherwise it is sent again 1, 5 and 20 minutes and 2 hours after the try before, by the simulator's clock, and then no
more.
Expiry sends none: SumUp promises none there.

Nothing is sent by itself: `send_due` does, which `paypoll sandbox` calls again and again, and a test when it likes.
"""

import hashlib
import hmac
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

import requests

from paypoll.clock import Clock
from paypoll.payments.gateway import CheckoutStatus
from paypoll.sandbox.sumup.api.documents import timestamp
from paypoll.sandbox.sumup.entries import Checkout
from paypoll.sandbox.sumup.jsontext import dumps

WEBHOOK_SECRET: Final = "whsec_sandbox"  # noqa: S105 - made up, and known to everybody
SIGNATURE_HEADER: Final = "X-SumUp-Webhook-Signature"
PAUSES: Final = (timedelta(minutes=1), timedelta(minutes=5), timedelta(minutes=20), timedelta(hours=2))
# SumUp says "as soon as possible" and gives no number.
_PATIENCE: Final = 5.0
_LONGEST: Final = 1000


class Form(StrEnum):
    """In which form notifications are sent."""

    NONE = "none"
    OLD = "old"
    NEW = "new"
    BOTH = "both"


class Outcome(StrEnum):
    """What became of a notification."""

    WAITING = "waiting"
    TAKEN = "taken"
    GIVEN_UP = "given up"


@dataclass(frozen=True, slots=True)
class Notification:
    """One notification. `statuses` are those of the answers to its tries; None is a try that met no answer."""

    number: int
    url: str
    body: bytes = field(repr=False)
    signed: bool
    due_at: datetime
    statuses: tuple[int | None, ...] = ()
    outcome: Outcome = Outcome.WAITING


class Notifier:
    """All notifications, the oldest first. `object_url` gives a checkout's address in the API.

    `form` may be changed at any time; it counts for what happens from then on.
    """

    def __init__(self, clock: Clock, object_url: Callable[[str], str], form: Form, secret: str) -> None:
        self.form = form
        self._clock = clock
        self._object_url = object_url
        self._secret = secret.encode()
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()
        # One at a time, so that none is sent twice; held while waiting for the shop, and so not the lock above.
        self._sending = threading.Lock()
        self._known: dict[int, Notification] = {}

    @property
    def all(self) -> tuple[Notification, ...]:
        """All notifications; of very many, the latest thousand."""
        with self._lock:
            return tuple(self._known.values())

    def note_change(self, before: Checkout | None, now: Checkout) -> None:
        """Note what must be sent about a checkout that was made or changed."""
        if not now.return_url:
            return
        moved = before is not None and before.status != now.status
        told = now.status in {CheckoutStatus.PAID, CheckoutStatus.FAILED}
        if moved and told and self.form in {Form.OLD, Form.BOTH}:
            self._add(now, {"event_type": "CHECKOUT_STATUS_CHANGED", "id": now.id}, signed=False)
        if self.form in {Form.NEW, Form.BOTH}:
            for kind in _kinds(before, now):
                self._add(now, self._event(kind, now), signed=True)

    def send_due(self, stopping: Callable[[], bool] = lambda: False) -> int:
        """Send what is due, one after the other, unless stopping; return how many tries were made."""
        tries = 0
        with self._sending:
            for one in self.all:
                if one.outcome is Outcome.WAITING and one.due_at <= self._clock.now() and not stopping():
                    tried = self._after(one, self._post(one))
                    tries += 1
                    with self._lock:
                        if one.number in self._known:
                            self._known[one.number] = tried
        return tries

    def _event(self, kind: str, checkout: Checkout) -> dict[str, object]:
        with self._lock:
            number = next(self._numbers)
        named = {"id": checkout.id, "type": "checkout", "url": self._object_url(checkout.id)}
        return {"id": f"evt_{number:08d}", "type": kind, "created_at": timestamp(self._clock.now()), "object": named}

    def _add(self, checkout: Checkout, body: dict[str, object], *, signed: bool) -> None:
        with self._lock:
            number = next(self._numbers)
            self._known[number] = Notification(
                number, checkout.return_url, dumps(body).encode(), signed, self._clock.now()
            )
            if len(self._known) > _LONGEST:
                del self._known[next(iter(self._known))]

    def _post(self, one: Notification) -> int | None:
        headers = {"Content-Type": "application/json", "User-Agent": "paypoll-sandbox"}
        if one.signed:
            headers[SIGNATURE_HEADER] = signature(self._secret, one.body, self._clock.now())
        try:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.post(
                    one.url, one.body, headers=headers, timeout=_PATIENCE, allow_redirects=False, stream=True
                )
                answer.close()
                return answer.status_code
        except (requests.RequestException, ValueError):
            return None

    def _after(self, one: Notification, status: int | None) -> Notification:
        tried = replace(one, statuses=(*one.statuses, status))
        if status is not None and requests.codes.ok <= status < requests.codes.multiple_choices:
            return replace(tried, outcome=Outcome.TAKEN)
        if len(tried.statuses) > len(PAUSES):
            return replace(tried, outcome=Outcome.GIVEN_UP)
        return replace(tried, due_at=self._clock.now() + PAUSES[len(tried.statuses) - 1])


def signature(secret: bytes, body: bytes, at: datetime) -> str:
    """Return the header's value for this body; whoever gets it allows five minutes between the time and his own."""
    stamp = str(int(at.timestamp()))
    return f"t={stamp},v1={hmac.digest(secret, b'v1:' + stamp.encode() + b':' + body, hashlib.sha256).hex()}"


def _kinds(before: Checkout | None, now: Checkout) -> list[str]:
    """Return what the new form calls it. Of a status, the first time alone is told."""
    if now.status == CheckoutStatus.EXPIRED:
        return []
    if before is None:
        return ["checkouts.created", "checkouts.updated"]
    # A refund changes the ledger's entry, and nothing that a checkout shows.
    shown = [(one.status, [attempt.status for attempt in one.attempts]) for one in (before, now)]
    kinds = ["checkouts.updated"] if shown[0] != shown[1] else []
    names = {CheckoutStatus.PAID: "checkouts.paid", CheckoutStatus.FAILED: "checkouts.failed"}
    if before.status != now.status and now.status in names:
        kinds.append(names[CheckoutStatus(now.status)])
    return kinds
