"""One of many runs at once, with SumUp, the printer and the mail server replaced by what costs nothing.

`python -m tests.benchmarks.applier SETTINGS SECONDS` loads everything, says `ready`, waits for a line, works through
what is due for so long at most, and writes a line of JSON about it.
"""

import json
import logging
import sys
import time
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa
import structlog
from tests.benchmarks.bed import MERCHANT, NO_LEDGER, PRICE, TICKETS

from paypoll.app import App
from paypoll.database import Trouble, sort_error
from paypoll.mail.delivered import Delivered
from paypoll.payments.gateway import CheckoutAnswer, Found, Look, TransactionAnswer
from paypoll.runs.report import RunReport
from paypoll.settings.load import load_settings
from paypoll.state.runs import new_run_id
from paypoll.testing import FakeGateway, FakePrinter, a_transaction, an_answer, an_attempt

_LOCKS = ("FOR UPDATE", "FOR NO KEY UPDATE")


class PaysAll(FakeGateway):
    """SumUp, where every checkout of the bed's is paid."""

    def read_checkout(self, checkout_id: str, merchant_code: str) -> Look[CheckoutAnswer]:
        """Return that it is paid, in full."""
        del merchant_code
        tag, _, number = checkout_id.removeprefix("chk-").partition("-")
        name = f"{tag}-{number}"
        total = PRICE * TICKETS
        attempt = replace(
            an_attempt(), id=f"txn-{name}", transaction_code=f"TC{name}", amount=total, merchant_code=MERCHANT
        )
        return Found(
            an_answer(
                id=checkout_id,
                reference=f"T{name}",
                amount=total,
                merchant_code=MERCHANT,
                transaction_code=attempt.transaction_code,
                transaction_id=attempt.id,
                attempts=(attempt,),
            )
        )

    def read_transaction(self, transaction_id: str, merchant_code: str) -> Look[TransactionAnswer]:
        """Return that nothing of it went back."""
        del merchant_code
        name = transaction_id.removeprefix("txn-")
        return Found(
            a_transaction(
                id=transaction_id, transaction_code=f"TC{name}", amount=Decimal(PRICE * TICKETS), merchant_code=MERCHANT
            )
        )


class _Waits:
    """How long the statements took that take locks, and what the database broke off."""

    def __init__(self, engine: sa.Engine) -> None:
        self.seconds: list[float] = []
        self.busy = 0
        sa.event.listen(engine, "before_cursor_execute", self._before)
        sa.event.listen(engine, "after_cursor_execute", self._after)
        sa.event.listen(engine, "handle_error", self._failed)

    def _before(self, connection: sa.Connection, *_: Any) -> None:
        connection.info["began"] = time.perf_counter()

    def _after(self, connection: sa.Connection, _cursor: Any, statement: str, *_: Any) -> None:
        # Those that wait: the ones that skip what is locked do not.
        if any(lock in statement for lock in _LOCKS) and "SKIP LOCKED" not in statement:
            self.seconds.append(time.perf_counter() - connection.info["began"])

    def _failed(self, context: sa.engine.ExceptionContext) -> None:
        error = context.sqlalchemy_exception
        self.busy += error is not None and sort_error(error) is Trouble.BUSY


class _App(App):
    """paypoll, but for what is beyond the database."""

    gateway = PaysAll()
    printer = FakePrinter()

    def deliver(self, *_arguments: Any, **_named: Any) -> Delivered:
        """Send nothing: the mails stay in the outbox."""
        return Delivered()


def main() -> None:
    """Apply what is due."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    environ = NO_LEDGER | {"PAYPOLL_VERIFICATION__TIME_BUDGET": f"{sys.argv[2]}s"}
    app = _App(load_settings(Path(sys.argv[1]), environ))
    waits = _Waits(app.engine)
    now = app.clock.now()
    report = RunReport(run_id=new_run_id(now), started_at=now)
    cycle = app.cycle(report.run_id)
    app.is_idle()  # connects
    _say("ready")
    sys.stdin.readline()
    began = time.time()
    cycle.run(report)
    _say(
        json.dumps(
            {
                "applied": sum(one.tickets > 0 for one in report.applied),
                "errors": len(report.order_errors),
                "busy": waits.busy,
                "began": began,
                "ended": time.time(),
                "waits": waits.seconds,
            }
        )
    )
    app.close()


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
