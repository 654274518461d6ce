"""A person's decision on an order in review: audited, never a second ticket, never one payment for two orders."""

import json
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from paypoll.admin.recheck import Wanted, find_reviews
from paypoll.admin.resolve import Resolution, Settled
from paypoll.admin.weighing import Case
from paypoll.database import transaction
from paypoll.errors import OrderNotFoundError, RefusedError, TryLaterError
from paypoll.payments.gateway import CheckoutStatus, NoAnswer
from paypoll.state.ledger import Entry, note_entries
from paypoll.state.resolutions import Verdict, open_reviews
from paypoll.state.tables import fulfilment
from paypoll.testing import MERCHANT

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Command, Desk


def look(desk: "Desk", number: str) -> Case:
    return desk.app.resolver.look_at(desk.app.resolver.find_in_review(number))


def issue(desk: "Desk", number: str, *, override: bool = False, case: Case | None = None) -> Settled:
    case = case or look(desk, number)
    return desk.app.resolver.settle(
        case.order, Resolution(Verdict.ISSUE, "margot", "rang the customer", override), case
    )


def close(desk: "Desk", number: str, verdict: Verdict = Verdict.REJECT) -> Settled:
    return desk.app.resolver.settle(
        desk.app.resolver.find_in_review(number), Resolution(verdict, "margot", "test order of the choir")
    )


def fulfilments(engine: sa.Engine, order_id: int) -> list[dict[str, Any]]:
    with transaction(engine) as connection:
        rows = connection.execute(sa.select(fulfilment).where(fulfilment.c.order_id == order_id))
        return [dict(row) for row in rows.mappings()]


