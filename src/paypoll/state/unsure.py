"""What is unsure in restored records that are older than the shop: whether it was done in the time that they lack."""

from datetime import datetime

import sqlalchemy as sa

from paypoll.database import SCHEMA
from paypoll.payments.refunding import RefundState
from paypoll.state.outbox import ALERT, UNSENT
from paypoll.state.tables import outbox, refund

_HELD = "it waited when the backup was made, which was restored since: it may have gone out already"


def hold_unsure(connection: sa.Connection, now: datetime) -> int:
    """Let no mail leave and no refund be sent that may have been before; return how many mails a person must look at.

    A mail to a customer becomes one that was given up: `paypoll mail retry` sends it if it is still true. Admins
    rather hear a thing twice. A refund that was only intended counts as asked for: from then on it is looked for at
    SumUp, and never sent.
    """
    unsent = sa.update(outbox).where(outbox.c.state.in_(UNSENT), outbox.c.kind != ALERT)
    held = connection.execute(
        unsent.values(state="undeliverable", last_error=_HELD, lease_run=None, lease_until=None)
    ).rowcount
    if sa.inspect(connection).has_table(refund.name, schema=SCHEMA):
        intended = sa.update(refund).where(refund.c.state == RefundState.INTENDED.value)
        connection.execute(intended.values(state=RefundState.ASKED.value, changed_at=now))
    return held
