"""Back up paypoll's own tables, by hand and before each upgrade of them, and restore them."""

import os
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

import sqlalchemy as sa

import paypoll
from paypoll.admin.adopt import take_over_within
from paypoll.alerts.desk import AlertDesk
from paypoll.database import own_file, transaction
from paypoll.errors import CannotWriteError, RefusedError, SchemaError
from paypoll.shop.schema_check import schema_problems
from paypoll.state import backup as tables
from paypoll.state.audit import record
from paypoll.state.backup_file import Backup, Manifest, written_backup
from paypoll.state.memory import Lost, adopt, survey
from paypoll.state.runs import end_restored, run_history, run_under_way
from paypoll.state.since import reaches_back, refund_begun_since, written_since
from paypoll.state.unsure import hold_unsure
from paypoll.state.upgrade import HEAD, current_version, next_step, oldest_version, upgrade
from paypoll.state.whose_backup import why_of_another_shop

KEPT = 5
"""So many backups from before upgrades are kept in their folder; those made by hand are nobody's to remove."""

_SHARED = Path("/var/backups/paypoll")
_MARKS_ARE_MINUTES = timedelta(minutes=1)
_RUN_UNDER_WAY = timedelta(minutes=10)
_LONGEST_RUN = timedelta(hours=1)
_SQLITE_MEMBER = "paypoll.db"


@dataclass(frozen=True, slots=True)
class BackedUp:
    """A backup that was made. `removed`: older ones that were too many."""

    path: Path
    size: int
    manifest: Manifest
    removed: tuple[Path, ...] = ()


def find_folder(setting: Path | None, environ: Mapping[str, str]) -> Path:
    """Return where backups go if nobody says: the setting; else the service's own folder; else the one for all owners.

    The database's owner, who upgrades, may not write into the service's. Raise CannotWriteError when there is none.
    """
    if setting is not None:
        return setting
    if state := environ.get("STATE_DIRECTORY"):  # systemd's, for the service and for `sudo paypoll …`
        return Path(state.partition(":")[0], "backups")
    if os.access(_SHARED, os.W_OK | os.X_OK):
        return _SHARED
    home = environ.get("HOME", "")
    state = environ.get("XDG_STATE_HOME") or (f"{home}/.local/state" if Path(home).is_dir() else "")
    if not state.startswith("/"):
        raise CannotWriteError("there is no folder for backups; name one: --to FOLDER, or database.backup_folder")
    return Path(state, "paypoll", "backups")


def back_up(engine: sa.Engine, folder: Path, now: datetime, *, before: str = "") -> BackedUp:
    """Write a backup into the folder, named by time and version. `before`: the version that comes after it.

    Raise CannotWriteError when it could not be written; then nothing is left of it.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise CannotWriteError(f"{folder} cannot be made: {(error.strerror or str(error)).lower()}") from error
    with transaction(engine) as connection:
        version = current_version(connection)
    behind = f"-before-{before}" if before else ""
    path = _free_name(folder, f"paypoll-{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{version or 'none'}{behind}")
    with written_backup(path) as writer, transaction(engine) as connection:
        if engine.dialect.name == "postgresql":
            manifest = tables.back_up(connection, writer, now)
        else:
            manifest = _sqlite_manifest(connection, engine.url, now)
            with writer.member(_SQLITE_MEMBER) as file, closing(sqlite3.connect(own_file(engine.url))) as own:
                file.write(own.serialize())
            writer.describe(manifest)
    return BackedUp(path, path.stat().st_size, manifest, _thin_out(folder) if before else ())


def _free_name(folder: Path, name: str) -> Path:
    """Return where the backup goes: two may be made within a second, as by `backup` and by a `restore` after it."""
    names = (name, *(f"{name}-{number}" for number in range(2, 100)))
    paths = [folder / f"{one}.zip" for one in names]
    return next((path for path in paths if not path.exists()), paths[-1])


def upgrade_safely(
    engine: sa.Engine, find: Callable[[], Path] | None, now: datetime
) -> tuple[str | None, str, BackedUp | None]:
    """Upgrade the tables, after a backup if there are any of an older version. `find` returns its folder; None: none.

    Return the versions before and after, and the backup.
    """
    made = None
    with transaction(engine) as connection:
        version = current_version(connection)
    if find is not None and version is not None and version < HEAD:
        try:
            made = back_up(engine, find(), now, before=HEAD)
        except CannotWriteError as error:
            step = "nothing was upgraded; make room, name a folder by --backup-to, or say --no-backup"
            raise CannotWriteError(f"{error}; {step}") from error
    with transaction(engine) as connection:
        before, after = upgrade(connection)
    return before, after, made


def _thin_out(folder: Path) -> tuple[Path, ...]:
    """Remove the oldest backups from before upgrades. Their names begin with the time."""
    surplus = sorted(folder.glob("paypoll-*-before-*.zip"))[:-KEPT]
    for path in surplus:
        path.unlink(missing_ok=True)
    return tuple(surplus)


@dataclass(frozen=True, slots=True)
class Place:
    """What a backup would come into. `lost`: what paypoll did after it was made would be forgotten, until when.

    `unsure`: something was done since, or may have been, as nothing that is there goes back so far.
    """

    version: str | None
    filled: bool
    lost: Lost | None
    unsure: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a restore. `held`: mails that a person must look at, as they may have gone out."""

    restored: tables.Restored
    place: Place
    replaced: BackedUp | None
    held: int = 0


