"""The shop's folder: where its settings are, its environment, and its own `manage.py diffsettings`.

paypoll runs as root here, and the folder is somebody else's. So a file is read only where it is a plain one within
the folder, wherever links lead; and the shop's code is run by nobody but its owner, in a process of its own.
"""

import ast
import os
import pwd
import re
import signal
import stat
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from paypoll.admin.setup.django_settings import Module
from paypoll.admin.setup.expressions import Expressions, TooMuchError

_MOST_BYTES = 256 * 1024
_MOST_PRINTED = 1024 * 1024
_PATIENCE = 30.0
"""Seconds that the shop's own `manage.py` gets."""

_UNITS = Path("/etc/systemd/system")
_PYTHONS = ("venv", ".venv", "env", ".env", "virtualenv")
_NAMED = re.compile(r"""DJANGO_SETTINGS_MODULE['"]\s{0,9}[,\]]\s{0,99}=?\s{0,99}['"]([\w.]+)['"]""")
_NOBODY = 65534


class NoShopError(Exception):
    """There is no Django project in the folder. The sentence says what was looked for."""


class ShopFolder:
    """A Django project's folder. `units`: where systemd's units are, one of which may run it."""

    def __init__(self, folder: Path, *, units: Path = _UNITS) -> None:
        try:
            self._folder = folder.resolve(strict=True)
        except OSError as error:
            raise NoShopError(f"{folder}: {(error.strerror or str(error)).lower()}") from None
        places = [self._folder, *sorted(self._folder.glob("*/"))[:100]]
        found = next((place for place in places if (place / "manage.py").is_file()), None)
        if found is None:
            raise NoShopError(f"there is no manage.py in {folder}, nor in a folder of it; where is the shop's?")
        self._project = found
        self._units = units

    @property
    def owner(self) -> int:
        """The user id of whoever owns the shop's code; never root's."""
        return (self._project / "manage.py").stat().st_uid or _NOBODY

    @cached_property
    def environ(self) -> dict[str, str]:
        """The shop's environment, from a file `.env` and from the unit of systemd that runs it."""
        found: dict[str, str] = {}
        for place in (self._folder, self._project):
            found |= variables_of(self._text(place / ".env") or "")
        for text in self._unit_texts():
            for line in re.findall(r"(?m)^Environment=(.*)$", text):
                found |= variables_of("\n".join(re.findall(r'"[^"]*"|\S+', line)), strip='"')
            for line in re.findall(r"(?m)^EnvironmentFile=-?(\S+)$", text):
                with suppress(OSError, UnicodeDecodeError):  # root's own unit says so: no stranger chose this path
                    found |= variables_of(Path(line).read_text(encoding="utf-8"))
        return found

    def settings_module(self) -> str:
        """Return the dotted name of the settings that the shop runs with; empty if nothing names them."""
        if named := self.environ.get("DJANGO_SETTINGS_MODULE"):
            return named if re.fullmatch(r"[\w.]+", named) else ""
        # The web server's before the one that people work with.
        for file in (*sorted(self._project.glob("*/wsgi.py"))[:10], self._project / "manage.py"):
            if match := _NAMED.search(self._text(file) or ""):
                return match[1]
        return ""

    def read(self, name: str) -> Module | None:
        """Return a module of the shop by its dotted name."""
        parts = name.split(".")
        if not all(part.isidentifier() for part in parts):
            return None
        place = self._project.joinpath(*parts)
        for file in (place / "__init__.py", place.with_suffix(".py")):
            if (text := self._text(file)) is not None:
                return Module(text, PurePosixPath(file))
        return None

    def ask_django(self, module: str) -> dict[str, Any]:
        """Return what the shop's own `manage.py diffsettings` prints, run as the shop's owner; nothing if it fails."""
        if os.geteuid() not in {0, self.owner}:
            return {}
        environ = {
            **self.environ,
            "DJANGO_SETTINGS_MODULE": module,
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "PYTHONDONTWRITEBYTECODE": "1",
            "LC_ALL": "C.UTF-8",
        }
        # What it prints goes into a file, which must not fill the disk.
        limited = ["/bin/sh", "-c", f'ulimit -f {_MOST_PRINTED // 512}; exec "$@"', "sh"]
        command = [*limited, self._python(), "manage.py", "diffsettings", "--all"]
        return values_of(_printed(command, self._project, environ, self.owner))

    def _python(self) -> str:
        places = [place / name / "bin/python" for place in (self._project, self._folder) for name in _PYTHONS]
        for text in self._unit_texts():
            places += [Path(path, "python") for path in re.findall(r"(?m)^ExecStart=(/\S+)/[^/\s]+(?:\s|$)", text)]
        return next((str(place) for place in places if place.exists()), "/usr/bin/python3")

    def _unit_texts(self) -> list[str]:
        texts = []
        for file in sorted(self._units.glob("*.service"))[:500]:
            with suppress(OSError, UnicodeDecodeError):
                texts.append(file.read_text(encoding="utf-8"))
        here = re.compile(rf"(?m)^(?:WorkingDirectory|ExecStart)=.*{re.escape(str(self._folder))}(?:/|\s|$)")
        return [text for text in texts if here.search(text)]

    def _text(self, file: Path) -> str | None:
        """Return what a file of the shop holds; None where it is not there, not plain, too large, or elsewhere."""
        try:
            # Not blocking, because opening a FIFO would wait for a writer.
            descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError):
            return None
        try:
            # Of what was opened, not of the name: that may lead elsewhere in a moment.
            place = Path(f"/proc/self/fd/{descriptor}").readlink()
            if not stat.S_ISREG(os.fstat(descriptor).st_mode) or not place.is_relative_to(self._folder):
                return None
            content = os.read(descriptor, _MOST_BYTES + 1)
            return content.decode() if len(content) <= _MOST_BYTES else None
        except (OSError, UnicodeDecodeError):
            return None
        finally:
            os.close(descriptor)


