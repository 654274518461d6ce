"""The acceptance table (docs/outcomes.md) for the pure core: ask until nothing is left to ask, then decide."""

from dataclasses import replace
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

import pytest

from paypoll.alerts.orders import Level, OrderAlert, alert_about
from paypoll.payments.decision import Decision, Outcome, Reason
from paypoll.payments.fetch import fetch_evidence
from paypoll.payments.gateway import (
    BrokenAnswer,
    CheckoutAnswer,
    Found,
    Look,
    NoAnswer,
    NotAllowed,
    NotFound,
    Refused,
)
from paypoll.payments.order import Account, Fulfilment, Order, Ticket
from paypoll.payments.rules import decide
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


def outcome(order: Order, gateway: FakeGateway, **policy: Any) -> Decision:
    settled = a_policy(**policy)
    return decide(order, fetch_evidence(order, gateway, settled, NOW), settled, NOW)


def sumup(*answers: CheckoutAnswer, **transaction: Any) -> FakeGateway:
    return FakeGateway(
        checkouts={answer.id: Found(answer) for answer in answers},
        transactions={"txn-1": Found(a_transaction(**transaction))},
    )


def levels(decision: Decision) -> list[Level]:
    return [alert.level for alert in alerts(decision)]


def alerts(decision: Decision) -> list[OrderAlert]:
    return [alert_about(an_order(), notice) for notice in decision.notices]


