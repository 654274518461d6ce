"""The outbox: mail that is committed with the state it reports, and sent afterwards.

A row goes waiting -> sending -> sent. It is marked as `sending` before the mail server is given it: a row found
in that state after its lease has expired was cut off, may have arrived, and is sent again with the same Message-ID.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa

from paypoll.database import insert_unless_there
from paypoll.payments.ticket_statuses import ADMITTING
from paypoll.shop.tables import orders, tickets
from paypoll.state.tables import outbox
from paypoll.statements import later

_PAUSES = tuple(timedelta(minutes=minutes) for minutes in (1, 3, 5, 10, 15, 30, 60))
LONGEST_PAUSE = _PAUSES[-1]
UNSENT = ("waiting", "sending")
ALERT = "alert"
WITH_TICKETS = ("confirmation", "late_confirmation")
OF_A_PAYMENT = ("payment_failed", "under_review")  # that bought nothing yet: posted under the order's row lock alone
ADDRESS_STANDS = "address_stands"  # in a content: a person said where it goes, whatever the order's address is
ACCOUNT = "account"  # in a content of no order's: the id of the shop's account that it goes to

_WANTED = outbox.c.id == sa.bindparam("wanted")  # built once, not for every mail
_OURS = (outbox.c.lease_run == sa.bindparam("holder"), outbox.c.state.in_(UNSENT))
# A restored shop gives ids out again: another order's address and status are none of this mail's.
_ORDER_HAS_CHANGED = sa.exists(orders.c.id).where(
    orders.c.id == outbox.c.order_id,
    orders.c.order_number == sa.func.coalesce(sa.bindparam("number"), orders.c.order_number),
    sa.or_(
        orders.c.email != sa.bindparam("address"),
        orders.c.status.in_(sa.bindparam("untrue_when", expanding=True)),
    ),
)
_A_TICKET_IS_VOID = sa.exists(tickets.c.id).where(
    tickets.c.id.in_(sa.bindparam("carried", expanding=True)), tickets.c.status.not_in(ADMITTING)
)
_BEGIN_SENDING = (
    sa.update(outbox)
    .where(_WANTED, *_OURS, sa.not_(_ORDER_HAS_CHANGED), sa.not_(_A_TICKET_IS_VOID))
    .values(
        state="sending",
        maybe_twice=sa.or_(outbox.c.maybe_twice, sa.bindparam("interrupted", type_=outbox.c.maybe_twice.type)),
    )
)
_GIVE_BACK = sa.update(outbox).where(_WANTED).values(lease_run=None, lease_until=None)
_READDRESS = sa.update(outbox).where(_WANTED, *_OURS)
_WITHDRAW = (
    sa.update(outbox)
    .where(
        outbox.c.order_id == sa.bindparam("wanted"),
        outbox.c.kind.in_(sa.bindparam("kinds", expanding=True)),
        outbox.c.state == "waiting",
    )
    .values(state="withdrawn", lease_run=None, lease_until=None)
)
_WITHDRAW_UNREAD, _MARK_SENT = later(_WITHDRAW), later(_GIVE_BACK)


@dataclass(frozen=True, slots=True)
class Mail:
    """A row of the outbox that this run has claimed. `interrupted`: an earlier run was cut off while sending it."""

    id: int
    order_id: int | None
    kind: str
    recipients: tuple[str, ...]
    content: Mapping[str, Any]
    message_id: str
    created_at: datetime
    attempts: int
    lease_run: str
    interrupted: bool

    @property
    def is_alert(self) -> bool:
        """Whether it is for admins, and not for a customer."""
        return self.kind == ALERT

    @property
    def is_customers(self) -> bool:
        """Whether it is for a customer. Admins' and organisers' may stay in the mail server's own house."""
        return self.order_id is not None and not self.is_alert

    @property
    def follows_its_order(self) -> bool:
        """Whether it goes to the address that its order has when it leaves, which may have been corrected."""
        return self.is_customers and self.content.get(ADDRESS_STANDS) is not True


