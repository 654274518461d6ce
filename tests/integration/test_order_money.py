"""Which payments of an order still hold its money, as pages of SumUp's ledger come in: row 52 of docs/outcomes.md."""

from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from paypoll.database import transaction
from paypoll.payments.books import ONLINE, LedgerItem, LedgerPage, PayoutRecord, Period
from paypoll.payments.gateway import BrokenAnswer, CheckoutStatus, Found, Look
from paypoll.report.build import build_report
from paypoll.report.document import document as report_document
from paypoll.report.period import Period as ReportPeriod
from paypoll.runs.record import record_run
from paypoll.runs.report import Swept
from paypoll.runs.sweep import Sweeper
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.shop.tables import orders
from paypoll.state import findings, pauses
from paypoll.state.tables import checkout_seen, fulfilment, ledger_cursor, ledger_entry, outbox, watch
from paypoll.testing import MERCHANT, NOW, a_transaction, an_answer, an_attempt

if TYPE_CHECKING:
    from tests.integration.conftest import Bench, Place

FIRST, SECOND = "txn-ORD-1", "txn-ORD-1-2"
PRICE = Decimal("25.00")


def line(name: str, kind: str = "PAYMENT", amount: Decimal = PRICE, summary: str = "", **more: Decimal) -> LedgerItem:
    """Return a line of SumUp's history: a payment of the order's, or what went back of it."""
    said = {"PAYMENT": "SUCCESSFUL", "REFUND": "REFUNDED", "CHARGE_BACK": "CHARGE_BACK"}[kind]
    refunded = more.get("refunded", Decimal(0))
    return LedgerItem(name, "", kind, said, amount, "GBP", refunded, NOW - timedelta(hours=1), ONLINE, summary)


