"""A request and its answer, between the HTTP server and what stands behind it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import responses
from urllib.parse import parse_qs, parse_qsl

from paypoll.sandbox.sumup.jsontext import dumps

JSON = "application/json"
PROBLEM = "application/problem+json"
HTML = "text/html; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it came in. `path` is as sent, still quoted and without the query; headers are in small letters."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = field(default=b"", repr=False)

    @property
    def params(self) -> dict[str, str]:
        """The query's fields; of one that stands twice, the last."""
        return _fields(self.query)

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The query's fields in their order, also one that stands several times."""
        return parse_qsl(self.query, keep_blank_values=True)

    @property
    def form(self) -> dict[str, str]:
        """The fields of a form in the body; of one that stands twice, the last."""
        return _fields(self.body.decode("utf-8", "replace"))

    @property
    def is_form(self) -> bool:
        """Whether the body is what a browser's form sends. `curl -d` says so of JSON, too: that is none."""
        announced = self.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
        return announced and not self.body.lstrip().startswith(b"{")


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer. Content-Length is added by the server."""

    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def answer(document: object, status: int = HTTPStatus.OK) -> Answer:
    """Return the document as a JSON answer."""
    return Answer(status, dumps(document).encode())


def refusal(status: int, code: str, message: str, **more: object) -> Answer:
    """Return an error in the form of SumUp's older endpoints."""
    return answer({"error_code": code, "message": message, **more}, status)


def problem(status: int, kind: str, detail: str, content_type: str = PROBLEM, **more: object) -> Answer:
    """Return an error in the form of SumUp's newer endpoints (RFC 9457)."""
    document = {
        "type": f"https://developer.sumup.com/problem/{kind}",
        "title": phrase(status),
        "status": int(status),
        "detail": detail,
        **more,
    }
    return Answer(status, dumps(document).encode(), content_type)


def phrase(status: int) -> str:
    """Return what the status is called, also when it is none of HTTP's."""
    return responses.get(status, "Unheard Of")


def see_other(location: str) -> Answer:
    """Send the browser elsewhere after a POST. `location` must be fit for a header."""
    return Answer(HTTPStatus.SEE_OTHER, content_type=HTML, headers={"Location": location})


def _fields(text: str) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(text, keep_blank_values=True).items()}
