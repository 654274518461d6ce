"""Kills, signals, crowds, and a database that goes away: nothing is half-done, nothing is done twice."""

import random
import signal
import socket
import subprocess
from collections import Counter
from datetime import timedelta
from itertools import count

import pytest
from tests.acceptance.papers import subject
from tests.acceptance.promises import check_completed, check_issued
from tests.acceptance.stage import PATIENCE, PRICE, SOON, Ended, Placed, Stage
from tests.warm import Process

from paypoll.sandbox.mail.smtp_session import Stage as MailStage
from paypoll.sandbox.sumup.effects import Latency

TRY_LATER = 75
SETTINGS = 78
TERMINATED = 143
CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name = 'paypoll'"
)


def crowd(stage: Stage, size: int, checkout: str = "PAID", age: timedelta = timedelta(minutes=5)) -> list[Placed]:
    """Place many orders of one ticket each."""
    places = [(stage.concert, 1, PRICE)]
    return [stage.order(f"ORD-C{number:03}", places=[*places], checkout=checkout, age=age) for number in range(size)]


def ended(process: Process) -> Ended:
    """Wait for the end of a process."""
    stdout, stderr = process.communicate(timeout=PATIENCE)
    return Ended(process.wait(), stdout, stderr)


def leases(stage: Stage) -> list[object]:
    """Return what is still held."""
    held = "SELECT lease_run FROM paypoll.{} WHERE lease_run IS NOT NULL"
    return [row for table in ("watch", "outbox") for row in stage.sql(held.format(table))]


# -- the database -------------------------------------------------------------------------------------------


def test_row_38_database_out_of_reach_is_one_clear_line_and_exit_75(stage: Stage) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and not listening
        url = f"postgresql://paypoll:s3cret-word@127.0.0.1:{nobody.getsockname()[1]}/shop"
        run = stage.run_once(database__url=url)
    assert run.code == TRY_LATER
    (line,) = run.errors
    assert line.startswith("paypoll: the database is out of reach: ")
    assert "s3cret-word" not in run.stderr + run.stdout


def test_row_38_database_gone_while_sumup_is_asked_leaves_nothing_half_done(stage: Stage) -> None:
    orders = crowd(stage, 4)
    with stage.sumup.fault(Latency(1.0)):
        process = stage.start("run-once")
        stage.sumup.journal.wait_until(lambda journal: journal.count() > 0, PATIENCE)
        assert stage.sql(CUT)
        run = ended(process)
    assert run.code == TRY_LATER
    assert len(run.errors) == 1, run.stderr
    assert run.errors[0].startswith("paypoll: the database is out of reach: ")
    assert "pending_verification" in {whole_or_untouched(stage, order) for order in orders}
    stage.let_time_pass()
    assert stage.run_once().code == 0
    for order in orders:
        check_completed(stage, order)


def whole_or_untouched(stage: Stage, order: Placed) -> str:
    """Return the order's status, and assert that all that belongs to it is there, or nothing."""
    status, posted = stage.status(order), stage.sql("SELECT 1 FROM paypoll.outbox WHERE order_id = :id", id=order.id)
    written = (len(stage.tickets(order)), stage.history(order), len(posted), len(stage.audit(order)))
    assert written == ((1, ["completed"], 1, 1) if status == "completed" else (0, [], 0, 0))
    return status


def check_sent_again(stage: Stage, order: Placed, kind: str) -> None:
    """Run again, and assert that the mail came twice, as the same mail, and that this was noted."""
    stage.let_time_pass()
    assert stage.run_once().code == 0
    first, second = stage.mails(order)
    assert first.message["Message-ID"] == second.message["Message-ID"]
    query = "SELECT state, maybe_twice FROM paypoll.outbox WHERE order_id = :id AND kind = :kind"
    assert [dict(row) for row in stage.sql(query, id=order.id, kind=kind)] == [{"state": "sent", "maybe_twice": True}]


# -- kill -9 ------------------------------------------------------------------------------------------------


