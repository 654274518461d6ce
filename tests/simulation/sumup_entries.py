"""What stands in SumUp's own books: checkouts, payments, what went back of them, and what it said to whom."""

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from tests.simulation.sumup_answers import Contradiction


@dataclass(frozen=True)
class Return:
    """Money that went back: `kind` is REFUND or CHARGE_BACK."""

    tick: int
    amount: Decimal
    kind: str
    at: datetime


@dataclass
class Payment:
    """Money that was taken, and what was given back of it.

    `on_the_way` is what is being given back, and not there yet: (tick, amount, status of the event). `summary` is what
    SumUp's list calls it, `kind` how it was taken; `forgotten`: SumUp knows nothing of it any more. `touched` is when
    it was changed otherwise than by a refund. `won_back`: charge-backs that the bank has reversed.
    `sums` are how much had gone back after each change.
    """

    id: str
    code: str
    amount: Decimal
    currency: str
    merchant: str
    tick: int
    at: datetime
    simple_status: str = "SUCCESSFUL"
    refunds: list[Return] = field(default_factory=list)
    on_the_way: list[tuple[int, Decimal, str]] = field(default_factory=list)
    kind: str = "ECOM"
    summary: str = ""
    forgotten: bool = False
    touched: datetime | None = None
    won_back: list[Return] = field(default_factory=list)
    sums: list[Decimal] = field(default_factory=list)

    def refunded(self, tick: int | None = None) -> Decimal:
        """Return what was given back before this tick, or by now."""
        return sum((one.amount for one in self.refunds if tick is None or one.tick < tick), Decimal(0))

    @property
    def left(self) -> Decimal:
        """What is kept of it."""
        return self.amount - self.refunded()


@dataclass
class RealCheckout:
    """A checkout as SumUp has it. `order` is the number of the order that it was really made for."""

    id: str
    reference: str
    order: str
    amount: Decimal
    currency: str
    merchant: str
    made_at: datetime
    status: str = "PENDING"
    declined_at: list[datetime] = field(default_factory=list)
    payment: Payment | None = None
    said: Contradiction | None = None

    @property
    def held(self) -> Decimal:
        """How much of the customer's money is held."""
        return Decimal(0) if self.payment is None else self.payment.left


@dataclass(frozen=True)
class Said:
    """What a run was told. `found` is the status, or NotFound, NoAnswer and so on; `refunded` what it was told of.

    `question` is read, find, close, transaction, history, refund, or "listed": a checkout in the answer to a find.
    `attempts` are the statuses of the attempts in an answer about a checkout, the newest last.
    """

    tick: int
    at: datetime
    run_id: str
    question: str
    subject: str
    found: str
    refunded: Decimal = Decimal(0)
    attempts: tuple[str, ...] = ()
