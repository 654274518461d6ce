"""Where benchmarks are run.

A real PostgreSQL with the shop's schema, SumUp and a mail server in a process of their own, and the installed command
as a process whose time and memory are counted.
"""

import itertools
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Self

import sqlalchemy as sa
from tests import settings_text
from tests.conftest import SHOP_SCHEMA, Server
from tests.settings_text import world_settings, write_settings_file

from paypoll.database import DatabaseOptions, make_engine, transaction
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.state.upgrade import upgrade

PROGRAM = Path(sys.executable).with_name("paypoll")
MERCHANT = settings_text.MERCHANT
API_KEY = settings_text.API_KEY
TICKETS = 2
PRICE = Decimal("12.50")
NO_LEDGER = {"PAYPOLL_LEDGER__EVERY": "0"}
PARALLEL = 16
"""Requests in flight. The default is 8, which at 150 ms would allow for 26 orders a second and no more."""

_numbers = itertools.count(1)


def _one_of(*names: str) -> str:
    """Return SQL for one of these names, by chance."""
    listed = ", ".join(f"'{name}'" for name in names)
    return f"((ARRAY[{listed}])[1 + floor(random() * {len(names)})::int])"


# As long as names are, in letters that need a subset of the fonts now and then.
_FIRST_NAMES = _one_of("Ada", "Zoë", "Noor", "Quentin", "Jo", "Wilhelmina", "Fenella", "Ülkü", "Marie-Claire", "Bob")
_LAST_NAMES = _one_of("Le Sueur", "Müller", "Okafor", "de la Haye", "Li", "Vautier-Hamon", "Ó Briain", "Smith", "Kováč")


@dataclass(frozen=True, slots=True)
class Spent:
    """What a process took: seconds by the clock and of CPU, its children's included, and MiB of the largest.

    `own_cpu` is without its children; `memory_mib` of all processes at once, what they share counted once.
    """

    elapsed: float
    cpu: float
    own_cpu: float
    peak_mib: float
    memory_mib: float
    stdout: str


