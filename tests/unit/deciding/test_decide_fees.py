"""The rows of listing fees (docs/outcomes.md, 60) for the pure core: ask until nothing is left to ask, then decide."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from paypoll.payments.decision import Decision, NoticeKind, Outcome, Reason
from paypoll.payments.evidence import Evidence
from paypoll.payments.fee_statuses import FeeState
from paypoll.payments.fetch import fetch_evidence
from paypoll.payments.gateway import CheckoutAnswer, Found, Look, NoAnswer, Refused, TransactionAnswer
from paypoll.payments.listing_fees import ListingFee, as_order, decide_fee, lists, state_after
from paypoll.payments.order import Fulfilment, Order, SeenCheckout
from paypoll.payments.policy import Policy
from paypoll.testing import (
    MERCHANT,
    NOW,
    FakeGateway,
    a_checkout,
    a_fee,
    a_policy,
    a_transaction,
    an_answer,
    an_attempt,
    an_event,
)

OLD = NOW - timedelta(hours=3)
REDIRECT = "listing_fee_LF-1"


def outcome(fee: ListingFee, *answers: CheckoutAnswer, **policy: Any) -> Decision:
    """Ask about the fee and decide, as a run does."""
    settled = a_policy(**policy)
    gateway = FakeGateway(
        checkouts={answer.id: Found(answer) for answer in answers}, transactions={"txn-1": Found(a_transaction())}
    )
    return decide_fee(fee, fetched(fee, gateway, settled), settled, NOW)


def fetched(fee: ListingFee, gateway: FakeGateway, policy: Policy) -> Evidence:
    def rules(_order: Order, evidence: Evidence, _terms: Policy, _now: object) -> Decision:
        return decide_fee(fee, evidence, policy, NOW)

    terms = policy.for_fees()
    return fetch_evidence(as_order(fee, terms), gateway, terms, NOW, rules=rules)


def paid(reference: str = "LF-1", **changes: Any) -> CheckoutAnswer:
    return an_answer(reference=reference, **changes)


@pytest.mark.parametrize("reference", ["LF-1", REDIRECT])
def test_row_60_fee_that_fits_is_paid(reference: str) -> None:
    fee = a_fee(checkouts=(a_checkout(reference=reference),))
    decision = outcome(fee, paid(reference))
    assert (decision.outcome, decision.reason) == (Outcome.COMPLETE, Reason.PAID)
    assert state_after(fee, decision) is FeeState.PAID
    assert decision.notices == ()


def test_row_60_checkout_that_the_fee_alone_names_is_asked_for() -> None:
    assert outcome(a_fee(checkouts=(), named_checkout="chk-1"), paid()).outcome is Outcome.COMPLETE
    # One that SumUp does not know is a case, as one of the shop's rows is.
    assert outcome(a_fee(checkouts=(), named_checkout="chk-9")).reason is Reason.NOT_FOUND


@pytest.mark.parametrize(
    ("fee", "answer"),
    [
        (a_fee(), paid(amount=Decimal("25.01"))),
        (a_fee(), paid(currency="EUR")),
        (a_fee(), paid(reference="ORD-1001")),
        (a_fee(checkouts=(a_checkout(reference="ORD-1001"),)), paid(reference="ORD-1001")),
        (a_fee(currency="EUR"), paid()),
        (a_fee(amount=Decimal("NaN")), paid()),
        (a_fee(amount=Decimal(0)), paid(amount=Decimal(0))),
    ],
    ids=["amount", "currency", "reference", "stored reference", "fee's currency", "no number", "nothing"],
)
def test_row_60b_what_does_not_fit_publishes_nothing(fee: ListingFee, answer: CheckoutAnswer) -> None:
    decision = outcome(fee, answer)
    assert (decision.outcome, decision.reason) == (Outcome.REVIEW, Reason.MISMATCH)
    assert state_after(fee, decision) is FeeState.REVIEW


def test_row_60b_fee_is_paid_to_the_platform_whatever_the_row_says() -> None:
    fee = a_fee(checkouts=(a_checkout(reference="LF-1", merchant_code="MORGANISER"),))
    attempt = replace(paid().attempts[0], merchant_code="MORGANISER")
    answer = paid(merchant_code="MORGANISER", attempts=(attempt,))
    gateway = FakeGateway(
        checkouts={"chk-1": Found(answer)}, transactions={"txn-1": Found(a_transaction(merchant_code="MORGANISER"))}
    )
    policy = a_policy()
    decision = decide_fee(fee, fetched(fee, gateway, policy), policy, NOW)
    assert (decision.outcome, decision.reason) == (Outcome.REVIEW, Reason.MISMATCH)
    assert f"is paid to the platform's, {MERCHANT}" in decision.explanation


def test_row_60b_payment_that_has_paid_for_something_else() -> None:
    decision = outcome(a_fee(spent_elsewhere=frozenset({"txn-1"})), paid())
    assert decision.reason is Reason.SPENT_ELSEWHERE


def test_row_60b_fee_in_review_takes_a_payment_that_fits() -> None:
    decision = outcome(a_fee(state=FeeState.REVIEW), paid())
    assert (decision.outcome, decision.reason) == (Outcome.COMPLETE, Reason.PAID)


def test_rows_60c_and_60d_unpaid_fee_fails_and_expires_without_a_word() -> None:
    failed = outcome(a_fee(created_at=OLD), an_answer("FAILED", reference="LF-1"))
    assert (failed.outcome, failed.notices) == (Outcome.FAIL, ())
    old = a_fee(created_at=OLD, checkouts=(a_checkout(reference="LF-1", created_at=OLD),))
    expired = outcome(old, an_answer("PENDING", reference="LF-1"))
    assert (expired.outcome, expired.notices) == (Outcome.EXPIRE, ())


def test_row_60d_fee_whose_checkout_cannot_be_closed_is_left() -> None:
    old = a_fee(created_at=OLD, checkouts=(a_checkout(reference="LF-1", created_at=OLD),))
    gateway = FakeGateway(
        checkouts={"chk-1": Found(an_answer("PENDING", reference="LF-1"))},
        closings={"chk-1": Refused("being paid", processed=False)},
    )
    policy = a_policy()
    assert decide_fee(old, fetched(old, gateway, policy), policy, NOW).reason is Reason.NOT_CLOSED


@pytest.mark.parametrize("state", [FeeState.FAILED, FeeState.EXPIRED])
def test_row_60e_late_payment_is_taken_and_told(state: FeeState) -> None:
    decision = outcome(a_fee(state=state, changed_at=OLD, looked_at=OLD), paid())
    assert (decision.outcome, decision.reason) == (Outcome.COMPLETE, Reason.PAID_LATE)
    assert [notice.kind for notice in decision.notices] == [NoticeKind.PAID_LATE]


def test_row_60f_second_payment_is_told_and_what_is_open_is_closed() -> None:
    second = paid(REDIRECT, id="chk-2", transaction_id="txn-2")
    third = an_answer("PENDING", id="chk-3", reference=REDIRECT)
    rows = tuple(a_checkout(id=n, reference="LF-1", checkout_ids=(f"chk-{n}",)) for n in (1, 2, 3))
    decision = outcome(a_fee(checkouts=rows), paid(), second, third)
    assert decision.outcome is Outcome.COMPLETE
    answers: dict[str, Look[CheckoutAnswer]] = {answer.id: Found(answer) for answer in (paid(), second, third)}
    gateway = FakeGateway(checkouts=answers, transactions={"txn-1": Found(a_transaction())})
    assert set(fetched(a_fee(checkouts=rows), gateway, a_policy()).closings) == {"chk-3"}
    assert [(notice.kind, notice.subject) for notice in decision.notices] == [(NoticeKind.PAID_TWICE, "chk-2")]
    settled = Fulfilment(5, "chk-1", "", NOW, NOW)
    listed = a_fee(status="paid", state=FeeState.PAID, settled=settled, checkouts=rows, event=an_event())
    later = outcome(listed, paid(), second, third)
    assert later.outcome is Outcome.UNCHANGED
    assert [(notice.kind, notice.subject) for notice in later.notices] == [(NoticeKind.PAID_TWICE, "chk-2")]


def test_row_60g_nobody_has_begun_to_pay() -> None:
    decision = outcome(a_fee(checkouts=(), created_at=OLD))
    assert (decision.outcome, decision.reason, decision.notices) == (Outcome.UNCHANGED, Reason.NO_CHECKOUT, ())
    assert outcome(a_fee(created_at=OLD)).reason is Reason.NOT_FOUND  # one that the shop has stored


@pytest.mark.parametrize(
    ("event", "answers", "expected"),
    [
        ("draft", (paid(),), (Outcome.COMPLETE, Reason.PAID)),
        ("published", (paid(),), (Outcome.UNCHANGED, Reason.MARKED_PAID)),
        ("draft", (an_answer("PENDING", reference="LF-1"),), (Outcome.UNCHANGED, Reason.NO_PAYMENT)),
    ],
)
def test_row_60h_fee_that_somebody_else_marked_as_paid(
    event: str, answers: tuple[CheckoutAnswer, ...], expected: tuple[Outcome, Reason]
) -> None:
    decision = outcome(a_fee(status="paid", left_as="pending", event=an_event(status=event)), *answers)
    assert (decision.outcome, decision.reason) == expected


@pytest.mark.parametrize("left_as", [None, "paid"])
def test_row_60h_fee_that_was_marked_as_paid_before_it_was_seen_is_told(left_as: str | None) -> None:
    decision = outcome(a_fee(status="paid", left_as=left_as), paid())
    assert (decision.outcome, decision.reason) == (Outcome.REVIEW, Reason.MARKED_PAID)


@pytest.mark.parametrize("status", ["refunded", "cancelled", "waived"])
def test_row_60i_payment_of_a_void_fee_is_told(status: str) -> None:
    decision = outcome(a_fee(status=status), paid())
    assert decision.outcome is Outcome.UNCHANGED
    assert [notice.kind for notice in decision.notices] == [NoticeKind.PAID_BUT_VOID]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (None, Reason.EVENT_GONE),
        (an_event(status="cancelled"), Reason.EVENT_CANCELLED),
        (an_event(status="draft", starts_on=NOW.date() - timedelta(days=1)), Reason.EVENT_OVER),
        (an_event(status="archived"), Reason.NOT_A_DRAFT),
    ],
)
def test_rows_60j_and_60k_event_that_cannot_be_published_is_told(event: Any, reason: Reason) -> None:
    fee = a_fee(event=event)
    decision = outcome(fee, paid())
    assert (decision.outcome, decision.reason) == (Outcome.COMPLETE, reason)
    assert [notice.kind for notice in decision.notices] == [NoticeKind.NOT_LISTED]
    assert state_after(fee, decision) is FeeState.REVIEW


def test_row_60l_stale_copy_is_put_back_while_its_payment_stands() -> None:
    fee = a_fee(state=FeeState.PAID, settled=Fulfilment(5, "chk-1", "", NOW, NOW))
    assert outcome(fee, paid()).outcome is Outcome.RESTORE
    refunded = FakeGateway(
        checkouts={"chk-1": Found(paid())}, transactions={"txn-1": Found(a_transaction(refunded=Decimal("25.00")))}
    )
    policy = a_policy()
    assert decide_fee(fee, fetched(fee, refunded, policy), policy, NOW).outcome is Outcome.UNCHANGED


TAKEN = Fulfilment(5, "chk-1", "", NOW, NOW)


@pytest.mark.parametrize(
    ("fee", "answers", "expected"),
    [
        ({}, (paid(),), (Outcome.REVIEW, Reason.DRAFT_AGAIN, FeeState.REVIEW)),
        ({"closed": True}, (paid(),), (Outcome.UNCHANGED, Reason.SETTLED, FeeState.PAID)),
        ({"event": an_event(status="published")}, (paid(),), (Outcome.UNCHANGED, Reason.SETTLED, FeeState.PAID)),
        (
            {"event": an_event(status="draft", starts_on=NOW.date() - timedelta(days=1))},
            (paid(),),
            (Outcome.UNCHANGED, Reason.SETTLED, FeeState.PAID),
        ),
        ({}, (), (Outcome.REVIEW, Reason.DRAFT_AGAIN, FeeState.REVIEW)),
        (
            {"settled": replace(TAKEN, checkout_id="override:LF-1"), "checkouts": ()},
            (),
            (Outcome.REVIEW, Reason.DRAFT_AGAIN, FeeState.REVIEW),
        ),
    ],
    ids=["told", "a person's", "listed", "over", "unknown to SumUp", "by a person's word"],
)
def test_row_60o_draft_of_a_fee_that_was_taken(
    fee: dict[str, Any], answers: tuple[CheckoutAnswer, ...], expected: tuple[Outcome, Reason, FeeState]
) -> None:
    placed = replace(a_fee(status="paid", state=FeeState.PAID, settled=TAKEN), **fee)
    decision = outcome(placed, *answers)
    assert (decision.outcome, decision.reason, state_after(placed, decision)) == expected


def test_row_60o_draft_is_not_told_where_the_payment_went_back() -> None:
    fee, policy = a_fee(status="paid", state=FeeState.PAID, settled=TAKEN), a_policy()
    gone: dict[str, Look[TransactionAnswer]] = {"txn-1": Found(a_transaction(refunded=Decimal("25.00")))}
    gateway = FakeGateway(checkouts={"chk-1": Found(paid())}, transactions=gone)
    decision = decide_fee(fee, fetched(fee, gateway, policy), policy, NOW)
    assert (decision.outcome, decision.reason, decision.notices) == (Outcome.UNCHANGED, Reason.RETURNED, ())
    silent = FakeGateway(checkouts={"chk-1": NoAnswer("timed out")})
    assert decide_fee(fee, fetched(fee, silent, policy), policy, NOW).reason is Reason.NO_ANSWER


def test_row_60l_restored_shop_has_its_event_published_unless_admins_were_told_of_it() -> None:
    policy = a_policy()
    for state, expected in ((FeeState.PAID, True), (FeeState.REVIEW, False)):
        fee = a_fee(state=state, settled=TAKEN)
        decision = outcome(fee, paid())
        assert (decision.outcome, lists(fee, decision, policy, NOW)) == (Outcome.RESTORE, expected)
    by_word = a_fee(state=FeeState.PAID, settled=replace(TAKEN, checkout_id="override:LF-1"), checkouts=())
    assert outcome(by_word).outcome is Outcome.RESTORE


@pytest.mark.parametrize("changes", [{"state": FeeState.REVIEW, "closed": True}, {"status": "waived"}])
def test_rows_60i_and_60p_what_stays_open_is_told_with_the_last_look(changes: Any) -> None:
    made = NOW - timedelta(hours=80)
    rows = (a_checkout(reference="LF-1", created_at=made),)
    fee = a_fee(created_at=made, looked_at=OLD, checkouts=rows, **changes)
    said = paid(status="FAILED", attempts=(an_attempt(),))
    assert [notice.key for notice in outcome(fee, said).notices] == ["may_be_paid:chk-1"]
    assert outcome(replace(fee, changed_at=OLD), said).notices == ()


def test_row_60p_fee_that_a_person_closed_is_told_of_another_payment_and_never_taken() -> None:
    fee = a_fee(state=FeeState.REVIEW, closed=True)
    told = outcome(fee, paid())
    assert (told.outcome, told.reason) == (Outcome.UNCHANGED, Reason.PAID_NOT_ISSUED)
    assert [(notice.kind, notice.subject) for notice in told.notices] == [(NoticeKind.PAID_NOT_ISSUED, "chk-1")]
    known = replace(fee, seen=(SeenCheckout("chk-1", MERCHANT, "PAID", accounted=True),))
    assert outcome(known, paid()).notices == ()
    pending = FakeGateway(checkouts={"chk-1": Found(an_answer("PENDING", reference="LF-1"))})
    assert set(fetched(fee, pending, a_policy()).closings) == {"chk-1"}
