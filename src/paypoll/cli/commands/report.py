"""`paypoll report`."""

from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from paypoll.cli.moments import MomentType, asked_span
from paypoll.cli.opening import opened_app
from paypoll.cli.options import SCHEMA, NamedPath, json_option, verbose_option
from paypoll.cli.render.screen import json_text, show, show_paged

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from paypoll.report.period import Period


@click.command("report")
@click.option("--since", type=MomentType(), help="Its beginning: so long ago, or a day. Else report.since [7d].")
@click.option("--until", type=MomentType(), help="Its end: so long ago, or a day, which is included. Else now.")
@click.option("--html", "page", type=NamedPath(dir_okay=False), help="Write it as one HTML file, with plots.")
@click.option("--csv", "folder", type=NamedPath(file_okay=False), help="Write it into a folder, as CSV files.")
@json_option
@verbose_option
@click.pass_context
def report_command(
    context: click.Context,
    *,
    since: timedelta | date | None,
    until: timedelta | date | None,
    page: Path | None,
    folder: Path | None,
    as_json: bool,
    verbose: bool,
) -> int:
    """Sum up a period: orders, money in and back, how long tickets took, cases, and bad hours.

    Money is listed by organiser and event, to the penny. No customer's name, address or order number is in any of it.
    The HTML file needs nothing else, in a browser of any width; with report.folder, runs keep one up to date.

    \b
    Examples:
      paypoll report
      paypoll report --since 30d --html report.html
      paypoll report --since 2026-11-01 --until 2026-11-30 --csv november
    """
    from paypoll.errors import CannotWriteError
    from paypoll.exitcodes import ExitCode
    from paypoll.report.build import build_report
    from paypoll.report.document import document
    from paypoll.state.upgrade import require_ready

    with opened_app(context, verbose=verbose, read_only=True) as app:
        require_ready(app.engine)
        site, now = app.settings.site, app.clock.now()
        asked = app.settings.report.since if since is None else since
        period = asked_period(asked, until, site.zone, now)
        report = build_report(app.engine, period, now)
    written = []
    try:
        if page is not None:
            from paypoll.report.files import write_file
            from paypoll.report.page import render_page

            write_file(page, render_page(report, site_name=site.name, language=site.language))
            written.append(page)
        if folder is not None:
            from paypoll.report.files import write_tables

            written += write_tables(folder, report)
    except OSError as error:
        raise CannotWriteError(f"cannot write {error.filename or page or folder}: {error.strerror}") from error
    if as_json:
        show(json_text({"schema": SCHEMA, **document(report)}))
    elif written:
        show(map(str, written))
    else:
        from paypoll.cli.render.report import report_parts

        show_paged(report_parts(report, site.name))
    return ExitCode.OK


def asked_period(since: timedelta | date, until: timedelta | date | None, zone: "ZoneInfo", now: datetime) -> "Period":
    """Return the period that was asked for, as `asked_span` has it. Raise UsageError where no report is so long."""
    from paypoll.report.period import LONGEST, Period

    begin, end = asked_span(since, until, zone, now)
    if end - begin > LONGEST:
        raise click.UsageError(f"a report is about {LONGEST.days} days at most")
    return Period(begin, end, zone)