def post(
    connection: sa.Connection,
    *,
    kind: str,
    dedupe_key: str,
    recipients: Sequence[str],
    content: Mapping[str, Any],
    message_id: str,
    now: datetime,
    order_id: int | None = None,
    topic: str | None = None,
    not_before: datetime | None = None,
    unread: bool = False,
) -> bool:
    """Put a mail into the outbox, in the caller's transaction. False when its dedupe key was posted before.

    `unread`: it does not matter whether it was, so that this costs no message of its own. True then.
    """
    row = {
        "order_id": order_id,
        "kind": kind,
        "topic": topic,
        "dedupe_key": dedupe_key,
        "recipients": list(recipients),
        "content": dict(content),
        "state": "waiting",
        "message_id": message_id,
        "created_at": now,
        "next_attempt_at": not_before or now,
    }
    insert = insert_unless_there(connection, outbox)
    if unread:
        connection.execute(later(insert), row)
        return True
    return connection.scalar(insert.returning(outbox.c.id), row) is not None


def begin_sending(
    connection: sa.Connection,
    mail: Mail,
    run_id: str,
    until: datetime,
    *,
    untrue_when: Collection[str] = (),
    carried: Collection[int] = (),
    goes_on: bool = False,
) -> bool:
    """Mark the mail as being sent, just before the mail server is given it.

    False when the lease was lost, its order has another address by now, or a status with which it says what is
    `untrue_when` so, or one of the tickets that are `carried` (ids) was made void. `goes_on`: a later message of the
    same mail; address, status and tickets are not checked again.
    """
    order = {
        "number": mail.content.get("order_number"),
        "address": ", ".join(mail.recipients) if mail.follows_its_order and not goes_on else None,
        "untrue_when": sorted(untrue_when) if mail.is_customers and not goes_on else [],
        "carried": [] if goes_on else list(carried),
    }
    began = {"wanted": mail.id, "holder": run_id, "lease_until": until, "interrupted": mail.interrupted, **order}
    return connection.execute(_BEGIN_SENDING, began).rowcount == 1


def is_ours(connection: sa.Connection, mail: Mail) -> bool:
    """Say whether this run holds the mail still."""
    query = sa.select(sa.exists(outbox.c.id).where(_WANTED, *_OURS))
    return bool(connection.scalar(query, {"wanted": mail.id, "holder": mail.lease_run}))


def mark_sent(connection: sa.Connection, mail: Mail, subject: str, now: datetime) -> None:
    """Mark the mail as accepted by the mail server."""
    sent = {"state": "sent", "subject": subject, "sent_at": now, "last_error": None}
    connection.execute(_MARK_SENT, {"wanted": mail.id, **sent})


def is_sent(connection: sa.Connection, mail: Mail) -> bool:
    """Say whether the mail is marked as accepted by the mail server."""
    return connection.scalar(sa.select(outbox.c.state).where(outbox.c.id == mail.id)) == "sent"


def put_off(connection: sa.Connection, mail: Mail, error: str, now: datetime, *, maybe_sent: bool = False) -> bool:
    """Let the mail wait for its next attempt, with growing pauses. `maybe_sent`: it may have arrived all the same.

    False, and nothing changed, when it is not this run's any more.
    """
    pause = _PAUSES[min(mail.attempts, len(_PAUSES) - 1)]
    values: dict[str, Any] = {"state": "waiting", "last_error": error, "next_attempt_at": now + pause}
    return _give_back_ours(connection, mail, values | _what_may_have_arrived(mail, maybe_sent=maybe_sent))


def give_up(connection: sa.Connection, mail: Mail, error: str) -> bool:
    """Mark the mail as undeliverable: the address is not valid, or the server refuses it for good.

    False, and nothing changed, when it is not this run's any more.
    """
    undeliverable = _what_may_have_arrived(mail, maybe_sent=False) | {"state": "undeliverable", "last_error": error}
    return _give_back_ours(connection, mail, undeliverable)


def withdraw_ours(connection: sa.Connection, mail: Mail, why: str) -> bool:
    """Withdraw a mail that is not true any more. False, and nothing changed, when it is not this run's any more."""
    return _give_back_ours(connection, mail, {"state": "withdrawn", "last_error": why})


