"""What a run came to: collected order by order, printed and kept always, also after errors."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Self

from sqlalchemy.exc import SQLAlchemyError

from paypoll.database import Trouble, describe_error, sort_error
from paypoll.errors import PaypollError, SettingsError
from paypoll.mail.delivered import Delivered

if TYPE_CHECKING:
    from paypoll.runs.apply import Applied
    from paypoll.runs.apply_fee import FeeApplied
    from paypoll.state.pauses import Pause


@dataclass(frozen=True, slots=True)
class OrderError:
    """An order that met an error: it stays due. `expected` ones are of the world (a lock held by the shop)."""

    order: str
    error: str
    expected: bool

    @classmethod
    def met(cls, order: str, error: Exception) -> Self:
        """Return what the order, or the fee, has met."""
        expected = isinstance(error, SQLAlchemyError) and sort_error(error) is Trouble.BUSY
        return cls(order, _described(error), expected)


def _described(error: Exception) -> str:
    """Return what an order met, in one line."""
    if isinstance(error, SQLAlchemyError):
        return describe_error(error)
    if isinstance(error, SettingsError):
        return "; ".join(error.problems)
    return str(error) if isinstance(error, PaypollError) else f"{type(error).__name__}: {error}"


@dataclass(slots=True)
class Swept:
    """What a run read of SumUp's ledgers: payments, new findings, orders that are due at once, orders made void."""

    payments: int = 0
    findings: int = 0
    due: int = 0
    voided: int = 0


@dataclass(slots=True)
class RunReport:
    """The result of one run. `dry` runs changed nothing. `ended`: finished, stopped or out_of_time.

    `fees` are the listing fees; an error of one is among the `order_errors`, under its reference.
    `held_back` counts the orders that SumUp denied, and that were not put to review because they are too many.
    `standstills`: what keeps the platform's orders, or mail as a whole, or all mail of a kind from going on.
    `paused`: what a person has told runs to leave alone.
    """

    run_id: str
    started_at: datetime
    dry: bool = False
    applied: "list[Applied]" = field(default_factory=list)
    fees: "list[FeeApplied]" = field(default_factory=list)
    order_errors: list[OrderError] = field(default_factory=list)
    taken_over: int = 0
    delivered: Delivered = field(default_factory=Delivered)
    sumup_halted: str = ""
    held_back: int = 0
    standstills: list[str] = field(default_factory=list)
    swept: Swept = field(default_factory=Swept)
    paused: "tuple[Pause, ...]" = ()
    ended: str = "finished"
    ended_at: datetime | None = None

    @property
    def duration(self) -> timedelta:
        """How long the run took; zero while it is under way."""
        return self.ended_at - self.started_at if self.ended_at else timedelta(0)

    @property
    def incomplete(self) -> bool:
        """Whether an order or a mail met an error that nobody foresaw."""
        return self.delivered.unexpected > 0 or any(not error.expected for error in self.order_errors)

    def counts(self) -> dict[str, int]:
        """Return the numbers of the run, for its row and for the metrics."""
        outcomes = Counter(applied.outcome.value for applied in self.applied)
        return {
            "orders": len(self.applied),
            **{f"outcome_{outcome}": number for outcome, number in sorted(outcomes.items())},
            "tickets": sum(applied.tickets for applied in self.applied),
            **({"fees": len(self.fees)} if self.fees else {}),
            "errors": len(self.order_errors),
            "mails_sent": self.delivered.sent,
            "mails_put_off": self.delivered.put_off,
            "mails_undeliverable": self.delivered.undeliverable,
            # Only where there were any: a look at the ledger that finds nothing is nothing done.
            **({"findings": self.swept.findings} if self.swept.findings else {}),
        }
