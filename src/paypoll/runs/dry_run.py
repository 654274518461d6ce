"""A dry run: ask SumUp and say what would happen, changing nothing, neither here nor at SumUp."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from paypoll.clock import Clock
from paypoll.database import transaction
from paypoll.errors import DatabaseUnavailableError, SettingsError
from paypoll.payments.decision import Decision, Outcome
from paypoll.payments.evidence import Evidence
from paypoll.payments.fetch import Closing, fetch_evidence
from paypoll.payments.gateway import PaymentGateway
from paypoll.payments.order import Order
from paypoll.payments.policy import Policy
from paypoll.payments.rules import decide
from paypoll.runs.apply import Applied
from paypoll.runs.listing_fees import FeeLooker
from paypoll.runs.load import as_found, load_each, load_for_decision
from paypoll.runs.report import OrderError, RunReport
from paypoll.state import watches
from paypoll.state.memory import require_ready_to_work
from paypoll.state.watches import WatchRules

_MOST = 1000


@dataclass(frozen=True, slots=True)
class Looked:
    """What a run would decide about an order now, and what that rests on. `evidence.assumed`: what was not asked."""

    order: Order
    evidence: Evidence
    decision: Decision


@dataclass(frozen=True, slots=True)
class DryRun:
    """Decides about orders as a run does, and writes nothing.

    Where a run would close a checkout at SumUp, that is taken as granted. The engine must be read-only: then the
    database itself vouches for the promise. `gateway` is made when it is first needed.
    """

    engine: sa.Engine
    gateway: Callable[[], PaymentGateway]
    policy: Policy
    watch_rules: WatchRules
    clock: Clock
    stopped: Callable[[], bool]
    fees: FeeLooker | None = None

    def look_at(self, order: Order) -> Looked:
        """Ask SumUp about the order, and decide about it as it is afterwards, as a run would."""
        asked_at = self.clock.now()
        evidence = fetch_evidence(order, self.gateway(), self.policy, asked_at, closing=Closing.ASSUME)
        with transaction(self.engine) as connection:
            present = load_for_decision(connection, order.id, evidence, lock=False) or order
            left_in = watches.left_in(connection, order.id)
        now = self.clock.now()
        present = as_found(present, left_in, now)
        return Looked(present, evidence, decide(present, evidence, self.policy, now))

    def run(self, only: Sequence[int] = ()) -> RunReport:
        """Return the report that a run would come to now, over what is due or over the orders `only`."""
        started = self.clock.now()
        report = RunReport(run_id="dry-run", started_at=started, dry=True)
        require_ready_to_work(self.engine)
        with transaction(self.engine) as connection:
            wanted = list(only) or watches.peek(connection, self.watch_rules, started, limit=_MOST)
            loaded = load_each(connection, wanted)
        report.order_errors += [OrderError(e.number, str(e), expected=False) for e in loaded.unreadable.values()]
        for order in (loaded.orders[key] for key in wanted if key in loaded.orders):
            if self.stopped():
                report.ended = "stopped"
                break
            try:
                looked = self.look_at(order)
            except (DatabaseUnavailableError, SettingsError):
                raise
            except Exception as error:  # noqa: BLE001 - around one order, as in a run
                report.order_errors.append(OrderError.met(order.number, error))
                continue
            decision = looked.decision
            tickets = looked.order.places if decision.outcome is Outcome.COMPLETE else 0
            report.applied.append(
                Applied.of(
                    looked.order,
                    decision,
                    tickets=tickets,
                    told=[notice.key for notice in decision.notices],
                    assumed=looked.evidence.assumed,
                )
            )
        if self.fees is not None and not only:
            self.fees.rehearse(report, self.stopped)
        report.ended_at = self.clock.now()
        return report
