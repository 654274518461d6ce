"""Organisers who are connected to SumUp: whose token asks for which checkout, and how tokens are renewed and kept.

SumUp gives a new refresh token with every refresh here, and takes each one once: a token that is lost, or used by two,
is lost for good. The simulator's journal says by whose credential each request was let in.
"""

import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.acceptance.papers import body, subject
from tests.acceptance.promises import check_issued, check_waiting
from tests.acceptance.stage import MERCHANT, PATIENCE, PRICE, ROLE, SOON, Ended, Placed, Stage
from tests.acceptance.world import World
from tests.warm import Process

from paypoll.database import CONNECTIONS
from paypoll.sandbox.sumup.effects import Hang, Line, Respond

OK = 0
TRY_LATER = 75
CUT = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
    "WHERE datname = current_database() AND application_name = 'paypoll'"
)
OVER = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class Connected:
    """A stage whose events belong to organisers, each with a merchant at SumUp and tokens in the shop."""

    stage: Stage
    events: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stage.sumup.keyring.rotate = True
        self.stage.sumup.add_client("client-1", "client-secret-1", MERCHANT)
        self.stage.environ |= {"sumup__client_id": "client-1", "sumup__client_secret": "client-secret-1"}

    def organiser(self, merchant: str, **columns: Any) -> None:
        """Connect an organiser, at SumUp and in the shop, with an event of theirs."""
        profile = {
            "sumup_connection_status": "connected",
            "sumup_merchant_code": merchant,
            "sumup_access_token": self.stage.sumup.issue_access_token(merchant),
            "sumup_refresh_token": self.stage.sumup.connect_merchant(merchant, "client-1"),
            "sumup_expires_at": datetime.now(UTC) + timedelta(hours=1),
        }
        organiser = self.stage.shop.add_organiser(f"{merchant}@organiser.example", merchant, **profile | columns)
        self.events[merchant] = self.stage.event(f"Concert of {merchant}", organiser_id=organiser)

    def order(
        self, number: str, merchant: str, *, at: str = "", said: str = "", state: str = "PAID", age: timedelta = SOON
    ) -> Placed:
        """Place an order for the organiser's event. The checkout is `at` this merchant; the shop says `said`."""
        order = self.stage.order(number, places=[(self.events[merchant], 1, PRICE)], checkout="", age=age)
        checkout = self.stage.checkout(order, state, merchant=at or merchant, merchant_code=said or at or merchant)
        return Placed(order.id, number, order.email, order.total, order.age, checkout)

    def profile(self, merchant: str) -> dict[str, Any]:
        """Return the organiser's row."""
        (row,) = self.stage.shop.rows("accounts_artistprofile", business_name=merchant)
        return row

    def asked(self, order: Placed) -> list[tuple[str, str, int | None]]:
        """Return who asked for the order's checkout: by what and as which merchant, and what SumUp answered."""
        seen = (one for one in self.stage.sumup.requests if one.path.endswith(order.checkout))
        return [(one.auth.value, one.merchant_code, one.status) for one in seen]

    @property
    def refreshes(self) -> int:
        """How often SumUp was asked for a token."""
        return self.stage.sumup.count("POST", "/token")


@pytest.fixture
def connected(stage: Stage) -> Connected:
    return Connected(stage)


# -- which credential --------------------------------------------------------------------------------------------

ORGANISERS: dict[str, dict[str, Any]] = {
    "MVALID": {},
    "MEXPIRED": {"sumup_expires_at": OVER},
    "MREFUSED": {"sumup_access_token": "at-that-sumup-has-forgotten"},
    "MNOTYET": {"sumup_connection_status": "not_connected"},
    "MELSEWHERE": {},
    "MASTRAY": {},
    "MLOST": {"sumup_expires_at": OVER},
    "MBROKEN": {"sumup_connection_status": "expired"},
}
ASKED: dict[str, list[tuple[str, str, int]]] = {
    "platform": [("api_key", MERCHANT, 200)],
    "MVALID": [("refresh_token", "MVALID", 200)],
    "MEXPIRED": [("refresh_token", "MEXPIRED", 200)],
    "MREFUSED": [("unknown", "", 401), ("refresh_token", "MREFUSED", 200)],
    "MNOTYET": [("api_key", MERCHANT, 200)],
    "MELSEWHERE": [("refresh_token", "MELSEWHERE", 404), ("api_key", MERCHANT, 200)],
    "MASTRAY": [("api_key", MERCHANT, 404), ("refresh_token", "MASTRAY", 200)],
    "MLOST": [("api_key", MERCHANT, 404)],
    "MBROKEN": [("api_key", MERCHANT, 404)],
}
"""Who asks for the checkout of each organiser's order, as what, and what SumUp says."""
NOT_LET_IN = ("MLOST", "MBROKEN")
WRONG = {"MELSEWHERE": (MERCHANT, "MELSEWHERE"), "MASTRAY": ("MASTRAY", MERCHANT)}
"""Where the money went, and where the shop says that it should."""


