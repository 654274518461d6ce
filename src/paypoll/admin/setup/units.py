"""systemd's part: the units and what goes with them, drop-ins for folders, and the timer."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from paypoll.admin.setup.places import write_file
from paypoll.settings.model import Settings

WRAPPER = Path("/usr/local/sbin/paypoll")
_UNITS = Path("/etc/systemd/system")
_FAILURE = Path("/opt/paypoll/bin/report-failure")
_PROGRAM = "/opt/paypoll/.venv/bin/paypoll"
_COMPLETION = Path("/etc/bash_completion.d/paypoll")
_OWN_FOLDERS = tuple(map(Path, ("/var/lib/paypoll", "/var/cache/paypoll", "/var/log/paypoll")))
_HOMES = tuple(map(Path, ("/home", "/root", "/run/user")))
_PATIENCE = 300.0
_BY_SETUP = "# Written by `paypoll setup`"

_FILES = (
    ("paypoll-by-hand", WRAPPER, 0o755),
    ("report-failure", _FAILURE, 0o755),
    ("paypoll.sysusers", Path("/etc/sysusers.d/paypoll.conf"), 0o644),
    ("paypoll.tmpfiles", Path("/etc/tmpfiles.d/paypoll.conf"), 0o644),
    ("paypoll.logrotate", Path("/etc/logrotate.d/paypoll"), 0o644),
    *((name, _UNITS / name, 0o644) for name in ("paypoll.service", "paypoll.timer")),
    *((name, _UNITS / name, 0o644) for name in ("paypoll-failure.service", "paypoll.path")),
)
_EVERY_MINUTE = tuple(
    (f"every-minute/paypoll.{kind}.conf", _UNITS / f"paypoll.{kind}.d/every-minute.conf")
    for kind in ("timer", "service")
)


class HostError(Exception):
    """A command of this machine failed, or something is not there. The sentence says which, and its last words."""


@dataclass(frozen=True, slots=True)
class Installed:
    """A file to be installed: its text, where it goes, and its mode."""

    file: Path
    text: str
    mode: int


def share_folder() -> Path:
    """Return the folder with units, manual and example: of the checkout that we run from, else beside the program."""
    checkout = Path(__file__).resolve().parents[4]
    places = (checkout, Path(sys.prefix, "share", "paypoll"))
    found = next((place for place in places if (place / "systemd" / "paypoll.service").is_file()), None)
    if found is None:
        raise HostError(f"there is no {places[-1]}: install paypoll anew, the package carries it")
    return found


def units_of(share: Path, program: Path) -> Iterator[Installed]:
    """Return the files of a whole installation, for this program."""
    if any(program.is_relative_to(home) for home in _HOMES):
        raise HostError(
            f"{program} is below a home folder, which services do not see; install it into /opt/paypoll/.venv"
        )
    for name, file, mode in _FILES:
        text = (share / "systemd" / name).read_text(encoding="utf-8")
        yield Installed(file, text.replace(_PROGRAM, str(program)), mode)
    manual = (share / "docs" / "paypoll.1").read_text(encoding="utf-8")
    yield Installed(Path("/usr/local/share/man/man1/paypoll.1"), manual, 0o644)


def install_units(now: datetime) -> list[str]:
    """Install the units, the user, the folders, the manual and the Tab key. Return what was done in words."""
    program = Path(sys.prefix, "bin", "paypoll")
    if Path(_PROGRAM).exists() and Path(_PROGRAM).resolve() == program.resolve():
        program = Path(_PROGRAM)  # the link, which stays the same over upgrades
    done = [_install(one, now) for one in units_of(share_folder(), program)]
    completion = command([str(program)], {"_PAYPOLL_COMPLETE": "bash_source"})
    done.append(_install(Installed(_COMPLETION, completion, 0o644), now))
    for words in (
        ["systemd-sysusers"],
        ["systemd-tmpfiles", "--create", "paypoll.conf"],
        ["systemctl", "daemon-reload"],
    ):
        command(words)
        done.append(" ".join(words))
    return done


def folder_drop_in(settings: Settings, tickets: Path | None, group: str) -> str:
    """Return the drop-in that lets the service write where the settings say; empty where it need not be let in."""
    folders = [tickets] if tickets else []
    places = (settings.metrics.textfile, settings.logging.file)
    folders += [file.parent for file in places if file is not None]
    folders += [settings.report.folder] if settings.report.folder else []
    outside = [folder for folder in folders if not any(folder.is_relative_to(own) for own in _OWN_FOLDERS)]
    if not outside and not group:
        return ""
    lines = [
        f"{_BY_SETUP}: folders outside of its own that runs write to. Yours go into another.",
        "[Service]",
    ]
    lines += [f"ReadWritePaths={_unit_path(folder)}" for folder in dict.fromkeys(outside)]
    at_home = [folder for folder in dict.fromkeys(outside) if any(folder.is_relative_to(home) for home in _HOMES)]
    if at_home:
        # Of the home folders it sees these alone.
        lines += ["ProtectHome=tmpfs", *(f"BindPaths={_unit_path(folder)}" for folder in at_home)]
    lines += [f"SupplementaryGroups={group}"] if group else []
    return "\n".join(lines) + "\n"


def write_drop_ins(folders: str, *, every_minute: bool, now: datetime) -> list[str]:
    """Write the drop-ins, or take away those that are not wanted, and have systemd read them."""
    done = []
    file = _UNITS / "paypoll.service.d/folders.conf"
    if file.exists() and not file.read_text(encoding="utf-8", errors="replace").startswith(_BY_SETUP):
        # Made by hand, as the guide of 0.1.0 had it: systemd adds up the two, and its own comes last.
        file = file.with_name("10-folders.conf")
    if folders:
        done.append(_install(Installed(file, folders, 0o644), now))
    for name, target in _EVERY_MINUTE:
        if every_minute:
            text = (share_folder() / "systemd" / name).read_text(encoding="utf-8")
            done.append(_install(Installed(target, text, 0o644), now))
        elif target.exists():
            target.unlink()
            done.append(f"{target} taken away")
    command(["systemctl", "daemon-reload"])
    return done


def is_every_minute() -> bool:
    """Say whether runs start every minute as things are."""
    return _EVERY_MINUTE[0][1].exists()


def start_timer() -> list[str]:
    """Enable the timer and start it anew, in case its times have changed."""
    command(["systemctl", "enable", "--quiet", "paypoll.timer"])
    command(["systemctl", "restart", "paypoll.timer"])
    return ["paypoll.timer is enabled and active"]


def is_installed() -> bool:
    """Say whether the units, the wrapper and the user's folder are there."""
    return all(file.exists() for _, file, _ in _FILES)


def command(words: list[str], environ: dict[str, str] | None = None) -> str:
    """Run a command of this machine and return what it prints. Raise HostError if it fails."""
    try:
        done = subprocess.run(  # noqa: S603 - our own words
            words,
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=_PATIENCE,
            env={**os.environ, **(environ or {})},
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise HostError(f"{words[0]} cannot be run: {error}") from None
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()
        raise HostError(f"`{' '.join(words)}` failed (status {done.returncode}): {' '.join(last[-2:])}")
    return done.stdout


def _install(one: Installed, now: datetime) -> str:
    one.file.parent.mkdir(parents=True, exist_ok=True)
    return write_file(one.file, one.text, one.mode, now=now)


def _unit_path(path: Path) -> str:
    """Return a path as systemd's units have it: in quotes if need be, and without a specifier."""
    text = str(path).replace("%", "%%")
    if re.fullmatch(r"[\w./%+@:-]+", text, re.ASCII):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
