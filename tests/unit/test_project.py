"""The project's own files: where things are, what must not stand in them, and that the scripts do as they say."""

# The programs started here are the project's own scripts and stand-ins for Python, apt-get and the like.
# ruff: noqa: S603, S607

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import paypoll

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted([*(ROOT / "scripts").iterdir(), ROOT / ".ci" / "run"])
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
GENERATED = {
    "paypoll-demo",
    "paypoll-mails",
    *(".git", ".venv", ".mypy_cache", ".ruff_cache", ".pytest_cache", ".hypothesis", "__pycache__"),
    *(".coverage", ".demo", "build", "dist", "config.toml"),
}
TOP = {
    *(".ci", ".gitattributes", ".gitignore", ".importlinter", "CHANGELOG.md", "LICENSE", "README.md"),
    "config.example.toml",
    *("constraints.txt", "docs", "pyproject.toml", "scripts", "src", "systemd", "tests"),
}
# In pieces, so that this file is not found by itself.
FORBIDDEN = {
    "a package registry's address": re.compile("|".join(["py" + r"pi\.org", "python" + "hosted", "npm" + r"js\.org"])),
    "an option that names a registry": re.compile("--(?:extra-)?index" + "-url|--find" + "-links"),
    "a path of the machine it was written on": re.compile("/wo" + "rk/|/ro" + r"ot/|/home/[a-z]\w+/|/opt/" + "py"),
}


def _files() -> Iterator[Path]:
    for folder, folders, names in os.walk(ROOT):
        folders[:] = [name for name in folders if name not in GENERATED and not name.endswith(".egg-info")]
        yield from (Path(folder, name) for name in names if name not in GENERATED)


def test_top_level_holds_only_what_belongs_there() -> None:
    assert {entry.name for entry in ROOT.iterdir()} - GENERATED <= TOP


@pytest.mark.parametrize("what", FORBIDDEN)
def test_files_do_not_hold_what_ties_them_to_a_place(what: str) -> None:
    texts = ((file, file.read_bytes().decode(errors="replace")) for file in _files())
    assert [str(file) for file, text in texts if FORBIDDEN[what].search(text)] == []


def test_test_folders_are_no_packages() -> None:
    # With import-mode=importlib an __init__.py would make two modules of one file.
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_version_is_the_same_everywhere() -> None:
    assert version("paypoll") == paypoll.__version__
    assert f'"paypoll {paypoll.__version__}"' in (ROOT / "docs" / "paypoll.1").read_text(encoding="utf-8")
    changelog = ROOT / "CHANGELOG.md"
    if changelog.exists() and (
        released := re.search(r"^## \[(\d\S*)\]", changelog.read_text(encoding="utf-8"), re.MULTILINE)
    ):
        # What is on the way to the next release is later than the last one.
        parts = [int(part) for part in paypoll.__version__.removesuffix(".dev0").split(".")]
        last = [int(part) for part in released[1].split(".")]
        assert parts > last if paypoll.__version__.endswith(".dev0") else parts == last


def test_python_that_setup_asks_for_is_the_one_that_the_package_needs() -> None:
    needed = PYPROJECT["project"]["requires-python"].removeprefix(">=")
    assert f"sys.version_info < ({needed.replace('.', ', ')})" in (ROOT / "scripts" / "setup").read_text(
        encoding="utf-8"
    )


def test_constraints_pin_every_dependency_to_a_version_that_is_allowed() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pinned = {}
    for line in lines:
        if not line.startswith("#"):
            name, equals, pin = line.partition("==")
            assert equals, line
            pinned[canonicalize_name(name)] = pin
    assert "paypoll" not in pinned
    project = PYPROJECT["project"]
    for text in (*project["dependencies"], *project["optional-dependencies"]["dev"]):
        needed = Requirement(text)
        assert needed.specifier.contains(pinned[canonicalize_name(needed.name)]), text


