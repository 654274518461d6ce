"""The rows of the second round: contradictions, second payments, ages, and what is looked at for how long."""

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from paypoll.payments.classify import searches_for
from paypoll.payments.decision import Decision, Outcome, Reason
from paypoll.payments.fetch import Closing, fetch_evidence
from paypoll.payments.gateway import (
    CheckoutAnswer,
    Found,
    Look,
    NoAnswer,
    NotAllowed,
    NotFound,
    Refused,
    TransactionAnswer,
    TransactionStatus,
)
from paypoll.payments.order import Fulfilment, Order, SeenCheckout, Ticket
from paypoll.payments.policy import Policy
from paypoll.payments.rules import decide
from paypoll.payments.schedule import QUIET_LOOKS, next_look, window_end
from paypoll.testing import (
    MERCHANT,
    NOW,
    FakeGateway,
    a_checkout,
    a_policy,
    a_transaction,
    an_answer,
    an_attempt,
    an_event,
    an_item,
    an_order,
)

OLD = NOW - timedelta(hours=3)
OVER = NOW - timedelta(hours=80)
PENDING_ATTEMPT = an_attempt(status=TransactionStatus.PENDING)
STATES = ["FAILED", "EXPIRED", "PENDING"]


def outcome(order: Order, gateway: FakeGateway, now: datetime = NOW, **policy: Any) -> Decision:
    settled = a_policy(**policy)
    return decide(order, fetch_evidence(order, gateway, settled, now), settled, now)


def sumup(*answers: CheckoutAnswer, transaction: Look[TransactionAnswer] | None = None) -> FakeGateway:
    return FakeGateway(
        checkouts={answer.id: Found(answer) for answer in answers},
        transactions={"txn-1": transaction or Found(a_transaction())},
    )


def known(**changes: Any) -> Order:
    """An order that paypoll has looked at before."""
    return an_order(**{"looked_at": NOW - timedelta(minutes=5), **changes})


