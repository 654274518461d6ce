"""What is tried inside the container, once docs/deployment.md has been followed: units, sandbox, timer and failures.

Run as root by the environment that the guide made. Prints a line for each thing that is as it should be, and stops
with a sentence at the first that is not.
"""

# The programs started here are systemd's and the shell's own, by name.
# ruff: noqa: S603, S607, T201

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

import requests

SANDBOX = "http://127.0.0.1:8480"
STATE = Path("/var/lib/paypoll")
MEDIA = Path("/srv/shop/media/tickets")
MAILS = Path("/var/tmp/mails")  # noqa: S108 - the container's own
SECRET = "sup_sk_sandbox"

# Added by the shop, as the owner of its database.
_ADD_ORDER = """
import sys
from datetime import datetime, timedelta
from decimal import Decimal
from paypoll.database import DatabaseOptions, make_engine
from paypoll.sandbox.demo.shop import SmallShop
import sqlalchemy as sa
number, amount = sys.argv[1], Decimal(sys.argv[2])
shop = SmallShop(make_engine(DatabaseOptions(sa.make_url("postgresql+psycopg2:///shop"))))
organiser = shop.add_organiser(f"{number}@organiser.example", "Opera House")
event = shop.add_event(organiser, f"Gala {number}", starts=datetime.now() + timedelta(days=30))
order = shop.add_order(number, "ada@example.org", [(event, 2, amount / 2)])
shop.add_checkout(order, number, f"checkout-{number}", merchant_code="MSANDBOX")
"""


def run(*command: str, check: bool = True) -> str:
    """Run a command and return what it printed."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if check and done.returncode:
        sys.exit(f"{' '.join(command[:4])} …: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def expect(sentence: str, holds: object) -> None:
    """Print the sentence, or stop with it."""
    if not holds:
        sys.exit(f"NOT SO: {sentence}")
    print(f"ok  {sentence}", flush=True)


def comes_true(holds: Callable[[], object], seconds: float) -> bool:
    """Wait until it holds, for so long at most. Return whether it does."""
    deadline = time.monotonic() + seconds
    while not holds():
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.25)
    return True


def wait_until(sentence: str, holds: Callable[[], object], seconds: float) -> None:
    """Like `expect`, as soon as it holds."""
    expect(sentence, comes_true(holds, seconds))


def sql(statement: str) -> str:
    """Run a statement as the owner of the shop's database."""
    return run("sudo", "-u", "postgres", "psql", "-Atqc", statement, "shop")


def status_of(number: str) -> str:
    """Return the status of an order."""
    return sql(f"SELECT status FROM orders_order WHERE order_number = '{number}'")  # noqa: S608 - our own number


def is_completed(number: str) -> bool:
    """Say whether an order is completed."""
    return status_of(number) == "completed"


def post(path: str, body: dict[str, object]) -> None:
    """Tell the simulator something."""
    requests.post(SANDBOX + path, json=body, timeout=10).raise_for_status()


def place_order(number: str, *, paid: bool = True, amount: str = "36.00") -> None:
    """Place an order in the shop, with its checkout at the simulator."""
    body: dict[str, object] = {
        "id": f"checkout-{number}",
        "checkout_reference": number,
        "amount": float(Decimal(amount)),
        "currency": "GBP",
        "merchant_code": "MSANDBOX",
    }
    post("/sandbox/checkouts", body)
    if paid:
        post(f"/sandbox/checkouts/checkout-{number}/pay", {})
    run("sudo", "-u", "postgres", "/opt/paypoll/.venv/bin/python", "-c", _ADD_ORDER, number, amount)


def unit(name: str, key: str) -> str:
    """Return what systemd knows about a unit."""
    return run("systemctl", "show", "--value", f"--property={key}", name)


def is_at_rest(name: str) -> bool:
    """Say whether a unit is not at work."""
    return unit(name, "ActiveState") in {"inactive", "failed"}