@dataclass
class Fair(World):
    """Organisers in every state of their connection, each with an order, after two runs."""

    connected: Connected = field(kw_only=True)
    refreshes: list[int] = field(default_factory=list)
    asked: dict[str, list[tuple[str, str, int | None]]] = field(default_factory=dict)


@pytest.fixture(scope="module")
def fair(new_stage: Callable[[], Stage]) -> Fair:
    connected = Connected(new_stage())
    for merchant, columns in ORGANISERS.items():
        connected.organiser(merchant, **columns)
    connected.stage.sumup.revoke("MLOST")
    taken_elsewhere = {"MNOTYET", "MELSEWHERE", "MASTRAY"}
    orders = {name: connected.order(f"ORD-{name}", name) for name in ORGANISERS if name not in taken_elsewhere}
    # Without a connection the shop takes the money itself; and once it did although there was one, or only said so.
    orders["MNOTYET"] = connected.order("ORD-MNOTYET", "MNOTYET", at=MERCHANT)
    orders["MELSEWHERE"] = connected.order("ORD-MELSEWHERE", "MELSEWHERE", at=MERCHANT, said="MELSEWHERE")
    orders["MASTRAY"] = connected.order("ORD-MASTRAY", "MASTRAY", said=MERCHANT)
    orders["platform"] = connected.stage.order("ORD-PLATFORM", checkout="PAID")
    fair = Fair(connected.stage, orders, connected=connected)
    fair.kept = {merchant: connected.profile(merchant) for merchant in ORGANISERS}
    # A dry run renews no token, which SumUp would take once only; and here every request is counted.
    fair.run(promised=False)
    fair.asked = {name: connected.asked(order) for name, order in orders.items()}
    fair.refreshes.append(connected.refreshes)
    # Every token of the first run is over, and whoever was connected sells another ticket.
    connected.stage.sumup.expire_access_tokens()
    for merchant in ("MEXPIRED", "MREFUSED", "MLOST"):
        orders[f"{merchant}-again"] = connected.order(f"ORD-{merchant}-2", merchant)
    fair.run_on(promised=False)  # the quiet looks at completed orders would renew the others as well
    fair.refreshes.append(connected.refreshes)
    return fair


@pytest.mark.parametrize("name", ASKED)
def test_organiser_checkout_is_asked_for_with_the_credential_that_applies(fair: Fair, name: str) -> None:
    assert fair.runs[0].code == OK
    assert fair.asked[name] == ASKED[name]


@pytest.mark.parametrize("name", [name for name in ASKED if name not in (*NOT_LET_IN, *WRONG)])
def test_row_17_organisers_order_is_completed_whatever_has_to_be_renewed_first(fair: Fair, name: str) -> None:
    check_issued(fair.stage, fair[name], on_paper=False)


@pytest.mark.parametrize("name", WRONG)
def test_row_08_paid_to_another_merchant_than_the_shop_says_is_found_and_goes_to_review(fair: Fair, name: str) -> None:
    (alert,) = fair.stage.alerts(fair[name])
    assert fair.stage.status(fair[name]) == "requires_manual_review"
    merchant, expected = WRONG[name]
    assert f"paid to merchant {merchant}, expected {expected}" in body(alert)


