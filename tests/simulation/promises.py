"""The promises, held against what is true: SumUp's own books, the inbox, and the tables as plain SQL shows them.

Nothing of paypoll is used here, neither its rules nor its queries: this is a second reading of what it promises.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tests.simulation.accounts import broken_accounts, has_bought_for_another, is_told_as_anothers
from tests.simulation.balance import broken_balance
from tests.simulation.listing_fees import broken_fees
from tests.simulation.restored import broken_records

if TYPE_CHECKING:
    from tests.simulation.shop_model import Sold
    from tests.simulation.sumup_entries import RealCheckout, Said
    from tests.simulation.world import World

_ADMIN = "admin@shop.example"
_WAITING = ("pending", "pending_verification")
_LATE = ("failed", "expired")
_SUMMARY = re.compile(r"\b\d+ orders: ")


@dataclass(frozen=True)
class Broken:
    """A promise that was not kept."""

    promise: str
    what: str

    def __str__(self) -> str:
        return f"{self.promise}: {self.what}"


class Books:
    """Everything that is known after a world, by order."""

    def __init__(self, world: "World") -> None:
        self.world = world
        rows = world.bench.observer.execute
        self.orders = _by(0, rows("SELECT id, status, is_paid, transaction_id, paid_at FROM orders_order"))
        self.tickets = _grouped(rows("SELECT order_id, event_id, ticket_number, status FROM events_ticket ORDER BY id"))
        self.places = _grouped(
            rows("SELECT order_id, order_item_id, place, ticket_number FROM paypoll.ticket_place ORDER BY 2, 3")
        )
        self.fulfilments = _by(
            0, rows("SELECT order_id, checkout_id, run_id, transaction_id, issued_by FROM paypoll.fulfilment")
        )
        self.history = _grouped(
            rows("SELECT order_id, status FROM orders_orderstatushistory WHERE changed_by_id IS NULL ORDER BY id")
        )
        self.audit = _grouped(
            rows(
                "SELECT order_id, run_id, status_from, status_to FROM paypoll.audit"
                # A person who closes a review, or gives a part back, leaves the status, and a line in the history.
                " WHERE status_from <> status_to OR action = 'resolved' OR (action = 'refund' AND outcome = 'done'"
                " AND reason IS DISTINCT FROM 'beside') ORDER BY id"
            )
        )
        self.sales = _grouped(rows("SELECT order_id, event_id, max(valid) FROM simulation_sale GROUP BY 1, 2"))
        self.mails = rows("SELECT kind, order_id, state, message_id, maybe_twice, recipients FROM paypoll.outbox")
        known = rows("SELECT order_id FROM payments_sumupcheckout UNION SELECT order_id FROM paypoll.watch")
        self.known = {order_id for (order_id,) in known}
        told = rows("SELECT transaction_id FROM paypoll.finding WHERE told_at IS NOT NULL AND merchant_code <> ''")
        self.found = {name for (name,) in told}
        self.leases = rows(
            "SELECT 'order ' || order_id FROM paypoll.watch WHERE lease_until > %s"
            " UNION ALL SELECT 'mail ' || id FROM paypoll.outbox WHERE lease_until > %s"
            " UNION ALL SELECT 'fee ' || reference FROM paypoll.listing_fee WHERE lease_until > %s",
            world.bench.clock.now(),
            world.bench.clock.now(),
            world.bench.clock.now(),
        )

    def checkouts(self, order: "Sold") -> list["RealCheckout"]:
        """Return the checkouts that were really made for an order."""
        return [one for one in self.world.sumup.checkouts.values() if one.order == order.number]

    def said(self, run_id: str, question: str, subject: str) -> list["Said"]:
        """Return what a run was told about something."""
        return [
            one
            for one in self.world.sumup.said
            if (one.run_id, one.question, one.subject) == (run_id, question, subject)
        ]

    def admin_was_told(self, order: "Sold", *words: str) -> bool:
        """Say whether a mail about this order, with these words, reached the admins."""
        for mail in self.world.mail.inbox:
            # A summary of many orders names them in its text.
            names = mail.text if _SUMMARY.search(mail.subject) else mail.subject
            is_named = re.search(rf"\b{re.escape(order.number)}\b", names)
            if mail.recipients == (_ADMIN,) and is_named and all(word in mail.subject + mail.text for word in words):
                return True
        return False


def broken_promises(world: "World") -> list[Broken]:
    """Return every promise that this world shows broken."""
    books = Books(world)
    found = [Broken("a run ends well", problem) for problem in world.problems]
    for order in world.shop.sold.values():
        if order.id not in books.orders or order.by_shop:
            continue
        for name, check in _CHECKS.items():
            if not (order.restored and name in _OF_A_WHOLE_PAST):
                found += [Broken(name, f"order {order.id}: {what}") for what in check(books, order)]
    for more in (broken_accounts, broken_fees, broken_records):
        found += [Broken(promise, what) for promise, what in more(books)]
    found += [Broken("50 SumUp's ledger is explained", what) for what in broken_balance(books)]
    found += [Broken("5 one payment, one order", what) for what in _shared_payments(books)]
    found += [Broken("3 no mail is lost", what) for what in _lost_mail(books)]
    found += [Broken("6 nothing is left behind", f"{row[0]} is still leased") for row in books.leases]
    found += [
        Broken("6 nothing is left behind", f"a {kind} mail of order {order_id} is still {state}")
        for kind, order_id, state, *_ in books.mails
        if state in ("waiting", "sending")
    ]
    return found


# ---------------------------------------------------------------------------------------------------------
# One check a promise; each yields what it finds wrong with an order
# ---------------------------------------------------------------------------------------------------------


def _tickets_rest_on_a_payment(books: Books, order: "Sold") -> Iterator[str]:
    tickets = books.tickets[order.id]
    if not tickets:
        return
    done = books.fulfilments.get(order.id)
    if done is None:
        yield "it has tickets, and no payment is written down for them"
        return
    _, checkout_id, run_id, _, _ = done
    real = books.world.sumup.checkouts.get(checkout_id)
    if real is None or real.payment is None:
        yield f"its tickets rest on {checkout_id}, which was never paid"
        return
    expected = (order.total, "GBP", order.merchant, order.number)
    if (real.amount, real.currency, real.merchant, real.order) != expected:
        yield f"its tickets rest on {checkout_id}: {real.amount} {real.currency} to {real.merchant} for {real.order}"
    paid = [said for said in books.said(run_id, "read", checkout_id) if said.found == "PAID"]
    if not paid:
        yield f"run {run_id} issued its tickets, and was never told that {checkout_id} is PAID"
    looks = [said for said in books.said(run_id, "transaction", real.payment.id) if said.found == "SUCCESSFUL"]
    # The payment may be shown for another order, too, and be asked about again for that one: what this order's tickets
    # rest on is the first look after its own read.
    asked = [*paid, *[look for look in looks if paid and look.tick >= paid[-1].tick][:1]]
    if asked and real.payment.refunded(asked[-1].tick):
        yield f"its tickets were issued although {checkout_id} had been refunded when SumUp was last asked"
    if (cancelled := order.cancelled_without_tickets) and not any(tick > cancelled for tick in order.replayed):
        yield "it was cancelled, had no tickets then, and has tickets now"


def _paid_is_settled(books: Books, order: "Sold") -> Iterator[str]:
    _, status, is_paid, transaction_id, paid_at = books.orders[order.id]
    tickets = books.tickets[order.id]
    owed = Counter[int]()
    for _, event_id, places in order.lines:
        owed[event_id] += places
    there = Counter(ticket[1] for ticket in tickets)
    if tickets and there != owed:
        yield f"it has tickets for {dict(there)}, and {dict(owed)} were ordered"
    if tickets:
        filled = [(item, place) for _, item, place, _ in books.places[order.id]]
        if sorted(filled) != [(item, n + 1) for item, _, places in order.lines for n in range(places)]:
            yield f"its places are filled as {filled}"
    if status == "completed" and (there != owed or not is_paid or not transaction_id or paid_at is None):
        yield f"it is completed: {len(tickets)} tickets, paid {is_paid} at {paid_at} by {transaction_id!r}"
    held = [
        one
        for one in books.checkouts(order)
        if one.held > 0
        and one.payment
        and one.payment.id not in books.found
        and not has_bought_for_another(books, order, one)
        and not is_told_as_anothers(books, order, one.payment)
    ]
    if not held or status == "completed":
        return
    if status in ("pending", "cancelled", "refunded") and order.id not in books.known:
        # The shop stored no checkout of it, and it never waited while paypoll looked: nothing tells it from the many
        # that were never paid.
        return
    if status in ("requires_manual_review", "processing") and there == owed:
        return  # an admin moved it when it had its tickets; a case of paypoll's own is told by another promise
    told = books.admin_was_told(order)
    if status in ("requires_manual_review", "cancelled", "refunded", "processing"):
        if not told:
            yield f"{held[0].held} of it is held, it is {status}, and no admin was told"
        return
    yield f"{held[0].held} of it is held by {held[0].id}, and it is {status}"


def _review_is_told(books: Books, order: "Sold") -> Iterator[str]:
    moved = [status_to for _, _, _, status_to in books.audit[order.id]]
    if books.orders[order.id][1] != "requires_manual_review" or "requires_manual_review" not in moved:
        return  # an admin put it there
    if not books.admin_was_told(order, "needs a person"):
        yield "it waits for a person, and no admin was told"


def _second_payment_is_told(books: Books, order: "Sold") -> Iterator[str]:
    """Rows 12 and 14: of two payments that the fulfilling run was told of, one is too many."""
    done = books.fulfilments.get(order.id)
    if done is None:
        return
    for real in books.checkouts(order):
        others = [said for said in books.said(done[2], "read", real.id) if said.found == "PAID"]
        if real.id == done[1] or not others or real.payment is None or has_bought_for_another(books, order, real):
            continue
        # What went back before the run heard of the payment itself is nobody's second payment.
        heard = [*others, *books.said(done[2], "transaction", real.payment.id)]
        refunded = real.payment.refunded(max(said.tick for said in heard))
        if refunded < real.amount and not books.admin_was_told(order, "paid twice"):
            yield f"run {done[2]} was told that {real.id} is PAID as well, and no admin was"


def _late_payment_has_room(books: Books, order: "Sold") -> Iterator[str]:
    """Row 20: nobody holds a place for an order that was failed or expired, so it gets tickets if the hall has room.

    An order that is paid in time has its places from the shop's cart, and paypoll does not count them.
    """
    done = books.fulfilments.get(order.id)
    late = {run_id for _, run_id, before, after in books.audit[order.id] if before in _LATE and after == "completed"}
    if done is None or done[2] not in late:
        return  # not issued, or issued in time: what comes later puts back, and issues nothing
    for _, event_id, valid in books.sales[order.id]:
        places = books.world.shop.places[event_id]
        if valid > places:
            yield f"it was paid late, and event {event_id} had {valid} valid tickets for its {places} places then"


def _confirmation_arrives(books: Books, order: "Sold") -> Iterator[str]:
    numbers = [ticket[2] for ticket in books.tickets[order.id]]
    mails = [mail for mail in books.mails if mail[1] == order.id and mail[0].endswith("confirmation")]
    if not numbers:
        if mails:
            yield "a confirmation was posted, and there are no tickets"
        return
    if len(mails) != 1:
        yield f"{len(mails)} confirmations were posted for its tickets"
        return
    _, _, state, message_id, maybe_twice, _ = mails[0]
    arrived = [
        mail
        for mail in books.world.mail.inbox
        if mail.recipients == (order.email,) and any(number in pdf.decode() for number in numbers for pdf in mail.pdfs)
    ]
    if any(mail.message_id != message_id for mail in arrived):
        yield "its confirmation arrived under another Message-ID"
    if len(arrived) > 1 and not maybe_twice:
        yield f"its confirmation arrived {len(arrived)} times, and that is written down nowhere"
    for mail in books.world.mail.inbox:
        if mail.message_id == message_id and sorted(_numbers_in(mail.pdfs)) != sorted(numbers):
            yield f"its confirmation arrived with {len(mail.pdfs)} PDFs for {len(numbers)} tickets"
    if not arrived and state in {"waiting", "withdrawn"} and books.orders[order.id][1] in {"refunded", "cancelled"}:
        return  # it would have brought tickets that are void
    if not arrived and (state != "undeliverable" or not books.admin_was_told(order, "cannot be delivered")):
        yield f"its confirmation never arrived, and is {state}"


def _lost_mail(books: Books) -> Iterator[str]:
    """What is marked as sent has arrived; no alert is given up, and no other mail but for its own sake."""
    server = books.world.mail
    arrived = {mail.message_id for mail in server.inbox}
    others_taken = any(mail.recipients != (_ADMIN,) for mail in server.inbox)
    for kind, order_id, state, message_id, _, recipients in books.mails:
        what = f"a {kind} mail of order {order_id}"
        if state == "sent" and message_id not in arrived:
            yield f"{what} is marked as sent and never arrived"
        if state != "undeliverable":
            continue
        if kind == "alert":
            yield f"{what} was given up"
        said = server.said[message_id]
        sound = all(re.fullmatch(r"[^@\s]+@[^@\s]+", address) for address in recipients)
        # Again and again: after a day it is given up, while others are taken.
        settled = others_taken and (any(reply.settles for reply in said) or len(said) > 1)
        if sound and not settled and not any(reply.final for reply in said):
            yield f"{what} was given up, and the server said only {[f'{one.code} {one.text}' for one in said]}"


def _expiry_is_definite(books: Books, order: "Sold") -> Iterator[str]:
    for _, run_id, status_from, status_to in books.audit[order.id]:
        if status_to not in ("expired", "failed"):
            continue
        told = [said for said in books.world.sumup.said if said.run_id == run_id]
        own = {real.id for real in books.checkouts(order)}
        definite = [
            said
            for said in told
            if said.question in ("read", "close") and said.subject in own
            if said.found in ("FAILED", "EXPIRED", "PENDING", "Refused")
        ]
        if not definite:
            yield f"run {run_id} took it from {status_from} to {status_to} without an answer about any checkout of it"
            continue
        last = {said.subject: said for said in definite}
        for checkout_id, said in last.items():
            if said.found == "PENDING" and status_to == "expired":
                refused = [
                    one for one in books.said(run_id, "close", checkout_id) if one.found in ("Refused", "NotFound")
                ]
                if not refused:
                    yield f"run {run_id} expired it while {checkout_id} could still be paid"


def _audit_is_whole(books: Books, order: "Sold") -> Iterator[str]:
    written = [status for _, status in books.history[order.id]]
    moves = [to.replace("requires_", "") for _, _, _, to in books.audit[order.id]]
    if written != moves:
        yield f"its history says {written}, and the audit trail {moves}"


def _shared_payments(books: Books) -> Iterator[str]:
    used = defaultdict(list)
    for order_id, (_, checkout_id, *_) in books.fulfilments.items():
        real = books.world.sumup.checkouts.get(checkout_id)
        if real is not None and real.payment is not None and books.tickets[order_id]:
            used[real.payment.id].append(order_id)
    for payment, order_ids in used.items():
        if len(order_ids) > 1:
            yield f"payment {payment} has paid for orders {order_ids}"


_CHECKS: dict[str, Callable[[Books, "Sold"], Iterator[str]]] = {
    "1 no ticket without its payment": _tickets_rest_on_a_payment,
    "2 whoever paid has tickets or a case": _paid_is_settled,
    "2 a case is told": _review_is_told,
    "2 paid twice is told": _second_payment_is_told,
    "2 a late payment finds room": _late_payment_has_room,
    "3 the confirmation arrives": _confirmation_arrives,
    "4 nothing expires on a guess": _expiry_is_definite,
    "7 every change is in the audit trail": _audit_is_whole,
}


# A restored shop has lost the history, and tickets that were sent.
_OF_A_WHOLE_PAST = {"3 the confirmation arrives", "7 every change is in the audit trail"}


def _numbers_in(pdfs: tuple[bytes, ...]) -> list[str]:
    return [pdf.decode().split()[1] for pdf in pdfs]


def _by(column: int, rows: list[tuple[Any, ...]]) -> dict[Any, tuple[Any, ...]]:
    return {row[column]: row for row in rows}


def _grouped(rows: list[tuple[Any, ...]]) -> defaultdict[Any, list[tuple[Any, ...]]]:
    grouped: defaultdict[Any, list[tuple[Any, ...]]] = defaultdict(list)
    for row in rows:
        grouped[row[0]].append(row)
    return grouped


def money_held(world: "World") -> Decimal:
    """Return how much of the customers' money SumUp holds."""
    payments = {real.payment.id: real.held for real in world.sumup.checkouts.values() if real.payment}
    return sum(payments.values(), Decimal(0))