def journal(name: str, *more: str) -> list[dict[str, str]]:
    """Return a unit's entries in the journal."""
    lines = run("journalctl", "--no-pager", "--output=json", f"--unit={name}", *more, check=False).splitlines()
    return [json.loads(line) for line in lines]


def start_and_wait() -> None:
    """Start a run and wait for its end, whatever that is, and for that of the failure unit."""
    run("systemctl", "start", "paypoll.service", check=False)
    for name in ("paypoll.service", "paypoll-failure.service"):
        if not comes_true(partial(is_at_rest, name), 30):
            sys.exit(f"{name} does not come to an end")


def the_timer_issues_tickets() -> None:
    """The timer fires by itself, and an order gets its tickets under the service's restrictions."""
    runs_before = len(journal("paypoll.service", "--grep=run ended"))
    place_order("ORD-1")
    place_order("ORD-2", paid=False)
    wait_until("the timer fires and the paid order is completed", partial(is_completed, "ORD-1"), 100)
    wait_until("its run is over", lambda: unit("paypoll.service", "ActiveState") == "inactive", 30)
    expect("the run was the timer's", len(journal("paypoll.service", "--grep=run ended")) > runs_before)
    expect("the unpaid order waits", status_of("ORD-2") == "pending_verification")
    expect("two tickets exist", sql("SELECT count(*) FROM events_ticket") == "2")
    pdfs = sorted(MEDIA.glob("pdfs/*.pdf"))
    expect("their PDFs are in the media folder", len(pdfs) == 2 and pdfs[0].read_bytes().startswith(b"%PDF"))
    readable = subprocess.run(["sudo", "-u", "www-data", "test", "-r", pdfs[0]], check=False)
    expect("the shop can read them", readable.returncode == 0)
    expect("they keep the shop's group", pdfs[0].group() == "www-data")
    mails = [mail for mail in MAILS.glob("*.eml") if b"application/pdf" in mail.read_bytes()]
    expect("one mail with PDFs arrived", len(mails) == 1)
    expect("the run went well", unit("paypoll.service", "Result") == "success")
    expect("its success is noted", (STATE / "last-success").exists())
    expect("the log file is written", "complete" in Path("/var/log/paypoll/paypoll.log").read_text(encoding="utf-8"))
    expect("fontconfig has no complaint", "Fontconfig" not in run("journalctl", "--no-pager", "--unit=paypoll"))


def the_journal_reads_well() -> None:
    """Each line is JSON with a priority of its own, and no secret."""
    own = [entry for entry in journal("paypoll.service") if entry.get("_COMM") == "paypoll"]
    events = [json.loads(entry["MESSAGE"]) for entry in own]
    expect("every line of the journal is an event", events and all("event" in event for event in events))
    told = next(event for event in events if event["event"] == "complete")
    expect("an event names run and order", told["run"] and told["order"] == "ORD-1")
    expect("priorities are the journal's", {entry["PRIORITY"] for entry in own} <= {"2", "3", "4", "6"})
    expect("no secret is in the journal", SECRET not in run("journalctl", "--no-pager", "--unit=paypoll*"))


def commands_by_hand_work() -> None:
    """`paypoll` as root acts as the service does, and its exit status comes through."""
    expect("inspect shows the order", "Order ORD-1" in run("paypoll", "inspect", "ord-1"))
    missing = subprocess.run(["paypoll", "inspect", "ORD-404"], check=False, capture_output=True)
    expect("an order that is not there is exit 66", missing.returncode == 66)
    expect("a piped run reports", "unchanged" in run("paypoll", "run-once", "--order", "ORD-2", "--verbose"))
    expect("the folders are still paypoll's", {STATE.owner(), STATE.group()} == {"paypoll"})


