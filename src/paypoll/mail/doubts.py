"""Refusals of which it cannot be told whether they are about us or about the mail, and what tells in the end.

Each is kept as a trouble of that mail's own until the mail is taken, given up or withdrawn. So is that a mail was put
off: one is its recipient's affair, but when all are, nobody gets mail.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto

import sqlalchemy as sa

from paypoll.mail.mailer import DoubtfulRefusalError
from paypoll.state.incidents import Trouble, end_trouble, note_trouble, open_troubles
from paypoll.state.outbox import UNSENT, Mail, last_taken_from_customers
from paypoll.state.tables import outbox

DOUBTS = "mail_refused:"
"""The start of the keys. `paypoll queue` shows the mails themselves instead."""

DEFERRED = "mail_deferred:"
"""The same, where the server has put a customer's mail off, or hung up on it."""

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


def note_deferral(connection: sa.Connection, mail: Mail, error: str, now: datetime) -> None:
    """Write down that a customer's mail was put off, and since when."""
    note_trouble(connection, f"{DEFERRED}{mail.id}", error, now, tell_after=_NEVER)


def settle(connection: sa.Connection, mail_id: int) -> None:
    """Forget that the mail was refused or put off: it was taken, given up, or is tried as if it were new."""
    for of_what in (DOUBTS, DEFERRED):
        end_trouble(connection, f"{of_what}{mail_id}")


def settle_all(connection: sa.Connection) -> None:
    """Forget all refusals: they were about us, and that is over."""
    for trouble in open_troubles(connection, DOUBTS):
        end_trouble(connection, trouble.key)


@dataclass(frozen=True, slots=True)
class HeldUp:
    """A customer's mail that waits since it was first put off, or `refused` without a reason. `last`: what was said."""

    recipients: tuple[str, ...]
    since: datetime
    seen_at: datetime
    refused: bool
    last: str


@dataclass(frozen=True, slots=True)
class NobodyTaken:
    """Of so many customers' mails, to so many domains, the server has taken none since then. `last`: what it said."""

    mails: int
    domains: int
    since: datetime
    last: str


def held_up(connection: sa.Connection) -> list[HeldUp]:
    """Return the customers' mails that wait because the server does not take them."""
    troubles: dict[int, list[Trouble]] = {}
    for trouble in open_troubles(connection, DOUBTS, DEFERRED):
        troubles.setdefault(int(trouble.key.rpartition(":")[2]), []).append(trouble)
    if not troubles:
        return []
    query = sa.select(outbox.c.id, outbox.c.recipients).where(outbox.c.id.in_(troubles), outbox.c.state.in_(UNSENT))
    recipients = {row.id: tuple(row.recipients) for row in connection.execute(query)}
    for gone in set(troubles) - set(recipients):
        settle(connection, gone)
    return [_held_up(recipients[mail_id], troubles[mail_id]) for mail_id in recipients]


def nobody_is_taken(
    held: Sequence[HeldUp], taken: datetime | None, now: datetime, lasting: timedelta
) -> NobodyTaken | None:
    """Return what this comes to when it is more than single recipients' affair; None: it is not, or cannot be told.

    It is when mails to two domains have waited for so long, or mails to two recipients were refused without a reason,
    and no customer's mail was `taken` since either was first tried. What the server put off while it took others stays
    that recipient's own affair.
    """
    long = [mail for mail in held if mail.since <= now - lasting and (taken is None or mail.since > taken)]
    domains = {domain for mail in long for domain in _domains(mail.recipients)}
    refused = {address.lower() for mail in long if mail.refused for address in mail.recipients}
    if len(domains) <= 1 and len(refused) <= 1:
        return None
    last = max(long, key=lambda mail: mail.seen_at).last
    return NobodyTaken(len(long), len(domains), min(mail.since for mail in long), last)


def _any_other(connection: sa.Connection, mail: Mail, refused: list[Trouble]) -> bool:
    """Say whether any of these mails, which were refused as well, is of other content and to another domain."""
    ids = [int(trouble.key.removeprefix(DOUBTS)) for trouble in refused]
    rows = connection.execute(
        sa.select(outbox.c.id, outbox.c.recipients, outbox.c.content).where(
            outbox.c.id.in_(ids), outbox.c.state.in_(UNSENT)
        )
    ).all()
    for gone in set(ids) - {row.id for row in rows}:
        settle(connection, gone)
    ours = _domains(mail.recipients)
    return any(_domains(row.recipients).isdisjoint(ours) and row.content != mail.content for row in rows)


def _held_up(recipients: tuple[str, ...], troubles: Sequence[Trouble]) -> HeldUp:
    newest = max(troubles, key=lambda trouble: trouble.last_seen_at)
    return HeldUp(
        recipients,
        since=min(trouble.since for trouble in troubles),
        seen_at=newest.last_seen_at,
        refused=any(trouble.key.startswith(DOUBTS) for trouble in troubles),
        last=newest.detail,
    )


def _domains(recipients: tuple[str, ...] | list[str]) -> set[str]:
    return {address.rpartition("@")[2].lower() for address in recipients}


def _key(mail: Mail) -> str:
    return f"{DOUBTS}{mail.id}"
