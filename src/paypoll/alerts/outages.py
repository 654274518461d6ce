"""What the admins are told about the whole rather than about one order: stuck orders, SumUp silent or refusing."""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta

import sqlalchemy as sa

from paypoll.alerts.desk import AlertDesk
from paypoll.alerts.orders import Level
from paypoll.alerts.organisers import CLIENT_REFUSED, OrganiserRefusals, tell_of_client
from paypoll.database import readable, transaction
from paypoll.mail.content.contexts import AlertOrder
from paypoll.payments.evidence import SUMUP_CLOCK_TOLERANCE, Evidence
from paypoll.payments.gateway import BrokenAnswer, CheckoutAnswer, Found, Look, NoAnswer, NotAllowed
from paypoll.payments.money import show_amount
from paypoll.payments.order_statuses import WAITING
from paypoll.shop.tables import orders
from paypoll.state.incidents import open_troubles
from paypoll.state.pauses import NOT_PAUSED
from paypoll.state.tables import watch

SUMUP_SILENT = "sumup_silent"
ORDERS_DENIED = "orders_denied"
CLOCKS_DIFFER = "clocks_differ"
_MOST_LISTED = 200


class OutageReporter:
    """Observes SumUp's answers during a run, and tells the admins of what lasts.

    `platform` is the merchant code of the platform itself, as against the organisers'.
    """

    def __init__(
        self, desk: AlertDesk, *, stuck_after: timedelta, trouble_after: timedelta, platform: str = ""
    ) -> None:
        self._desk = desk
        self._platform = platform
        self._stuck_after = stuck_after
        self._trouble_after = trouble_after
        self._no_answer = ""
        self._refusals = OrganiserRefusals()
        self._may_not_close: dict[str, str] = {}
        self._closed: set[str] = set()
        self._clock_difference = timedelta(0)
        self._answering: set[str] = set()

    @property
    def has_heard(self) -> bool:
        """Whether SumUp was asked with the platform's own credential, or was silent."""
        return bool(self._no_answer) or not self._answering.union(self._refusals.refused).isdisjoint({self._platform})

    def observe(self, evidence: Evidence) -> None:
        """Take in SumUp's answers about one order."""
        if abs(evidence.clock_difference) > abs(self._clock_difference):
            self._clock_difference = evidence.clock_difference
        for closing in evidence.closings.values():
            match closing:
                case NotAllowed(merchant_code, detail):
                    self._may_not_close[merchant_code] = detail
                case Found(CheckoutAnswer() as answer):
                    self._closed |= {"", answer.merchant_code}
                case _:
                    pass
        for look in _looks(evidence):
            match look:
                case NoAnswer(detail) | BrokenAnswer(detail, garbled=True):
                    self._no_answer = detail
                case NotAllowed():
                    self._refusals.observe(look)
                case Found(CheckoutAnswer() as answer):
                    self._answering |= {"", answer.merchant_code}

    def tell_of_sumup(self, engine: sa.Engine, now: datetime) -> list[str]:
        """Tell that SumUp has not answered for a while, or refuses a credential; and when that is over.

        Return what of it keeps the platform's own orders, or all organisers', from going on.
        """
        refused = self._refusals.refused
        if not (self._no_answer or refused or self._answering):
            return []
        standstills = []
        with transaction(engine) as connection:
            if self._answering:
                self._tell_of_recovery(connection, now)
            elif self._no_answer:
                self._tell_of_silence(connection, now)
                if any(trouble.told_at for trouble in open_troubles(connection, SUMUP_SILENT)):
                    standstills.append(f"SumUp has not been answering: {self._no_answer}")
            standstills += self._tell_of_organisers(connection, now)
            for merchant_code, detail in refused.items():
                # One order of the platform that could be read says that its key is good.
                if merchant_code in {"", self._platform} and self._platform not in self._answering:
                    standstills.append(f"SumUp refuses the platform's own credential: {detail}")
            for merchant_code in self._answering - set(refused):
                self._desk.forget_trouble(connection, f"not_allowed:{merchant_code}")
            if self._answering:
                self._tell_of_clocks(connection, now)
            # Reading is one right and closing another: an answer to the one says nothing about the other.
            for merchant_code, detail in self._may_not_close.items():
                self._tell_of_no_closing(connection, merchant_code, detail, now)
            for merchant_code in self._closed - set(self._may_not_close):
                self._desk.forget_trouble(connection, f"may_not_close:{merchant_code}")
        return standstills

    def _tell_of_organisers(self, connection: sa.Connection, now: datetime) -> list[str]:
        """Tell of what is refused, each for itself; or of the platform's client, if it is that."""
        refusals, answered = self._refusals, self._answering - {"", self._platform}
        told_together: Collection[str] = ()
        if refusals.is_about_client(connection, answered):
            told_together = refusals.of_client
            tell_of_client(self._desk, connection, next(iter(refusals.of_client.values())), now)
        elif answered and not refusals.of_client:
            self._desk.forget_trouble(connection, CLIENT_REFUSED)
        for merchant_code, detail in refusals.refused.items():
            if merchant_code not in told_together:
                self._tell_of_refusal(connection, merchant_code, detail, now)
        standstill = refusals.standstill(connection, answered, self._platform)
        return [standstill] if standstill else []

    def summarise_alerts(self, engine: sa.Engine, now: datetime) -> None:
        """Let many alerts about the same trouble become one, before they leave."""
        with transaction(engine) as connection:
            self._desk.summarise(connection, now)

    def tell_of_stuck_orders(self, engine: sa.Engine, now: datetime) -> None:
        """List the orders that have been waiting for too long. Each is listed once, however long it goes on."""
        # One that was placed in the future, by a wrong clock, has waited since it was first seen.
        made, seen = orders.c.created_at, watch.c.first_seen_at
        waits_since = sa.case((made > seen, seen), else_=made)
        with transaction(engine) as connection:
            stuck = (
                sa.select(
                    orders.c.id,
                    orders.c.order_number,
                    orders.c.total,
                    orders.c.email,
                    readable(orders.c.created_at).label("created_at"),
                )
                .join(watch, watch.c.order_id == orders.c.id)
                .where(
                    orders.c.status.in_(WAITING),
                    # 45: one that waits for the second time has waited since it was set back.
                    sa.func.coalesce(watch.c.settled_at, waits_since) <= now - self._stuck_after,
                    watch.c.stuck_told_at.is_(None),
                    watch.c.last_checked_at.is_not(None),
                    NOT_PAUSED,
                )
                .order_by(orders.c.created_at)
                .limit(_MOST_LISTED)
                .with_for_update(of=watch, skip_locked=True)
            )
            rows = connection.execute(stuck).all()
            if not rows:
                return
            ids = [row.id for row in rows]
            connection.execute(sa.update(watch).where(watch.c.order_id.in_(ids)).values(stuck_told_at=now))
            site = self._desk.site
            self._desk.tell(
                connection,
                f"stuck:{ids[0]}:{now.isoformat()}",
                level=Level.ALERT,
                headline=f"{len(rows)} order{'s' if len(rows) > 1 else ''} waiting for SumUp for too long",
                found=(
                    f"They have been waiting for more than {int(self._stuck_after.total_seconds() // 60)} minutes.",
                ),
                todo=("Nothing at first: paypoll goes on asking. Look at SumUp's dashboard if customers complain.",),
                now=now,
                orders=tuple(
                    AlertOrder(
                        number=row.order_number,
                        amount=show_amount(row.total, site.currency),
                        customer=row.email,
                        note=f"placed {row.created_at.astimezone(site.zone):%d %B, %H:%M}",
                        url=site.order_admin_link(row.id, row.order_number),
                    )
                    for row in rows
                ),
            )

    def tell_of_denial(
        self,
        engine: sa.Engine,
        now: datetime,
        *,
        held: int,
        answered: int,
        merchant_code: str,
        merchants: Look[frozenset[str]] | None,
    ) -> None:
        """Tell, once, that SumUp denies so many orders that its key is more likely wrong (48); or that it is over.

        `merchants`: what SumUp says about whose key it is.
        """
        with transaction(engine) as connection:
            if not held:
                self._desk.tell_of_recovery(
                    connection,
                    ORDERS_DENIED,
                    headline="Orders are not held back any more",
                    found="SumUp had denied many orders at once",
                    todo=("Nothing. What was held back has been decided upon.",),
                    now=now,
                )
                return
            denied = f"{held} are not known to it, or are paid in another currency or to another merchant"
            found = (
                f"Of {answered} orders that SumUp answered about, {denied}.",
                *_whose_key(merchant_code, merchants),
                "These orders are held back and stay as they are. Exact payments are fulfilled as ever.",
            )
            self._desk.tell_of_trouble(
                connection,
                ORDERS_DENIED,
                f"{held} of {answered} orders are held back",
                tell_after=timedelta(0),
                headline="SumUp denies many orders at once; they are held back",
                found=found,
                todo=(
                    "See whether the API key, or sumup.base_url, is of another account or of a sandbox.",
                    "Once that is put right, the next run verifies them.",
                    "If SumUp is right, let them go to review. What went there before can be decided anew.",
                ),
                now=now,
            )

    def _tell_of_silence(self, connection: sa.Connection, now: datetime) -> None:
        self._desk.tell_of_trouble(
            connection,
            SUMUP_SILENT,
            self._no_answer,
            tell_after=self._trouble_after,
            headline="SumUp has not been answering",
            found=(f"The last failure: {self._no_answer}", "No order expires or fails while SumUp does not answer."),
            todo=("Look at SumUp's status page, and at this machine's network. paypoll carries on by itself.",),
            now=now,
        )

    def _tell_of_recovery(self, connection: sa.Connection, now: datetime) -> None:
        self._desk.tell_of_recovery(
            connection,
            SUMUP_SILENT,
            headline="SumUp is answering again",
            found="It had not been answering",
            todo=("Nothing. What had waited is being verified.",),
            now=now,
        )

    def _tell_of_refusal(self, connection: sa.Connection, merchant_code: str, detail: str, now: datetime) -> None:
        self._desk.tell_of_trouble(
            connection,
            f"not_allowed:{merchant_code}",
            detail,
            tell_after=timedelta(0),
            headline=f"SumUp refuses the credential for {_whose(merchant_code)}",
            found=(detail, "Its orders stay as they are until this is mended."),
            todo=("Renew the API key in the settings, or let the organiser connect to SumUp again.",),
            now=now,
        )

    def _tell_of_clocks(self, connection: sa.Connection, now: datetime) -> None:
        if abs(self._clock_difference) <= SUMUP_CLOCK_TOLERANCE:
            self._desk.forget_trouble(connection, CLOCKS_DIFFER)
            return
        minutes = int(self._clock_difference.total_seconds() // 60)
        self._desk.tell_of_trouble(
            connection,
            CLOCKS_DIFFER,
            f"SumUp's clock is {minutes} minutes ahead of this host's",
            tell_after=timedelta(0),
            headline="SumUp's clock and this host's differ",
            found=(
                f"SumUp's clock is {minutes} minutes ahead of this host's (negative: behind).",
                "Paid orders get their tickets; none fails or expires meanwhile.",
            ),
            todo=("Set this host's clock by NTP.",),
            now=now,
        )

    def _tell_of_no_closing(self, connection: sa.Connection, merchant_code: str, detail: str, now: datetime) -> None:
        self._desk.tell_of_trouble(
            connection,
            f"may_not_close:{merchant_code}",
            detail,
            tell_after=self._trouble_after,
            headline=f"SumUp does not let paypoll close checkouts of {_whose(merchant_code)}",
            found=(detail, "Orders whose checkout cannot be closed do not expire: they could still be paid."),
            todo=("Give the credential the right to deactivate checkouts (scope payments).",),
            now=now,
        )


def _looks(evidence: Evidence) -> Iterator[object]:
    yield from evidence.reads.values()
    yield from evidence.searches.values()
    # Client credentials may never read transactions; that is no trouble. Silence about one is.
    yield from (look for look in evidence.transactions.values() if not isinstance(look, NotAllowed))
    yield from (closing for closing in evidence.closings.values() if not isinstance(closing, NotAllowed))


def _whose(merchant_code: str) -> str:
    return f"merchant {merchant_code}" if merchant_code else "the platform"


def _whose_key(merchant_code: str, merchants: Look[frozenset[str]] | None) -> tuple[str, str]:
    """Say whose key it is by the settings, and by SumUp: that tells a wrong key from dead checkouts."""
    whose = f"merchant {merchant_code}" if merchant_code else "a merchant that the settings do not name"
    settings = f"The settings say that the key is that of {whose}."
    if not isinstance(merchants, Found) or not merchants.value:
        return settings, "SumUp does not say whose it is."
    if merchant_code in merchants.value:
        return settings, "SumUp says so, too."
    named = f"SumUp says that it is that of {', '.join(sorted(merchants.value))}"
    return settings, f"{named}: the key is another account's." if merchant_code else f"{named}."
