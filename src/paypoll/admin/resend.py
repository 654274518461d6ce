"""Send mail again: an order's, to the address that the order has now; or all mail that was given up.

A mail that waits, or was given up, is that same mail again. Only a confirmation that has gone out is posted anew.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import sqlalchemy as sa

from paypoll.admin.revive import KeptMail, kept_mails, revive, why_not_kept
from paypoll.clock import Clock
from paypoll.database import transaction
from paypoll.errors import OrderNotFoundError, RefusedError, UnreadableOrderError
from paypoll.mail.address import address_problem
from paypoll.mail.delivered import Delivered
from paypoll.mail.doubts import settle
from paypoll.mail.overtaken import why_overtaken
from paypoll.payments.order import Order
from paypoll.payments.ticket_statuses import ADMITTING
from paypoll.runs.fulfil import FulfilmentRules, post_confirmation
from paypoll.runs.load import load_order
from paypoll.shop.find import find_order_id, lock_order, order_for_mail
from paypoll.state.audit import record
from paypoll.state.outbox import UNSENT, withdraw_these
from paypoll.state.posted_alerts import forget_told
from paypoll.state.runs import new_run_id
from paypoll.state.tables import outbox, ticket_place
from paypoll.state.upgrade import require_ready

GIVEN_UP = "undeliverable"


_AT_HAND = "a run is sending it just now"


@dataclass(frozen=True, slots=True)
class Resent:
    """What became of an order's mail: `state` is the outbox's (sent, waiting, undeliverable), `error` why."""

    order: Order
    recipient: str
    kind: str
    message_id: str
    tickets: int
    state: str
    error: str


@dataclass(frozen=True, slots=True)
class Revived:
    """What became of a mail that had been given up. `state`: as the outbox has it; `skipped` with the reason why."""

    kind: str
    order_number: str
    recipients: tuple[str, ...]
    state: str
    error: str


@dataclass(frozen=True, slots=True)
class Resender:
    """Sends mail again. `deliver` sends the mail that is due, in the run with this id, which has it for a `lease`."""

    engine: sa.Engine
    rules: FulfilmentRules
    deliver: Callable[[str], Delivered]
    clock: Clock
    lease: timedelta

    def give_up(self, mail_id: int, who: str, why: str) -> KeptMail:
        """Take a mail off the queue for good, audited with who and why. Raise RefusedError where that cannot be."""
        require_ready(self.engine)
        with transaction(self.engine) as connection:
            now = self.clock.now()
            connection.execute(sa.select(outbox.c.id).where(outbox.c.id == mail_id).with_for_update())
            (mail,) = self._wanted(connection, (*UNSENT, GIVEN_UP), [mail_id])
            if mail.busy:
                raise RefusedError(f"mail {mail_id}: a run is sending it just now; look again in a minute")
            withdraw_these(connection, [mail.id], f"given up by {who}: {why}")
            settle(connection, mail.id)
            what = f"the {mail.kind.replace('_', ' ')} to {', '.join(mail.recipients) or '(nobody)'}"
            record(
                connection,
                now=now,
                action="given_up",
                actor=who,
                order_id=mail.order_id,
                run_id=new_run_id(now),
                explanation=f"{what}, which was {mail.state}, is not sent: {why}",
            )
            return mail

    def resend(self, wanted: str, who: str, *, to: str = "") -> Resent:
        """Send the order's mail again and deliver what is due. `who` goes into the audit trail.

        `to`: send its tickets once more, to this address in place of the order's; what waits for that one goes on.

        Raise OrderNotFoundError, or RefusedError when there is nothing to send: no mail of the order that waits or was
        given up and still says what is true, and no tickets by paypoll that still admit somebody.
        """
        require_ready(self.engine)
        run_id = new_run_id(self.clock.now())
        with transaction(self.engine) as connection:
            order_id = find_order_id(connection, wanted)
            lock_order(connection, order_id)
            order = load_order(connection, order_id)
            if order is None:
                raise OrderNotFoundError(f"order {wanted} is gone from the shop")
            numbers = _issued(connection, order)
            now = self.clock.now()
            if to and (problem := address_problem(to)):
                raise RefusedError(problem)
            kept = None if to else self._kept(connection, order)
            if kept is None or kept.is_confirmation:
                _require_sendable(order, numbers, _why_untrue(connection, order.id, "confirmation"))
            if kept is None:
                times = 1 + _resent_before(connection, order)
                message_id = post_confirmation(
                    connection, order, numbers, self.rules, now, again=f"resend:{times}", to=to
                )
                kind, was = "confirmation", ""
            else:
                if not revive(connection, kept, now, self.lease):
                    raise RefusedError(f"order {order.number}: {_AT_HAND}; look again in a minute")
                message_id, kind, was = kept.message_id, kept.kind, f", which was {kept.state},"
            _forget_told(connection, order.id, kind, run_id)
            record(
                connection,
                now=now,
                action="resent",
                actor=who,
                order_id=order.id,
                order_number=order.number,
                run_id=run_id,
                explanation=f"the {kind.replace('_', ' ')}{was} is sent again to {to or order.email} ({message_id})",
            )
        self.deliver(run_id)
        with transaction(self.engine) as connection:
            row = connection.execute(
                sa.select(outbox.c.state, outbox.c.last_error).where(outbox.c.message_id == message_id)
            ).one()
        tickets = sum(len(issued) for issued in numbers.values())
        return Resent(order, to or order.email, kind, message_id, tickets, row.state, row.last_error or "")

    def undeliverable(self) -> tuple[KeptMail, ...]:
        """Return the mails that were given up and that no other one has made good since."""
        return self.kept(GIVEN_UP)

    def kept(self, *states: str, ids: Sequence[int] = ()) -> tuple[KeptMail, ...]:
        """Return the mails in these states, or those of them with these ids. Raise RefusedError when one is none."""
        require_ready(self.engine)
        with transaction(self.engine) as connection:
            return self._wanted(connection, states, ids)

    def resend_undeliverable(self, who: str) -> tuple[Revived, ...]:
        """Try all mail again that was given up, alerts included, and return what became of each."""
        return self.try_again(who, GIVEN_UP)

    def try_again(self, who: str, *states: str, ids: Sequence[int] = ()) -> tuple[Revived, ...]:
        """Try these mails at once, as if they were new, and return what became of each.

        What is not true any more is skipped: the confirmation of an order that was refunded, say.
        """
        require_ready(self.engine)
        run_id = new_run_id(self.clock.now())
        revived: dict[int, tuple[KeptMail, str]] = {}
        skipped: list[Revived] = []
        with transaction(self.engine) as connection:
            for mail in self._wanted(connection, states, ids):
                order = None
                if mail.busy:
                    skipped.append(Revived(mail.kind, "", mail.recipients, "skipped", _AT_HAND))
                    continue
                if mail.order_id is not None:
                    lock_order(connection, mail.order_id)
                    try:
                        order = load_order(connection, mail.order_id)
                    except UnreadableOrderError as error:
                        # 41a: the others go on.
                        skipped.append(Revived(mail.kind, error.number, mail.recipients, "skipped", str(error)))
                        continue
                number = order.number if order is not None else ""
                if mail.order_id is not None and (why := _why_untrue(connection, mail.order_id, mail.kind)):
                    skipped.append(Revived(mail.kind, number, mail.recipients, "skipped", why))
                    continue
                if not revive(connection, mail, self.clock.now(), self.lease):
                    skipped.append(Revived(mail.kind, number, mail.recipients, "skipped", _AT_HAND))
                    continue
                revived[mail.id] = (mail, number)
                if mail.order_id is not None:
                    _forget_told(connection, mail.order_id, mail.kind, run_id)
                record(
                    connection,
                    now=self.clock.now(),
                    action="resent",
                    actor=who,
                    order_id=mail.order_id,
                    order_number=number or None,
                    run_id=run_id,
                    explanation=f"the {mail.kind.replace('_', ' ')}, which was {mail.state}, is tried again",
                )
        if revived:
            self.deliver(run_id)
        return (*self._what_became(revived), *skipped)

    def _wanted(self, connection: sa.Connection, states: Sequence[str], ids: Sequence[int]) -> tuple[KeptMail, ...]:
        kept = kept_mails(connection, self.clock.now(), self.lease, *states)
        if unknown := sorted(set(ids) - {mail.id for mail in kept}):
            raise RefusedError(why_not_kept(connection, unknown[0]))
        return tuple(mail for mail in kept if not ids or mail.id in ids)

    def _kept(self, connection: sa.Connection, order: Order) -> KeptMail | None:
        """Return the mail of the order that waits or was given up, and still says what is true: tickets first."""
        kept = kept_mails(connection, self.clock.now(), self.lease, *UNSENT, GIVEN_UP, order_id=order.id)
        # A copy to another address is a person's own doing: `paypoll mail retry` tries that one again.
        of_the_order = (mail for mail in kept if not mail.elsewhere)
        true = [one for one in of_the_order if one.is_confirmation or not _why_untrue(connection, order.id, one.kind)]
        if not true:
            return None
        found = max(true, key=lambda mail: (mail.is_confirmation, mail.id))
        if found.busy:
            raise RefusedError(f"order {order.number}: a run is sending its mail just now; look again in a minute")
        return found

    def _what_became(self, revived: dict[int, tuple[KeptMail, str]]) -> list[Revived]:
        with transaction(self.engine) as connection:
            rows = connection.execute(
                sa.select(outbox.c.id, outbox.c.recipients, outbox.c.state, outbox.c.last_error)
                .where(outbox.c.id.in_(list(revived)))
                .order_by(outbox.c.id)
            ).all()
        return [
            Revived(revived[row.id][0].kind, revived[row.id][1], tuple(row.recipients), row.state, row.last_error or "")
            for row in rows
        ]


def _forget_told(connection: sa.Connection, order_id: int, kind: str, run_id: str) -> None:
    """Have admins told anew should this mail of the order fail once more (row 45)."""
    for alert in ("undeliverable", "mail_waits"):
        forget_told(connection, order_id, f"alert:{alert}:{kind}:", run_id)


def _issued(connection: sa.Connection, order: Order) -> dict[int, tuple[str, ...]]:
    """Return the numbers of the tickets that paypoll issued and that still admit somebody, by order item."""
    left = {ticket.number for ticket in order.tickets if ticket.status in ADMITTING}
    rows = connection.execute(
        sa.select(ticket_place.c.order_item_id, ticket_place.c.ticket_number)
        .where(ticket_place.c.order_id == order.id)
        .order_by(ticket_place.c.order_item_id, ticket_place.c.place)
    ).all()
    return {
        item.id: tuple(row.ticket_number for row in rows if row.order_item_id == item.id and row.ticket_number in left)
        for item in order.items
    }


def _why_untrue(connection: sa.Connection, order_id: int, kind: str) -> str:
    """Return why a mail of this kind must not leave, as half a sentence, by what a run goes by when it sends one."""
    order = order_for_mail(connection, order_id)
    return why_overtaken(kind, order) if order is not None else ""


def _require_sendable(order: Order, numbers: dict[int, tuple[str, ...]], why: str) -> None:
    if order.tickets and why:
        raise RefusedError(f"order {order.number}: {why}, so its tickets are not sent again")
    if not any(numbers.values()):
        raise RefusedError(
            f"order {order.number} is {order.status} and has no tickets issued by paypoll: there is nothing to send"
        )


def _resent_before(connection: sa.Connection, order: Order) -> int:
    prefix = f"confirmation:{order.id}:resend:"
    own = (outbox.c.order_id == order.id, outbox.c.dedupe_key.startswith(prefix))
    query = sa.select(sa.func.count()).select_from(outbox).where(*own)
    return connection.execute(query).scalar_one()