@dataclass
class Books:
    """A shop with an order that has its tickets, and SumUp's ledger to sweep."""

    bench: "Bench"
    place: "Place"
    shop: SmallShop
    pages: list[list[LedgerItem]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.set_on_refund("void")
        self.order_id = self.place("ORD-1")
        record_run(self.bench.app, "run-once")
        assert self.status() == "completed"

    def set_on_refund(self, what: str) -> None:
        """Let the operator's setting be this one from now on."""
        settings = self.bench.app.settings
        ledger = settings.ledger.model_copy(update={"on_refund": what, "tell_customer": True})
        self.bench.app.settings = replace(settings, ledger=ledger)

    def pause(self) -> None:
        """Have runs leave the order alone."""
        with transaction(self.bench.app.engine) as connection:
            scope = pauses.Scope(order_id=self.order_id)
            pauses.begin(connection, scope, who="Margot", reason="talking to the bank", now=NOW)

    def resume(self) -> None:
        """End that."""
        with transaction(self.bench.app.engine) as connection:
            pauses.end(connection, pauses.Scope(order_id=self.order_id))

    def list_transactions(self, merchant_code: str, period: Period, page: str) -> Look[LedgerPage]:
        """Return the page of this number."""
        number = int(page or 0)
        following = str(number + 1) if number + 1 < len(self.pages) else ""
        return Found(LedgerPage(tuple(self.pages[number]), following))

    def list_payouts(self, merchant_code: str, first: date, last: date) -> Look[tuple[PayoutRecord, ...]]:
        """Return nothing."""
        return Found(())

    def pay_again(self, *, seen: bool = True, amount: Decimal = PRICE) -> None:
        """Let SumUp hold a second payment of the order, which a look at the order has `seen`."""
        answer = replace(
            an_answer("PAID", id="chk-2", reference="ORD-1"),
            transaction_id=SECOND, amount=amount, attempts=(an_attempt(id=SECOND, amount=amount),),
        )  # fmt: skip
        self.bench.gateway.transactions[SECOND] = Found(a_transaction(id=SECOND, amount=amount))
        if not seen:
            return
        self.bench.gateway.checkouts["chk-2"] = Found(answer)
        self.bench.clock.move(timedelta(minutes=5))
        with transaction(self.bench.app.engine) as connection:
            connection.execute(sa.update(watch).values(next_check_at=NOW))
        record_run(self.bench.app, "run-once")
        with transaction(self.bench.app.engine) as connection:
            known = connection.execute(sa.select(checkout_seen.c.status, checkout_seen.c.transaction_id)).all()
        assert (CheckoutStatus.PAID, SECOND) in known

    def give_back(self, name: str, amount: Decimal = PRICE, *, by_bank: bool = False) -> None:
        """Let so much of the payment have gone back, by SumUp's answer about it."""
        look = self.bench.gateway.transactions[name]
        assert isinstance(look, Found)
        told = replace(look.value, charged_back=amount) if by_bank else replace(look.value, refunded=amount)
        self.bench.gateway.transactions[name] = Found(told)

    def sweep(self, *lines: LedgerItem, behind: tuple[LedgerItem, ...] = ()) -> Swept:
        """Sweep the ledger, which lists these lines, and some on a page behind."""
        self.pages = [list(lines), *([list(behind)] if behind else [])]
        self.bench.clock.move(timedelta(minutes=40))
        app, swept = self.bench.app, Swept()
        sweeper = Sweeper(app, self.bench.gateway, self, app.policy, "run-sweep")
        assert sweeper.sweep([MERCHANT], swept, lambda: False) == []
        return swept

    def status(self) -> str:
        with transaction(self.bench.app.engine) as connection:
            return str(connection.scalar(sa.select(orders.c.status).where(orders.c.id == self.order_id)))

    def found(self) -> list[tuple[str, str, Decimal]]:
        """Return the open findings: kind, payment, amount."""
        with transaction(self.bench.app.engine) as connection:
            return [(one.kind, one.transaction_id, one.amount) for one in findings.find_open(connection)]

    def went_back(self, after: datetime, until: datetime | None = None) -> list[str]:
        """Return what the report says went back after one time and until another, and what of it is here again."""
        end, moment = until or self.bench.clock.now(), timedelta(microseconds=1)
        period = ReportPeriod(after + moment, end + moment, UTC)
        document = report_document(build_report(self.bench.app.engine, period, end))
        return [money[name] for money in document["money"] for name in ("returned", "here_again")]

    def detail(self, kind: str) -> dict[str, str]:
        with transaction(self.bench.app.engine) as connection:
            return {
                name: str(value)
                for one in findings.find_of_order(connection, self.order_id)
                if one.kind == kind
                for name, value in one.detail.items()
            }

    def told(self) -> list[str]:
        """Return what admins are told of findings, each alert as one text."""
        with transaction(self.bench.app.engine) as connection:
            query = sa.select(outbox.c.content).where(outbox.c.dedupe_key.like("alert:finding%")).order_by(outbox.c.id)
            return [str(content) for content in connection.scalars(query)]

    def mail(self) -> dict[str, Any]:
        """Return what the customer is told of the money."""
        with transaction(self.bench.app.engine) as connection:
            (content,) = connection.scalars(sa.select(outbox.c.content).where(outbox.c.kind == "refund"))
        return dict(content)


@pytest.fixture
def books(bench: "Bench", place: "Place", shop: SmallShop) -> Books:
    """An order with tickets, and SumUp's ledger."""
    return Books(bench, place, shop)


RETURNED = ("returned", FIRST, PRICE)


@pytest.mark.parametrize("kind", ["CHARGE_BACK", "REFUND"])
def test_row_52_second_payment_that_goes_back_later_is_told_also_by_a_line_that_says_it_alone(
    books: Books, kind: str
) -> None:
    books.pay_again()
    books.sweep(line(FIRST), line(SECOND))
    books.give_back(FIRST)
    assert books.sweep(line(FIRST, "REFUND")).voided == 0
    assert books.detail("returned")["held"] == SECOND
    books.give_back(SECOND, by_bank=kind == "CHARGE_BACK")
    again = line(SECOND, "CHARGE_BACK") if kind == "CHARGE_BACK" else line(SECOND, "REFUND")
    # That also ends what the first's tickets rested on, however long ago it went back.
    assert [books.sweep(again).voided for _ in range(2)] == [1, 0]
    assert (books.status(), books.found()) == ("refunded", [])
    held, *void = [one for one in books.told() if "went back" in one]
    assert "tickets still admit" in held
    assert sorted(SECOND in one for one in void) == [False, True]
    assert all("its tickets are void" in one for one in void)
    assert ("was charged back" in str(void)) == (kind == "CHARGE_BACK")


def test_row_52_second_payment_that_went_back_before_does_not_pay_for_the_tickets_when_it_is_listed_again(
    books: Books,
) -> None:
    books.pay_again()
    books.sweep(line(FIRST), line(SECOND))
    books.give_back(SECOND, by_bank=True)
    books.sweep(line(SECOND, "CHARGE_BACK"))
    books.give_back(FIRST, by_bank=True)
    # SumUp's line of a payment does not say what was charged back of it.
    assert books.sweep(line(SECOND), line(FIRST, "CHARGE_BACK")).voided == 1
    assert books.status() == "refunded"


@pytest.mark.parametrize("is_behind", [False, True])
def test_row_52_second_payment_that_is_placed_in_the_sweep_in_which_the_first_goes_back_pays(
    books: Books, *, is_behind: bool
) -> None:
    books.sweep(line(FIRST))
    books.pay_again(seen=False)
    books.give_back(FIRST)
    back, again = line(FIRST, "REFUND"), line(SECOND, summary="ORD-1")
    assert (books.sweep(back, behind=(again,)) if is_behind else books.sweep(back, again)).voided == 0
    assert (books.status(), books.detail("returned")["held"]) == ("completed", SECOND)


def test_row_52_second_payment_that_goes_back_but_for_a_penny_is_told(books: Books) -> None:
    books.pay_again()
    books.sweep(line(FIRST), line(SECOND))
    books.give_back(FIRST)
    books.sweep(line(FIRST, "REFUND"))
    part = PRICE - Decimal("0.01")
    books.give_back(SECOND, part)
    assert [books.sweep(line(SECOND, refunded=part)).voided for _ in range(2)] == [1, 0]
    assert books.found() == [("second_payment", SECOND, PRICE)]
    assert any("24.99 GBP went back, and its tickets are void" in one for one in books.told())


def test_row_52_payment_that_the_ledger_never_showed_keeps_the_tickets_until_it_does(books: Books) -> None:
    penny = Decimal("0.01")
    books.pay_again(amount=penny)
    books.give_back(FIRST)
    assert books.sweep(line(FIRST, "REFUND")).voided == 0
    assert (books.status(), books.detail("returned")["unread"]) == ("completed", SECOND)
    # Once it is listed, its amount is known.
    assert books.sweep(line(FIRST, "REFUND"), line(SECOND, amount=penny)).voided == 1


@pytest.mark.parametrize("decided", [False, True])
def test_row_52_tickets_are_made_void_when_a_pause_of_weeks_ends_unless_a_person_has_decided(
    books: Books, *, decided: bool
) -> None:
    books.pause()
    books.give_back(FIRST, by_bank=True)
    assert books.sweep(line(FIRST, "CHARGE_BACK")).voided == 0
    books.bench.clock.move(timedelta(days=30))
    books.sweep()
    assert (books.status(), books.found()) == ("completed", [RETURNED])
    books.resume()
    if decided:
        with transaction(books.bench.app.engine) as connection:
            (waits,) = findings.find_open(connection)
            findings.close(connection, waits.id, why="they may come", who="Margot", now=NOW)
    # While SumUp says nothing of the one payment, all else goes on.
    told, books.bench.gateway.transactions[FIRST] = books.bench.gateway.transactions[FIRST], BrokenAnswer("no amount")
    assert books.sweep().voided == 0
    with transaction(books.bench.app.engine) as connection:
        assert connection.scalar(sa.select(ledger_cursor.c.swept_at)) == books.bench.clock.now()
    books.bench.gateway.transactions[FIRST] = told
    if decided:
        assert [books.sweep(line(FIRST, "CHARGE_BACK")).voided, books.status()] == [0, "completed"]
        return
    assert books.sweep().voided == 1
    assert (books.status(), books.found()) == ("refunded", [])
    assert "void" not in books.detail("returned")
    assert books.detail("returned")["voided"] == "2"
    mail = books.mail()
    assert (mail["charged_back"], Decimal(mail["refunded"])) == (True, PRICE)
    assert books.sweep().voided == 0


def test_row_52_charge_back_seen_in_a_pause_is_none_of_the_customers_refunds_when_it_is_listed_again(
    books: Books,
) -> None:
    books.pause()
    books.give_back(FIRST, by_bank=True)
    books.sweep(line(FIRST, "CHARGE_BACK"))
    books.resume()
    assert books.sweep(line(FIRST, "CHARGE_BACK")).voided == 1
    assert books.mail()["charged_back"]


@pytest.mark.parametrize("checkout", ["chk-ORD-1", "override:1"])
def test_row_53_second_payment_goes_back_and_the_tickets_rest_on_what_no_ledger_shows(
    books: Books, checkout: str
) -> None:
    """On a payment at a merchant whose ledger cannot be read, or on a person's word: nobody is alarmed."""
    books.pay_again()
    if checkout != "chk-ORD-1":
        with transaction(books.bench.app.engine) as connection:
            connection.execute(sa.update(fulfilment).values(checkout_id=checkout, transaction_id=None))
            connection.execute(sa.delete(checkout_seen).where(checkout_seen.c.transaction_id == FIRST))
    books.sweep(line(SECOND))
    books.give_back(SECOND)
    books.sweep(line(SECOND, refunded=PRICE))
    assert books.found() == []


def test_tip_is_no_other_amount_and_what_goes_back_without_it_is_all(books: Books) -> None:
    tipped = {"amount": PRICE + 2, "tip_amount": Decimal(2)}
    books.pay_again()
    for name in (FIRST, SECOND):
        books.bench.gateway.transactions[name] = Found(a_transaction(id=name, **tipped))
    for _ in range(2):
        books.sweep(line(FIRST, amount=PRICE + 2), line(SECOND, amount=PRICE + 2))
    assert [one[:2] for one in books.found()] == [("second_payment", SECOND)]
    books.give_back(SECOND)
    for _ in range(2):
        books.sweep(line(SECOND, amount=PRICE + 2, refunded=PRICE))
    assert books.found() == []


def test_payment_that_the_list_leaves_out_is_kept_as_sumup_has_it(books: Books) -> None:
    books.give_back(FIRST, Decimal(5))
    books.sweep(line(FIRST, refunded=Decimal(5)))
    books.bench.clock.move(timedelta(days=2))
    books.sweep()
    with transaction(books.bench.app.engine) as connection:
        assert connection.scalar(sa.select(ledger_entry.c.returned)) == 5
