"""A refund, from the row that intends it to the rows that tell of it. Killed at any instant, it is carried on.

    written down ──► transaction read ──► about to be sent ──► sent ──► transaction read until it shows ──► written

Each arrow that matters is a commit. SumUp has no idempotency key for refunds, so the request is sent between two of
them, by the one caller that wrote "about to be sent"; whoever finds a refund in that state only reads. What follows is
decided by `paypoll.payments.refunding`; here it is done.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa
import structlog

from paypoll.alerts import refunds as alerts
from paypoll.alerts.desk import AlertDesk
from paypoll.alerts.orders import OrderAlert
from paypoll.clock import Clock
from paypoll.database import transaction
from paypoll.errors import DatabaseUnavailableError, SettingsError
from paypoll.ledger.refund_rows import RefundRows
from paypoll.payments.gateway import (
    Accepted,
    Found,
    Look,
    NotAllowed,
    NotFound,
    NotSent,
    PaymentGateway,
    Refunding,
    RefundRefused,
    TransactionAnswer,
)
from paypoll.payments.money import show_amount
from paypoll.payments.refunding import ENDS, OPEN, Next, RefundIntent, RefundState, Step, next_step
from paypoll.shop.orders import read_order
from paypoll.state import refunds as state
from paypoll.state.audit import record
from paypoll.state.due_refunds import due_refunds

AT_ONCE: tuple[float, ...] = (0.0,)
"""A run looks once, and again a run later."""

PATIENTLY: tuple[float, ...] = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each look of a person who waits for it."""

