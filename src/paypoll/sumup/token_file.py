"""An access token kept for the next run, in a file that only its owner can read."""

import hashlib
import json
import os
import stat
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Final

import structlog

from paypoll.sumup import document
from paypoll.sumup.document import UnreadableError
from paypoll.sumup.transport import is_bearer

log = structlog.get_logger(__name__)

_LONGEST_FILE: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class StoredToken:
    """An access token. From `expires_at` (UTC) on it must not be used; the safety margin is taken off already."""

    value: str = field(repr=False)
    expires_at: datetime


class TokenFile:
    """Keeps one client's token for one SumUp. Losing it costs a request, so an error here never stops a run."""

    def __init__(self, folder: Path, *, base_url: str, client_id: str) -> None:
        # Hashed, so that a listing of the folder names no client, and a sandbox's token never goes to the real SumUp.
        key = hashlib.sha256(f"{base_url.rstrip('/')}\n{client_id}".encode()).hexdigest()[:32]
        self._path = folder / f"sumup-token-{key}.json"

    @property
    def path(self) -> Path:
        """Where the token is kept."""
        return self._path

    def load(self) -> StoredToken | None:
        """Return the stored token, None when there is none that can be used. It may have expired."""
        try:
            fields = document.parse(_read_private(self._path))
            if not isinstance(fields, dict):
                return None
            value, expires_at = fields["access_token"], datetime.fromisoformat(fields["expires_at"])
        except FileNotFoundError:
            return None
        except (OSError, UnreadableError, KeyError, TypeError, ValueError) as error:
            log.debug("sumup_token_file_ignored", path=str(self._path), problem=type(error).__name__)
            return None
        if not isinstance(value, str) or not is_bearer(value) or expires_at.tzinfo is None:
            return None
        return StoredToken(value, expires_at)

    def save(self, token: StoredToken) -> None:
        """Store the token in place of the last one, whole or not at all."""
        text = json.dumps({"access_token": token.value, "expires_at": token.expires_at.isoformat()})
        try:
            # mkstemp makes it 0600, so that the token is at no time readable by others.
            handle, name = tempfile.mkstemp(prefix=".sumup-token-", dir=self._path.parent)
        except OSError as error:
            log.warning("sumup_token_not_stored", path=str(self._path), problem=error.strerror)
            return
        try:
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(text)
            Path(name).replace(self._path)
        except OSError as error:
            log.warning("sumup_token_not_stored", path=str(self._path), problem=error.strerror)
            with suppress(OSError):
                Path(name).unlink()


def _read_private(path: Path) -> bytes:
    """Return the file's content. Raise OSError when it is a link, or others could have read or written it."""
    handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        found = os.fstat(file.fileno())
        if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise PermissionError("the token file is not private")
        return file.read(_LONGEST_FILE)
