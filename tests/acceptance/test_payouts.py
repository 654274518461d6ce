"""SumUp's payouts held against the orders, for whoever keeps the books, through the installed command."""

import csv
import io
from collections.abc import Callable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from tests.acceptance.fees import place_fee
from tests.acceptance.stage import MERCHANT, Ended, Placed, Stage

AGO = timedelta(hours=2)
ZONE = ZoneInfo("Europe/Jersey")
FEE = Decimal("0.50")
PAID = Decimal("24.50")
"""What is paid out of 25.00."""


def sums(rows: list[dict[str, str]], *names: str) -> dict[tuple[str, ...], Decimal]:
    """Return the gross by these columns."""
    found: dict[tuple[str, ...], Decimal] = {}
    for row in rows:
        key = tuple(row[name] for name in names)
        found[key] = found.get(key, Decimal(0)) + Decimal(row["gross"])
    return found


def rows_of(ended: Ended) -> list[dict[str, str]]:
    """Return the lines of CSV."""
    return list(csv.DictReader(io.StringIO(ended.stdout)))


class Books:
    """A stage whose payouts are odd in every way, and what the command says of the last two days."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        brass = stage.shop.add_organiser("brass@organiser.example", "Brass Ltd")
        stage.sql("UPDATE accounts_artistprofile SET display_name = 'The Brass' WHERE user_id = :id", id=brass)
        self.beta = stage.event("Beta", organiser_id=brass)
        nights = [stage.event("Open Mic", starts_in=timedelta(days=days)) for days in (30, 60)]
        dear = Decimal("1.00")
        self.orders = {
            "many": self._order("many", [(stage.concert, 1, dear)] * 19 + [(self.beta, 1, dear)]),
            "night": self._order("night", [(nights[0], 1, Decimal("7.00"))]),
            "later": self._order("later", [(nights[1], 1, Decimal("9.00"))]),
        }
        for name in ("fail", "double", "split", "euro", "big", "odd", "gone", "reused", "tip", "reversed", "parts"):
            self.orders[name] = self._order(name, None)
        stage.sumup.tamper_transaction(self.orders["tip"].checkout, amount=Decimal("27.00"), tip_amount=Decimal("2.00"))
        place_fee(stage, "LF-7", "PAID", age=AGO)
        assert stage.run_once().code == 0
        self._pay_out()
        self._lose_orders()
        arguments = ("reconcile", "--payouts", "--since", "1d")
        self.text, self.csv, self.json = (stage.paypoll(*arguments, *form) for form in ((), ("--csv",), ("--json",)))
        self.rows = rows_of(self.csv)

    def _order(self, name: str, places: Any) -> Placed:
        return self.stage.order(f"ORD-{name.upper()}", age=AGO, checkout="PAID", places=places)

    def code(self, name: str) -> str:
        """Return the code of the transaction that paid for the order."""
        query = "SELECT transaction_code FROM paypoll.fulfilment WHERE order_id = :id"
        (row,) = self.stage.sql(query, id=self.orders[name].id)
        return str(row["transaction_code"])

    def _pay_out(self) -> None:
        def add(name: str, amount: Decimal = PAID, *, fee: Decimal = FEE, **more: Any) -> None:
            of = {"on": self.day(0), "transaction_code": self.code(name), **more}
            self.stage.sumup.add_payout(MERCHANT, amount, fee=fee, **of)

        none = Decimal(0)
        add("many", Decimal("19.50"))
        add("night", Decimal("6.90"), fee=Decimal("0.10"))
        add("later", Decimal("8.90"), fee=Decimal("0.10"))
        add("fail", status="FAILED")
        for _ in range(2):
            add("double")
        add("split", Decimal("10.00"))
        add("split", Decimal("14.50"), fee=none)
        add("euro", Decimal("28.50"), currency="EUR")
        add("big")
        add("big", Decimal("40.00"), fee=none, kind="REFUND_DEDUCTION")
        add("odd", fee=none, kind="PAYOUT_ADJUSTMENT")
        add("gone", Decimal("23.50"))
        add("reused")
        add("tip", Decimal("26.50"))
        add("tip", Decimal("26.00"), fee=none, kind="REFUND_DEDUCTION")
        for _ in range(2):
            add("reversed")
        add("reversed", Decimal("25.00"), fee=none, kind="CHARGE_BACK_DEDUCTION")
        (fee,) = self.stage.sql("SELECT transaction_code FROM paypoll.listing_fee")
        self.stage.sumup.add_payout(MERCHANT, PAID, fee=FEE, transaction_code=fee["transaction_code"], on=self.day(0))
        # Paid five weeks ago, and paid out in two parts since.
        paid_at = datetime.combine(self.day(35), time(12), ZONE)
        self.stage.sql(
            "UPDATE paypoll.fulfilment SET paid_at = :at WHERE order_id = :id", at=paid_at, id=self.orders["parts"].id
        )
        for days, amount in ((34, "10.00"), (20, "15.00")):
            add("parts", Decimal(amount), fee=none, on=self.day(days))
        self._name_later("parts")

    def _name_later(self, name: str) -> None:
        """Have SumUp name an order's payment only after it bought the tickets: a sweep knows its code."""
        of = {"code": self.code(name), "id": self.orders[name].id, "merchant": MERCHANT, "at": datetime.now(UTC)}
        (row,) = self.stage.sql("SELECT transaction_id FROM paypoll.checkout_seen WHERE order_id = :id", id=of["id"])
        self.stage.sql(
            "INSERT INTO paypoll.ledger_entry (transaction_id, merchant_code, transaction_code, order_id, amount, "
            "returned, currency, paid_at, seen_at) SELECT :name, :merchant, :code, :id, 25, 0, 'GBP', paid_at, :at "
            "FROM paypoll.fulfilment WHERE order_id = :id",
            **of, name=row["transaction_id"],
        )  # fmt: skip
        names = "transaction_id = NULL, transaction_code = NULL"
        self.stage.sql(f"UPDATE paypoll.fulfilment SET {names} WHERE order_id = :id", id=of["id"])  # noqa: S608 - ours

    def day(self, ago: int) -> date:
        """Return the site's day so many days ago."""
        return datetime.now(ZONE).date() - timedelta(days=ago)

    def _lose_orders(self) -> None:
        """Have the shop delete an order, and give the id of another one out again, for another organiser's event."""
        self.stage.pages_checked = False
        for name in ("gone", "reused"):
            order_id = self.orders[name].id
            for table in ("events_ticket", "payments_sumupcheckout", "orders_orderstatushistory", "orders_orderitem"):
                self.stage.sql(f"DELETE FROM {table} WHERE order_id = :id", id=order_id)  # noqa: S608 - ours
            self.stage.sql("DELETE FROM orders_order WHERE id = :id", id=order_id)
        made = self.stage.shop.add_order(
            "ORD-NEW", "new@buyer.example", [(self.beta, 1, Decimal("30.00"))], created_at=datetime.now(UTC)
        )
        self.stage.sql(
            "SET session_replication_role = replica; "
            "UPDATE orders_orderitem SET order_id = :old WHERE order_id = :made; "
            "UPDATE orders_order SET id = :old WHERE id = :made; SET session_replication_role = DEFAULT",
            old=self.orders["reused"].id,
            made=made,
        )
        # A sweep has seen a second payment of the old order, and now one of the new.
        for name, days in (("OLD", -1), ("NEW", 1)):
            self.stage.sql(
                "INSERT INTO paypoll.ledger_entry (transaction_id, merchant_code, transaction_code, order_id, amount, "
                "returned, currency, paid_at, seen_at) VALUES (:name, :code, :name, :id, 30, 0, 'GBP', :at, now())",
                name=f"T{name}", code=MERCHANT, id=self.orders["reused"].id,
                at=datetime.now(UTC) + timedelta(days=days),
            )  # fmt: skip
            self.stage.sumup.add_payout(MERCHANT, Decimal("30.00"), transaction_code=f"T{name}")


