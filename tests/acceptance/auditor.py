"""What must be true of many orders after kills, cuts and crowds, read from PostgreSQL and the mail sink alone.

Nothing of paypoll is used here, neither its rules nor its queries: plain SQL, what SumUp was made to say, and the
mails that arrived. An empty list means that every promise was kept.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from email.message import EmailMessage

import psycopg2  # type: ignore[import-untyped]  # it has no types of its own

ENDS = {"PAID": "completed", "FAILED": "failed", "EXPIRED": "expired", "PENDING": "pending_verification"}
"""What becomes of an order, by what SumUp says."""


class Auditor:
    """Holds the tables and the mails against what SumUp said: `said` has each order's state there, by its number."""

    def __init__(self, url: str, said: Mapping[str, str]) -> None:
        self._url = url
        self._said = said

    def find(self, mails: Sequence[tuple[str, EmailMessage]]) -> list[str]:
        """Return what is wrong. `mails` are (recipient, message), as they arrived."""
        connection = psycopg2.connect(self._url)
        try:
            with connection.cursor() as cursor:
                return [*self._orders(cursor), *self._keys(cursor), *self._mails(cursor, mails)]
        finally:
            connection.close()

    def _orders(self, cursor: "psycopg2.extensions.cursor") -> Iterator[str]:
        cursor.execute(
            "SELECT o.order_number, o.status, o.is_paid,"
            " (SELECT coalesce(sum(i.quantity), 0) FROM orders_orderitem i WHERE i.order_id = o.id),"
            " (SELECT count(*) FROM events_ticket t WHERE t.order_id = o.id),"
            " (SELECT count(DISTINCT p.ticket_id) FROM paypoll.ticket_place p WHERE p.order_id = o.id),"
            " (SELECT count(*) FROM orders_orderstatushistory h WHERE h.order_id = o.id),"
            " (SELECT count(*) FROM paypoll.audit a WHERE a.order_id = o.id AND a.status_from <> a.status_to)"
            " FROM orders_order o"
        )
        rows = {row[0]: row[1:] for row in cursor.fetchall()}
        if rows.keys() != self._said.keys():
            yield "the orders are not those that were placed"
        for number, (status, is_paid, places, tickets, filled, history, audited) in rows.items():
            said = self._said[number]
            if status != ENDS[said]:
                yield f"{number} is {status}, and SumUp says {said}"
            if is_paid is not (said == "PAID"):
                yield f"{number} is paid: {is_paid}, and SumUp says {said}"
            if (owed := places if said == "PAID" else 0) != tickets or tickets != filled:
                yield f"{number} has {tickets} tickets at {filled} places, and is owed {owed}"
            if (moves := 0 if said == "PENDING" else 1) != history or history != audited:
                yield f"{number} moved {moves} times; its history has {history} rows, the audit trail {audited}"

    @staticmethod
    def _keys(cursor: "psycopg2.extensions.cursor") -> Iterator[str]:
        for what, query in {
            "a ticket number": "SELECT ticket_number FROM events_ticket GROUP BY 1 HAVING count(*) > 1",
            "a QR code": "SELECT qr_code FROM events_ticket GROUP BY 1 HAVING count(*) > 1",
            "a payment": "SELECT transaction_id FROM orders_order WHERE is_paid GROUP BY 1 HAVING count(*) > 1",
        }.items():
            cursor.execute(query)
            yield from (f"{what} is there twice: {value}" for (value,) in cursor.fetchall())
        cursor.execute("SELECT kind, state FROM paypoll.outbox WHERE state IN ('waiting', 'sending')")
        yield from (f"a {kind} is still {state}" for kind, state in cursor.fetchall())
        cursor.execute(
            "SELECT lease_run FROM paypoll.watch WHERE lease_run IS NOT NULL"
            " UNION ALL SELECT lease_run FROM paypoll.outbox WHERE lease_run IS NOT NULL"
        )
        yield from (f"run {run} still holds something" for (run,) in cursor.fetchall())

    def _mails(self, cursor: "psycopg2.extensions.cursor", mails: Sequence[tuple[str, EmailMessage]]) -> Iterator[str]:
        cursor.execute("SELECT email, order_number FROM orders_order")
        buyers = dict(cursor.fetchall())
        cursor.execute("SELECT message_id, maybe_twice FROM paypoll.outbox")
        posted = dict(cursor.fetchall())
        arrived = Counter((to, str(message["Message-ID"])) for to, message in mails)
        for (to, message_id), times in arrived.items():
            if message_id not in posted:
                yield f"a mail to {to} is in no outbox"
            elif times > 1 and not posted[message_id]:
                yield f"a mail to {to} arrived {times} times, and that is written down nowhere"
        heard = Counter(buyers[to] for to, _ in arrived if to in buyers)
        for number, said in self._said.items():
            if heard[number] != (wanted := 1 if said in ("PAID", "FAILED") else 0):
                yield f"the buyer of {number} got {heard[number]} different mails, and {wanted} was due"