class TestIssue:
    def test_issue_where_everything_fits_by_now_issues_and_mails(self, desk: "Desk") -> None:
        order_id = desk.in_review("ORD-1")
        desk.sumup_says("ORD-1", amount="25.00")
        settled = issue(desk, "ord-1")
        assert (settled.tickets, settled.overridden) == (2, ())
        order = desk.shop.row("orders_order", order_id)
        assert (order["status"], order["is_paid"], order["transaction_id"]) == ("completed", True, "TCODE1")
        assert "resolved by margot: issued: rang the customer" in order["payment_notes"]
        assert len(desk.tickets(order_id)) == 2
        resolved = desk.trail(order_id)[-1]
        assert (resolved["action"], resolved["actor"], resolved["outcome"]) == ("resolved", "margot", "issue")
        assert (resolved["status_from"], resolved["status_to"]) == ("requires_manual_review", "completed")
        assert resolved["explanation"] == "rang the customer"
        assert resolved["evidence"]["checkouts"]["chk-ORD-1"]["status"] == "PAID"
        assert desk.app.resolver.send_confirmation(settled).state == "sent"
        ((message, recipients),) = desk.bench.mailer.sent
        assert recipients == ("ord-1@example.org",)
        names = [str(part.get_filename()) for part in message.iter_attachments()]
        assert len([name for name in names if name.endswith(".pdf")]) == 2
        assert desk.shop.rows("payments_sumupcheckout")[0]["status"] == "paid"

    def test_issue_where_the_amount_differs_is_refused_and_changes_nothing(
        self, desk: "Desk", engine: sa.Engine
    ) -> None:
        order_id = desk.in_review("ORD-1")
        before, trail = desk.shop.row("orders_order", order_id), desk.trail(order_id)
        with pytest.raises(RefusedError, match=r"paid 24\.99 GBP.*--override"):
            issue(desk, "ORD-1")
        assert desk.shop.row("orders_order", order_id) == before
        assert (desk.tickets(order_id), desk.trail(order_id), fulfilments(engine, order_id)) == ([], trail, [])

    def test_override_where_the_amount_differs_rests_on_that_payment_and_says_so(
        self, desk: "Desk", engine: sa.Engine
    ) -> None:
        order_id = desk.in_review("ORD-1")
        assert issue(desk, "ORD-1", override=True).tickets == 2
        (done,) = fulfilments(engine, order_id)
        assert (done["checkout_id"], done["transaction_id"]) == ("chk-ORD-1", "txn-ORD-1")
        assert (str(done["amount"]), done["currency"]) == ("24.990", "GBP")
        resolved = desk.trail(order_id)[-1]
        assert resolved["reason"] == "overridden"
        assert "Overridden: " in resolved["explanation"]
        assert "paid 24.99 GBP, the order's total is 25.00 GBP" in resolved["explanation"]

    def test_payments_beside_the_one_that_tickets_rest_on_are_told_as_too_many(self, desk: "Desk") -> None:
        """Before, each had been told as one whose tickets may be due."""
        review, shops = desk.place("ORD-1", amount="24.99"), desk.place("ORD-2")
        desk.shop.update("orders_order", shops, status="processing", is_paid=True)
        for order_id, number, amount in ((review, "ORD-1", "24.00"), (shops, "ORD-2", "25.00")):
            desk.shop.add_checkout(order_id, f"{number}-again", f"chk-{number}-again", merchant_code=MERCHANT)
            desk.sumup_says(f"{number}-again", amount=amount)
        # SumUp has one payment of an order under two checkouts: that is one.
        same = desk.place("ORD-3", amount="24.99")
        desk.shop.add_checkout(same, "ORD-3-again", "chk-ORD-3-again", merchant_code=MERCHANT)
        desk.sumup_says("ORD-3-again", amount="24.99", transaction_id="txn-ORD-3")
        desk.sumup_says("ORD-3", amount="24.99")
        desk.run()
        desk.bench.mailer.sent.clear()
        for number in ("ORD-1", "ORD-2", "ORD-3"):
            assert issue(desk, number, override=True).tickets == 2
        desk.run()
        told = [subject for subject in desk.subjects() if "was paid twice" in subject]
        assert (len(told), "ORD-1" in told[0], "ORD-2" in told[-1]) == (2, True, True)

    def test_override_without_any_payment_rests_on_the_persons_word(self, desk: "Desk", engine: sa.Engine) -> None:
        order_id = desk.in_review("ORD-1")
        desk.bench.gateway.checkouts.clear()
        with pytest.raises(RefusedError, match="does not know checkout chk-ORD-1"):
            issue(desk, "ORD-1")
        assert issue(desk, "ORD-1", override=True).tickets == 2
        (done,) = fulfilments(engine, order_id)
        assert (done["checkout_id"], done["transaction_id"]) == (f"override:{order_id}", None)
        assert desk.shop.row("orders_order", order_id)["transaction_id"] == f"override:{order_id}"

    def test_issue_while_sumup_is_silent_is_refused(self, desk: "Desk") -> None:
        desk.in_review("ORD-1")
        desk.bench.gateway.checkouts["chk-ORD-1"] = NoAnswer("timed out")
        with pytest.raises(RefusedError, match="Timed out"):
            issue(desk, "ORD-1")

    def test_issue_closes_nothing_at_sumup_and_tells_what_can_still_be_paid(self, desk: "Desk") -> None:
        order_id = desk.in_review("ORD-1")
        desk.shop.add_checkout(order_id, "ORD-1-again", "chk-2")
        desk.sumup_says("ORD-1", amount="25.00")
        desk.sumup_says("2", CheckoutStatus.PENDING)
        assert issue(desk, "ORD-1").still_payable == ("chk-2",)
        assert [question for question in desk.bench.gateway.asked if question[0] == "close"] == []

    def test_issue_again_is_refused_and_says_what_is_possible(self, desk: "Desk") -> None:
        order_id = desk.in_review("ORD-1")
        case = look(desk, "ORD-1")
        issue(desk, "ORD-1", override=True, case=case)
        with pytest.raises(RefusedError, match=r"is completed.*its tickets are issued; `paypoll resend` sends them"):
            issue(desk, "ORD-1", override=True, case=case)
        assert len(desk.tickets(order_id)) == 2

    def test_hint_about_a_completed_order_counts_the_tickets_that_admit(self, desk: "Desk") -> None:
        order_id = desk.place("ORD-1")
        desk.run()
        first, second = (ticket["id"] for ticket in desk.tickets(order_id))
        desk.shop.update("events_ticket", first, status="cancelled")
        said = r"1 of its 2 places have a ticket that admits; put that right in the shop's admin; `paypoll resend`"
        with pytest.raises(RefusedError, match=said):
            close(desk, "ORD-1")
        desk.shop.update("events_ticket", second, status="refunded")
        with pytest.raises(RefusedError, match=r"0 of its 2 places .* in the shop's admin$"):
            close(desk, "ORD-1")

    def test_hint_about_an_order_that_the_shop_issued_names_no_command_that_refuses_it(self, desk: "Desk") -> None:
        order_id = desk.place("ORD-1", status=CheckoutStatus.PENDING)
        desk.shop.update("orders_order", order_id, status="completed", is_paid=True)
        (item,) = desk.shop.rows("orders_orderitem", order_id=order_id)
        buyer = desk.shop.add_user("buyer@example.org")
        for place, status in enumerate(("valid", "cancelled")):
            desk.shop.insert("events_ticket", ticket_number=f"OLD-{place}", order_id=order_id, status=status,
                             event_id=item["event_id"], customer_id=buyer, qr_data="code")  # fmt: skip
        with pytest.raises(RefusedError, match=r"1 of its 2 places .* in the shop's admin$"):
            close(desk, "ORD-1")

    def test_issue_of_tickets_that_exist_puts_the_order_back_and_mails_nothing(self, desk: "Desk") -> None:
        order_id = desk.in_review("ORD-1")
        issue(desk, "ORD-1", override=True)
        desk.run()
        desk.bench.mailer.sent.clear()
        numbers = [ticket["ticket_number"] for ticket in desk.tickets(order_id)]
        desk.replay(order_id)
        desk.run()
        assert desk.status(order_id) == "completed"  # 25c: what a person issued stands
        desk.shop.update("orders_order", order_id, status="requires_manual_review")
        assert issue(desk, "ORD-1", override=True).tickets == 0
        assert desk.status(order_id) == "completed"
        assert [ticket["ticket_number"] for ticket in desk.tickets(order_id)] == numbers
        assert [mail["kind"] for mail in desk.mails(order_id) if mail["kind"] != "alert"] == ["confirmation"]

    @pytest.mark.parametrize("override", [False, True])
    @pytest.mark.parametrize("trace", ["one is missing", "one is void", "all are gone"])
    def test_tickets_that_are_not_whole_are_never_issued_again(
        self, desk: "Desk", engine: sa.Engine, trace: str, override: bool
    ) -> None:
        order_id = desk.place("ORD-1")
        desk.run()
        first, _second = desk.tickets(order_id)
        with transaction(engine) as connection:
            if trace == "one is void":
                connection.execute(sa.text("UPDATE events_ticket SET status = 'refunded' WHERE id = :id"), first)
            elif trace == "one is missing":
                connection.execute(sa.text("DELETE FROM events_ticket WHERE id = :id"), first)
            else:
                connection.execute(sa.text("DELETE FROM events_ticket"))
        left = desk.tickets(order_id)
        desk.shop.update("orders_order", order_id, status="requires_manual_review")
        with pytest.raises(RefusedError, match="No place gets a second ticket"):
            issue(desk, "ORD-1", override=override)
        assert desk.tickets(order_id) == left

    def test_places_that_were_filled_stay_filled_whatever_the_shop_shows(self, desk: "Desk", engine: sa.Engine) -> None:
        order_id = desk.in_review("ORD-1")
        issue(desk, "ORD-1", override=True)
        # As if all traces but the places themselves had gone.
        desk.shop.update("orders_order", order_id, status="requires_manual_review")
        with transaction(engine) as connection:
            connection.execute(sa.delete(fulfilment))
            connection.execute(sa.text("DELETE FROM events_ticket"))
        with pytest.raises(RefusedError, match="the database forbids it"):
            issue(desk, "ORD-1", override=True)
        assert desk.tickets(order_id) == []
        assert desk.status(order_id) == "requires_manual_review"

    @pytest.mark.parametrize("override", [False, True])
    def test_payment_that_paid_for_another_order_is_refused(self, desk: "Desk", override: bool) -> None:
        desk.place("ORD-1")
        desk.run()
        order_id = desk.place("ORD-2", CheckoutStatus.PENDING)
        desk.sumup_says("ORD-2", transaction_id="txn-ORD-1")
        desk.run()
        assert desk.status(order_id) == "requires_manual_review"
        with pytest.raises(RefusedError, match="has paid for another order"):
            issue(desk, "ORD-2", override=override)
        assert desk.tickets(order_id) == []

    def test_payment_that_pays_for_another_order_meanwhile_is_refused(self, desk: "Desk") -> None:
        order_id = desk.in_review("ORD-2")
        case = look(desk, "ORD-2")
        desk.place("ORD-1")
        desk.sumup_says("ORD-1", transaction_id="txn-ORD-2")
        desk.run()
        with pytest.raises(RefusedError, match="has paid for another order"):
            issue(desk, "ORD-2", override=True, case=case)
        assert desk.tickets(order_id) == []

    @pytest.mark.parametrize(
        ("statement", "why"),
        [
            ("UPDATE orders_orderitem SET event_id = NULL", "no longer in the shop"),
            ("UPDATE orders_orderitem SET quantity = 0", "no ticket to issue"),
            ("DELETE FROM orders_orderitem", "no ticket to issue"),
            ("UPDATE orders_order SET email = 'a|b@example.org'", "scanner cannot read"),
        ],
    )
    def test_override_of_what_cannot_be_issued_is_refused(
        self, desk: "Desk", engine: sa.Engine, statement: str, why: str
    ) -> None:
        order_id = desk.in_review("ORD-1")
        with transaction(engine) as connection:
            connection.execute(sa.text(statement))
        with pytest.raises(RefusedError, match=why):
            issue(desk, "ORD-1", override=True)
        assert desk.tickets(order_id) == []

    def test_override_admits_to_an_event_that_has_been_cancelled(self, desk: "Desk") -> None:
        desk.in_review("ORD-1", amount="25.01")
        desk.sumup_says("ORD-1", amount="25.00")
        desk.shop.update("events_event", desk.event, status="cancelled")
        with pytest.raises(RefusedError, match="was cancelled"):
            issue(desk, "ORD-1")
        assert issue(desk, "ORD-1", override=True).tickets == 2

    def test_order_that_the_shop_changed_meanwhile_is_refused(self, desk: "Desk") -> None:
        order_id = desk.in_review("ORD-1")
        case = look(desk, "ORD-1")
        desk.shop.update("orders_order", order_id, status="cancelled")
        with pytest.raises(RefusedError, match="is cancelled"):
            issue(desk, "ORD-1", override=True, case=case)
        assert desk.tickets(order_id) == []

    @pytest.mark.parametrize("changed", [{"quantity": 3}, {"total": Decimal("99.00")}])
    def test_override_of_an_order_that_was_changed_after_it_was_shown_is_refused(
        self, desk: "Desk", changed: dict[str, Any]
    ) -> None:
        order_id = desk.in_review("ORD-1")
        case = look(desk, "ORD-1")
        table = "orders_order" if "total" in changed else "orders_orderitem"
        desk.shop.update(table, desk.shop.rows(table)[0]["id"], **changed)
        with pytest.raises(RefusedError, match="changed since SumUp was asked"):
            issue(desk, "ORD-1", override=True, case=case)
        assert desk.tickets(order_id) == []

    def test_answer_that_is_out_of_date_is_refused(self, desk: "Desk") -> None:
        order_id = desk.in_review("ORD-1")
        desk.sumup_says("ORD-1", amount="25.00")
        case = look(desk, "ORD-1")
        desk.bench.clock.move(timedelta(minutes=6))
        with pytest.raises(RefusedError, match="out of date"):
            issue(desk, "ORD-1", case=case)
        assert desk.tickets(order_id) == []

    def test_order_held_by_the_shop_is_for_later(self, desk: "Desk", engine: sa.Engine) -> None:
        order_id = desk.in_review("ORD-1")
        case = look(desk, "ORD-1")
        with engine.connect() as page, page.begin():
            page.execute(sa.text("SELECT 1 FROM orders_order WHERE id = :id FOR UPDATE"), {"id": order_id})
            with pytest.raises(TryLaterError, match="is held"):
                issue(desk, "ORD-1", override=True, case=case)


