"""What waits, and for whom: orders for SumUp, reviews for a person, mail for the mail server."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, tzinfo
from decimal import Decimal

import sqlalchemy as sa

from paypoll.admin.revive import MADE_GOOD
from paypoll.admin.search import found_fees, found_ids
from paypoll.database import readable, transaction
from paypoll.mail.doubts import DEFERRED, DOUBTS
from paypoll.payments.order_statuses import WAITING
from paypoll.payments.refunding import RefundIntent
from paypoll.shop.find import next_events
from paypoll.shop.tables import orders
from paypoll.state.astray import AstrayOrder, find_astray
from paypoll.state.findings import Finding, find_open
from paypoll.state.outbox import UNSENT
from paypoll.state.pauses import NOT_PAUSED
from paypoll.state.refunds import open_refunds
from paypoll.state.resolutions import OpenReview
from paypoll.state.runs import LastRun, last_run
from paypoll.state.tables import outbox, trouble, watch
from paypoll.state.told_payments import reviews_for_a_person
from paypoll.state.upgrade import require_ready
from paypoll.state.waiting_fees import WaitingFee, waiting_fees

_UNDELIVERABLE_FOR = timedelta(days=7)
"""For so long a mail that was given up is shown, unless another of its kind has gone out for the order since."""


@dataclass(frozen=True, slots=True)
class WaitingOrder:
    """An order that waits for verification. Without `last_checked_at` no run has looked at it yet.

    `next_check_at` in the past, or None where nobody has looked yet, means: in the next run.
    """

    order_id: int
    order_number: str
    email: str
    total: Decimal
    created_at: datetime
    checks: int
    last_checked_at: datetime | None
    next_check_at: datetime | None
    last_answer: str
    paused: bool = False


@dataclass(frozen=True, slots=True)
class OpenRefund:
    """A refund that was begun and has not ended. `state` is intended (not sent yet) or asked; `note` how it stands."""

    id: int
    order_id: int
    order_number: str
    amount: Decimal
    currency: str
    state: str
    who: str
    reason: str
    created_at: datetime
    note: str


@dataclass(frozen=True, slots=True)
class UnsentMail:
    """A mail that has not gone out. `order_number` is empty for alerts about the whole."""

    id: int
    kind: str
    order_id: int | None
    order_number: str
    recipients: tuple[str, ...]
    state: str
    attempts: int
    created_at: datetime
    next_attempt_at: datetime
    last_error: str


@dataclass(frozen=True, slots=True)
class OpenTrouble:
    """Something that lasts: SumUp silent, the mail server down, a credential refused."""

    key: str
    since: datetime
    told: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Backlog:
    """Everything that waits at the time `now`."""

    now: datetime
    waiting: tuple[WaitingOrder, ...]
    reviews: tuple[OpenReview, ...]
    astray: tuple[AstrayOrder, ...]
    fees: tuple[WaitingFee, ...]
    findings: tuple[Finding, ...]
    refunds: tuple[OpenRefund, ...]
    mails: tuple[UnsentMail, ...]
    troubles: tuple[OpenTrouble, ...]
    last_run: LastRun | None

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        cases = (self.waiting, self.reviews, self.astray, self.fees, self.findings, self.refunds)
        return not any((*cases, self.mails, self.troubles))


def load_backlog(
    engine: sa.Engine, now: datetime, *, find: str = "", zone: tzinfo = UTC, only_reviews: bool = False
) -> Backlog:
    """Return what waits, as it stands in the database now.

    `find`: only what is about the orders or fees that this text is of (see `admin.search`), and findings and mails that
    have it themselves. Dates are of the site's `zone`.
    """
    require_ready(engine)
    with transaction(engine) as connection:
        backlog = Backlog(
            now=now,
            waiting=() if only_reviews else _waiting(connection),
            reviews=_urgent_first(connection, reviews_for_a_person(connection), now.astimezone(zone).date()),
            astray=() if only_reviews else tuple(find_astray(connection, now)),
            fees=tuple(fee for fee in waiting_fees(connection, now) if fee.for_person or not only_reviews),
            findings=tuple(find_open(connection)),
            refunds=() if only_reviews else tuple(map(_refund, open_refunds(connection))),
            mails=() if only_reviews else unsent_mails(connection, now),
            troubles=() if only_reviews else _troubles(connection),
            last_run=last_run(connection),
        )
        return _about(backlog, connection, find) if find else backlog


def _urgent_first(connection: sa.Connection, reviews: Sequence[OpenReview], today: date) -> tuple[OpenReview, ...]:
    """Return the reviews by how soon their event is, and those without one to come by how long they have waited."""
    days = next_events(connection, [review.order_id for review in reviews], today)
    dated = [replace(review, next_event=days.get(review.order_id)) for review in reviews]
    return tuple(sorted(dated, key=lambda review: (review.next_event or date.max, review.since, review.order_id)))


def _about(backlog: Backlog, connection: sa.Connection, find: str) -> Backlog:
    order_ids, fees, text = found_ids(connection, find), found_fees(connection, find), find.strip().lower()

    def has_it(one: Finding) -> bool:
        """Say so also of what is of no order, or of one that is gone."""
        names = {one.order_number.lower(), one.transaction_id.lower(), one.transaction_code.lower()} - {""}
        return text in names or (one.order_id is None and one.order_number in fees)

    def goes_there(mail: UnsentMail) -> bool:
        return text != "" and any(text in to.lower() for to in mail.recipients)

    return replace(
        backlog,
        waiting=tuple(one for one in backlog.waiting if one.order_id in order_ids),
        reviews=tuple(one for one in backlog.reviews if one.order_id in order_ids),
        astray=tuple(one for one in backlog.astray if one.order_id in order_ids),
        fees=tuple(one for one in backlog.fees if one.reference in fees),
        findings=tuple(one for one in backlog.findings if one.order_id in order_ids or has_it(one)),
        refunds=tuple(one for one in backlog.refunds if one.order_id in order_ids),
        mails=tuple(one for one in backlog.mails if one.order_id in order_ids or goes_there(one)),
        troubles=(),
    )


def _waiting(connection: sa.Connection) -> tuple[WaitingOrder, ...]:
    query = (
        sa.select(
            orders.c.id,
            orders.c.order_number,
            orders.c.email,
            orders.c.total,
            readable(orders.c.created_at).label("created_at"),
            watch.c.checks,
            watch.c.last_checked_at,
            watch.c.next_check_at,
            watch.c.last_answer,
            # Changed by the shop since the last look: the next run looks at once, whatever was planned.
            (watch.c.status == orders.c.status).label("as_left"),
            sa.not_(NOT_PAUSED).label("paused"),
        )
        .outerjoin(watch, watch.c.order_id == orders.c.id)
        .where(orders.c.status.in_(WAITING))
        .order_by(orders.c.created_at, orders.c.id)
    )
    return tuple(
        WaitingOrder(
            order_id=row.id,
            order_number=row.order_number,
            email=row.email,
            total=row.total,
            created_at=row.created_at,
            checks=row.checks or 0,
            last_checked_at=row.last_checked_at,
            next_check_at=row.next_check_at if row.as_left else None,
            last_answer=row.last_answer or "",
            paused=row.paused,
        )
        for row in connection.execute(query)
    )


def _refund(intent: RefundIntent) -> OpenRefund:
    return OpenRefund(
        id=intent.id,
        order_id=intent.order_id,
        order_number=intent.order_number,
        amount=intent.amount,
        currency=intent.currency,
        state=intent.state.value,
        who=intent.who,
        reason=intent.reason,
        created_at=intent.created_at,
        note=intent.note,
    )


def unsent_mails(connection: sa.Connection, now: datetime) -> tuple[UnsentMail, ...]:
    """Return the mails that have not gone out, the oldest first: those that wait, and those that were given up."""
    given_up = sa.and_(
        outbox.c.state == "undeliverable", outbox.c.created_at > now - _UNDELIVERABLE_FOR, sa.not_(MADE_GOOD)
    )
    query = (
        sa.select(outbox, orders.c.order_number)
        .outerjoin(orders, orders.c.id == outbox.c.order_id)
        .where(sa.or_(outbox.c.state.in_(UNSENT), given_up))
        .order_by(outbox.c.created_at, outbox.c.id)
    )
    return tuple(_mail(row) for row in connection.execute(query).mappings())


def _mail(row: sa.RowMapping) -> UnsentMail:
    return UnsentMail(
        id=row["id"],
        kind=row["kind"],
        order_id=row["order_id"],
        order_number=row["order_number"] or "",
        recipients=tuple(row["recipients"]),
        state=row["state"],
        attempts=row["attempts"],
        created_at=row["created_at"],
        next_attempt_at=row["next_attempt_at"],
        last_error=row["last_error"] or "",
    )


def _troubles(connection: sa.Connection) -> tuple[OpenTrouble, ...]:
    # A doubt is one mail's own, and shown with that.
    of_one_mail = [trouble.c.key.startswith(key, autoescape=True) for key in (DOUBTS, DEFERRED)]
    query = sa.select(trouble).where(sa.not_(sa.or_(*of_one_mail))).order_by(trouble.c.since)
    rows = connection.execute(query)
    return tuple(OpenTrouble(row.key, row.since, row.told_at is not None, row.detail) for row in rows)
