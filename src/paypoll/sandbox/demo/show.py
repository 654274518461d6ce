"""The demo: a small shop on SQLite, the SumUp simulator, the mail sink, and the real run on them."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

from paypoll.app import App
from paypoll.database import transaction
from paypoll.errors import RefusedError
from paypoll.runs.record import record_run
from paypoll.runs.report import RunReport
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.sandbox.mail.sink import MailSink
from paypoll.sandbox.shifted_clock import ShiftedClock
from paypoll.sandbox.sumup.simulator import Simulator
from paypoll.settings.load import load_settings
from paypoll.settings.model import Settings
from paypoll.state.upgrade import upgrade

MERCHANT = "MDEMO"
API_KEY = "sup_sk_demo_not_a_secret"
_MARKER = ".paypoll-demo"
_PRICE = Decimal("12.50")
_FEE = "LF-1A2B3C4D"


@dataclass(frozen=True, slots=True)
class Story:
    """An order of the demo, and what its customer did."""

    number: str
    customer: str
    deed: str


@dataclass(frozen=True, slots=True)
class Act:
    """A run of the demo: what the customers did before it, and what it came to; `seen`: how the shop is now."""

    title: str
    stories: tuple[Story, ...]
    report: RunReport
    seen: tuple[str, ...] = ()


class Demo:
    """The demo, set up in a folder: `run` plays it, act after act; afterwards the folder can be looked at."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.config = self.folder / "config.toml"
        self.media = self.folder / "media"
        self.mails = self.folder / "mails"
        self.log = self.folder / "paypoll.log"

    def run(self) -> Iterator[Act]:
        """Set up the shop in the prepared folder, and play both acts."""
        time = ShiftedClock()
        with Simulator(clock=time) as sumup, MailSink(self.mails) as sink:
            sumup.add_merchant(MERCHANT, API_KEY)
            self._write_config(sumup.url, sink.port)
            settings = load_settings(self.config, {})
            with _app(settings) as app:
                shop = SmallShop(app.engine)
                shop.make_tables()
                with transaction(app.engine) as connection:
                    upgrade(connection)
                director = _Director(shop, sumup, time)
                stories = director.first_act()
                report = record_run(app, "demo")
                yield Act("Eleven customers and an organiser have been to the shop", stories, report, director.seen())
                yield Act("A little later", director.second_act(), record_run(app, "demo"))

    def prepare_folder(self) -> None:
        """Make the folder, in place of an earlier demo's. Raise RefusedError when it holds something else."""
        if self.folder.exists() and not (self.folder / _MARKER).exists() and any(self.folder.iterdir()):
            raise RefusedError(f"{self.folder} holds something else than an earlier demo; choose another --folder")
        try:
            if self.folder.exists():
                shutil.rmtree(self.folder)
            self.media.mkdir(parents=True)
            self.mails.mkdir()
            (self.folder / _MARKER).touch()
        except OSError as error:
            raise RefusedError(f"{self.folder} cannot be made: {error.strerror}; choose another --folder") from error

    def _write_config(self, sumup_url: str, smtp_port: int) -> None:
        self.config.touch(mode=0o600)
        self.config.write_text(
            f"""# The settings of the demo. For a real shop, start from config.example.toml.
[site]
name = "Jersey Events"
base_url = "https://shop.example"
time_zone = "Europe/Jersey"
currency = "GBP"
support_email = "help@shop.example"

[database]
url = "sqlite:///{self.folder / "shop.db"}"

[sumup]
base_url = "{sumup_url}"
api_key = "{API_KEY}"
merchant_code = "{MERCHANT}"
requests_per_second = 200.0

[tickets]
media_folder = "{self.media}"

[mail]
host = "127.0.0.1"
port = {smtp_port}
tls = "none"
sender = "Jersey Events <tickets@shop.example>"

[alerts]
to = ["admin@shop.example"]
""",
            encoding="utf-8",
        )


@contextmanager
def _app(settings: Settings) -> Iterator[App]:
    app = App(settings)
    try:
        yield app
    finally:
        app.close()


