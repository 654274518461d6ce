"""What follows for a refund, given how far it has come and what its transaction says."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paypoll.payments.gateway import (
    BrokenAnswer,
    Found,
    Look,
    NoAnswer,
    NotAllowed,
    NotFound,
    TransactionAnswer,
    TransactionStatus,
)
from paypoll.payments.refunding import (
    SENT_WITHIN,
    SHOWN_WITHIN,
    TOLD_AFTER,
    RefundIntent,
    RefundState,
    Standing,
    Step,
    next_step,
    obstacle,
)
from paypoll.testing import MERCHANT, NOW, a_transaction

NOTHING = Standing(Decimal(0), Decimal(0), Decimal(0), Decimal(0))
MINUTE = timedelta(minutes=1)


def an_intent(state: RefundState = RefundState.INTENDED, **changes: object) -> RefundIntent:
    """Return a refund of 10.00 of 25.00 GBP, of a minute ago."""
    intent = RefundIntent(
        id=1,
        order_id=1001,
        order_number="ORD-1001",
        checkout_id="chk-1",
        transaction_id="txn-1",
        merchant_code=MERCHANT,
        amount=Decimal("10.00"),
        currency="GBP",
        tickets=(),
        beside=False,
        who="Margot",
        reason="cannot come",
        state=state,
        before=NOTHING,
        created_at=NOW - MINUTE,
        changed_at=NOW - MINUTE,
    )
    return replace(intent, **changes)  # type: ignore[arg-type]


def step(intent: RefundIntent, look: Look[TransactionAnswer], age: timedelta = MINUTE, *, allowed: bool = True) -> Step:
    """Return the next step about a refund that got its state so long ago."""
    return next_step(intent, look, intent.changed_at + age, allowed=allowed).step


def test_intended_is_sent_while_nothing_has_gone_back() -> None:
    assert step(an_intent(), Found(a_transaction())) is Step.SEND
    before = replace(NOTHING, refunded=Decimal(5))
    assert step(an_intent(before=before), Found(a_transaction(refunded=Decimal(5)))) is Step.SEND


@pytest.mark.parametrize(
    "changes",
    [
        {"refunded": Decimal("0.01")},
        {"charged_back": Decimal(25)},
        {"returning": Decimal(10)},
        {"status": TransactionStatus.FAILED},
        {"status": TransactionStatus.PENDING},
        {"currency": "EUR"},
        {"amount": Decimal("9.99")},
        {"amount": None},
    ],
)
def test_intended_is_withdrawn_when_the_transaction_is_not_as_it_was(changes: dict[str, object]) -> None:
    found = next_step(an_intent(), Found(a_transaction(**changes)), NOW, allowed=True)
    assert (found.step, found.tell) == (Step.WITHDRAW, True)


def test_intended_is_withdrawn_when_it_is_too_old_or_no_longer_allowed() -> None:
    assert step(an_intent(), Found(a_transaction()), SENT_WITHIN) is Step.SEND
    assert step(an_intent(), Found(a_transaction()), SENT_WITHIN + MINUTE) is Step.WITHDRAW
    assert step(an_intent(), Found(a_transaction()), allowed=False) is Step.WITHDRAW
    assert step(an_intent(), NoAnswer("down"), SENT_WITHIN + MINUTE) is Step.WITHDRAW


@pytest.mark.parametrize("look", [NoAnswer("down"), NotFound(), NotAllowed(MERCHANT), BrokenAnswer("?")])
@pytest.mark.parametrize("state", [RefundState.INTENDED, RefundState.ASKED])
def test_transaction_that_cannot_be_read_leads_to_nothing(state: RefundState, look: Look[TransactionAnswer]) -> None:
    assert step(an_intent(state), look) is Step.WAIT
    if state is RefundState.ASKED:
        assert next_step(an_intent(state), look, NOW + SHOWN_WITHIN, allowed=True).tell
        assert step(an_intent(state), look, SHOWN_WITHIN) is Step.WAIT


def test_asked_is_finished_when_it_shows_and_told_when_more_went_back() -> None:
    asked = an_intent(RefundState.ASKED, before=replace(NOTHING, refunded=Decimal(5)))
    for refunded, surplus in (("15.00", "0"), ("25.00", "10.00")):
        found = next_step(asked, Found(a_transaction(refunded=Decimal(refunded))), NOW, allowed=False)
        assert (found.step, found.surplus) == (Step.FINISH, Decimal(surplus))
        assert found.tell == (found.surplus > 0)
    assert step(asked, Found(a_transaction(refunded=Decimal("14.99")))) is Step.WAIT


def test_asked_that_does_not_show_is_told_after_a_while_and_given_up_after_a_day() -> None:
    asked, look = an_intent(RefundState.ASKED), Found(a_transaction())
    for age, expected, tell in (
        (MINUTE, Step.WAIT, False),
        (TOLD_AFTER, Step.WAIT, True),
        (SHOWN_WITHIN, Step.GIVE_UP, True),
    ):
        found = next_step(asked, look, asked.changed_at + age, allowed=True)
        assert (found.step, found.tell) == (expected, tell)


def test_asked_that_is_not_final_is_never_given_up_and_one_that_failed_is_told() -> None:
    asked = an_intent(RefundState.ASKED)
    assert step(asked, Found(a_transaction(returning=Decimal(10))), 9 * SHOWN_WITHIN) is Step.WAIT
    assert step(asked, Found(a_transaction(failed=Decimal(10)))) is Step.FAIL
    # One that had failed before says nothing about this one.
    again = an_intent(RefundState.ASKED, before=replace(NOTHING, failed=Decimal(10)))
    assert step(again, Found(a_transaction(failed=Decimal(10)))) is Step.WAIT


def test_obstacle_is_named_with_what_is_left() -> None:
    partly = a_transaction(refunded=Decimal(5), charged_back=Decimal(3), returning=Decimal(2))
    assert obstacle(partly, Decimal(15), "GBP") == ""
    assert "15.00 GBP is left" in obstacle(partly, Decimal("15.01"), "GBP")
    assert "no amount" in obstacle(partly, Decimal("1.001"), "GBP")


MONEY = st.decimals(0, 30, places=2)
LOOKS: st.SearchStrategy[Look[TransactionAnswer]] = st.one_of(
    st.sampled_from([NoAnswer("down"), NotFound(), NotAllowed(MERCHANT), BrokenAnswer("?")]),
    st.builds(
        lambda **fields: Found(a_transaction(**fields)),
        amount=st.one_of(st.none(), MONEY),
        refunded=MONEY,
        charged_back=MONEY,
        returning=MONEY,
        failed=MONEY,
        status=st.sampled_from(TransactionStatus),
    ),
)
STANDINGS = st.builds(Standing, MONEY, MONEY, MONEY, MONEY)


@given(
    look=LOOKS,
    before=STANDINGS,
    amount=st.decimals("0.01", 30, places=2),
    age=st.timedeltas(timedelta(0), 3 * SHOWN_WITHIN),
    allowed=st.booleans(),
    state=st.sampled_from([RefundState.INTENDED, RefundState.ASKED]),
)
def test_a_refund_is_sent_only_once_and_never_more_than_is_left(
    look: Look[TransactionAnswer],
    before: Standing,
    amount: Decimal,
    age: timedelta,
    allowed: bool,
    state: RefundState,
) -> None:
    intent = an_intent(state, before=before, amount=amount, created_at=NOW, changed_at=NOW)
    found = next_step(intent, look, NOW + age, allowed=allowed)
    if found.step is Step.SEND:
        assert state is RefundState.INTENDED
        assert allowed
        assert isinstance(look, Found)
        assert look.value.amount is not None
        assert amount <= look.value.amount - look.value.refunded - look.value.charged_back - look.value.returning
        assert replace(Standing.of(look.value), failed=before.failed) == before
    if found.step is Step.FINISH:
        assert state is RefundState.ASKED
        assert isinstance(look, Found)
        assert look.value.refunded - before.refunded == amount + found.surplus
        assert found.surplus >= 0
    if not isinstance(look, Found):
        assert found.step in {Step.WAIT, Step.WITHDRAW}
    if state is RefundState.ASKED:
        assert found.step not in {Step.SEND, Step.WITHDRAW}
        assert found.tell or age < TOLD_AFTER or found.step is Step.FINISH


def test_all_is_back_by_refund_and_charge_back_together() -> None:
    assert a_transaction(refunded=Decimal(20), charged_back=Decimal(5)).is_all_back
    assert not a_transaction(refunded=Decimal("24.99")).is_all_back
    assert not a_transaction(amount=None).is_all_back
    # A tip is beside what was paid for the order.
    assert a_transaction(amount=Decimal(27), tip_amount=Decimal(2), refunded=Decimal(25)).is_all_back
