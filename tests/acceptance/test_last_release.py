"""The last release goes on working on the tables of this one, and an upgrade of its tables loses nothing.

Its code comes from the history. So an upgrade may be done while the old command still runs by its timer, or on another
host, and the old one can be put back. docs/contributing.md has the rule for migrations.
"""

# git is asked for the project's own history.
# ruff: noqa: S603, S607

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from tests.acceptance.papers import attachments, subject
from tests.acceptance.promises import check_completed, check_issued
from tests.acceptance.stage import PATIENCE, ROLE, Ended, Placed, Stage
from tests.pdfs import codes_in, picture_of
from tests.settings_text import write_settings_file

ROOT = Path(__file__).parents[2]
LAST_RELEASE = "bb44b52f27b9848cfd653277b282ff9240c90c4f"
"""The commit of version 0.1.0. A release moves this to its own commit: scripts/release says so."""

TRY_LATER, USAGE = 75, 2
AGO = timedelta(hours=2)
MAIL_SERVER_DOWN = {"mail__host": "127.0.0.1", "mail__port": "9"}


def git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    """Ask git about this checkout, whoever owns it."""
    command = ["git", "-c", "safe.directory=*", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, check=False)


@pytest.fixture(scope="module")
def old_source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder `src` of the last release. Skips where the history does not reach back so far."""
    archive = git("archive", "--format=tar", LAST_RELEASE, "src")
    if archive.returncode != 0:
        shallow = git("rev-parse", "--is-shallow-repository").stdout.strip() == b"true"
        why = (
            "the clone is shallow; `git fetch --unshallow` brings it" if shallow else "this is no clone of the project"
        )
        pytest.skip(f"the history has no commit {LAST_RELEASE[:7]}, which is the last release: {why}")
    folder = tmp_path_factory.mktemp("last-release")
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder / "src"


class LastRelease:
    """Runs the last release's command on a stage, with the libraries of this one."""

    def __init__(self, stage: Stage, source: Path) -> None:
        # It knows no section that came later.
        known = stage.config.read_text(encoding="utf-8").replace('[ledger]\nevery = "0"\n', "")
        self._config = write_settings_file(stage.folder / "last-release.toml", known)
        self._source = source

    def __call__(self, *arguments: str, code: int = 0, **environ: str) -> Ended:
        """Run the command to its end, which must have this exit status."""
        settings = {f"PAYPOLL_{name.upper()}": value for name, value in environ.items()}
        process = subprocess.run(
            [sys.executable, "-m", "paypoll", "--config", str(self._config), *arguments],
            env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(self._source), **settings},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert process.returncode == code, process.stderr
        return Ended(process.returncode, process.stdout, process.stderr)


@pytest.fixture
def last_release(stage: Stage, old_source: Path) -> LastRelease:
    """The last release's command, on the stage."""
    return LastRelease(stage, old_source)


def own_rows(stage: Stage) -> dict[str, list[dict[str, Any]]]:
    """Return every row of paypoll's own tables, but the numbers of their version."""
    tables = stage.sql("SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'paypoll'")
    return {
        table["name"]: [
            json.loads(row["row"])
            for row in stage.sql(f'SELECT to_jsonb(t)::text AS row FROM paypoll."{table["name"]}" t')  # noqa: S608
        ]
        for table in tables
        if not table["name"].endswith("_version")
    }


def kinds(printed: dict[str, Any]) -> dict[str, str]:
    """Return of what kind each value is that --json has printed."""
    return {name: type(value).__name__.replace("float", "int") for name, value in printed.items()}


def a_penny_off(stage: Stage, number: str = "ORD-REVIEW", age: timedelta = timedelta(minutes=5)) -> Placed:
    """Place an order whose payment does not fit."""
    order = stage.order(number, checkout="", age=age)
    stage.checkout(order, "PAID", amount=order.total - Decimal("0.01"))
    return order


def made_by_the_last_release(stage: Stage, last_release: LastRelease) -> None:
    """Have paypoll's own tables be those that the last release makes."""
    stage.sql("DROP SCHEMA paypoll CASCADE")
    last_release("db", "upgrade", database__url=stage.owner_url)
    with stage.engine.connect() as connection:
        grants = last_release("db", "grants", "--role", ROLE).stdout.replace("%", "%%")
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(grants)


def upgraded(stage: Stage) -> None:
    """Upgrade paypoll's own tables with this release, as their owner, and give its role what it needs now."""
    ended = stage.paypoll("db", "upgrade", database__url=stage.owner_url)
    assert ended.code == 0, ended.stderr
    stage.grant()


def repaired(stage: Stage) -> None:
    """Put right what the last release makes of guests, which every stage is checked for at its end."""
    ended = stage.paypoll("db", "repair-guests", "--yes", database__url=stage.owner_url)
    assert ended.code == 0, ended.stderr


def test_last_release_works_on_the_tables_of_this_one(stage: Stage, last_release: LastRelease) -> None:
    paid, failed = stage.order("ORD-PAID", checkout="PAID"), stage.order("ORD-FAILED", checkout="FAILED")
    old, review = stage.order("ORD-EXPIRED", checkout="EXPIRED"), a_penny_off(stage)
    last_release("run-once")
    check_completed(stage, paid)
    assert [stage.status(order) for order in (failed, old, review)] == ["failed", "expired", "requires_manual_review"]
    assert last_release("run-once", "--json").report["orders"] == []
    repaired(stage)
    # What `scripts/install --rollback` asks it: that it goes on here, and that it knows no pauses.
    for question, answer in ((("config", "validate"), 0), (("db", "status"), 0), (("pause", "--help"), USAGE)):
        last_release(*question, code=answer)