def test_organiser_token_is_renewed_once_a_run_and_only_where_it_must(fair: Fair) -> None:
    assert fair.refreshes == [len(["MEXPIRED", "MREFUSED", "MLOST"]), 3 + len(["MEXPIRED", "MREFUSED"])]
    for merchant in ("MVALID", "MNOTYET", "MELSEWHERE", "MASTRAY", "MBROKEN"):
        assert fair.connected.profile(merchant) == fair.kept[merchant]


@pytest.mark.parametrize("merchant", ["MEXPIRED", "MREFUSED"])
def test_organiser_token_that_came_with_a_refresh_serves_the_next_one(fair: Fair, merchant: str) -> None:
    check_issued(fair.stage, fair[f"{merchant}-again"], on_paper=False)
    before, after = fair.kept[merchant], fair.connected.profile(merchant)
    assert after["sumup_connection_status"] == "connected"
    assert after["sumup_expires_at"] > datetime.now(UTC)
    for column in ("sumup_access_token", "sumup_refresh_token"):
        assert after[column] not in (before[column], "")
        assert not any(after[column] in run.stdout + run.stderr for run in fair.runs)


@pytest.mark.parametrize("name", [*NOT_LET_IN, "MLOST-again"])
def test_row_18_connection_that_is_lost_leaves_the_order_and_is_told_once(fair: Fair, name: str) -> None:
    merchant = name.partition("-")[0]
    check_waiting(fair.stage, fair[name], reason="not_allowed")
    assert fair.connected.profile(merchant)["sumup_connection_status"] == "expired"
    told = [subject(mail) for mail in fair.stage.sink.messages if merchant in subject(mail)]
    assert told == [f"[Jersey Events CRITICAL] SumUp refuses the credential for merchant {merchant}"]


def test_row_04_checkout_at_another_merchant_than_the_shop_says_is_closed_there(connected: Connected) -> None:
    connected.organiser("MOWN")
    order = connected.order("ORD-ASTRAY", "MOWN", said=MERCHANT, state="PENDING", age=timedelta(hours=3))
    assert connected.stage.run_once().code == OK
    assert connected.stage.status(order) == "expired"
    assert connected.stage.sumup.checkout(order.checkout).status == "EXPIRED"


def test_row_16_checkout_that_is_at_no_merchant_of_the_order_goes_to_review(connected: Connected) -> None:
    connected.organiser("MOWN")
    order = connected.order("ORD-NOWHERE", "MOWN", at="MNOBODYS", said=MERCHANT)
    for _ in range(2):
        assert connected.stage.run_once().code == OK
        connected.stage.let_time_pass()
    assert connected.stage.status(order) == "requires_manual_review"
    assert {(merchant, status) for _, merchant, status in connected.asked(order)} == {(MERCHANT, 404), ("MOWN", 404)}


def test_row_18_checkout_that_may_be_at_a_merchant_who_cannot_be_asked_is_not_called_missing(
    connected: Connected,
) -> None:
    connected.organiser("MOWN", sumup_connection_status="expired")
    order = connected.order("ORD-NOWHERE", "MOWN", said=MERCHANT)
    for _ in range(3):
        assert connected.stage.run_once().code == OK
        connected.stage.let_time_pass()
    check_waiting(connected.stage, order, reason="not_allowed")
    # One organiser's lost connection is told every day, and is no failure of the run.
    connected.stage.sql("UPDATE paypoll.trouble SET told_at = told_at - interval '24 hours'")
    for _ in range(2):
        assert connected.stage.run_once().code == OK
    told = [subject(mail) for mail in connected.stage.sink.messages if "MOWN" in subject(mail)]
    assert told == ["[Jersey Events CRITICAL] SumUp refuses the credential for merchant MOWN"] * 2


def test_row_18_connection_that_ends_where_no_client_is_set_is_that_organisers_alone(connected: Connected) -> None:
    for name in ("sumup__client_id", "sumup__client_secret"):
        del connected.stage.environ[name]
    connected.organiser("MOWN", sumup_expires_at=OVER)
    order = connected.order("ORD-OWN", "MOWN")
    for _ in range(2):
        assert connected.stage.run_once().code == OK
        connected.stage.let_time_pass()
    check_waiting(connected.stage, order, reason="not_allowed")
    (told,) = connected.stage.sink.messages
    assert subject(told) == "[Jersey Events CRITICAL] SumUp refuses the credential for merchant MOWN"
    assert "set them, or the organiser has to connect again" in " ".join(body(told).split())


