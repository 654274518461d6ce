"""How many statements a run takes, counted where SQLAlchemy hands them to the driver."""

import logging
import threading
from typing import Any

import sqlalchemy as sa
import structlog
from tests.benchmarks.bed import Bed

from paypoll.app import App
from paypoll.runs.record import record_run
from paypoll.settings.load import load_settings

NOT_COUNTED = "BEGIN, its SET and COMMIT are counted as a transaction; what SQLAlchemy asks at connecting is not"


def counted(bed: Bed) -> dict[str, int]:
    """Return how many statements and transactions a run takes."""
    app = App(load_settings(bed.config, {}))
    counts = {"statements": 0, "transactions": 0}
    lock = threading.Lock()

    def count(what: str) -> None:
        with lock:
            counts[what] += 1

    def executed(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if not statement.startswith("SET LOCAL"):
            count("statements")

    sa.event.listen(app.engine, "before_cursor_execute", executed)
    sa.event.listen(app.engine, "begin", lambda *_: count("transactions"))
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        record_run(app, "run-once")
    finally:
        app.close()
    return counts