class TestPaid:
    @pytest.mark.parametrize("attempts", [(), (an_attempt(),)], ids=["absent", "listed"])
    def test_row_01a_transaction_alone_says_successful_is_completed(self, attempts: Any) -> None:
        decision = outcome(an_order(), sumup(an_answer(attempts=attempts)))
        assert decision.outcome is Outcome.COMPLETE
        assert decision.payment is not None
        assert decision.payment.transaction_id == "txn-1"

    @pytest.mark.parametrize("look", [NotAllowed(""), NotFound()])
    def test_row_01a_no_attempt_and_no_transaction_to_read_is_a_case(self, look: Any) -> None:
        decision = outcome(an_order(), sumup(an_answer(attempts=()), transaction=look))
        assert (decision.outcome, decision.reason) == (Outcome.REVIEW, Reason.MISMATCH)

    def test_row_01a_no_attempt_and_no_answer_about_the_transaction_is_unchanged(self) -> None:
        decision = outcome(an_order(), sumup(an_answer(attempts=()), transaction=NoAnswer("503")))
        assert decision.outcome is Outcome.UNCHANGED

    @pytest.mark.parametrize("field", ["status", "simple_status"])
    @pytest.mark.parametrize("attempts", [(), (PENDING_ATTEMPT,), (an_attempt(),)])
    def test_row_02a_transaction_still_pending_is_unchanged(self, field: str, attempts: Any) -> None:
        pending = a_transaction(**{field: TransactionStatus.PENDING})
        decision = outcome(an_order(), sumup(an_answer(attempts=attempts), transaction=Found(pending)))
        assert (decision.outcome, decision.notices) == (Outcome.UNCHANGED, ())

    @pytest.mark.parametrize(
        "changes",
        [
            {"amount": Decimal("24.99")},
            {"amount": Decimal("25.001")},
            {"currency": "EUR"},
            {"merchant_code": "MOTHER"},
        ],
    )
    def test_row_09b_transaction_that_is_not_the_checkouts_goes_to_review(self, changes: dict[str, Any]) -> None:
        decision = outcome(an_order(), sumup(an_answer(), transaction=Found(a_transaction(**changes))))
        assert (decision.outcome, decision.reason) == (Outcome.REVIEW, Reason.MISMATCH)

    def test_row_09b_tip_in_the_transaction_is_no_mismatch(self) -> None:
        tipped = a_transaction(amount=Decimal(27), tip_amount=Decimal(2))
        attempt = an_attempt(amount=Decimal(27), tip_amount=Decimal(2))
        decision = outcome(an_order(), sumup(an_answer(attempts=(attempt,)), transaction=Found(tipped)))
        assert decision.outcome is Outcome.COMPLETE

    @pytest.mark.parametrize("status", [TransactionStatus.CANCELLED, TransactionStatus.FAILED])
    def test_row_09c_simple_status_that_contradicts_goes_to_review(self, status: TransactionStatus) -> None:
        decision = outcome(an_order(), sumup(an_answer(), transaction=Found(a_transaction(simple_status=status))))
        assert (decision.outcome, decision.reason) == (Outcome.REVIEW, Reason.MISMATCH)

    def test_row_09d_refund_that_is_not_final_goes_to_review_and_says_so(self) -> None:
        returning = a_transaction(returning=Decimal(25))
        decision = outcome(an_order(), sumup(an_answer(), transaction=Found(returning)))
        assert (decision.outcome, decision.reason) == (Outcome.REVIEW, Reason.REFUNDED)
        assert "not final" in decision.notices[0].found[0]

    def test_row_13a_of_several_organisers_none_is_paid_for_the_others(self) -> None:
        theirs, others = an_event(merchant_code="MTHEIRS"), an_event(id=8, merchant_code="MOTHERS")
        items = (an_item(event=theirs, quantity=1), an_item(id=71, event=others, quantity=1))
        order = an_order(checkouts=(), items=items)
        answer = an_answer(merchant_code="MTHEIRS", attempts=(an_attempt(merchant_code="MTHEIRS"),))
        assert outcome(order, sumup(answer)).reason is Reason.MISMATCH
        assert outcome(order, sumup(an_answer())).outcome is Outcome.COMPLETE

    @pytest.mark.parametrize("reference", ["ORD-1001", "hosted_order_ORD-1001", "order_ORD-1001", "JE-ORD-1001"])
    def test_row_15a_every_form_of_reference_is_found(self, reference: str) -> None:
        stored = an_answer("FAILED")
        paid = an_answer(id="chk-9", reference=reference)
        assert outcome(an_order(), sumup(stored, paid)).outcome is Outcome.COMPLETE

    def test_row_15a_every_merchant_is_asked_the_one_of_a_row_beside_the_organisers(self) -> None:
        """The organiser may have connected another account of his since the row was made."""
        row = a_checkout(merchant_code="MBEFORE")
        order = an_order(checkouts=(row,), items=(an_item(event=an_event(merchant_code="MNOW")),))
        assert {question.merchant_code for question in searches_for(order, a_policy())} == {"MBEFORE", "MNOW"}
        own = an_order(items=(an_item(event=an_event(merchant_code=MERCHANT)),))
        assert {question.merchant_code for question in searches_for(own, a_policy())} == {MERCHANT}


