"""Money given back by command: in the shop, at SumUp, and in the customer's mailbox; and killed in between."""

import os
import pty
import signal
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal

import pytest
from tests.acceptance.papers import body, html_text_of, subject
from tests.acceptance.stage import API_KEY, MERCHANT, PATIENCE, PROGRAM, Ended, Placed, Stage

from paypoll.sandbox.sumup.effects import Hang
from paypoll.sandbox.sumup.entries import Transaction
from paypoll.sandbox.sumup.keyring import EVERY_SCOPE, Scope

REFUSED = 65
USAGE = 2
SETTINGS = 78
INTERRUPTED = 130
REFUNDS = "*/refunds"
TICKET = Decimal("12.50")
BY = ("--by", "Margot", "--yes")


def opened(stage: Stage) -> Stage:
    """Return the stage with refunds allowed, in the settings and in the database."""
    stage.grant(refunds=True)
    stage.environ["sumup__allow_refunds"] = "true"
    return stage


def payment(stage: Stage, checkout_id: str) -> Transaction:
    """Return the payment of a checkout as SumUp has it."""
    found = stage.sumup.checkout(checkout_id).payment
    assert found is not None
    return found


def given_back(stage: Stage, checkout_id: str) -> list[Decimal]:
    """Return what went back of a checkout, refund by refund."""
    return [back.amount for back in payment(stage, checkout_id).returns]


def refund_mails(stage: Stage, order: Placed) -> list[str]:
    """Return the text of each mail about a refund to the buyer."""
    return [body(mail) for mail in stage.mails(order) if " refunded - order " in subject(mail)]


def refund_rows(stage: Stage, order: Placed) -> list[tuple[Decimal, str, str]]:
    """Return the order's rows of orders_refund."""
    rows = stage.shop.rows("orders_refund", order_id=order.id)
    return [(row["amount"], row["status"], row["refund_transaction_id"]) for row in rows]


def ticket_statuses(stage: Stage, order: Placed) -> list[str]:
    """Return the statuses of the order's tickets."""
    return sorted(ticket["status"] for ticket in stage.tickets(order))


# -- what becomes of the order --------------------------------------------------------------------------------


@dataclass
class World:
    """Orders of which money was given back, each in its way, and what the commands said."""

    stage: Stage
    orders: dict[str, Placed]
    said: dict[str, Ended] = field(default_factory=dict)
    second: str = ""
    void: str = ""


@pytest.fixture(scope="module")
def refunded(new_stage: Callable[[], Stage]) -> World:
    stage = opened(new_stage())
    orders = {name: stage.order(f"ORD-{name.upper()}", checkout="PAID") for name in ("full", "part", "twice")}
    orders["review"] = stage.order("ORD-REVIEW", checkout="")
    wrong = stage.checkout(orders["review"], "PAID", amount=orders["review"].total + Decimal("0.01"))
    world = World(stage, orders)
    world.second = stage.checkout(orders["twice"], "PAID", reference="ORD-TWICE-again")
    # SumUp has the one payment of this order under another checkout of it as well.
    same, paid = stage.checkout(orders["full"], "PAID", reference="ORD-FULL-b"), payment(stage, orders["full"].checkout)
    attempt = {"id": paid.id, "status": "SUCCESSFUL", "amount": paid.amount, "currency": "GBP"}
    stage.sumup.tamper(same, transaction_id=paid.id, transaction_code=paid.code, transactions=[attempt])
    assert stage.run_once().code == 0
    world.void = stage.tickets(orders["part"])[0]["ticket_number"]
    used = stage.tickets(orders["full"])[1]["ticket_number"]
    stage.sql("UPDATE events_ticket SET status = 'used' WHERE ticket_number = :number", number=used)

    def say(name: str, *arguments: str) -> None:
        world.said[name] = stage.paypoll(*arguments, *BY)

    say("came", "refund", "ORD-FULL", "--amount", "12.50", "--ticket", used, "--reason", "came, and was ill")
    say("full", "refund", "ORD-FULL", "--checkout", same, "--reason", "cannot come", "--json")
    say("part", "refund", "ORD-PART", "--amount", "12.50", "--ticket", world.void, "--reason", "one is ill")
    say("again", "refund", "ORD-PART", "--amount", "12.50", "--ticket", world.void, "--reason", "one is ill")
    say("which", "refund", "ORD-TWICE", "--reason", "paid twice")
    own = ("--checkout", orders["twice"].checkout, "--reason", "paid twice")
    world.said["own"] = stage.paypoll("refund", "ORD-TWICE", *own)  # nobody is there to say yes
    say("twice", "refund", "ORD-TWICE", "--checkout", world.second, "--reason", "paid twice")
    say("review", "resolve", "ORD-REVIEW", "--refund", "--reason", "a penny too much")
    orders["review"] = Placed(
        orders["review"].id, "ORD-REVIEW", orders["review"].email, Decimal(0), timedelta(0), wrong
    )
    return world


