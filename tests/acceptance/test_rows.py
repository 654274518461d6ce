"""Every row of the acceptance table has a test that names it, over HTTP, SMTP and PostgreSQL, and the table says which.

A test names its row in its name: `test_row_05a_…`, `test_rows_05a_to_09_and_13_…`. That it is played on a stage, whose
SumUp, mail server and database are real, shows in the kinds of what it asks for.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
TABLE = HERE.parents[1] / "docs" / "outcomes.md"
STAGES = {"Stage", "World", "Fair", "Connected"}
SHOWN = "## Where each row is shown\n"


def rows_of_the_table(text: str) -> list[str]:
    """Return the numbers of the rows, in order."""
    return re.findall(r"^\| (\d+[a-z]?) \|", text.partition(SHOWN)[0], re.MULTILINE)


def rows_named(test: str, rows: list[str]) -> Iterator[str]:
    """Yield the rows that a test's name names."""
    named = re.match(r"test_rows?_((?:\d+[a-z]?_(?:to_|and_)?)+)", test)
    for first, last in re.findall(r"(\d+[a-z]?)(?:_to_(\d+[a-z]?))?", named[1] if named else ""):
        begin = rows.index(first.lstrip("0"))
        yield from rows[begin : rows.index(last.lstrip("0")) + 1 if last else begin + 1]


def names_by_row(rows: list[str]) -> dict[str, list[str]]:
    """Return the tests on a stage that name each row, in order of their files."""
    found: dict[str, list[str]] = {row: [] for row in rows}
    for path in sorted(HERE.glob("test_*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef) and STAGES & _kinds(node):
                for row in rows_named(node.name, rows):
                    found[row].append(f"`{path.stem}::{node.name}`")
    return found


def _kinds(test: ast.FunctionDef) -> set[str]:
    return {argument.annotation.id for argument in test.args.args if isinstance(argument.annotation, ast.Name)}


@pytest.mark.fast
def test_every_row_of_the_table_has_a_test_on_a_stage_and_the_table_says_which() -> None:
    text = TABLE.read_text(encoding="utf-8")
    tests = names_by_row(rows_of_the_table(text))
    assert [row for row, names in tests.items() if not names] == []
    shown = "".join(f"| {row} | {'<br>'.join(names)} |\n" for row, names in tests.items())
    assert text.endswith(f"| row | tests |\n|---|---|\n{shown}")


@pytest.mark.fast
def test_row_without_a_test_is_noticed() -> None:
    """The control: a row that nobody has written a test for."""
    rows = [*rows_of_the_table(TABLE.read_text(encoding="utf-8")), "99"]
    assert [row for row, names in names_by_row(rows).items() if not names] == ["99"]
    assert {"1", "5a", "5b", "11a", "15a", "24a", "25a", "25b", "44", "46"} < set(rows)
    assert len(rows) == len(set(rows)) >= 63
