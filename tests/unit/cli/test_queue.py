"""What `paypoll queue` says of a trouble."""

from datetime import UTC, datetime, timedelta

import pytest

from paypoll.admin.queue import Backlog, OpenTrouble
from paypoll.cli.commands.queue import _trouble_lines

NOW = datetime(2026, 11, 26, 9, tzinfo=UTC)
EMPTY = Backlog(NOW, (), (), (), (), (), (), (), (), None)


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("smtp_down", "smtp down"),
        ("smtp_refuses:", "smtp refuses"),
        ("not_allowed:MCHOIR", "not allowed: MCHOIR"),
        # The digest behind it tells one cause from the next; a person reads the detail.
        ("cannot_print:confirmation:no-space-left-on-d-f2ac44", "cannot print: confirmation"),
    ],
)
def test_trouble_is_named_without_the_digest_of_its_cause(key: str, name: str) -> None:
    trouble = OpenTrouble(key, NOW - timedelta(minutes=5), True, "No space left on device")
    head, detail, *steps = _trouble_lines(trouble, EMPTY)
    assert head.strip() == f"{name}, since 5 minutes; admins were told"
    assert detail.strip() == "No space left on device"
    assert any("sudo paypoll check" in step for step in steps)