class TestPaid:
    @pytest.mark.parametrize("code", ["TCODE1", ""], ids=["with code", "without code"])
    def test_row_01_paid_and_fitting_is_completed(self, code: str) -> None:
        answer = an_answer(transaction_code=code, attempts=(an_attempt(transaction_code=code),))
        decision = outcome(an_order(), sumup(answer))
        assert decision.outcome is Outcome.COMPLETE
        assert decision.payment is not None
        assert decision.payment.checkout_id == "chk-1"
        assert decision.payment.refund_checked
        assert decision.notices == ()

    def test_row_01_paid_but_transaction_not_readable_is_completed(self) -> None:
        gateway = sumup(an_answer())
        gateway.transactions["txn-1"] = NotAllowed(MERCHANT, "client credentials have no transactions")
        decision = outcome(an_order(), gateway)
        assert decision.outcome is Outcome.COMPLETE
        assert decision.payment is not None
        assert not decision.payment.refund_checked

    def test_paid_but_transaction_not_answered_waits(self) -> None:
        gateway = sumup(an_answer())
        gateway.transactions["txn-1"] = NoAnswer("timed out")
        assert outcome(an_order(), gateway).reason is Reason.NO_ANSWER

    def test_row_05a_paid_without_coming_back_is_completed(self) -> None:
        assert outcome(an_order(status="pending"), sumup(an_answer())).outcome is Outcome.COMPLETE

    @pytest.mark.parametrize("status", ["pending_verification", "pending", "failed"])
    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            pytest.param({"amount": Decimal("24.99")}, Reason.MISMATCH, id="row 06: a penny less"),
            pytest.param({"amount": Decimal("25.01")}, Reason.MISMATCH, id="row 06: a penny more"),
            pytest.param({"amount": Decimal("25.001")}, Reason.MISMATCH, id="row 06: too many digits"),
            pytest.param({"amount": Decimal(2500)}, Reason.MISMATCH, id="row 06: pence for pounds"),
            pytest.param({"currency": "EUR"}, Reason.MISMATCH, id="row 07: currency"),
            pytest.param({"merchant_code": "MOTHER"}, Reason.MISMATCH, id="row 08: merchant"),
            pytest.param({"merchant_code": ""}, Reason.MISMATCH, id="row 08: no merchant"),
            pytest.param({"reference": "ORD-1002"}, Reason.MISMATCH, id="row 08: reference"),
            pytest.param({"reference": ""}, Reason.MISMATCH, id="row 08: no reference"),
            pytest.param({"attempts": (), "transaction_id": ""}, Reason.MISMATCH, id="row 09: no transaction"),
            pytest.param({"attempts": (an_attempt(status="FAILED"),)}, Reason.MISMATCH, id="row 09: none successful"),
            pytest.param({"attempts": (an_attempt(), an_attempt(id="t2"))}, Reason.MISMATCH, id="two successful"),
            pytest.param({"attempts": (an_attempt(amount=Decimal(24)),)}, Reason.MISMATCH, id="attempt's amount"),
            pytest.param({"attempts": (an_attempt(currency="EUR"),)}, Reason.MISMATCH, id="attempt's currency"),
            pytest.param({"attempts": (an_attempt(merchant_code="MX"),)}, Reason.MISMATCH, id="attempt's merchant"),
        ],
    )
    def test_rows_06_to_09_paid_but_not_fitting_goes_to_review(
        self, status: str, changes: dict[str, Any], reason: Reason
    ) -> None:
        decision = outcome(an_order(status=status), sumup(an_answer(**changes)))
        assert (decision.outcome, decision.reason) == (Outcome.REVIEW, reason)
        assert levels(decision) == [Level.CRITICAL]
        assert alerts(decision)[0].todo

    @pytest.mark.parametrize(
        "wrong",
        [
            {"amount": Decimal("24.99")},
            {"amount": Decimal("25.001")},
            {"currency": "EUR"},
            {"merchant_code": "MOTHER"},
        ],
    )
    @pytest.mark.parametrize("attempt_says", ["the same", "nothing"])
    def test_rows_06_to_08_transaction_that_agrees_with_the_wrong_answer_does_not_help(
        self, wrong: dict[str, Any], attempt_says: str
    ) -> None:
        silent = {"amount": None, "currency": "", "merchant_code": ""}
        attempt = an_attempt(**(wrong if attempt_says == "the same" else silent))
        assert outcome(an_order(), sumup(an_answer(**wrong, attempts=(attempt,)))).outcome is Outcome.REVIEW

    def test_row_07_currency_differs_from_the_stored_checkouts_goes_to_review(self) -> None:
        order = an_order(checkouts=(a_checkout(currency="EUR"),))
        assert outcome(order, sumup(an_answer())).outcome is Outcome.REVIEW

    @pytest.mark.parametrize("given_back", [{"refunded": Decimal(25)}, {"refunded": Decimal(1)}])
    def test_row_09_refunded_goes_to_review(self, given_back: dict[str, Decimal]) -> None:
        decision = outcome(an_order(), sumup(an_answer(), **given_back))
        assert (decision.outcome, decision.reason) == (Outcome.REVIEW, Reason.REFUNDED)

    def test_row_09_charged_back_goes_to_review(self) -> None:
        decision = outcome(an_order(), sumup(an_answer(), charged_back=Decimal(25)))
        assert (decision.outcome, decision.reason) == (Outcome.REVIEW, Reason.REFUNDED)

    def test_paid_by_checkout_with_another_currency_than_the_sites_goes_to_review(self) -> None:
        order = an_order(checkouts=(a_checkout(currency="EUR"),))
        answer = an_answer(currency="EUR", attempts=(an_attempt(currency="EUR"),))
        assert outcome(order, sumup(answer)).outcome is Outcome.REVIEW

    def test_paid_with_tip_is_completed(self) -> None:
        attempt = an_attempt(amount=Decimal("27.00"), tip_amount=Decimal("2.00"))
        assert outcome(an_order(), sumup(an_answer(attempts=(attempt,)))).outcome is Outcome.COMPLETE


