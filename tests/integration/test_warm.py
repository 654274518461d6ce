"""A command that is forked from a warm process is the command: as one that was started, to the tests and to itself."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from tests.warm import Nursery, interpreters
from tests.warm_printer import PrinterNursery

from paypoll.settings.load import load_settings
from paypoll.tickets.sample import sample_faces
from paypoll.tickets.wire import Job, PrinterOptions, job_line, options_line, read_answer


@pytest.fixture(scope="module")
def nursery() -> Iterator[Nursery]:
    made = Nursery()
    yield made
    made.close()


def warm(nursery: Nursery, *arguments: str, **environ: str) -> tuple[int, str, str]:
    process = nursery.start(arguments, {"PATH": os.environ["PATH"], **environ})
    stdout, stderr = process.communicate(timeout=60)
    return process.wait(), stdout, stderr


def real(*arguments: str, **environ: str) -> tuple[int, str, str]:
    surroundings = {"PATH": os.environ["PATH"], **environ}
    program = Path(sys.executable).with_name("paypoll")
    done = subprocess.run([program, *arguments], env=surroundings, capture_output=True, text=True, check=False)  # noqa: S603 - the command
    return done.returncode, done.stdout, done.stderr


@pytest.mark.parametrize("arguments", [("--version",), ("run-once", "--help"), ("sideways",), ("config", "validate")])
def test_warm_start_says_and_ends_as_a_real_one(
    nursery: Nursery, arguments: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Among them what it reads from its surroundings, a path from its folder, and each kind of exit status."""
    monkeypatch.chdir(tmp_path)
    Path("config.toml").write_text("[sumup]\nmerchant = 1\n", encoding="utf-8")
    environ = {"PAYPOLL_CONFIG": "config.toml", "PAYPOLL_SITE__NAME": "The Shop", "COLUMNS": "80"}
    assert warm(nursery, *arguments, **environ) == real(*arguments, **environ)


def test_warm_start_leaves_nothing_to_the_next(nursery: Nursery) -> None:
    assert warm(nursery, "config", "validate", PAYPOLL_CONFIG="/nowhere")[0] == 78
    assert "/nowhere" not in warm(nursery, "config", "validate")[2]


def test_warm_start_is_a_process_of_its_own_that_can_be_stopped_and_killed(nursery: Nursery, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "config.toml")  # it waits for somebody to write into it
    waits: Mapping[str, str] = {"PAYPOLL_CONFIG": str(tmp_path / "config.toml")}
    one, two = (nursery.start(["config", "validate"], waits) for _ in range(2))
    assert one.pid != two.pid
    with pytest.raises(subprocess.TimeoutExpired):
        one.communicate(timeout=0.1)
    assert one.poll() is None
    one.kill()
    assert one.wait(60) == -signal.SIGKILL
    assert two.poll() is None
    two.send_signal(signal.SIGTERM)
    assert two.communicate(timeout=60) == ("", "")
    assert two.returncode == -signal.SIGTERM


def test_first_start_of_a_command_and_one_in_another_locale_are_real(nursery: Nursery) -> None:
    environ = dict(os.environ)
    assert not nursery.fits("queue", environ)
    assert nursery.fits("queue", environ)
    assert not nursery.fits("queue", {**environ, "LC_ALL": "tr_TR.UTF-8"})
    assert not nursery.fits("queue", {**environ, "PYTHONUTF8": "0"})
    assert interpreters({"LANG": "C", "PAYPOLL_CONFIG": "x"}) == {"LANG": "C"}


@pytest.fixture(scope="module")
def printers() -> Iterator[PrinterNursery]:
    made = PrinterNursery()
    yield made
    made.close()


def printing(printers: PrinterNursery, limit: str = "60.0") -> "tuple[subprocess.Popen[bytes], socket.socket]":
    """Return a printing process, and the line that it reads its jobs from."""
    ours, theirs = socket.socketpair()
    with theirs:
        process = subprocess.Popen(  # noqa: S603 - as `paypoll.tickets.processes` does
            [printers.program, "-P", "-m", "paypoll.tickets.worker", limit],
            stdin=theirs.fileno(),
            stdout=subprocess.PIPE,
        )
    return process, ours


@pytest.fixture
def job(settings_file: Path) -> bytes:
    """What a printing process reads: its options, and a job of one ticket."""
    faces = sample_faces(load_settings(settings_file, {}))
    return options_line(PrinterOptions(site_name="The Shop")) + job_line(Job(tuple(faces)))


def test_warm_printing_process_prints_what_a_real_one_prints_and_ends_with_its_input(
    printers: PrinterNursery, job: bytes
) -> None:
    pdfs = []
    for _ in range(2):  # the first is a real one
        process, line = printing(printers)
        with line:
            line.sendall(job)
        stdout, _ = process.communicate(timeout=60)
        assert process.returncode == 0
        pdfs.append([len(pdf) for pdf in read_answer(stdout).pdfs])
    assert pdfs[0] == pdfs[1] != []


def test_warm_printing_process_ends_by_its_time_limit_and_when_it_is_killed(
    printers: PrinterNursery, job: bytes
) -> None:
    for _ in range(5):  # whoever asked is killed before it was answered
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line, Path(os.devnull).open() as nothing:
            line.connect(str(printers.address))
            request = repr((["-P", "-m", "paypoll.tickets.worker", "60.0"], dict(os.environ), "/"))
            socket.send_fds(line, [request.encode()], [nothing.fileno()] * 3)
    hurried, jobs = printing(printers, "0.000001")
    with jobs:
        jobs.sendall(job)
        assert hurried.communicate(timeout=60)[0] == b""
    assert hurried.returncode == -signal.SIGALRM
    killed, jobs = printing(printers)
    assert killed.stdout is not None
    with jobs, killed, killed.stdout:
        killed.kill()
        # The pipe's other end is closed once the process is gone that was forked for it.
        assert killed.stdout.read() == b""
