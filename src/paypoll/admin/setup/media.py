"""The shop's media folder: paypoll puts tickets into `tickets/` of it, and the shop goes on using that.

paypoll works here as root in a folder of somebody else's: no link is followed, and what is opened is what is changed.
"""

import grp
import os
import stat
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

FOLDERS = ("pdfs", "qr_codes")
_TICKETS = "tickets"
_OWN_GROUP_TOO = stat.S_ISGID | stat.S_IRWXG
_SYSTEM = tuple(map(Path, ("/bin", "/boot", "/dev", "/etc", "/lib", "/proc", "/run", "/sbin", "/sys", "/usr")))


class NoMediaFolderError(Exception):
    """The folder is none that tickets may be put into. The sentence says why."""


@dataclass(frozen=True, slots=True)
class Media:
    """`tickets`: the folder to let the service into. `group`: the one that it needs for that; empty: none."""

    tickets: Path
    group: str


def look_at_media(folder: Path) -> Media:
    """Return what is needed to put tickets there. Raise NoMediaFolderError."""
    real = _resolved(folder)
    if real == Path("/") or any(real.is_relative_to(place) for place in _SYSTEM):
        raise NoMediaFolderError(f"{folder} is a folder of the system's")
    gid = real.stat().st_gid
    try:
        group = grp.getgrgid(gid).gr_name if gid else ""
    except KeyError:
        group = str(gid)
    return Media(real / _TICKETS, group)


def prepare_media(folder: Path, own_group: int | None) -> list[str]:
    """Make `tickets` and its folders, and let the media folder's group write there. Return what was done in words.

    The group is the media folder's; where that is root's, `own_group`. An ordinary user only makes what is missing.
    """
    gid = _resolved(folder).stat().st_gid or own_group
    uid = _resolved(folder).stat().st_uid
    done: list[str] = []
    opened = _Folder(os.open(folder, os.O_DIRECTORY | os.O_CLOEXEC), folder)
    with closing(opened) as media, closing(media.inner(_TICKETS, uid, gid, done)) as tickets:
        for name in FOLDERS:
            tickets.inner(name, uid, gid, done).close()
    return done


class _Folder:
    """A folder that is open."""

    def __init__(self, descriptor: int, path: Path) -> None:
        self._descriptor = descriptor
        self._path = path

    def close(self) -> None:
        os.close(self._descriptor)

    def inner(self, name: str, uid: int, gid: int | None, done: list[str]) -> "_Folder":
        """Open a folder in it, made if it is not there, that its group may write to."""
        path = self._path / name
        made = False
        with suppress(FileExistsError):
            os.mkdir(name, 0o755, dir_fd=self._descriptor)
            made = True
        try:
            flags = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(name, flags, dir_fd=self._descriptor)
        except OSError:
            raise NoMediaFolderError(f"{path} is a link or no folder; make it a folder") from None
        if os.geteuid() == 0:
            status = os.fstat(descriptor)
            mode = stat.S_IMODE(status.st_mode) | _OWN_GROUP_TOO
            changed = (status.st_gid, stat.S_IMODE(status.st_mode)) != (gid, mode)
            if changed or made:
                os.fchown(descriptor, uid if made else -1, -1 if gid is None else gid)
                os.fchmod(descriptor, mode)
                done.append(f"{path} {'made' if made else 'given to its group'} (mode {mode:04o})")
        elif made:
            done.append(f"{path} made")
        return _Folder(descriptor, path)


def _resolved(folder: Path) -> Path:
    try:
        real = folder.resolve(strict=True)
    except (OSError, RuntimeError):
        raise NoMediaFolderError(f"there is no folder {folder}") from None
    if not real.is_dir():
        raise NoMediaFolderError(f"{folder} is no folder")
    return real
