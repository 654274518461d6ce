"""SumUp's ledger and ours, held against each other to the penny after the sweeps of a world.

Each payment on a swept account is explained by tickets that rest on it, by what went back of it, or by a finding or a
case that was told; and what a finding says is true, and was told once. As in `promises`, nothing of paypoll is used.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from tests.simulation.kinds import Kind

if TYPE_CHECKING:
    from tests.simulation.promises import Books
    from tests.simulation.sumup_entries import Payment

_ADMIN = "admin@shop.example"
_VOID = ("cancelled", "refunded")
_ADMITS = ("valid", "used")
_OF_NO_TICKETS = ("unplaced", "not_followed", "second_payment")
_ANOTHERS = "Pottery*"
_OVERLAP = timedelta(hours=1)
_FIRST_LOOK_BACK = timedelta(days=1)
_SAYS_NOTHING_OF_MONEY = re.compile(
    r"expired unpaid|may be paid a second time|may be paid twice|orders?: expired|answer cannot be used|broken answer"
    r"|new checkout status|unknown status|waiting for SumUp"
)


@dataclass(frozen=True)
class _Finding:
    id: int
    kind: str
    transaction_id: str
    order_id: int | None
    amount: Decimal
    told_at: datetime | None
    closed_at: datetime | None
    closed_why: str

    def __str__(self) -> str:
        state = "open" if self.closed_at is None else f"closed: {self.closed_why}"
        return f"finding {self.id} ({self.kind}, {self.transaction_id or self.order_id}, {self.amount:.2f}, {state})"


@dataclass
class _Ours:
    """What paypoll and the shop have written down."""

    books: "Books"
    findings: list[_Finding] = field(default_factory=list)
    noted: dict[int, Decimal] = field(default_factory=dict)
    asked: dict[str, Decimal] = field(default_factory=dict)
    fees: set[str] = field(default_factory=set)

    @property
    def payments(self) -> list["Payment"]:
        """All payments that SumUp took for the shop."""
        return [real.payment for real in self.books.world.sumup.checkouts.values() if real.payment is not None]

    @staticmethod
    def read(books: "Books") -> "_Ours":
        rows = books.world.bench.observer.execute
        findings = rows(
            "SELECT id, kind, coalesce(transaction_id, ''), order_id, amount, told_at, closed_at,"
            " coalesce(closed_why, '') FROM paypoll.finding WHERE merchant_code <> '' ORDER BY id"  # the ledger's
        )
        return _Ours(
            books,
            [_Finding(*row) for row in findings],
            dict(rows("SELECT order_id, sum(amount) FROM orders_refund GROUP BY 1")),
            dict(rows("SELECT transaction_id, sum(amount) FROM paypoll.refund WHERE state = 'done' GROUP BY 1")),
            {row[0] for row in rows("SELECT checkout_id FROM paypoll.listing_fee WHERE state = 'paid'")},
        )

    def of(self, payment: "Payment", *kinds: str) -> list[_Finding]:
        return [one for one in self.findings if one.transaction_id == payment.id and one.kind in kinds]

    def bought(self, payment: "Payment") -> int | None:
        """Return the order whose tickets rest on this payment."""
        for order_id, (_, checkout_id, *_) in self.books.fulfilments.items():
            real = self.books.world.sumup.checkouts.get(checkout_id)
            if real is not None and real.payment is payment and self.books.tickets[order_id]:
                return int(order_id)
        return None

    def admits(self, order_id: int) -> bool:
        return any(ticket[3] in _ADMITS for ticket in self.books.tickets[order_id])

    def status(self, order_id: int | None) -> str:
        return str(self.books.orders[order_id][1]) if order_id in self.books.orders else ""

    def case_was_told(self, payment: "Payment") -> bool:
        """Say whether admins were told of this payment otherwise than by a finding."""
        shown = [real for real in self.books.world.sumup.checkouts.values() if real.payment is payment]
        names = {payment.id, payment.code, *(real.id for real in shown)}
        orders = {real.order for real in shown}
        for mail in self.books.world.mail.inbox:
            if mail.recipients != (_ADMIN,) or _SAYS_NOTHING_OF_MONEY.search(mail.subject):
                continue
            text = mail.subject + mail.text
            is_case = re.search(r"needs a person|orders?: review|fee", mail.subject)
            if any(name in text for name in names) or (is_case and any(one in text for one in orders)):
                return True
        return False


def broken_balance(books: "Books") -> Iterator[str]:
    """Return what SumUp's ledger and ours do not explain to each other."""
    world = books.world
    if not world.troubles.is_swept:
        return
    ours = _Ours.read(books)
    yield from _is_read_to_its_end(books)
    seen = {real.payment.id: real.payment for real in world.sumup.checkouts.values() if real.payment}
    merchants = {"MPLATFORM", *world.troubles.organisers}
    sales = [one for one in world.sumup.sales.values() if _is_of_our_time(books, one)]
    payments = [one for one in (*seen.values(), *sales) if one.merchant in merchants]
    for payment in payments:
        for what in _unexplained(ours, payment):
            yield f"payment {payment.id} over {payment.amount}, of which {payment.refunded()} went back: {what}"
    for finding in ours.findings:
        for what in _untrue(ours, finding, seen | world.sumup.sales):
            yield f"{finding}: {what}"
        yield from _not_told_once(books, finding)
    yield from _of_the_orders(ours, seen)
    yield from _asked_back_twice(ours)


