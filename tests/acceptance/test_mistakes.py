"""Ten mistakes in setting paypoll up: `paypoll check` names each of them, and what to do next."""

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click
import pytest
from tests.acceptance.papers import subject
from tests.acceptance.stage import MERCHANT, ROLE, Stage

from paypoll.admin.check.result import CheckResult, Mark
from paypoll.cli.commands.check import result_lines
from paypoll.cli.render.screen import shown

if TYPE_CHECKING:
    from tests.conftest import Server

OK, TRY_LATER, SETTINGS = 0, 75, 78
PASSWORD = "the right password"
CHANGING = re.compile(r"\d+(?:\.\d+)? (?:GB|MB|s|of)\b")
"""What differs from one check to the next: room on the disk, seconds, connections."""


@dataclass(frozen=True)
class Checked:
    """What `paypoll check` said: its exit status, its problems, and the text that a person reads."""

    code: int
    problems: tuple[tuple[str, str, str], ...]
    text: str

    def names(self, topic: str, *words: str, step: str) -> bool:
        """Say whether the one problem there is has this topic, says these words and ends with this step."""
        assert [problem[0] for problem in self.problems] == [topic], self.text
        ((_, text, next_step),) = self.problems
        assert step in next_step, self.text
        assert all(word in text for word in words), self.text
        # What a machine gets is what a person gets: the step is behind an arrow, perhaps on a line of its own.
        assert max(len(line) for line in self.text.splitlines() if "→" not in line and " " in line[8:]) <= 80
        return (
            " ".join(f"PROBLEM {topic}: {text}".split()) in " ".join(self.text.split())
            and f"→ {next_step}" in self.text
        )


def check(stage: Stage, **environ: str) -> Checked:
    """Run the check, and put its findings into the words that a person gets: the first test sees that it does."""
    ended = stage.paypoll("check", "--json", **environ)
    assert (ended.stderr, ended.code) == ("", ended.report["exit"])
    found = ended.report["findings"]
    problems = tuple((one["topic"], one["text"], one["next_step"]) for one in found if one["mark"] == "PROBLEM")
    return Checked(ended.code, problems, text_of(found))


def text_of(findings: list[dict[str, str]]) -> str:
    """Return what a person reads of findings."""
    made = (CheckResult(Mark(one["mark"]), one["topic"], one["text"], one["next_step"]) for one in findings)
    return "".join(f"{click.unstyle(shown(line))}\n" for one in made for line in result_lines(one))


@pytest.fixture
def guarded(stage: Stage, server: "Server") -> Iterator[Stage]:
    """A stage whose database asks paypoll's role for a password: the right one is set."""
    rules = Path(server.run("SHOW hba_file").splitlines()[2].strip())
    before = rules.read_text(encoding="utf-8")
    rules.write_text(f"local all {ROLE} scram-sha-256\n{before}", encoding="utf-8")
    server.run(f"ALTER ROLE {ROLE} PASSWORD '{PASSWORD}'")
    server.run("SELECT pg_reload_conf()")
    stage.environ["database__password"] = PASSWORD
    try:
        yield stage
    finally:
        rules.write_text(before, encoding="utf-8")
        server.run("SELECT pg_reload_conf()")


def test_no_mistake_no_problem(guarded: Stage) -> None:
    checked = check(guarded)
    assert (checked.code, checked.problems) == (OK, ())
    for_people = guarded.paypoll("check")
    assert (for_people.code, for_people.stderr) == (OK, "")
    assert CHANGING.sub("", for_people.stdout) == CHANGING.sub("", checked.text)


def test_mistake_1_wrong_database_password(guarded: Stage) -> None:
    checked = check(guarded, database__password="the wrong password")
    assert checked.names("database", ROLE, "password", step="database.password")
    assert checked.code == SETTINGS
    assert "the wrong password" not in checked.text


