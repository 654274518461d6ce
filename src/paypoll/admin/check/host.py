"""This machine: the settings file, the folders that paypoll writes to, and the timer."""

import os
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path

from paypoll.admin.check.result import CheckResult, advice, fine, skipped, wrong
from paypoll.settings.addresses import is_placeholder
from paypoll.settings.model import Settings
from paypoll.templates import missing_folders

_TIMER = "paypoll.timer"
_RELOAD = "systemctl daemon-reload && systemctl"
_PATIENCE = 10.0
"""Seconds that systemctl gets."""

_LEAST_FREE = 100 * 2**20
"""Bytes: a ticket's files take about a tenth of a megabyte."""

_FEWEST_FILES = 1000
"""A disk can be full of files while there is room: tickets have two each."""

_LONGEST_PAUSE = timedelta(hours=1)
"""No drop-in of ours lets a timer wait for longer."""

_TICKET_FOLDERS = ("tickets/pdfs", "tickets/qr_codes")


def check_settings(settings: Settings) -> Iterator[CheckResult]:
    """Look at the settings file; that its keys and secrets are sound is why we got here."""
    source = settings.source
    if source is None:
        yield fine("settings", "all from the environment; there is no settings file")
        return
    mode = stat.S_IMODE(source.stat().st_mode)
    given = (settings.database.password, settings.sumup.api_key, settings.sumup.client_secret, settings.mail.password)
    origins = [secret.origin for secret in given if secret is not None and secret.origin]
    secrets = f"; secrets from {', '.join(origins)}" if origins else ""
    yield fine("settings", f"{source} (mode {mode:03o}){secrets}")


def check_placeholders(settings: Settings, host_zone: tzinfo | None = None) -> Iterator[CheckResult]:
    """Look for what the example file says and no shop means. `host_zone`: this machine's, if not as it is set."""
    given = {
        "site.base_url": (settings.site.base_url,),
        "site.support_email": (settings.site.support_email,),
        "mail.host": (settings.mail.host,),
        "mail.sender": (settings.mail.sender,),
        "mail.reply_to": (settings.mail.reply_to,),
        "alerts.to": settings.alerts.to,
        "alerts.ping_url": (settings.alerts.ping_url,),
    }
    for key, values in given.items():
        if value := next((one for one in values if one and is_placeholder(one)), None):
            yield wrong("settings", f"{key} is {value}: that is the example's, and nobody's", f"correct {key}")
    if settings.site.time_zone == "UTC":
        # Both halves of the year: a winter's check must not pass where summer time is kept.
        offsets = {datetime(2026, month, 1, 12, tzinfo=UTC).astimezone(host_zone).utcoffset() for month in (1, 7)}
        if offsets != {timedelta(0)}:
            text = "site.time_zone is UTC, and this machine's is not: tickets and mails would show other times"
            yield wrong("settings", text, 'set site.time_zone to the shop\'s, such as "Europe/Jersey"')


def check_folders(settings: Settings) -> Iterator[CheckResult]:
    """Try to write where runs write: the shop's media folder, and the folders of log, metrics, token and report."""
    media = settings.tickets.media_folder
    if media is None:
        text = (
            "tickets.media_folder is not set: tickets go out by mail alone, and when the shop saves a ticket without a "
            "QR picture, at the first scan at the latest, it makes one of its own that its scanner rejects"
        )
        yield advice("media folder", text, "set tickets.media_folder to the shop's media folder")
    else:
        # Runs write into these alone; what is above them is written to make what is missing. The guide's installation
        # lets the service into the folder `tickets` and no further.
        folders = dict.fromkeys(_there_below(media, media / name) for name in _TICKET_FOLDERS)
        for folder in folders:
            yield _writable("media folder", folder, "tickets.media_folder")
    log_file, metrics = settings.logging.file, settings.metrics.textfile
    folders_of = {
        "logging.file": log_file.parent if log_file else None,
        "metrics.textfile": metrics.parent if metrics else None,
        "sumup.token_cache": settings.sumup.token_cache,
        "report.folder": _there_or_above(settings.report.folder),
    }
    for key, place in folders_of.items():
        if place is not None:
            yield _writable(key, place, key)
    for problem in missing_folders(settings):
        yield wrong("template folder", problem, "make the folder, or take the setting out")
    if os.geteuid() == 0:
        yield advice("user", "root can read and write everything", "run the check as paypoll's own user, to be sure")


