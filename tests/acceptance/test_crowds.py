"""Real processes, two at a time, killed and cut off from the database again and again.

What is true afterwards is read by an auditor that shares nothing with paypoll. When a blow falls is drawn from a seed,
and counted from what the processes are seen to do, so that it falls amid the work however fast the machine is.
"""

import random
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

from tests.acceptance.auditor import Auditor
from tests.acceptance.stage import PATIENCE, PRICE, Stage
from tests.acceptance.test_world import CUT, TRY_LATER, ended
from tests.warm import Process

from paypoll.sandbox.mail.smtp_session import Stage as MailStage
from paypoll.sandbox.sumup.effects import Latency

KILLS = 24
CUTS = 12
PARALLEL = 3
RATE = 12


def crowd_of(stage: Stage, **sizes: int) -> dict[str, str]:
    """Place so many orders of each state at SumUp, in turns. Return each one's state by its number."""
    left, said = Counter(sizes), dict[str, str]()
    while +left:
        for state in sizes:
            if left[state]:
                left[state] -= 1
                number = f"ORD-{state}-{left[state]:03}"
                stage.order(number, places=[(stage.concert, 1, PRICE + Decimal(left[state]) / 100)], checkout=state)
                said[number] = state
    return said


def findings(stage: Stage, said: Mapping[str, str]) -> list[str]:
    """Return what the auditor finds wrong."""
    mails = [(to, mail.message) for mail in stage.sink.messages for to in mail.recipients]
    return Auditor(stage.database_url, said).find(mails)


def settle(stage: Stage) -> None:
    """Run until nothing changes any more."""
    for _ in range(3):
        stage.let_time_pass()
        assert stage.run_once().code == 0
    before = stage.dump("public", polling=False), len(stage.sink.messages)
    stage.let_time_pass()
    assert stage.run_once().code == 0
    assert (stage.dump("public", polling=False), len(stage.sink.messages)) == before


def strike_amid_work(stage: Stage, dice: random.Random, process: Process, blow: Callable[[], object]) -> None:
    """Strike when the processes have made some more requests or sent some more mail, and a moment has passed."""

    def work() -> int:
        return stage.sumup.journal.count() + len(stage.sink.messages)

    enough = work() + dice.randint(0, 5)
    while work() <= enough:
        if ends_within(process, 0.01):
            return
    if not ends_within(process, dice.uniform(0, 0.12)):
        blow()


def ends_within(process: Process, seconds: float) -> bool:
    """Wait for a process to end, for this long."""
    try:
        process.wait(timeout=seconds)
    except subprocess.TimeoutExpired:
        return False
    return True


def test_row_39_dozens_of_processes_killed_amid_their_work_keep_every_promise(stage: Stage) -> None:
    said = crowd_of(stage, PAID=10, FAILED=8, EXPIRED=4, PENDING=4)
    slow_sumup, slow_mail = stage.sumup.fault(Latency(0.02)), stage.sink.fault(MailStage.MESSAGE, delay=0.02, keep=True)
    dice, kills = random.Random("kills"), 0  # noqa: S311 - dice for tests
    while kills < KILLS:
        pair = [stage.start("run-once", verification__batch_size="5") for _ in range(2)]
        for process in pair:
            strike_amid_work(stage, dice, process, process.kill)
        for process in pair:
            code = ended(process).code
            assert code in (0, -signal.SIGKILL)
            kills += code == -signal.SIGKILL
        stage.let_time_pass()
    slow_sumup.clear()
    slow_mail.clear()
    settle(stage)
    assert findings(stage, said) == []


