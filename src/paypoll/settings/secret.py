"""Secrets: a value that is never printed, and the four ways of giving one.

A secret setting such as `sumup.api_key` may be written as

    api_key = "…"                       the value itself; the settings file must not be readable by everyone
    api_key_file = "/path"              a file that holds it, not readable by everyone
    api_key_env = "NAME"                an environment variable that holds it
    api_key_credential = "name"         a systemd credential (LoadCredential=name:/path)

The group may read such files: that is how a service's settings are usually shared with its user.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

from paypoll.settings.text import require_one_line

CREDENTIALS = Path("/etc/credstore")
"""Where the units take credentials from: LoadCredential=NAME:paypoll.NAME."""

WAYS = ("file", "env", "credential")
_MOST_BYTES = 64 * 1024
_OTHERS = stat.S_IROTH | stat.S_IWOTH


class Secret:
    """A text that is never shown: str, repr and format give `***`. Only `reveal` tells it.

    `origin` is the file or variable that it came from, as the operator knows it; empty: the settings themselves.
    """

    __slots__ = ("_value", "origin")

    def __init__(self, value: str, origin: str = "") -> None:
        self._value = value
        self.origin = origin

    def reveal(self) -> str:
        """Return the secret itself; call it only where it is sent to the service it is for."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"

    def __str__(self) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return self._value == other._value if isinstance(other, Secret) else NotImplemented

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> Any:
        raise TypeError("a secret is not written to disk or sent to another process")

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Let a model take a Secret, or a text that becomes one."""
        del source, handler
        return core_schema.no_info_plain_validator_function(_usable, serialization=core_schema.to_string_ser_schema())


def _usable(value: object) -> Secret:
    secret = Secret(value) if isinstance(value, str) else value
    if not isinstance(secret, Secret):
        raise ValueError("must be text in quotes")  # noqa: TRY004 - pydantic collects ValueErrors, not TypeErrors
    if not secret.reveal():
        raise ValueError("is empty")
    # A line break would end a header or a command of SMTP early, and libraries quote the value when they refuse it.
    require_one_line(secret.reveal())
    return secret


def read_secret(way: str, where: object, environ: Mapping[str, str]) -> Secret:
    """Return the secret that is kept in a `file`, an `env` variable or a systemd `credential`.

    Raise ValueError with a sentence that names the place and never the value.
    """
    if not isinstance(where, str) or not where:
        raise ValueError("must be text in quotes, and not empty")
    if way == "env":
        return Secret(_not_empty(_from_environment(where, environ), f"${where}"), f"${where}")
    if way == "file":
        path = Path(where)
        if not path.is_absolute():
            raise ValueError(f"{where} must be an absolute path")
        return Secret(_not_empty(_from_file(path), where), where)
    folder = environ.get("CREDENTIALS_DIRECTORY", "")
    if not folder:
        raise ValueError("$CREDENTIALS_DIRECTORY is not set: systemd sets it for the service only (LoadCredential=)")
    if "/" in where or where in {".", ".."}:
        raise ValueError(f"{where} must be the plain name of a credential")
    # systemd alone decides who may read its credentials, by access lists that the mode bits do not tell.
    path, known = Path(folder, where), str(CREDENTIALS / f"paypoll.{where}")
    if not path.exists():  # systemd says nothing of one that it did not find
        raise ValueError(f"there is no credential {where}: put it into {known}, for root alone (mode 0600)")
    return Secret(_not_empty(_from_file(path, private=False), known), known)


def _from_environment(name: str, environ: Mapping[str, str]) -> str:
    value = environ.get(name)
    if value is None:
        raise ValueError(f"the environment variable {name} is not set")
    return value


def _from_file(path: Path, *, private: bool = True) -> str:
    try:
        # Not blocking, because opening a FIFO would wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise ValueError(f"there is no file {path}") from None
    except (OSError, ValueError) as error:
        raise ValueError(f"cannot read {path}: {_reason(error)}") from None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            raise ValueError(f"{path} is not a file")
        if private and mode & _OTHERS:
            raise ValueError(f"{path} is open to everyone on this machine; run: chmod o-rwx '{path}'")
        content = os.read(descriptor, _MOST_BYTES + 1)
    finally:
        os.close(descriptor)
    if len(content) > _MOST_BYTES:
        raise ValueError(f"{path} is too large for a secret")
    text = _decoded(content)
    if text is None:
        raise ValueError(f"{path} is not UTF-8 text")
    # Editors and `echo` end a file with one newline; it is not part of the secret.
    return text.removesuffix("\r\n") if text.endswith("\r\n") else text.removesuffix("\n")


def _decoded(content: bytes) -> str | None:
    # A function of its own, so that no exception is chained to the UnicodeDecodeError: that one carries the content.
    try:
        return content.decode()
    except UnicodeDecodeError:
        return None


def _not_empty(value: str, place: str) -> str:
    if not value:
        raise ValueError(f"{place} is empty")
    return value


def _reason(error: OSError | ValueError) -> str:
    return (error.strerror or str(error)).lower() if isinstance(error, OSError) else "it is not a path"
