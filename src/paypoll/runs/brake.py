"""The brake on a wrong world: a key of another SumUp account, or a sandbox that forgot, denies every order at once.

Reviews because SumUp does not know a checkout, or knows it in another currency or of another merchant, are what such a
world looks like. So an order that is to go to review for one of these reasons waits until the run has heard enough
about others, and is held back if they are too many (48). Nothing else is ever held back: an exact payment is fulfilled,
and a few dead checkouts stop nobody but themselves.
"""

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum, auto

from paypoll.payments.classify import assess
from paypoll.payments.decision import Decision, Outcome, Reason
from paypoll.payments.evidence import Evidence
from paypoll.payments.matching import Flaw
from paypoll.payments.order import Order
from paypoll.payments.policy import Policy
from paypoll.payments.rules import decide

_ENOUGH = 10
"""So many other orders must have been answered before an order is put to review for such a reason."""

_OF_ANOTHER_WORLD = frozenset({Flaw.CURRENCY, Flaw.MERCHANT})


class Braked(Enum):
    """What the brake says of an order that is about to be decided."""

    OFF = auto()
    """The brake is off, or a person asked for this."""
    UNHEARD = auto()
    """What SumUp said of it was no matter for the brake, so that it was not counted."""
    LET_THROUGH = auto()
    """It was counted as denied, and there are not too many of those."""
    HELD = auto()
    """It was counted as denied, and there are too many: it is held back."""


class NotCountedError(Exception):
    """An order is to go to review for what a wrong world says, and the brake has not counted it among the denied."""


def is_suspect(order: Order, evidence: Evidence, decision: Decision, policy: Policy) -> bool:
    """Say whether the decision is what a wrong world would lead to: a review that says nothing else of the payment."""
    if decision.outcome is not Outcome.REVIEW:
        return False
    if decision.reason is Reason.NOT_FOUND:
        return True
    flawed = assess(order, evidence, policy).flawed
    return decision.reason is Reason.MISMATCH and all(
        {flaw for flaw, _ in payment.flaws} <= _OF_ANOTHER_WORLD for payment in flawed
    )


@dataclass(frozen=True, slots=True)
class Awaited:
    """An order that has waited for what SumUp says about others, and what the brake says of it."""

    order: Order
    evidence: Evidence
    braked: Braked


@dataclass
class Brake:
    """Counts, during one run, the orders that SumUp answered about, and how many of them it denies.

    `threshold` (`verification.brake_orders`) is how many must be denied at least; 0 turns the brake off. `held` counts
    those that were held back.
    """

    policy: Policy
    threshold: int
    answered: int = 0
    denied: int = 0
    held: int = 0
    _waiting: list[tuple[Order, Evidence]] = field(default_factory=list)

    def observe(self, order: Order, evidence: Evidence, now: datetime) -> bool:
        """Take in what SumUp said about an order. True when the order is to wait for what it says about others."""
        decision = decide(order, evidence, self.policy, now)
        denied = is_suspect(order, evidence, decision, self.policy)
        if denied or assess(order, evidence, self.policy).known_at_sumup:
            self.answered += 1
        if not denied or self.threshold == 0:
            return False
        self._wait(order, evidence)
        return True

    def count(self, order: Order, evidence: Evidence) -> None:
        """Count an order as denied after all: the shop changed it meanwhile, a basket, say, that waits now."""
        if not assess(order, evidence, self.policy).known_at_sumup:
            self.answered += 1
        self._wait(order, evidence)

    def _wait(self, order: Order, evidence: Evidence) -> None:
        self.denied += 1
        self._waiting.append((order, evidence))

    @property
    def unheard(self) -> Braked:
        """What it says of an order that does not wait for others."""
        return Braked.UNHEARD if self.threshold else Braked.OFF

    def due(self, *, ended: bool = False) -> list[Awaited]:
        """Return the orders that have waited for long enough: for ten others, or until the run has `ended`."""
        if not self._waiting or not (ended or self.answered > _ENOUGH):
            return []
        engaged = self.denied >= self.threshold and 2 * self.denied >= self.answered
        braked = Braked.HELD if engaged else Braked.LET_THROUGH
        awaited = [Awaited(order, evidence, braked) for order, evidence in self._waiting]
        self._waiting.clear()
        self.held += len(awaited) if engaged else 0
        return awaited
