"""Printing in processes of their own: what they print, and what becomes of a ticket that brings one of them down."""

import os
import pickle
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs
from tests.integration.conftest import Bench, Place
from tests.integration.tickets.test_printer import FACE, ODD_FACES

from paypoll.runs.record import record_run
from paypoll.tickets.forking import forked
from paypoll.tickets.printer import WeasyTicketPrinter
from paypoll.tickets.ticket import PrinterMissingError, PrintError, TicketFace
from paypoll.tickets.wire import PrinterOptions
from paypoll.tickets.workers import PrintWorkers

MakeWorkers = Callable[..., PrintWorkers]

TWO = [replace(FACE, ticket_number=f"NUMBER-{place}", place=place, places=2) for place in (1, 2)]
OTHER = [replace(FACE, order_number="ORD-OTHER")]

# What it is to hang, and to take long enough to be caught at it: a template is a program.
_ENDLESS = "{% for a in range(10**9) %}{% for b in range(10**9) %}{% endfor %}{% endfor %}"
_PAGE = '<html lang="en"><title>t</title>{% for ticket in tickets %}<article>{{ ticket.ticket_number }}</article>'


@pytest.fixture
def make_workers() -> Iterator[MakeWorkers]:
    """Make printers that are closed afterwards."""
    made: list[PrintWorkers] = []

    def make(processes: int = 1, *, limit: float = 60.0, template_folder: Path | None = None) -> PrintWorkers:
        options = PrinterOptions(site_name="Jersey Events", template_folder=template_folder)
        workers = PrintWorkers(options, processes, limit=limit)
        made.append(workers)
        return workers

    yield make
    for workers in made:
        workers.close()


def templates(folder: Path, *, hangs_for: str) -> Path:
    """Write a template that never comes to an end for one order."""
    hang = f"{{% if tickets[0].order_number == '{hangs_for}' %}}{_ENDLESS}{{% endif %}}"
    (folder / "ticket.html").write_text(_PAGE + hang + "{% endfor %}", encoding="utf-8")
    (folder / "ticket.css").write_text("article { break-after: page }", encoding="utf-8")
    return folder


def children(parent: int | None = None) -> set[int]:
    """Return the process ids of a process's children that still run."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, fields = stat.read_text(encoding="utf-8").rpartition(") ")
        except (FileNotFoundError, ProcessLookupError):
            continue
        state, its_parent, *_ = fields.split()
        if int(its_parent) == (parent or os.getpid()) and state != "Z":
            found.add(int(stat.parent.name))
    return found


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_workers_print_the_same_bytes_as_the_printer_itself(make_workers: MakeWorkers) -> None:
    workers, itself = make_workers(2), WeasyTicketPrinter(site_name="Jersey Events")
    orders = [TWO, *([face] for face in ODD_FACES.values())]
    workers.expect(orders)
    for faces in orders:
        assert workers.print_tickets(faces) == itself.print_tickets(faces)
    assert workers.print_together(TWO) == itself.print_together(TWO)


def test_workers_are_started_for_work_only_and_one_is_enough_for_a_few_tickets(make_workers: MakeWorkers) -> None:
    before = children()
    workers = make_workers(2)
    assert children() == before
    orders = [[replace(FACE, order_number=f"ORD-{number}")] for number in range(8)]
    workers.expect(orders)
    assert all(len(workers.print_tickets(faces)) == 1 for faces in orders)
    assert len(children() - before) == 1
    workers.close()
    assert children() == before


def below(process: int) -> set[int]:
    return {process}.union(*map(below, children(process)))


class LetsOthersIn:
    """A lock after which whoever held it dawdles, so that the others get everywhere before it goes on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_error: object) -> None:
        self._lock.release()
        time.sleep(0.05)