def the_wrapper_is_like_the_program() -> None:
    """Environment, relative paths and --out count; where systemd does not begin a command, a sentence says why."""

    def by_hand(*words: str, folder: str = "/", **environ: str) -> subprocess.CompletedProcess[str]:
        surroundings = {**os.environ, **environ}
        return subprocess.run(words, check=False, capture_output=True, text=True, cwd=folder, env=surroundings)

    name = 'From "here" \\ $HOME `x`'
    said = by_hand("paypoll", "config", "show", "--json", PAYPOLL_SITE__NAME=name)
    expect("the environment counts", said.stdout and json.loads(said.stdout)["settings"]["site"]["name"] == name)
    run("install", "-m", "0640", "-g", "paypoll", "/etc/paypoll/config.toml", "/srv/copy.toml")
    said = by_hand("paypoll", "--config", "copy.toml", "config", "validate", folder="/srv")
    expect("a relative path is meant from here", (said.returncode, said.stdout) == (0, "OK  copy.toml\n"))
    home = "/ro" + "ot"  # nobody else may enter it
    made = by_hand("paypoll", "preview", folder=home)
    expect(f"preview writes where the caller is ({made.stderr})", made.returncode == 0)
    ticket = Path(home, "paypoll-preview", "ticket.pdf")
    expect("it is the caller's", ticket.read_bytes().startswith(b"%PDF") and ticket.owner() == "root")
    before = Path("/srv").stat()
    made = by_hand("paypoll", "report", "--html", "week.html", folder="/srv")
    expect(f"a report is written ({made.stderr})", "<html" in Path("/srv/week.html").read_text(encoding="utf-8"))
    expect("the folder is as it was", (before.st_uid, before.st_mode) == (Path("/srv").stat().st_uid, before.st_mode))
    shutil.copy("/etc/paypoll/config.toml", f"{home}/mine.toml")
    said = by_hand("paypoll", "--config", "mine.toml", "config", "validate", folder=home)
    expect(
        "what the user may not read is said", said.returncode == 78 and "mine.toml with its full path" in said.stderr
    )
    drop_in = Path("/etc/systemd/system/paypoll.service.d/gone.conf")
    drop_in.write_text("[Service]\nReadWritePaths=/srv/gone\n", encoding="utf-8")
    run("systemctl", "daemon-reload")
    said = by_hand("paypoll", "queue")
    expect("a folder that is gone is named", said.returncode == 226 and "/srv/gone" in said.stderr)
    drop_in.unlink()
    run("systemctl", "daemon-reload")
    said = by_hand("sudo", "-u", "nobody", "paypoll", "queue")
    expect("without root it says so", said.returncode == 77 and "use sudo" in said.stderr)
    expect("explanations need none", by_hand("sudo", "-u", "nobody", "paypoll", "explain", "mismatch").returncode == 0)
    expect("nothing is left behind", not list(Path("/run").glob("paypoll-by-hand*")))


def a_password_where_the_name_is_not_enough() -> None:
    """Where the server lets paypoll's role in by a password alone, setup makes one, and nobody sees it."""
    rules = Path("/etc/postgresql/15/main/pg_hba.conf")
    rules.write_text(f"local all paypoll reject\n{rules.read_text(encoding='utf-8')}", encoding="utf-8")
    run("systemctl", "reload", "postgresql")
    said = shown("paypoll", "setup", "--yes")
    secret = Path("/etc/credstore/paypoll.database_password")
    expect("the password is root's", (secret.owner(), oct(secret.stat().st_mode)[-3:]) == ("root", "600"))
    expect("nobody sees it", secret.read_text(encoding="utf-8").strip() not in said)
    expect(
        "runs get in by it", "credential" in Path("/etc/paypoll/config.toml").read_text("utf-8").split("[database]")[1]
    )
    start_and_wait()
    expect("a run goes well", unit("paypoll.service", "Result") == "success")


def shown(*command: str, code: int = 0) -> str:
    """Run a command as an operator does, print what it says, and return that. It ends with this status."""
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    said = done.stdout + done.stderr
    print("".join(f"    {line}\n" for line in (f"# {' '.join(command)}", *said.splitlines())), end="")
    expect(f"{' '.join(command[:2])} ends with {code}", done.returncode == code)
    expect("no secret is in what it says", SECRET not in said)
    return said


