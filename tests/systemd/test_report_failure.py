"""systemd/report-failure: who is told of failing runs, and when not again. Real script, real files with real times."""

# The script is started by its path in this checkout.
# ruff: noqa: S603

import os
import re
import subprocess
import time
from pathlib import Path

import pytest

from paypoll.admin.explain import explain

SCRIPT = Path(__file__).parents[2] / "systemd" / "report-failure"
MINUTE = 60
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Machine:
    """A machine whose runs fail: the state folder, a mail program, and a past that can be moved back."""

    def __init__(self, folder: Path) -> None:
        self.state = folder / "state"
        self.mailed = folder / "mailed"
        programs = folder / "programs"
        for made in (self.state, self.mailed, programs):
            made.mkdir()
        sendmail = programs / "sendmail"
        sendmail.write_text(
            '#!/bin/sh\n[ ! -e "$MAILED/../broken" ] || exit 1\n'
            'cat >"$MAILED/$(($(ls "$MAILED" | wc -l) + 1))"\necho "$*" >"$MAILED/../arguments"\n',
            encoding="utf-8",
        )
        sendmail.chmod(0o755)
        self._environment = {
            "PATH": f"{programs}:{os.environ['PATH']}",
            "MAILED": str(self.mailed),
            "STATE_DIRECTORY": str(self.state),
            "PAYPOLL_FAILURE_TO": "ops@shop.example",
        }

    def fail(self, result: str = "exit-code", status: str = "75", **environment: str) -> str:
        """Let a run fail, as systemd would tell it; return what goes to the journal."""
        told = {"MONITOR_UNIT": "paypoll.service", "MONITOR_SERVICE_RESULT": result, "MONITOR_EXIT_STATUS": status}
        return self.start(**told, **environment)

    def start(self, **environment: str) -> str:
        """Start the script; return what goes to the journal."""
        done = subprocess.run(
            [str(SCRIPT)], check=True, capture_output=True, text=True, env=self._environment | environment
        )
        return done.stderr

    def succeed(self) -> None:
        """Let a run go well."""
        (self.state / "last-success").touch()
        self._touched_at(self.state / "last-success", time.time())

    def wait(self, seconds: float) -> None:
        """Let time pass: everything that has happened was so much earlier."""
        for file in self.state.iterdir():
            self._touched_at(file, file.stat().st_mtime - seconds)

    @staticmethod
    def _touched_at(file: Path, moment: float) -> None:
        os.utime(file, (moment, moment))

    @property
    def mails(self) -> list[str]:
        """What was mailed, the oldest first."""
        files = sorted(self.mailed.iterdir(), key=lambda file: int(file.name))
        return [file.read_text(encoding="utf-8") for file in files]


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    """A machine on which a run went well five minutes ago."""
    made = Machine(tmp_path)
    made.succeed()
    made.wait(5 * MINUTE)
    return made


def test_outage_of_an_hour_sends_one_mail_after_half_of_it(machine: Machine) -> None:
    mails = []
    for _ in range(13):
        machine.fail()
        mails.append(len(machine.mails))
        machine.wait(5 * MINUTE + 1)
    assert mails == [0] * 6 + [1] * 7


def test_outage_that_passes_within_half_an_hour_sends_nothing(machine: Machine) -> None:
    for _ in range(3):
        for _ in range(4):
            machine.fail()
            machine.wait(5 * MINUTE)
        machine.succeed()
        machine.wait(5 * MINUTE)
    assert machine.mails == []


def test_outage_that_lasts_is_told_again_after_a_day(machine: Machine) -> None:
    machine.fail()
    machine.wait(31 * MINUTE)
    machine.fail()
    machine.wait(DAY - HOUR)
    machine.fail()
    assert len(machine.mails) == 1
    machine.wait(HOUR + 2 * MINUTE)
    machine.fail()
    machine.wait(5 * MINUTE)
    machine.fail()
    assert len(machine.mails) == 2


