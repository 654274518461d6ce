"""Refunds that were begun and not finished: a run looks at them before it looks at orders."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import sqlalchemy as sa

from paypoll.clock import Clock
from paypoll.database import transaction
from paypoll.runs.report import OrderError, RunReport
from paypoll.state.due_refunds import is_refund_due

if TYPE_CHECKING:
    from paypoll.ledger.refunds import RefundEngine


def carry_refunds_on(
    engine: sa.Engine,
    refunds: "Callable[[], RefundEngine]",
    clock: Clock,
    stopped: Callable[[], bool],
    report: RunReport,
) -> None:
    """Look at the refunds that are due. As a rule none is, and then their code is not loaded."""
    with transaction(engine) as connection:
        if not is_refund_due(connection, clock.now()):
            return
    for intent, error in refunds().carry_on_due(report.run_id, stopped):
        report.order_errors.append(OrderError.met(intent.order_number, error))
