"""Every payment that SumUp took, held to account: it paid for tickets, it was told, or it went back.

Also what else the kinds of trouble (`kinds`) ask of paypoll. As in `promises`, nothing of paypoll is used here, and the
design's own horizon is: an order is followed until its window ends.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tests.simulation.kinds import Kind

if TYPE_CHECKING:
    from tests.simulation.mail_model import Delivered
    from tests.simulation.promises import Books
    from tests.simulation.shop_model import Sold
    from tests.simulation.sumup_entries import Payment, RealCheckout, Said
    from tests.simulation.world import World

WINDOW = timedelta(hours=72)
_LIMIT = timedelta(hours=2)
_LEASE = timedelta(minutes=3)
_SLACK = timedelta(minutes=10)  # what a run may take between an answer and its transaction, waiting for locks
_MANY = 5  # verification.brake_orders
_SOON = timedelta(hours=4)  # two runs when all is well again
_ADMIN = "admin@shop.example"
# Mails that name a checkout, and do not say that money was taken: whoever reads them does nothing about a payment.
_TELLS_OF_NO_PAYMENT = re.compile(
    r"expired unpaid|may be paid a second time|may be paid twice|orders?: expired"
    r"|answer cannot be used|broken answer|new checkout status|unknown status|waiting for SumUp"
)
_TELLS_OF_SUMUP = re.compile(r"answer cannot be used|broken answer|new checkout status|unknown status")
_TELLS_OF_A_CASE = re.compile(r"needs a person|orders?: review")
_SUMMARY = re.compile(r"\b\d+ orders?: ")
_TAKES_NO_MONEY = frozenset({"FAILED", "CANCELLED"})


def broken_accounts(books: "Books") -> Iterator[tuple[str, str]]:
    """Return what is wrong with the payments and the orders that are held to account: (promise, what)."""
    accounts = _Accounts(books)
    is_every = Kind.EVERY_PAYMENT in books.world.kinds
    for order in books.world.shop.sold.values():
        if order.id not in books.orders or not (order.kind or is_every):
            continue
        for promise, check in _CHECKS.items():
            for what in check(accounts, order):
                yield promise, f"order {order.id}{f' ({order.kind})' if order.kind else ''}: {what}"


def is_told_as_anothers(books: "Books", order: "Sold", payment: "Payment") -> bool:
    """Say whether admins were told of the payment by another order's checkout, which shows it as well."""
    shown = [
        real for real in books.world.sumup.checkouts.values() if real.payment is payment and real.order != order.number
    ]
    return any(
        re.search(rf"\b{re.escape(real.order)}\b", mail.subject) and re.search(rf"\b{re.escape(real.id)}\b", mail.text)
        for mail in books.world.mail.inbox
        if mail.recipients == (_ADMIN,) and not _TELLS_OF_NO_PAYMENT.search(mail.subject)
        for real in shown
    )


def has_bought_for_another(books: "Books", order: "Sold", real: "RealCheckout") -> bool:
    """Say whether the payment that a checkout shows has bought the tickets of another order: it is not too much.

    Of one that a restored shop has lost, or whose tickets it has, too: its money is told of as that order's.
    """
    known = books.world.sumup.checkouts
    restored = {one.id for one in books.world.shop.sold.values() if one.restored}
    return any(
        order_id != order.id
        and (books.tickets[order_id] or order_id in restored)
        and checkout_id in known
        and known[checkout_id].payment is real.payment
        for order_id, (_, checkout_id, *_) in books.fulfilments.items()
    )


@dataclass(frozen=True)
class _Move:
    """A change of an order's status by a run."""

    run_id: str
    status_to: str
    reason: str
    at: datetime