class FarSide:
    """SumUp and the mail server, in a process of their own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.benchmarks.far_side"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        where = self._answer()
        self.sumup_url: str = where["sumup"]
        self.smtp_port: int = where["smtp_port"]
        self.tell(do="merchant", code=MERCHANT, api_key=API_KEY)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=30)

    def tell(self, **wish: Any) -> dict[str, Any]:
        """Tell it what to do, and return its answer."""
        if self._process.stdin is None:
            raise RuntimeError("the far side has no standard input")
        self._process.stdin.write(json.dumps(wish) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._process.stdout.readline() if self._process.stdout is not None else ""
        if not line:
            raise RuntimeError("the far side has ended")
        answer: dict[str, Any] = json.loads(line)
        return answer


class Bed:
    """A shop with nothing in it but two events, and paypoll set up for it."""

    def __init__(self, server: Server, far: FarSide, folder: Path) -> None:
        self._server = server
        self.far = far
        self.name = f"bench_{next(_numbers)}"
        server.run(f"CREATE DATABASE {self.name}")
        self.url = server.url(self.name)
        self.engine = make_engine(DatabaseOptions(driver_url(self.url), statement_timeout=timedelta(minutes=30)))
        with transaction(self.engine) as connection:
            connection.exec_driver_sql(SHOP_SCHEMA.read_text(encoding="utf-8"))
            upgrade(connection)
        self.shop = SmallShop(self.engine)
        media = folder / f"{self.name}-media"
        media.mkdir()
        settings = world_settings(
            self.url,
            sumup_url=far.sumup_url,
            smtp_port=far.smtp_port,
            media=media,
            sumup={"requests_per_second": 1000, "parallel_requests": PARALLEL},
            ledger={"every": None},  # a section that the last release does not know: said in the environment
        )
        self.config = write_settings_file(folder / f"{self.name}.toml", settings)
        self._organiser = self.shop.add_organiser("choir@organiser.example", "The Choir")
        self.event = self.add_event("Winter Concert")

    def add_event(self, title: str) -> int:
        """Add an event with room for all, and return its id."""
        starts = datetime.now(UTC) + timedelta(days=30)
        return self.shop.add_event(self._organiser, title, starts=starts, capacity=10_000_000)

    def count_tickets(self) -> int:
        """Return how many tickets there are."""
        (row,) = self.sql("SELECT count(*) AS n FROM events_ticket")
        return int(row["n"])

    def fill_history(self, count: int) -> None:
        """Put so many orders of long ago into the shop, completed and known to paypoll; of each its row and no other.

        Column by column, because copying whole rows as `fill` does would take an hour for ten million.
        """
        tag = next(_numbers)
        places = [(self.event, TICKETS, PRICE)]
        first = self.shop.add_order(
            f"OLD-{tag}", "old@buyer.example", places, status="completed", created_at=_long_ago()
        )
        changed = {
            "id": f"{tag * 100_000_000} + g",
            "order_number": f"'OLD-{tag}-' || g",
            "created_at": "row.created_at + g * interval '1 second'",
        }
        columns = [
            row["column_name"]
            for row in self.sql(
                "SELECT column_name FROM information_schema.columns WHERE table_schema = 'public'"
                " AND table_name = 'orders_order' ORDER BY ordinal_position"
            )
        ]
        values = ", ".join(changed.get(column, f"row.{column}") for column in columns)
        self.sql(
            f"INSERT INTO orders_order ({', '.join(columns)}) SELECT {values}"  # noqa: S608 - the schema's own names
            " FROM orders_order row CROSS JOIN generate_series(1, :count) g WHERE row.id = :first",
            count=count,
            first=first,
        )
        self.sql(
            "INSERT INTO paypoll.watch (order_id, first_seen_at, status, last_checked_at, last_run, checks)"
            " SELECT id, created_at, status, created_at, 'old', 1 FROM orders_order WHERE order_number LIKE :like",
            like=f"OLD-{tag}-%",
        )

    def close(self) -> None:
        """Drop the database."""
        self.engine.dispose()
        self._server.run(f"DROP DATABASE {self.name} WITH (FORCE)")

    def sql(self, statement: str, **values: Any) -> list[sa.RowMapping]:
        """Execute a statement and return its rows."""
        with self.engine.begin() as connection:
            result = connection.execute(sa.text(statement), values)
            return list(result.mappings()) if result.returns_rows else []

    def vacuum(self) -> None:
        """Let PostgreSQL know what is in the tables, as autovacuum does in a shop that has been there for a while."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")

    def fill(
        self,
        count: int,
        *,
        status: str = "pending_verification",
        paid: bool = True,
        at_sumup: bool = True,
        long_ago: bool = False,
    ) -> list[str]:
        """Put so many orders of two tickets into the shop, each of an account's and with its checkout at SumUp."""
        tag = next(_numbers)
        email = f"buyer{tag}@buyer.example"
        places = [(self.event, TICKETS, PRICE)]
        buyer = self.shop.add_user(email)
        first = self.shop.add_order(
            f"PROTO-{tag}", email, places, user_id=buyer, status="cancelled", created_at=_long_ago()
        )
        self.shop.add_checkout(first, f"proto-{tag}", f"proto-{tag}", merchant_code=MERCHANT)
        names = {"tag": str(tag), "count": count, "first": first, "status": status}
        self._clone("accounts_user", "email = :email", "email = 'b' || g || :email", email=email, **names)
        self._clone(
            "orders_order",
            "id = :first",
            "id = :base + g, order_number = 'T' || :tag || '-' || g, email = 'b' || g || :email, status = :status,"  # noqa: S608 - our own names
            f" delivery_first_name = {_FIRST_NAMES}, delivery_last_name = {_LAST_NAMES},"
            " created_at = now() - :minutes * interval '1 minute' - g * interval '1 millisecond',"
            " user_id = (SELECT u.id FROM accounts_user u WHERE u.email = 'b' || g || :email)",
            email=email,
            base=tag * 10_000_000,
            minutes=100 * 24 * 60 if long_ago else 5,
            **names,
        )
        self._clone("orders_orderitem", "order_id = :first", "order_id = :base + g", base=tag * 10_000_000, **names)
        self._clone(
            "payments_sumupcheckout",
            "order_id = :first",
            "order_id = :base + g, checkout_reference = 'T' || :tag || '-' || g, payment_id = 'p' || :tag || '-' || g,"
            " sumup_checkout_id = 'chk-' || :tag || '-' || g",
            base=tag * 10_000_000,
            **names,
        )
        numbers = [f"T{tag}-{n}" for n in range(1, count + 1)]
        if at_sumup:
            total = str(PRICE * TICKETS)
            checkouts = [
                {"reference": number, "id": f"chk-{number[1:]}", "amount": total, "merchant": MERCHANT, "paid": paid}
                for number in numbers
            ]
            self.far.tell(do="checkouts", checkouts=checkouts)
        return numbers

    def _clone(self, table: str, where: str, changes: str, **values: Any) -> None:
        """Insert copies of a row, changed as in an UPDATE; `g` counts them. Whatever columns the table has."""
        changed = ", ".join(
            f"'{name.strip()}', {value}" for name, value in (part.split(" = ", 1) for part in _assignments(changes))
        )
        known = {name: value for name, value in values.items() if f":{name}" in where + changes or name == "count"}
        # An id of its own, unless the changes have one: columns that are named twice get what is named last.
        fresh = f"'id', nextval(pg_get_serial_sequence('{table}', 'id'))"
        copy = f"jsonb_populate_record(row, jsonb_build_object({fresh}, {changed}))"
        self.sql(
            f"INSERT INTO {table} SELECT copy.* FROM {table} row CROSS JOIN generate_series(1, :count) g"  # noqa: S608
            f" CROSS JOIN LATERAL {copy} copy WHERE row.{where}",
            **known,
        )

    def run(self, *arguments: str, **environ: str) -> Spent:
        """Run paypoll to its end and return what it took. Raise RuntimeError when it does not end well."""
        settings = {f"PAYPOLL_{name.upper()}": value for name, value in environ.items()}
        return spend([str(PROGRAM), "--config", str(self.config), *arguments], NO_LEDGER | settings)