def check_timer(*, systemd: Path = Path("/run/systemd/system")) -> Iterator[CheckResult]:
    """Ask systemd whether the timer starts with the machine and is running. `systemd` is there where systemd runs."""
    if not systemd.is_dir() or shutil.which("systemctl") is None:
        yield skipped("timer", "systemd does not run here; something else must start `paypoll run-once`")
        return
    enabled, active = _ask_systemd("is-enabled"), _ask_systemd("is-active")
    if enabled == "enabled" and active == "active" and (stale := _stale_timer(datetime.now(UTC))):
        yield wrong("timer", *stale)
    elif enabled == "enabled" and active == "active":
        yield fine("timer", f"{_TIMER} is enabled and active")
    elif enabled == "enabled":
        yield wrong("timer", f"{_TIMER} is enabled, but {active}", f"systemctl start {_TIMER}")
    else:
        yield wrong("timer", f"{_TIMER} is {enabled}", f"systemctl enable --now {_TIMER}")


def _stale_timer(now: datetime) -> tuple[str, str] | None:
    """Return what is wrong with a timer that is on, and the next step: it waits for a wrong time, or is an old one."""
    properties = "--property=NextElapseUSecRealtime,NeedDaemonReload"
    said = dict(line.partition("=")[::2] for line in _systemctl("show", "--timestamp=unix", properties).splitlines())
    if said.get("NeedDaemonReload") == "yes":
        return (f"{_TIMER} has changed on the disk, and systemd has the old one", f"{_RELOAD} restart {_TIMER}")
    following = said.get("NextElapseUSecRealtime", "").removeprefix("@")
    if not following.isdecimal():
        return None  # none while the service is running, or words of another systemd
    wait = datetime.fromtimestamp(int(following), UTC) - now
    if timedelta(minutes=-2) < wait < _LONGEST_PAUSE:
        return None
    when = f"{datetime.fromtimestamp(int(following), UTC):%Y-%m-%d %H:%M} UTC"
    return (f"{_TIMER} is on, and fires next at {when}: was a clock set?", f"systemctl restart {_TIMER}")


def _there_below(top: Path, folder: Path) -> Path:
    """Return the folder, or the lowest one above it that is there; at most `top`, be it there or not."""
    return folder if folder == top or folder.is_dir() else _there_below(top, folder.parent)


def _there_or_above(folder: Path | None) -> Path | None:
    """Return the folder, or the one that it will be made in."""
    return folder if folder is None or folder.is_dir() else folder.parent


def _writable(topic: str, folder: Path, key: str) -> CheckResult:
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except FileNotFoundError:
        return wrong(topic, f"there is no folder {folder}", f"make it, or correct {key}; is a disk not mounted?")
    except OSError as error:
        user = os.geteuid()
        text = f"{folder} cannot be written by user id {user}: {(error.strerror or str(error)).lower()}"
        return wrong(topic, text, "let paypoll's user write there, and look for a full or read-only disk")
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    if free < _LEAST_FREE:
        text = f"{folder} can be written, but only {free // 2**20} MB are free"
        return wrong(topic, text, "make room on that disk: tickets, logs and metrics are written there")
    if disk.f_files and disk.f_favail < _FEWEST_FILES:
        text = f"{folder} can be written, but its disk takes only {disk.f_favail} more files (inodes)"
        return wrong(topic, text, "remove small files on that disk that nobody needs")
    return fine(topic, f"{folder} can be written, {free / 2**30:.1f} GB free")


def _ask_systemd(question: str) -> str:
    """Return systemd's one word about the timer: enabled, active, disabled, not-found ..."""
    return _systemctl(question).strip() or "unknown"


def _systemctl(*words: str) -> str:
    """Return what systemd says about the timer; nothing where it cannot be asked."""
    try:
        answer = subprocess.run(  # noqa: S603 - our own words
            ["systemctl", *words, _TIMER],  # noqa: S607 - where it is differs between distributions
            capture_output=True,
            text=True,
            check=False,
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout
