"""A recorded run: checked beforehand, written down in `run`, reported to monitoring, whatever happens in between."""

import socket
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError

import paypoll
from paypoll.alerts.mail_standstills import mail_standstills
from paypoll.database import busy_means_later, describe_error, transaction
from paypoll.errors import DatabaseUnavailableError, PaypollError, SettingsError
from paypoll.exitcodes import ExitCode
from paypoll.runs.clock_check import require_same_time
from paypoll.runs.monitoring.metrics import write_metrics
from paypoll.runs.monitoring.ping import Ping
from paypoll.runs.parts import RunParts
from paypoll.runs.report import RunReport
from paypoll.state.incidents import any_trouble
from paypoll.state.outbox import any_alert_failed
from paypoll.state.pauses import any_pause, pauses
from paypoll.state.runs import begin_run, end_run, new_run_id

Beside = Callable[[RunReport], AbstractContextManager[object]]

log = structlog.get_logger(__name__)

# Mostly nothing, which is asked in one statement.
_SOMETHING_MAY_NOT_GO_ON = sa.select(sa.or_(any_trouble(), any_alert_failed(), any_pause()))


def record_run(
    parts: RunParts,
    command: str,
    *,
    only: Sequence[int] = (),
    max_age: timedelta | None = None,
    accept_reviews: bool = False,
    beside: Beside = nullcontext,
) -> RunReport:
    """Do one run and return its report. `only` as in `Cycle.run`; `max_age` overrides the
    setting, for expiring by hand; `accept_reviews` turns the brake off (outcomes, row 48).

    `beside` gets the report, which fills while the run goes on, and is entered for as long.

    Raise SchemaError before anything is touched when the database is not as it should be, ClockError when its clock
    differs from this machine's, and DatabaseUnavailableError when it is out of reach or goes away in the middle:
    nothing is half-done then.
    """
    started = parts.clock.now()
    report = RunReport(run_id=new_run_id(started), started_at=started)
    ping = Ping(parts.settings.alerts.ping_url)
    with structlog.contextvars.bound_contextvars(run=report.run_id):
        ping.start()
        try:
            with busy_means_later():
                parts.require_ready()
                require_same_time(parts, report.run_id)
                _begin(parts, report, command)
                _post_digest(parts)
                with beside(report):
                    if only or not parts.is_idle():
                        parts.cycle(report.run_id, max_age=max_age, accept_reviews=accept_reviews).run(report, only)
                    _say_what_does_not_go_on(parts, report)
        except PaypollError as error:
            report.ended = "failed"
            log.critical("run failed", error=str(error), exit=int(error.exit_code))
            raise
        except BaseException:
            report.ended = "failed"
            raise
        finally:
            report.ended_at = parts.clock.now()
            _end(parts, report)
            _renew(parts, report)
            ping.end(ok=exit_code(report) == ExitCode.OK)
    return report


def exit_code(report: RunReport) -> ExitCode:
    """Return the exit status of a run that came to its end."""
    if report.ended == "failed":
        return ExitCode.TRY_LATER
    if report.incomplete:
        return ExitCode.INCOMPLETE
    if (
        report.held_back
        or report.sumup_halted
        or report.standstills
        or (report.delivered.halted and report.ended != "stopped")
    ):
        return ExitCode.TRY_LATER
    return ExitCode.OK


def _say_what_does_not_go_on(parts: RunParts, report: RunReport) -> None:
    """Look for what keeps mail from going on, also where this run had nothing to do, and say all of it in the log.

    And what a person has paused: a pause that somebody forgot keeps orders from going on, so every run names it.
    """
    with transaction(parts.engine) as connection:
        if connection.scalar(_SOMETHING_MAY_NOT_GO_ON):
            report.standstills += mail_standstills(connection, parts.settings.alerts.to, parts.clock.now())
            report.paused = pauses(connection)
    for standstill in report.standstills:
        log.critical("standstill", what=standstill)
    for one in report.paused:
        log.warning("paused", what=one.words, by=one.by_whom, since=one.since.isoformat(), reason=one.reason)


def _post_digest(parts: RunParts) -> None:
    if (at := parts.settings.alerts.digest_at) is not None:
        from paypoll.alerts.digest import post_digest

        with transaction(parts.engine) as connection:
            post_digest(connection, parts.desk, at, parts.clock.now())


def _begin(parts: RunParts, report: RunReport, command: str) -> None:
    with transaction(parts.engine) as connection:
        begin_run(
            connection,
            report.run_id,
            command=command,
            host=socket.gethostname(),
            version=paypoll.__version__,
            now=report.started_at,
        )


def _end(parts: RunParts, report: RunReport) -> None:
    """Write down how the run ended. The database may be gone: then the row stays open, which says as much."""
    counts = report.counts()
    log.info("run ended", ended=report.ended, seconds=round(report.duration.total_seconds(), 3), **counts)
    try:
        with transaction(parts.engine) as connection:
            ended = "incomplete" if report.ended == "finished" and report.incomplete else report.ended
            end_run(connection, report.run_id, ended=ended, counts=counts, now=report.ended_at or report.started_at)
            write_metrics(parts.settings.metrics.textfile, connection, report, parts.latency)
    except (DatabaseUnavailableError, SettingsError, SQLAlchemyError) as error:
        log.warning("the end of the run could not be written down", error=describe_error(error))


def _renew(parts: RunParts, report: RunReport) -> None:
    """Renew the page in `report.folder`, if there is one: after runs that came to their end, and had the time."""
    if parts.settings.report.folder is None or report.ended != "finished" or parts.stop():
        return
    from paypoll.report.renewal import renew_report

    counts = report.counts()
    changed = any(number for name, number in counts.items() if name not in {"orders", "outcome_unchanged"})
    renew_report(parts.engine, parts.settings, report.ended_at or report.started_at, changed=changed)