def every_command_is_used_once() -> None:
    """Look, decide and mend as an operator does in a week."""
    run("systemctl", "stop", "paypoll.timer")  # an order is not yet as it should be when it is placed
    for number, paid_amount in (("ORD-WRONG", "35.00"), ("ORD-ODD", "34.00"), ("ORD-TEST", "33.00")):
        place_order(number, amount=paid_amount)
        sql(f"UPDATE orders_order SET total = 36.00 WHERE order_number = '{number}'")  # noqa: S608 - our own number
    place_order("ORD-OLD", paid=False)
    run("systemctl", "start", "paypoll.timer")
    start_and_wait()
    expect(
        "three orders are brought to review",
        {status_of("ORD-WRONG"), status_of("ORD-ODD"), status_of("ORD-TEST")} == {"requires_manual_review"},
    )
    shown("paypoll", "config", "validate")
    shown("paypoll", "config", "show")
    expect("the timer is fine", "paypoll.timer is enabled and active" in shown("paypoll", "check", "--send-test-alert"))
    run("systemctl", "disable", "--now", "paypoll.timer")
    said = shown("paypoll", "check", code=78)
    expect("a timer that is not enabled is named", "systemctl enable --now paypoll.timer" in said)
    run("systemctl", "enable", "--now", "paypoll.timer")
    expect("the queue shows who waits", "ORD-WRONG" in shown("paypoll", "queue"))
    expect("inspect asks SumUp", "35.00" in shown("paypoll", "inspect", "ORD-WRONG", "--live"))
    expect("its JSON has a schema", json.loads(run("paypoll", "inspect", "ORD-1", "--json"))["schema"] == 1)
    shown("paypoll", "expire", "ORD-OLD", "--dry-run")
    shown("paypoll", "expire", "ORD-OLD", "--yes")
    expect("it is expired", status_of("ORD-OLD") == "expired")
    why = ("--reason", "tried in the test", "--yes")
    shown("paypoll", "resolve", "ORD-WRONG", "--issue", *why, code=65)
    shown("paypoll", "resolve", "ORD-WRONG", "--issue", "--override", "--yes", *why)
    expect("it is completed", is_completed("ORD-WRONG"))
    shown("paypoll", "resolve", "ORD-ODD", "--refund-noted", "--yes", *why)
    shown("paypoll", "resolve", "ORD-TEST", "--reject", "--yes", *why)
    shown("paypoll", "resend", "ORD-1")
    shown("paypoll", "runs", "--no-idle", "--limit", "5")
    shown("paypoll", "run-once", "--dry-run")
    shown("paypoll", "db", "status")
    expect("grants are SQL", "GRANT" in run("paypoll", "db", "grants"))
    expect("the man page is there", Path("/usr/local/share/man/man1/paypoll.1").exists())
    expect("completion is there", "_PAYPOLL_COMPLETE" in Path("/etc/bash_completion.d/paypoll").read_text())
    shown("journalctl", "--no-pager", "--output=cat", "--unit=paypoll.service", "--lines=8")


def the_shop_can_ask_for_a_run() -> None:
    """A touch by the shop's user starts a run, without the timer."""
    run("bash", "-euc", "cd /paypoll-release; . /paypoll-test/at-once.sh")
    run("systemctl", "stop", "paypoll.timer")
    for number, touch in (
        ("ORD-3", ("touch", "/run/paypoll-ask/now")),
        ("ORD-4", ("python3", "-c", "import pathlib; pathlib.Path('/run/paypoll-ask/now').touch()")),
    ):
        place_order(number)
        run("sudo", "-u", "www-data", *touch)
        wait_until(f"{touch[0]} starts a run", partial(is_completed, number), 20)
        wait_until("it is over", lambda: unit("paypoll.service", "ActiveState") == "inactive", 20)
    nobody = subprocess.run(["sudo", "-u", "nobody", "touch", "/run/paypoll-ask/now"], check=False, capture_output=True)
    expect("nobody else can", nobody.returncode)
    run("systemctl", "stop", "paypoll.path")