class TestContradictions:
    @pytest.mark.parametrize("status", STATES)
    @pytest.mark.parametrize(
        "look",
        [Found(a_transaction()), NoAnswer("503"), NotFound(), Found(a_transaction(status=TransactionStatus.UNKNOWN))],
    )
    def test_row_03a_successful_attempt_inside_is_unchanged(self, status: str, look: Any) -> None:
        gateway = sumup(an_answer(status, attempts=(an_attempt(),)), transaction=look)
        decision = outcome(known(created_at=OLD), gateway)
        assert (decision.outcome, decision.notices) == (Outcome.UNCHANGED, ())

    @pytest.mark.parametrize("status", STATES)
    def test_row_03a_still_contradicting_at_the_end_of_the_window_goes_to_review(self, status: str) -> None:
        gateway = sumup(an_answer(status, attempts=(an_attempt(),)))
        decision = outcome(known(created_at=OVER), gateway)
        assert (decision.outcome, decision.reason) == (Outcome.REVIEW, Reason.CONTRADICTION)

    @pytest.mark.parametrize(("status", "end"), [("FAILED", Outcome.FAIL), ("EXPIRED", Outcome.EXPIRE)])
    @pytest.mark.parametrize("said", [TransactionStatus.FAILED, TransactionStatus.CANCELLED])
    def test_row_03a_transaction_that_was_not_taken_goes_the_usual_way(
        self, status: str, end: Outcome, said: TransactionStatus
    ) -> None:
        attempt = an_attempt(timestamp=NOW - timedelta(minutes=20))
        gateway = sumup(an_answer(status, attempts=(attempt,)), transaction=Found(a_transaction(status=said)))
        assert outcome(known(created_at=OLD), gateway).outcome is end

    @pytest.mark.parametrize("status", ["FAILED", "PENDING"])
    def test_row_03b_newest_attempt_pending_is_unchanged_and_not_closed(self, status: str) -> None:
        failed = an_attempt(id="t0", status=TransactionStatus.FAILED, timestamp=NOW - timedelta(minutes=30))
        gateway = sumup(an_answer(status, attempts=(PENDING_ATTEMPT, failed)))
        decision = outcome(known(created_at=OLD), gateway)
        assert (decision.outcome, decision.reason) == (Outcome.UNCHANGED, Reason.UNDER_WAY)
        assert ("close", "chk-1") not in gateway.asked

    @pytest.mark.parametrize("status", ["pending_verification", "failed", "expired", "pending"])
    def test_row_04a_list_says_paid_and_the_checkout_does_not_is_never_unpaid(self, status: str) -> None:
        gateway = sumup(an_answer("PENDING"))
        gateway.searches["ORD-1001"] = Found((an_answer(),))
        decision = outcome(known(created_at=OLD, status=status), gateway)
        assert (decision.outcome, decision.reason) == (Outcome.UNCHANGED, Reason.CONTRADICTION)
        assert gateway.asked.count(("read", "chk-1")) == 2
        over = outcome(known(created_at=OVER, status=status), gateway)
        assert (over.outcome, over.reason) == (Outcome.REVIEW, Reason.CONTRADICTION)

    def test_row_04a_paid_between_the_read_and_the_list_is_completed(self) -> None:
        class PaidMeanwhile(FakeGateway):
            def find_checkouts(self, reference: str, merchant_code: str) -> Look[tuple[CheckoutAnswer, ...]]:
                self.checkouts["chk-1"] = Found(an_answer())
                return super().find_checkouts(reference, merchant_code)

        gateway = PaidMeanwhile({"chk-1": Found(an_answer("PENDING"))}, {"txn-1": Found(a_transaction())})
        assert outcome(an_order(), gateway).outcome is Outcome.COMPLETE


class TestGrace:
    def failed(self, minutes: float) -> CheckoutAnswer:
        tried = an_attempt(status=TransactionStatus.FAILED, timestamp=NOW - timedelta(minutes=minutes))
        return an_answer("FAILED", attempts=(tried,))

    def test_row_03c_declined_just_now_is_unchanged_and_later_failed(self) -> None:
        assert outcome(an_order(), sumup(self.failed(9))).reason is Reason.RETRYING
        assert outcome(an_order(), sumup(self.failed(10))).outcome is Outcome.FAIL
        assert outcome(an_order(), sumup(self.failed(0)), failed_grace=timedelta(0)).outcome is Outcome.FAIL

    def test_row_03c_turned_off_waits_for_no_clock_that_is_ahead(self) -> None:
        assert outcome(an_order(), sumup(self.failed(-3)), failed_grace=timedelta(0)).outcome is Outcome.FAIL

    def test_row_03c_without_a_time_counts_from_the_first_look_that_said_so(self) -> None:
        timeless = an_answer("FAILED", attempts=())
        seen = SeenCheckout("chk-1", MERCHANT, "FAILED", failed_since=NOW - timedelta(minutes=10))
        assert outcome(an_order(), sumup(timeless)).reason is Reason.RETRYING
        assert outcome(an_order(seen=(seen,)), sumup(timeless)).outcome is Outcome.FAIL

    @pytest.mark.parametrize(
        ("minutes", "valid_until", "expected"),
        [
            (40, None, Outcome.FAIL),
            (40, NOW + timedelta(minutes=5), Outcome.UNCHANGED),
            (25 * 60, None, Outcome.UNCHANGED),
        ],
        ids=["page over", "page lives", "long ago"],
    )
    def test_row_03d_declined_and_never_back_is_failed_once_the_page_is_over(
        self, minutes: int, valid_until: datetime | None, expected: Outcome
    ) -> None:
        made = NOW - timedelta(minutes=minutes)
        answer = replace(self.failed(minutes), made_at=made, valid_until=valid_until, answered_at=NOW)
        assert outcome(known(status="pending", created_at=made), sumup(answer)).outcome is expected