class TestUnpaid:
    def test_row_02_pending_and_young_is_unchanged(self) -> None:
        decision = outcome(an_order(), sumup(an_answer("PENDING")))
        assert (decision.outcome, decision.reason) == (Outcome.UNCHANGED, Reason.STILL_PENDING)
        assert decision.notices == ()

    def test_row_02_created_in_the_future_counts_as_now(self) -> None:
        order = an_order(created_at=NOW + timedelta(days=1))
        assert outcome(order, sumup(an_answer("PENDING"))).reason is Reason.STILL_PENDING

    def test_row_03_failed_is_failed(self) -> None:
        decision = outcome(an_order(), sumup(an_answer("FAILED")))
        assert (decision.outcome, decision.notices) == (Outcome.FAIL, ())

    @pytest.mark.parametrize("age", [timedelta(hours=2), timedelta(hours=30)])
    def test_row_04_pending_at_the_limit_is_closed_then_expired(self, age: timedelta) -> None:
        gateway = sumup(an_answer("PENDING"))
        decision = outcome(an_order(created_at=NOW - age), gateway)
        assert (decision.outcome, decision.reason) == (Outcome.EXPIRE, Reason.TOO_OLD)
        assert gateway.asked[-1] == ("close", "chk-1")
        assert levels(decision) == [Level.ALERT]

    def test_row_04_pending_a_moment_before_the_limit_is_unchanged(self) -> None:
        gateway = sumup(an_answer("PENDING"))
        order = an_order(created_at=NOW - timedelta(hours=2) + timedelta(microseconds=1))
        assert outcome(order, gateway).outcome is Outcome.UNCHANGED
        assert ("close", "chk-1") not in gateway.asked

    def test_row_04_paid_while_closing_is_completed(self) -> None:
        class PaidMeanwhile(FakeGateway):
            def close_checkout(self, checkout_id: str, merchant_code: str) -> Refused:
                self.checkouts[checkout_id] = Found(an_answer())
                return Refused("processed")

        gateway = PaidMeanwhile({"chk-1": Found(an_answer("PENDING"))}, {"txn-1": Found(a_transaction())})
        assert outcome(an_order(created_at=OLD), gateway).outcome is Outcome.COMPLETE

    def test_row_04_closing_not_answered_is_unchanged(self) -> None:
        gateway = sumup(an_answer("PENDING"))
        gateway.closings["chk-1"] = NoAnswer("timed out")
        assert outcome(an_order(created_at=OLD), gateway).outcome is Outcome.UNCHANGED

    def test_row_04_without_closing_first_when_the_setting_says_so(self) -> None:
        gateway = sumup(an_answer("PENDING"))
        decision = outcome(an_order(created_at=OLD), gateway, close_before_expiry=False)
        assert decision.outcome is Outcome.EXPIRE
        assert ("close", "chk-1") not in gateway.asked

    def test_row_05_expired_is_expired(self) -> None:
        decision = outcome(an_order(), sumup(an_answer("EXPIRED")))
        assert (decision.outcome, levels(decision)) == (Outcome.EXPIRE, [Level.ALERT])

    @pytest.mark.parametrize("status", ["PENDING", "FAILED", "EXPIRED"])
    def test_row_05b_never_came_back_is_left_alone(self, status: str) -> None:
        gateway = sumup(an_answer(status, attempts=()))
        decision = outcome(an_order(status="pending", created_at=OLD), gateway)
        assert (decision.outcome, decision.notices) == (Outcome.UNCHANGED, ())
        assert ("close", "chk-1") not in gateway.asked

    def test_tickets_without_payment_go_to_review(self) -> None:
        order = an_order(tickets=(Ticket(1, "T-1", 7, "valid"), Ticket(2, "T-2", 7, "valid")))
        decision = outcome(order, sumup(an_answer("FAILED")))
        assert (decision.outcome, decision.reason) == (Outcome.REVIEW, Reason.TICKETS_UNPAID)


