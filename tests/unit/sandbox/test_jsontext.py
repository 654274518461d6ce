"""JSON that keeps every number's text."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paypoll.sandbox.sumup.jsontext import JsonText, dumps

SCALARS = st.none() | st.booleans() | st.integers() | st.text() | st.decimals(allow_nan=False, allow_infinity=False)
DOCUMENTS = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=20)


@pytest.mark.parametrize("text", ["10.10", "10.1", "0.00", "1000000", "0.0000001", "-5.0"])
def test_dumps_decimal_keeps_its_digits(text: str) -> None:
    assert dumps({"amount": Decimal(text)}) == f'{{"amount":{text}}}'


@pytest.mark.parametrize("value", [1.5, b"x", object(), {"a": [1.5]}])
def test_dumps_what_json_has_no_form_for_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        dumps(value)


def test_dumps_raw_text_goes_in_as_it_is() -> None:
    assert dumps([JsonText("NaN"), Decimal("NaN"), JsonText("1e9")]) == "[NaN,NaN,1e9]"


@given(DOCUMENTS)
def test_dumps_anything_reads_back_the_same(document: object) -> None:
    def same(read: object, written: object) -> bool:
        if isinstance(read, dict) and isinstance(written, dict):
            return read.keys() == written.keys() and all(same(read[key], written[key]) for key in read)
        if isinstance(read, list) and isinstance(written, list):
            return len(read) == len(written) and all(map(same, read, written))
        return read == written

    assert same(json.loads(dumps(document), parse_float=Decimal), document)
