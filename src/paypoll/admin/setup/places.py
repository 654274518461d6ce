"""Where settings and secrets go, and how a file is written: at once, and never without a copy of what was there."""

import grp
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from paypoll.admin.setup.settings_file import Key
from paypoll.settings.load import SYSTEM_FILE

SYSTEMD = Path("/run/systemd/system")
GROUP = "paypoll"
_CREDENTIALS = Path("/etc/credstore")


@dataclass(frozen=True, slots=True)
class Places:
    """`is_service`: systemd is to run paypoll, with credentials. Else secrets lie beside the settings."""

    settings: Path
    is_service: bool

    @property
    def credentials(self) -> Path:
        """The folder of the secrets' files."""
        return _CREDENTIALS if self.is_service else self.settings.parent

    @property
    def memory(self) -> Path:
        """The file that remembers what the settings have no key for."""
        return self.settings.with_name("setup.env")

    def secret(self, key: Key) -> tuple[Key, str, Path]:
        """Return how the settings name this secret, by which key and value, and the file to keep it in."""
        section, name = key
        if self.is_service:
            credential = f"{section}_{name}"
            return (section, f"{name}_credential"), credential, _CREDENTIALS / f"paypoll.{credential}"
        file = self.settings.parent / f"{section}_{name}"
        return (section, f"{name}_file"), str(file), file


def places_for(config: Path | None) -> Places:
    """Return the places for the settings file of this name; None: /etc/paypoll/config.toml, and the service's."""
    if config is not None and config != SYSTEM_FILE:
        return Places(config.absolute(), is_service=False)
    return Places(SYSTEM_FILE, is_service=SYSTEMD.is_dir())


def group_of_service() -> int | None:
    """Return the id of the group that runs are of; None where there is none, or we may not give files to it."""
    try:
        return grp.getgrnam(GROUP).gr_gid if os.geteuid() == 0 else None
    except KeyError:
        return None


def write_file(file: Path, text: str, mode: int, group: int | None = None, *, now: datetime) -> str:
    """Write a file in one instant, and return what was done in words. What was there before is copied beside it.

    Where the text is the same, only its rights are set.
    """
    copy: Path | None = None
    try:
        old = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        old = None
    except UnicodeDecodeError:
        old = ""
    if old == text:
        _give(file, mode, group)
        return f"{file} is as it was"
    if old is not None:
        # By this ending systemd, logrotate and bash know what is none of theirs.
        copy = file.with_name(f"{file.name}.{now:%Y%m%d-%H%M%S}.bak")
        shutil.copy2(file, copy)
        _give(copy, min(mode, stat.S_IMODE(file.stat().st_mode)), group)
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=file.parent, delete=False) as aside:  # mode 0600
        aside.write(text)
        aside.flush()
        os.fsync(aside.fileno())
    _give(Path(aside.name), mode, group)
    Path(aside.name).replace(file)
    return f"{file} written (mode {mode:03o})" + (f"; what was there is in {copy.name}" if copy else "")


def _give(file: Path, mode: int, group: int | None) -> None:
    if group is not None:
        os.chown(file, -1, group)
    file.chmod(mode)