def withdraw(connection: sa.Connection, order_id: int, *kinds: str) -> bool:
    """Withdraw an order's mails of these kinds, which are not true any more.

    False when there are none, or they are being sent already.
    """
    return connection.execute(_WITHDRAW, {"wanted": order_id, "kinds": kinds}).rowcount > 0


def withdraw_unread(connection: sa.Connection, order_id: int, *kinds: str) -> None:
    """Do as `withdraw` does where it does not matter whether there were any: it costs no message of its own."""
    connection.execute(_WITHDRAW_UNREAD, {"wanted": order_id, "kinds": kinds})


def withdraw_about(connection: sa.Connection, prefix: str, why: str) -> None:
    """Take back the mails that have not left and whose dedupe key begins so."""
    connection.execute(
        sa.update(outbox)
        .where(outbox.c.dedupe_key.startswith(prefix, autoescape=True), outbox.c.state == "waiting")
        .values(state="withdrawn", lease_run=None, lease_until=None, last_error=why)
    )


def withdraw_these(connection: sa.Connection, mail_ids: Sequence[int], why: str) -> None:
    """Withdraw mails that another mail replaces."""
    connection.execute(
        sa.update(outbox).where(outbox.c.id.in_(list(mail_ids))).values(state="withdrawn", last_error=why)
    )


def give_up_waiting(connection: sa.Connection, mail: Mail, error: str) -> bool:
    """Mark a mail as undeliverable that was put off. False when another run has taken it since, or it is gone."""
    given_up = sa.update(outbox).where(
        outbox.c.id == mail.id, outbox.c.state == "waiting", outbox.c.lease_run.is_(None)
    )
    return connection.execute(given_up.values(state="undeliverable", last_error=error)).rowcount == 1


def readdress(connection: sa.Connection, mail: Mail, recipient: str) -> Mail | None:
    """Send the mail to this address from now on, in place of those that it had. Return it as it is then.

    None, and nothing changed, when the lease was lost.
    """
    content = {**mail.content, "email": recipient} if "email" in mail.content else dict(mail.content)
    values = {"wanted": mail.id, "holder": mail.lease_run, "recipients": [recipient], "content": content}
    if connection.execute(_READDRESS, values).rowcount == 0:
        return None
    return replace(mail, recipients=(recipient,), content=content)


def any_alert_failed() -> sa.ColumnElement[bool]:
    """Say for a query whether an alert waits that was tried in vain."""
    failed = (outbox.c.kind == ALERT, outbox.c.state.in_(UNSENT), outbox.c.last_error.is_not(None))
    return sa.exists(sa.select(outbox.c.id).where(*failed))


def waiting_errors(connection: sa.Connection, kind: str) -> set[str]:
    """Return the errors for which mails of this kind wait."""
    failed = sa.select(outbox.c.last_error).where(
        outbox.c.kind == kind, outbox.c.state == "waiting", outbox.c.last_error.is_not(None)
    )
    return set(connection.scalars(failed.distinct()))


def last_taken_from_customers(connection: sa.Connection, now: datetime) -> datetime | None:
    """Return when the mail server last took a customer's mail. Others' may stay in its own house.

    What is dated later than now was sent under a clock that was ahead, and says nothing.
    """
    taken = sa.select(sa.func.max(outbox.c.sent_at)).where(
        outbox.c.state == "sent", outbox.c.kind != ALERT, outbox.c.order_id.is_not(None), outbox.c.sent_at <= now
    )
    found: datetime | None = connection.scalar(taken)
    return found


def _what_may_have_arrived(mail: Mail, *, maybe_sent: bool) -> dict[str, Any]:
    # Leaving `sending` would lose the fact that an attempt was cut off, so it is kept here: this attempt may end
    # before it comes to `begin_sending`, with a PDF that cannot be made or a mail server that is out of reach.
    return {"maybe_twice": True} if maybe_sent or mail.interrupted else {}


def _give_back_ours(connection: sa.Connection, mail: Mail, values: Mapping[str, Any]) -> bool:
    # A run whose lease ran out must not put off what another run has sent meanwhile, or what was withdrawn.
    given = connection.execute(_GIVE_BACK.where(*_OURS), {"wanted": mail.id, "holder": mail.lease_run, **values})
    return given.rowcount == 1