class TestClose:
    @pytest.mark.parametrize("verdict", [Verdict.REJECT, Verdict.REFUND_NOTED])
    def test_closed_without_tickets_keeps_its_status_and_leaves_the_queue(self, desk: "Desk", verdict: Verdict) -> None:
        order_id = desk.in_review("ORD-1")
        assert [review.order_number for review in desk.backlog().reviews] == ["ORD-1"]
        asked = list(desk.bench.gateway.asked)
        close(desk, "ORD-1", verdict)
        assert desk.bench.gateway.asked == asked
        order = desk.shop.row("orders_order", order_id)
        assert (order["status"], order["is_paid"]) == ("requires_manual_review", False)
        assert "resolved by margot" in order["payment_notes"]
        last = desk.shop.rows("orders_orderstatushistory", order_id=order_id)[-1]
        assert (last["status"], "test order of the choir" in last["note"]) == ("manual_review", True)
        resolved = desk.trail(order_id)[-1]
        assert (resolved["actor"], resolved["outcome"]) == ("margot", verdict)
        assert desk.backlog().reviews == ()

    @pytest.mark.parametrize("verdict", [Verdict.REJECT, Verdict.REFUND_NOTED])
    def test_row_24c_review_is_not_closed_without_tickets_while_tickets_of_it_admit(
        self, desk: "Desk", paypoll: "Command", verdict: Verdict
    ) -> None:
        order_id = desk.place("ORD-1")
        desk.run()
        desk.shop.update("orders_order", order_id, status="requires_manual_review")
        first, second = desk.tickets(order_id)
        trail = desk.trail(order_id)
        with pytest.raises(RefusedError, match=rf"{first['ticket_number']}.* Cancel them in the shop first"):
            close(desk, "ORD-1", verdict)
        # Nobody is asked about what is refused.
        refused = paypoll("resolve", "ORD-1", f"--{verdict.replace('_', '-')}", "--reason", "refunded")
        assert (refused.returncode, "without tickets?" in refused.stdout + refused.stderr) == (65, False)
        assert desk.trail(order_id) == trail
        desk.shop.update("events_ticket", first["id"], status="used")  # who came has come
        desk.shop.update("events_ticket", second["id"], status="cancelled")
        assert close(desk, "ORD-1", verdict).status_to == "requires_manual_review"

    def test_tickets_that_nobody_paid_at_sumup_are_kept_by_a_persons_word(self, desk: "Desk") -> None:
        order_id = desk.in_review("ORD-1")
        issue(desk, "ORD-1", override=True)
        other = desk.in_review("ORD-2")
        for ticket in desk.tickets(order_id):
            desk.shop.update("events_ticket", ticket["id"], order_id=other)
        assert issue(desk, "ORD-2", override=True).tickets == 0
        assert desk.status(other) == "completed"

    @pytest.mark.parametrize("verdict", [Verdict.REJECT, Verdict.REFUND_NOTED])
    def test_row_24a_closed_order_that_the_browser_sets_back_gets_no_tickets(
        self, desk: "Desk", verdict: Verdict
    ) -> None:
        order_id = desk.in_review("ORD-1")
        close(desk, "ORD-1", verdict)
        desk.sumup_says("ORD-1", amount="25.00")
        desk.replay(order_id)
        desk.run()
        assert desk.status(order_id) == "requires_manual_review"
        assert desk.tickets(order_id) == []
        assert any("needs a person: rejected" in subject for subject in desk.subjects())
        assert [review.reason for review in desk.backlog().reviews] == ["rejected"]

    def test_row_24c_payment_after_closing_is_listed_until_its_money_went_back_or_a_person_says_so(
        self, desk: "Desk", engine: sa.Engine
    ) -> None:
        orders = {number: desk.in_review(number) for number in ("ORD-1", "ORD-2", "ORD-3", "ORD-4", "ORD-LOST")}
        # One that the shop itself has put there.
        orders["ORD-SHOP"] = desk.place("ORD-SHOP", CheckoutStatus.PENDING)
        desk.shop.update("orders_order", orders["ORD-SHOP"], status="requires_manual_review")
        for number in orders:
            close(desk, number)
        paid = ["ORD-1", "ORD-2", "ORD-3", "ORD-LOST", "ORD-SHOP"]
        for number in paid:
            desk.shop.add_checkout(orders[number], f"{number}-again", f"chk-{number}-again", merchant_code=MERCHANT)
            desk.sumup_says(f"{number}-again")
        desk.bench.clock.move(timedelta(hours=1))
        desk.run()
        listed = desk.backlog().reviews
        assert [(one.order_number, one.reason) for one in listed] == [(number, "paid_not_issued") for number in paid]
        assert "SumUp says PAID for checkout chk-ORD-1-again." in listed[0].explanation
        # `resolve --of` finds what `queue` lists; `recheck` takes back nothing that a person has closed.
        wanted = Wanted(reason="paid_not_issued")
        found = [len(find_reviews(engine, wanted, desk.bench.clock.now(), ours_alone=ours)) for ours in (False, True)]
        assert found == [5, 0]
        # A shop that was restored has given this id to another order, whose review was closed as well.
        desk.shop.update("orders_order", orders["ORD-LOST"], order_number="ORD-NEW")
        close(desk, "ORD-SHOP")
        assert [one.order_number for one in desk.backlog().reviews] == ["ORD-1", "ORD-2", "ORD-3"]
        with transaction(engine) as connection:
            assert open_reviews(connection) == []
            now, amount = desk.bench.clock.now(), Decimal("25.00")
            for number, returned in (("ORD-1", amount), ("ORD-2", Decimal("5.00"))):
                name = f"txn-{number}-again"
                entry = Entry(name, "", MERCHANT, orders[number], amount, returned, "GBP", now)
                note_entries(connection, [entry], now)
        # By SumUp's ledger all of the first one's went back; about the third a person decides.
        close(desk, "ORD-3", Verdict.REFUND_NOTED)
        assert [one.order_number for one in desk.backlog().reviews] == ["ORD-2"]
        desk.shop.update("orders_order", orders["ORD-2"], status="refunded")
        desk.bench.mailer.sent.clear()
        desk.bench.clock.move(timedelta(hours=2))
        desk.run()
        assert desk.backlog().reviews == ()
        assert not [subject for subject in desk.subjects() if "ORD-3" in subject]  # what is settled is not told anew

    def test_closed_and_then_issued_after_all_is_an_order_like_any_other(self, desk: "Desk") -> None:
        order_id = desk.in_review("ORD-1")
        close(desk, "ORD-1")
        desk.sumup_says("ORD-1", amount="25.00")
        assert issue(desk, "ORD-1").tickets == 2
        desk.replay(order_id)
        desk.run()
        assert desk.status(order_id) == "completed"
        assert len(desk.tickets(order_id)) == 2

    def test_review_for_the_same_reason_after_a_verdict_is_told_anew(self, desk: "Desk") -> None:
        order_id = desk.in_review("ORD-1")
        for _ in range(2):
            close(desk, "ORD-1")
            desk.bench.mailer.sent.clear()
            desk.replay(order_id)
            desk.run()
            assert len([subject for subject in desk.subjects() if "needs a person: rejected" in subject]) == 1
        desk.bench.mailer.sent.clear()
        desk.replay(order_id)
        desk.run()
        assert desk.subjects() == []  # nobody has looked at it yet: the condition lasts

    @pytest.mark.parametrize("status", ["completed", "pending_verification", "failed", "cancelled", "processing"])
    def test_order_that_is_not_in_review_is_refused(self, desk: "Desk", status: str) -> None:
        desk.place("ORD-1", status=CheckoutStatus.PENDING)
        desk.shop.update("orders_order", desk.shop.rows("orders_order")[0]["id"], status=status)
        with pytest.raises(RefusedError, match=f"is {status}"):
            close(desk, "ORD-1")

    def test_order_that_is_not_there_is_named(self, desk: "Desk") -> None:
        with pytest.raises(OrderNotFoundError, match="ORD-404"):
            close(desk, "ORD-404")