class _Director:
    """Plays the customers, at the shop and at SumUp."""

    def __init__(self, shop: SmallShop, sumup: Simulator, time: ShiftedClock) -> None:
        self._shop = shop
        self._sumup = sumup
        self._time = time
        self._checkouts: dict[str, str] = {}
        organiser = shop.add_organiser("choir@shop.example", "St Helier Choir")
        starts = (datetime.now(UTC) + timedelta(days=18)).replace(hour=19, minute=30, second=0, microsecond=0)
        self._concert = shop.add_event(
            organiser,
            "Winter Concert by Candlelight",
            starts=starts,
            slug="winter-concert",
            venue_name="Town Church",
            venue_address="Church Street\nSt Helier\nJersey JE2 3NN",
        )
        self._cellar = shop.add_event(
            organiser,
            "Jazz in the Cellar",
            starts=starts - timedelta(days=2),
            slug="jazz-in-the-cellar",
            venue_name="The Cellar",
            venue_address="Wharf Street\nSt Helier",
            capacity=2,
        )
        self._organiser = organiser
        self._carols = shop.add_event(
            organiser,
            "Carols on the Square",
            starts=starts + timedelta(days=7),
            slug="carols-on-the-square",
            venue_name="Royal Square",
            venue_address="St Helier",
            status="draft",
        )
        self._workshop = shop.add_event(
            organiser,
            "Sea Shanty Workshop",
            starts=starts - timedelta(days=4, hours=5),
            slug="sea-shanty-workshop",
            venue_name="Harbour Gallery",
            venue_address="Le Boulevard\nSt Aubin",
        )

    def first_act(self) -> tuple[Story, ...]:
        """Let the customers order; return what each did."""
        self._order("ORD-1001", "Ada Le Sueur", [(self._concert, 2)], has_account=True)
        self._pay("ORD-1001")
        self._order("ORD-1002", "Ben Querée", [(self._concert, 1), (self._workshop, 1)])
        self._pay("ORD-1002")
        self._order("ORD-1003", "Chloë Vibert", [(self._concert, 1)], age=timedelta(minutes=20))
        with self._time.back(timedelta(minutes=18)):  # else paypoll would wait whether she tries another card
            self._sumup.decline(self._checkouts["ORD-1003"])
        self._order("ORD-1004", "Dee O'Brien", [(self._workshop, 1)])
        self._order("ORD-1005", "Eve Mallet", [(self._concert, 2)], paid_amount=Decimal("1.00"))
        self._pay("ORD-1005")
        self._order("ORD-1006", "Finn Renouf", [(self._concert, 4)], age=timedelta(hours=3))
        self._order("ORD-1007", "Gwen Le Brun", [(self._workshop, 2)])
        self._sumup.decline(self._checkouts["ORD-1007"])
        self._checkout("ORD-1007", "ORD-1007-again")
        self._pay("ORD-1007")
        self._order("ORD-1008", "Harry <b>Potter</b> & Söhne 🎻", [(self._concert, 1)], never_came_back=True)
        self._pay("ORD-1008")
        for number, customer in (("ORD-1009", "Ivy Noel"), ("ORD-1010", "Jack Amy"), ("ORD-1011", "Kay Poole")):
            self._order(number, customer, [(self._cellar, 1)], has_account=True)
            self._pay(number)
        self._pay_listing_fee()
        return (
            Story("ORD-1001", "Ada", "paid for two places"),
            Story("ORD-1002", "Ben", "paid as a guest, without an account, for two events"),
            Story("ORD-1003", "Chloë", "had the card declined, and tried no other"),
            Story("ORD-1004", "Dee", "is still looking for the card"),
            Story("ORD-1005", "Eve", "paid 1.00 GBP for an order of 25.00 GBP"),
            Story("ORD-1006", "Finn", "went away three hours ago without paying"),
            Story("ORD-1007", "Gwen", "was declined, tried again with another card, and paid"),
            Story("ORD-1008", "Harry", "paid, and closed the browser before it came back to the shop"),
            Story("ORD-1009", "Ivy", "paid for a place in a cellar that has two"),
            Story("ORD-1010", "Jack", "paid for another one"),
            Story("ORD-1011", "Kay", "paid for a third: the shop's cart keeps no place for anybody"),
            Story(_FEE, "St Helier Choir", "paid the listing fee for Carols on the Square, a draft so far"),
        )

    def seen(self) -> tuple[str, ...]:
        """Return how the shop is after the first act, read from its tables."""
        (order,) = self._shop.rows("orders_order", order_number="ORD-1002")
        account = self._shop.row("accounts_user", order["user_id"])
        state = "active" if account["is_active"] else "inactive"
        made = "a password that nobody knows" if account["password"].startswith("pbkdf2_sha256$") else "no password"
        cellar = self._shop.row("events_event", self._cellar)
        tickets = len(self._shop.rows("events_ticket", event_id=self._cellar))
        carols = self._shop.row("events_event", self._carols)
        (fee,) = self._shop.rows("events_listingfee", payment_reference=_FEE)
        ben = (
            f"Ben had no account. His order now belongs to one for {account['email']}, {state}, with {made}: the "
            "shop's reset mail lets him in, and nobody else."
        )
        hall = (
            f"{cellar['title']} has {cellar['capacity']} places and {tickets} tickets: the admins were told, with the "
            f"numbers. The shop counts {cellar['tickets_sold']} as sold, and stops selling."
        )
        listed = f"{carols['title']} is {carols['status']}, its fee {fee['payment_status']}, and the choir has a mail."
        return ben, hall, listed

    def _pay_listing_fee(self) -> None:
        amount = Decimal("30.00")
        self._shop.insert(
            "events_listingfee",
            payment_reference=_FEE,
            amount=amount,
            currency="GBP",
            payment_status="pending",
            created_at=datetime.now(UTC) - timedelta(minutes=6),
            event_id=self._carols,
            organizer_id=self._organiser,
        )
        # By the redirect, of which the shop keeps no row: it is found by its reference.
        checkout = self._sumup.create_checkout(
            reference=f"listing_fee_{_FEE}", amount=amount, currency="GBP", merchant_code=MERCHANT
        )
        self._sumup.pay(checkout)

    def second_act(self) -> tuple[Story, ...]:
        """Let some of them go on; return what each did."""
        self._pay("ORD-1003")
        self._pay("ORD-1004")
        # Her browser comes back to the shop, which lets the order wait again, as it does for any browser.
        (order,) = self._shop.rows("orders_order", order_number="ORD-1003")
        self._shop.update("orders_order", order["id"], status="pending_verification")
        return (
            Story("ORD-1003", "Chloë", "tried again on the same page, and paid"),
            Story("ORD-1004", "Dee", "found the card, and paid"),
        )

    def _order(
        self,
        number: str,
        customer: str,
        places: list[tuple[int, int]],
        *,
        age: timedelta = timedelta(minutes=4),
        has_account: bool = False,
        never_came_back: bool = False,
        paid_amount: Decimal | None = None,
    ) -> None:
        first_name, _, last_name = customer.partition(" ")
        email = f"{first_name.lower().replace('ë', 'e')}@mail.example"
        user_id = self._shop.add_user(email, first_name=first_name, last_name=last_name) if has_account else None
        self._shop.add_order(
            number,
            email,
            [(event, quantity, _PRICE) for event, quantity in places],
            created_at=datetime.now(UTC) - age,
            delivery_first_name=first_name,
            delivery_last_name=last_name,
            status="pending" if never_came_back else "pending_verification",
            user_id=user_id,
        )
        with self._time.back(age):
            self._checkout(number, number, paid_amount)

    def _checkout(self, number: str, reference: str, amount: Decimal | None = None) -> None:
        order = self._shop.rows("orders_order", order_number=number)[0]
        checkout_id = self._sumup.create_checkout(
            reference=reference, amount=amount or order["total"], currency="GBP", merchant_code=MERCHANT
        )
        self._shop.add_checkout(order["id"], reference, checkout_id, merchant_code=MERCHANT)
        self._checkouts[number] = checkout_id

    def _pay(self, number: str) -> None:
        self._sumup.pay(self._checkouts[number])


def shown_path(path: Path) -> str:
    """Return the path as short as it can be typed here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