def test_row_39_killed_while_sumup_is_asked_is_taken_up_by_the_next_run(stage: Stage) -> None:
    order = stage.order("ORD-KILLED", checkout="PAID")
    with stage.sumup.fault(Latency(5.0)):
        process = stage.start("run-once")
        stage.sumup.journal.wait_until(lambda journal: journal.count() > 0, PATIENCE)
        process.kill()
        ended(process)
    assert len(leases(stage)) == 1
    assert stage.run_once().report["orders"] == []  # the lease is not over yet
    stage.let_time_pass()
    assert stage.run_once().code == 0
    check_completed(stage, order)


def test_row_39_killed_while_a_mail_is_sent_sends_it_again_with_the_same_message_id(stage: Stage) -> None:
    order = stage.order("ORD-CUTOFF", checkout="PAID")
    stage.sink.fault(MailStage.MESSAGE, delay=5.0, keep=True, times=1)
    process = stage.start("run-once")
    stage.sink.wait_for(1, PATIENCE)
    process.kill()
    ended(process)
    check_sent_again(stage, order, "confirmation")
    check_issued(stage, order)
    first, second = stage.mails(order)
    assert first.message.get_body(("plain",)).as_bytes() == second.message.get_body(("plain",)).as_bytes()  # type: ignore[union-attr]


def test_row_39_killed_at_random_instants_keeps_every_promise(stage: Stage) -> None:
    """Promises 1 to 5: kill run after run, each a bit later, until one comes to its end."""
    orders = crowd(stage, 30)
    stage.sumup.fault(Latency(0.05))
    stage.sink.fault(MailStage.MESSAGE, delay=0.03, keep=True)
    dice = random.Random(39)  # noqa: S311 - dice for tests
    kills = 0
    for attempt in count():
        process = stage.start("run-once", sumup__parallel_requests="2", verification__batch_size="7")
        try:
            process.wait(timeout=dice.uniform(0.3, 1.5) * 1.25**attempt)
        except subprocess.TimeoutExpired:
            process.kill()
            kills += 1
        run = ended(process)
        stage.let_time_pass()
        if run.code == 0:
            break
        assert run.code == -signal.SIGKILL
    assert kills >= 3
    # Those that are paid are looked at again by and by; nothing is left to do.
    assert {one["outcome"] for one in stage.run_once().report["orders"]} <= {"unchanged"}
    for order in orders:
        check_issued(stage, order, on_paper=order in orders[::6])
        assert stage.history(order) == ["completed"]
        assert len({str(mail.message["Message-ID"]) for mail in stage.mails(order)}) == 1
    twice = {order.number for order in orders if len(stage.mails(order)) > 1}
    joined = "paypoll.outbox m JOIN orders_order o ON o.id = m.order_id"
    noted = stage.sql(f"SELECT o.order_number FROM {joined} WHERE maybe_twice")  # noqa: S608 - ours
    assert twice <= {row["order_number"] for row in noted}
    states = stage.sql("SELECT state, count(*) AS rows FROM paypoll.outbox GROUP BY state")
    assert [dict(row) for row in states] == [{"state": "sent", "rows": len(orders)}]


# -- many at once ---------------------------------------------------------------------------------------------


def test_row_40_four_processes_share_sixty_orders_and_nothing_is_done_twice(stage: Stage) -> None:
    orders = crowd(stage, 60)
    processes = [stage.start("run-once", "--json", verification__batch_size="5") for _ in range(4)]
    runs = [ended(process) for process in processes]
    assert [run.code for run in runs] == [0] * 4
    applied = Counter(one["number"] for run in runs for one in run.report["orders"])
    assert applied == Counter(order.number for order in orders)
    assert sum(run.report["counts"]["tickets"] for run in runs) == len(orders)
    assert len([run for run in runs if run.report["orders"]]) > 1
    assert len(stage.shop.rows("events_ticket")) == len(orders)
    assert Counter(mail.recipients[0] for mail in stage.sink.messages) == Counter(order.email for order in orders)
    for order in orders:
        check_issued(stage, order, on_paper=order in orders[::12])
        assert stage.history(order) == ["completed"]


def test_row_41_new_order_behind_twenty_stuck_ones_is_verified_first(stage: Stage) -> None:
    crowd(stage, 20, checkout="PENDING", age=timedelta(minutes=90))
    assert stage.run_once().code == 0
    new = stage.order("ORD-NEW", checkout="PAID", age=timedelta(0))
    run = stage.run_once(verification__batch_size="5")
    assert run.report["orders"][0]["number"] == new.number
    assert len(run.report["orders"]) == 21
    check_completed(stage, new)


