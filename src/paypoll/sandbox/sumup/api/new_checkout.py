"""A request to create a checkout, read and checked as SumUp does."""

import json
import re
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Final, NoReturn
from urllib.parse import urlsplit

from paypoll.sandbox.sumup.entries import Checkout

# SumUp's document of August 2026 says 90, its newer SDK 64: a shop that keeps to 64 is right with both.
LONGEST_REFERENCE: Final = 64
LONGEST_OLD_REFERENCE: Final = 90
_CURRENCY: Final = re.compile(r"[A-Z]{3}")
_WEB_ADDRESS: Final = re.compile(r"https?://[\x21-\x7e]+")


class InvalidError(Exception):
    """The body is not valid. `param` names the field, `code` is MISSING or INVALID."""

    def __init__(self, param: str, code: str = "INVALID") -> None:
        super().__init__(param)
        self.param = param
        self.code = code


def read_new_checkout(body: bytes, now: datetime, longest_reference: int) -> Checkout:
    """Return the checkout that a request asks for, still without an id. Raise InvalidError."""
    try:
        fields = json.loads(body, parse_float=Decimal, parse_int=Decimal, parse_constant=_no_number)
    except (ValueError, InvalidOperation, RecursionError) as error:
        raise InvalidError("body") from error
    if not isinstance(fields, dict):
        raise InvalidError("body")
    amount = fields.get("amount")
    if amount is None:
        raise InvalidError("amount", "MISSING")
    if not isinstance(amount, Decimal) or amount <= 0:
        raise InvalidError("amount")
    reference, currency = _text(fields, "checkout_reference"), _text(fields, "currency")
    if len(reference) > longest_reference:
        raise InvalidError("checkout_reference")
    if not _CURRENCY.fullmatch(currency):
        raise InvalidError("currency")
    hosted = fields.get("hosted_checkout")
    try:
        valid_until = read_moment(_text(fields, "valid_until", needed=False))
    except ValueError as error:
        raise InvalidError("valid_until") from error
    return Checkout(
        id="",
        reference=reference,
        amount=amount,
        currency=currency,
        merchant_code=_text(fields, "merchant_code"),
        created_at=now,
        valid_until=valid_until,
        description=_text(fields, "description", needed=False),
        redirect_url=_address(fields, "redirect_url"),
        return_url=_address(fields, "return_url"),
        hosted=isinstance(hosted, dict) and hosted.get("enabled") is True,
    )


def is_web_address(text: str) -> bool:
    """Say whether the text can stand in a link or a Location header: http or https, printable ASCII, a host."""
    try:
        return _WEB_ADDRESS.fullmatch(text) is not None and bool(urlsplit(text).hostname)
    except ValueError:
        return False


def _text(fields: dict[str, object], name: str, *, needed: bool = True) -> str:
    value = fields.get(name)
    if value is None or value == "":
        if needed:
            raise InvalidError(name, "MISSING")
        return ""
    if not isinstance(value, str):
        raise InvalidError(name)
    return value


def _address(fields: dict[str, object], name: str) -> str:
    text = _text(fields, name, needed=False)
    if text and not is_web_address(text):
        raise InvalidError(name)
    return text


def _no_number(name: str) -> NoReturn:
    raise ValueError(name)


def read_moment(text: str | None) -> datetime | None:
    """Return the time in UTC; one without an offset is in UTC. Raise ValueError."""
    if not text:
        return None
    moment = datetime.fromisoformat(text)
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
