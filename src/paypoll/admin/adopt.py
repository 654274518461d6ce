"""Take over a shop in which another paypoll was at work, whose records are lost."""

import socket
from datetime import datetime

import sqlalchemy as sa

import paypoll
from paypoll.alerts.desk import AlertDesk
from paypoll.alerts.orders import Level
from paypoll.clock import Clock
from paypoll.database import transaction
from paypoll.errors import RefusedError
from paypoll.mail.content.contexts import AlertOrder
from paypoll.payments.money import show_amount
from paypoll.state.audit import record
from paypoll.state.memory import ADOPTED, Lost, adopt, is_lost, survey
from paypoll.state.upgrade import require_ready


def find_lost(engine: sa.Engine, now: datetime) -> Lost:
    """Return what another paypoll has left in the shop. Raise RefusedError when nothing is lost."""
    require_ready(engine)
    with transaction(engine) as connection:
        if not is_lost(connection):
            raise RefusedError("there is nothing to adopt: paypoll has its records, or was never at work in this shop")
        return survey(connection, now)


def take_over(engine: sa.Engine, lost: Lost, desk: AlertDesk, *, who: str, clock: Clock) -> None:
    """Let runs begin, and tell the admins of the paid orders that have not all their tickets."""
    with transaction(engine) as connection:
        take_over_within(connection, lost, desk, who=who, now=clock.now())


def take_over_within(connection: sa.Connection, lost: Lost, desk: AlertDesk, *, who: str, now: datetime) -> None:
    """Do the same in the caller's transaction."""
    site = desk.site
    adopt(connection, lost, host=socket.gethostname(), version=paypoll.__version__, now=now)
    explanation = f"records before {lost.newest_mark:%Y-%m-%d %H:%M} UTC are lost; {len(lost.short)} orders told"
    record(connection, now=now, action=ADOPTED, actor=who, explanation=explanation)
    if not lost.short:
        return
    desk.tell(
        connection,
        f"adopted:{lost.newest_mark.isoformat()}",
        level=Level.CRITICAL,
        headline=f"{len(lost.short)} paid orders from before paypoll lost its records have not all their tickets",
        found=("Whether their tickets went out once is not on record any more.",),
        todo=("Ask the customers, and issue what is missing, or refund.",),
        now=now,
        orders=tuple(
            AlertOrder(
                number=row["order_number"],
                amount=show_amount(row["total"], site.currency),
                customer=row["email"],
                note="fewer tickets than places",
                url=site.order_admin_link(row["id"], row["order_number"]),
            )
            for row in lost.short
        ),
    )
