"""Numbers for Prometheus, as a file for the node exporter's textfile collector."""

import tempfile
from pathlib import Path

import sqlalchemy as sa
import structlog

from paypoll.report import RunReport
from paypoll.shop.tables import orders
from paypoll.state.resolutions import count_open_reviews
from paypoll.state.tables import outbox
from paypoll.statuses import WAITING

log = structlog.get_logger(__name__)


def write_metrics(path: Path | None, connection: sa.Connection, report: RunReport) -> None:
    """Write the file aside and rename it, so that nobody ever reads half of it. Without a path, nothing.

    A file that cannot be written is no reason to fail a run: it is logged.
    """
    if path is None:
        return
    text = _text(connection, report)
    try:
        with tempfile.NamedTemporaryFile("w", dir=path.parent, prefix=f".{path.name}.", delete=False) as aside:
            aside.write(text)
        Path(aside.name).chmod(0o644)
        Path(aside.name).replace(path)
    except OSError as error:
        log.warning("the metrics file cannot be written", file=str(path), error=error.strerror)


def _text(connection: sa.Connection, report: RunReport) -> str:
    ended = report.ended_at or report.started_at
    waiting, oldest = connection.execute(
        sa.select(sa.func.count(), sa.func.min(orders.c.created_at)).where(orders.c.status.in_(WAITING))
    ).one()
    unsent = connection.scalar(
        sa.select(sa.func.count()).select_from(outbox).where(outbox.c.state.in_(("waiting", "sending")))
    )
    reviews = count_open_reviews(connection)
    numbers = {
        ("orders_waiting", "Orders that wait for verification."): waiting,
        ("oldest_waiting_seconds", "Age of the oldest waiting order."): (ended - oldest).total_seconds()
        if oldest
        else 0,
        ("mails_waiting", "Mails that are not sent yet."): unsent,
        ("reviews_open", "Orders that a person must look at."): reviews,
        ("run_seconds", "How long the last run took."): report.duration.total_seconds(),
        ("run_errors", "Orders that met an error in the last run."): len(report.stumbles),
        ("run_ended_timestamp_seconds", "When the last run ended."): ended.timestamp(),
        ("run_success", "1 if the last run came to its end."): int(
            report.ended in {"finished", "out_of_time"} and not report.incomplete
        ),
    }
    lines = []
    for (name, text), number in numbers.items():
        lines += [f"# HELP paypoll_{name} {text}", f"# TYPE paypoll_{name} gauge", f"paypoll_{name} {number}"]
    lines += ["# HELP paypoll_run_orders Orders of the last run, by outcome.", "# TYPE paypoll_run_orders gauge"]
    lines += [
        f'paypoll_run_orders{{outcome="{name.removeprefix("outcome_")}"}} {number}'
        for name, number in report.counts().items()
        if name.startswith("outcome_")
    ]
    return "\n".join(lines) + "\n"
