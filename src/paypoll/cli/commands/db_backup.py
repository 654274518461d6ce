"""`paypoll db backup` and `paypoll db restore`."""

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paypoll.cli.asking import ask, yes_option
from paypoll.cli.opening import opened_app
from paypoll.cli.options import SCHEMA, NamedPath, json_option
from paypoll.cli.person import person
from paypoll.cli.render.screen import json_text, show
from paypoll.cli.render.words import numbered, wrapped

if TYPE_CHECKING:
    from paypoll.admin.backup import BackedUp, Outcome, Place
    from paypoll.state.backup_file import Manifest

_folder = NamedPath(file_okay=False)


@click.command("backup")
@click.option("--to", "folder", type=_folder, help="The folder to write to. Else database.backup_folder.")
@json_option
@click.pass_context
def backup_command(context: click.Context, *, folder: Path | None, as_json: bool) -> None:
    """Back up paypoll's own tables into a file, with the rights on them; print its path.

    All is as it was at one moment; runs may go on. The file has customers' names and addresses, so that only who made
    it may read it (mode 0600), and is named by its time and the tables' version. `paypoll db restore` reads it; the
    shop's own tables are not in it.

    Where this machine's clock and the database's differ, none is made (exit status 75): a restore tells by its date
    what has happened since.

    \b
    Examples:
      paypoll db backup
      paypoll db backup --to /srv/backups
    """
    from paypoll.admin.backup import back_up, find_folder
    from paypoll.runs.clock_check import refuse_other_time

    with opened_app(context, quiet=True, read_only=True) as app:
        refuse_other_time(app.engine, app.clock, app.settings.database.clock_tolerance)
        where = folder or find_folder(app.settings.database.backup_folder, os.environ)
        made = back_up(app.engine, where.absolute(), app.clock.now())
    if as_json:
        show(json_text({"schema": SCHEMA, **backup_document(made)}))
        return
    manifest = made.manifest
    show([str(made.path)])
    what = f"{numbered(manifest.rows, 'row')} of {numbered(len(manifest.tables), 'table')}, " if manifest.tables else ""
    show([f"{what}version {manifest.version}, {_size(made.size)}"], err=True)


def backup_document(made: "BackedUp") -> dict[str, Any]:
    """Return a backup for --json."""
    manifest = made.manifest
    return {
        "path": str(made.path),
        "bytes": made.size,
        "version": manifest.version,
        "rows": {table.name: table.rows for table in manifest.tables},
        "removed": [str(path) for path in made.removed],
    }


@click.command("restore")
@click.argument("file", type=NamedPath(dir_okay=False, allow_dash=True))
@click.option("--replace", is_flag=True, help="Where there are records: back them up, then put these in their place.")
@click.option("--to", "folder", type=_folder, help="Where those are backed up. Else database.backup_folder.")
@click.option(
    "--as-it-was", is_flag=True, help="Leave the tables at the backup's version, for the older release that made it."
)
@click.option(
    "--shop-restored", is_flag=True, help="The shop was restored to an older moment, and has given ids out again."
)
@click.option("--by", metavar="NAME", help="Who decides. Else whoever called sudo, or is logged in.")
@yes_option
@json_option
@click.pass_context
def restore_command(
    context: click.Context, *, file: Path, replace: bool, folder: Path | None, as_it_was: bool, shop_restored: bool,
    by: str | None, yes: bool, as_json: bool,
) -> None:  # fmt: skip
    """Restore paypoll's own tables from a FILE of `paypoll db backup` (- is standard input). Run it as their owner.

    It is one transaction: all of it, or nothing. Tables that hold records are replaced only with --replace, and are
    backed up first. Rows of an older version are brought to this one. Roles get back the rights that they had.

    If paypoll has been at work in this shop since the backup was made, those records are lost: what is said then is
    what `paypoll db adopt` says, and it is asked. Mail to customers that waited is not sent by itself then
    (`paypoll mail list`), and a refund that was only intended is looked for at SumUp, and not sent. The same where
    nothing that is there goes back to when the backup was made. While a run is under way, or a refund that the backup
    does not have, it is refused; and where most of its newest orders are others in this shop, as then it is another's.

    \b
    Examples:
      paypoll db restore /var/backups/paypoll/paypoll-20261126T104512Z-0008.zip
      paypoll db restore --replace --yes - <paypoll-20261126T104512Z-0008.zip
    """
    from paypoll.admin.backup import find_folder, look_at_place, restore, spooled
    from paypoll.errors import NotFoundError, RefusedError
    from paypoll.runs.clock_check import refuse_other_time
    from paypoll.state.backup_file import opened_backup

    try:
        source = spooled(sys.stdin.buffer) if str(file) == "-" else file.open("rb")
    except FileNotFoundError:
        raise NotFoundError(f"there is no file {file}") from None
    except OSError as error:
        raise RefusedError(f"{file} cannot be read: {(error.strerror or str(error)).lower()}") from None
    with source, opened_backup(source, str(file)) as backup, opened_app(context, quiet=True) as app:
        refuse_other_time(app.engine, app.clock, app.settings.database.clock_tolerance)
        now = app.clock.now()
        place = look_at_place(app.engine, backup, now)
        copy_to = None
        if replace:
            copy_to = (folder or find_folder(app.settings.database.backup_folder, os.environ)).absolute()
        elif place.filled:
            raise RefusedError(
                "paypoll's own tables hold records: --replace backs them up and puts the backup in their place"
            )
        if not as_json or not yes:
            show(_before_lines(backup.manifest, place), err=as_json)
        ask("Restore it?", yes=yes)
        done = restore(
            app.engine, backup, app.desk, who=person(by, os.environ), now=now, copy_to=copy_to, as_it_was=as_it_was,
            shop_restored=shop_restored,
        )  # fmt: skip
    show(_restored_json(backup.manifest, done) if as_json else _restored_lines(backup.manifest, done))