class TestClosing:
    @pytest.mark.parametrize(
        "closing", [Refused("409 CHECKOUT_PROCESSED"), Refused("409", processed=False), NotAllowed(""), NotFound()]
    )
    def test_row_04a_not_closed_and_still_pending_is_unchanged_and_at_the_end_a_case(self, closing: Any) -> None:
        gateway = sumup(an_answer("PENDING"))
        gateway.closings["chk-1"] = closing
        decision = outcome(known(created_at=OLD), gateway)
        assert (decision.outcome, decision.reason) == (Outcome.UNCHANGED, Reason.NOT_CLOSED)
        over = outcome(known(created_at=OVER), gateway)
        assert (over.outcome, over.reason) == (Outcome.REVIEW, Reason.NOT_CLOSED)

    @pytest.mark.parametrize(("minutes", "expected"), [(4, Outcome.UNCHANGED), (5, Outcome.EXPIRE)])
    def test_row_04a_not_closed_but_its_page_over_by_sumups_clock_is_expired(
        self, minutes: int, expected: Outcome
    ) -> None:
        until = NOW - timedelta(minutes=minutes)
        gateway = sumup(an_answer("PENDING", valid_until=until, answered_at=NOW))
        gateway.closings["chk-1"] = Refused("409 CHECKOUT_PROCESSED")
        assert outcome(known(created_at=OLD), gateway).outcome is expected

    @pytest.mark.parametrize("made", ["row", "answer"])
    def test_row_04b_fresh_checkout_of_an_old_order_is_young(self, made: str) -> None:
        fresh = NOW - timedelta(minutes=5)
        order = known(created_at=OLD, checkouts=(a_checkout(created_at=fresh if made == "row" else OLD),))
        gateway = sumup(an_answer("PENDING", made_at=fresh if made == "answer" else None))
        assert outcome(order, gateway).reason is Reason.STILL_PENDING
        assert ("close", "chk-1") not in gateway.asked

    def test_row_16a_unknown_checkout_beside_a_failed_one_is_a_case(self) -> None:
        order = an_order(checkouts=(a_checkout(), a_checkout(id=501, reference="R-2", checkout_ids=("chk-2",))))
        decision = outcome(order, sumup(an_answer("FAILED")))
        assert (decision.outcome, decision.reason) == (Outcome.REVIEW, Reason.NOT_FOUND)

    @pytest.mark.parametrize("checkouts", [(), (a_checkout(),)], ids=["no row", "404"])
    def test_row_15b_basket_that_sumup_knows_nothing_of_is_silent(self, checkouts: Any) -> None:
        decision = outcome(known(status="pending", checkouts=checkouts, missing_checks=3), FakeGateway())
        assert (decision.outcome, decision.notices) == (Outcome.UNCHANGED, ())

    def test_dry_run_takes_closing_for_granted(self) -> None:
        gateway = sumup(an_answer("PENDING"))
        evidence = fetch_evidence(known(created_at=OLD), gateway, a_policy(), NOW, closing=Closing.ASSUME)
        assert decide(known(created_at=OLD), evidence, a_policy(), NOW).outcome is Outcome.EXPIRE
        assert evidence.assumed == {"chk-1"}
        assert ("close", "chk-1") not in gateway.asked