def test_row_38_connections_cut_again_and_again_in_mid_run_keep_every_promise(stage: Stage) -> None:
    said = crowd_of(stage, PAID=8, FAILED=6, EXPIRED=3, PENDING=3)
    slow_sumup, slow_mail = stage.sumup.fault(Latency(0.02)), stage.sink.fault(MailStage.MESSAGE, delay=0.02, keep=True)
    dice, cuts = random.Random("cuts"), list[object]()  # noqa: S311 - dice for tests
    while len(cuts) < CUTS:
        pair = [stage.start("run-once", verification__batch_size="5") for _ in range(2)]
        strike_amid_work(stage, dice, pair[0], lambda: cuts.extend(stage.sql(CUT)))
        for process in pair:
            run = ended(process)
            assert run.code in (0, TRY_LATER), run.stderr
            assert len(run.errors) == (1 if run.code == TRY_LATER else 0), run.stderr
            assert "Traceback" not in run.stderr
        stage.let_time_pass()
    slow_sumup.clear()
    slow_mail.clear()
    settle(stage)
    assert findings(stage, said) == []


def test_row_40_eight_processes_on_hundreds_of_orders_do_nothing_twice_and_keep_to_the_rate(stage: Stage) -> None:
    processes, said = 8, crowd_of(stage, PAID=16, FAILED=16, EXPIRED=8, PENDING=160)
    limits = {"sumup__requests_per_second": str(RATE), "sumup__parallel_requests": str(PARALLEL)}
    stage.sumup.fault(Latency(0.05))
    # None looks at an order before all have begun: a run that begins after a look may rightly look again.
    patient = {"database__lock_timeout": "170s", "database__statement_timeout": "175s"}
    with stage.engine.begin() as shop:
        shop.exec_driver_sql("LOCK TABLE paypoll.watch IN EXCLUSIVE MODE")
        started = [
            stage.start("run-once", "--json", verification__batch_size="10", **limits, **patient)
            for _ in range(processes)
        ]
        wait_for_runs(stage, processes)
    with ThreadPoolExecutor(processes) as readers:  # a full pipe would hold up whoever logs into it
        runs = list(readers.map(ended, started))
    assert [run.code for run in runs] == [0] * processes
    assert Counter(one["number"] for run in runs for one in run.report["orders"]) == Counter(said.keys())
    assert len([run for run in runs if run.report["orders"]]) > processes / 2
    assert findings(stage, said) == []
    assert len({mail.message["Message-ID"] for mail in stage.sink.messages}) == len(stage.sink.messages)
    assert stage.sumup.journal.max_in_flight <= processes * PARALLEL
    moments = [entry.at for entry in stage.sumup.requests]
    for moment in moments:
        window = [other for other in moments if moment <= other < moment + timedelta(seconds=1)]
        assert len(window) <= processes * (RATE + 2)


def wait_for_runs(stage: Stage, wanted: int) -> None:
    """Wait until so many runs have begun."""
    until = time.monotonic() + PATIENCE
    while len(stage.sql("SELECT 1 FROM paypoll.run")) < wanted:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_auditor_sees_each_harm_that_is_done(stage: Stage) -> None:
    """The control: what the kills and crowds above must not do is done here, and found."""
    said = crowd_of(stage, PAID=1, FAILED=1, PENDING=1)
    settle(stage)
    assert findings(stage, said) == []
    stage.sql("UPDATE orders_order SET status = 'failed', is_paid = false WHERE status = 'completed'")
    stage.sql("DELETE FROM orders_orderstatushistory WHERE status = 'completed'")
    stage.sql("DELETE FROM events_ticket")
    stage.sql("UPDATE paypoll.outbox SET state = 'waiting', lease_run = 'gone', message_id = id::text")
    found = "; ".join(findings(stage, {**said, "ORD-PENDING-000": "EXPIRED"}))
    for harm in (
        "ORD-PAID-000 is failed, and SumUp says PAID",
        "ORD-PAID-000 is paid: False",
        "ORD-PAID-000 has 0 tickets at 1 places, and is owed 1",
        "ORD-PAID-000 moved 1 times; its history has 0 rows, the audit trail 1",
        "ORD-PENDING-000 is pending_verification, and SumUp says EXPIRED",
        "a confirmation is still waiting",
        "run gone still holds something",
        "is in no outbox",
    ):
        assert harm in found
