"""JSON in which every number keeps its exact text, and in which a test can also write what is no JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal


@dataclass(frozen=True, slots=True)
class JsonText:
    """Text that goes into a document as it is: a number in an odd spelling, `NaN`, or nonsense."""

    text: str


def dumps(value: object) -> str:
    """Return the value as JSON; a Decimal is written digit for digit (10.10 stays 10.10, NaN becomes NaN).

    Raise TypeError for what JSON has no form for, floats among them: an amount must never pass through one.
    """
    if isinstance(value, JsonText):
        return value.text
    if isinstance(value, Decimal):
        return f"{value:f}"
    if value is None or isinstance(value, str | bool | int):
        return json.dumps(value)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{dumps(str(key))}:{dumps(item)}" for key, item in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return "[" + ",".join(map(dumps, value)) + "]"
    raise TypeError(f"{type(value).__name__} has no form in JSON")