class _Accounts:
    def __init__(self, books: "Books") -> None:
        self.books = books
        self.world = books.world
        self._moves: dict[int, list[_Move]] = {}
        rows: list[tuple[Any, ...]] = books.world.bench.observer.execute(
            "SELECT order_id, run_id, status_to, reason, at FROM paypoll.audit WHERE status_from <> status_to"
            " AND run_id IS NOT NULL AND order_id IS NOT NULL ORDER BY id"  # those of fees have none
        )
        for order_id, *rest in rows:
            self._moves.setdefault(order_id, []).append(_Move(*rest))

    def moves(self, order: "Sold") -> list[_Move]:
        return self._moves.get(order.id, [])

    def denied_by(self, run_id: str) -> list[int]:
        """Return the orders that a run sent to review because SumUp knew nothing of them."""
        return [
            order_id
            for order_id, moves in self._moves.items()
            if any((move.run_id, move.reason) == (run_id, "not_found") for move in moves)
        ]

    def looks(self, order: "Sold", run_id: str) -> list["Said"]:
        """Return what a run was told about this order's checkouts, in reads, look-ups and closings."""
        own = {real.id for real in self.books.checkouts(order)}
        told = (one for one in self.world.sumup.said if one.run_id == run_id and one.subject in own)
        return [one for one in told if one.question in ("read", "listed", "close")]

    def payments(self, order: "Sold") -> list["Payment"]:
        """Return the payments of this order that paypoll must have heard of, each once."""
        end = _horizon(self.world, order)
        found = {real.payment.id: real.payment for real in self.books.checkouts(order) if real.payment}
        return [payment for payment in found.values() if payment.at <= end]

    def names(self, payment: "Payment") -> set[str]:
        """Return everything by which a mail may name this payment."""
        shown = {real.id for real in self.world.sumup.checkouts.values() if real.payment is payment}
        return {payment.id, payment.code} | shown

    def tellings(self, order: "Sold") -> list["Delivered"]:
        """Return the admins' mails about this order."""
        number = re.compile(rf"\b{re.escape(order.number)}\b")
        return [
            mail
            for mail in self.world.mail.inbox
            if mail.recipients == (_ADMIN,)
            and number.search(mail.text if _SUMMARY.search(mail.subject) else mail.subject)
        ]

    def has_tickets(self, payment: "Payment") -> bool:
        return any(
            (real := self.world.sumup.checkouts.get(checkout_id)) is not None
            and real.payment is payment
            and self.books.tickets[order_id]
            for order_id, (_, checkout_id, *_) in self.books.fulfilments.items()
        )


def _every_payment_is_accounted_for(accounts: _Accounts, order: "Sold") -> Iterator[str]:
    """Each payment paid for tickets, or was told, or went back.

    A mail that names checkouts tells of their payments. A case that names none ("needs a person") tells of one.
    """
    tellings = [mail for mail in accounts.tellings(order) if not _TELLS_OF_NO_PAYMENT.search(mail.subject)]
    own = {real.id for real in accounts.books.checkouts(order)}
    open_cases = [
        mail
        for mail in tellings
        if _TELLS_OF_A_CASE.search(mail.subject) and not any(name in mail.text for name in own)
    ]
    for payment in sorted(accounts.payments(order), key=lambda payment: payment.tick):
        if payment.refunded() >= payment.amount or accounts.has_tickets(payment) or payment.id in accounts.books.found:
            continue
        if any(name in mail.subject + mail.text for name in accounts.names(payment) for mail in tellings):
            continue
        if is_told_as_anothers(accounts.books, order, payment):
            continue
        if open_cases:
            del open_cases[0]
            continue
        status = accounts.books.orders[order.id][1]
        yield f"{payment.amount} were taken as {payment.id}: no tickets, nobody told, and the order is {status}"


def _tickets_rest_on_the_transaction(accounts: _Accounts, order: "Sold") -> Iterator[str]:
    """Rows 9b to 9d: the transaction is the authoritative record."""
    done = accounts.books.fulfilments.get(order.id)
    real = accounts.world.sumup.checkouts.get(done[1]) if done else None
    if done is None or real is None or real.payment is None or not accounts.books.tickets[order.id]:
        return
    paid = real.payment
    if paid.touched is not None:
        return  # it was changed since: `balance` looks at that
    if (paid.amount, paid.currency, paid.merchant) != (order.total, "GBP", real.merchant):
        yield f"its tickets rest on {paid.id}, which is {paid.amount} {paid.currency} to {paid.merchant}"
    if paid.simple_status != "SUCCESSFUL":
        yield f"its tickets rest on {paid.id}, which is {paid.simple_status}"
    asked = accounts.books.said(done[2], "transaction", paid.id)
    on_the_way = [status for tick, _, status in paid.on_the_way if asked and tick < asked[-1].tick]
    if on_the_way:
        yield f"its tickets rest on {paid.id}, and a refund of it was {on_the_way[0]} when SumUp was asked"


