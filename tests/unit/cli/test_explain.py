"""`paypoll explain` is docs/troubleshooting.md, by its keys."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from paypoll.admin.explain import COPY, explain, the_page
from paypoll.cli import cli
from paypoll.errors import NotFoundError

GUIDE = Path(__file__).parents[3] / "docs" / "troubleshooting.md"


def test_program_has_the_guide_as_it_is_in_the_docs() -> None:
    assert COPY.read_bytes() == GUIDE.read_bytes(), "run scripts/reference"


def test_every_row_of_the_guides_tables_is_an_entry() -> None:
    lines = GUIDE.read_text(encoding="utf-8").splitlines()
    rows, tables = (sum(line.startswith(start) for line in lines) for start in ("| ", "|--"))
    two_in_one_row = 1  # 130 and 143
    assert len(the_page().entries) == rows - tables + two_in_one_row


@pytest.mark.parametrize(
    ("asked", "key"),
    [
        ("mismatch", "mismatch"),
        ("review:mismatch:chk-1", "mismatch"),
        ("Not Allowed", "not_allowed"),
        ("143", "143"),
        ("203", "203/EXEC"),
    ],
)
def test_key_is_found_however_it_was_pasted(asked: str, key: str) -> None:
    entries, _ = explain(asked)
    assert {entry.key for entry in entries} == {key}
    assert all(entry.means for entry in entries)


def test_explanation_is_plain_text_with_the_commands_that_lead_on() -> None:
    shown = CliRunner().invoke(cli, ["explain", "no_answer"]).output
    assert "What to do: If it lasts: SumUp (`paypoll explain sumup`)." in shown
    every = " ".join(f"{entry.title} {entry.means} {entry.todo}" for entry in the_page().entries)
    assert not re.search(r"\]\(|\*\*|\\", every)


def test_every_key_that_is_listed_is_explained() -> None:
    listed = json.loads(CliRunner().invoke(cli, ["explain", "--json"]).output)["keys"]
    assert all(any(explain(key)) for key in listed)
    assert "Mail" in CliRunner().invoke(cli, ["explain", "mail"]).output


def test_unknown_key_is_refused_with_the_nearest() -> None:
    with pytest.raises(NotFoundError, match="did you mean mismatch"):
        explain("mismtch")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        ("99", r"99 is no exit status of paypoll's: those are 0, 1, 2, .*, 130, 143;"),
        ("137", r"137 says that signal 9 \(SIGKILL\) ended the command;"),
        ("204", "204 is systemd's own: it did not begin the command, and `systemctl status paypoll` says why;"),
    ],
)
def test_number_that_is_no_exit_status_of_ours_is_refused_with_whose_it_is(number: str, said: str) -> None:
    with pytest.raises(NotFoundError, match=f"^{said} `paypoll explain exit-statuses` tells of all$"):
        explain(number)