def _before_lines(manifest: "Manifest", place: "Place") -> list[str]:
    lines = wrapped(
        f"The backup of {manifest.taken_at:%Y-%m-%d %H:%M} UTC has {numbered(manifest.rows, 'row')} of version "
        f"{manifest.version}, from the database {manifest.database}.",
        0,
    )
    if place.filled:
        lines += wrapped("The records that are there now are backed up, and replaced.", 0)
    if place.lost is not None:
        lines += wrapped(
            f"paypoll was at work in this shop until {place.lost.newest_mark:%Y-%m-%d %H:%M} UTC: what it did after "
            "the backup will not be on record. Orders from before that prove paid and lack tickets go to review; mail "
            "to customers that waits in the backup is not sent by itself.",
            0,
        )
    elif place.unsure:
        lines += wrapped(
            "Whether paypoll was at work in this shop after the backup is not on record: mail to customers that waits "
            "in it is not sent by itself.",
            0,
        )
    return lines


def _restored_lines(manifest: "Manifest", done: "Outcome") -> list[str]:
    from paypoll.state.upgrade import HEAD

    restored = done.restored
    lines = [f"Restored {numbered(restored.rows, 'row')}; the tables are of version {restored.version}."]
    if done.replaced is not None:
        lines.append(f"What was there: {done.replaced.path}")
    if restored.left_out:
        lines += wrapped(f"Not paypoll's, and left out: {', '.join(restored.left_out)}", 0)
    if restored.missing_roles:
        lines += wrapped(f"Not on this server, and without rights: the roles {', '.join(restored.missing_roles)}", 0)
    if restored.missing_roles or restored.version > manifest.version:
        lines.append("Now give paypoll's role its rights: paypoll db grants | psql --set ON_ERROR_STOP=1 shop")
    if done.held:
        # Which the older release, that the tables are left for, cannot show.
        where = "" if restored.version == HEAD else "none of them leaves by itself, and a newer version shows them: "
        lines += wrapped(f"{numbered(done.held, 'mail')} may have gone out before: {where}`paypoll mail list`", 0)
    return lines


def _restored_json(manifest: "Manifest", done: "Outcome") -> str:
    lost = done.place.lost
    document = {
        "schema": SCHEMA,
        "taken_at": manifest.taken_at,
        "from_version": manifest.version,
        **asdict(done.restored),
        "replaced": str(done.replaced.path) if done.replaced else None,
        "lost_until": lost.newest_mark if lost else None,
        "mails_held": done.held,
    }
    return json_text(document)


def _size(size: int) -> str:
    return f"{size / 2**20:.1f} MB" if size >= 2**20 else f"{size / 2**10:.0f} kB"