def _nothing_ends_on_a_contradiction(accounts: _Accounts, order: "Sold") -> Iterator[str]:
    """Rows 3a to 4b: what says "paid" or "under way" anywhere is not "not paid", and what is open has not expired."""
    for move in accounts.moves(order):
        if move.status_to not in ("failed", "expired"):
            continue
        looks = accounts.looks(order, move.run_id)
        last = {look.subject: look for look in looks}
        ends = f"run {move.run_id} took it to {move.status_to}"
        for paid in {look.subject for look in looks if look.found == "PAID"}:
            yield f"{ends} although it was told that {paid} is PAID"
        for checkout_id in {look.subject for look in looks if "SUCCESSFUL" in look.attempts}:
            if not _was_not_taken(accounts, move.run_id, checkout_id):
                yield f"{ends} although {checkout_id} was shown with a SUCCESSFUL attempt"
        for checkout_id, look in last.items():
            if look.attempts[-1:] == ("PENDING",):
                yield f"{ends} although {checkout_id} was shown with a PENDING attempt"
            is_open = look.found in ("PENDING", "NotAllowed", "NotFound") or _is_open_still(accounts, look)
            if move.status_to == "expired" and is_open:
                yield f"{ends} although {checkout_id} was last said to be {look.found}, and is open"
        yield from _is_ended_young(accounts, order, move, ends)


def _is_open_still(accounts: _Accounts, look: "Said") -> bool:
    real = accounts.world.sumup.checkouts[look.subject]
    return look.found == "Refused" and real.status == "PENDING"


def _was_not_taken(accounts: _Accounts, run_id: str, checkout_id: str) -> bool:
    """Say whether a run was told that the attempt in a checkout took no money."""
    return any(
        said.found in _TAKES_NO_MONEY for said in accounts.books.said(run_id, "transaction", f"txn-{checkout_id}-tried")
    )


def _is_ended_young(accounts: _Accounts, order: "Sold", move: _Move, ends: str) -> Iterator[str]:
    looks = accounts.looks(order, move.run_id)
    if move.reason != "too_old" or not looks:
        return
    newest = max(real.made_at for real in accounts.books.checkouts(order) if real.made_at <= looks[-1].at)
    age = looks[-1].at - max(newest, order.created_at)
    if age < _LIMIT:
        yield f"{ends} as too old, and the customer's newest try was {age} old"


def _no_case_of_what_mends_itself(accounts: _Accounts, order: "Sold") -> Iterator[str]:
    """Rows 1a, 2a and 15a: no case where the one payment fits, and SumUp says so, or will."""
    paid = [real for real in accounts.books.checkouts(order) if real.payment is not None]
    for move in accounts.moves(order):
        if move.status_to != "requires_manual_review" or move.reason not in ("mismatch", "not_found"):
            continue
        asked = [said for said in accounts.world.sumup.said if said.run_id == move.run_id]
        if any(said.found == "NotFound" for said in asked):
            continue  # by its own words, SumUp does not know it
        looks = accounts.looks(order, move.run_id) or asked
        then = [real for real in paid if looks and real.payment and real.payment.at < looks[0].at]
        if then and all(_fits(real, order) for real in then):
            yield f"run {move.run_id} made it a case ({move.reason}), and {then[0].id} was its right payment"


def _fits(real: "RealCheckout", order: "Sold") -> bool:
    payment = real.payment
    if payment is None or payment.refunds or payment.on_the_way or payment.simple_status != "SUCCESSFUL":
        return False
    wanted = (order.total, "GBP", order.merchant)
    as_taken = (payment.amount, payment.currency, payment.merchant)
    return wanted == as_taken == (real.amount, real.currency, real.merchant) and real.order == order.number


