"""Listing fees in a world: what organisers do to pay for an event, and whether each payment is accounted for."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.simulation.shop_model import Sold

if TYPE_CHECKING:
    from tests.simulation.promises import Books
    from tests.simulation.story import Story
    from tests.simulation.sumup_entries import Payment, RealCheckout

FEE = Decimal(25)
ORGANISER = "choir@example.org"
_ADMIN = "admin@shop.example"
_WINDOW = timedelta(hours=72)
_EVENTS_FROM = 1000
_SAYS_NOTHING_OF_MONEY = re.compile(r"may be paid a second time|answer cannot be used|new checkout status")


@dataclass
class PlacedFee:
    """A fee as the shop has it, with its draft, and the references of its stored checkouts: each has one row."""

    reference: str
    event: int
    number: int
    stored: set[str] = field(default_factory=set)


def listing_fee(story: "Story") -> None:
    """An organiser pays, or does not, in one of many ways; pages and admins of the shop get in between."""
    how = story.tale.choice(
        ("paid", "paid", "unnamed", "declined", "late", "twice", "twice", "wrong", "refunded", "cancelled", "stale",
         "marked", "never")
    )  # fmt: skip
    story.wait(0, 0)
    fee = _place(story)
    if how == "never" and story.chance(0.5):
        return
    wrong = story.tale.choice(({"amount": FEE - 1}, {"merchant": "MOTHER"})) if how == "wrong" else {}
    real = _make(story, fee, stored=how != "unnamed" and story.chance(0.6), **wrong)
    story.wait(0.02, 0.5)
    if how == "never":
        return
    if how in ("declined", "late"):
        story.decline(real)
        story.wait(*((0.05, 1) if how == "declined" else (4, 60)))
    if how == "cancelled":
        _set(story, "events_event", fee.event, status="cancelled")
    story.pay(real)
    if how == "refunded":
        story.wait(0, 1)
        story.note(f"{story.world.sumup.give_back(real.payment, FEE)} of {real.id} is given back")
    if how == "marked":
        _set(story, "events_listingfee", fee.number, payment_status="paid")
    if how == "stale":
        story.wait(0.5, 3)
        _set(story, "events_listingfee", fee.number, payment_status="pending")
    if how == "twice":
        story.wait(*story.tale.choice(((0.0, 0.1), (0.5, 3), (5, 50))))
        second = _make(story, fee, stored=story.chance(0.5), form="listing_fee_{}")
        story.wait(0.05, 0.5)
        story.pay(second)
    if how in ("paid", "unnamed") and story.chance(0.5):
        story.wait(0.5, 3)
        if story.chance(0.5):  # a shop that was restored
            _set(story, "events_listingfee", fee.number, payment_status="pending")
        _set(story, "events_event", fee.event, status="draft")


def _place(story: "Story") -> PlacedFee:
    world, number = story.world, story.number
    fee = PlacedFee(f"LF-{number}", _EVENTS_FROM + number, number)
    now = world.bench.clock.now()
    story.stands_for(Sold(number, fee.reference, ORGANISER, FEE, now, (), kind=story.kind))
    world.shop.insert(
        "events_event", id=fee.event, title=f"Event {number}", slug=f"event-{number}", venue_name="Town Hall",
        capacity=100, status="draft", organiser_id=2, event_date=(now + timedelta(days=30)).date(),
    )  # fmt: skip
    world.shop.insert(
        "events_listingfee", id=number, amount=FEE, currency="GBP", payment_status="pending", payment_data="{}",
        payment_reference=fee.reference, event_id=fee.event, organizer_id=2, created_at=now,
    )  # fmt: skip
    story.note(f"fee {fee.reference} is to be paid")
    world.shop.fees[fee.reference] = fee.event
    return fee


def _make(
    story: "Story", fee: PlacedFee, *, stored: bool, form: str = "", amount: Decimal = FEE, merchant: str = "MPLATFORM"
) -> "RealCheckout":
    """Make a checkout by the widget or by the redirect; unless it is stored, the fee names it, or nothing does."""
    reference = (form or story.tale.choice(("{}", "listing_fee_{}"))).format(fee.reference)
    world = story.world
    real = world.sumup.open_checkout(reference, fee.reference, amount, merchant=merchant)
    story.note(f"{real.id} is made under {reference}, {amount} to {merchant}")
    if stored and reference not in fee.stored:
        fee.stored.add(reference)
        now = world.bench.clock.now()
        world.shop.insert(
            "payments_sumupcheckout", payment_id=f"pay-{real.id}", checkout_reference=reference, amount=FEE,
            sumup_checkout_id=real.id, currency="GBP", merchant_code=merchant, status="pending", created_at=now,
        )  # fmt: skip
        world.shop.stored.add(real.id)
    elif story.chance(0.5):
        _set(story, "events_listingfee", fee.number, sumup_checkout_id=real.id)
    return real


def _set(story: "Story", table: str, row_id: int, **values: object) -> None:
    """Let a page of the shop, or an admin, change a row."""
    ((name, value),) = values.items()
    with story.world.shop.page() as cursor:
        cursor.execute(f"UPDATE {table} SET {name} = %s WHERE id = %s", (value, row_id))  # noqa: S608 - our own names
    story.note(f"the shop sets {name} of {table} {row_id} to {value}")


def broken_fees(books: "Books") -> Iterator[tuple[str, str]]:
    """Return what is wrong with the listing fees: (promise, what)."""
    rows = books.world.bench.observer.execute(
        "SELECT f.payment_reference, f.payment_status, e.status, w.checkout_id, w.state FROM events_listingfee f"
        " JOIN events_event e ON e.id = f.event_id LEFT JOIN paypoll.listing_fee w ON w.reference = f.payment_reference"
    )
    for reference, status, event, checkout_id, state in rows:
        real = books.world.sumup.checkouts.get(checkout_id or "")
        for what in _rests_on_a_payment(books, reference, status, event, real):
            yield "60 no listing without its payment", f"fee {reference}: {what}"
        for what in _unaccounted(books, reference, real):
            yield "60 every payment of a fee is accounted for", f"fee {reference} ({status}, {state}): {what}"
        for what in _organiser_is_told(books, reference, event):
            yield "60 the organiser is told once", f"fee {reference}: {what}"


def _rests_on_a_payment(
    books: "Books", reference: str, status: str, event: str, real: "RealCheckout | None"
) -> Iterator[str]:
    if real is None:
        if event == "published":
            yield "its event was published, and no payment was taken for it"
        return
    if real.payment is None:
        yield f"it rests on {real.id}, which was never paid"
    if (real.order, real.amount, real.merchant) != (reference, FEE, "MPLATFORM"):
        yield f"it rests on {real.id}: {real.amount} to {real.merchant} for {real.order}"
    if status != "paid":
        yield f"its payment {real.id} was taken, and the shop says {status}"
    if event not in ("published", "cancelled") and not _draft_is_told(books, reference):
        yield f"its payment {real.id} was taken, and its event is a {event}"


def _draft_is_told(books: "Books", reference: str) -> bool:
    told = f"fee {reference} needs a person: draft again"
    return any(mail.recipients == (_ADMIN,) and told in mail.subject for mail in books.world.mail.inbox)


def _unaccounted(books: "Books", reference: str, taken: "RealCheckout | None") -> Iterator[str]:
    """Each payment paid for a published event, or was told, or went back; those that came within the window."""
    own = [real for real in books.world.sumup.checkouts.values() if real.order == reference]
    named = re.compile(rf"\bfee {re.escape(reference)}\b")
    told = [
        mail.subject + mail.text
        for mail in books.world.mail.inbox
        if mail.recipients == (_ADMIN,) and named.search(mail.subject)
        if not _SAYS_NOTHING_OF_MONEY.search(mail.subject)
    ]
    # By the ledger, where no look has found whose it is: a payment that nobody can place.
    told_by_ledger = {
        row[0]
        for row in books.world.bench.observer.execute(
            "SELECT transaction_id FROM paypoll.finding WHERE told_at IS NOT NULL AND merchant_code <> ''"
        )
    }
    for real in own:
        payment: Payment | None = real.payment
        if payment is None or payment.refunded() >= payment.amount or payment.at > real.made_at + _WINDOW:
            continue
        is_listed = taken is real and _event_of(books, reference) == "published"
        if is_listed or payment.id in told_by_ledger:
            continue
        if not any(real.id in text or payment.id in text for text in told):
            yield f"{payment.amount} were taken by {real.id}: not listed, nobody told"


def _organiser_is_told(books: "Books", reference: str, event: str) -> Iterator[str]:
    posted: list[tuple[Any, ...]] = books.world.bench.observer.execute(
        "SELECT state, message_id, maybe_twice FROM paypoll.outbox WHERE dedupe_key = %s", f"event_listed:{reference}"
    )
    if len(posted) != (event == "published" or (event == "draft" and _draft_is_told(books, reference))):
        yield f"its event is {event}, and {len(posted)} mails were posted to the organiser"
    for state, message_id, maybe_twice in posted:
        arrived = [mail for mail in books.world.mail.inbox if mail.message_id == message_id]
        if state == "sent" and not arrived:
            yield "the organiser's mail never arrived"
        if len(arrived) > 1 and not maybe_twice:
            yield f"the organiser's mail arrived {len(arrived)} times"


def _event_of(books: "Books", reference: str) -> str:
    ((status,),) = books.world.bench.observer.execute(
        "SELECT status FROM events_event WHERE id = %s", books.world.shop.fees[reference]
    )
    return str(status)
