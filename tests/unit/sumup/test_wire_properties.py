"""Whatever SumUp sends, nothing raises, and no PAID answer lacks what makes it a payment."""

import json
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from paypoll.payments.gateway import BrokenAnswer, Found
from paypoll.sumup.wire import read_checkout, read_checkouts, read_transaction

ASKED = "asked"

texts = st.sampled_from([ASKED, "PAID", "PENDING", "GBP", "10.10", "REFUND", "REFUNDED", "", "x" * 300]) | st.text()
numbers = st.integers() | st.floats(allow_nan=True, allow_infinity=True)
leaves = st.none() | st.booleans() | numbers | texts
values = st.recursive(leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3))
attempts = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("id", "status", "amount", "currency", "merchant_code", "tip_amount", "timestamp"), leaves),
)
events = st.fixed_dictionaries({}, optional=dict.fromkeys(("event_type", "type", "status", "amount"), leaves))
# Near to the real thing, so that the search does not end at the first missing field.
answers = st.fixed_dictionaries(
    {},
    optional={
        "id": st.just(ASKED) | values,
        "status": st.sampled_from(["PAID", "PENDING", "REFUNDED"]) | values,
        "checkout_reference": st.just(ASKED) | values,
        "amount": st.decimals(0, 100, places=2).map(float) | values,
        "currency": st.just("GBP") | values,
        "merchant_code": values,
        "transaction_id": values,
        "transactions": st.lists(attempts, max_size=3) | values,
        "transaction_events": st.lists(events, max_size=3) | values,
        "refunded_amount": values,
    },
)
bodies = (
    st.binary()
    | values.map(lambda value: json.dumps(value).encode())
    | answers.map(lambda answer: json.dumps(answer).encode())
)
list_bodies = bodies | st.lists(answers, max_size=3).map(lambda answer: json.dumps(answer).encode())


@given(bodies)
def test_read_checkout_any_bytes_a_paid_answer_is_whole(body: bytes) -> None:
    look = read_checkout(body, ASKED)
    if isinstance(look, BrokenAnswer):
        return
    answer = look.value
    assert answer.id == ASKED
    assert answer.status
    if answer.status == "PAID":
        assert isinstance(answer.amount, Decimal)
        assert answer.amount.is_finite()
        assert answer.amount >= 0
        assert answer.currency
    json.dumps(answer.raw, allow_nan=False, ensure_ascii=False).encode()


@given(list_bodies)
def test_read_checkouts_any_bytes_every_checkout_is_of_the_reference(body: bytes) -> None:
    look = read_checkouts(body, ASKED)
    if isinstance(look, Found):
        assert all(answer.reference == ASKED and answer.id and answer.status for answer in look.value)


@given(bodies)
def test_read_transaction_any_bytes_sums_are_money(body: bytes) -> None:
    look = read_transaction(body, ASKED)
    if isinstance(look, Found):
        assert look.value.id == ASKED
        assert look.value.refunded >= 0
        assert look.value.charged_back >= 0
