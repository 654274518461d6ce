"""What `paypoll refund` finds to give back, and what it refuses before anything is written down."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest

from paypoll.admin.refund import RefundCase, RefundRequest
from paypoll.admin.resolve import Resolution
from paypoll.database import transaction
from paypoll.errors import PaypollError, RefusedError, SettingsError, TryLaterError
from paypoll.payments.gateway import CheckoutStatus, Found, Look, NoAnswer, NotAllowed, TransactionAnswer
from paypoll.payments.refunding import RefundState
from paypoll.state.refunds import begin_sending, end
from paypoll.state.resolutions import Verdict
from paypoll.testing import MERCHANT, a_transaction

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Desk

WANTED = RefundRequest("Margot", "cannot come")


@pytest.fixture
def allowed(desk: "Desk") -> "Desk":
    """The desk where refunds are allowed, with an order that is paid and has its tickets."""
    desk.app.refund_engine = replace(desk.app.refund_engine, allowed=True)
    desk.place("ORD-1")
    desk.run()
    return desk


def look(desk: "Desk", request: RefundRequest = WANTED, order: str = "ORD-1") -> RefundCase:
    """Look at a refund."""
    return desk.app.refunder.look_at(desk.app.refunder.find(order), request)


def asked_to_refund(desk: "Desk") -> list[tuple[str, str]]:
    """Return the refunds that SumUp was asked for."""
    return [asked for asked in desk.bench.gateway.asked if asked[0] == "refund"]


def pay_again(desk: "Desk", **transaction: Decimal) -> None:
    """Let a second checkout of the order be paid, under the same reference."""
    first = desk.bench.gateway.checkouts["chk-ORD-1"]
    assert isinstance(first, Found)
    second = replace(first.value, id="chk-2", transaction_id="txn-2", attempts=())
    desk.bench.gateway.checkouts["chk-2"] = Found(second)
    desk.bench.gateway.transactions["txn-2"] = Found(a_transaction(id="txn-2", **transaction))


def test_refund_of_the_whole_is_all_that_is_left_and_every_ticket(allowed: "Desk") -> None:
    case = look(allowed)
    assert (case.intent.amount, case.intent.beside, case.whole, len(case.voids)) == (Decimal(25), False, True, 2)
    progress = allowed.app.refunder.carry_out(case)
    assert (progress.intent.state, progress.status, progress.voided) == (RefundState.DONE, "refunded", case.voids)
    # In the same words it is the same refund.
    assert look(allowed).intent.id == progress.intent.id
    with pytest.raises(RefusedError, match="nothing is left to refund"):
        look(allowed, replace(WANTED, reason="once more"))
    assert len(asked_to_refund(allowed)) == 1


def test_rest_after_a_part_is_the_whole(allowed: "Desk") -> None:
    part = replace(WANTED, amount=Decimal(5))
    assert not look(allowed, part).whole
    allowed.app.refunder.carry_out(look(allowed, part))
    rest = look(allowed)
    assert (rest.intent.amount, rest.whole, len(rest.voids)) == (Decimal(20), True, 2)


def test_second_payment_must_be_named_and_is_beside(allowed: "Desk") -> None:
    pay_again(allowed)
    with pytest.raises(RefusedError, match=r"say which by --checkout: .*its tickets rest on it"):
        look(allowed)
    case = look(allowed, replace(WANTED, checkout="chk-2"))
    assert (case.intent.beside, case.intent.transaction_id, case.voids, case.held) == (True, "txn-2", (), ())
    # The other way round the tickets go, though the order is paid: that is said before it is done.
    own = look(allowed, replace(WANTED, checkout="chk-ORD-1"))
    assert (len(own.voids), own.held) == (2, ("chk-2",))
    # Once the other has gone back, there is but one.
    pay_again(allowed, refunded=Decimal(25))
    assert look(allowed).intent.checkout_id == "chk-ORD-1"


def test_refund_that_is_under_way_is_carried_on_and_no_other_begun(allowed: "Desk") -> None:
    begun = allowed.app.refund_engine.begin(look(allowed).intent)
    assert begun is not None
    assert look(allowed).intent.id == begun.id
    with pytest.raises(RefusedError, match="is under way since"):
        look(allowed, replace(WANTED, amount=Decimal(5)))
    with pytest.raises(RefusedError, match="another refund of this payment"):
        allowed.app.refunder.carry_out(RefundCase(look(allowed).order, replace(begun, id=0)))


def valid_ticket(desk: "Desk") -> str:
    """Return the number of a ticket of the order."""
    (order,) = desk.shop.rows("orders_order")
    return str(desk.tickets(order["id"])[0]["ticket_number"])


def test_tickets_that_cannot_be_meant_are_refused(allowed: "Desk") -> None:
    with pytest.raises(RefusedError, match="no valid ticket NOT-MINE"):
        look(allowed, replace(WANTED, amount=Decimal(5), tickets=("NOT-MINE",)))
    mine = (valid_ticket(allowed),)
    with pytest.raises(RefusedError, match="nothing would be left"):
        look(allowed, replace(WANTED, amount=Decimal(25), tickets=mine))
    assert look(allowed, replace(WANTED, amount=Decimal(5), tickets=mine)).voids == mine
    pay_again(allowed)
    with pytest.raises(RefusedError, match="rest on another payment"):
        look(allowed, replace(WANTED, amount=Decimal(5), tickets=mine, checkout="chk-2"))


def test_payment_that_cannot_be_given_back_and_order_that_a_run_may_complete_are_refused(allowed: "Desk") -> None:
    gateway = allowed.bench.gateway
    refused: list[tuple[Look[TransactionAnswer], type[PaypollError], str]] = [
        (Found(a_transaction(id="txn-ORD-1", returning=Decimal(5))), RefusedError, "on its way back"),
        (Found(a_transaction(id="txn-ORD-1", currency="EUR")), RefusedError, "currency is EUR"),
        (NotAllowed(MERCHANT, "403"), RefusedError, "transactions.history"),
        (NoAnswer("down"), TryLaterError, "did not say"),
    ]
    for transaction_look, error, words in refused:
        gateway.transactions["txn-ORD-1"] = transaction_look
        with pytest.raises(error, match=words):
            look(allowed)
        # Nor is another payment taken for the one that is meant.
        pay_again(allowed)
        with pytest.raises(PaypollError):
            look(allowed)
        del gateway.checkouts["chk-2"], gateway.transactions["txn-2"]
    allowed.place("ORD-2", CheckoutStatus.PENDING)
    with pytest.raises(RefusedError, match="paypoll run-once --order ORD-2"):
        look(allowed, order="ORD-2")


def test_row_24c_payment_after_a_closed_review_leaves_the_queue_when_all_of_it_was_given_back(allowed: "Desk") -> None:
    order_id = allowed.in_review("ORD-2")
    resolver = allowed.app.resolver
    resolver.settle(resolver.find_in_review("ORD-2"), Resolution(Verdict.REJECT, "margot", "not ours"))
    allowed.shop.add_checkout(order_id, "AGAIN", "chk-AGAIN", merchant_code=MERCHANT)
    allowed.sumup_says("AGAIN")
    allowed.bench.clock.move(timedelta(hours=1))
    allowed.run()

    def listed() -> tuple[list[str], list[str]]:
        waits = allowed.backlog()
        return [one.order_number for one in waits.reviews], [one.state for one in waits.refunds]

    assert listed() == (["ORD-2"], [])
    part = replace(WANTED, amount=Decimal(5), checkout="chk-AGAIN")
    allowed.app.refunder.carry_out(look(allowed, part, "ORD-2"))
    assert listed() == (["ORD-2"], [])
    rest = look(allowed, replace(WANTED, checkout="chk-AGAIN"), "ORD-2")
    assert rest.intent.beside  # the first one, for which it went to review, holds money as well
    begun = allowed.app.refund_engine.begin(rest.intent)
    assert begun is not None
    assert listed() == (["ORD-2"], ["intended"])
    with transaction(allowed.app.engine) as connection:
        assert begin_sending(connection, begun.id, allowed.bench.clock.now())
    assert listed() == ([], ["asked"])  # it is one case, also while SumUp has not shown it yet
    with transaction(allowed.app.engine) as connection:
        end(connection, begun.id, RefundState.ASKED, RefundState.FAILED, "it came to nothing", begun.changed_at)
    assert listed() == (["ORD-2"], [])
    allowed.app.refunder.carry_out(look(allowed, replace(WANTED, checkout="chk-AGAIN"), "ORD-2"))
    assert (listed(), allowed.status(order_id)) == (([], []), "requires_manual_review")
    allowed.bench.mailer.sent.clear()
    allowed.bench.clock.move(timedelta(hours=2))
    allowed.run()
    assert (listed(), [one for one in allowed.subjects() if "was paid" in one]) == (([], []), [])  # nor is it told anew


def test_refunds_that_are_off_are_refused_before_anything_is_asked(desk: "Desk") -> None:
    desk.place("ORD-1")
    with pytest.raises(SettingsError, match=r"sumup\.allow_refunds"):
        desk.app.refunder.find("ORD-1")
    assert desk.bench.gateway.asked == []