def a_stopped_run_is_no_failure() -> None:
    """`systemctl stop` in the middle of a run hands back what it held."""
    post("/sandbox/faults", {"kind": "latency", "seconds": 3, "path": "/v0.1/*"})
    place_order("ORD-5")
    run("systemctl", "start", "--no-block", "paypoll.service")
    wait_until("the run holds the order", lambda: sql("SELECT count(lease_run) FROM paypoll.watch") != "0", 20)
    run("systemctl", "stop", "paypoll.service")
    expect("a run that is told to stop is no failure", unit("paypoll.service", "ActiveState") == "inactive")
    expect("it was stopped, not killed", unit("paypoll.service", "ExecMainStatus") == "143")
    expect("it has given back its order", sql("SELECT count(lease_run) FROM paypoll.watch") == "0")
    post("/sandbox/faults/clear", {})
    start_and_wait()
    expect("the next run completes it", status_of("ORD-5") == "completed")


def an_outage_sends_one_mail() -> None:
    """While the database is down every run fails; somebody is told after half an hour, once."""
    outbox = Path("/var/sendmail-was-given")
    outbox.mkdir()
    outbox.chmod(0o777)
    sendmail = Path("/usr/sbin/sendmail")
    sendmail.write_text(f"#!/bin/sh\ncat >{outbox}/$$\n", encoding="utf-8")
    sendmail.chmod(0o755)
    Path("/etc/default/paypoll").write_text("PAYPOLL_FAILURE_TO=ops@shop.example\n", encoding="utf-8")
    run("systemctl", "start", "paypoll-failure.service")
    expect("started by hand it sends a test", "a test" in "".join(mail.read_text() for mail in outbox.iterdir()))
    run("systemctl", "stop", "postgresql@15-main.service")
    start_and_wait()
    expect("a run without database is exit 75", unit("paypoll.service", "ExecMainStatus") == "75")
    expect("nobody is told at once", len(list(outbox.iterdir())) == 1)
    started = datetime.now(UTC) - timedelta(minutes=35)
    run("touch", f"--date={started.isoformat()}", str(STATE / "failing-since"), str(STATE / "last-success"))
    run("touch", f"--date={(started - timedelta(minutes=5)).isoformat()}", str(STATE / "last-success"))
    for _ in range(12):
        start_and_wait()
    mails = sorted(outbox.iterdir(), key=lambda mail: mail.stat().st_mtime)
    expect("an hour of failing runs sends one mail", len(mails) == 2)
    text = mails[-1].read_text(encoding="utf-8")
    expect("it says what is wrong and quotes the log", "out of reach" in text and "run failed" in text)
    run("systemctl", "start", "postgresql@15-main.service")
    start_and_wait()
    expect("afterwards runs go well again", unit("paypoll.service", "Result") == "success")


def wrong_settings_are_told_at_once() -> None:
    """What only a person can mend is told with the first failure (an hour after the last mail)."""
    (STATE / "failure-told").unlink()
    config = Path("/etc/paypoll/config.toml")
    whole = config.read_text(encoding="utf-8")
    config.write_text(whole.replace("[site]", "[sight]"), encoding="utf-8")
    before = len(list(Path("/var/sendmail-was-given").iterdir()))
    start_and_wait()
    expect("wrong settings are exit 78", unit("paypoll.service", "ExecMainStatus") == "78")
    expect("that is told at once", len(list(Path("/var/sendmail-was-given").iterdir())) == before + 1)
    config.write_text(whole, encoding="utf-8")


def main() -> None:
    """Try everything, in the order of a deployment's life."""
    expect("the timer is enabled", run("systemctl", "is-enabled", "paypoll.timer") == "enabled")
    the_timer_issues_tickets()
    the_journal_reads_well()
    commands_by_hand_work()
    the_wrapper_is_like_the_program()
    a_password_where_the_name_is_not_enough()
    every_command_is_used_once()
    the_shop_can_ask_for_a_run()
    a_stopped_run_is_no_failure()
    an_outage_sends_one_mail()
    wrong_settings_are_told_at_once()


if __name__ == "__main__":
    main()
