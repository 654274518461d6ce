"""JSON from outside, parsed strictly.

Numbers become Decimal from their text, never by way of a float. What could be read in two ways (a key that stands
twice), or costs more than a real answer would (numbers of thousands of digits, unlimited nesting), is refused.
"""

import json
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final, NoReturn

_LONGEST_NUMBER: Final = 100
_DEEPEST: Final = 32
# PostgreSQL's jsonb and text refuse U+0000, and UTF-8 has no form for half a surrogate pair. They are replaced and
# not dropped, so that no text becomes equal to another one by losing characters.
_UNSTORABLE: Final = re.compile("[\x00\ud800-\udfff]")
_REPLACEMENT: Final = "\ufffd"


class UnreadableError(Exception):
    """An answer cannot be used. The text says why, for the operator. `garbled`: it is not even JSON."""

    def __init__(self, why: str, *, garbled: bool = False) -> None:
        super().__init__(why)
        self.garbled = garbled


def parse(body: bytes) -> object:
    """Return the JSON document: dict, list, str, Decimal, bool or None.

    Every text in it can be stored in PostgreSQL. Raise UnreadableError for anything but one well-formed document.
    """
    try:
        value = json.loads(
            body.decode("utf-8"),
            parse_float=_number,
            parse_int=_number,
            parse_constant=_refuse_constant,
            object_pairs_hook=_object,
        )
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        # The error's own text could quote the body; only the place is of use.
        raise UnreadableError("the answer is not JSON", garbled=True) from error
    except RecursionError as error:
        raise UnreadableError("the answer is nested too deeply", garbled=True) from error
    return _clean(value, _DEEPEST)


def storable(value: object) -> object:
    """Return a parsed document as what `json.dumps` writes with the same numbers.

    A number becomes an int or a float if that is exactly the same number, and otherwise its text: `10.10` stays a
    JSON number, as the shop's own code would have stored it, and no digit is ever lost.
    """
    if isinstance(value, Decimal):
        return _exact(value)
    if isinstance(value, Mapping):
        return {key: storable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [storable(item) for item in value]
    return value


def _number(text: str) -> Decimal:
    if len(text) > _LONGEST_NUMBER:
        raise UnreadableError("the answer holds a number of absurd length")
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise UnreadableError("the answer holds a number beyond all bounds") from error


def _refuse_constant(name: str) -> NoReturn:
    raise UnreadableError(f"the answer holds {name}, which is no number")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise UnreadableError("the answer names the same field twice")
    if any(_UNSTORABLE.search(key) for key in found):
        raise UnreadableError("the answer has a field whose name is no text")
    return found


def _clean(value: object, depth: int) -> object:
    if isinstance(value, str):
        return _UNSTORABLE.sub(_REPLACEMENT, value)
    if not isinstance(value, dict | list):
        return value
    if depth == 0:
        raise UnreadableError("the answer is nested too deeply")
    if isinstance(value, dict):
        return {key: _clean(item, depth - 1) for key, item in value.items()}
    return [_clean(item, depth - 1) for item in value]


def _exact(number: Decimal) -> int | float | str:
    if number.as_tuple().exponent == 0:
        return int(number)
    approximate = float(number)
    # The text that json.dumps will write is repr's; infinity, which is no JSON, is equal to no finite number.
    if Decimal(repr(approximate)) == number:
        return approximate
    return str(number)
