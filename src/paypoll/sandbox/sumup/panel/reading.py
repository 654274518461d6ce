"""What requests to the control API say, and whether they may say it."""

import json
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import Final
from urllib.parse import urlsplit

from paypoll.sandbox.sumup.exchange import Request

_LOOPBACK: Final = frozenset({"127.0.0.1", "localhost", "::1"})


class BadRequestError(Exception):
    """The body is not what the control API takes. The text says what it takes."""


def is_from_here(request: Request) -> bool:
    """Say whether the request was made by a program of this machine, or by our own page in its browser.

    A page of another site can have the browser send forms here, or reach here under a name of its own that leads to
    loopback (DNS rebinding). Neither passes: browsers say where such a request comes from.
    """
    host = request.headers.get("host", "")
    try:
        if urlsplit(f"//{host}").hostname not in _LOOPBACK:
            return False
    except ValueError:
        return False
    origin = request.headers.get("origin")
    return request.method == "GET" or origin is None or origin == f"http://{host}"


def read_body(request: Request) -> dict[str, object]:
    """Return the JSON object in the body; an empty one when there is no body. Raise BadRequestError."""
    if not request.body:
        return {}
    try:
        body = json.loads(request.body, parse_float=Decimal)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise BadRequestError("the body is not JSON") from error
    if not isinstance(body, dict):
        raise BadRequestError("the body is not a JSON object")
    return body


def read_text(body: Mapping[str, object], name: str, default: str = "") -> str:
    """Return a text; the default when it is absent. Raise BadRequestError."""
    value = body.get(name, default)
    if not isinstance(value, str):
        raise BadRequestError(f"{name} is not a text")
    return value


def read_needed(body: Mapping[str, object], name: str) -> str:
    """Return a text that must be there. Raise BadRequestError."""
    value = read_text(body, name)
    if not value:
        raise BadRequestError(f"{name} is needed")
    return value


def read_number(body: Mapping[str, object], name: str) -> Decimal | None:
    """Return a number, None when it is absent. Raise BadRequestError."""
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise BadRequestError(f"{name} is not a number")
    return Decimal(value)


def read_day(body: Mapping[str, object], name: str, default: date) -> date:
    """Return a day as YYYY-MM-DD; the default when it is absent. Raise BadRequestError."""
    try:
        return date.fromisoformat(read_text(body, name, default.isoformat()))
    except ValueError as error:
        raise BadRequestError(f"{name} is no day such as 2026-05-01") from error