class TestCommand:
    def test_reject_prints_json_and_goes_by_who_called_sudo(self, desk: "Desk", paypoll: "Command") -> None:
        order_id = desk.in_review("ORD-1")
        done = paypoll("resolve", "#ord-1", "--reject", "--reason", "test\norder", "--json", "--yes")
        assert (done.returncode, done.stderr) == (0, "")
        printed = json.loads(done.stdout)
        assert (printed["schema"], printed["by"], printed["verdict"]) == (1, "margot", "reject")
        assert (printed["reason"], printed["status_to"]) == ("test order", "requires_manual_review")
        # The reason why it is in review lasts; a look that follows is paypoll's own.
        assert [row["actor"] for row in desk.trail(order_id) if row["outcome"] == "reject"] == ["margot"]

    def test_issue_shows_that_sumup_is_out_of_reach_and_is_refused(self, desk: "Desk", paypoll: "Command") -> None:
        order_id = desk.in_review("ORD-1")
        done = paypoll("resolve", "ORD-1", "--issue", "--reason", "x", PAYPOLL_SUMUP__TRIES="1")
        assert done.returncode == 65
        assert "SumUp about chk-ORD-1: NoAnswer" in done.stdout
        assert "--override" in done.stderr
        assert desk.tickets(order_id) == []

    def test_override_issues_and_says_that_the_mail_waits(self, desk: "Desk", paypoll: "Command") -> None:
        order_id = desk.in_review("ORD-1")
        arguments = ("--issue", "--override", "--reason", "paid in cash", "--by", "Ana", "--json", "--yes")
        done = paypoll("resolve", "ORD-1", *arguments, PAYPOLL_SUMUP__TRIES="1")
        assert done.returncode == 0
        printed = json.loads(done.stdout)
        assert (printed["tickets"], printed["by"], printed["mail"]["state"]) == (2, "Ana", "waiting")
        assert len(desk.tickets(order_id)) == 2

    @pytest.mark.parametrize(
        "arguments",
        [
            ("--reason", "x"),
            ("--reject", "--issue", "--reason", "x"),
            ("--reject", "--override", "--reason", "x"),
            ("--reject",),
            ("--reject", "--reason", " \n"),
        ],
    )
    def test_half_a_decision_is_a_usage_error(self, paypoll: "Command", arguments: tuple[str, ...]) -> None:
        assert paypoll("resolve", "ORD-1", *arguments).returncode == 2
