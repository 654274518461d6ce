"""Refusals of which it cannot be told whether they are about us or about the mail, and what tells in the end.

Each is kept as a trouble of that mail's own until the mail is taken, given up or withdrawn.
"""

from datetime import datetime, timedelta
from enum import Enum, auto

import sqlalchemy as sa

from paypoll.mail.mailer import DoubtfulRefusalError
from paypoll.state.incidents import Trouble, end_trouble, note_trouble, open_troubles
from paypoll.state.outbox import UNSENT, Mail, last_taken_from_customers
from paypoll.state.tables import outbox

DOUBTS = "mail_refused:"
"""The start of the keys. `paypoll queue` shows the mails themselves instead."""

LONGEST_DOUBT = timedelta(days=1)
"""After so long, while other mail is taken, a mail that is still refused is given up."""

_NEVER = timedelta(days=36500)


class Verdict(Enum):
    """What a refusal means."""

    WAIT = auto()
    """It cannot be told yet."""
    GIVE_UP = auto()
    """It is about this mail."""
    US = auto()
    """It is about us."""


def weigh(connection: sa.Connection, mail: Mail, error: DoubtfulRefusalError, now: datetime) -> Verdict:
    """Write down that a mail was refused, and return what it means by all that is known.

    It is about us when another mail, of other content and to another recipient's domain, was refused so and the server
    has taken no customer's mail since. It is about this mail when the server takes others: at once where it refused
    the recipient without saying why, else after a day.
    """
    others = {trouble.key: trouble for trouble in open_troubles(connection, DOUBTS)}
    before = others.pop(_key(mail), None)
    note_trouble(connection, _key(mail), str(error), now, tell_after=_NEVER)
    taken = last_taken_from_customers(connection, now)
    others_are_taken = before is not None and taken is not None and taken > before.since
    lasts = before is not None and now - before.since >= LONGEST_DOUBT
    if others_are_taken and (lasts or error.recipient_if_others_are_taken):
        return Verdict.GIVE_UP
    recent = [trouble for trouble in others.values() if taken is None or trouble.last_seen_at > taken]
    return Verdict.US if _any_other(connection, mail, recent) else Verdict.WAIT


def settle(connection: sa.Connection, mail: Mail) -> None:
    """Forget that the mail was refused: it was taken, or given up."""
    end_trouble(connection, _key(mail))


def settle_all(connection: sa.Connection) -> None:
    """Forget all refusals: they were about us, and that is over."""
    for trouble in open_troubles(connection, DOUBTS):
        end_trouble(connection, trouble.key)


def _any_other(connection: sa.Connection, mail: Mail, refused: list[Trouble]) -> bool:
    """Say whether any of these mails, which were refused as well, is of other content and to another domain."""
    ids = [int(trouble.key.removeprefix(DOUBTS)) for trouble in refused]
    rows = connection.execute(
        sa.select(outbox.c.id, outbox.c.recipients, outbox.c.content).where(
            outbox.c.id.in_(ids), outbox.c.state.in_(UNSENT)
        )
    ).all()
    for gone in set(ids) - {row.id for row in rows}:
        end_trouble(connection, f"{DOUBTS}{gone}")
    ours = _domains(mail.recipients)
    return any(_domains(row.recipients).isdisjoint(ours) and row.content != mail.content for row in rows)


def _domains(recipients: tuple[str, ...] | list[str]) -> set[str]:
    return {address.rpartition("@")[2].lower() for address in recipients}


def _key(mail: Mail) -> str:
    return f"{DOUBTS}{mail.id}"
