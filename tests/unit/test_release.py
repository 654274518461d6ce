"""scripts/release refuses what is no release before it changes or builds anything."""

# The programs started here are the project's own script, and git on a folder of the test's own.
# ruff: noqa: S603, S607

import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILES = {
    "src/paypoll/__init__.py": '__version__ = "0.1.0"\n',
    "CHANGELOG.md": "# Changelog\n\n## [Unreleased]\n\n- Something.\n\n## [0.1.0] - 2026-01-01\n\n- All.\n",
    "scripts/setup": "#!/bin/sh\necho set up >>.git/called\nexit 1\n",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clean checkout of a project with a changelog, whose scripts/setup ends the matter."""
    for name, text in {**FILES, "scripts/release": (ROOT / "scripts" / "release").read_text(encoding="utf-8")}.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)
    git(tmp_path, "init", "--quiet")
    commit(tmp_path)
    return tmp_path


def git(folder: Path, *arguments: str) -> str:
    """Run git there, as somebody made up and with nobody's settings."""
    who = {
        f"GIT_{role}_{what}": "nobody@shop.example" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    environ = {**os.environ, **who, "GIT_CONFIG_GLOBAL": "/dev/null"}
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], env=environ, check=True, capture_output=True, text=True
    ).stdout


def commit(folder: Path) -> None:
    """Commit everything."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "A state of things")


def release(folder: Path, *arguments: str) -> str:
    """Run the script, which must fail, and return what it says."""
    done = subprocess.run([folder / "scripts" / "release", *arguments], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
    return done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "Usage: "),
        (("0.2",), "Usage: "),
        (("v0.2.0",), "Usage: "),
        (("--dry-run",), "Usage: "),
        (("0.1.0",), "This is version 0.1.0 already"),
        (("0.0.9",), "This is version 0.1.0 already"),
    ],
)
def test_release_of_what_is_no_later_version_is_refused(checkout: Path, arguments: tuple[str, ...], said: str) -> None:
    assert said in release(checkout, *arguments)
    assert not (checkout / ".git" / "called").exists()


def test_release_of_what_the_version_is_on_the_way_to_is_later(checkout: Path) -> None:
    (checkout / "src/paypoll/__init__.py").write_text('__version__ = "0.2.0.dev0"\n', encoding="utf-8")
    commit(checkout)
    assert "0.1.9 is not later" in release(checkout, "0.1.9")
    release(checkout, "0.2.0")
    assert (checkout / ".git" / "called").exists()


def test_release_with_changes_that_are_not_committed_is_refused(checkout: Path) -> None:
    (checkout / "new").touch()
    assert "not committed" in release(checkout, "--dry-run", "0.2.0")


def test_release_with_nothing_in_the_changelog_is_refused(checkout: Path) -> None:
    changelog = checkout / "CHANGELOG.md"
    changelog.write_text(changelog.read_text(encoding="utf-8").replace("- Something.\n", ""), encoding="utf-8")
    commit(checkout)
    assert "nothing under [Unreleased]" in release(checkout, "0.2.0")


def test_release_under_a_tag_that_is_there_is_refused(checkout: Path) -> None:
    git(checkout, "tag", "v0.2.0")
    assert "a tag v0.2.0 already" in release(checkout, "0.2.0")


def test_release_that_is_fit_goes_on_to_the_setup_and_leaves_the_checkout_alone(checkout: Path) -> None:
    assert release(checkout, "0.10.0") == ""
    assert (checkout / ".git" / "called").exists()
    assert git(checkout, "status", "--porcelain") == ""
