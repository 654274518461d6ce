"""JSON from outside: what is refused, and what becomes of numbers and texts."""

import json
from decimal import Decimal

import pytest

from paypoll.sumup.document import UnreadableError, parse, storable


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"{",
        b'{"a": 1} x',
        b"\xff\xfe",
        b'\xef\xbb\xbf{"a": 1}',
        b'{"amount": NaN}',
        b'{"amount": -Infinity}',
        b'{"status": "FAILED", "status": "PAID"}',
        b'{"status\\u0000": "PAID"}',
        b'{"amount": ' + b"1" * 5000 + b"}",
        b'{"amount": 1e99999999999999999999999}',
        b"[" * 100_000,
        b"[" * 500 + b"]" * 500,
        b'{"a":' * 33 + b"1" + b"}" * 33,
    ],
)
def test_parse_what_is_not_one_plain_document_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableError):
        parse(body)


def test_parse_number_keeps_every_digit() -> None:
    assert parse(b'{"amount": 10.10000000000000000001}') == {"amount": Decimal("10.10000000000000000001")}


def test_parse_text_with_nul_or_half_a_pair_can_be_stored_and_equals_no_other() -> None:
    assert parse(rb'["ab\u0000", "\ud800x", "\ud83c\udfad"]') == ["ab\ufffd", "\ufffdx", "🎭"]


@pytest.mark.parametrize(
    ("number", "written"),
    [
        ("10.10", "10.1"),
        ("12.00", "12.0"),
        ("0.1", "0.1"),
        ("9007199254740993", "9007199254740993"),
        ("1e2", "100.0"),
        ("10.10000000000000000001", '"10.10000000000000000001"'),
        ("1e400", '"1E+400"'),
    ],
)
def test_storable_number_is_written_exactly(number: str, written: str) -> None:
    text = json.dumps(storable(parse(number.encode())), allow_nan=False)
    assert text == written
    assert Decimal(text.strip('"')) == Decimal(number)