class TestSeveralCheckouts:
    ORDER = an_order(checkouts=(a_checkout(), a_checkout(id=501, reference="ORD-1001-2", checkout_ids=("chk-2",))))
    SECOND = an_answer(id="chk-2", reference="ORD-1001-2", transaction_id="txn-2", attempts=(an_attempt(id="txn-2"),))

    @staticmethod
    def gateway(*answers: CheckoutAnswer) -> FakeGateway:
        gateway = sumup(*answers)
        gateway.transactions["txn-2"] = Found(a_transaction(id="txn-2"))
        return gateway

    def test_row_11_failed_and_paid_is_completed_by_the_paid_one(self) -> None:
        decision = outcome(self.ORDER, self.gateway(an_answer("FAILED"), self.SECOND))
        assert decision.outcome is Outcome.COMPLETE
        assert decision.payment is not None
        assert decision.payment.checkout_id == "chk-2"

    @pytest.mark.parametrize("other", ["FAILED", "EXPIRED"])
    def test_row_11a_another_still_pending_is_unchanged(self, other: str) -> None:
        pending = replace(self.SECOND, status="PENDING", attempts=())
        assert outcome(self.ORDER, self.gateway(an_answer(other), pending)).outcome is Outcome.UNCHANGED

    def test_row_12_both_paid_is_completed_once_and_told(self) -> None:
        decision = outcome(self.ORDER, self.gateway(an_answer(), self.SECOND))
        assert decision.outcome is Outcome.COMPLETE
        assert levels(decision) == [Level.CRITICAL]
        assert "paid twice" in alerts(decision)[0].headline

    def test_row_12_the_other_paid_one_was_refunded_already_tells_nothing(self) -> None:
        gateway = self.gateway(an_answer(), self.SECOND)
        gateway.transactions["txn-2"] = Found(a_transaction(id="txn-2", refunded=Decimal(25)))
        decision = outcome(self.ORDER, gateway)
        assert (decision.outcome, decision.notices) == (Outcome.COMPLETE, ())

    def test_row_13_mismatch_and_pending_goes_to_review(self) -> None:
        pending = replace(self.SECOND, status="PENDING", attempts=())
        gateway = self.gateway(an_answer(amount=Decimal(1)), pending)
        assert outcome(self.ORDER, gateway).outcome is Outcome.REVIEW

    def test_row_14_paid_and_pending_is_completed_and_the_other_closed(self) -> None:
        pending = replace(self.SECOND, status="PENDING", attempts=())
        gateway = self.gateway(an_answer(), pending)
        decision = outcome(self.ORDER, gateway)
        assert (decision.outcome, decision.notices) == (Outcome.COMPLETE, ())
        assert ("close", "chk-2") in gateway.asked

    def test_row_14_closing_shows_that_it_was_paid_as_well(self) -> None:
        second = self.SECOND

        class PaidMeanwhile(FakeGateway):
            def close_checkout(self, checkout_id: str, merchant_code: str) -> Refused:
                self.checkouts[checkout_id] = Found(second)
                return Refused("processed")

        pending = replace(self.SECOND, status="PENDING", attempts=())
        plain = self.gateway(an_answer(), pending)
        decision = outcome(self.ORDER, PaidMeanwhile(plain.checkouts, plain.transactions))
        assert decision.outcome is Outcome.COMPLETE
        assert "paid twice" in alerts(decision)[0].headline

    @pytest.mark.parametrize("closing", [NoAnswer("timed out"), Refused("still being paid")])
    def test_row_14_other_checkout_that_stays_open_keeps_no_ticket_back(self, closing: NoAnswer | Refused) -> None:
        gateway = self.gateway(an_answer(), replace(self.SECOND, status="PENDING", attempts=()))
        gateway.closings["chk-2"] = closing
        decision = outcome(self.ORDER, gateway)
        assert (decision.outcome, decision.notices) == (Outcome.COMPLETE, ())

    def test_row_12_other_checkout_that_sumup_is_silent_about_keeps_no_ticket_back(self) -> None:
        gateway = self.gateway(an_answer(), self.SECOND)
        gateway.checkouts["chk-2"] = NoAnswer("timed out")
        decision = outcome(self.ORDER, gateway)
        assert (decision.outcome, decision.notices) == (Outcome.COMPLETE, ())

    def test_both_id_columns_are_asked(self) -> None:
        order = an_order(checkouts=(a_checkout(checkout_ids=("chk-0", "chk-1")),))
        assert outcome(order, sumup(an_answer())).outcome is Outcome.COMPLETE


