"""A stage for acceptance tests: the installed command as a process of its own, and everything it meets real.

PostgreSQL with the shop's schema, SumUp's simulator over HTTP, a mail sink over SMTP, a media folder, a settings
file. Nothing of paypoll runs in the test's process but the sandbox's two servers.
"""

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from tests import settings_text
from tests.acceptance.papers import subject
from tests.json_schemas import check_printed
from tests.settings_text import world_settings, write_settings_file
from tests.warm import Process, nursery

from paypoll.sandbox.demo.shop import SmallShop
from paypoll.sandbox.mail.sink import Mail, MailSink
from paypoll.sandbox.shifted_clock import ShiftedClock
from paypoll.sandbox.sumup.simulator import Simulator
from paypoll.state.grants import grants_sql

PROGRAM = Path(sys.executable).with_name("paypoll")
MERCHANT = settings_text.MERCHANT
API_KEY = settings_text.API_KEY
ADMIN = settings_text.ADMIN
ROLE = "paypoll_least"
"""paypoll's database role, which has what `paypoll db grants` gives it and nothing else."""

PRICE = Decimal("12.50")
PATIENCE = 180.0
"""Seconds after which a process that has not ended hangs."""

SOON = timedelta(minutes=15)
"""Longer ago than `verification.failed_grace`: whoever was declined then is not trying another card."""
# What the shop's tables hold about polling: it changes at every look, also where nothing else does.
_POLLING = {"should_poll", "polling_started_at", "last_polled_at", "poll_count", "updated_at"}

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Placed:
    """An order in the shop. `checkout` is the id at SumUp of its first checkout; empty if there is none."""

    id: int
    number: str
    email: str
    total: Decimal
    age: timedelta
    checkout: str = ""


@dataclass(frozen=True, slots=True)
class Ended:
    """What a process of paypoll came to. `log` holds its log lines, `errors` the other lines on stderr."""

    code: int
    stdout: str
    stderr: str

    @property
    def report(self) -> dict[str, Any]:
        """The JSON on stdout."""
        parsed: dict[str, Any] = json.loads(self.stdout)
        return parsed

    @property
    def log(self) -> list[dict[str, Any]]:
        """The log lines, which are JSON where there is no terminal."""
        return [json.loads(line) for line in self.stderr.splitlines() if line.startswith("{")]

    @property
    def errors(self) -> list[str]:
        """What a person reads on stderr, without what libpq itself prints there.

        Where a connection is cut in the instant in which it was made, no code above libpq hears of it yet.
        """
        lines = (line for line in self.stderr.splitlines() if not line.startswith("{"))
        return [line for line in lines if line != "FATAL:  terminating connection due to administrator command"]

    def reason(self, order: Placed) -> str:
        """Return the reason that the report gives for what became of the order."""
        (found,) = [one for one in self.report["orders"] if one["number"] == order.number]
        return str(found["reason"])