def _is_of_our_time(books: "Books", sale: "Payment") -> bool:
    """Say whether what is no order's was changed since a day before the first run, from where the ledger is read."""
    ((began,),) = books.world.bench.observer.execute("SELECT min(started_at) FROM paypoll.run")
    newest = max([sale.at, *([sale.touched] if sale.touched else []), *(one.at for one in sale.refunds)])
    return bool(newest > began - _FIRST_LOOK_BACK)


def _is_read_to_its_end(books: "Books") -> Iterator[str]:
    world = books.world
    rows = world.bench.observer.execute("SELECT merchant_code, read_until FROM paypoll.ledger_cursor")
    read = dict(rows)
    for merchant in ("MPLATFORM", *world.troubles.organisers):
        until = read.get(merchant)
        if until is None or until < world.bench.clock.now() - _OVERLAP:
            yield f"the ledger of {merchant} was read until {until}, and no further"


def _unexplained(ours: _Ours, payment: "Payment") -> Iterator[str]:
    if payment.kind != "ECOM" or fnmatchcase(payment.summary, _ANOTHERS):
        if found := ours.of(payment, *_OF_NO_TICKETS):
            yield f"it is none of the shop's, and there is {found[0]}"
        return
    if payment.forgotten:
        return  # looked at from the orders' side
    order_id = ours.bought(payment)
    if order_id is not None:
        yield from _of_tickets(ours, payment, order_id)
        return
    if payment.left <= 0 or payment.simple_status != "SUCCESSFUL":
        return
    sums = {payment.amount - back for back in _went_back(payment)}
    found = ours.of(payment, *_OF_NO_TICKETS)
    for one in found:
        if one.amount not in sums:
            yield f"{one} speaks of another amount"
        if one.closed_at is not None:
            yield f"{one}, and its money is still held"
        # Of a second payment the look at its order tells.
        if one.kind == "second_payment" and not _mails(ours.books, one) and not ours.case_was_told(payment):
            yield f"{one} is marked as told, and no mail says so"
    fee = any(
        real.payment is payment and (real.order in ours.books.world.shop.fees)
        for real in ours.books.world.sumup.checkouts.values()
    )  # each payment of a fee is held to account by `listing_fees`
    if not found and not fee and not ours.case_was_told(payment):
        yield "no tickets, no finding, nobody told"


def _went_back(payment: "Payment") -> list[Decimal]:
    return [Decimal(0), *payment.sums]


def _of_tickets(ours: _Ours, payment: "Payment", order_id: int) -> Iterator[str]:
    status, back = ours.status(order_id), payment.refunded()
    if status in _VOID or not ours.admits(order_id):
        # Whoever did that knows, but not that the money is here again since.
        was_gone = any(one.amount >= payment.amount for one in ours.of(payment, "returned"))
        held = [one for one in ours.of(payment, "here_again") if one.told_at is not None and one.closed_at is None]
        if payment.won_back and payment.left > 0 and was_gone and len(held) != 1:
            yield f"it had gone back and is here again, order {order_id} is {status}, and {len(held)} findings say so"
        return
    if not back:
        return
    whole = back >= payment.amount
    if not whole and (ours.noted.get(order_id, 0) >= back or ours.asked.get(payment.id, 0) >= back):
        return
    if not any(one.amount == back and one.told_at is not None for one in ours.of(payment, "returned")):
        yield f"its tickets admit, order {order_id} is {status}, and no finding says so"
    elif whole and ours.books.world.troubles.voids and status == "completed":
        yield f"order {order_id} should be void, and its tickets admit"


