"""What can go wrong between SumUp and its client, one class for each.

An effect is given the true answer's function and the line to the client, and decides what is sent. Times are seconds.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from datetime import datetime
from decimal import Decimal
from email.utils import format_datetime
from http import HTTPStatus
from typing import Final, Protocol

from paypoll.sandbox.sumup.exchange import HTML, Answer, phrase, problem
from paypoll.sandbox.sumup.jsontext import dumps

Respond = Callable[[], Answer]


class Line(Protocol):
    """The connection to the client whose request is being answered."""

    def send(self, answer: Answer) -> None:
        """Send the whole answer."""
        ...

    def send_cut(self, answer: Answer, length: int) -> None:
        """Announce the whole body, send its first `length` bytes, and hang up."""
        ...

    def drip(self, answer: Answer, pause: float) -> None:
        """Send the body byte by byte, with a pause before each."""
        ...

    def reset(self) -> None:
        """Break the connection off (TCP RST)."""
        ...

    def pause(self, seconds: float | None) -> None:
        """Wait; without a number until the client hangs up, the fault is cleared or the server closes.

        Raise ConnectionError if that happens: then nothing can be sent any more.
        """
        ...


class Effect(Protocol):
    """Something that happens to an answer."""

    def spoil(self, line: Line, respond: Respond) -> None:
        """Answer, or do not. The request is carried out when `respond` is called."""
        ...


@dataclass(frozen=True, slots=True)
class Latency:
    """The answer comes late. What else is wrong with the request comes on top."""

    seconds: float = 1.0


@dataclass(frozen=True, slots=True)
class Status:
    """SumUp answers with an error, as problem+json. `retry_after`: seconds, or the moment as a date."""

    status: int = HTTPStatus.SERVICE_UNAVAILABLE
    retry_after: float | datetime | None = None

    def spoil(self, line: Line, respond: Respond) -> None:
        """Answer with the error."""
        del respond
        name = phrase(self.status)
        said = problem(self.status, name.lower().replace(" ", "-"), f"{name}, says the sandbox.")
        after = self.retry_after
        if after is None:
            line.send(said)
            return
        text = format_datetime(after, usegmt=True) if isinstance(after, datetime) else f"{after:g}"
        line.send(replace(said, headers={"Retry-After": text}))


@dataclass(frozen=True, slots=True)
class Blocked:
    """The firewall takes the traffic for an attack: 403 `request-blocked`, as HTML or as problem+json."""

    html: bool = True

    def spoil(self, line: Line, respond: Respond) -> None:
        """Answer with the firewall's 403."""
        del respond
        said = problem(HTTPStatus.FORBIDDEN, "request-blocked", "Blocked by a security policy.")
        line.send(_page(HTTPStatus.FORBIDDEN, "request-blocked") if self.html else said)


@dataclass(frozen=True, slots=True)
class Html:
    """A proxy answers with a page of HTML: a 502, or a 200 that is not SumUp's."""

    status: int = HTTPStatus.OK

    def spoil(self, line: Line, respond: Respond) -> None:
        """Answer with a page."""
        del respond
        line.send(_page(self.status, phrase(self.status)))


@dataclass(frozen=True, slots=True)
class Redirect:
    """The client is sent elsewhere, where its token must not go."""

    location: str = "http://127.0.0.1:9/"
    status: int = HTTPStatus.FOUND

    def spoil(self, line: Line, respond: Respond) -> None:
        """Answer with the redirect."""
        del respond
        line.send(Answer(self.status, headers={"Location": self.location}))


