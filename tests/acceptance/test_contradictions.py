"""What SumUp says that is neither "paid" nor "not paid": contradictions, payments under way, checkouts left open.

Each order has answers of its own that are wrong in one way, so that one run is held to many rows. The settings are the
defaults, grace for a declined card included.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import pytest
from tests.acceptance.papers import body, subject
from tests.acceptance.promises import check_completed, check_issued, check_review
from tests.acceptance.stage import MERCHANT, PRICE, Placed, Stage
from tests.acceptance.world import World, waves

from paypoll.sandbox.sumup.effects import Effect, Line, Respond, Status
from paypoll.sandbox.sumup.exchange import Answer, refusal
from paypoll.sandbox.sumup.tampering import ABSENT

LONG_AGO = timedelta(hours=3)
WINDOW = timedelta(hours=73)
BACK_THEN = (datetime.now(UTC) - LONG_AGO).isoformat()
NO_TRANSACTION = {"transaction_id": ABSENT, "transaction_code": ABSENT}


@dataclass(frozen=True, slots=True)
class Refuses:
    """SumUp refuses with one of its codes, and does nothing."""

    status: int
    code: str

    def spoil(self, line: Line, respond: Respond) -> None:
        """Refuse."""
        del respond
        line.send(refusal(self.status, self.code, "No, says the sandbox."))


@dataclass(frozen=True, slots=True)
class SaysPending:
    """SumUp says PENDING where it should say PAID, in this answer and in no other."""

    def spoil(self, line: Line, respond: Respond) -> None:
        """Say so."""
        said = respond()
        line.send(Answer(said.status, said.body.replace(b'"PAID"', b'"PENDING"').replace(b'"SUCCESSFUL"', b'"FAILED"')))


# -- PAID, and something else speaks for or against it -----------------------------------------------------------------

CHARGED_BACK = "25.00 GBP was charged back"
CHARGE_BACKS: list[dict[str, Any]] = [
    {"simple_status": "CHARGE_BACK"},
    {"simple_status": "CHARGEBACK"},
    {"status": "CHARGED_BACK"},
    {"simple_status": "NON_COLLECTION"},
    {"transaction_events": [{"event_type": "CHARGEBACK", "status": "SUCCESSFUL", "amount": 25}]},
    {"events": [{"type": "NON_COLLECTION", "status": "SUCCESSFUL", "amount": 25}]},
]
TRANSACTIONS: dict[str, tuple[dict[str, Any], str, str]] = {
    "other-amount": ({"amount": Decimal("24.99")}, "mismatch", "the transaction's amount is 24.99 GBP"),
    "other-currency": ({"currency": "EUR"}, "mismatch", "the transaction's currency is EUR"),
    "other-merchant": ({"merchant_code": "MOTHER"}, "mismatch", "the transaction's merchant is MOTHER"),
    "simple-cancelled": ({"simple_status": "CANCELLED"}, "mismatch", "simple_status is CANCELLED"),
    "simple-failed": ({"simple_status": "FAILED"}, "mismatch", "simple_status is FAILED"),
    **{f"charged-back-{number}": (changes, "refunded", CHARGED_BACK) for number, changes in enumerate(CHARGE_BACKS)},
}
"""What SumUp's transaction says about a PAID checkout of 25.00, with the review's reason and what it says."""


@pytest.fixture(scope="module")
def paid(new_stage: Callable[[], Stage]) -> World:
    """PAID orders whose transactions say something of their own."""
    stage = new_stage()
    orders = {
        name: stage.order(f"ORD-{name.upper()}", checkout="PAID")
        for name in ("unlisted", "null", "tipped", "under-way", "returning")
    }
    made = World(stage, orders)
    stage.sumup.tamper(orders["unlisted"].checkout, transactions=ABSENT)
    stage.sumup.tamper(orders["null"].checkout, transactions=None)
    stage.sumup.tamper_transaction(orders["tipped"].checkout, amount=Decimal("27.00"), tip_amount=Decimal("2.00"))
    stage.sumup.tamper_transaction(orders["under-way"].checkout, status="PENDING", simple_status="PENDING")
    stage.sumup.refund(orders["returning"].checkout, status="PENDING")
    for names in waves(TRANSACTIONS):  # five alerts of one kind in a run would become a summary
        for name in names:
            orders[name] = stage.order(f"ORD-{name.upper()}", checkout="PAID")
            stage.sumup.tamper_transaction(orders[name].checkout, **TRANSACTIONS[name][0])
        made.run()
    stage.sumup.untamper(orders["under-way"].checkout)
    orders["cheated"] = of_two_organisers(stage)
    stage.checkout(orders["cheated"], "PAID", merchant="MCHEAT", stored=False)
    made.run()
    return made


def of_two_organisers(stage: Stage) -> Placed:
    """An order for events of two organisers, one of whom has made a checkout under its number at his own merchant."""
    events = []
    for merchant in ("MCHEAT", "MHONEST"):
        stage.sumup.add_merchant(merchant, f"sup_sk_{merchant}")
        profile = {
            "sumup_connection_status": "connected",
            "sumup_merchant_code": merchant,
            "sumup_access_token": stage.sumup.issue_access_token(merchant),
            "sumup_refresh_token": f"refresh-{merchant}",
            "sumup_expires_at": datetime.now(UTC) + timedelta(days=1),
        }
        organiser = stage.shop.add_organiser(f"{merchant}@organiser.example", merchant, **profile)
        events.append(stage.event(f"Concert of {merchant}", organiser_id=organiser))
    return stage.order("ORD-CHEATED", places=[(event, 1, PRICE) for event in events], checkout="")


@pytest.mark.parametrize("name", ["unlisted", "null"])
def test_row_01a_paid_whose_transaction_alone_says_successful_is_completed(paid: World, name: str) -> None:
    check_completed(paid.stage, paid[name])
    assert paid.stage.alerts(paid[name]) == []


def test_row_02a_paid_while_its_transaction_is_pending_waits_and_is_completed(paid: World) -> None:
    order, stage = paid["under-way"], paid.stage
    looks = [(one["outcome"], one["reason"]) for one in stage.audit(order)]
    assert looks == [("unchanged", "no_answer")] * (len(paid.runs) - 1) + [("complete", "paid")]
    check_completed(stage, order)
    assert stage.alerts(order) == []


def test_row_09b_tip_in_the_transaction_is_no_mismatch(paid: World) -> None:
    check_issued(paid.stage, paid["tipped"], on_paper=False)


@pytest.mark.parametrize("name", TRANSACTIONS)
def test_rows_09b_to_09c_and_09e_transaction_that_is_not_the_checkouts_goes_to_review(paid: World, name: str) -> None:
    _, reason, found = TRANSACTIONS[name]
    check_review(paid.stage, paid[name], reason=reason, found=found)


def test_row_09d_refund_that_is_not_final_goes_to_review_and_says_so(paid: World) -> None:
    check_review(paid.stage, paid["returning"], reason="refunded", found="that is not final yet")


def test_row_13a_order_of_several_organisers_that_one_had_paid_to_himself_goes_to_review(paid: World) -> None:
    check_review(paid.stage, paid["cheated"], reason="mismatch", found=f"paid to merchant MCHEAT, expected {MERCHANT}")


# -- not PAID, and something says that money was taken ----------------------------------------------------------------

WAITING = {
    "inside-FAILED": "contradiction",
    "inside-EXPIRED": "contradiction",
    "inside-PENDING": "contradiction",
    "list-says-paid": "contradiction",
    "trying-FAILED": "under_way",
    "trying-PENDING": "under_way",
    "declined-now": "retrying",
    "declined-undated": "retrying",
    "declined-then-paid": "retrying",
    "close-403": "not_closed",
    "close-404": "not_closed",
    "close-refused": "not_closed",
    "close-processed": "not_closed",
}
"""Orders that wait at the first look, and why."""
NEVER_SETTLED = ("inside-FAILED", "list-says-paid", "trying-PENDING", "close-refused")
"""Those that still wait when their window ends, each for another reason but for the second."""
NOT_PAID = {"inside-FAILED-not-taken": "failed", "inside-EXPIRED-not-taken": "expired", "declined-long-ago": "failed"}
CLOSINGS: dict[str, Effect] = {
    "close-403": Status(HTTPStatus.FORBIDDEN),
    "close-404": Refuses(HTTPStatus.NOT_FOUND, "NOT_FOUND"),
    "close-refused": Refuses(HTTPStatus.CONFLICT, "CHECKOUT_CANT_BE_DEACTIVATED"),
    "close-processed": Refuses(HTTPStatus.CONFLICT, "CHECKOUT_PROCESSED"),
    "page-over": Refuses(HTTPStatus.CONFLICT, "CHECKOUT_CANT_BE_DEACTIVATED"),
}


@pytest.fixture(scope="module")
def unsettled(new_stage: Callable[[], Stage]) -> World:
    """Orders that SumUp does not call PAID, though it says something else that may mean it."""
    stage = new_stage()
    sumup = stage.sumup
    made = World(stage, dict(_unsettled_orders(stage)))
    orders = made.orders
    faults = {
        name: sumup.fault(effect, method="DELETE", path=f"*/{orders[name].checkout}")
        for name, effect in CLOSINGS.items()
    }
    faults["list-says-paid"] = sumup.fault(SaysPending(), method="GET", path=f"*/{orders['list-says-paid'].checkout}")
    made.run(promised=False)  # a dry run takes for granted that SumUp closes what it is asked to close
    made.kept["first"] = {name: made.runs[0].reason(orders[name]) for name in orders}
    stage.sql("UPDATE paypoll.trouble SET since = since - interval '31 minutes'")
    made.run(promised=False)
    # Some of it is settled now; the declined buyers have had their time; the others' windows end.
    for name in ("close-403", "close-404", "close-processed"):
        faults[name].clear()
    sumup.pay(orders["declined-then-paid"].checkout, force=True)
    for name in ("declined-now", "declined-undated"):
        stage.let_age(orders[name], timedelta(minutes=11))
    for name in NEVER_SETTLED:
        stage.let_age(orders[name], WINDOW)
    made.run(promised=False)
    made.run(promised=False)
    return made


def _unsettled_orders(stage: Stage) -> Iterator[tuple[str, Placed]]:
    sumup = stage.sumup
    for status in ("FAILED", "EXPIRED"):
        for name in (f"inside-{status}", f"inside-{status}-not-taken"):
            order = stage.order(f"ORD-{name.upper()}", checkout="PAID", age=timedelta(minutes=50))
            sumup.tamper(order.checkout, status=status, **NO_TRANSACTION)
            if name.endswith("taken"):
                sumup.tamper_transaction(order.checkout, status="FAILED", simple_status="FAILED")
            yield name, order
    for name, state in (("inside-PENDING", "SUCCESSFUL"), ("trying-PENDING", "PENDING")):
        order = stage.order(f"ORD-{name.upper()}", age=LONG_AGO)
        attempt = {"id": f"txn-{name}", "status": state, "amount": 25, "timestamp": BACK_THEN}
        sumup.tamper(order.checkout, transactions=[attempt])
        yield name, order
    trying = stage.order("ORD-TRYING-FAILED", checkout="FAILED", age=LONG_AGO)
    (declined,) = sumup.checkout(trying.checkout).attempts
    attempts = [
        {"id": declined.id, "status": "FAILED", "amount": 25, "timestamp": BACK_THEN},
        {"id": "txn-again", "status": "PENDING", "amount": 25, "timestamp": datetime.now(UTC).isoformat()},
    ]
    sumup.tamper(trying.checkout, transactions=attempts)
    yield "trying-FAILED", trying
    yield "list-says-paid", stage.order("ORD-LIST-SAYS-PAID", checkout="PAID", age=LONG_AGO)
    for name in ("declined-now", "declined-then-paid"):
        yield name, stage.order(f"ORD-{name.upper()}", checkout="FAILED", age=timedelta(minutes=5))
    for name in ("declined-undated", "declined-long-ago"):
        order = stage.order(f"ORD-{name.upper()}", checkout="FAILED", age=LONG_AGO)
        if name == "declined-undated":  # its age counts from the first look
            sumup.tamper(order.checkout, transactions=[{"id": "txn-undated", "status": "FAILED"}])
        yield name, order
    for name in CLOSINGS:
        order = stage.order(f"ORD-{name.upper()}", age=LONG_AGO)
        if name == "page-over":
            sumup.tamper(order.checkout, valid_until=(datetime.now(UTC) - timedelta(minutes=6)).isoformat())
        yield name, order


@pytest.mark.parametrize("name", WAITING)
def test_rows_03a_to_03c_and_04a_what_is_not_settled_waits_and_no_buyer_hears_of_it(
    unsettled: World, name: str
) -> None:
    assert unsettled.kept["first"][name] == WAITING[name]
    numbers = [[one["number"] for one in run.report["orders"]] for run in unsettled.runs[:2]]
    assert all(unsettled[name].number in seen for seen in numbers)
    assert not [mail for mail in unsettled.mails[1] if mail.recipients == (unsettled[name].email,)]


@pytest.mark.parametrize("name", NOT_PAID)
def test_row_03a_transaction_that_was_not_taken_goes_the_usual_way(unsettled: World, name: str) -> None:
    assert unsettled.stage.history(unsettled[name]) == [NOT_PAID[name]]


def test_row_03a_orders_that_are_not_settled_are_listed_when_it_lasts(unsettled: World) -> None:
    (listed,) = [mail for mail in unsettled.mails[0] if "waiting for SumUp for too long" in subject(mail)]
    for name in ("inside-FAILED", "trying-PENDING", "close-404"):
        assert unsettled[name].number in body(listed)


@pytest.mark.parametrize("name", NEVER_SETTLED)
def test_rows_03a_to_03b_and_04a_what_is_not_settled_when_the_window_ends_goes_to_review(
    unsettled: World, name: str
) -> None:
    found = "could not be closed" if name == "close-refused" else "that has not been resolved"
    check_review(unsettled.stage, unsettled[name], reason=WAITING[name], found=found)


@pytest.mark.parametrize("name", ["declined-now", "declined-undated"])
def test_row_03c_declined_buyer_is_told_when_the_grace_is_over(unsettled: World, name: str) -> None:
    order, stage = unsettled[name], unsettled.stage
    assert [one["reason"] for one in stage.audit(order)][:3] == ["retrying", "retrying", "payment_failed"]
    (mail,) = stage.mails(order)
    assert subject(mail).startswith("Your payment did not go through")


def test_row_03c_declined_buyer_who_pays_with_another_card_never_hears_of_the_first(unsettled: World) -> None:
    check_completed(unsettled.stage, unsettled["declined-then-paid"])


@pytest.mark.parametrize("name", ["close-403", "close-404", "close-processed"])
def test_row_04a_order_expires_once_sumup_closes_its_checkout(unsettled: World, name: str) -> None:
    assert unsettled.stage.history(unsettled[name]) == ["expired"]
    assert unsettled.stage.sumup.checkout(unsettled[name].checkout).status == "EXPIRED"


def test_row_04a_order_expires_without_closing_once_its_page_is_over_by_sumups_clock(unsettled: World) -> None:
    assert unsettled.kept["first"]["page-over"] == "too_old"
    assert unsettled.stage.history(unsettled["page-over"]) == ["expired"]


def test_row_04a_closing_that_is_forbidden_is_told_once_a_merchant_when_it_lasts(unsettled: World) -> None:
    told = [
        [subject(mail) for mail in mails if "does not let paypoll close" in subject(mail)] for mails in unsettled.mails
    ]
    alert = f"[Jersey Events CRITICAL] SumUp does not let paypoll close checkouts of merchant {MERCHANT}"
    assert told == [[], [alert], [alert], [alert]]


def test_run_again_over_unsettled_orders_changes_nothing(unsettled: World) -> None:
    assert [run.code for run in unsettled.runs] == [0] * 4
    assert unsettled.shops[-1] == unsettled.shops[-2]
    assert unsettled.mails[-1] == unsettled.mails[-2]