def look_at_place(engine: sa.Engine, backup: Backup, now: datetime) -> Place:
    """Return what the backup would come into.

    Raise RefusedError when it does not fit, or a run is under way, or a refund that the backup does not have.
    """
    tables.require_fitting(backup.manifest, engine.dialect.name)
    with transaction(engine) as connection:
        return _place(connection, backup.manifest, now)


def restore(
    engine: sa.Engine,
    backup: Backup,
    desk: AlertDesk,
    *,
    who: str,
    now: datetime,
    copy_to: Path | None,
    as_it_was: bool = False,
    shop_restored: bool = False,
) -> Outcome:
    """Put the backup in the place of paypoll's own tables, in one transaction, and bring them to this version.

    `copy_to`: where the records that are there are backed up first; None: there must be none. `as_it_was`: leave the
    tables at the backup's version, for the release that made it. `shop_restored`: it may know other orders by the
    shop's ids.
    """
    place = look_at_place(engine, backup, now)
    if place.filled and copy_to is None:
        raise RefusedError(
            "paypoll's own tables hold records: --replace backs them up and puts the backup in their place"
        )
    replaced = back_up(engine, copy_to, now) if place.filled and copy_to is not None else None
    target = backup.manifest.version if as_it_was else HEAD
    if engine.dialect.name != "postgresql":
        return Outcome(_put_sqlite_back(engine, backup, target), place, replaced)
    held = 0
    with transaction(engine) as connection:
        place = _place(connection, backup.manifest, now)  # once more: the backup took its time
        restored = tables.put_back(connection, backup, target=target)
        if target == HEAD and not shop_restored and not schema_problems(connection):
            _require_this_shops(connection)
        end_restored(connection, backup.manifest.taken_at - _RUN_UNDER_WAY)
        if place.unsure:
            held = hold_unsure(connection, now)
        if place.lost is not None:
            if target == HEAD:
                take_over_within(connection, place.lost, desk, who=who, now=now)
            else:
                adopt(connection, place.lost, host="", version=paypoll.__version__, now=now)
        of = f"{backup.manifest.taken_at:%Y-%m-%d %H:%M} UTC, version {backup.manifest.version}"
        record(connection, now=now, action="restored", actor=who, explanation=f"restored the backup of {of}")
    return Outcome(restored, place, replaced, held)


def _require_this_shops(connection: sa.Connection) -> None:
    if why := why_of_another_shop(connection):
        raise RefusedError(
            f"the backup is of another shop, and nothing was changed: {why}; if the shop was itself restored to an "
            "older moment, and has given ids out again, say --shop-restored"
        )