@pytest.fixture(scope="module")
def books(new_stage: Callable[[], Stage]) -> Books:
    """Payouts of every kind."""
    return Books(new_stage())


def test_order_of_two_organisers_is_shared_out_to_the_penny_a_line_an_event(books: Books) -> None:
    lines = [row for row in books.rows if row["order"] == "ORD-MANY"]
    assert [(row["organiser"], row["gross"], row["fee"], row["net"]) for row in lines] == [
        ("The Choir", "19.00", "0.48", "18.52"),
        ("The Brass", "1.00", "0.02", "0.98"),
    ]


def test_payment_of_an_order_that_is_gone_is_never_another_ones(books: Books) -> None:
    gross = sums(books.rows, "order", "organiser")
    assert gross["ORD-REUSED", ""] == Decimal("55.00")
    assert gross["ORD-NEW", "The Brass"] == Decimal("30.00")
    assert "(order gone from the shop) 79.00 GBP" in " ".join(books.text.stdout.split())
    # It is still known what was paid for it.
    assert "ORD-GONE: paid 25.00 GBP, in the payout 24.00 GBP" in books.text.stdout


def test_payout_that_failed_and_a_kind_that_is_unknown_are_said_and_in_no_sum(books: Books) -> None:
    said = " ".join(books.text.stdout.split())
    assert f"PAYOUT of 24.50 GBP on {books.day(0)}, ORD-FAIL ({books.code('fail')}): SumUp says FAILED" in said
    assert f"PAYOUT_ADJUSTMENT, which paypoll does not know: 24.50 GBP on {books.day(0)}, ORD-ODD" in said
    out = {row["order"]: (row["type"], row["status"]) for row in books.rows if row["counted"] == "no"}
    assert out == {"ORD-FAIL": ("PAYOUT", "FAILED"), "ORD-ODD": ("PAYOUT_ADJUSTMENT", "SUCCESSFUL")}
    assert "still to come: 50.00 GBP" in said  # of these two
    counted = sums([row for row in books.rows if row["counted"] == "yes"], "currency")
    totals: dict[tuple[str, ...], Decimal] = {}
    for one in books.json.report["totals"]:
        totals[one["currency"],] = totals.get((one["currency"],), Decimal(0)) + Decimal(one["gross"])
    assert counted == totals