@pytest.mark.parametrize(
    ("result", "status"),
    [
        ("exit-code", "78"),
        ("exit-code", "70"),
        ("exit-code", "1"),
        ("oom-kill", "KILL"),
        ("signal", "KILL"),
        ("core-dump", "SEGV"),
    ],
)
def test_failure_that_does_not_pass_by_itself_is_told_at_once(machine: Machine, result: str, status: str) -> None:
    for _ in range(12):
        machine.fail(result, status)
        machine.wait(4 * MINUTE)
    (mail,) = machine.mails
    (key,) = re.findall(r"sudo paypoll explain (\S+)\.", mail)
    assert explain(key)


@pytest.mark.parametrize(("result", "status"), [("exit-code", "203"), ("start-limit-hit", "")])
def test_what_kept_paypoll_from_beginning_is_said_by_systemd(machine: Machine, result: str, status: str) -> None:
    machine.fail(result, status)
    (mail,) = machine.mails
    assert "systemctl status paypoll says why" in mail


def test_run_that_was_too_slow_is_given_the_same_patience(machine: Machine) -> None:
    machine.fail("timeout", "143")
    assert machine.mails == []
    machine.wait(31 * MINUTE)
    machine.fail("timeout", "143")
    assert len(machine.mails) == 1


def test_other_way_of_failing_in_the_same_outage_is_told_once_as_well(machine: Machine) -> None:
    machine.fail("exit-code", "70")
    machine.wait(61 * MINUTE)
    machine.fail("exit-code", "78")
    machine.wait(61 * MINUTE)
    machine.fail("exit-code", "70")
    machine.wait(61 * MINUTE)
    machine.fail("exit-code", "78")
    assert ["exit-code 70" in mail for mail in machine.mails] == [True, False]


def test_runs_that_fail_every_other_time_send_one_mail_an_hour(machine: Machine) -> None:
    for _ in range(6):
        machine.fail("exit-code", "1")
        machine.wait(4 * MINUTE)
        machine.succeed()
        machine.wait(4 * MINUTE)
    assert len(machine.mails) == 1
    machine.wait(HOUR)
    machine.fail("exit-code", "1")
    assert len(machine.mails) == 2


def test_first_failure_ever_counts_as_the_start_of_an_outage(tmp_path: Path) -> None:
    machine = Machine(tmp_path)
    machine.fail()
    machine.wait(31 * MINUTE)
    machine.fail()
    assert len(machine.mails) == 1


def test_mail_names_the_host_the_status_and_the_start(machine: Machine) -> None:
    machine.fail("exit-code", "78", PAYPOLL_FAILURE_FROM="paypoll@shop.example")
    (mail,) = machine.mails
    head, _, body = mail.partition("\n\n")
    assert head.splitlines()[:3] == [
        "To: ops@shop.example",
        "From: paypoll@shop.example",
        f"Subject: paypoll: runs fail on {os.uname().nodename}",
    ]
    assert "Auto-Submitted: auto-generated" in head
    assert "exit-code 78: the settings" in body
    assert "(paypoll.service)" in body
    assert (machine.mailed.parent / "arguments").read_text(encoding="utf-8").strip() == "-i -t"


def test_mail_that_cannot_be_sent_is_tried_again(machine: Machine) -> None:
    broken = machine.mailed.parent / "broken"
    broken.touch()
    machine.fail("exit-code", "78")
    broken.unlink()
    machine.wait(5 * MINUTE)
    machine.fail("exit-code", "78")
    assert len(machine.mails) == 1


def test_journal_is_told_with_a_priority_where_there_is_nobody_to_mail(machine: Machine) -> None:
    assert machine.fail("exit-code", "78", PAYPOLL_FAILURE_TO="").startswith("<2>runs fail (exit-code 78)")
    assert machine.mails == []


# systemd 252 fills in the last run of the unit that names it in OnFailure=, whoever starts it.
@pytest.mark.parametrize("told", [{}, {"result": "success", "status": "0"}])
def test_started_by_hand_sends_a_test_and_leaves_no_trace(machine: Machine, told: dict[str, str]) -> None:
    before = {file.name for file in machine.state.iterdir()}
    if told:
        machine.fail(**told)
    else:
        machine.start()
    assert "Subject: paypoll: a test" in machine.mails[0]
    assert {file.name for file in machine.state.iterdir()} == before