# -- stored at once, by one of several ---------------------------------------------------------------------------


def kill(stage: Stage, process: Process) -> None:
    del stage
    process.kill()


def cut(stage: Stage, process: Process) -> None:
    del process
    assert stage.sql(CUT)


@pytest.mark.parametrize(("happens", "code"), [(kill, -signal.SIGKILL), (cut, TRY_LATER)])
def test_organiser_token_is_stored_before_it_is_used_and_outlives_the_run(
    connected: Connected, happens: Callable[[Stage, Process], None], code: int
) -> None:
    stage = connected.stage
    connected.organiser("MOWN", sumup_expires_at=OVER)
    order, before = connected.order("ORD-OWN", "MOWN"), connected.profile("MOWN")
    with stage.sumup.fault(Hang(), path="/v0.1/*"):
        process = stage.start("run-once")
        stage.sumup.journal.wait_until(lambda journal: journal.count("GET") > 0, PATIENCE)
        stored = connected.profile("MOWN")
        happens(stage, process)
    run = ended(process)
    assert run.code == code, run.stderr
    assert stored["sumup_refresh_token"] != before["sumup_refresh_token"]
    assert connected.profile("MOWN") == stored
    # Only the new one is good for another refresh.
    stage.sumup.expire_access_tokens()
    stage.let_time_pass()
    assert stage.run_once().code == OK
    check_issued(stage, order, on_paper=False)
    assert connected.refreshes == 2


class Held(Hang):
    """SumUp has burned the refresh token, and its answer arrives when the fault is cleared."""

    def spoil(self, line: Line, respond: Respond) -> None:
        answer = respond()
        line.pause(PATIENCE)
        line.send(answer)


def test_organiser_token_wanted_by_two_commands_at_once_is_renewed_by_one(connected: Connected) -> None:
    stage = connected.stage
    connected.organiser("MOWN", sumup_expires_at=OVER)
    orders = [connected.order("ORD-ONE", "MOWN")]
    with stage.sumup.fault(Held(), path="/token"):
        one = stage.start("run-once", "--json")
        stage.sumup.journal.wait_until(lambda journal: journal.count("POST", "/token") == 1, PATIENCE)
        orders.append(connected.order("ORD-TWO", "MOWN"))
        beside = stage.order("ORD-BESIDE", checkout="PENDING")
        two = stage.start("run-once", "--json")
        # The second command has claimed both, and asks for both at once.
        stage.sumup.journal.wait_until(lambda _: bool(connected.asked(beside)), PATIENCE)
    runs = [ended(one), ended(two)]
    assert [run.code for run in runs] == [OK, OK]
    for run, order in zip(runs, orders, strict=True):
        assert order.number in {one["number"] for one in run.report["orders"]}
        check_issued(stage, order, on_paper=False)
    assert connected.refreshes == 1
    assert connected.profile("MOWN")["sumup_connection_status"] == "connected"
    assert [mail for mail in stage.sink.messages if "refuses" in subject(mail)] == []


@pytest.fixture
def few_connections(stage: Stage) -> Iterator[Stage]:
    """A stage whose role may have as many connections as docs/deployment.md says that a run takes."""
    stage.sql(f"ALTER ROLE {ROLE} CONNECTION LIMIT {CONNECTIONS}")
    yield stage
    stage.sql(f"ALTER ROLE {ROLE} CONNECTION LIMIT -1")


@pytest.mark.usefixtures("few_connections")
def test_organisers_orders_are_completed_by_a_role_of_few_connections(connected: Connected) -> None:
    merchants = ("MONE", "MTWO")
    for merchant in merchants:
        connected.organiser(merchant, sumup_expires_at=OVER)
    orders = [connected.order(f"ORD-{number}", merchants[number % 2]) for number in range(12)]
    run = connected.stage.run_once()
    assert run.code == OK, run.stderr
    for order in orders:
        check_issued(connected.stage, order, on_paper=False)
    assert connected.refreshes == len(merchants)


def ended(process: Process) -> Ended:
    stdout, stderr = process.communicate(timeout=PATIENCE)
    return Ended(process.wait(), stdout, stderr)