def _old_evidence_is_not_applied(accounts: _Accounts, order: "Sold") -> Iterator[str]:
    """Row 26a: what was asked longer ago than the lease is asked again."""
    if Kind.CLOCK_JUMPS in accounts.world.kinds:
        return  # the audit trail is dated by the hosts' clocks
    for move in accounts.moves(order):
        looks = accounts.looks(order, move.run_id)
        if looks and move.at - looks[-1].at > _LEASE + _SLACK:
            yield f"run {move.run_id} took it to {move.status_to} by what it was told {move.at - looks[-1].at} before"


def _no_clock_hides_an_order(accounts: _Accounts, order: "Sold") -> Iterator[str]:
    """Row 46: what waits when the clocks are right again is looked at by the next runs, not when the wrong one said."""
    done = accounts.books.fulfilments.get(order.id)
    if order.kind != Kind.CLOCK_JUMPS or done is None:
        return
    began = min(said.at for said in accounts.world.sumup.said if said.run_id == done[2])
    waited = began - accounts.world.cleared_at
    if waited > _SOON and all(payment.at < accounts.world.cleared_at for payment in accounts.payments(order)):
        yield f"it was paid, and waited for {waited} after all was well again"


def _a_basket_is_silent(accounts: _Accounts, order: "Sold") -> Iterator[str]:
    """Rows 5b and 15b: nothing was tried, so nobody hears of it, but of an answer that cannot be used (row 10)."""
    if not order.basket:
        return
    status = accounts.books.orders[order.id][1]
    if status != "pending":
        yield f"it is an abandoned basket, and {status} now"
    for mail in accounts.tellings(order):
        if _TELLS_OF_SUMUP.search(mail.subject):
            continue
        yield f"it is an abandoned basket, and admins were told: {mail.subject}"


def _a_closed_review_stays_closed(accounts: _Accounts, order: "Sold") -> Iterator[str]:
    """Rows 24a and 24c: a person has decided that this order gets no tickets, whatever is paid afterwards."""
    if order.rejected and (tickets := accounts.books.tickets[order.id]):
        yield f"a person had closed its review without tickets, and it has {len(tickets)} now"


def _a_wrong_world_moves_few(accounts: _Accounts, order: "Sold") -> Iterator[str]:
    """Row 48: of many orders that SumUp denies at once none goes to review."""
    for move in accounts.moves(order):
        together = accounts.denied_by(move.run_id)
        if move.status_to == "requires_manual_review" and move.reason == "not_found" and len(together) >= _MANY:
            yield f"run {move.run_id} made cases of {len(together)} orders at once, because SumUp knew none of them"


def _what_was_void_stays_so(accounts: _Accounts, order: "Sold") -> Iterator[str]:
    """Row 24b: what paypoll itself saw cancelled gets no tickets, whatever the shop remembers."""
    if order.seen_void and (tickets := accounts.books.tickets[order.id]):
        yield f"paypoll saw it cancelled, and told of it, and it has {len(tickets)} tickets now"


_CHECKS = {
    "2 every payment is accounted for": _every_payment_is_accounted_for,
    "1 no ticket against the transaction": _tickets_rest_on_the_transaction,
    "4 nothing ends on a contradiction": _nothing_ends_on_a_contradiction,
    "2 what mends itself is no case": _no_case_of_what_mends_itself,
    "26a old evidence is not applied": _old_evidence_is_not_applied,
    "46 no clock hides an order": _no_clock_hides_an_order,
    "24b what was void stays so": _what_was_void_stays_so,
    "15b a basket is silent": _a_basket_is_silent,
    "24c a closed review stays closed": _a_closed_review_stays_closed,
    "48 a wrong world moves few": _a_wrong_world_moves_few,
}


def _horizon(world: "World", order: "Sold") -> datetime:
    """Return until when this order's money is followed at the least: a window from its newest known checkout.

    The shop's rows are always known. One that the shop never stored is known if it was made before the end so far:
    the end is a look, with all look-ups by reference.
    """
    end = order.created_at + WINDOW
    for real in sorted(world.sumup.checkouts.values(), key=lambda real: real.made_at):
        if real.order == order.number and (real.id in world.shop.stored or real.made_at <= end):
            end = max(end, real.made_at + WINDOW)
    return end
