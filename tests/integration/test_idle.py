"""A run with nothing to do must feel instant: it loads nothing heavy."""

import os
import subprocess
import sys
from pathlib import Path

HEAVY = (
    "weasyprint", "requests", "jinja2", "alembic", "zxingcpp", "aiosmtpd", "smtplib", "tenacity", "pygal", "rich",
    "prometheus_client",
    "paypoll.payments.gateway", "paypoll.payments.order",  # with what decides: a tenth of what such a run costs
)  # fmt: skip


def loaded_by(*arguments: str, **environ: str) -> set[str]:
    """Return the heavy libraries that a paypoll command loads, in a process of its own."""
    program = (
        "import sys; from paypoll.__main__ import run\n"
        "try: run()\n"
        f"finally: print('loaded:', *(name for name in {HEAVY!r} if sys.modules.get(name)))"
    )
    done = subprocess.run(  # noqa: S603 - our own interpreter and program
        [sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env={**os.environ, **environ},
    )
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("loaded:"))
    return set(line.split()[1:])


def test_idle_run_loads_nothing_heavy(settings_file: Path) -> None:
    assert loaded_by("--config", str(settings_file), "run-once") == set()


def test_idle_run_loads_no_plots_while_the_reports_page_is_fresh(settings_file: Path, tmp_path: Path) -> None:
    (tmp_path / "index.html").touch()
    folder = {"PAYPOLL_REPORT__FOLDER": str(tmp_path)}
    assert loaded_by("--config", str(settings_file), "run-once", **folder) == set()
    assert (tmp_path / "index.html").read_text(encoding="utf-8") == ""


def test_help_loads_nothing_heavy_and_no_database() -> None:
    assert loaded_by("--help") == set()
    program = "import sys, paypoll.cli; sys.exit('sqlalchemy' in sys.modules or 'pydantic' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)  # noqa: S603 - as above


def test_command_loads_its_own_module_and_no_other_commands() -> None:
    program = (
        "import sys; from paypoll.cli import cli; cli.commands['queue']; "
        "print(*(name for name in sys.modules if name.startswith('paypoll.cli.commands.')))"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True, timeout=60)  # noqa: S603 - as above
    assert done.stdout.split() == ["paypoll.cli.commands.queue"]