def test_what_was_paid_out_otherwise_than_paid_is_told_by_transaction(books: Books) -> None:
    assert (books.text.code, books.csv.code) == (1, 1)
    _, _, told = books.text.stdout.partition("Paid out otherwise than paid (4)\n")
    assert [line.partition(" (")[0].strip() for line in told.splitlines() if line.strip()] == [
        "ORD-DOUBLE: paid 25.00 GBP, in 2 payouts 50.00 GBP",
        "ORD-EURO: paid 25.00 GBP, in the payout 29.00 EUR",
        "ORD-BIG: paid 25.00 GBP, deducted 40.00 GBP",
        "ORD-GONE: paid 25.00 GBP, in the payout 24.00 GBP",
    ]
    (big,) = [one for one in books.json.report["differences"] if one["order"] == "ORD-BIG"]
    assert (big["paid"], big["gross"], big["tip"]) == ("25.00", "40.00", "0.00")
    assert told.strip() in books.csv.stderr  # whose lines have no place for it


def test_tip_is_shown_and_is_no_difference_and_goes_back_after_the_price(books: Books) -> None:
    lines = [row for row in books.rows if row["order"] == "ORD-TIP"]
    assert [(line["gross"], line["tip"]) for line in lines] == [("27.00", "2.00"), ("-26.00", "-1.00")]
    assert "tips in it: 1.00 GBP" in books.text.stdout


def test_sums_are_by_day_and_merchant_as_the_bank_has_them_and_nights_of_one_name_apart(books: Books) -> None:
    (paid,) = [one for one in books.json.report["payouts"] if one["currency"] == "GBP"]
    # Sixteen payouts of 24.50 and the like, less 40.00, 26.00, and 25.00 of a charge-back that was reversed.
    assert (paid["merchant_code"], paid["on"], paid["net"]) == (MERCHANT, str(books.day(0)), "250.30")
    assert f"{MERCHANT}, {books.day(0)}, payout-{books.day(0)}" in books.text.stdout
    assert f"{MERCHANT} in all" in books.text.stdout
    nights = [line for line in books.text.stdout.splitlines() if "Open Mic" in line]
    for night, day in zip(nights, (books.day(-30), books.day(-60)), strict=True):
        assert night.strip().startswith(f"The Choir: Open Mic, {day.day} {day:%b %Y} ")
    assert "(listing fees)" in books.text.stdout
    assert "(of no order that paypoll knows)" not in books.text.stdout


def test_payment_that_is_paid_out_in_two_periods_fits_and_each_says_which_payment_it_is_of(books: Books) -> None:
    def ask(first: int, last: int) -> tuple[Ended, str]:
        span = ("--since", str(books.day(first)), "--until", str(books.day(last)))
        ended = books.stage.paypoll("reconcile", "--payouts", *span)
        return ended, " ".join(ended.stdout.split())

    for first, last in ((40, 30), (29, 10)):
        ended, said = ask(first, last)
        assert (ended.code, "still to come" in said) == (0, False)
    assert "of it for payments from before this period: 15.00 GBP gross" in said
    _, said = ask(35, 35)
    assert "paid in this period, and paid out after it: 25.00 GBP" in said


def test_more_than_an_answer_holds_is_asked_for_day_by_day_and_a_day_that_is_too_long_is_named(stage: Stage) -> None:
    today = datetime.now(ZONE).date()
    for number in range(8000):
        day = today - timedelta(days=number % 2)
        stage.sumup.add_payout(MERCHANT, Decimal("23.45"), fee=Decimal("0.40"), transaction_code=f"T{number}", on=day)
    read = stage.paypoll("reconcile", "--payouts", "--since", str(today - timedelta(days=20)), "--csv")
    assert (read.code, len(rows_of(read))) == (0, 8000)
    for number in range(4000):
        stage.sumup.add_payout(MERCHANT, Decimal("23.45"), fee=Decimal("0.40"), transaction_code=f"U{number}", on=today)
    read = stage.paypoll("reconcile", "--payouts", "--since", "1d")
    assert (read.code, read.stdout) == (1, "")
    assert f"{today} alone has more than one answer holds" in read.stderr