def test_mistake_2_world_readable_secret(stage: Stage) -> None:
    secret = stage.folder / "mail password"
    secret.write_text("p4ssword", encoding="utf-8")
    secret.chmod(0o644)
    checked = check(stage, mail__username="shop", mail__tls="starttls", mail__password_file=str(secret))
    assert checked.names("settings", "mail.password_file", f"chmod o-rwx '{secret}'", step="correct it")
    assert checked.code == SETTINGS


def test_mistake_3_missing_grant(stage: Stage) -> None:
    stage.sql(f"REVOKE UPDATE (status) ON orders_order FROM {ROLE}")
    checked = check(stage)
    assert checked.names("rights", "may not UPDATE orders_order: status", step="paypoll db grants")
    assert checked.code == SETTINGS


def test_mistake_4_new_column_of_the_shop_that_must_be_filled(stage: Stage) -> None:
    stage.sql("ALTER TABLE events_ticket ADD COLUMN gate text NOT NULL")
    checked = check(stage)
    assert checked.names(
        "shop's tables", "events_ticket.gate", "no default", step="ALTER TABLE events_ticket ALTER gate SET DEFAULT"
    )
    assert checked.code == SETTINGS


def test_mistake_5_wrong_sumup_key(stage: Stage) -> None:
    checked = check(stage, sumup__api_key="sup_sk_of_somebody_else")
    assert checked.names("SumUp", "refuses our credential", step="sumup.api_key")
    assert checked.code == SETTINGS
    assert "somebody_else" not in checked.text


@pytest.mark.fast("admin")
def test_mistake_6_wrong_merchant(stage: Stage) -> None:
    # The organiser's own merchant is no sign of a mistake, and the shop's is.
    stage.order("ORD-1")
    stage.sumup.add_merchant("MOTHER", "another_key_entirely")
    assert check(stage).code == OK
    checked = check(stage, sumup__merchant_code="MOTHER", sumup__api_key="another_key_entirely")
    assert checked.names("merchant in the shop", MERCHANT, "none is on MOTHER", step="sumup.merchant_code")
    assert checked.code == SETTINGS


def test_mistake_7_smtp_port_closed(stage: Stage) -> None:
    stage.sink.close()
    checked = check(stage)
    assert checked.names("mail server", f"127.0.0.1:{stage.sink.port}", "refused", step="[mail]")
    assert checked.code == TRY_LATER


def test_mistake_8_media_folder_not_writable(stage: Stage) -> None:
    # Not even root can make a file there.
    checked = check(stage, tickets__media_folder="/sys")
    assert checked.names("media folder", "/sys cannot be written by user id", step="let paypoll's user write there")
    assert checked.code == SETTINGS


def test_mistake_9_missing_library(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The loader finds this one first, and there is nothing in it.
    (tmp_path / "libpango-1.0.so.0").touch()
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    checked = check(stage)
    assert checked.names("ticket printer", "libpango-1.0", step="apt-get install libpango-1.0-0")
    assert checked.code == SETTINGS
    # A run issues the tickets all the same, tells the admins why their mail waits, and that none goes out.
    order = stage.order("ORD-1", checkout="PAID")
    run = stage.run_once()
    assert (run.code, stage.status(order), stage.mails(order)) == (TRY_LATER, "completed", [])
    (told,) = stage.sink.messages
    assert "Tickets or mails cannot be made" in subject(told)


def test_mistake_10_timer_not_enabled(stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A machine where systemd runs is told by a folder; in a mount namespace of its own any machine has it.
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(
        '#!/bin/sh\ncase "$*" in "is-enabled paypoll.timer") echo disabled;; *) echo inactive;; esac\nexit 1\n'
    )
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    as_root = ("unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",)))
    stage.wrapper = (*as_root, "sh", "-c", 'mount -t tmpfs none /run && mkdir -p /run/systemd/system && "$@"', "sh")
    checked = check(stage)
    assert checked.names("timer", "paypoll.timer is disabled", step="systemctl enable --now paypoll.timer")
    assert checked.code == SETTINGS
