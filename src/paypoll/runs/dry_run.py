"""A dry run: ask SumUp and say what would happen, changing nothing, neither here nor at SumUp."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from paypoll.app import App
from paypoll.database import transaction
from paypoll.payments.decision import Outcome
from paypoll.payments.fetch import verify
from paypoll.payments.rules import decide
from paypoll.runs.apply import Applied
from paypoll.runs.report import RunReport
from paypoll.shop.capacity import with_places_taken
from paypoll.shop.orders import load_orders
from paypoll.state import watches

_MOST = 1000


def rehearse(app: App, only: Sequence[int] = (), *, max_age: timedelta | None = None) -> RunReport:
    """Return the report that a run would come to now, over what is due or over the orders `only`.

    The app must be read-only: then the database itself vouches for the promise.
    """
    started = app.clock.now()
    policy = app.policy if max_age is None else replace(app.policy, max_age=max_age)
    report = RunReport(run_id="dry-run", started_at=started, dry=True)
    app.require_ready()
    with transaction(app.engine) as connection:
        wanted = list(only) or watches.peek(connection, app.watch_rules, started, limit=_MOST)
        loaded = load_orders(connection, wanted)
        orders = [with_places_taken(connection, loaded[key], lock=False) for key in wanted if key in loaded]
    for order in orders:
        if app.stop():
            report.ended = "stopped"
            break
        evidence = verify(order, app.gateway, policy, app.clock.now(), may_close=False)
        decision = decide(order, evidence, policy, app.clock.now())
        tickets = order.places if decision.outcome is Outcome.COMPLETE else 0
        report.applied.append(Applied.of(order, decision, tickets=tickets, told=len(decision.notices)))
    report.ended_at = app.clock.now()
    return report
