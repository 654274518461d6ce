"""The rooms' contracts in .importlinter catch an import that goes the wrong way."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

WRONG_WAYS = [
    pytest.param("payments/money.py", "import paypoll.shop.tables", "Upper rooms", id="upwards"),
    pytest.param("payments/money.py", "import sqlalchemy", "needs no database", id="a database in the rules"),
    pytest.param("admin/queue.py", "import paypoll.mail.smtp.client", "picked by app alone", id="an adapter"),
    pytest.param("payments/money.py", "import paypoll.payments.rules", "No cycles", id="a cycle in a room"),
    pytest.param("admin/queue.py", "import paypoll.shop.orders", "runs.load", id="an order without its records"),
    pytest.param("unsorted.py", "", "unsorted", id="a loose module"),
]


@pytest.mark.parametrize(("module", "line", "broken"), WRONG_WAYS)
def test_import_the_wrong_way_breaks_a_contract(tmp_path: Path, module: str, line: str, broken: str) -> None:
    source = tmp_path / "paypoll"
    shutil.copytree(ROOT / "src" / "paypoll", source, ignore=shutil.ignore_patterns("__pycache__"))
    wrong = source / module
    wrong.write_text((wrong.read_text(encoding="utf-8") if wrong.exists() else "") + f"\n{line}\n", encoding="utf-8")
    done = subprocess.run(  # noqa: S603 - our own words
        [Path(sys.executable).parent / "lint-imports", "--no-cache", "--config", ROOT / ".importlinter"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stdout
    assert broken in done.stdout