def spend(command: list[str], environ: dict[str, str] | None = None) -> Spent:
    """Run a command to its end and return what it took. Raise RuntimeError when it fails."""
    spender = [sys.executable, str(Path(__file__).with_name("spender.py"))]
    with (
        tempfile.TemporaryFile() as out,
        tempfile.TemporaryFile() as err,
        tempfile.NamedTemporaryFile(suffix=".json") as file,
    ):
        subprocess.run(  # noqa: S603 - our own program
            [*spender, file.name, *command],
            env={**os.environ, **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
            check=True,
        )
        out.seek(0)
        err.seek(0)
        spent = json.load(file)
        if code := spent.pop("code"):
            raise RuntimeError(f"{' '.join(command)} ended with {code}: {err.read().decode()[-2000:]}")
        return Spent(**spent, stdout=out.read().decode())


@contextmanager
def opened_server() -> Iterator[Server]:
    """Start a PostgreSQL as a shop would have it, but that it does not wait for the disk."""
    with tempfile.TemporaryDirectory(prefix="paypoll-benchmark-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = Server(Path(folder, "postgresql"))
        try:
            yield server
        finally:
            server.stop()


def driver_url(url: str) -> sa.URL:
    """Return an address with its driver."""
    return sa.make_url(url).set(drivername="postgresql+psycopg2")


def _assignments(changes: str) -> list[str]:
    """Split at the commas between assignments, not at those within parentheses."""
    parts, depth, begin = [], 0, 0
    for place, letter in enumerate(changes):
        depth += {"(": 1, ")": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append(changes[begin:place])
            begin = place + 1
    return [*parts, changes[begin:]]


def _long_ago() -> datetime:
    return datetime.now(UTC) - timedelta(days=400)