class TestMissing:
    def test_row_15_found_by_reference_is_completed(self) -> None:
        for reference in ("ORD-1001", "hosted_order_ORD-1001"):
            order = an_order(checkouts=())
            assert outcome(order, sumup(an_answer(reference=reference))).outcome is Outcome.COMPLETE

    def test_row_15_without_id_is_found_by_the_rows_reference(self) -> None:
        order = an_order(checkouts=(a_checkout(checkout_ids=(), reference="R-9"),))
        assert outcome(order, sumup(an_answer(reference="R-9"))).outcome is Outcome.COMPLETE

    def test_row_15_not_found_waits_once_then_goes_to_review(self) -> None:
        first = outcome(an_order(checkouts=()), sumup())
        assert (first.outcome, first.reason) == (Outcome.UNCHANGED, Reason.MISSING_ONCE)
        second = outcome(an_order(checkouts=(), missing_checks=1), sumup())
        assert (second.outcome, second.reason) == (Outcome.REVIEW, Reason.NOT_FOUND)

    @pytest.mark.parametrize("status", ["PENDING", "FAILED", "EXPIRED"])
    def test_row_15a_another_one_that_was_never_stored_is_paid(self, status: str) -> None:
        never_stored = an_answer(id="chk-9", reference="hosted_order_ORD-1001")
        decision = outcome(an_order(created_at=OLD), sumup(an_answer(status), never_stored))
        assert decision.outcome is Outcome.COMPLETE

    @pytest.mark.parametrize("status", ["PENDING", "FAILED", "EXPIRED"])
    def test_row_15a_without_an_answer_to_the_search_is_unchanged(self, status: str) -> None:
        gateway = sumup(an_answer(status))
        gateway.searches["hosted_order_ORD-1001"] = NoAnswer("timed out")
        assert outcome(an_order(created_at=OLD), gateway).outcome is Outcome.UNCHANGED

    def test_row_16_404_goes_to_review(self) -> None:
        decision = outcome(an_order(), sumup())
        assert (decision.outcome, decision.reason) == (Outcome.REVIEW, Reason.NOT_FOUND)


class TestNoAnswer:
    @pytest.mark.parametrize("created", [NOW, OLD, NOW - timedelta(days=30)])
    @pytest.mark.parametrize(
        "look", [NoAnswer("503"), NotAllowed("", "401"), BrokenAnswer("HTML"), Found(an_answer("REVERSED"))]
    )
    def test_rows_10_18_19_nothing_usable_is_unchanged_whatever_the_age(
        self, created: Any, look: Look[CheckoutAnswer]
    ) -> None:
        gateway = FakeGateway(checkouts={"chk-1": look})
        assert outcome(an_order(created_at=created), gateway).outcome is Outcome.UNCHANGED

    def test_row_10_broken_answer_is_told(self) -> None:
        gateway = FakeGateway(checkouts={"chk-1": BrokenAnswer("PAID without an amount")})
        decision = outcome(an_order(), gateway)
        assert "PAID without an amount" in decision.notices[0].found

    def test_unknown_status_is_told(self) -> None:
        decision = outcome(an_order(), sumup(an_answer("REVERSED")))
        assert (decision.reason, len(decision.notices)) == (Reason.UNKNOWN_STATUS, 1)


class TestLater:
    @pytest.mark.parametrize("status", ["failed", "expired"])
    def test_row_20_late_payment_is_honoured_and_told(self, status: str) -> None:
        decision = outcome(an_order(status=status), sumup(an_answer()))
        assert (decision.outcome, decision.reason) == (Outcome.COMPLETE, Reason.PAID_LATE)
        assert levels(decision) == [Level.ALERT]

    def test_row_20_event_has_begun_goes_to_review(self) -> None:
        begun = an_event(starts_on=date(2026, 11, 23), starts_at=time(14, 59))
        decision = outcome(an_order(status="failed", items=(an_item(event=begun),)), sumup(an_answer()))
        assert (decision.outcome, decision.reason) == (Outcome.REVIEW, Reason.TOO_LATE)

    @pytest.mark.parametrize(
        ("issued", "expected"), [(98, Outcome.COMPLETE), (99, Outcome.REVIEW), (None, Outcome.REVIEW)]
    )
    def test_row_20_hall_is_full_goes_to_review(self, issued: int | None, expected: Outcome) -> None:
        order = an_order(status="expired", items=(an_item(event=an_event(issued=issued)),))
        assert outcome(order, sumup(an_answer())).outcome is expected

    def test_row_20_two_items_of_one_event_share_its_places(self) -> None:
        event = an_event(issued=97)
        items = (an_item(event=event), an_item(id=71, event=event))
        assert outcome(an_order(status="failed", items=items), sumup(an_answer())).reason is Reason.HALL_FULL

    @pytest.mark.parametrize("status", ["PENDING", "FAILED", "EXPIRED"])
    def test_row_20_still_unpaid_is_unchanged(self, status: str) -> None:
        decision = outcome(an_order(status="failed"), sumup(an_answer(status)))
        assert (decision.outcome, decision.notices) == (Outcome.UNCHANGED, ())

    def test_late_payment_given_back_in_full_is_left_alone(self) -> None:
        decision = outcome(an_order(status="failed"), sumup(an_answer(), refunded=Decimal(25)))
        assert (decision.outcome, decision.reason) == (Outcome.UNCHANGED, Reason.RETURNED)

    @pytest.mark.parametrize("status", ["cancelled", "refunded"])
    def test_row_22_void_order_with_payment_is_told_and_never_issued(self, status: str) -> None:
        decision = outcome(an_order(status=status), sumup(an_answer()))
        assert (decision.outcome, levels(decision)) == (Outcome.UNCHANGED, [Level.CRITICAL])

    def test_row_22_every_payment_of_a_void_order_is_told_also_one_that_the_shop_never_stored(self) -> None:
        gateway = sumup(an_answer())
        unstored = an_answer(id="chk-2", transaction_id="txn-2")
        gateway.checkouts["chk-2"] = Found(unstored)
        gateway.searches["ORD-1001"] = Found((unstored,))
        (notice,) = outcome(an_order(status="cancelled"), gateway).notices
        assert all(checkout_id in " ".join(notice.found) for checkout_id in ("chk-1", "chk-2"))

    def test_row_22_void_order_with_refund_at_sumup_is_left_alone(self) -> None:
        decision = outcome(an_order(status="refunded"), sumup(an_answer(), refunded=Decimal(25)))
        assert (decision.outcome, decision.notices) == (Outcome.UNCHANGED, ())


