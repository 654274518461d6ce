"""What admins are told, and when not again: alerts go through the outbox, each condition once by its dedupe key."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import sqlalchemy as sa
import structlog

from paypoll.alerts.next_steps import Step, order_word, steps_of_fee, steps_of_order, steps_of_told, steps_of_whole
from paypoll.alerts.orders import Level, OrderAlert
from paypoll.mail.content.contexts import AlertContext, AlertOrder
from paypoll.mail.content.message_id import new_message_id
from paypoll.payments.gateway import CheckoutAnswer
from paypoll.payments.listing_fees import ListingFee
from paypoll.payments.money import show_amount
from paypoll.payments.order import Order
from paypoll.payments.order_statuses import OrderStatus
from paypoll.payments.told import TOLD_OF_FEES, ToldKind, told_kind
from paypoll.settings.model import SiteSettings
from paypoll.state import outbox, posted_alerts, told_cases
from paypoll.state.incidents import end_trouble, note_trouble
from paypoll.state.told_cases import Kept, ToldCase

MANY = 5
"""From so many alerts of one topic on, admins get one summary instead."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class AlertDesk:
    """Who is told, and what an alert needs to know of the site. `domain` is that of our Message-IDs.

    `remind_every`: what lasts is told again after so long.
    """

    admins: tuple[str, ...]
    site: SiteSettings
    domain: str
    remind_every: timedelta

    def tell_about_order(self, connection: sa.Connection, order: Order, alert: OrderAlert, now: datetime) -> bool:
        """Post an alert about an order, in the caller's transaction. False when it was told before."""
        key = f"alert:{alert.key}:order:{order.known_as}"
        kept = Kept(0)
        # What came after a person had closed the review is listed as that review (24c).
        if told_kind(alert.key) is not ToldKind.PAID_NOT_ISSUED or order.status != OrderStatus.REVIEW:
            name = f"order:{order.id}:{order.number}"
            kept = self._keep(connection, alert, order.number, name, order.total, now, order_id=order.id)
        if kept.told:
            return False
        context = self.about_order(order, alert, finding=kept.number)
        posted = self._post(connection, key, context, now, order_id=order.id, topic=alert.topic)
        if posted:
            log_alert = log.error if alert.level is Level.CRITICAL else log.warning
            log_alert("admins told", headline=alert.headline, order=order.number, found=list(alert.found))
        return posted

    def about_order(self, order: Order, alert: OrderAlert, *, finding: int = 0) -> AlertContext:
        """Return what the mail of an alert about an order says; `finding` is the number by which it is closed."""
        link = self.site.order_admin_link(order.id, order.number)
        return AlertContext(
            level=alert.level.value,
            headline=alert.headline,
            what_happened=alert.headline + ".",
            facts=(
                ("Order", order.number),
                ("Amount", show_amount(order.total, self.site.currency)),
                ("Customer", f"{order.customer_name} <{order.email}>"),
                ("Placed", f"{order.created_at.astimezone(self.site.zone):%d %B %Y, %H:%M}"),
                ("Status", order.status),
            ),
            found=alert.found,
            what_to_do=alert.todo,
            links=(("The order in the shop", link),),
            commands=tuple(steps_of_order(alert.key, order_word(order.id, order.number), finding=finding)),
        )

    def tell_about_fee(self, connection: sa.Connection, fee: ListingFee, alert: OrderAlert, now: datetime) -> bool:
        """Post an alert about a listing fee, in the caller's transaction. False when it was told before."""
        number = 0
        if told_kind(alert.key) in TOLD_OF_FEES:
            name = f"fee:{fee.reference}"
            kept = self._keep(connection, alert, fee.reference, name, fee.amount, now, currency=fee.currency)
            number = kept.number
        context = AlertContext(
            level=alert.level.value,
            headline=alert.headline,
            what_happened=alert.headline + ".",
            facts=(
                ("Listing fee", fee.reference),
                ("Amount", show_amount(fee.amount, fee.currency)),
                ("Event", fee.event.title if fee.event else "no longer in the shop"),
                ("Organiser", f"{fee.organiser_name} <{fee.organiser_email}>"),
                ("Status", fee.status),
            ),
            found=alert.found,
            what_to_do=alert.todo,
            commands=tuple(steps_of_fee(alert.key, fee.reference, finding=number)),
        )
        posted = self._post(connection, f"alert:{alert.key}:fee:{fee.reference}", context, now)
        if posted:
            log_alert = log.error if alert.level is Level.CRITICAL else log.warning
            log_alert("admins told", headline=alert.headline, fee=fee.reference, found=list(alert.found))
        return posted

    def tell_of_one_gone(
        self,
        connection: sa.Connection,
        alert: OrderAlert,
        name: str,
        now: datetime,
        *,
        payment: CheckoutAnswer | None = None,
    ) -> bool:
        """Post an alert about an order, or a listing fee, of this name, that the shop has deleted.

        False when it was told before. `payment`: what was paid for it, if that is known.
        """
        number = self._keep(
            connection,
            alert,
            name,
            "gone",
            (payment and payment.amount) or Decimal(0),
            now,
            transaction_id=payment.transaction_id if payment is not None else "",
        ).number
        return self.tell(
            connection,
            alert.key,
            level=alert.level,
            headline=alert.headline,
            found=alert.found,
            todo=alert.todo,
            now=now,
            steps=steps_of_told(number, alert.topic) if number else None,
        )

    def _keep(
        self,
        connection: sa.Connection,
        alert: OrderAlert,
        number: str,
        known_as: str,
        amount: Decimal,
        now: datetime,
        *,
        currency: str = "",
        **known: Any,
    ) -> Kept:
        """Keep what nothing else would show again, with the number by which a person closes it."""
        currency = currency or self.site.currency
        case = ToldCase(alert.key, alert.headline, alert.found, number, known_as, amount, currency, **known)
        return told_cases.keep(connection, case, now)

    def tell(
        self,
        connection: sa.Connection,
        key: str,
        *,
        level: Level,
        headline: str,
        found: Sequence[str],
        todo: Sequence[str],
        now: datetime,
        orders: Sequence[AlertOrder] = (),
        admins: Sequence[str] = (),
        steps: Sequence[Step] | None = None,
    ) -> bool:
        """Post an alert about the whole, in the caller's transaction, to all admins or to these.

        `steps`: the commands that it shows, where they are not those of its key.

        False when it was told before.
        """
        context = AlertContext(
            level=level.value,
            headline=headline,
            what_happened=headline + ".",
            facts=(),
            found=tuple(found),
            what_to_do=tuple(todo),
            links=(),
            orders=tuple(orders),
            commands=tuple(steps_of_whole(key) if steps is None else steps),
        )
        posted = self._post(connection, f"alert:{key}", context, now, admins=admins)
        if posted:
            log.warning("admins told", headline=headline, found=list(found), orders=[order.number for order in orders])
        return posted

    def has_told(self, connection: sa.Connection, key: str) -> bool:
        """Say whether `tell` has posted an alert with this key to one of the admins of now."""
        return posted_alerts.is_posted(connection, [f"alert:{key}:to:{admin}" for admin in self.admins])

    def tell_of_trouble(
        self,
        connection: sa.Connection,
        key: str,
        detail: str,
        *,
        tell_after: timedelta,
        headline: str,
        found: Sequence[str],
        todo: Sequence[str],
        now: datetime,
        admins: Sequence[str] = (),
        level: Level = Level.CRITICAL,
    ) -> None:
        """Write down that a trouble is there; tell of it when it has lasted for `tell_after`.

        Once, and once more each time that it has lasted for `remind_every` since: in place of what has not left yet.
        """
        if note_trouble(connection, key, detail, now, tell_after=tell_after, remind_every=self.remind_every):
            outbox.withdraw_about(connection, f"alert:{key}:", "told again")
            self.tell(
                connection,
                f"{key}:{now.isoformat()}",
                level=level,
                headline=headline,
                found=found,
                todo=todo,
                now=now,
                admins=admins,
            )

    def tell_of_recovery(
        self, connection: sa.Connection, key: str, *, headline: str, found: str, todo: Sequence[str], now: datetime
    ) -> None:
        """Forget a trouble that is over, and say so to whom it was told. `found` is a sentence up to its "since"."""
        if since := end_trouble(connection, key):
            self.tell(
                connection,
                f"{key}:over:{since.isoformat()}",
                level=Level.ALERT,
                headline=headline,
                found=(f"{found} since {since:%d %B %H:%M} UTC.",),
                todo=todo,
                now=now,
            )

    def forget_trouble(self, connection: sa.Connection, key: str) -> None:
        """Forget a trouble that is over, and what has not left about it."""
        if end_trouble(connection, key):
            outbox.withdraw_about(connection, f"alert:{key}:", "it was over before")

    def hand_over(self, connection: sa.Connection, now: datetime, lease: timedelta) -> None:
        """Send what waits for somebody who is no admin any more to those who are, unless they had it already.

        Not what a run has at hand: its `lease` is as long as that at most.
        """
        for row in posted_alerts.waiting_alerts(connection, now, lease):
            if not set(row["recipients"]) & set(self.admins):
                posted_alerts.hand_over(connection, row, self.admins, partial(new_message_id, self.domain), now)

    def summarise(self, connection: sa.Connection, now: datetime) -> None:
        """Put one summary in place of many alerts of the same topic that are about to leave: fifty mails tell less."""
        heaps: dict[tuple[str, str], list[sa.RowMapping]] = defaultdict(list)
        for row in posted_alerts.untried_alerts(connection):
            heaps[row["topic"], row["recipients"][0]].append(row)
        for (topic, admin), rows in heaps.items():
            if len(rows) < MANY:
                continue
            contexts = [AlertContext.from_json(row["content"]) for row in rows]
            orders = [_in_short(context) for context in contexts]
            # An order may have two alerts of a topic, as when it was paid twice.
            many = len({order.number for order in orders})
            critical = any(context.level == Level.CRITICAL.value for context in contexts)
            self.tell(
                connection,
                f"summary:{topic}:{rows[0]['id']}",
                level=Level.CRITICAL if critical else Level.ALERT,
                headline=f"{many} order{'s' if many > 1 else ''}: {topic.replace('_', ' ').replace(':', ', ')}",
                found=(f"The first of them: {contexts[0].headline}.",),
                todo=tuple(dict.fromkeys(sentence for context in contexts for sentence in context.what_to_do))[:MANY],
                now=now,
                orders=orders,
                admins=(admin,),
            )
            outbox.withdraw_these(connection, [row["id"] for row in rows], f"listed in a summary of {len(rows)}")

    def _post(
        self,
        connection: sa.Connection,
        key: str,
        context: AlertContext,
        now: datetime,
        order_id: int | None = None,
        topic: str | None = None,
        admins: Sequence[str] = (),
    ) -> bool:
        """Post one mail an admin: a mailbox that is full must not keep the alert from the others."""
        posted = [
            outbox.post(
                connection,
                kind=outbox.ALERT,
                dedupe_key=f"{key}:to:{admin}",
                recipients=[admin],
                content=context.to_json(),
                message_id=new_message_id(self.domain),
                now=now,
                order_id=order_id,
                topic=topic,
            )
            for admin in admins or self.admins
        ]
        return any(posted)


def _in_short(context: AlertContext) -> AlertOrder:
    """Return an alert about an order as a line of a summary."""
    facts = dict(context.facts)
    return AlertOrder(
        number=facts["Order"],
        amount=facts["Amount"],
        customer=facts["Customer"],
        note=" ".join(context.found)[:300],
        url=next((url for _, url in context.links), ""),
    )
