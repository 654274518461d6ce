"""The shop, as a program that is none of paypoll's business: pages that read and save rows, admins, refunds.

Plain SQL through psycopg2. Every page is one transaction of its own connection, and other actors get in between its
statements.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg2  # type: ignore[import-untyped]  # it has no types of its own
import psycopg2.extras  # type: ignore[import-untyped]  # the same
from psycopg2 import sql
from tests.simulation.postgres import Observer, WorldConnection, WorldCursor
from tests.simulation.sumup_entries import RealCheckout
from tests.simulation.sumup_model import SumUp

from paypoll.testing import NOW

ADMIN_USER = 1
_FILLERS = {
    "boolean": False,
    "integer": 0,
    "bigint": 0,
    "numeric": Decimal(0),
    "character varying": "",
    "text": "",
    "date": "2026-12-20",
    "time without time zone": "19:30",
}


class PageCursor(WorldCursor, psycopg2.extras.DictCursor):  # type: ignore[misc]  # its base has no types
    """A cursor of a page: rows by column name, and other actors between its statements."""


@dataclass
class Sold:
    """An order as the shop sold it: what is owed to whoever pays for it. `lines` are (item id, event id, places)."""

    id: int
    number: str
    email: str
    total: Decimal
    created_at: datetime
    lines: tuple[tuple[int, int, int], ...]
    merchant: str = "MPLATFORM"
    kind: str = ""  # of trouble that it was made for; empty: a usual customer's
    seen_void: bool = False  # paypoll has seen it cancelled, and told of its payment
    rejected: int = 0  # the tick at which a person closed its review without tickets
    by_shop: bool = False  # the shop gave the tickets out itself: they are none of paypoll's
    basket: bool = False  # nothing was ever tried: nobody is to hear of it
    restored: bool = False  # the shop was restored, and paypoll remembers more of this id than the shop does
    before: str = ""  # the number of the order that had its id before that
    cancelled_without_tickets: int | None = None  # the tick
    replayed: list[int] = field(default_factory=list)

    @property
    def places(self) -> int:
        """How many tickets it is for."""
        return sum(places for _, _, places in self.lines)


class Shop:
    """The shop's pages."""

    def __init__(self, dsn: str, observer: Observer) -> None:
        self._dsn = dsn
        self._observer = observer
        self._idle: list[WorldConnection] = []
        self._required: dict[str, dict[str, Any]] = {}
        self.now: Callable[[], datetime] = lambda: NOW
        self.tick: Callable[[], int] = lambda: 0
        self.sleep: Callable[[float], None] = lambda _seconds: None
        self.sold: dict[int, Sold] = {}
        self.deleted: list[Sold] = []  # that paypoll had seen before
        self.fees: dict[str, int] = {}  # the events of listing fees
        self.stored: set[str] = set()  # ids of checkouts that have, or had, a row
        self.places: dict[int, int] = {}

    def close(self) -> None:
        """Give the connections back."""
        for connection in self._idle:
            connection.close()

    @contextmanager
    def page(self) -> Iterator[Any]:
        """One page of the shop: a transaction. It gives up when it waited too long for a lock, as the shop's do."""
        connection = self._idle.pop() if self._idle else self._connect()
        connection.gave_up = False
        try:
            yield connection.cursor()
            connection.commit()
        except psycopg2.extensions.QueryCanceledError:
            connection.gave_up = True
            connection.rollback()
        finally:
            self._idle.append(connection)

    def _connect(self) -> WorldConnection:
        made: WorldConnection = psycopg2.connect(
            self._dsn, connection_factory=WorldConnection, cursor_factory=PageCursor
        )
        return made

    # -- setting up ----------------------------------------------------------------------------------------

    def open(self, opening: datetime, places: tuple[int, ...], *, organisers: tuple[str, ...] = ()) -> None:
        """Fill the empty shop with its staff and its events, which have so many places each.

        `organisers`: the merchants of two organisers who are connected to SumUp, and have every other event each.
        """
        self.sold, self.stored, self.fees, self.deleted = {}, set(), {}, []
        self.places = dict(enumerate(places, start=1))
        first, second = organisers or ("", "")
        connection = "connected" if organisers else "none"
        rows = [
            self._row("accounts_user", id=ADMIN_USER, email="staff@shop.example", user_type="admin"),
            self._row("accounts_user", id=2, email="choir@example.org", user_type="artist"),
            self._row("accounts_user", id=3, email="member@example.org", user_type="customer", is_active=True),
            self._row("accounts_user", id=4, email="band@example.org", user_type="artist"),
            *(
                self._row(
                    "accounts_artistprofile",
                    id=number,
                    user_id=user,
                    display_name=name,
                    sumup_connection_status=connection,
                    sumup_merchant_code=merchant,
                    sumup_access_token="token" if merchant else "",
                )
                for number, user, name, merchant in ((1, 2, "The Choir", first), (2, 4, "The Band", second))
            ),
        ]
        for event_id, capacity in self.places.items():
            rows.append(
                self._row(
                    "events_event",
                    id=event_id,
                    title=f"Concert {event_id}",
                    slug=f"concert-{event_id}",
                    venue_name="Town Hall",
                    capacity=capacity,
                    status="published",
                    organiser_id=4 if organisers and event_id % 2 == 0 else 2,
                    event_date=(opening + timedelta(days=20)).date(),
                )
            )
        self._observer.execute(
            b";".join(rows).decode() + ";SELECT setval('accounts_user_id_seq', 1000)"  # ids above are ours
        )

    def _row(self, table: str, **values: object) -> bytes:
        """Return an INSERT. The shop's framework fills every column that must not be empty."""
        if table not in self._required:
            found = self._observer.execute(
                "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = %s"
                " AND is_nullable = 'NO' AND is_identity = 'NO'",
                table,
            )
            self._required[table] = {name: _FILLERS.get(kind) for name, kind in found}
        row: Mapping[str, Any] = {
            **{name: self.now() if filler is None else filler for name, filler in self._required[table].items()},
            **values,
        }
        statement = sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
            sql.Identifier(table),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(sql.Placeholder() * len(row)),
        )
        return self._observer.mogrify(statement, tuple(row.values()))

    def insert(self, table: str, **values: object) -> None:
        """Insert a row, as a page does."""
        row = self._row(table, **values)
        with self.page() as cursor:
            cursor.execute(row)

    # -- what customers do ---------------------------------------------------------------------------------

    def place(self, order: Sold, *, member: bool) -> None:
        """Place an order: nothing is paid, and no checkout is made yet."""
        rows = [
            self._row(
                "orders_order",
                id=order.id,
                order_number=order.number,
                email=order.email,
                status="pending",
                total=order.total,
                delivery_first_name="Ada",
                delivery_last_name=f"Le Sueur {order.id}",
                user_id=3 if member else None,
                created_at=order.created_at,
                updated_at=order.created_at,
            )
        ]
        rows += [
            self._row(
                "orders_orderitem",
                id=item_id,
                order_id=order.id,
                event_id=event_id,
                event_title=f"Concert {event_id}",
                quantity=places,
                price=Decimal(10),
                total=Decimal(10) * places,
            )
            for item_id, event_id, places in order.lines
        ]
        with self.page() as cursor:
            cursor.execute(b";".join(rows))
        self.sold[order.id] = order  # now anybody can see it

    def store_checkout(
        self, order: Sold, real: RealCheckout, reference: str, *, way: str, merchant: str | None = None
    ) -> None:
        """Store a checkout's row. `way`: which of the two columns has the id, or none."""
        row = self._row(
            "payments_sumupcheckout",
            order_id=order.id,
            payment_id=f"pay-{real.id}",
            checkout_reference=reference,
            sumup_checkout_id=real.id if way in ("first", "both") else "",
            checkout_id=real.id if way in ("second", "both") else "",
            amount=order.total,
            currency="GBP",
            merchant_code=order.merchant if merchant is None else merchant,
            status="pending",
            should_poll=True,
            created_at=self.now(),
            updated_at=self.now(),
        )
        with self.page() as cursor:
            cursor.execute(row)
        if not cursor.connection.gave_up:
            self.stored.add(real.id)

    def reuse_checkout(self, order: Sold, real: RealCheckout) -> None:
        """Write another try's id into the first column of the newest row, as the shop does."""
        with self.page() as cursor:
            cursor.execute(
                "UPDATE payments_sumupcheckout SET sumup_checkout_id = %s, updated_at = %s"
                " WHERE id = (SELECT max(id) FROM payments_sumupcheckout WHERE order_id = %s)",
                (real.id, self.now(), order.id),
            )
        if not cursor.connection.gave_up:
            self.stored.add(real.id)

    def return_page(self, order: Sold) -> None:
        """The browser calls the return URL: whatever the order's status, it waits for verification now."""
        with self.page() as cursor:
            cursor.execute(
                "UPDATE orders_order SET status = 'pending_verification', updated_at = %s WHERE id = %s",
                (self.now(), order.id),
            )
            order.replayed.append(self.tick())

    # -- what admins and stale pages do ---------------------------------------------------------------------

    def move(self, order: Sold, status: str, *, written: bool = True) -> None:
        """An admin, or a page of the shop, moves the order to a status, `written` into its history or not."""
        with self.page() as cursor:
            cursor.execute(
                "UPDATE orders_order SET status = %s, updated_at = %s WHERE id = %s", (status, self.now(), order.id)
            )
            if written:
                self._note(cursor, order, status.replace("requires_", ""))  # its column is narrower

    def cancel(self, order: Sold) -> None:
        """An admin cancels the order, and sees whether it has tickets."""
        tickets = -1
        with self.page() as cursor:
            cursor.execute(
                "UPDATE orders_order SET status = 'cancelled', updated_at = %s WHERE id = %s", (self.now(), order.id)
            )
            self._note(cursor, order, "cancelled")
            cursor.execute("SELECT count(*) FROM events_ticket WHERE order_id = %s", (order.id,))
            (tickets,) = cursor.fetchone()
        order.cancelled_without_tickets = self.tick() if tickets == 0 else None

    def refund(self, order: Sold, sumup: SumUp, share: Decimal, *, tell_shop: bool) -> None:
        """An admin refunds what was paid, in the shop or in SumUp's dashboard alone."""
        given = Decimal(0)
        for real in sumup.checkouts.values():
            if real.order == order.number:
                given += sumup.give_back(real.payment, (real.amount * share).quantize(Decimal("0.01")))
        if not tell_shop or not given:
            return
        with self.page() as cursor:
            cursor.execute(
                self._row("orders_refund", order_id=order.id, amount=given, status="processed", created_at=self.now())
            )
            cursor.execute(
                "UPDATE orders_order SET status = 'refunded', updated_at = %s WHERE id = %s", (self.now(), order.id)
            )
            self._note(cursor, order, "refunded")

    def save_stale_order(self, order: Sold, seconds: float) -> None:
        """A page reads the order's whole row, takes its time, and saves every column again."""
        old = None
        with self.page() as cursor:
            cursor.execute("SELECT * FROM orders_order WHERE id = %s", (order.id,))
            old = cursor.fetchone()
        if old is None:
            return
        self.sleep(seconds)
        columns = ("status", "is_paid", "paid_at", "transaction_id", "payment_notes", "updated_at", "phone")
        assignments = ", ".join(f"{column} = %s" for column in columns)
        with self.page() as cursor:
            cursor.execute(
                f"UPDATE orders_order SET {assignments} WHERE id = %s",  # noqa: S608 - our own names
                (*(old[column] for column in columns), order.id),
            )
        if old["status"] == "pending_verification":
            order.replayed.append(self.tick())
        order.cancelled_without_tickets = None

    def save_stale_checkouts(self, order: Sold, seconds: float) -> None:
        """The same with the order's checkouts."""
        old: list[Any] = []
        with self.page() as cursor:
            cursor.execute("SELECT * FROM payments_sumupcheckout WHERE order_id = %s ORDER BY id", (order.id,))
            old = cursor.fetchall()
        self.sleep(seconds)
        with self.page() as cursor:
            for row in old:
                cursor.execute(
                    "UPDATE payments_sumupcheckout SET status = %s, paid_at = %s, poll_count = %s WHERE id = %s",
                    (row["status"], row["paid_at"], row["poll_count"], row["id"]),
                )

    def hold_row(self, order: Sold, seconds: float) -> None:
        """A page that takes the order's row lock and then its time."""
        with self.page() as cursor:
            cursor.execute("SELECT id FROM orders_order WHERE id = %s FOR UPDATE", (order.id,))
            self.sleep(seconds)
            cursor.execute("UPDATE orders_order SET phone = '01534' WHERE id = %s", (order.id,))

    def _note(self, cursor: Any, order: Sold, status: str) -> None:
        cursor.execute(
            self._row(
                "orders_orderstatushistory",
                order_id=order.id,
                status=status,
                note="by staff",
                created_at=self.now(),
                changed_by_id=ADMIN_USER,
            )
        )