_MOST_IN_A_RUN = 50
NO_SCOPE = "SumUp does not let our credential refund; it needs the scope refunds.write or payments"
_HAD_IT = "the shop had it already, from before our records were restored: nothing was written or mailed again"

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a refund has come, in a clause. `voided` are the tickets that it set to refunded, `status` the order's.

    Both are known only to who wrote the end.
    """

    intent: RefundIntent
    why: str
    voided: tuple[str, ...] = ()
    status: str = ""


@dataclass(frozen=True, slots=True)
class RefundEngine:
    """Carries refunds on. `gateway` is made when first needed; `wait` sleeps and says whether to stop.

    `allowed`: the settings let refunds be sent. Without it one is only ever finished. What was read or written down
    longer ago than the `lease` is not sent upon.
    """

    engine: sa.Engine
    gateway: Callable[[], PaymentGateway]
    rows: RefundRows
    desk: AlertDesk
    clock: Clock
    wait: Callable[[float], bool]
    allowed: bool
    lease: timedelta

    def begin(self, wanted: RefundIntent) -> RefundIntent | None:
        """Write a refund down. None when another of the same payment is open."""
        now = self.clock.now()
        with transaction(self.engine) as connection:
            intent = state.write_down(connection, wanted, now)
            if intent is not None:
                self._trail(connection, intent, "", "asked for")
            return intent

    def carry_on_due(self, run_id: str, stopped: Callable[[], bool]) -> list[tuple[RefundIntent, Exception]]:
        """Look once at each refund that is due. Return those that met an error, with that."""
        with transaction(self.engine) as connection:
            due = due_refunds(connection, self.clock.now(), limit=_MOST_IN_A_RUN)
            intents = [state.load_refund(connection, refund_id) for refund_id in due]
        errors: list[tuple[RefundIntent, Exception]] = []
        for intent in intents:
            if stopped():
                break
            try:
                self.carry_on(intent, AT_ONCE, run_id=run_id, attended=False)
            except DatabaseUnavailableError:
                raise
            except SettingsError as error:  # a right is missing
                log.error("the refund cannot be written down; it stays due", refund=intent.id, why=error.problems)  # noqa: TRY400 - no bug
                errors.append((intent, error))
            except Exception as error:  # around one refund: its failure never stops the others
                log.exception("the refund met an unexpected error; it stays due", refund=intent.id)
                errors.append((intent, error))
        return errors

    def carry_on(self, intent: RefundIntent, pauses: Sequence[float], *, run_id: str, attended: bool) -> Progress:
        """Take a refund as far as it comes now. `attended`: a person hears of the outcome, and needs no alert."""
        progress = Progress(intent, intent.note)
        waits = list(pauses)
        while waits:
            pause = waits.pop(0)
            if pause and self.wait(pause):
                return progress
            intent = self._reload(intent)
            if intent.state not in OPEN:
                return Progress(intent, intent.note)
            asked_at = self.clock.now()
            look = self.gateway().read_transaction(intent.transaction_id, intent.merchant_code)
            found = next_step(intent, look, self.clock.now(), allowed=self.allowed)
            if found.step is Step.SEND and self._is_long_ago(asked_at):
                progress = Progress(intent, "what SumUp said is too long ago: its transaction is read again")
            elif found.step is Step.SEND:
                progress = self._send(intent, asked_at, attended=attended)
                waits = waits or [0.0]  # what was sent is looked for at once
            elif found.step is Step.FINISH and isinstance(look, Found):
                return self._finish(intent, look.value, found, run_id)
            elif found.step is Step.WAIT:
                progress = self._wait_on(intent, found)
            else:
                return self._end(intent, ENDS[found.step], found.why, attended=attended)
        return progress

    def _is_long_ago(self, moment: datetime) -> bool:
        return self.clock.now() - moment > self.lease

    def _reload(self, intent: RefundIntent) -> RefundIntent:
        with transaction(self.engine) as connection:
            return state.load_refund(connection, intent.id)

    def _send(self, intent: RefundIntent, asked_at: datetime, *, attended: bool) -> Progress:
        """Send the request, if nobody else has; only reading leads on from here, unless SumUp surely refused.

        A process may be stopped anywhere and go on a day later: what SumUp said at `asked_at` means nothing then, and
        somebody else may have looked for the request in vain, and ended the refund (26a).
        """
        with transaction(self.engine) as connection:
            if not state.begin_sending(connection, intent.id, self.clock.now()):
                return Progress(intent, "somebody else has sent it")
        gateway = self.gateway()
        asked = self._reload(intent)
        if asked.state is not RefundState.ASKED or self._is_long_ago(min(asked_at, asked.changed_at)):
            log.warning("the refund is not sent, as too much time has passed", refund=intent.id)
            return Progress(asked, "too much time had passed when it was to be sent, and it was not")
        answer = gateway.refund(intent.transaction_id, intent.merchant_code, intent.amount, intent.currency)
        log.info("refund asked for", order=intent.order_number, refund=intent.id, answer=type(answer).__name__)
        refusal = _refusal(answer)
        if refusal:
            return self._end(asked, RefundState.REFUSED, refusal, attended=attended)
        why = "SumUp took it" if isinstance(answer, Accepted) else f"no answer that tells: {_detail(answer)}"
        return Progress(asked, why)

    def _finish(self, intent: RefundIntent, told: TransactionAnswer, found: Next, run_id: str) -> Progress:
        """Write everything down that the refund means, in one transaction."""
        now = self.clock.now()
        with transaction(self.engine) as connection:
            order = self.rows.lock(connection, intent)
            if not state.end(connection, intent.id, RefundState.ASKED, RefundState.DONE, found.why, now):
                return Progress(state.load_refund(connection, intent.id), "somebody else has finished it")
            done = state.load_refund(connection, intent.id)
            if order is None:
                self._trail(connection, done, "", found.why)
                self._tell(connection, done, alerts.order_gone(intent))
                return Progress(done, found.why)
            written = self.rows.write(connection, order, done, told, run_id=run_id, now=now)
            why = f"{found.why}; {_HAD_IT}" if written.again else found.why
            self._trail(connection, done, order.status, why, status_to=written.status, run_id=run_id)
            if found.surplus > Decimal(0):
                self._tell(connection, done, alerts.surplus_went_back(intent, found))
        log.info("refund done", order=intent.order_number, refund=intent.id, status_to=written.status)
        return Progress(done, why, written.voided, written.status)

    def _wait_on(self, intent: RefundIntent, found: Next) -> Progress:
        now = self.clock.now()
        with transaction(self.engine) as connection:
            tell = found.tell and not intent.told
            state.note_look(connection, intent, found.why, now, told=tell)
            if tell:
                self._tell(connection, intent, alerts.not_shown(intent, found.why))
        return Progress(intent, found.why)

    def _end(self, intent: RefundIntent, after: RefundState, why: str, *, attended: bool) -> Progress:
        """Write down that a refund ended without the money having gone back, and tell of it."""
        with transaction(self.engine) as connection:
            if state.end(connection, intent.id, intent.state, after, why, self.clock.now()):
                self._trail(connection, replace(intent, state=after), "", why)
                if not attended:
                    self._tell(connection, intent, alerts.not_made(intent, after, why))
            ended = state.load_refund(connection, intent.id)
        return Progress(ended, why)

    def _tell(self, connection: sa.Connection, intent: RefundIntent, alert: OrderAlert) -> None:
        order = read_order(connection, intent.order_id)
        if order is not None and order.number == intent.order_number:
            self.desk.tell_about_order(connection, order, alert, self.clock.now())
            return
        self.desk.tell_of_one_gone(connection, alert, intent.order_number, self.clock.now())

    def _trail(
        self,
        connection: sa.Connection,
        intent: RefundIntent,
        status_from: str,
        why: str,
        *,
        status_to: str = "",
        run_id: str = "",
    ) -> None:
        what = f"{show_amount(intent.amount, intent.currency)} of checkout {intent.checkout_id}"
        record(
            connection,
            now=self.clock.now(),
            action="refund",
            actor=intent.who,
            order_id=intent.order_id,
            order_number=intent.order_number,
            run_id=run_id or None,
            outcome=intent.state.value,
            reason="beside" if intent.beside else None,
            explanation=f"{what}: {intent.reason} ({why})",
            status_from=status_from or None,
            status_to=status_to or status_from or None,
        )


def _refusal(answer: Refunding) -> str:
    """Return why surely nothing went back by this request; empty when something may."""
    if isinstance(answer, NotAllowed):
        return f"{NO_SCOPE} ({answer.detail})"
    if isinstance(answer, NotFound | RefundRefused):
        return f"SumUp refused it: {answer.detail}"
    return f"it was not sent: {answer.detail}" if isinstance(answer, NotSent) else ""


def _detail(answer: Refunding | Look[TransactionAnswer]) -> str:
    return getattr(answer, "detail", "")
