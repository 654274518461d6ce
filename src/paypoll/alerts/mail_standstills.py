"""What keeps mail from going on, by what is written down: looked at in every run, also in one with nothing to do."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from paypoll.state.incidents import Trouble, open_troubles
from paypoll.state.outbox import ALERT, LONGEST_PAUSE, UNSENT
from paypoll.state.tables import outbox

# The keys of `alerts.mail`, which is not imported here: it loads what a run with nothing to do need not load.
_NO_MAIL = ("smtp_down", "smtp_refuses:", "smtp_takes_nobody")
_NO_MAIL_OF_A_KIND = ("cannot_print:", "mail_error:")


def mail_standstills(connection: sa.Connection, admins: Sequence[str], now: datetime) -> list[str]:
    """Return a sentence for all that keeps mail as a whole, or all mail of a kind, or an alert from going on."""
    found = []
    for trouble in open_troubles(connection, *_NO_MAIL, *_NO_MAIL_OF_A_KIND):
        if trouble.last_seen_at < now - 2 * LONGEST_PAUSE:
            continue  # what it held up has been withdrawn, or it would have been tried again since
        if trouble.key.startswith(_NO_MAIL):
            if _waits(connection):
                found.append(f"no mail goes out: {trouble.detail}")
        elif _holds_all_of_its_kind(connection, trouble, now):
            found.append(f"no {_kind(trouble).replace('_', ' ')} mail goes out: {trouble.detail}")
    return found + [f"an alert reaches no admin: {error}" for error in _unheard_alerts(connection, admins)]


def _waits(connection: sa.Connection) -> bool:
    return connection.scalar(sa.select(outbox.c.id).where(outbox.c.state.in_(UNSENT)).limit(1)) is not None


def _kind(trouble: Trouble) -> str:
    return trouble.key.split(":")[1]


def _holds_all_of_its_kind(connection: sa.Connection, trouble: Trouble, now: datetime) -> bool:
    """Say whether no mail of the kind has gone out since: else it is one mail's own trouble, and admins were told."""
    if trouble.told_at is None:
        return False
    of_kind = sa.select(outbox.c.id).where(outbox.c.kind == _kind(trouble)).limit(1)
    waits = connection.scalar(of_kind.where(outbox.c.state.in_(UNSENT)))
    sent = connection.scalar(
        of_kind.where(outbox.c.state == "sent", outbox.c.sent_at >= trouble.since, outbox.c.sent_at <= now)
    )
    return waits is not None and sent is None


def _unheard_alerts(connection: sa.Connection, admins: Sequence[str]) -> list[str]:
    """Return the errors of the alerts that were tried, and that no admin has got yet."""
    failed = connection.execute(
        sa.select(outbox.c.dedupe_key, outbox.c.last_error)
        .where(outbox.c.kind == ALERT, outbox.c.state.in_(UNSENT), outbox.c.last_error.is_not(None))
        .order_by(outbox.c.id)
    ).all()
    if not failed:
        return []
    alerts = {row.dedupe_key.rpartition(":to:")[0]: row.last_error for row in failed}
    keys = [f"{alert}:to:{admin}" for alert in alerts for admin in admins]
    told = connection.scalars(
        sa.select(outbox.c.dedupe_key).where(outbox.c.dedupe_key.in_(keys), outbox.c.state == "sent")
    )
    heard = {key.rpartition(":to:")[0] for key in told}
    return sorted({error for alert, error in alerts.items() if alert not in heard})