class TestAgain:
    TICKETS = (Ticket(1, "T-1", 7, "valid"), Ticket(2, "T-2", 7, "used"))
    DONE = Fulfilment(1001, "chk-1", "TCODE1", NOW, NOW)

    def test_row_23_replayed_is_restored_and_told(self) -> None:
        order = an_order(tickets=self.TICKETS, fulfilment=self.DONE, is_paid=True)
        decision = outcome(order, sumup(an_answer()))
        assert (decision.outcome, decision.reason) == (Outcome.RESTORE, Reason.REPLAYED)
        assert levels(decision) == [Level.ALERT]

    @pytest.mark.parametrize("first", [NoAnswer("time-out"), NotFound("of another account")])
    def test_row_12a_second_payment_is_told_while_sumup_does_not_show_the_first(self, first: Look[Any]) -> None:
        gateway = sumup(an_answer())
        gateway.checkouts["chk-1"] = first
        gateway.searches["ORD-1001"] = Found((second := an_answer(id="chk-2", transaction_id="txn-2"),))
        gateway.checkouts["chk-2"] = Found(second)
        order = an_order(tickets=self.TICKETS, fulfilment=self.DONE, is_paid=True)
        rows = (a_checkout(), a_checkout(id=2, checkout_ids=("chk-2",)))
        decision = outcome(replace(order, checkouts=rows), gateway)
        assert (decision.outcome, decision.reason) == (Outcome.RESTORE, Reason.REPLAYED)
        assert [notice.key for notice in decision.notices] == ["replayed", "paid_twice:chk-2"]

    def test_row_23_other_payment_stands_in_for_one_that_went_back(self) -> None:
        gateway = sumup(an_answer(), refunded=Decimal(25))
        gateway.checkouts["chk-2"] = Found(an_answer(id="chk-2", transaction_id="txn-2"))
        order = an_order(tickets=self.TICKETS, fulfilment=self.DONE, is_paid=True)
        rows = (a_checkout(), a_checkout(id=2, checkout_ids=("chk-2",)))
        decision = outcome(replace(order, checkouts=rows), gateway)
        assert [notice.key for notice in decision.notices] == ["replayed"]
        said = "The payment that bought them has gone back; checkout chk-2 pays for them."
        assert decision.notices[0].found[1:] == (said,)

    def test_row_12_one_payment_under_two_checkouts_is_one(self) -> None:
        gateway = sumup(an_answer())
        gateway.checkouts["chk-2"] = Found(an_answer(id="chk-2"))
        order = an_order(checkouts=(a_checkout(), a_checkout(id=2, checkout_ids=("chk-2",))))
        decision = outcome(order, gateway)
        assert (decision.outcome, decision.notices) == (Outcome.COMPLETE, ())
        done = replace(self.DONE, transaction_id="txn-1")
        completed = replace(order, status="completed", is_paid=True, tickets=self.TICKETS, fulfilment=done)
        assert outcome(completed, gateway).notices == ()

    @pytest.mark.parametrize("trace", [{"had_refund": True}, {"was_void": True}])
    def test_row_24_after_a_refund_in_the_shop_goes_to_review(self, trace: dict[str, bool]) -> None:
        order = an_order(tickets=self.TICKETS, fulfilment=self.DONE, is_paid=True, **trace)
        assert outcome(order, sumup(an_answer())).reason is Reason.REFUNDED

    def test_row_24_after_a_refund_at_sumup_goes_to_review(self) -> None:
        order = an_order(tickets=self.TICKETS, fulfilment=self.DONE, is_paid=True)
        assert outcome(order, sumup(an_answer(), refunded=Decimal(25))).reason is Reason.REFUNDED

    @pytest.mark.parametrize("status", ["refunded", "cancelled", "unheard-of"])
    def test_row_24_cancelled_tickets_go_to_review(self, status: str) -> None:
        tickets = (self.TICKETS[0], Ticket(2, "T-2", 7, status))
        order = an_order(tickets=tickets, fulfilment=self.DONE)
        assert outcome(order, sumup(an_answer())).reason is Reason.REFUNDED

    @pytest.mark.parametrize("status", ["pending_verification", "pending", "failed", "expired"])
    def test_row_24a_paid_after_a_person_closed_the_review_goes_to_review(self, status: str) -> None:
        decision = outcome(an_order(status=status, rejected=True), sumup(an_answer()))
        assert (decision.outcome, decision.reason) == (Outcome.REVIEW, Reason.REJECTED)
        assert levels(decision) == [Level.CRITICAL]

    def test_row_24a_unpaid_after_a_person_closed_the_review_goes_the_usual_way(self) -> None:
        order = an_order(rejected=True)
        assert outcome(order, sumup(an_answer("PENDING"))).reason is Reason.STILL_PENDING
        assert outcome(order, sumup(an_answer("FAILED"))).outcome is Outcome.FAIL

    def test_row_25_some_tickets_go_to_review(self) -> None:
        for tickets in (self.TICKETS[:1], (*self.TICKETS, Ticket(3, "T-3", 7, "valid"))):
            assert outcome(an_order(tickets=tickets), sumup(an_answer())).reason is Reason.TICKETS_INCOMPLETE

    def test_row_25_tickets_for_another_event_go_to_review(self) -> None:
        tickets = (self.TICKETS[0], Ticket(2, "T-2", 8, "valid"))
        assert outcome(an_order(tickets=tickets), sumup(an_answer())).reason is Reason.TICKETS_INCOMPLETE

    def test_row_25a_overwritten_is_healed_without_telling(self) -> None:
        order = an_order(tickets=self.TICKETS, fulfilment=self.DONE, is_paid=False)
        decision = outcome(order, sumup(an_answer()))
        assert (decision.outcome, decision.reason) == (Outcome.RESTORE, Reason.OVERWRITTEN)
        assert decision.notices == ()

    def test_row_25b_issued_by_the_shop_is_completed_and_told(self) -> None:
        decision = outcome(an_order(tickets=self.TICKETS), sumup(an_answer()))
        assert (decision.outcome, decision.reason) == (Outcome.RESTORE, Reason.ISSUED_BY_SHOP)
        assert levels(decision) == [Level.ALERT]

    def test_fulfilled_before_and_tickets_gone_goes_to_review(self) -> None:
        order = an_order(fulfilment=self.DONE)
        assert outcome(order, sumup(an_answer())).reason is Reason.TICKETS_GONE

    @pytest.mark.parametrize("spent", ["chk-1", "txn-1"])
    def test_payment_that_fulfilled_another_order_goes_to_review(self, spent: str) -> None:
        order = an_order(spent_elsewhere=frozenset({spent}))
        assert outcome(order, sumup(an_answer())).reason is Reason.SPENT_ELSEWHERE

    @pytest.mark.parametrize("status", ["confirmed", "requires_manual_review", "processing", "odd"])
    def test_row_26_any_other_status_stands_and_a_payment_is_told(self, status: str) -> None:
        decision = outcome(an_order(status=status), sumup(an_answer()))
        assert decision.outcome is Outcome.UNCHANGED
        assert [notice.key for notice in decision.notices] == ["paid_not_issued:chk-1"]

    def test_row_26_completed_by_the_shop_with_its_tickets_is_left_alone_and_not_asked(self) -> None:
        gateway = sumup(an_answer())
        assert outcome(an_order(status="completed", tickets=self.TICKETS), gateway).notices == ()
        assert gateway.asked == []

    @pytest.mark.parametrize("tickets", [(), TICKETS[:1]])
    def test_row_26_completed_by_the_shop_without_all_its_tickets_is_asked_about(self, tickets: Any) -> None:
        order = an_order(status="completed", tickets=tickets)
        assert [notice.key for notice in outcome(order, sumup(an_answer())).notices] == ["paid_not_issued:chk-1"]
        assert outcome(order, sumup(an_answer("PENDING"))).notices == ()