@dataclass(frozen=True, slots=True)
class Reset:
    """The connection breaks."""

    def spoil(self, line: Line, respond: Respond) -> None:
        """Break it."""
        del respond
        line.reset()


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer comes, until the client gives up."""

    def spoil(self, line: Line, respond: Respond) -> None:
        """Say nothing."""
        del respond
        line.pause(None)


@dataclass(frozen=True, slots=True)
class Truncated:
    """Half of the body comes, then the connection ends."""

    def spoil(self, line: Line, respond: Respond) -> None:
        """Send half."""
        said = respond()
        line.send_cut(said, len(said.body) // 2)


@dataclass(frozen=True, slots=True)
class Oversized:
    """The answer is true and well-formed, but padded with blanks to `size` bytes."""

    size: int = 3 * 1024 * 1024

    def spoil(self, line: Line, respond: Respond) -> None:
        """Send the padded answer."""
        said = respond()
        line.send(replace(said, body=said.body.rjust(self.size)))


@dataclass(frozen=True, slots=True)
class Drip:
    """The answer comes byte by byte: a time-out for each read never expires, and the answer never ends."""

    pause: float = 0.1

    def spoil(self, line: Line, respond: Respond) -> None:
        """Send it slowly."""
        line.drip(respond(), self.pause)


@dataclass(frozen=True, slots=True)
class InvalidJson:
    """The last byte of the body is missing, and the headers know nothing of it."""

    def spoil(self, line: Line, respond: Respond) -> None:
        """Send what is no JSON."""
        said = respond()
        line.send(replace(said, body=said.body[:-1]))


@dataclass(frozen=True, slots=True)
class WrongType:
    """JSON, but a list where an object belongs, and an object where a list belongs."""

    def spoil(self, line: Line, respond: Respond) -> None:
        """Send the other type."""
        said = respond()
        line.send(replace(said, body=b"{}" if said.body.lstrip().startswith(b"[") else b"[]"))


@dataclass(frozen=True, slots=True)
class UnknownStatus:
    """The checkout is in a state that did not exist when the client was written."""

    status: str = "PROCESSING"

    def spoil(self, line: Line, respond: Respond) -> None:
        """Send the answer with the other status."""
        said = respond()
        try:
            document = json.loads(said.body, parse_float=Decimal)
        except ValueError:
            line.send(said)  # it was tampered with, and is broken already
            return
        for item in document if isinstance(document, list) else [document]:
            item["status"] = self.status
        line.send(replace(said, body=dumps(document).encode()))


_KINDS: Final[dict[str, type[Effect | Latency]]] = {
    "latency": Latency,
    "status": Status,
    "blocked": Blocked,
    "html": Html,
    "redirect": Redirect,
    "reset": Reset,
    "hang": Hang,
    "truncated": Truncated,
    "oversized": Oversized,
    "drip": Drip,
    "invalid-json": InvalidJson,
    "wrong-type": WrongType,
    "unknown-status": UnknownStatus,
}
KINDS: Final = tuple(_KINDS)


def effect_named(kind: str, options: dict[str, object]) -> Effect | Latency:
    """Return the effect of this name with these fields; a moment cannot be given here.

    Raise ValueError for an unknown name or field, or a value of another type than the field's default.
    """
    maker = _KINDS.get(kind)
    if maker is None:
        raise ValueError(f"kind must be one of {', '.join(_KINDS)}")
    defaults = {field.name: field.default for field in fields(maker)}  # type: ignore[arg-type]  # all are dataclasses
    for name, value in options.items():
        if name not in defaults or not _fits(value, defaults[name]):
            raise ValueError(f"{name} is no field of {kind}, or not of that type")
    return maker(**options)  # type: ignore[arg-type]  # each was looked at just now


def _fits(value: object, default: object) -> bool:
    if isinstance(default, bool | str):
        return type(value) is type(default)
    number = isinstance(value, int | float) and not isinstance(value, bool) and value >= 0
    return number and (isinstance(value, int) or not isinstance(default, int))


def _page(status: int, text: str) -> Answer:
    page = f"<!doctype html><html><head><title>{status} {text}</title></head><body><h1>{text}</h1></body></html>"
    return Answer(status, page.encode(), HTML)