def _untrue(ours: _Ours, finding: _Finding, payments: dict[str, "Payment"]) -> Iterator[str]:
    payment = payments.get(finding.transaction_id)
    is_open = finding.closed_at is None
    if finding.kind == "tickets_unpaid":
        if is_open and not ours.admits(finding.order_id or 0):
            yield "no ticket of it admits"
        return
    if payment is None:
        yield "there is no such payment"
        return
    order_id = ours.bought(payment)
    if finding.kind in _OF_NO_TICKETS and is_open and order_id is not None:
        yield f"it has paid for order {order_id}"
    if finding.kind in _OF_NO_TICKETS and is_open and payment.left <= 0:
        yield "its money went back"
    if finding.kind == "returned":
        if finding.amount not in _went_back(payment):
            yield "so much never went back"
        if is_open and order_id is not None and (ours.status(order_id) in _VOID or not ours.admits(order_id)):
            yield "none of its tickets admits any more"
    if finding.kind == "here_again" and is_open and payment.left <= 0:
        yield "its money went back"
    if finding.kind == "missing" and is_open and not payment.forgotten:
        yield "SumUp knows the payment"
    if finding.kind == "amount_differs" and payment.amount != finding.amount:
        yield f"SumUp has {payment.amount}"


def _not_told_once(books: "Books", finding: _Finding) -> Iterator[str]:
    if finding.told_at is None:
        # What ended before anybody was told needs no word.
        if finding.closed_at is None:
            yield f"{finding}: nobody was told"
        return
    mails = _mails(books, finding)
    if len(mails) > 1 or (not mails and finding.kind != "second_payment"):
        yield f"{finding}: told {len(mails)} times"


def _mails(books: "Books", finding: _Finding) -> set[str]:
    """Return the mails that tell of this finding, by their Message-IDs."""
    named = re.compile(rf"(?:--finding|\bfinding) {finding.id}\b")
    return {mail.message_id for mail in books.world.mail.inbox if named.search(mail.text)}


def _of_the_orders(ours: _Ours, payments: dict[str, "Payment"]) -> Iterator[str]:
    """The other way round: what the orders say was paid, looked for in SumUp's ledger."""
    for order in ours.books.world.shop.sold.values():
        if order.id not in ours.books.orders or not ours.admits(order.id):
            continue
        done = ours.books.fulfilments.get(order.id)
        if done is None:
            if not any(one.kind == "tickets_unpaid" and one.order_id == order.id for one in ours.findings):
                yield f"order {order.id} has tickets that nobody paid, and no finding says so"
            continue
        real = ours.books.world.sumup.checkouts.get(done[1])
        payment = payments.get(real.payment.id) if real is not None and real.payment is not None else None
        if payment is None:
            continue  # another promise
        if payment.forgotten and not ours.of(payment, "missing"):
            yield f"order {order.id} rests on {payment.id}, which SumUp does not know, and no finding says so"
        is_other = payment.amount != order.total and not payment.forgotten and payment.left > 0
        told = ours.of(payment, "amount_differs") or ours.of(payment, "returned") or ours.of(payment, "missing")
        if is_other and ours.status(order.id) not in _VOID and not told:
            yield f"order {order.id} is over {order.total}, SumUp has {payment.amount}, and no finding says so"


def _asked_back_twice(ours: _Ours) -> Iterator[str]:
    """Of each refund that a person asked for one request reached SumUp at the most, and what is done went back."""
    if Kind.REFUNDS_BY_COMMAND not in ours.books.world.kinds:
        return
    rows: list[tuple[Any, ...]] = ours.books.world.bench.observer.execute(
        "SELECT transaction_id, count(*), sum(amount) FILTER (WHERE state = 'done'),"
        " bool_or(state IN ('intended', 'asked')) FROM paypoll.refund GROUP BY 1"
    )
    for transaction_id, intents, done, is_open in rows:
        sent = [amount for name, amount in ours.books.world.sumup.asked_back if name == transaction_id]
        if len(sent) > intents:
            yield f"refunds of {transaction_id} were asked for {intents} times, and made {len(sent)} times"
        # What a request that was lost asked for may be given back in SumUp's dashboard: SumUp does not say by whom.
        gone = next((p.refunded() for p in ours.payments if p.id == transaction_id), Decimal(0))
        if not sum(sent) <= (done or 0) <= gone:
            yield f"{sum(sent)} of {transaction_id} went back at our word, and {done or 0} is written down"
        if is_open:
            yield f"a refund of {transaction_id} is still open"
