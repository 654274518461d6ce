"""Numbers for Prometheus, as a file for the node exporter's textfile collector."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa
import structlog

import paypoll
from paypoll.database import readable
from paypoll.payments.decision import Outcome
from paypoll.payments.order_statuses import WAITING
from paypoll.runs.monitoring.latency import Latency
from paypoll.runs.report import RunReport
from paypoll.shop.tables import orders
from paypoll.state.outbox import UNSENT
from paypoll.state.resolutions import count_open_reviews
from paypoll.state.tables import outbox, run

log = structlog.get_logger(__name__)

_WENT_WELL = ("finished", "out_of_time")

Number = float | int


def write_metrics(path: Path | None, connection: sa.Connection, report: RunReport, latency: Latency) -> None:
    """Write the file aside and rename it, so that nobody ever reads half of it. Without a path, nothing.

    A file that cannot be written is no reason to fail a run: it is logged.
    """
    if path is None:
        return
    text = "".join(_lines(connection, report, latency))
    aside = None
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
            aside = Path(file.name)
            file.write(text)
        aside.chmod(0o644)
        aside.replace(path)
    except OSError as error:
        log.warning("the metrics file cannot be written", file=str(path), error=error.strerror)
        if aside is not None:
            # A timer would else leave one more file in every run.
            with suppress(OSError):
                aside.unlink()


def _lines(connection: sa.Connection, report: RunReport, latency: Latency) -> Iterator[str]:
    yield from _gauge("build_info", "1, with the version that ran last.", {f'version="{paypoll.__version__}"': 1})
    yield from _backlog_lines(connection, report)
    yield from _run_lines(connection, report)
    answers = {f'answer="{kind}"': number for kind, number in latency.answers().items()}
    yield from _gauge("sumup_requests", "Requests of the last run to SumUp, by the kind of answer.", answers)
    quantiles = {f'quantile="{share:g}"': seconds for share, seconds in latency.quantiles().items()}
    yield from _gauge("sumup_latency_seconds", "Within what time SumUp answered in the last run.", quantiles)


def _backlog_lines(connection: sa.Connection, report: RunReport) -> Iterator[str]:
    """Yield what waits now."""
    waiting, oldest = connection.execute(
        sa.select(sa.func.count(), sa.func.min(readable(orders.c.created_at))).where(orders.c.status.in_(WAITING))
    ).one()
    age = (_ended(report) - oldest).total_seconds() if waiting else 0
    unsent, oldest_mail = connection.execute(
        sa.select(sa.func.count(), sa.func.min(outbox.c.created_at)).where(outbox.c.state.in_(UNSENT))
    ).one()
    mail_age = (_ended(report) - oldest_mail).total_seconds() if oldest_mail else 0
    yield from _gauge("orders_waiting", "Orders that wait for verification.", waiting)
    yield from _gauge("oldest_waiting_seconds", "Age of the oldest waiting order.", max(age, 0))
    yield from _gauge("mails_waiting", "Mails that are not sent yet.", unsent)
    yield from _gauge("oldest_mail_seconds", "Age of the oldest mail that is not sent yet.", max(mail_age, 0))
    yield from _gauge("reviews_open", "Orders that a person must look at.", count_open_reviews(connection))


def _run_lines(connection: sa.Connection, report: RunReport) -> Iterator[str]:
    """Yield how the last run went."""
    ended, counts = _ended(report), report.counts()
    well = report.ended in _WENT_WELL and not report.incomplete
    yield from _gauge("run_seconds", "How long the last run took.", report.duration.total_seconds())
    yield from _gauge("run_errors", "Orders that met an error in the last run.", len(report.order_errors))
    yield from _gauge("run_ended_timestamp_seconds", "When the last run ended.", ended.timestamp())
    yield from _gauge("run_success", "1 if the last run came to its end without an error.", int(well))
    # This run's row is written already, in the same transaction.
    success = connection.scalar(sa.select(sa.func.max(run.c.ended_at)).where(run.c.ended.in_(_WENT_WELL)))
    success_at = success.timestamp() if success else 0
    yield from _gauge("last_success_timestamp_seconds", "When a run last came to its end without an error.", success_at)
    outcomes = {f'outcome="{one.value}"': counts.get(f"outcome_{one.value}", 0) for one in Outcome}
    yield from _gauge("run_orders", "Orders of the last run, by outcome.", outcomes)
    yield from _gauge("run_tickets", "Tickets that the last run issued.", counts["tickets"])
    yield from _gauge("run_mails_sent", "Mails that the last run sent.", counts["mails_sent"])


def _ended(report: RunReport) -> datetime:
    return report.ended_at or report.started_at


def _gauge(name: str, text: str, value: Number | Mapping[str, Number]) -> Iterator[str]:
    """Yield a metric: one number, or one for each label. Without any number there is nothing to yield."""
    if value == {}:
        return
    yield f"# HELP paypoll_{name} {text}\n# TYPE paypoll_{name} gauge\n"
    if not isinstance(value, Mapping):
        yield f"paypoll_{name} {value}\n"
        return
    for label, number in value.items():
        yield f"paypoll_{name}{{{label}}} {number}\n"