class TestTheOrderItself:
    def test_row_27_guest_is_completed(self) -> None:
        assert outcome(an_order(user_id=None, account=None), sumup(an_answer())).outcome is Outcome.COMPLETE

    def test_row_27_guest_without_account_goes_to_review_when_creating_is_off(self) -> None:
        decision = outcome(an_order(), sumup(an_answer()), create_guest_accounts=False)
        assert decision.reason is Reason.NO_ACCOUNT
        known = an_order(account=Account(5, "ada@example.org"))
        assert outcome(known, sumup(an_answer()), create_guest_accounts=False).outcome is Outcome.COMPLETE

    @pytest.mark.parametrize(
        ("event", "reason"),
        [
            (None, Reason.EVENT_GONE),
            (an_event(status="cancelled"), Reason.EVENT_CANCELLED),
            (an_event(status="completed"), Reason.EVENT_OVER),
            (an_event(starts_on=date(2026, 11, 22)), Reason.EVENT_OVER),
        ],
    )
    def test_row_28_event_is_gone_cancelled_or_over(self, event: Any, reason: Reason) -> None:
        decision = outcome(an_order(items=(an_item(event=event),)), sumup(an_answer()))
        assert (decision.outcome, decision.reason) == (Outcome.REVIEW, reason)

    def test_row_28_event_of_today_is_completed(self) -> None:
        today = an_event(starts_on=date(2026, 11, 23), starts_at=time(9, 0))
        assert outcome(an_order(items=(an_item(event=today),)), sumup(an_answer())).outcome is Outcome.COMPLETE

    @pytest.mark.parametrize("quantity", [0, -1, 101, 10**9])
    def test_row_29_absurd_quantity_goes_to_review(self, quantity: int) -> None:
        decision = outcome(an_order(items=(an_item(quantity=quantity),)), sumup(an_answer()))
        assert decision.reason is Reason.BAD_QUANTITY

    def test_row_30_no_items_goes_to_review(self) -> None:
        assert outcome(an_order(items=()), sumup(an_answer())).reason is Reason.NO_ITEMS

    def test_row_30_nothing_to_pay_goes_to_review(self) -> None:
        order = an_order(total=Decimal(0))
        for answer in (an_answer(amount=Decimal(0)), an_answer("PENDING")):
            assert outcome(order, sumup(answer)).reason is Reason.NOTHING_TO_PAY

    def test_row_31_several_organisers_are_completed(self) -> None:
        items = (an_item(), an_item(id=71, event=an_event(id=8, organiser_id=4, merchant_code="MORG")))
        assert outcome(an_order(items=items), sumup(an_answer())).outcome is Outcome.COMPLETE

    def test_account_email_that_the_scanner_cannot_read_goes_to_review(self) -> None:
        order = an_order(account=Account(5, "a|b@example.org"), user_id=5)
        assert outcome(order, sumup(an_answer())).reason is Reason.BAD_ACCOUNT_EMAIL

    @pytest.mark.parametrize("odd", ["../../evil", "a b", "x" * 129, "chk?x=1", "..", "é"])
    def test_checkout_id_that_cannot_be_one_goes_to_review_and_is_not_asked(self, odd: str) -> None:
        gateway = sumup()
        decision = outcome(an_order(checkouts=(a_checkout(checkout_ids=(odd,)),)), gateway)
        assert (decision.outcome, decision.reason) == (Outcome.REVIEW, Reason.BAD_CHECKOUT_ID)
        assert ("read", odd) not in gateway.asked
