"""The shop's listing fees: read as the values of `paypoll.payments.listing_fees`, and every statement that changes one.

What paypoll remembers about them is not here: `paypoll.state.listing_fees` adds it.
"""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from paypoll.database import lower_case
from paypoll.payments.fee_statuses import PAID
from paypoll.payments.gateway import CheckoutAnswer
from paypoll.payments.listing_fees import ListingFee
from paypoll.shop.orders import CHECKOUT_COLUMNS, EVENT_COLUMNS, checkout_of, event_of
from paypoll.shop.tables import checkouts, events, listing_fees, organisers, users

_FEE = (
    sa.select(
        # Neither SumUp's answer, which is of any length, nor a time that nobody asks for, and that may be any.
        *(column for column in listing_fees.c if column.name not in {"payment_data", "paid_at"}),
        *EVENT_COLUMNS,
        users.c.email,
        users.c.first_name,
        users.c.last_name,
    )
    .join(users, users.c.id == listing_fees.c.organizer_id)
    .outerjoin(events, events.c.id == listing_fees.c.event_id)
    .outerjoin(organisers, organisers.c.user_id == events.c.organiser_id)
    .where(listing_fees.c.payment_reference == sa.bindparam("wanted"))
)
# By the unique index on the reference, and by that on the order for the few checkouts that are of none.
_CHECKOUTS = sa.select(*CHECKOUT_COLUMNS).where(
    checkouts.c.order_id.is_(None),
    sa.or_(
        checkouts.c.checkout_reference.in_(sa.bindparam("forms", expanding=True)),
        sa.and_(checkouts.c.sumup_checkout_id != "", checkouts.c.sumup_checkout_id == sa.bindparam("named")),
        sa.and_(checkouts.c.checkout_id != "", checkouts.c.checkout_id == sa.bindparam("named")),
    ),
)
_LOCK = sa.select(listing_fees.c.id).where(listing_fees.c.payment_reference == sa.bindparam("wanted")).with_for_update()
# As for orders (`paypoll.shop.capacity`): not FOR UPDATE, which would hold up every page that sells the event.
_LOCK_EVENT = (
    sa.select(events.c.id)
    .join(listing_fees, listing_fees.c.event_id == events.c.id)
    .where(listing_fees.c.payment_reference == sa.bindparam("wanted"))
    .with_for_update(of=events, key_share=True)
)


def lock_fee(connection: sa.Connection, reference: str) -> bool:
    """Take the fee's row lock, until the end of the transaction. False when the fee is gone."""
    return connection.scalar(_LOCK, {"wanted": reference}) is not None


def lock_event_of_fee(connection: sa.Connection, reference: str) -> None:
    """Lock the fee's event, which is to be published, until the end of the transaction."""
    connection.execute(_LOCK_EVENT, {"wanted": reference})


def load_fee(connection: sa.Connection, reference: str, patterns: Sequence[str]) -> ListingFee | None:
    """Return the shop's side of the fee with this reference, or None when there is none.

    `patterns` are those of the references under which its checkouts are made (`Policy.fee_references`).
    """
    row = connection.execute(_FEE, {"wanted": reference}).mappings().first()
    if row is None:
        return None
    named = row["sumup_checkout_id"].strip()
    forms = [pattern.replace("{fee_reference}", reference) for pattern in patterns]
    rows = connection.execute(_CHECKOUTS, {"forms": forms, "named": named}).mappings()
    person = f"{row['first_name'] or ''} {row['last_name'] or ''}".strip()
    is_holder = row["organizer_id"] == row["organiser_id"]
    return ListingFee(
        id=row["id"],
        reference=reference,
        status=row["payment_status"],
        amount=row["amount"],
        currency=row["currency"].upper(),
        created_at=row["created_at"],
        event=event_of(row),
        organiser_name=(is_holder and (row["business_name"] or row["display_name"])) or person,
        organiser_email=row["email"],
        named_checkout=named,
        checkouts=tuple(sorted(map(checkout_of, rows), key=lambda one: one.id)),
        organiser_account=row["organizer_id"],
    )


def pay_fee(connection: sa.Connection, fee: ListingFee, answer: CheckoutAnswer | None, paid_at: datetime) -> None:
    """Mark the fee as paid, with SumUp's answer; without one, what is there of it is left."""
    values: dict[str, object] = {"payment_status": PAID, "paid_at": paid_at}
    if answer is None:
        values["paid_at"] = sa.func.coalesce(listing_fees.c.paid_at, paid_at)
    else:
        values["payment_data"] = dict(answer.raw)
    update = sa.update(listing_fees).where(listing_fees.c.payment_reference == fee.reference)
    connection.execute(update.values(values))


def publish_event(connection: sa.Connection, event_id: int, now: datetime) -> bool:
    """Let a draft be published. False when it is none any more: nobody else's decision is overruled."""
    update = sa.update(events).where(events.c.id == event_id, events.c.status == "draft")
    return connection.execute(update.values(status="published", updated_at=now)).rowcount == 1


def find_fee(connection: sa.Connection, wanted: str) -> str | None:
    """Return the reference of the fee that people call so: any case, with what a flow puts before it or without."""
    asked = wanted.strip().lstrip("#").removeprefix("listing_fee_")
    exact = sa.select(listing_fees.c.payment_reference).where(listing_fees.c.payment_reference == asked)
    found: str | None = connection.scalar(exact)
    if found is None and asked:
        any_case = sa.select(listing_fees.c.payment_reference).where(
            lower_case(listing_fees.c.payment_reference) == asked.lower()
        )
        found = connection.scalar(any_case.order_by(listing_fees.c.id).limit(1))
    return found
