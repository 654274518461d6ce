"""The file of a backup: a zip with what it is of (`manifest.json`) and a member for each table's rows.

It is written aside with mode 0600 and gets its name when it is whole and on the disk. Nothing of it is trusted when it
is read: names from it are only looked up among those that the database has.
"""

import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from paypoll.errors import CannotWriteError, RefusedError

FORMAT = 1
_MANIFEST = "manifest.json"
_PRIVATE = 0o600


@dataclass(frozen=True, slots=True)
class BackedUpTable:
    """A table in the file. `last_id` is the last that its sequence has given out; None where it has no sequence."""

    name: str
    columns: tuple[str, ...]
    rows: int
    last_id: int | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """A right that a role had. `kind` is SCHEMA, TABLE or SEQUENCE; no `column`: on the whole; no `role`: PUBLIC."""

    kind: str
    name: str
    column: str | None
    role: str | None
    right: str
    grantable: bool = False


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a backup is of. `version` and `oldest` are the two numbers of the schema (`state.upgrade`)."""

    version: str
    oldest: str
    dialect: str
    database: str
    paypoll: str
    taken_at: datetime
    tables: tuple[BackedUpTable, ...] = ()
    grants: tuple[Grant, ...] = ()

    @property
    def rows(self) -> int:
        """How many rows there are in all."""
        return sum(table.rows for table in self.tables)


class BackupWriter:
    """Puts members into a backup that is being written."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive

    @contextmanager
    def member(self, name: str) -> Iterator[IO[bytes]]:
        """Give a file to write a member to. It may grow beyond 4 GB."""
        with self._archive.open(name, "w", force_zip64=True) as file:
            yield file

    def describe(self, manifest: Manifest) -> None:
        """Write what the backup is of, at its end."""
        document = {"format": FORMAT, **asdict(manifest), "taken_at": manifest.taken_at.isoformat()}
        self._archive.writestr(_MANIFEST, json.dumps(document, indent=1))


@contextmanager
def written_backup(path: Path) -> Iterator[BackupWriter]:
    """Give what a backup is written with; at the end it has its name.

    Raise CannotWriteError, leaving nothing behind.
    """
    aside = path.with_name(f".{path.name}.part")
    try:
        if path.exists():
            raise CannotWriteError(f"{path} is there already, and a backup is never overwritten")
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _PRIVATE), "wb") as file:  # noqa: PTH123
            try:
                with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=6) as archive:
                    yield BackupWriter(archive)
                file.flush()
                os.fsync(file.fileno())
                aside.rename(path)
            except BaseException:
                aside.unlink(missing_ok=True)
                raise
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise CannotWriteError(f"the backup could not be written to {path.parent}: {why}") from error


class Backup:
    """A backup that is there to be read."""

    def __init__(self, archive: zipfile.ZipFile, manifest: Manifest) -> None:
        self._archive = archive
        self.manifest = manifest

    @contextmanager
    def member(self, name: str) -> Iterator[IO[bytes]]:
        """Give a member to be read. Raise RefusedError when there is none."""
        try:
            file = self._archive.open(name)
        except KeyError:
            raise RefusedError(f"the backup is not whole: it has no {name}") from None
        with file:
            yield file


@contextmanager
def opened_backup(file: IO[bytes], name: str) -> Iterator[Backup]:
    """Give the backup in this file, after all of it was read once.

    Raise RefusedError when it is none, or is damaged.
    """
    try:
        archive = zipfile.ZipFile(file)
        manifest = _manifest(json.loads(archive.read(_MANIFEST)))
        damaged = archive.testzip()
    except (zipfile.BadZipFile, EOFError, KeyError, TypeError, ValueError) as error:
        raise RefusedError(f"{name} is no backup of paypoll's, or is damaged: {error}") from None
    if damaged is not None:
        raise RefusedError(f"{name} is damaged: {damaged} is not what was written")
    with archive:
        yield Backup(archive, manifest)


def _manifest(document: dict[str, Any]) -> Manifest:
    if document.pop("format") != FORMAT:
        raise RefusedError("the backup has another format: restore it with the paypoll that made it")
    tables = tuple(BackedUpTable(**{**table, "columns": tuple(table["columns"])}) for table in document.pop("tables"))
    grants = tuple(Grant(**grant) for grant in document.pop("grants"))
    taken_at = datetime.fromisoformat(document.pop("taken_at"))
    return Manifest(**document, taken_at=taken_at, tables=tables, grants=grants)
