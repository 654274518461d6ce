"""How SumUp is asked: where, how long, how often."""

import ipaddress
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

from paypoll.errors import SettingsError
from paypoll.settings.model import SumUpSettings


@dataclass(frozen=True, slots=True)
class SumUpOptions:
    """The limits of asking SumUp. Times are seconds.

    `connect_timeout` is for each address tried, `read_timeout` for each silence, `answer_timeout` for one request
    with its whole answer: a server that sends a byte now and then is given up after that. `retry_budget` bounds the
    time from the first try of a request to the start of its last; `retry_after_cap` is the longest that SumUp's own
    Retry-After is obeyed. After `breaker_after` calls in a row without an answer, SumUp is not asked again in this
    run.

    Raise SettingsError when the base URL would send the credential in clear text or a number makes no sense.
    """

    base_url: str = "https://api.sumup.com"
    connect_timeout: float = 5.0
    read_timeout: float = 10.0
    answer_timeout: float = 20.0
    parallel_requests: int = 8
    requests_per_second: float = 10.0
    retry_budget: float = 30.0
    retry_after_cap: float = 30.0
    tries: int = 3
    breaker_after: int = 5

    @classmethod
    def of(cls, settings: SumUpSettings) -> Self:
        """Return the limits that the settings name."""
        return cls(
            base_url=settings.base_url,
            connect_timeout=settings.connect_timeout.total_seconds(),
            read_timeout=settings.read_timeout.total_seconds(),
            answer_timeout=settings.answer_timeout.total_seconds(),
            parallel_requests=settings.parallel_requests,
            requests_per_second=settings.requests_per_second,
            retry_budget=settings.retry_budget.total_seconds(),
            retry_after_cap=settings.retry_after_cap.total_seconds(),
            tries=settings.tries,
            breaker_after=settings.breaker_after,
        )

    def __post_init__(self) -> None:
        problems = [*_url_problems(self.base_url)]
        positive = (
            "connect_timeout",
            "read_timeout",
            "answer_timeout",
            "parallel_requests",
            "requests_per_second",
            "tries",
            "breaker_after",
        )
        problems += [f"sumup.{name} must be more than 0" for name in positive if not getattr(self, name) > 0]
        not_negative = ("retry_budget", "retry_after_cap")
        problems += [f"sumup.{name} must not be negative" for name in not_negative if not getattr(self, name) >= 0]
        if problems:
            raise SettingsError(problems)

    @property
    def root(self) -> str:
        """The base URL without a slash at its end: SumUp refuses paths with one."""
        return self.base_url.rstrip("/")


def _url_problems(url: str) -> list[str]:
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return ["sumup.base_url is not a URL"]
    if parts.scheme not in {"https", "http"} or not parts.hostname:
        return ["sumup.base_url must begin with https:// and name a host"]
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        return ["sumup.base_url must hold no user, password, query or fragment"]
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        return ["sumup.base_url must be https: over http the credential could be read on the way"]
    return []


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
