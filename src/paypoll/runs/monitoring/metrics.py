"""Numbers for Prometheus, as a file for the node exporter's textfile collector.

Its client library is loaded where the settings name a file, and nowhere else.
"""

import os
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

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
from paypoll.state.tables import outbox, run

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

log = structlog.get_logger(__name__)

_WENT_WELL = ("finished", "out_of_time")

Number = float | int


def write_metrics(path: Path | None, connection: sa.Connection, report: RunReport, latency: Latency) -> None:
    """Have the file written aside and renamed, so that nobody ever reads half of it. Without a path, nothing.

    A file that cannot be written is no reason to fail a run: it is logged.
    """
    if path is None:
        return
    from prometheus_client import CollectorRegistry, write_to_textfile

    registry = CollectorRegistry()
    _measure(_Gauges(registry), connection, report, latency)
    # The exporter is another user. Nothing else is at work in this process by now that would make files.
    umask = os.umask(0o022)
    try:
        write_to_textfile(str(path), registry)
    except OSError as error:
        log.warning("the metrics file cannot be written", file=str(path), error=error.strerror)
    finally:
        os.umask(umask)


class _Gauges:
    """Puts gauges into a registry: one number, or one for each value of a label."""

    def __init__(self, registry: "CollectorRegistry") -> None:
        self._registry = registry

    def set(self, name: str, text: str, value: Number) -> None:
        """Set a gauge."""
        from prometheus_client import Gauge

        Gauge(f"paypoll_{name}", text, registry=self._registry).set(value)

    def set_each(self, name: str, text: str, label: str, values: Mapping[str, Number]) -> None:
        """Set a gauge of a number a label. Without any number there is none."""
        from prometheus_client import Gauge

        if values:
            gauge = Gauge(f"paypoll_{name}", text, [label], registry=self._registry)
            for one, number in values.items():
                gauge.labels(one).set(number)


def _measure(gauges: _Gauges, connection: sa.Connection, report: RunReport, latency: Latency) -> None:
    gauges.set_each("build_info", "1, with the version that ran last.", "version", {paypoll.__version__: 1})
    _measure_backlog(gauges, connection, report)
    _measure_run(gauges, connection, report)
    answers = latency.answers()
    gauges.set_each("sumup_requests", "Requests of the last run to SumUp, by the kind of answer.", "answer", answers)
    quantiles = {f"{share:g}": seconds for share, seconds in latency.quantiles().items()}
    within = "Within what time SumUp answered in the last run."
    gauges.set_each("sumup_latency_seconds", within, "quantile", quantiles)


def _measure_backlog(gauges: _Gauges, connection: sa.Connection, report: RunReport) -> None:
    """Set what waits now."""
    from paypoll.state.findings import count_open
    from paypoll.state.told_payments import reviews_for_a_person  # a run without metrics does not load it

    waiting, oldest = connection.execute(
        sa.select(sa.func.count(), sa.func.min(readable(orders.c.created_at))).where(orders.c.status.in_(WAITING))
    ).one()
    age = (_ended(report) - oldest).total_seconds() if waiting else 0
    unsent, oldest_mail = connection.execute(
        sa.select(sa.func.count(), sa.func.min(outbox.c.created_at)).where(outbox.c.state.in_(UNSENT))
    ).one()
    mail_age = (_ended(report) - oldest_mail).total_seconds() if oldest_mail else 0
    gauges.set("orders_waiting", "Orders that wait for verification.", waiting)
    gauges.set("oldest_waiting_seconds", "Age of the oldest waiting order.", max(age, 0))
    gauges.set("mails_waiting", "Mails that are not sent yet.", unsent)
    gauges.set("oldest_mail_seconds", "Age of the oldest mail that is not sent yet.", max(mail_age, 0))
    # What `queue` lists, also a payment that came after a person had closed the review.
    reviews = reviews_for_a_person(connection)
    gauges.set("reviews_open", "Orders that a person must look at, as `paypoll queue` lists them.", len(reviews))
    findings = "What was told of money and is not settled, and what SumUp's ledger does not fit: `paypoll queue`."
    gauges.set("findings_open", findings, count_open(connection))


def _measure_run(gauges: _Gauges, connection: sa.Connection, report: RunReport) -> None:
    """Set how the last run went."""
    ended, counts = _ended(report), report.counts()
    well = report.ended in _WENT_WELL and not report.incomplete
    gauges.set("run_seconds", "How long the last run took.", report.duration.total_seconds())
    gauges.set("run_errors", "Orders that met an error in the last run.", len(report.order_errors))
    gauges.set("run_ended_timestamp_seconds", "When the last run ended.", ended.timestamp())
    gauges.set("run_success", "1 if the last run came to its end without an error.", int(well))
    # This run's row is written already, in the same transaction.
    success = connection.scalar(sa.select(sa.func.max(run.c.ended_at)).where(run.c.ended.in_(_WENT_WELL)))
    success_at = success.timestamp() if success else 0
    gauges.set("last_success_timestamp_seconds", "When a run last came to its end without an error.", success_at)
    outcomes = {one.value: counts.get(f"outcome_{one.value}", 0) for one in Outcome}
    gauges.set_each("run_orders", "Orders of the last run, by outcome.", "outcome", outcomes)
    gauges.set("run_tickets", "Tickets that the last run issued.", counts["tickets"])
    gauges.set("run_mails_sent", "Mails that the last run sent.", counts["mails_sent"])


def _ended(report: RunReport) -> datetime:
    return report.ended_at or report.started_at
