"""One HTTP request to SumUp and its answer, within limits. Never tried again here, never redirected.

requests is told not to trust the environment. Otherwise a .netrc entry for the host would replace the Authorization
header, and HTTPS_PROXY and REQUESTS_CA_BUNDLE would decide who sees the credential: the timer's environment is not
where that should be settled.
"""

import re
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final

import requests
from requests.exceptions import ConnectTimeout, ContentDecodingError, RequestException
from urllib3.exceptions import NewConnectionError

from paypoll import __version__
from paypoll.clock import Clock
from paypoll.payments.gateway import BrokenAnswer
from paypoll.sumup.deadline import ANSWER_BY, TimedAdapter
from paypoll.sumup.options import SumUpOptions
from paypoll.sumup.unreachable import what_happened

LONGEST_ANSWER: Final = 1024 * 1024
_PIECE: Final = 16 * 1024
_LONGEST_RETRY_AFTER: Final = 10
_HEADERS: Final = {
    "User-Agent": f"paypoll/{__version__}",
    "Accept": "application/problem+json, application/json",
    # Answers are a few hundred bytes: compression gains nothing, and one that is compressed could grow huge.
    "Accept-Encoding": "identity",
}
_BEARER: Final = re.compile(r"[\x21-\x7e]{1,8192}")


@dataclass(frozen=True, slots=True)
class Request:
    """A request. `path` begins with a slash and is quoted; `template` is the same without ids, for logs and metrics.

    `params` go into the query, `form` or `json` (a JSON text) into the body. These and the bearer show in no repr.
    """

    method: str
    path: str
    template: str
    params: Mapping[str, str] = field(default_factory=dict)
    form: Mapping[str, str] | None = field(default=None, repr=False)
    json: str | None = field(default=None, repr=False)
    bearer: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete HTTP answer. The body may hold a token.

    `retry_after` is in seconds, None when SumUp named none; `date` is what SumUp's clock said, None without one.
    """

    status: int
    body: bytes = field(repr=False)
    retry_after: float | None = None
    date: datetime | None = None


@dataclass(frozen=True, slots=True)
class Lost:
    """No answer came. `again` says whether another try may mend it, `pause` how many seconds SumUp asks us to wait.

    `unsent`: there was no connection, so that nothing of the request can have arrived.
    """

    detail: str
    again: bool = True
    pause: float = 0.0
    unsent: bool = False


def is_bearer(text: str) -> bool:
    """Say whether the text can be sent as a bearer token.

    To be asked before anything is sent: requests would quote the header it refuses in its exception.
    """
    return _BEARER.fullmatch(text) is not None


class _TooLongError(Exception):
    """The body is longer than any real answer."""


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> str | None:
        # With allow_redirects=False requests still reads the whole body and parses the Location, both without limits.
        del resp
        return None


class Transport:
    """Sends requests from any thread. As many connections are open as requests were ever in flight at once.

    requests does not promise that a session can be shared, so each is lent to one request at a time, the last used
    first. (One for each thread would stay open behind every thread that has ended.)
    """

    def __init__(self, options: SumUpOptions, clock: Clock) -> None:
        self._options = options
        self._clock = clock
        self._lock = threading.Lock()
        self._idle: list[requests.Session] = []

    def send(self, request: Request) -> Reply | Lost | BrokenAnswer:
        """Send the request once. Lost: nothing usable came back. BrokenAnswer: something that is no answer did.

        An answer that is cut short of what its headers announce is Lost, since another try may bring it whole.
        """
        try:
            with self._session() as session:
                return self._exchange(session, request)
        except _TooLongError:
            return BrokenAnswer(f"the answer is longer than {LONGEST_ANSWER} bytes", garbled=True, too_long=True)
        except ContentDecodingError:
            return BrokenAnswer("the answer is not compressed as it says", garbled=True)
        except RequestException as error:
            return Lost(what_happened(error), unsent=_was_never_sent(error))

    def close(self) -> None:
        """Close the connections that are not in use."""
        with self._lock:
            sessions, self._idle = self._idle, []
        for session in sessions:
            session.close()

    def _exchange(self, session: requests.Session, request: Request) -> Reply | Lost:
        limits = self._options
        deadline = ANSWER_BY.set(time.monotonic() + limits.answer_timeout)
        try:
            with session.send(
                _prepared(request, limits.root),
                timeout=(limits.connect_timeout, limits.read_timeout),
                allow_redirects=False,
                stream=True,
            ) as response:
                if response.status_code < HTTPStatus.OK:
                    # http.client skips only 100. The answer itself is still to come: to the next request, as it looks.
                    session.close()
                    return Lost(f"SumUp answered HTTP {response.status_code} (interim), which nobody asked for")
                return Reply(
                    response.status_code,
                    _body(response),
                    self._retry_after(response),
                    _http_date(response.headers.get("Date", "")),
                )
        finally:
            ANSWER_BY.reset(deadline)

    @contextmanager
    def _session(self) -> Iterator[requests.Session]:
        with self._lock:
            session = self._idle.pop() if self._idle else None
        session = session or _new_session()
        try:
            yield session
        finally:
            with self._lock:
                self._idle.append(session)

    def _retry_after(self, response: requests.Response) -> float | None:
        text = response.headers.get("Retry-After", "").strip()
        if text.isascii() and text.isdigit():
            return float(text[:_LONGEST_RETRY_AFTER])
        moment = _http_date(text)
        return None if moment is None else max((moment - self._clock.now()).total_seconds(), 0.0)


def _http_date(text: str) -> datetime | None:
    """Return a date of an HTTP header, None when there is none that can be read."""
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _new_session() -> requests.Session:
    session = _Session()
    session.trust_env = False
    session.mount("https://", TimedAdapter())
    session.mount("http://", TimedAdapter())
    return session


def _body(response: requests.Response) -> bytes:
    body = bytearray()
    for piece in response.iter_content(_PIECE):
        body += piece
        if len(body) > LONGEST_ANSWER:
            raise _TooLongError
    return bytes(body)


def _prepared(request: Request, root: str) -> requests.PreparedRequest:
    """Return what goes over the wire.

    Not prepared by the session: that would send back the cookies it was given, and takes an eighth longer.
    """
    headers = {**_HEADERS, "Authorization": f"Bearer {request.bearer}"} if request.bearer else {**_HEADERS}
    if request.json is not None:
        headers["Content-Type"] = "application/json"
    prepared = requests.PreparedRequest()
    prepared.prepare(
        request.method,
        root + request.path,
        headers=headers,
        params=dict(request.params),
        data=dict(request.form) if request.form is not None else request.json,
    )
    return prepared


def _was_never_sent(error: RequestException) -> bool:
    """Say whether no connection was made. One that was open before and broke may have carried the request."""
    causes = (getattr(cause, "reason", None) for cause in error.args)
    return isinstance(error, ConnectTimeout) or any(isinstance(cause, NewConnectionError) for cause in causes)