@pytest.mark.parametrize("module", ["paypoll.settings.load", "paypoll.logs", "paypoll.payments.gateway"])
def test_module_that_every_command_needs_brings_nothing_heavy(module: str) -> None:
    heavy = {
        "weasyprint",
        "requests",
        "jinja2",
        "zxingcpp",
        "alembic",
        "aiosmtpd",
        "smtplib",
        "sqlalchemy",
        "http.client",
    }
    code = f"import sys, {module}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    assert heavy.intersection(loaded) == set()


# ---------------------------------------------------------------------------------------------------------
# The scripts
# ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_script_is_sound_bash_that_stops_at_the_first_error(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n#")
    assert "\nset -euo pipefail\n" in text
    assert os.access(script, os.X_OK)
    subprocess.run(["bash", "-n", str(script)], check=True)


class Checkout:
    """A copy of what scripts/setup needs, at a path with a space, and a PATH where outside programs are stand-ins.

    The stand-in for Python makes an environment whose pip writes down what it was asked for.
    """

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"
        self.programs = folder / "programs"
        self.calls = folder / "calls"
        self.calls.touch()
        for name in ("scripts/setup", "scripts/demo", "pyproject.toml", "constraints.txt", "src/paypoll/__init__.py"):
            target = self.root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((ROOT / name).read_bytes())
            target.chmod((ROOT / name).stat().st_mode)
        self.programs.mkdir()
        libraries = "libpango-1.0.so.0 libpangoft2-1.0.so.0 libharfbuzz-subset.so.0"
        self.stand_in("ldconfig", f"echo {libraries}")
        self.stand_in("find", "echo a-font.ttf")
        self.stand_in("apt-get", 'echo "apt-get $*" >>"$CALLS"')
        self.stand_in("sudo", '[ "$1" = -n ] || exec "$@"')
        # `-m venv --clear .venv` makes stand-ins for what a real environment holds.
        self.stand_in(
            "python3",
            """case "$*" in
            "-m venv"*)
                mkdir -p .venv/bin
                printf '#!/bin/sh\\necho "paypoll $*" >>"$CALLS"\\n' >.venv/bin/paypoll
                printf '#!/bin/sh\\n[ "$1" = -m ] && echo "$*" >>"$CALLS"; exit 0\\n' >.venv/bin/python
                echo "#!$PWD/.venv/bin/python" >.venv/bin/pip
                chmod +x .venv/bin/*;;
            --version) echo Python 3.11.9;;
            esac""",
        )

    def stand_in(self, name: str, script: str) -> None:
        """Put a program first on the PATH."""
        program = self.programs / name
        program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
        program.chmod(0o755)

    def run(self, script: str, *arguments: str, cwd: Path = Path("/")) -> subprocess.CompletedProcess[str]:
        """Run one of the scripts from another folder, in an environment of its own."""
        environ = {"PATH": f"{self.programs}:/usr/bin:/bin", "CALLS": str(self.calls), "HOME": str(self.root)}
        command = [str(self.root / "scripts" / script), *arguments]
        return subprocess.run(
            command, cwd=cwd, env=environ, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    def called(self) -> list[str]:
        """Return what the stand-ins were asked for since the last time."""
        lines = self.calls.read_text(encoding="utf-8").splitlines()
        self.calls.write_text("")
        return lines


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    """Return a checkout where nothing was set up yet."""
    return Checkout(tmp_path)


def test_setup_a_second_time_finds_nothing_to_do(checkout: Checkout) -> None:
    first = checkout.run("setup")
    assert (first.returncode, first.stdout) == (0, "")
    [pip] = checkout.called()
    assert pip.startswith("-m pip install -q ")
    assert pip.endswith(" -c constraints.txt -e .")
    second = checkout.run("setup")
    assert (second.returncode, second.stderr, checkout.called()) == (0, "", [])


@pytest.mark.parametrize("file", ["pyproject.toml", "constraints.txt", "src/paypoll/__init__.py"])
def test_setup_after_a_change_brings_the_environment_up_to_date(checkout: Checkout, file: str) -> None:
    checkout.run("setup")
    checkout.called()
    with (checkout.root / file).open("a") as changed:
        changed.write("# changed\n")
    result = checkout.run("setup")
    assert "Making .venv" not in result.stderr
    assert len(checkout.called()) == 1


def test_setup_for_tests_adds_their_tools_once(checkout: Checkout) -> None:
    checkout.run("setup")
    assert checkout.called()[-1].endswith(" -e .")
    checkout.run("setup", "dev")
    assert checkout.called()[-1].endswith(" -e .[dev]")
    checkout.run("setup")
    assert checkout.called() == []


def test_setup_in_a_checkout_that_was_moved_makes_the_environment_anew(checkout: Checkout) -> None:
    checkout.run("setup")
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    assert "Making .venv" in checkout.run("setup").stderr


def test_setup_that_failed_is_done_again(checkout: Checkout) -> None:
    checkout.run("setup")
    checkout.called()
    constraints = (checkout.root / "constraints.txt").read_text()
    (checkout.root / "constraints.txt").write_text("changed\n")
    python = checkout.root / ".venv" / "bin" / "python"
    working = python.read_text()
    python.write_text('#!/bin/sh\n[ "$1" = -m ] && exit 1; exit 0\n')
    failed = checkout.run("setup")
    assert failed.returncode == 1
    assert "pip could not install the packages" in failed.stderr
    python.write_text(working)
    # Also when everything is as it was before: what was installed by then is not.
    (checkout.root / "constraints.txt").write_text(constraints)
    assert checkout.run("setup").returncode == 0
    assert len(checkout.called()) == 1


def test_setup_with_an_old_python_says_which_is_needed(checkout: Checkout) -> None:
    for name in ("python3", "python3.11", "python3.12", "python3.13", "python3.14"):
        checkout.stand_in(
            name, '[ "$1" = --version ] && echo Python 3.9.2 && exit; case "$2" in *version_info*) exit 1; esac'
        )
    result = checkout.run("setup")
    assert result.returncode == 1
    assert "Python 3.11 or later is needed; here is Python 3.9.2." in result.stderr
    assert not (checkout.root / ".venv").exists()


def test_setup_without_libraries_installs_those_and_no_more(checkout: Checkout) -> None:
    checkout.stand_in("ldconfig", "echo libpango-1.0.so.0")
    assert checkout.run("setup").returncode == 0
    packages = [call.rpartition("--no-install-recommends ")[2] for call in checkout.called() if " install " in call]
    assert packages[0] == "libpangoft2-1.0-0 libharfbuzz-subset0"


def test_setup_that_may_not_install_libraries_says_which_to_ask_for(checkout: Checkout) -> None:
    checkout.stand_in("ldconfig", "true")
    checkout.stand_in("apt-get", "echo no permission; exit 100")
    checkout.stand_in("sudo", "exit 1")
    result = checkout.run("setup")
    assert result.returncode == 1
    assert result.stderr.endswith("  apt-get install libpango-1.0-0 libpangoft2-1.0-0 libharfbuzz-subset0\n")
    assert checkout.called() == []


def test_setup_without_a_font_that_is_only_wished_for_goes_on(checkout: Checkout) -> None:
    checkout.stand_in("find", 'case "$*" in *DejaVu*) echo a-font.ttf; esac')
    checkout.stand_in("apt-get", "exit 100")
    checkout.stand_in("sudo", "exit 1")
    result = checkout.run("setup")
    assert result.returncode == 0
    assert "Going on without fonts-droid-fallback" in result.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_setup_in_a_folder_that_cannot_be_written_says_so(checkout: Checkout) -> None:
    checkout.root.chmod(0o555)
    result = checkout.run("setup")
    checkout.root.chmod(0o755)
    assert (result.returncode, "Cannot write to" in result.stderr) == (1, True)


def test_demo_through_a_link_passes_its_arguments_on(checkout: Checkout, tmp_path: Path) -> None:
    checkout.run("setup")
    checkout.called()
    link = tmp_path / "demo"
    link.symlink_to(checkout.root / "scripts" / "demo")
    environ = {"PATH": f"{checkout.programs}:/usr/bin:/bin", "CALLS": str(checkout.calls)}
    subprocess.run([str(link), "--keep", "a b"], cwd=tmp_path, env=environ, check=True)
    assert checkout.called() == ["paypoll demo --keep a b"]
