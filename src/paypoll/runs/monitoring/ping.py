"""A dead man's switch: an address that is called at the start and the end of each run, and missed when it is not.

Two kinds are known. healthchecks.io and its like have an address for each event: `…/start`, the address itself,
`…/fail`; a query stays behind it. Uptime Kuma's push address (`…/api/push/TOKEN`) has the state in its query, and
nothing for a start.
"""

from http import HTTPStatus
from urllib.parse import SplitResult, parse_qsl, urlencode, urlsplit

import structlog

from paypoll.settings.addresses import is_push_address

log = structlog.get_logger(__name__)

_SECONDS = 5


class Ping:
    """Calls the address of the settings. Without one, nothing."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._is_push = is_push_address(url)

    def start(self) -> None:
        """Tell that a run has started."""
        if not self._is_push:
            self._call(_behind_path(self._url, "/start"))

    def end(self, *, ok: bool) -> None:
        """Tell that a run is over, and whether it went well."""
        if self._is_push:
            self._call(_with_state(self._url, ok=ok))
        else:
            self._call(_behind_path(self._url, "" if ok else "/fail"))

    def _call(self, url: str) -> None:
        if not url:
            return
        import requests

        # Not worth failing a run for: the switch will notice by itself that nobody called. The URL is a secret of a
        # kind, so only the kind of the error is said.
        try:
            with requests.get(url, timeout=_SECONDS, allow_redirects=False, stream=True) as answer:
                status = answer.status_code
        except requests.RequestException as error:
            log.warning("the ping URL could not be called", error=type(error).__name__)
            return
        if status >= HTTPStatus.MULTIPLE_CHOICES:
            log.warning("the ping URL was called in vain", status=status)


def _behind_path(url: str, ending: str) -> str:
    """Return the address with an ending behind its path, and the query behind that."""
    if not url:
        return ""
    parts = urlsplit(url)
    return parts._replace(path=parts.path.rstrip("/") + ending).geturl()


def _with_state(url: str, *, ok: bool) -> str:
    """Return the push address with the state in its query, in place of the one that it was copied with."""
    parts: SplitResult = urlsplit(url)
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name not in {"status", "msg", "ping"}]
    state = [("status", "up"), ("msg", "OK")] if ok else [("status", "down"), ("msg", "the run failed")]
    return parts._replace(query=urlencode([*kept, *state])).geturl()
