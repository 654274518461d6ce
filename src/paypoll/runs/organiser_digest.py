"""What organisers are told of new orders: one mail an organiser a run, however many orders.

An order's line is committed with its tickets, so that a kill loses none. The mail is held back meanwhile and released
at the end of the run; one whose run was killed leaves by itself when its time has come.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa

from paypoll.mail.content.message_id import new_message_id
from paypoll.mail.content.organiser_contexts import DigestContext, DigestLine
from paypoll.payments.order import Order
from paypoll.shop.accounts import emails_of
from paypoll.state import outbox
from paypoll.state.held_mail import let_leave, lock_held, replace_content

KIND = "organiser_orders"
_HELD = timedelta(minutes=15)
"""Longer than a run may take, and shorter than the longest pause of a mail, beyond which it counts as overdue."""


def tell_organisers(
    connection: sa.Connection, order: Order, currency: str, domain: str, run_id: str, now: datetime
) -> None:
    """Add the order to what the organisers of its events are told at the end of this run, in its own transaction."""
    lines: dict[int, list[DigestLine]] = {}
    names: dict[int, str] = {}
    for item in order.items:
        if item.event is not None:
            names[item.event.organiser_id] = item.event.organiser_name
            lines.setdefault(item.event.organiser_id, []).append(
                DigestLine(order.number, order.customer_name, item.event.title, item.quantity, item.total)
            )
    emails = emails_of(connection, lines)
    for organiser_id in sorted(lines):
        if email := emails.get(organiser_id, ""):
            context = DigestContext(names[organiser_id], email, currency, tuple(lines[organiser_id]))
            _add(connection, f"{KIND}:{run_id}:{organiser_id}", organiser_id, context, order, domain, now)


def release_digests(connection: sa.Connection, run_id: str, now: datetime) -> None:
    """Let the mails of this run leave: no order is added to them any more."""
    let_leave(connection, f"{KIND}:{run_id}:", now)


def _add(
    connection: sa.Connection,
    key: str,
    organiser_id: int,
    context: DigestContext,
    order: Order,
    domain: str,
    now: datetime,
) -> None:
    held = lock_held(connection, key)
    if held is not None:
        before = DigestContext.from_json(held["content"])
        content = {**held["content"], **before.with_lines(context.lines).to_json()}
        replace_content(connection, held["id"], content)
        return
    for unique in (key, f"{key}:{order.id}"):  # the second, if the first has left: its run went on for too long
        posted = outbox.post(
            connection,
            kind=KIND,
            dedupe_key=unique,
            recipients=[context.email],
            content={**context.to_json(), outbox.ACCOUNT: organiser_id},
            message_id=new_message_id(domain),
            now=now,
            not_before=now + _HELD,
        )
        if posted:
            return