@dataclass
class Stage:
    """A shop, a SumUp, a mail server and the command. Builders return what was placed; readers change nothing.

    paypoll logs in at `database_url`, as a role with the least privileges; the shop is the owner, at `owner_url`.
    """

    folder: Path
    owner_url: str
    engine: sa.Engine
    sumup: Simulator
    sink: MailSink
    sumup_time: ShiftedClock = field(default_factory=ShiftedClock)
    environ: dict[str, str] = field(default_factory=dict)
    wrapper: tuple[str, ...] = ()
    """A command that runs the command given to it, as `nice` does; paypoll is run by it."""
    pages_checked: bool = True
    """Whether the shop's pages must be whole at the end. Not where the test itself spoils what they read."""

    # --- building ----------------------------------------------------------------------------------------

    def __post_init__(self) -> None:
        """Write the settings file, and open the shop with one organiser."""
        self.database_url = self.owner_url.replace("postgres@", f"{ROLE}@")
        self.grant()
        self.media = self.folder / "media"
        self.media.mkdir()
        settings = world_settings(
            self.database_url,
            sumup_url=self.sumup.url,
            smtp_port=self.sink.port,
            media=self.media,
            sumup={"requests_per_second": 500},
        )
        self.config = write_settings_file(self.folder / "config.toml", settings)
        self.sumup.add_merchant(MERCHANT, API_KEY)
        self.shop = SmallShop(self.engine)

    @cached_property
    def organiser(self) -> int:
        """The organiser of the events that have no other."""
        return self.shop.add_organiser("choir@organiser.example", "The Choir")

    @cached_property
    def concert(self) -> int:
        """The event that orders are for unless they say otherwise."""
        return self.event("Winter Concert")

    def event(self, title: str, *, starts_in: timedelta = timedelta(days=30), **values: Any) -> int:
        """Add an event and return its id."""
        slug = values.pop("slug", f"{'-'.join(title.lower().split())[:180]}-{next(_numbers)}")
        organiser = values.pop("organiser_id", None) or self.organiser
        return self.shop.add_event(organiser, title, starts=datetime.now(UTC) + starts_in, slug=slug, **values)

    def order(
        self,
        number: str,
        *,
        places: Sequence[tuple[int | None, int, Decimal]] | None = None,
        age: timedelta = SOON,
        checkout: str = "PENDING",
        **columns: Any,
    ) -> Placed:
        """Place an order of this age, with one checkout in this state; none if the state is empty."""
        email = columns.pop("email", f"{number.lower()}@buyer.example")
        wanted = [(self.concert, 2, PRICE)] if places is None else places
        order_id = self.shop.add_order(number, email, wanted, created_at=datetime.now(UTC) - age, **columns)
        placed = Placed(order_id, number, email, self.shop.row("orders_order", order_id)["total"], age)
        if not checkout:
            return placed
        return Placed(order_id, number, email, placed.total, age, self.checkout(placed, checkout))

    def checkout(
        self,
        order: Placed,
        state: str = "PENDING",
        *,
        reference: str = "",
        stored: bool = True,
        amount: Decimal | None = None,
        currency: str = "GBP",
        merchant: str = MERCHANT,
        age: timedelta | None = None,
        hosted: bool = False,
        **columns: Any,
    ) -> str:
        """Make a checkout of the order at SumUp, and its row in the shop unless it is not `stored`. Return its id.

        It was made, and paid or declined, `age` ago: with the order, if nothing is said.
        """
        reference = reference or order.number
        ago = max(order.age if age is None else age, timedelta(0))
        with self.sumup_time.back(ago):
            checkout_id = self.sumup.create_checkout(
                reference=reference,
                amount=order.total if amount is None else amount,
                currency=currency,
                merchant_code=merchant,
                hosted=hosted,
            )
            match state:
                case "PAID":
                    self.sumup.pay(checkout_id, force=True)
                case "FAILED":
                    self.sumup.decline(checkout_id)
                case "EXPIRED":
                    self.sumup.expire(checkout_id)
        if stored:
            row = {"merchant_code": MERCHANT, **columns}
            row_id = self.shop.add_checkout(order.id, reference, row.pop("sumup_checkout_id", checkout_id), **row)
            if age is not None:
                self.shop.update("payments_sumupcheckout", row_id, created_at=datetime.now(UTC) - age)
        return checkout_id

    def issue_as_the_shop(self, order: Placed, *, places: int) -> None:
        """Issue tickets as an older page of the shop did: without QR data and PDF."""
        buyer = self.shop.add_user(order.email)
        for place in range(places):
            self.shop.insert(
                "events_ticket", ticket_number=f"OLD-{order.id}-{place}", order_id=order.id, event_id=self.concert,
                customer_id=buyer, status="valid",
            )  # fmt: skip

    def grant(self, *, refunds: bool = False) -> None:
        """Give paypoll's role what it needs, by the SQL that `paypoll db grants` prints."""
        with self.engine.connect() as connection:
            # It has a transaction of its own, and what the driver would take for placeholders.
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(
                grants_sql(ROLE, refunds=refunds).replace("%", "%%")
            )

    # --- running -----------------------------------------------------------------------------------------

    def paypoll(self, *arguments: str, **environ: str) -> Ended:
        """Run the installed command with these arguments to its end. `environ` holds settings, as PAYPOLL_ has them."""
        process = self.start(*arguments, **environ)
        try:
            stdout, stderr = process.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        check_printed(arguments, stdout)
        # What CSV begins with is no part of the name of its first column.
        return Ended(process.wait(), stdout.removeprefix("\ufeff"), stderr)

    def run_once(self, *arguments: str, **environ: str) -> Ended:
        """Run `paypoll run-once --json` to its end."""
        return self.paypoll("run-once", "--json", *arguments, **environ)

    def start(self, *arguments: str, **environ: str) -> Process:
        """Start the installed command and return at once. Mostly it is a warm start: `warm` says when, and why."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("PAYPOLL_")}
        settings = {f"PAYPOLL_{name.upper()}": value for name, value in {**self.environ, **environ}.items()}
        surroundings, words = {**inherited, **settings}, ("--config", str(self.config), *arguments)
        if not self.wrapper and nursery().fits(arguments[0], surroundings):
            return nursery().start(words, surroundings)
        return subprocess.Popen(  # noqa: S603 - the command that is tested
            [*self.wrapper, PROGRAM, *words],
            env=surroundings,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def let_time_pass(self) -> None:
        """Make everything due that paypoll has put off, and every lease of a run that is gone run out."""
        past = "now() - interval '1 second'"
        self.sql(f"UPDATE paypoll.watch SET lease_until = {past} WHERE lease_until IS NOT NULL")  # noqa: S608 - ours
        self.sql(f"UPDATE paypoll.watch SET next_check_at = {past} WHERE next_check_at > now()")  # noqa: S608 - ours
        self.sql(f"UPDATE paypoll.lease SET until = {past}")  # noqa: S608 - ours
        self.sql(f"UPDATE paypoll.refund SET next_look_at = {past} WHERE next_look_at > now()")  # noqa: S608 - ours
        self.sql(f"UPDATE paypoll.outbox SET lease_until = {past} WHERE lease_until IS NOT NULL")  # noqa: S608 - ours
        self.sql(f"UPDATE paypoll.outbox SET next_attempt_at = {past} WHERE next_attempt_at > now()")  # noqa: S608

    def let_age(self, order: Placed, by: timedelta) -> None:
        """Have everything about the order in the database, the shop's rows and paypoll's, be so much longer ago."""
        for table, column, names in (
            ("orders_order", "id", ("created_at", "updated_at")),
            ("payments_sumupcheckout", "order_id", ("created_at", "updated_at", "last_polled_at")),
            ("paypoll.watch", "order_id", ("first_seen_at", "settled_at", "next_check_at", "last_checked_at")),
            ("paypoll.checkout_seen", "order_id", ("first_seen_at", "seen_at", "failed_since", "made_at")),
            ("paypoll.fulfilment", "order_id", ("fulfilled_at",)),
        ):
            moved = ", ".join(f"{name} = {name} - :by" for name in names)
            self.sql(f"UPDATE {table} SET {moved} WHERE {column} = :order_id", by=by, order_id=order.id)  # noqa: S608 - ours

    # --- reading the database ----------------------------------------------------------------------------

    def sql(self, statement: str, **values: Any) -> list[sa.RowMapping]:
        """Execute a statement as somebody else who is connected to the database, and return its rows."""
        with self.engine.begin() as connection:
            result = connection.execute(sa.text(statement), values)
            return list(result.mappings()) if result.returns_rows else []

    def row(self, order: Placed) -> dict[str, Any]:
        """Return the order's row."""
        return self.shop.row("orders_order", order.id)

    def status(self, order: Placed) -> str:
        """Return the order's status."""
        return str(self.row(order)["status"])

    def tickets(self, order: Placed) -> list[dict[str, Any]]:
        """Return the order's tickets."""
        return self.shop.rows("events_ticket", order_id=order.id)

    def next_look(self, order: Placed) -> datetime | None:
        """Return when paypoll looks at the order again; None: not any more."""
        (watched,) = self.sql("SELECT next_check_at FROM paypoll.watch WHERE order_id = :order_id", order_id=order.id)
        at: datetime | None = watched["next_check_at"]
        return at

    def history(self, order: Placed) -> list[str]:
        """Return the statuses that the order's history tells of."""
        return [row["status"] for row in self.shop.rows("orders_orderstatushistory", order_id=order.id)]

    def checkout_rows(self, order: Placed) -> list[dict[str, Any]]:
        """Return the shop's rows of the order's checkouts."""
        return self.shop.rows("payments_sumupcheckout", order_id=order.id)

    def audit(self, order: Placed, action: str = "verified") -> list[sa.RowMapping]:
        """Return what the audit trail has about the order."""
        query = "SELECT * FROM paypoll.audit WHERE order_id = :order_id AND action = :action ORDER BY id"
        return self.sql(query, order_id=order.id, action=action)

    def reasons(self, order: Placed) -> list[str]:
        """Return why it was decided so, look by look, without the quiet looks that found nothing new."""
        return [one["reason"] for one in self.audit(order) if one["reason"] != "settled"]

    def dump(self, *schemas: str, polling: bool = True) -> dict[str, list[str]]:
        """Return every row of every table of these schemas as text; without `polling`, less what each look changes."""
        found: dict[str, list[str]] = {}
        tables = self.sql(
            "SELECT table_schema AS schema, table_name AS name, array_agg(column_name::text ORDER BY ordinal_position)"
            " AS columns FROM information_schema.columns WHERE table_schema = ANY(:schemas) GROUP BY 1, 2",
            schemas=list(schemas),
        )
        for table in tables:
            skipped = set() if polling or table["name"] != "payments_sumupcheckout" else _POLLING
            columns = ", ".join(f'"{name}"' for name in table["columns"] if name not in skipped)
            rows = self.sql(f'SELECT ROW({columns})::text AS row FROM "{table["schema"]}"."{table["name"]}" ORDER BY 1')  # noqa: S608 - names of the catalogue
            found[f"{table['schema']}.{table['name']}"] = [row["row"] for row in rows]
        return found

    # --- reading mail ------------------------------------------------------------------------------------

    def mails(self, order: Placed) -> list[Mail]:
        """Return the mails to the buyer."""
        return [mail for mail in self.sink.messages if mail.recipients == (order.email,)]

    def alerts(self, order: Placed) -> list[Mail]:
        """Return the mails to the admins about this order alone."""
        told = (mail for mail in self.sink.messages if mail.recipients == (ADMIN,))
        named = re.compile(rf"Order {re.escape(order.number)}\b(?!-)")
        return [mail for mail in told if named.search(subject(mail))]


@contextmanager
def opened_stage(database_url: str, folder: Path) -> Iterator[Stage]:
    """Set a stage up on this database, in this folder."""
    engine = sa.create_engine(sa.make_url(database_url).set(drivername="postgresql+psycopg2"))
    clock = ShiftedClock()
    with Simulator(clock=clock) as sumup, MailSink(folder / "mails") as sink:
        yield Stage(folder, database_url, engine, sumup, sink, clock)
    engine.dispose()