def variables_of(text: str, *, strip: str = "") -> dict[str, str]:
    """Return the variables that a file such as `.env` sets."""
    found = {}
    for line in text.splitlines():
        name, equals, value = (line.strip(strip) if strip else line).partition("=")
        name, value = name.strip().removeprefix("export ").strip(), value.strip()
        if not equals or not name.isidentifier():
            continue
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        else:
            value = re.split(r"\s#", value, maxsplit=1)[0].rstrip()
        found[name] = value
    return found


def values_of(printed: str) -> dict[str, Any]:
    """Return the settings that `diffsettings` printed, a line each: `NAME = repr`, with ### where it is a default."""
    found: dict[str, Any] = {}
    expressions = Expressions({}, {})
    for line in printed.splitlines():
        match = re.fullmatch(r"[+\- ]?\s*([A-Z][A-Z0-9_]*) = (.*?)(?:  ###)?", line)
        if match is None:
            continue
        with suppress(SyntaxError, ValueError, RecursionError, MemoryError, TooMuchError):
            found[match[1]] = expressions.value(ast.parse(match[2], mode="eval").body)
    return found


def _printed(command: list[str], folder: Path, environ: Mapping[str, str], user: int) -> str:
    """Run a command of the shop as its owner, and return what it printed; nothing if it fails."""
    as_root = os.geteuid() == 0
    try:
        group = pwd.getpwuid(user).pw_gid
    except KeyError:
        group = _NOBODY
    with tempfile.TemporaryFile() as output:
        try:
            process = subprocess.Popen(  # noqa: S603 - run as the shop's own user
                command,
                cwd=folder,
                env=dict(environ),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
                user=user if as_root else None,
                group=group if as_root else None,
                extra_groups=[] if as_root else None,
            )
        except OSError:
            return ""
        try:
            code = process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with what it has started: the session is its own
            code = process.wait()
        output.seek(0)
        return output.read(_MOST_PRINTED).decode(errors="replace") if code == 0 else ""
