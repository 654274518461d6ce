"""The dashboard: a page in `report.folder`, renewed at the end of runs.

A run must not fail for it, nor wait long: what goes wrong is logged, and what takes too long is given up. What makes
the page is loaded when there is one to make: most runs have nothing to do.
"""

from datetime import datetime, timedelta
from pathlib import Path

import sqlalchemy as sa
import structlog

from paypoll.database import transaction
from paypoll.settings.model import Settings

PAGE = "index.html"
_OLD = timedelta(hours=1)
"""After so long the page is renewed although no run did anything: days go by, and persons decide."""

_PATIENCE = timedelta(seconds=2)
"""For each statement."""

log = structlog.get_logger(__name__)


def renew_report(engine: sa.Engine, settings: Settings, now: datetime, *, changed: bool) -> bool:
    """Write the page anew if something has `changed`, or it is old or not there. Say whether it was written.

    Never raise: the run has done its work.
    """
    folder = settings.report.folder
    if folder is None or not (changed or is_old(folder / PAGE, now)):
        return False
    try:
        _write(engine, settings, folder, now)
    except Exception as error:  # noqa: BLE001 - a page to look at never stops a run, whatever it meets
        words = error.strerror if isinstance(error, OSError) else str(error)
        log.warning("the report cannot be renewed", folder=str(folder), error=f"{type(error).__name__}: {words}")
        return False
    return True


def is_old(page: Path, now: datetime) -> bool:
    """Say whether the page is not there, or was not renewed for an hour, or comes from the future."""
    try:
        written = page.stat().st_mtime
    except OSError:
        return True
    return abs(now.timestamp() - written) >= _OLD.total_seconds()


def _write(engine: sa.Engine, settings: Settings, folder: Path, now: datetime) -> None:
    from paypoll.report.files import make_folder, write_file
    from paypoll.report.load import load_facts
    from paypoll.report.page import render_page
    from paypoll.report.period import Period
    from paypoll.report.sums import sum_up

    period = Period(now - settings.report.since, now, settings.site.zone)
    with transaction(engine) as connection:
        if connection.dialect.name == "postgresql":
            limit = int(min(_PATIENCE, settings.database.statement_timeout).total_seconds() * 1000)
            connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{limit}'")
        report = sum_up(load_facts(connection, period), period, now)
    make_folder(folder)
    write_file(folder / PAGE, render_page(report, site_name=settings.site.name, language=settings.site.language))