class TestFollowed:
    DONE = Fulfilment(1001, "chk-1", "TCODE1", NOW - timedelta(hours=1), NOW - timedelta(hours=1))
    TICKETS = (Ticket(1, "T-1", 7, "valid"), Ticket(2, "T-2", 7, "used"))
    SECOND = an_answer(id="chk-2", transaction_id="txn-2", attempts=(an_attempt(id="txn-2"),))

    def completed(self, **changes: Any) -> Order:
        return known(status="completed", is_paid=True, fulfilment=self.DONE, tickets=self.TICKETS, **changes)

    def gateway(self, *answers: CheckoutAnswer) -> FakeGateway:
        gateway = sumup(an_answer(), *answers)
        gateway.transactions["txn-2"] = Found(a_transaction(id="txn-2"))
        return gateway

    def test_row_12a_second_payment_after_completion_is_told_once_a_payment(self) -> None:
        decision = outcome(self.completed(), self.gateway(self.SECOND))
        assert (decision.outcome, decision.reason) == (Outcome.UNCHANGED, Reason.PAID_TWICE)
        assert [notice.key for notice in decision.notices] == ["paid_twice:chk-2"]
        told = self.completed(seen=(SeenCheckout("chk-2", MERCHANT, "PAID", accounted=True),))
        assert outcome(told, self.gateway(self.SECOND)).notices == ()

    def test_row_12a_payment_beside_a_persons_word_is_told_as_such(self) -> None:
        word = replace(self.DONE, checkout_id="override:1001", by_person=True)
        decision = outcome(replace(self.completed(), fulfilment=word), self.gateway())
        assert [notice.key for notice in decision.notices] == ["paid_twice:chk-1"]
        assert decision.notices[0].found[0].startswith("It rests on a person's word alone")

    def test_row_12a_what_can_still_be_paid_after_completion_is_closed(self) -> None:
        gateway = self.gateway(replace(self.SECOND, status="PENDING", attempts=()))
        assert outcome(self.completed(), gateway).notices == ()
        assert ("close", "chk-2") in gateway.asked

    def test_row_12a_could_not_be_closed_until_the_window_was_over_is_told(self) -> None:
        gateway = self.gateway(replace(self.SECOND, status="PENDING", attempts=()))
        gateway.closings["chk-2"] = Refused("409", processed=False)
        assert outcome(self.completed(), gateway).notices == ()
        over = outcome(self.completed(created_at=OVER), gateway)
        assert [notice.key for notice in over.notices] == ["may_be_paid_twice:chk-2"]
        assert over.reason is Reason.NOT_CLOSED  # nobody knows of a payment

    def test_row_12a_checkout_that_the_shop_forgot_is_still_known(self) -> None:
        order = self.completed(seen=(SeenCheckout("chk-9", MERCHANT, "PENDING"),))
        gateway = self.gateway()
        gateway.searches = dict.fromkeys(a_policy().references_of(order), Found(()))
        gateway.checkouts["chk-9"] = Found(an_answer(id="chk-9"))
        assert [notice.key for notice in outcome(order, gateway).notices] == ["paid_twice:chk-9"]

    @pytest.mark.parametrize("status", ["confirmed", "shipped", "delivered", "processing"])
    def test_row_12a_moved_on_by_the_shop_after_its_tickets_is_followed_as_completed(self, status: str) -> None:
        order = replace(self.completed(), status=status)
        told = outcome(order, self.gateway(self.SECOND))
        assert [notice.key for notice in told.notices] == ["paid_twice:chk-2"]
        gateway = self.gateway(replace(self.SECOND, status="PENDING", attempts=()))
        assert outcome(order, gateway).notices == ()
        assert ("close", "chk-2") in gateway.asked

    @pytest.mark.parametrize(("minutes", "is_closed"), [(10, True), (36, False)])
    def test_row_12a_failed_one_is_closed_while_its_page_takes_a_card(self, minutes: int, is_closed: bool) -> None:
        made = NOW - timedelta(minutes=minutes)
        declined = replace(self.SECOND, status="FAILED", attempts=(), made_at=made, answered_at=NOW)
        gateway = self.gateway(declined)
        assert outcome(self.completed(), gateway).notices == ()
        assert (("close", "chk-2") in gateway.asked) is is_closed

    def test_row_24c_paid_after_a_person_closed_the_review_is_told_once_and_the_status_stays(self) -> None:
        order = known(status="requires_manual_review", rejected=True)
        decision = outcome(order, sumup(an_answer()))
        assert decision.outcome is Outcome.UNCHANGED
        assert [notice.key for notice in decision.notices] == ["paid_not_issued:chk-1"]

    def test_row_24c_what_can_still_be_paid_after_a_rejection_is_closed(self) -> None:
        gateway = sumup(an_answer("PENDING"))
        outcome(known(status="requires_manual_review", rejected=True), gateway)
        assert ("close", "chk-1") in gateway.asked

    @pytest.mark.parametrize("is_paid", [False, True])
    @pytest.mark.parametrize("shown", [an_answer("EXPIRED"), an_answer(amount=Decimal(24))])
    def test_row_25c_issued_by_a_person_and_overwritten_is_put_back(self, is_paid: bool, shown: CheckoutAnswer) -> None:
        done = replace(self.DONE, by_person=True)
        order = known(is_paid=is_paid, fulfilment=done, tickets=self.TICKETS)
        decision = outcome(order, sumup(shown, transaction=Found(a_transaction(amount=shown.amount))))
        assert decision.outcome is Outcome.RESTORE
        assert len(decision.notices) == int(is_paid)

    def test_row_25c_issued_by_a_person_and_refunded_since_is_a_case(self) -> None:
        order = known(fulfilment=replace(self.DONE, by_person=True), tickets=self.TICKETS, had_refund=True)
        assert outcome(order, sumup(an_answer())).reason is Reason.REFUNDED

    def test_row_20_late_payment_closes_another_open_checkout(self) -> None:
        event = an_event(issued=0)
        rows = (a_checkout(), a_checkout(id=501, reference="R-2", checkout_ids=("chk-2",)))
        order = known(status="expired", items=(an_item(event=event),), checkouts=rows)
        gateway = self.gateway(replace(self.SECOND, status="PENDING", attempts=()))
        assert outcome(order, gateway).reason is Reason.PAID_LATE
        assert ("close", "chk-2") in gateway.asked


class TestSpentElsewhere:
    """A payment that bought another order's tickets is neither this one's, nor one too many that could go back."""

    SPENT = frozenset({"chk-1"})
    OWN = an_answer(id="chk-2", transaction_id="txn-2", attempts=(an_attempt(id="txn-2", timestamp=NOW),))

    def gateway(self, *answers: CheckoutAnswer) -> FakeGateway:
        gateway = sumup(*answers)
        gateway.transactions["txn-2"] = Found(a_transaction(id="txn-2"))
        return gateway

    def order(self, **changes: Any) -> Order:
        rows = (a_checkout(), a_checkout(id=501, reference="R-2", checkout_ids=("chk-2",)))
        return known(spent_elsewhere=self.SPENT, checkouts=rows, **changes)

    @pytest.mark.parametrize("others", [an_answer(), an_answer(reference="ORD-999", amount=Decimal(99))])
    def test_order_with_a_payment_of_its_own_is_completed_by_it_and_the_others_money_is_left(
        self, others: CheckoutAnswer
    ) -> None:
        decision = outcome(self.order(), self.gateway(others, self.OWN))
        assert (decision.outcome, decision.notices) == (Outcome.COMPLETE, ())
        assert decision.payment is not None
        assert decision.payment.checkout_id == "chk-2"

    @pytest.mark.parametrize("others", [an_answer(), an_answer(reference="ORD-999", amount=Decimal(99))])
    @pytest.mark.parametrize("status", ["pending_verification", "failed", "pending"])
    def test_order_with_no_other_payment_goes_to_review_and_nobody_is_told_to_refund(
        self, others: CheckoutAnswer, status: str
    ) -> None:
        decision = outcome(self.order(status=status), self.gateway(others))
        assert (decision.outcome, decision.reason) == (Outcome.REVIEW, Reason.SPENT_ELSEWHERE)

    @pytest.mark.parametrize("status", ["completed", "cancelled", "requires_manual_review"])
    def test_row_12a_and_22_payment_of_another_order_is_not_told_as_this_ones(self, status: str) -> None:
        done = TestFollowed.DONE if status == "completed" else None
        order = replace(self.order(status=status), fulfilment=replace(done, checkout_id="chk-2") if done else None)
        assert outcome(order, self.gateway(an_answer(), self.OWN if done else an_answer("FAILED"))).notices == ()


class TestNamed:
    """What is told once is told whole: a person who reads of a review sees every payment."""

    @pytest.mark.parametrize("changes", [{"rejected": True}, {"was_void": True}, {"had_refund": True}])
    def test_row_24_review_names_every_paid_checkout(self, changes: dict[str, Any]) -> None:
        rows = (a_checkout(), a_checkout(id=501, reference="R-2", checkout_ids=("chk-2",)))
        (notice,) = outcome(known(checkouts=rows, **changes), sumup(an_answer(), TestFollowed.SECOND)).notices
        assert all(name in " ".join(notice.found) for name in ("chk-1", "chk-2"))


class TestUnresolved:
    @pytest.mark.parametrize("status", ["pending_verification", "pending", "failed", "expired"])
    def test_paid_but_never_confirmed_goes_to_review_at_the_end(self, status: str) -> None:
        gateway = sumup(an_answer(), transaction=NoAnswer("503"))
        assert outcome(known(status=status), gateway).outcome is Outcome.UNCHANGED
        decision = outcome(known(status=status, created_at=OVER), gateway)
        assert (decision.outcome, decision.reason) == (Outcome.REVIEW, Reason.UNCONFIRMED)


class TestFirstSight:
    @pytest.mark.parametrize("status", ["pending", "failed", "expired", "pending_verification"])
    @pytest.mark.parametrize("sumup_says", ["PENDING", "FAILED", "EXPIRED"])
    def test_unpaid_at_first_sight_after_the_window_is_left_as_it_is(self, status: str, sumup_says: str) -> None:
        gateway = sumup(an_answer(sumup_says))
        decision = outcome(an_order(status=status, created_at=OVER), gateway)
        assert (decision.outcome, decision.reason) == (Outcome.UNCHANGED, Reason.BEFORE_OUR_TIME)
        assert decision.notices == ()
        assert ("close", "chk-1") not in gateway.asked

    @pytest.mark.parametrize("status", ["pending", "failed", "expired", "pending_verification"])
    def test_row_20a_paid_at_first_sight_after_the_window_is_a_late_payment(self, status: str) -> None:
        free = an_item(event=an_event(issued=0))
        decision = outcome(an_order(status=status, created_at=OVER, items=(free,)), sumup(an_answer()))
        assert (decision.outcome, decision.reason) == (Outcome.COMPLETE, Reason.PAID_LATE)


class TestAttempts:
    def test_row_03b_attempt_under_way_in_the_same_second_as_a_declined_one_is_the_newest(self) -> None:
        declined = an_attempt(id="txn-0", status=TransactionStatus.FAILED, timestamp=OLD)
        answer = an_answer("FAILED", attempts=(declined, replace(PENDING_ATTEMPT, timestamp=OLD)))
        assert outcome(known(created_at=OLD), sumup(answer)).reason is Reason.UNDER_WAY


class TestClocks:
    @pytest.mark.parametrize("minutes", [-11, 11, 24 * 60])
    @pytest.mark.parametrize("status", STATES)
    def test_row_46_sumups_clock_differs_nothing_fails_or_expires(self, status: str, minutes: int) -> None:
        gateway = sumup(an_answer(status, answered_at=NOW + timedelta(minutes=minutes)))
        decision = outcome(known(created_at=OLD), gateway)
        assert (decision.outcome, decision.reason) == (Outcome.UNCHANGED, Reason.CLOCKS_DIFFER)
        assert ("close", "chk-1") not in gateway.asked

    def test_row_46_sumups_clock_differs_paid_is_completed(self) -> None:
        answer = an_answer(answered_at=NOW + timedelta(days=1))
        assert outcome(an_order(), sumup(answer)).outcome is Outcome.COMPLETE

    @pytest.mark.parametrize("status", ["PAID", "FAILED"])
    def test_row_46_window_that_is_over_by_a_wrong_clock_alone_makes_no_case(self, status: str) -> None:
        """What is not confirmed, or contradicts itself, becomes a case at the end of the window: by a right clock."""
        answer = an_answer(status, attempts=(an_attempt(),))
        gateway = sumup(answer, transaction=NoAnswer("timed out"))
        assert outcome(known(created_at=OVER), gateway).outcome is Outcome.REVIEW
        gateway = sumup(replace(answer, answered_at=NOW - timedelta(days=3)), transaction=NoAnswer("timed out"))
        assert outcome(known(created_at=OVER), gateway).outcome is Outcome.UNCHANGED

    @pytest.mark.parametrize("minutes", [-10, 0, 10])
    def test_row_46_clocks_that_nearly_agree_are_trusted(self, minutes: int) -> None:
        gateway = sumup(an_answer("FAILED", answered_at=NOW + timedelta(minutes=minutes)))
        assert outcome(known(created_at=OLD), gateway).outcome is Outcome.FAIL


