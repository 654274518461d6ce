"""The tests as a tool: `scripts/test --fast` shows something of every room."""

import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOMS = TESTS.parent / "src" / "paypoll"


def test_fast_tests_have_one_acceptance_test_of_each_room() -> None:
    rooms = {path.parent.name for path in ROOMS.glob("*/__init__.py")}
    files = (path.read_text(encoding="utf-8") for path in (TESTS / "acceptance").glob("test_*.py"))
    marked = [room for text in files for room in re.findall(r'@pytest\.mark\.fast\("(\w+)"\)', text)]
    assert sorted(marked) == sorted(rooms - {"sandbox"})  # which every acceptance test is set up on