def test_upgrade_of_the_last_releases_tables_keeps_every_row_and_both_releases_go_on(
    stage: Stage, last_release: LastRelease
) -> None:
    made_by_the_last_release(stage, last_release)
    mailed, failed = stage.order("ORD-MAILED", checkout="PAID"), stage.order("ORD-FAILED", checkout="FAILED")
    reported = last_release("run-once", "--json").report
    unmailed, open_one = stage.order("ORD-UNMAILED", checkout="PAID"), stage.order("ORD-OPEN")
    review = a_penny_off(stage)
    last_release("run-once", code=TRY_LATER, **MAIL_SERVER_DOWN)
    before = own_rows(stage)
    assert {state["state"] for state in before["outbox"]} == {"sent", "waiting"}

    upgraded(stage)
    after = own_rows(stage)
    for table, rows in before.items():
        # When to look again is the new release's to say: at what is still open, at once, and at what was completed just
        # now, when its page at SumUp's has ended.
        old = [{name: value for name, value in row.items() if name != "next_check_at"} for row in rows]
        assert [row for row in old if not any(row.items() <= kept.items() for kept in after[table])] == [], table
    due = {row["order_id"]: row["next_check_at"] for row in after["watch"]}
    assert datetime.fromisoformat(due[failed.id]) <= datetime.now(UTC)
    quiet = datetime.fromisoformat(due[mailed.id]) - datetime.now(UTC)
    assert timedelta(minutes=40) < quiet < timedelta(minutes=45)

    def check_all() -> None:
        check_completed(stage, mailed)
        # The last release stored its tickets, and this one, which prints the same tickets anew, mailed them.
        tickets = check_issued(stage, unmailed)
        (mail,) = stage.mails(unmailed)
        numbers = [ticket["ticket_number"] for ticket in tickets]
        sent = attachments(mail)
        assert sorted(sent) == sorted(f"ticket-{number}.pdf" for number in numbers)
        for number in numbers:
            assert [number in code for code in codes_in(picture_of(sent[f"ticket-{number}.pdf"]))] == [True]
        assert [stage.status(order) for order in (open_one, failed, review)] == [
            "pending_verification",
            "failed",
            "requires_manual_review",
        ]

    stage.let_time_pass()
    assert stage.run_once().code == 0
    check_all()
    # Put back, or still running on another host.
    stage.sumup.pay(open_one.checkout)
    last_release("run-once")
    assert stage.status(open_one) == "completed"
    stage.sumup.pay(failed.checkout, force=True)
    stage.let_time_pass()
    run = stage.run_once()
    assert (run.code, stage.status(failed)) == (0, "completed")
    # The number of the schema is the same: so is what each key is.
    assert kinds(reported).items() <= kinds(run.report).items()
    assert kinds(reported["orders"][0]).items() <= kinds(run.report["orders"][0]).items()
    repaired(stage)


def test_what_the_last_release_told_of_reviews_is_not_told_again(stage: Stage, last_release: LastRelease) -> None:
    made_by_the_last_release(stage, last_release)
    fresh, old = a_penny_off(stage, "ORD-FRESH", timedelta(minutes=3)), a_penny_off(stage, "ORD-OLD", AGO)
    closed, void = a_penny_off(stage, "ORD-CLOSED"), stage.order("ORD-VOID", checkout="PAID", status="cancelled")
    twice = stage.order("ORD-TWICE", age=AGO, checkout="PAID")
    stage.checkout(twice, "PAID", reference="ORD-TWICE-2")
    last_release("run-once")
    reason = ("--refund-noted", "--reason", "refund ordered at SumUp")
    last_release("resolve", closed.number, *reason)
    upgraded(stage)
    # The last release goes on, on another host.
    other = a_penny_off(stage, "ORD-OTHER", AGO)
    last_release("run-once")
    orders = (fresh, old, other, closed, void, twice)
    told = {order.number: [subject(mail) for mail in stage.alerts(order)] for order in orders}
    assert {number: len(subjects) for number, subjects in told.items()} == dict.fromkeys(told, 1)

    stage.environ.update(ledger__every="30min")
    for _ in range(3):
        stage.let_time_pass()
        stage.sql("UPDATE paypoll.ledger_cursor SET asked_at = asked_at - interval '1 hour'")
        assert stage.run_once().code == 0
        for order in (fresh, old, other):
            stage.paypoll("resolve", order.number, *reason, "--by", "Margot", "--yes")
    assert {order.number: [subject(mail) for mail in stage.alerts(order)] for order in orders} == told
    assert [mail for mail in stage.sink.messages if "SumUp's ledger" in subject(mail)] == []
    # Money that bought nothing is a case until it has gone back; of the others a person has noted that.
    assert "Paid after" not in stage.paypoll("queue").stdout
    cases = stage.sql("SELECT order_number FROM paypoll.finding ORDER BY order_number")
    assert [case["order_number"] for case in cases] == ["ORD-TWICE", "ORD-VOID"]
    repaired(stage)
