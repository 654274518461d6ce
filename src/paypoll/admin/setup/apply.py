"""Carries out what was answered: role, tables and rights, secrets and settings, folders, drop-ins; then looks at it."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from paypoll.admin.setup import units
from paypoll.admin.setup.database import make_role_and_tables, way_in_for_paypoll
from paypoll.admin.setup.media import NoMediaFolderError, look_at_media, prepare_media
from paypoll.admin.setup.places import GROUP, Places, group_of_service, write_file
from paypoll.admin.setup.session import Session
from paypoll.admin.setup.settings_file import with_values
from paypoll.settings.database_url import masked_url

_NOT_YET = frozenset({"timer", "last run"})
"""What `paypoll check` cannot find in order before the timer is started."""


def apply(session: Session, now: datetime) -> Iterator[str]:
    """Do it, a line for each thing that was done. Where a step fails, what is done stays done: again is harmless."""
    places = session.places
    if places.is_service and not units.is_installed():
        yield from units.install_units(now)
    yield from _lay_database(session)
    settings = session.draft.settings()
    yield from _write_secrets_and_settings(session, places, now)
    tickets, group = None, ""
    if folder := settings.tickets.media_folder:
        try:
            media = look_at_media(folder)
            yield from prepare_media(folder, group_of_service())
            tickets, group = media.tickets, media.group
        except NoMediaFolderError as error:
            yield f"but tickets.media_folder: {error}"
    if places.is_service:
        drop_in = units.folder_drop_in(settings, tickets, group)
        yield from units.write_drop_ins(drop_in, every_minute=session.every_minute, now=now)
    yield _remember(session, now)


def _lay_database(session: Session) -> Iterator[str]:
    there = session.database
    if there is None:
        return
    settings = session.draft.settings()
    refunds = settings.sumup.allow_refunds or settings.ledger.on_refund == "void"
    before, after = make_role_and_tables(there, refunds=refunds)
    yield f"database: schema {GROUP} of version {after} (was: {before or 'none'}), the role {GROUP} and its rights"
    known = session.draft.secrets.get(("database", "password"))
    as_user = GROUP if session.places.is_service else ""
    given = str(session.draft.get("database", "url"))
    url, password = way_in_for_paypoll(there, known, given=given, as_user=as_user)
    if given and url != given:
        yield f"but database.url was {masked_url(given)}: it does not lead the role {GROUP} into that database"
    session.draft.values["database", "url"] = url
    if password is None:
        session.draft.forget("database", "password")
        yield f"paypoll gets in as {GROUP}, without a password"
    else:
        session.draft.secrets["database", "password"] = password
        yield f"paypoll gets in as {GROUP}, with a password of its own"


def _write_secrets_and_settings(session: Session, places: Places, now: datetime) -> Iterator[str]:
    group = group_of_service()
    values = dict(session.draft.values)
    places.settings.parent.mkdir(parents=True, exist_ok=True)
    for key, secret in session.draft.secrets.items():
        (section, name), value, file = places.secret(key)
        if session.draft.kept_secrets.get(key) == secret and session.draft.kept[section].get(name) != value:
            continue  # the settings have it from somewhere else, where it stays
        values[section, name] = value
        # systemd reads a credential as root; a plain file is read by the user that runs are of.
        mode, shared = (0o600, None) if places.is_service else (0o640 if group else 0o600, group)
        yield write_file(file, secret.reveal() + "\n", mode, shared, now=now)
    without = {key for key in session.draft.without if key not in session.draft.secrets}
    text = with_values(session.draft.text, values, without)
    yield write_file(places.settings, text, 0o640 if group else 0o600, group, now=now)


def _remember(session: Session, now: datetime) -> str:
    """Keep where the shop is, for the next setup; and how its owner gets in by its name alone, for the next upgrade."""
    lines = [f"PAYPOLL_SHOP={session.shop}"]
    if (there := session.database) and there.way.as_user:
        lines += [f"PAYPOLL_AS={there.way.as_user}", f"PAYPOLL_DATABASE__URL={there.way.url.reveal()}"]
    return write_file(session.places.memory, "\n".join(lines) + "\n", 0o600, now=now)


def check(places: Places) -> tuple[list[dict[str, Any]], int]:
    """Run `paypoll check` as the service would. Return its findings but for the timer's, and their exit status."""
    done = _run(places, "check", "--json", capture=True)
    try:
        findings = json.loads(done.stdout)["findings"]
    except (ValueError, KeyError):
        return [], done.returncode or 1
    found = [one for one in findings if one["topic"] not in _NOT_YET]
    is_good = not any(one["mark"] == "PROBLEM" for one in found)
    return found, 0 if is_good else done.returncode


def dry_run(places: Places) -> int:
    """Show what the first run would do, and return the exit status."""
    return _run(places, "run-once", "--dry-run", capture=False).returncode


def _run(places: Places, *arguments: str, capture: bool) -> subprocess.CompletedProcess[str]:
    sys.stdout.flush()
    environ = {name: value for name, value in os.environ.items() if not name.startswith("PAYPOLL_")}
    program = [str(units.WRAPPER)]
    if not places.is_service:
        program = [sys.executable, "-m", "paypoll", "--config", str(places.settings)]
    return subprocess.run(  # noqa: S603 - ourselves
        [*program, *arguments],
        check=False,
        text=True,
        env=environ,
        cwd=Path("/"),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE if capture else None,
        stderr=None,
    )