@pytest.mark.fast("ledger")
def test_row_62_full_refund_is_sent_once_and_the_scanner_refuses_the_tickets(refunded: World) -> None:
    stage, order = refunded.stage, refunded.orders["full"]
    said = refunded.said["full"]
    assert said.code == 0, said.stderr
    assert given_back(stage, order.checkout) == [Decimal("25.00")]
    assert stage.status(order) == "refunded"
    assert ticket_statuses(stage, order) == ["refunded", "used"]  # who came, came
    assert refund_rows(stage, order) == [(Decimal("25.00"), "completed", payment(stage, order.checkout).code)]
    assert stage.history(order) == ["completed", "refunded"]
    asked, done = stage.audit(order, "refund")
    assert (asked["outcome"], done["outcome"], done["actor"]) == ("intended", "done", "Margot")
    assert (done["status_from"], done["status_to"]) == ("completed", "refunded")
    assert "cannot come" in done["explanation"]
    (mail,) = refund_mails(stage, order)
    numbers = [ticket["ticket_number"] for ticket in stage.tickets(order) if ticket["status"] == "refunded"]
    assert "25.00 GBP" in mail
    assert f"no longer valid: {numbers[0]}." in mail
    assert (said.report["refund"]["state"], said.report["mail"]["state"]) == ("done", "sent")
    assert stage.alerts(order) == []  # paid once
    assert said.report["voided"] == numbers


def test_row_62a_part_voids_the_tickets_that_are_named_and_no_other(refunded: World) -> None:
    stage, order = refunded.stage, refunded.orders["part"]
    assert refunded.said["part"].code == 0, refunded.said["part"].stderr
    assert given_back(stage, order.checkout) == [TICKET]
    assert stage.status(order) == "completed"
    assert {ticket["ticket_number"]: ticket["status"] for ticket in stage.tickets(order)}[refunded.void] == "refunded"
    assert ticket_statuses(stage, order) == ["refunded", "valid"]
    assert (refunded.said["came"].code, "has admitted its holder" in refunded.said["came"].stderr) == (65, True)
    assert [amount for amount, *_ in refund_rows(stage, order)] == [TICKET]
    (mail,) = refund_mails(stage, order)
    assert f"no longer valid: {refunded.void}" in mail
    assert "Your other ticket stays valid." in mail


def test_row_62a_same_command_again_is_the_same_refund(refunded: World) -> None:
    said = refunded.said["again"]
    assert said.code == 0, said.stderr
    assert "made before" in said.stdout
    assert given_back(refunded.stage, refunded.orders["part"].checkout) == [TICKET]


def test_row_62b_refund_of_a_second_payment_leaves_order_and_tickets(refunded: World) -> None:
    stage, order = refunded.stage, refunded.orders["twice"]
    which = refunded.said["which"]
    assert which.code == REFUSED
    assert refunded.second in which.stderr
    assert "paid more than once" in which.stderr
    # Of the other one the tickets would go, though the order is paid: that is said first.
    own = " ".join(refunded.said["own"].stdout.split())
    assert f"Checkout {refunded.second} is paid as well, and not given back" in own
    assert refunded.said["twice"].code == 0, refunded.said["twice"].stderr
    assert (given_back(stage, order.checkout), given_back(stage, refunded.second)) == ([], [order.total])
    assert stage.status(order) == "completed"
    assert ticket_statuses(stage, order) == ["valid", "valid"]
    assert refund_rows(stage, order) == []
    assert stage.history(order) == ["completed"]
    assert "beside the order's own" in stage.row(order)["payment_notes"]
    (mail,) = refund_mails(stage, order)
    assert "your tickets stay valid" in mail


def test_row_62f_order_in_review_is_refunded_and_its_review_closed(refunded: World) -> None:
    stage, order = refunded.stage, refunded.orders["review"]
    assert refunded.said["review"].code == 0, refunded.said["review"].stderr
    assert given_back(stage, order.checkout) == [Decimal("25.01")]
    assert stage.status(order) == "refunded"
    (verdict,) = stage.audit(order, "resolved")
    assert (verdict["outcome"], verdict["actor"]) == ("refund", "Margot")
    (mail,) = refund_mails(stage, order)
    assert "valid" not in mail


def test_rows_62_and_62b_set_back_by_the_browser_a_full_refund_counts_and_a_second_payments_does_not(
    refunded: World,
) -> None:
    stage = refunded.stage
    full, twice = refunded.orders["full"], refunded.orders["twice"]
    for order in (full, twice):
        stage.shop.update("orders_order", order.id, status="pending_verification")
    assert stage.run_once().code == 0
    assert (stage.status(full), stage.reasons(full)[-1]) == ("requires_manual_review", "refunded")
    assert (stage.status(twice), stage.reasons(twice)[-1]) == ("completed", "replayed")
    assert "paypoll refund" not in html_text_of(stage.mails(full)[-1])


# -- killed ---------------------------------------------------------------------------------------------------