def _place(connection: sa.Connection, manifest: Manifest, now: datetime) -> Place:
    version = current_version(connection)
    if version is not None and version > HEAD:
        # What that one has made beside the tables that we know would stay, and be in its way.
        raise SchemaError(f"the tables are of version {version}: restore with the newer paypoll that made them")
    known, moments = False, []
    if version is not None and not next_step(connection, version):
        _require_quiet(connection, manifest, now)
        # Also the run that was under way when the backup was made. Idle ones have forgotten nothing.
        busy = run_history(connection, limit=1, since=manifest.taken_at - _LONGEST_RUN, idle=False)
        ends = [run.ended_at or run.started_at for run in busy]
        moments = [end for end in ends if end > manifest.taken_at]
        if connection.dialect.name == "postgresql":
            moments += written_since(connection, manifest, now)
        known = reaches_back(connection, manifest.taken_at)
    if manifest.taken_at > now:  # made under a clock that was ahead: what came after it cannot be told by dates
        moments.append(now)
    lost = None
    if connection.dialect.name == "postgresql" and not schema_problems(connection):
        lost = survey(connection, now)
        # What has a mark is on record, where the records reach back. Else the minute of the backup may be after it.
        if lost.newest_mark > manifest.taken_at + (_MARKS_ARE_MINUTES if known else timedelta(0)):
            moments.append(lost.newest_mark)
        lost = Lost(min(max(moments), now), lost.marked, lost.short) if moments else None
    return Place(version, tables.rows_there(connection), lost, unsure=bool(moments) or not known)


def _require_quiet(connection: sa.Connection, manifest: Manifest, now: datetime) -> None:
    """Raise RefusedError while something is under way that would go on with records that are not there any more."""
    if (run := run_under_way(connection, now, _RUN_UNDER_WAY)) is not None:
        raise RefusedError(
            f"a run has been under way on {run.host} since {run.started_at:%H:%M:%S} UTC: stop the "
            "timer (systemctl stop paypoll.timer paypoll.path), wait until it is over, and try again; one that was "
            f"killed counts as over at {run.started_at + _RUN_UNDER_WAY:%H:%M:%S} UTC"
        )
    if (number := refund_begun_since(connection, manifest, now)) is not None:
        raise RefusedError(
            f"a refund of order {number} is under way that the backup does not have, and would be forgotten: let it "
            f"end first (`paypoll run-once` looks at it; `paypoll inspect {number}` says how far it is)"
        )


def _sqlite_manifest(connection: sa.Connection, url: sa.URL, now: datetime) -> Manifest:
    version = current_version(connection)
    if version is None:
        raise SchemaError("paypoll's own tables are not there: there is nothing to back up")
    return Manifest(
        version=version,
        oldest=oldest_version(connection),
        dialect=connection.dialect.name,
        database=Path(url.database or "").name,
        paypoll=paypoll.__version__,
        taken_at=now,
        tables=tables.counted(connection),
    )


def _put_sqlite_back(engine: sa.Engine, backup: Backup, target: str) -> tables.Restored:
    """Copy the file's pages, which SQLite does whole or not at all; then upgrade them."""
    with (
        backup.member(_SQLITE_MEMBER) as file,
        closing(sqlite3.connect(":memory:")) as source,
        closing(sqlite3.connect(own_file(engine.url))) as own,
    ):
        source.deserialize(file.read())
        source.backup(own)
    if target > backup.manifest.version:
        with transaction(engine) as connection:
            upgrade(connection)
    return tables.Restored(target, backup.manifest.rows, (), ())


def spooled(file: IO[bytes]) -> IO[bytes]:
    """Return a copy of what cannot be read twice, such as standard input: a zip begins at its end."""
    import shutil
    import tempfile

    copy = tempfile.TemporaryFile()  # noqa: SIM115 - whoever gets it closes it
    shutil.copyfileobj(file, copy)
    copy.seek(0)
    return copy
