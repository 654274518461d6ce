"""A shop that is restored to an older moment than paypoll's own schema: orders as they were before, or lost.

An order that is lost has its id given out again, to another customer's. What paypoll remembers under that id must
never count for it; and tickets that it has issued once are not issued again.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.simulation.accounts import has_bought_for_another

if TYPE_CHECKING:
    from tests.simulation.promises import Books
    from tests.simulation.shop_model import Shop, Sold
    from tests.simulation.story import Story

_OF_AN_ORDER = ("events_ticket", "orders_orderstatushistory", "payments_sumupcheckout", "orders_orderitem")
_NUMBERS_FROM = 100  # those of orders that are given an old id
_TRIES = 12


def restored_shop(story: "Story") -> None:
    """Let the shop be restored: to a moment before the order was paid, or to one before it was placed."""
    how = story.tale.choice(("as it was", "lost", "lost before it was paid", "deleted"))
    story.place()
    real = story.make()
    if how not in ("lost before it was paid", "deleted"):
        before = order_rows(story)
        story.wait(0.02, 0.4)
        story.pay(real)
        story.come_back()
        if not _has_its_tickets(story):
            return
        if how == "as it was":
            put_order_back(story.world.shop, story.order, before)
            story.order.restored = True
            story.note("the shop is restored to a moment before the order was paid")
            story.wait(0.02, 3)
            story.come_back()
            return
    else:
        story.wait(0.5, 3)  # looked at meanwhile, or not
    old = story.order
    lose_order(story.world.shop, old)
    query = "SELECT count(*) FROM paypoll.watch WHERE order_id = %s"
    ((remembered,),) = story.world.bench.observer.execute(query, old.id)
    if remembered:
        story.world.shop.deleted.append(old)
    if how == "deleted":
        story.wait(*story.tale.choice(((0.02, 1), (1, 30))))
        story.pay(real)
        return
    story.note("the shop is restored to a moment before the order was placed")
    story.wait(0.02, 2)
    number, email = f"ORD-{_NUMBERS_FROM + story.number}", f"other{story.number}@example.org"
    story.stands_for(replace(old, number=number, email=email, created_at=story.world.bench.clock.now(), replayed=[]))
    story.order.restored = bool(remembered)
    story.order.before = old.number
    story.world.shop.place(story.order, member=False)
    story.note(f"order {number} is placed, under the id of {old.number}")
    real = story.make()
    story.wait(0.02, 0.4)
    if story.chance(0.8):
        story.pay(real)
    else:
        story.decline(real)
    story.come_back()


def order_rows(story: "Story") -> dict[str, Any]:
    """Return the order's row as a dump has it."""
    columns = "status, is_paid, paid_at, transaction_id, payment_notes, user_id"
    query = f"SELECT {columns} FROM orders_order WHERE id = %s"  # noqa: S608 - our own names
    (row,) = story.world.bench.observer.execute(query, story.order.id)
    return dict(zip(columns.split(", "), row, strict=True))


def _has_its_tickets(story: "Story") -> bool:
    """Wait until the order has its tickets and they have been sent, for some hours, and say whether it has."""
    query = "SELECT state FROM paypoll.outbox WHERE order_id = %s AND kind LIKE '%%confirmation'"
    for _ in range(_TRIES):
        story.wait(0.5, 1.5)
        if [state for (state,) in story.world.bench.observer.execute(query, story.order.id)] == ["sent"]:
            return True
    return False


def delete_rows(cursor: Any, order: "Sold", *tables: str) -> None:
    """Delete what stands about an order in these tables."""
    for table in tables:
        cursor.execute(f"DELETE FROM {table} WHERE order_id = %s", (order.id,))  # noqa: S608 - our own names


def lose_order(shop: "Shop", order: "Sold") -> None:
    """Let an order never have been placed."""
    with shop.page() as cursor:
        delete_rows(cursor, order, *_OF_AN_ORDER)
        cursor.execute("DELETE FROM orders_order WHERE id = %s", (order.id,))
    del shop.sold[order.id]


def put_order_back(shop: "Shop", order: "Sold", row: dict[str, Any]) -> None:
    """Let an order be as it was: without its tickets, its history, and what was written into it."""
    assignments = ", ".join(f"{column} = %s" for column in row)
    with shop.page() as cursor:
        delete_rows(cursor, order, "events_ticket", "orders_orderstatushistory")
        statement = f"UPDATE orders_order SET {assignments} WHERE id = %s"  # noqa: S608 - our own names
        cursor.execute(statement, (*row.values(), order.id))


def _deleted_and_paid(books: "Books") -> Iterator[tuple[str, str]]:
    told = [mail.text for mail in books.world.mail.inbox if "was deleted in the shop, and it was paid" in mail.subject]
    for order in books.world.shop.deleted:
        for real in books.checkouts(order):
            if real.held <= 0 or has_bought_for_another(books, order, real):
                continue
            if not any(real.id in text for text in told):
                what = f"order {order.id}: {real.held} are held by {real.id}, the order is gone, and nobody was told"
                yield "26b money of what is gone is told", what


def broken_records(books: "Books") -> Iterator[tuple[str, str]]:
    """Return where a restored shop's orders got what they must not get: (promise, what)."""
    yield from _deleted_and_paid(books)
    promise = "39a records are of their own order"
    for order in books.world.shop.sold.values():
        if not order.restored or order.id not in books.orders:
            continue
        if tickets := books.tickets[order.id]:
            yield promise, f"order {order.id}: the shop was restored, and it has {len(tickets)} tickets by itself"
        if books.orders[order.id][1] == "completed":
            yield promise, f"order {order.id}: the shop was restored, and it is completed without a ticket"
        if not order.before:
            continue
        sent = [mail for mail in books.world.mail.inbox if mail.recipients == (order.email,)]
        for mail in sent:
            if mail.pdfs or order.before in mail.subject + mail.text:
                yield promise, f"order {order.id}: {order.email} got the mail of {order.before}: {mail.subject}"