def killed_at_the_request(stage: Stage, order: Placed, *, taken: bool) -> None:
    """Kill the command while it waits for SumUp's answer to the request, which SumUp has taken, or has never seen."""
    sent = stage.sumup.count("POST", REFUNDS)
    with stage.sumup.fault(Hang(), method="POST", path=REFUNDS, processed=taken):
        process = stage.start("refund", order.number, "--reason", "killed", *BY)
        stage.sumup.journal.wait_until(lambda journal: journal.count("POST", REFUNDS) > sent, PATIENCE)
        process.kill()
        process.communicate(timeout=PATIENCE)
    assert process.returncode == -signal.SIGKILL
    assert stage.status(order) == "completed"
    assert ticket_statuses(stage, order) == ["valid", "valid"]


def let_age(stage: Stage, by: timedelta) -> None:
    """Have the refunds that are under way be so much older."""
    stage.sql("UPDATE paypoll.refund SET changed_at = changed_at - :by, created_at = created_at - :by", by=by)
    stage.let_time_pass()


def test_rows_62c_and_62d_killed_between_request_and_answer_nothing_is_sent_again(stage: Stage) -> None:
    opened(stage)
    taken, again, lost = (stage.order(f"ORD-{name}", checkout="PAID") for name in ("TAKEN", "AGAIN", "LOST"))
    assert stage.run_once().code == 0
    killed_at_the_request(stage, taken, taken=True)
    killed_at_the_request(stage, again, taken=True)
    killed_at_the_request(stage, lost, taken=False)
    # The command again finishes what it finds.
    assert stage.paypoll("refund", "ORD-AGAIN", "--reason", "killed", *BY).code == 0
    # The next run does the same, and cannot tell of the one that SumUp does not show.
    stage.let_time_pass()
    assert stage.run_once().code == 0
    for order in (taken, again):
        assert given_back(stage, order.checkout) == [Decimal("25.00")]
        assert stage.status(order) == "refunded"
        assert ticket_statuses(stage, order) == ["refunded", "refunded"]
        assert len(refund_rows(stage, order)) == len(refund_mails(stage, order)) == 1
    # The lost one is waited for, told, and given up: it is never sent again by itself.
    assert stage.alerts(lost) == []
    (waiting,) = stage.paypoll("queue", "--json").report["refunds"]
    assert (waiting["order_number"], waiting["amount"], waiting["state"]) == ("ORD-LOST", "25.000", "asked")
    for age in (timedelta(minutes=31), timedelta(hours=24)):
        let_age(stage, age)
        assert stage.run_once().code == 0
    assert given_back(stage, lost.checkout) == []
    assert stage.status(lost) == "completed"
    assert refund_mails(stage, lost) == []
    waits, ended = stage.alerts(lost)
    assert "does not show at SumUp" in subject(waits)
    assert "was not made, unseen" in subject(ended)
    assert stage.sumup.count("POST", REFUNDS) == 3


# -- refused --------------------------------------------------------------------------------------------------


def on_a_terminal(stage: Stage, answer: str, *arguments: str) -> tuple[int, str]:
    """Run the command on a terminal on which somebody types an answer. Return its exit status and what it printed."""
    leader, follower = pty.openpty()
    settings = {f"PAYPOLL_{name.upper()}": value for name, value in stage.environ.items()}
    os.write(leader, answer.encode())
    done = subprocess.run(  # noqa: S603 - the command that is tested
        [PROGRAM, "--config", stage.config, *arguments],
        env={**os.environ, **settings},
        stdin=follower,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    os.close(follower)
    os.close(leader)
    return done.returncode, done.stdout + done.stderr


def test_row_62e_what_may_not_be_refunded_is_refused_and_nothing_is_sent(stage: Stage) -> None:
    order = stage.order("ORD-KEPT", checkout="PAID")
    assert stage.run_once().code == 0
    before = stage.dump("public", "paypoll")
    refund = ("refund", "ORD-KEPT", "--reason", "no")

    off = stage.paypoll(*refund, *BY)
    assert (off.code, "sumup.allow_refunds" in off.stderr) == (SETTINGS, True)
    stage.environ["sumup__allow_refunds"] = "true"
    no_right = stage.paypoll(*refund, *BY)
    assert (no_right.code, "paypoll db grants --refunds" in no_right.stderr) == (SETTINGS, True)
    opened(stage)
    nobody_to_ask = stage.paypoll(*refund)
    assert (nobody_to_ask.code, "add --yes" in nobody_to_ask.stderr) == (USAGE, True)
    too_much = stage.paypoll(*refund, "--amount", "25.01", *BY)
    assert (too_much.code, "25.00 GBP is left" in too_much.stderr) == (REFUSED, True)
    code, printed = on_a_terminal(stage, "n\n", *refund)
    assert (code, "Give back 25.00 GBP to MASTERCARD ending 1111?" in printed) == (INTERRUPTED, True), printed
    assert stage.sumup.count("POST", REFUNDS) == 0
    assert stage.dump("public", "paypoll") == before

    stage.sumup.add_merchant(MERCHANT, API_KEY, scopes=EVERY_SCOPE - {Scope.REFUNDS, Scope.PAYMENTS})
    no_scope = stage.paypoll(*refund, *BY)
    assert (no_scope.code, "scope refunds.write or payments" in no_scope.stderr) == (REFUSED, True)
    assert given_back(stage, order.checkout) == []
    assert stage.dump("public") == {name: rows for name, rows in before.items() if name.startswith("public.")}
