"""`paypoll demo`, as `scripts/demo` starts it: the real run on the embedded default, SQLite."""

import subprocess
from pathlib import Path

from tests.acceptance.stage import PATIENCE, PROGRAM


def test_demo_issues_tickets_and_mails_them_without_a_server(tmp_path: Path) -> None:
    command: list[str | Path] = [PROGRAM, "demo", "--folder", tmp_path / "demo"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)  # noqa: S603 - ours
    assert (done.returncode, done.stderr) == (0, "")
    tickets, mails = (list((tmp_path / "demo" / folder).iterdir()) for folder in ("media/tickets/pdfs", "mails"))
    assert (len(tickets), len(mails)) == (12, 14)
    assert "LF-1A2B3C4D" in done.stdout
    assert "requires_manual_review" in done.stdout
