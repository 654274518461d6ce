"""Single fields of SumUp's answers, each with what it takes to be used. `paypoll.sumup.wire` has the rule."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final

from paypoll.sumup.document import UnreadableError

# The widest column of the shop that takes such a text.
_LONGEST_TEXT: Final = 255
# As far as `paypoll.payments.money` counts in minor units.
_MOST_DIGITS: Final = 30
_NUMERIC_TEXT: Final = re.compile(r"[0-9]{1,30}(\.[0-9]{1,30})?")


def mapping(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise UnreadableError(f"{what} is not a JSON object")
    return value


def items(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise UnreadableError(f"{what} is not a JSON list")
    return value


def text(fields: Mapping[str, object], name: str) -> str:
    """Return a text that no decision depends on: empty when it is absent or not a usable text."""
    value = fields.get(name)
    return value if isinstance(value, str) and len(value) <= _LONGEST_TEXT else ""


def weighty(fields: Mapping[str, object], name: str) -> str:
    """Return a text that decisions depend on: empty when absent. Raise UnreadableError when it is not a usable text."""
    value = fields.get(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise UnreadableError(f"{name} is not a text")
    if len(value) > _LONGEST_TEXT:
        raise UnreadableError(f"{name} is of absurd length")
    return value


def currency(fields: Mapping[str, object]) -> str:
    """Return the currency's code in capitals, as ISO 4217 writes it."""
    return weighty(fields, "currency").upper()


def needed(fields: Mapping[str, object], name: str) -> str:
    value = weighty(fields, name)
    if not value:
        raise UnreadableError(f"{name} is missing")
    return value


def amount(fields: Mapping[str, object], name: str) -> Decimal | None:
    """Return an amount in major units, None when absent. Raise UnreadableError when it can be no amount of money."""
    value = number(fields, name)
    if value is not None and value.is_signed():
        raise UnreadableError(f"{name} is negative")
    return value


def number(fields: Mapping[str, object], name: str) -> Decimal | None:
    value = fields.get(name)
    if isinstance(value, str) and _NUMERIC_TEXT.fullmatch(value):
        value = Decimal(value)
    if value is None:
        return None
    if not isinstance(value, Decimal):
        raise UnreadableError(f"{name} is not a number")
    if value.adjusted() > _MOST_DIGITS or int(value.as_tuple().exponent) < -_MOST_DIGITS:
        raise UnreadableError(f"{name} is no amount of money")
    return value


def moment(fields: Mapping[str, object], name: str) -> datetime | None:
    """Return a time in UTC; None when it is absent, unreadable or without an offset."""
    try:
        found = datetime.fromisoformat(text(fields, name))
        return found.astimezone(UTC) if found.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