def test_two_threads_that_begin_at_once_start_one_process_and_fork_the_other(
    make_workers: MakeWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paypoll.tickets.workers._TICKETS_WORTH_A_PROCESS", 1)
    before = children()
    workers = make_workers(2)
    monkeypatch.setattr(workers, "_lock", LetsOthersIn())
    orders = [[replace(FACE, order_number=f"ORD-{number}")] for number in range(4)]
    workers.expect(orders)
    assert len([workers.print_tickets(faces) for faces in orders]) == 4
    assert len(workers._threads) == 2
    assert len(children() - before) == 1


def test_many_waiting_tickets_are_printed_by_two_processes_one_forked_from_the_other(
    make_workers: MakeWorkers, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The second is killed at work, hangs, and is ended with the run; each as if it had been started."""
    monkeypatch.setattr("paypoll.tickets.workers._TICKETS_WORTH_A_PROCESS", 2)
    before = children()
    workers = make_workers(2, limit=2.0, template_folder=templates(tmp_path, hangs_for="ORD-HANG"))
    orders = [[replace(FACE, order_number=f"ORD-{number}")] for number in range(8)]
    workers.expect(orders)
    tickets = [workers.print_tickets(faces) for faces in orders]
    assert [ticket.pdf for (ticket,) in tickets] == [
        WeasyTicketPrinter(template_folder=tmp_path).print_tickets(faces)[0].pdf for faces in orders
    ]
    (first,) = children() - before
    (between,) = children(first)
    (second,) = children(between)

    for process in (first, second):
        os.kill(process, signal.SIGSTOP)
    hanging = [replace(FACE, order_number="ORD-HANG")]
    workers.expect([*orders[:3], hanging])
    wait_for(lambda: len(workers._busy) == 2)
    with capture_logs() as logged:
        os.kill(second, signal.SIGKILL)
        os.kill(first, signal.SIGCONT)
        assert [workers.print_tickets(faces) for faces in orders[:3]] == tickets[:3]
        with pytest.raises(PrintError, match=r"order ORD-HANG could not .* longer than 2 seconds a ticket"):
            workers.print_tickets(hanging)
        assert workers.print_tickets(orders[3]) == tickets[3]
    assert "was ended by SIGKILL" in [line.get("how") for line in logged]
    family = set().union(*map(below, children() - before))
    workers.close()
    wait_for(lambda: all("\nState:\tZ" in status_of(process) for process in family))


def test_workers_that_are_to_get_ready_have_one_process_that_prints_the_first_ticket(make_workers: MakeWorkers) -> None:
    before = children()
    workers = make_workers(2)
    workers.get_ready()
    workers.get_ready()
    (worker,) = children() - before
    wait_for(lambda: "libpango" in Path(f"/proc/{worker}/maps").read_text(encoding="utf-8"))
    workers.print_tickets([FACE])
    assert children() - before == {worker}
    workers.close()
    workers.get_ready()
    assert children() == before


def test_workers_that_cannot_get_ready_say_so_with_the_first_ticket(
    make_workers: MakeWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    workers = make_workers()
    workers.get_ready()
    with pytest.raises(PrintError, match="no printing process can be started: No such file"):
        workers.print_tickets([FACE])


def test_broken_template_does_not_end_a_process_that_gets_ready(make_workers: MakeWorkers, tmp_path: Path) -> None:
    (tmp_path / "ticket.html").write_text("{% if %}", encoding="utf-8")
    before = children()
    workers = make_workers(template_folder=tmp_path)
    workers.get_ready()
    with pytest.raises(PrintError, match="TemplateSyntaxError"):
        workers.print_tickets([FACE])
    assert len(children() - before) == 1


_LOADING = """
import contextlib, hashlib, pickle, sys
from paypoll.tickets.libraries import loaded_lightly
lightly = loaded_lightly() if sys.argv[1] == "lightly" else contextlib.nullcontext()
with lightly:
    from paypoll.tickets.printer import WeasyTicketPrinter
usual, emoji = pickle.loads(bytes.fromhex(sys.argv[2]))
printer = WeasyTicketPrinter()
tickets = printer.print_tickets([usual])
loaded = "fontTools.ttLib" in sys.modules, "pycparser" in sys.modules
tickets += printer.print_tickets([emoji])
print(*loaded, "fontTools.ttLib" in sys.modules, hashlib.sha256(b"".join(ticket.pdf for ticket in tickets)).hexdigest())
"""


def test_what_is_left_out_of_loading_changes_no_ticket_and_fonttools_comes_for_emoji() -> None:
    """A WeasyPrint that takes other names of it, or takes them elsewhere, fails here."""
    faces = pickle.dumps((FACE, replace(FACE, event_title="🎉 Party"))).hex()
    said = {}
    for how in ("lightly", "wholly"):
        command = [sys.executable, "-c", _LOADING, how, faces]
        run = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603 -- ourselves
        said[how] = run.stdout.splitlines()[-1].split()
    assert said["lightly"][:3] == ["False", "False", "True"]
    assert said["wholly"][:3] == ["True", "True", "True"]
    assert said["lightly"][3] == said["wholly"][3]


def test_worker_that_is_killed_in_its_work_is_replaced_and_the_ticket_printed(make_workers: MakeWorkers) -> None:
    workers = make_workers()
    before = children()
    workers.print_tickets(OTHER)
    (worker,) = children() - before
    os.kill(worker, signal.SIGSTOP)  # so that it is caught in the middle
    workers.expect([TWO])
    with capture_logs() as logged:  # its end may be noticed at once
        os.kill(worker, signal.SIGKILL)
        assert workers.print_tickets(TWO) == WeasyTicketPrinter(site_name="Jersey Events").print_tickets(TWO)
    assert [line["how"] for line in logged] == ["was ended by SIGKILL"]


def test_workers_that_cannot_be_forked_are_started_and_killed_while_idle_are_no_tickets_fault(
    make_workers: MakeWorkers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("paypoll.tickets.workers._TICKETS_WORTH_A_PROCESS", 1)
    monkeypatch.setattr("paypoll.tickets.processes.forked", {}.get)  # nothing of the kind
    workers = make_workers(2)
    before = children()
    workers.expect([TWO, OTHER])
    first = workers.print_tickets(TWO), workers.print_tickets(OTHER)
    assert len(children() - before) == 2
    for worker in children() - before:
        os.kill(worker, signal.SIGKILL)
    wait_for(lambda: children() == before)
    with capture_logs() as logged:
        assert (workers.print_tickets(TWO), workers.print_tickets(OTHER)) == first
    assert [line for line in logged if line["log_level"] != "debug"] == []


def test_no_process_to_be_had_is_a_print_error(make_workers: MakeWorkers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with pytest.raises(PrintError, match="no printing process can be started: No such file"):
        make_workers().print_tickets([FACE])


_WITH_A_THREAD = """
import socket, sys, threading
from paypoll.tickets.forking import FORK_LINE, Inbox, forked
line, run = socket.socketpair()
asking = threading.Thread(target=lambda: print(forked(run)))
asking.start()
inbox = Inbox(line)
assert next(inbox) == FORK_LINE
inbox.fork(sys.stdout.buffer)
asking.join()
"""


def test_process_with_a_thread_is_not_forked() -> None:
    """Libraries start threads as they like: the new process would have none of them, and wait for them."""
    command = [sys.executable, "-c", _WITH_A_THREAD]
    assert subprocess.run(command, check=True, capture_output=True, text=True).stdout == "None\n"  # noqa: S603 -- ours


_WITH_A_SHORT_THREAD = """
import socket, sys, threading, time
from paypoll.tickets.forking import FORK_LINE, Inbox
inbox = Inbox(socket.socket(fileno=0))
assert next(inbox) == FORK_LINE
threading.Thread(target=time.sleep, args=(0.01,)).start()
inbox.fork(sys.stdout.buffer)
"""


def test_process_is_forked_when_a_thread_of_a_moment_has_ended() -> None:
    """Pango looks for fonts in threads that may outlive the ticket: whoever forks just then need not load all anew."""
    run, theirs = socket.socketpair()
    with run, theirs, subprocess.Popen([sys.executable, "-c", _WITH_A_SHORT_THREAD], stdin=theirs.fileno()) as process:  # noqa: S603 -- ours
        made = forked(run)
        assert made is not None
        another, jobs, answers = made
        assert (another.wait(), process.wait()) == (0, 0)
    jobs.close()
    answers.close()


def test_worker_is_deaf_to_what_stops_the_run(make_workers: MakeWorkers) -> None:
    workers = make_workers()
    before = children()
    first = workers.print_tickets([FACE])
    (worker,) = children() - before
    for number in (signal.SIGTERM, signal.SIGINT):
        os.kill(worker, number)
    assert workers.print_tickets([FACE]) == first
    assert children() - before == {worker}


def test_worker_knows_no_secret(make_workers: MakeWorkers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYPOLL_SUMUP__API_KEY", "sup_sk_secret")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/paypoll.service")
    monkeypatch.setenv("FONTCONFIG_PATH", "/etc/fonts")
    before = children()
    make_workers().print_tickets([FACE])
    (worker,) = children() - before
    environment = Path(f"/proc/{worker}/environ").read_bytes()
    assert b"FONTCONFIG_PATH=/etc/fonts" in environment
    assert b"PAYPOLL" not in environment
    assert b"CREDENTIALS_DIRECTORY" not in environment
    files = {file.name: str(file.readlink()) for file in Path(f"/proc/{worker}/fd").iterdir()}
    assert [name for name, file in files.items() if file.startswith("socket:")] == ["0"]  # its jobs come there


_PARENT = """
import sys
from pathlib import Path
from tests.integration.tickets.test_printer import FACE
from paypoll.tickets.wire import PrinterOptions
from paypoll.tickets.workers import PrintWorkers
workers = PrintWorkers(PrinterOptions(template_folder=Path(sys.argv[1])), 1, limit=5.0)
print(len(workers.print_tickets([FACE])), flush=True)
if sys.argv[2:]:
    workers.print_tickets([__import__("dataclasses").replace(FACE, order_number="ORD-HANG")])
sys.stdin.read()
"""


@pytest.mark.parametrize("at_work", [False, True])
def test_worker_ends_with_a_run_that_is_killed(tmp_path: Path, *, at_work: bool) -> None:
    folder = templates(tmp_path, hangs_for="ORD-HANG")
    with subprocess.Popen(  # noqa: S603
        [sys.executable, "-c", _PARENT, str(folder), *(["hang"] if at_work else [])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"1\n"
        (worker,) = children(parent.pid)
        parent.kill()
    wait_for(lambda: not Path(f"/proc/{worker}").exists() or "\nState:\tZ" in status_of(worker))


def status_of(process: int) -> str:
    try:
        return Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return "\nState:\tZ"


def test_missing_library_is_named(make_workers: MakeWorkers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "weasyprint.py").write_text("raise OSError(\"cannot load library 'libpango-1.0-0'\")")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(PrinterMissingError, match="cannot load library"):
        make_workers().print_tickets([FACE])


def test_printing_process_starts_no_other_program(
    make_workers: MakeWorkers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Python tells hooks of every program that it starts; and of what it imports, which shows that the hook is there.
    seen = tmp_path / "seen"
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "starts = ('subprocess.Popen', 'os.system', 'os.exec', 'os.fork', 'os.posix_spawn')\n"
        "def hook(event, arguments):\n"
        "    if event in starts or (event == 'import' and arguments[0] == 'weasyprint'):\n"
        f"        with open({str(seen)!r}, 'a') as file:\n"
        "            print(event, *arguments[:1], file=file)\n"
        "sys.addaudithook(hook)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (ticket,) = make_workers().print_tickets([FACE])
    assert ticket.pdf.startswith(b"%PDF")
    assert set(seen.read_text(encoding="utf-8").splitlines()) == {"import weasyprint"}


def test_what_the_printer_logs_is_logged_by_the_run(make_workers: MakeWorkers) -> None:
    wordy: TicketFace = replace(FACE, venue_address="word " * 3000)
    with capture_logs() as logged:
        make_workers().print_tickets([wordy])
    assert {"event": "ticket_text_cut", "log_level": "warning", "order": FACE.order_number} in logged


def test_error_of_a_template_names_its_line(make_workers: MakeWorkers, tmp_path: Path) -> None:
    (tmp_path / "ticket.html").write_text("<p>\n{{ nothing.of_that_name }}", encoding="utf-8")
    with pytest.raises(PrintError, match=r"ticket\.html, line 2: UndefinedError"):
        make_workers(template_folder=tmp_path).print_tickets([FACE])


def test_row_36_order_that_hangs_the_printer_waits_and_the_others_get_their_tickets(
    bench: Bench, place: Place, make_workers: MakeWorkers, tmp_path: Path
) -> None:
    folder = templates(tmp_path, hangs_for="ORD-1")
    bench.app.printer = make_workers(2, limit=3.0, template_folder=folder)
    for number in range(1, 5):
        place(f"ORD-{number}")
    report = record_run(bench.app, "run-once")
    assert (report.delivered.sent, report.delivered.put_off) == (4, 1)
    subjects = [str(message["Subject"]) for message, _ in bench.mailer.sent]
    assert [subject for subject in subjects if "Your tickets" in subject and "ORD-1" in subject] == []
    assert len([subject for subject in subjects if "Your tickets" in subject]) == 3
    assert len([subject for subject in subjects if "cannot be made" in subject]) == 1


# No more is imported than a run has: with the modules of the tests something has opened /dev/null as number 2.
_WITHOUT_STDERR = """
import datetime, sys, zoneinfo
from decimal import Decimal
from paypoll.tickets.ticket import TicketFace
from paypoll.tickets.wire import PrinterOptions
from paypoll.tickets.workers import PrintWorkers

assert sys.stderr is None
workers = PrintWorkers(PrinterOptions(site_name="Jersey Events"), 1, limit=60.0)
(ticket,) = workers.print_tickets([FACE])
print(ticket.pdf[:5].decode())
workers.close()
"""


def test_worker_of_a_run_whose_stderr_is_closed_prints_all_the_same() -> None:
    """It sends what libraries have to say to stderr, and would die at once without one."""
    script = _WITHOUT_STDERR.replace("FACE", repr(FACE))
    run = subprocess.run(  # noqa: S603 - our own words
        ["/bin/sh", "-c", 'exec "$0" -c "$1" 2>&-', sys.executable, script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.stdout == "%PDF-\n"