def test_row_42_more_orders_than_time_are_looked_at_in_turn_without_exceeding_the_rate(stage: Stage) -> None:
    rate, orders = 20, crowd(stage, 25, checkout="PENDING")
    limits = {
        "sumup__requests_per_second": str(rate),
        "verification__time_budget": "2s",
        "verification__batch_size": "5",
    }
    seen: Counter[str] = Counter()
    for _ in range(20):
        run = stage.run_once(**limits)
        assert run.code == 0
        assert len(run.report["orders"]) > 0
        seen.update(one["number"] for one in run.report["orders"])
        if len(seen) == len(orders):
            break
        assert run.report["ended"] == "out_of_time"
        assert set(seen.values()) == {1}  # nobody twice before everybody once
    assert len(seen) == len(orders)
    moments = [entry.at for entry in stage.sumup.requests]
    for moment in moments:
        window = [other for other in moments if moment <= other < moment + timedelta(seconds=1)]
        assert len(window) <= rate + 2


# -- told to stop ---------------------------------------------------------------------------------------------


def test_row_43_sigterm_while_sumup_is_asked_releases_what_is_held_and_reports(stage: Stage) -> None:
    orders = crowd(stage, 6)
    with stage.sumup.fault(Latency(1.0)):
        process = stage.start("run-once", "--json", sumup__parallel_requests="2")
        stage.sumup.journal.wait_until(lambda journal: journal.count() > 0, PATIENCE)
        process.send_signal(signal.SIGTERM)
        run = ended(process)
    assert run.code == TERMINATED
    assert run.report["ended"] == "stopped"
    assert leases(stage) == []
    assert [row["ended"] for row in stage.sql("SELECT ended FROM paypoll.run")] == ["stopped"]
    assert stage.sumup.count() < len(orders)
    assert stage.run_once().code == 0  # at once: no lease has to run out
    for order in orders:
        check_completed(stage, order)


def test_row_43_sigterm_while_mail_is_sent_finishes_that_one_and_hands_back_the_rest(stage: Stage) -> None:
    orders = crowd(stage, 5, checkout="FAILED", age=SOON)
    slow = stage.sink.fault(MailStage.MESSAGE, delay=1.0, keep=True)
    process = stage.start("run-once", "--json")
    stage.sink.wait_for(1, PATIENCE)
    process.send_signal(signal.SIGTERM)
    run = ended(process)
    assert run.code == TERMINATED
    assert run.report["mail"]["sent"] == len(stage.sink.messages) == 1
    assert leases(stage) == []
    slow.clear()
    assert stage.run_once().code == 0
    assert Counter(mail.recipients[0] for mail in stage.sink.messages) == Counter(order.email for order in orders)


# -- another shop ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "column"),
    [
        ("ALTER TABLE orders_order DROP COLUMN payment_notes", "orders_order.payment_notes"),
        ("ALTER TABLE events_ticket ADD COLUMN gate varchar(5) NOT NULL", "events_ticket.gate"),
        ("DROP TABLE orders_refund", "orders_refund"),
    ],
)
def test_row_44_column_that_is_missing_or_new_is_refused_by_name_before_anything_is_touched(
    stage: Stage, change: str, column: str
) -> None:
    stage.order("ORD-SCHEMA", checkout="PAID")
    stage.sql(change)
    before = stage.dump("public", "paypoll")
    run = stage.run_once()
    assert run.code == SETTINGS
    assert column in " ".join(run.errors)
    assert stage.dump("public", "paypoll") == before
    assert stage.sumup.requests == ()
    assert [subject(mail) for mail in stage.sink.messages] == []


@pytest.mark.fast("shop")
def test_row_44_new_column_that_may_be_empty_stands_in_nobodys_way(stage: Stage) -> None:
    order = stage.order("ORD-SCHEMA", checkout="PAID")
    stage.sql("ALTER TABLE events_ticket ADD COLUMN gate varchar(5)")
    stage.sql("ALTER TABLE orders_orderstatushistory ADD COLUMN source text NOT NULL DEFAULT ''")
    assert stage.run_once().code == 0
    check_completed(stage, order)