class TestSchedule:
    POLICY = a_policy()
    WINDOW = POLICY.late_window

    def test_window_counts_from_the_newest_checkout_and_change(self) -> None:
        made, changed = NOW - timedelta(hours=50), NOW - timedelta(hours=10)
        order = an_order(created_at=NOW - timedelta(hours=90), checkouts=(a_checkout(created_at=made),))
        assert window_end(order, self.POLICY) == made + self.WINDOW
        assert window_end(replace(order, changed_at=changed), self.POLICY) == changed + self.WINDOW

    def test_window_is_not_prolonged_for_ever_by_changes_of_status(self) -> None:
        order = an_order(created_at=NOW, changed_at=NOW + 10 * self.WINDOW)
        assert window_end(order, self.POLICY) == NOW + 4 * self.WINDOW

    @pytest.mark.parametrize("hours", [0, 1, 10, 60, 67, 71.9])
    @pytest.mark.parametrize("status", ["failed", "expired", "pending", "cancelled"])
    def test_last_look_is_at_the_end_of_the_window_and_not_before(self, status: str, hours: float) -> None:
        order = known(status=status, created_at=NOW)
        now = NOW + timedelta(hours=hours)
        following = self.look(order, now)
        assert following is not None
        assert now < following <= window_end(order, self.POLICY)

    def test_end_is_a_look_that_was_answered(self) -> None:
        order = known(status="failed", created_at=OVER)
        assert self.look(order, NOW) is None
        assert self.look(order, NOW, answered=False) == NOW + timedelta(minutes=30)
        assert self.look(order, NOW + 2 * self.WINDOW, answered=False) == NOW + 2 * self.WINDOW + timedelta(hours=6)
        # SumUp may be silent, or refuse the key, for longer than any window: the clock alone never ends it.
        later = OVER + 4 * self.WINDOW
        assert self.look(order, later, answered=False) == later + timedelta(days=1)
        assert self.look(order, OVER + 10 * self.WINDOW, answered=False) is None

    def test_row_12a_order_completed_after_its_last_window_is_looked_at_once_more(self) -> None:
        order = known(status="failed", created_at=NOW - 5 * self.WINDOW, changed_at=NOW)
        following = next_look(order, self.POLICY, NOW, status="completed", outstanding=False, answered=False)
        assert following == NOW + QUIET_LOOKS[0]
        done = replace(TestFollowed.DONE, fulfilled_at=NOW)
        assert self.look(replace(order, status="completed", fulfilment=done), following) is None

    def test_completed_order_has_its_quiet_looks(self) -> None:
        order = known(status="completed", created_at=NOW, fulfilment=replace(TestFollowed.DONE, fulfilled_at=NOW))
        looks, now = [], NOW
        while following := self.look(order, now):
            looks.append(following - NOW)
            now = following
        assert looks == [*QUIET_LOOKS, self.WINDOW]

    def test_what_is_outstanding_is_due_at_once(self) -> None:
        assert self.look(known(status="completed"), NOW, outstanding=True) == NOW

    def look(self, order: Order, now: datetime, *, outstanding: bool = False, answered: bool = True) -> datetime | None:
        policy: Policy = self.POLICY
        return next_look(order, policy, now, status=order.status, outstanding=outstanding, answered=answered)
