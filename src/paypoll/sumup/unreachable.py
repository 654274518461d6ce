"""Why SumUp could not be asked, in our own words: the libraries' texts are long, and may quote URLs and headers."""

import socket
import ssl
from collections.abc import Iterator

from requests.exceptions import RequestException, SSLError, Timeout
from urllib3.exceptions import NameResolutionError, ReadTimeoutError

NO_TLS = "no trusted TLS connection to SumUp"
TOO_SLOW = "SumUp did not answer in time"
FAILED = "the connection to SumUp failed"
NO_SUCH_NAME = "its name does not resolve (DNS)"
REFUSED = "it was refused"


def what_happened(error: RequestException) -> str:
    """Return why the request failed, as half a sentence."""
    causes = list(_causes(error))
    if isinstance(error, SSLError):
        why = next((one.verify_message for one in causes if isinstance(one, ssl.SSLCertVerificationError)), "")
        return f"{NO_TLS}: {why}" if why else NO_TLS
    # requests calls a time-out in the middle of the body a ConnectionError.
    if isinstance(error, Timeout) or any(isinstance(cause, ReadTimeoutError) for cause in error.args):
        return TOO_SLOW
    if any(isinstance(cause, NameResolutionError | socket.gaierror) for cause in causes):
        return f"{FAILED}: {NO_SUCH_NAME}"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return f"{FAILED}: {REFUSED}"
    return FAILED


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the error and all that it came of: the libraries wrap one in another, each in its own way."""
    seen: set[int] = set()
    waiting: list[object] = [error]
    while waiting:
        one = waiting.pop()
        if isinstance(one, BaseException) and id(one) not in seen:
            seen.add(id(one))
            yield one
            waiting += [*one.args, getattr(one, "reason", None), one.__cause__, one.__context__]
