"""Several at once: threads, runs on other hosts, the shop. And being killed in the middle."""

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from paypoll.database import CONNECTIONS, DatabaseOptions, make_engine, transaction
from paypoll.errors import DatabaseUnavailableError
from paypoll.payments.gateway import Found, NoAnswer, NotAllowed
from paypoll.runs.stop import Stop
from paypoll.sandbox.sumup.effects import Hang, Latency, Line, Respond
from paypoll.sumup.organisers.lease import LENGTH, POLL_EVERY, POLLS, Lease

if TYPE_CHECKING:
    from tests.integration.organisers.conftest import MakeClient, ManualClock, Stage

ORGANISER = "MORGANISER"
LONG = 30.0

# A run of its own, as far as organisers' tokens go: reads one checkout and prints what came of it.
RUN = """
import sys
import sqlalchemy as sa
from paypoll.clock import SystemClock
from paypoll.database import CONNECTIONS, DatabaseOptions, make_engine
from paypoll.sumup.organisers.credentials import OrganiserCredentials
from paypoll.sumup.organisers.refresh import OAuthClient, TokenRefresher
from paypoll.runs.stop import Stop
from paypoll.sumup.auth import ApiKey
from paypoll.sumup.client import SumUpClient
from paypoll.sumup.options import SumUpOptions

database, sumup, checkout_id, merchant = sys.argv[1:]
engine, clock, wait = make_engine(DatabaseOptions(sa.make_url(database))), SystemClock(), Stop().wait
refresher = TokenRefresher(engine, OAuthClient("client-1", "client-secret-1"), clock=clock, wait=wait)
credentials = OrganiserCredentials(engine, ApiKey("platform-key"), refresher)
client = SumUpClient(SumUpOptions(base_url=sumup), credentials, clock=clock, wait=wait)
print(type(client.read_checkout(checkout_id, merchant)).__name__)
"""


class Meanwhile:
    """An effect: SumUp has done what it was asked, and before its answer arrives something else happens."""

    def __init__(self, happens: Callable[[], object]) -> None:
        self._happens = happens

    def spoil(self, line: Line, respond: Respond) -> None:
        answer = respond()
        self._happens()
        line.send(answer)


@contextmanager
def run_elsewhere(engine: sa.Engine, stage: "Stage", checkout_id: str) -> Iterator[subprocess.Popen[str]]:
    """Start a run in a process of its own; it is killed if it is still there in the end."""
    database = engine.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", RUN, database, stage.sumup.url, checkout_id, ORGANISER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - no input
        try:
            yield process
        finally:
            process.kill()


@contextmanager
def held_by_a_page(engine: sa.Engine) -> Iterator[None]:
    """Hold the rows of all profiles, as a page of the shop that is saving them."""
    with engine.connect() as page, page.begin():
        page.execute(sa.text("SELECT 1 FROM accounts_artistprofile FOR UPDATE"))
        yield


@pytest.fixture
def impatient_engine(engine: sa.Engine) -> Iterator[sa.Engine]:
    """An engine that waits for a row for an instant only."""
    made = make_engine(DatabaseOptions(engine.url, lock_timeout=timedelta(milliseconds=50)))
    yield made
    made.dispose()


# --- several runs ----------------------------------------------------------------------------------------


def test_race_threads_of_one_run_one_of_them_refreshes(
    real_time_stage: "Stage", make_real_time_client: "MakeClient"
) -> None:
    stage = real_time_stage
    stage.connect(expires_in=-1)
    client, checkout_id = make_real_time_client(), stage.checkout()
    stage.sumup.fault(Latency(0.2), path="/token")
    with ThreadPoolExecutor(8) as pool:
        looks = list(pool.map(lambda _: client.read_checkout(checkout_id, ORGANISER), range(16)))
    assert [look for look in looks if not isinstance(look, Found)] == []
    assert stage.refreshes == 1


def test_race_threads_with_a_refused_token_one_of_them_refreshes(
    real_time_stage: "Stage", make_real_time_client: "MakeClient"
) -> None:
    stage = real_time_stage
    stage.connect()
    stage.sumup.expire_access_tokens()
    client, checkout_id = make_real_time_client(), stage.checkout()
    stage.sumup.fault(Latency(0.2), path="/token")
    with ThreadPoolExecutor(8) as pool:
        looks = list(pool.map(lambda _: client.read_checkout(checkout_id, ORGANISER), range(16)))
    assert [look for look in looks if not isinstance(look, Found)] == []
    assert stage.refreshes == 1


def test_race_runs_on_several_hosts_one_of_them_refreshes(
    real_time_stage: "Stage", make_real_time_client: "MakeClient", another_engine: Callable[[], sa.Engine]
) -> None:
    stage = real_time_stage
    stage.connect(expires_in=-1)
    clients = [make_real_time_client(engine=another_engine()) for _ in range(4)]
    checkout_id = stage.checkout()
    stage.sumup.fault(Latency(0.3), path="/token")
    with ThreadPoolExecutor(8) as pool:
        looks = list(pool.map(lambda client: client.read_checkout(checkout_id, ORGANISER), clients * 2))
    assert [look for look in looks if not isinstance(look, Found)] == []
    assert stage.refreshes == 1
    assert stage.profile()["sumup_connection_status"] == "connected"


def test_race_processes_one_of_them_refreshes(real_time_stage: "Stage", engine: sa.Engine) -> None:
    stage = real_time_stage
    stage.connect(expires_in=-1)
    checkout_id = stage.checkout()
    stage.sumup.fault(Latency(1.0), path="/token")
    with (
        run_elsewhere(engine, stage, checkout_id) as one,
        run_elsewhere(engine, stage, checkout_id) as two,
    ):
        said = [process.communicate(timeout=LONG)[0].split()[-1] for process in (one, two)]
    assert said == ["Found", "Found"]
    assert stage.refreshes == 1


def test_race_another_run_refreshes_without_end_is_no_answer_and_asks_nothing(
    stage: "Stage", make_client: "MakeClient", another_engine: Callable[[], sa.Engine]
) -> None:
    stage.connect(expires_in=-1)
    elsewhere = Lease(another_engine(), Stop().wait)
    with elsewhere.held(f"organiser-token:{stage.profile_id}") as is_held:
        assert is_held
        look = make_client().read_checkout(stage.checkout(), ORGANISER)
    assert isinstance(look, NoAnswer)
    assert "another run" in look.detail
    assert stage.refreshes == 0


def test_race_other_organisers_token_is_not_waited_for(
    stage: "Stage", make_client: "MakeClient", another_engine: Callable[[], sa.Engine]
) -> None:
    stage.connect(expires_in=-1)
    with Lease(another_engine(), Stop().wait).held(f"organiser-token:{stage.profile_id + 1}"):
        assert isinstance(make_client().read_checkout(stage.checkout(), ORGANISER), Found)


# --- killed in the middle --------------------------------------------------------------------------------


@pytest.mark.parametrize(("rotate", "outcome", "status"), [(False, Found, "connected"), (True, NotAllowed, "expired")])
def test_kill_between_answer_and_commit_next_run_is_not_blocked(
    real_time_stage: "Stage",
    make_real_time_client: "MakeClient",
    engine: sa.Engine,
    rotate: bool,
    outcome: type,
    status: str,
) -> None:
    stage = real_time_stage
    stage.sumup.keyring.rotate = rotate
    stage.connect(expires_in=-1)
    before, checkout_id = stage.profile(), stage.checkout()
    asked = threading.Event()

    class ProcessedThenSilent(Hang):
        def spoil(self, line: Line, respond: Respond) -> None:
            respond()
            asked.set()
            super().spoil(line, respond)

    fault = stage.sumup.fault(ProcessedThenSilent(), path="/token")
    with run_elsewhere(engine, stage, checkout_id) as victim:
        assert asked.wait(LONG)
        victim.kill()
        victim.wait(LONG)
    fault.clear()
    assert stage.profile() == before
    let_lease_run_out(engine)
    assert isinstance(make_real_time_client().read_checkout(checkout_id, ORGANISER), outcome)
    assert stage.profile()["sumup_connection_status"] == status


def let_lease_run_out(engine: sa.Engine) -> None:
    """Let the time pass that a lease lasts which nobody renews; it is less than whoever wants it waits."""
    assert LENGTH.total_seconds() < POLLS * POLL_EVERY
    with transaction(engine) as connection:
        passed = "UPDATE paypoll.lease SET until = until - :length"
        assert connection.execute(sa.text(passed), {"length": LENGTH}).rowcount == 1


# --- the database meanwhile ------------------------------------------------------------------------------


def test_refresh_no_transaction_is_open_while_sumup_is_asked(
    stage: "Stage", make_client: "MakeClient", another_engine: Callable[[], sa.Engine]
) -> None:
    stage.connect(expires_in=-1)
    elsewhere = another_engine()
    states: list[str] = []

    def look() -> None:
        with transaction(elsewhere) as connection:
            query = "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
            states.extend(connection.scalars(sa.text(query)))
        with held_by_a_page(elsewhere):
            states.append("a page of the shop could save the profile")

    stage.sumup.fault(Meanwhile(look), path="/token")
    assert isinstance(make_client().read_checkout(stage.checkout(), ORGANISER), Found)
    assert states[-1].startswith("a page")
    assert set(states[:-1]) == {"idle"}


def test_refresh_profile_held_by_the_shop_is_put_off_before_anything_is_burned(
    stage: "Stage", make_client: "MakeClient", impatient_engine: sa.Engine, engine: sa.Engine
) -> None:
    stage.connect(expires_in=-1)
    client, checkout_id = make_client(engine=impatient_engine), stage.checkout()
    with held_by_a_page(engine):
        look = client.read_checkout(checkout_id, ORGANISER)
    assert isinstance(look, NoAnswer)
    assert "shop holds" in look.detail
    assert stage.refreshes == 0


def test_refresh_tokens_cannot_be_written_nothing_is_burned(
    stage: "Stage", make_client: "MakeClient", engine: sa.Engine
) -> None:
    stage.connect(expires_in=-1)
    forbid_writing(engine)
    with pytest.raises(sa.exc.InternalError):
        make_client().read_checkout(stage.checkout(), ORGANISER)
    assert stage.refreshes == 0


def test_store_profile_held_by_the_shop_is_tried_until_it_is_free(
    stage: "Stage", make_client: "MakeClient", clock: "ManualClock", impatient_engine: sa.Engine, engine: sa.Engine
) -> None:
    stage.connect(expires_in=-1)
    page = held_by_a_page(engine)
    pauses: list[float] = []

    def wait(seconds: float) -> bool:
        pauses.append(seconds)
        if pauses.count(1.0):  # the second try to store has failed
            page.__exit__(None, None, None)
        return clock.sleep(seconds)

    stage.sumup.fault(Meanwhile(page.__enter__), path="/token")
    client = make_client(engine=impatient_engine, wait=wait)
    look = client.read_checkout(stage.checkout(), ORGANISER)
    assert isinstance(look, Found)
    assert stage.profile()["sumup_refresh_token"] != stage.refresh_token
    assert stage.kinds == ["refresh_token"]


def test_store_connections_cut_after_the_answer_is_stored_over_a_new_one(
    stage: "Stage", make_client: "MakeClient", another_engine: Callable[[], sa.Engine]
) -> None:
    stage.connect(expires_in=-1)
    elsewhere = another_engine()

    def cut() -> None:
        with transaction(elsewhere) as connection:
            query = (
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
            connection.execute(sa.text(query))

    stage.sumup.fault(Meanwhile(cut), path="/token")
    assert isinstance(make_client().read_checkout(stage.checkout(), ORGANISER), Found)
    assert stage.profile()["sumup_refresh_token"] != stage.refresh_token


def test_store_database_gone_for_good_is_said_and_ends_the_run(
    stage: "Stage", make_client: "MakeClient", engine: sa.Engine
) -> None:
    stage.connect(expires_in=-1)
    doomed = make_engine(DatabaseOptions(engine.url))
    stage.sumup.fault(Meanwhile(lambda: move_away(doomed)), path="/token")
    client = make_client(engine=doomed)
    with pytest.raises(DatabaseUnavailableError):
        client.read_checkout(stage.checkout(), ORGANISER)
    doomed.dispose()


# --- the shop meanwhile ----------------------------------------------------------------------------------


def test_refresh_shop_stored_other_tokens_meanwhile_theirs_stand_and_are_used(
    stage: "Stage", make_client: "MakeClient"
) -> None:
    stage.connect(expires_in=-1)
    reconnected = {
        "sumup_refresh_token": stage.sumup.connect_merchant(ORGANISER, "client-1"),
        "sumup_access_token": stage.sumup.issue_access_token(ORGANISER),
        "sumup_expires_at": stage.clock.now() + timedelta(hours=1),
    }
    stage.sumup.fault(Meanwhile(lambda: stage.change(**reconnected)), path="/token")
    assert isinstance(make_client().read_checkout(stage.checkout(), ORGANISER), Found)
    assert stage.profile().items() >= reconnected.items()


def test_refresh_invalid_grant_because_the_shop_was_quicker_marks_nothing(
    stage: "Stage", make_client: "MakeClient"
) -> None:
    stage.connect(expires_in=-1)
    stage.sumup.revoke(ORGANISER)
    theirs = {
        "sumup_refresh_token": stage.sumup.connect_merchant(ORGANISER, "client-1"),
        "sumup_access_token": stage.sumup.issue_access_token(ORGANISER),
        "sumup_expires_at": stage.clock.now() + timedelta(hours=1),
    }
    stage.sumup.fault(Meanwhile(lambda: stage.change(**theirs)), path="/token")
    assert isinstance(make_client().read_checkout(stage.checkout(), ORGANISER), Found)
    assert stage.profile().items() >= {**theirs, "sumup_connection_status": "connected"}.items()


def test_refresh_organiser_moved_to_another_merchant_meanwhile_token_is_neither_stored_nor_used(
    stage: "Stage", make_client: "MakeClient"
) -> None:
    stage.connect(expires_in=-1)
    stage.sumup.fault(Meanwhile(lambda: stage.change(sumup_merchant_code="MSOMEBODY")), path="/token")
    assert isinstance(make_client().read_checkout(stage.checkout(), ORGANISER), NoAnswer)
    assert stage.profile()["sumup_access_token"] == stage.access_token
    assert stage.kinds == []


def test_refresh_organiser_disconnected_meanwhile_stays_disconnected(stage: "Stage", make_client: "MakeClient") -> None:
    stage.connect(expires_in=-1)
    gone = {"sumup_connection_status": "not_connected", "sumup_access_token": "", "sumup_refresh_token": ""}
    stage.sumup.fault(Meanwhile(lambda: stage.change(**gone)), path="/token")
    assert isinstance(make_client().read_checkout(stage.checkout(), ORGANISER), NoAnswer)
    assert stage.profile().items() >= gone.items()


def test_refresh_marked_as_expired_meanwhile_by_a_second_one_is_connected_after_all(
    stage: "Stage", make_client: "MakeClient"
) -> None:
    stage.connect(expires_in=-1)
    stage.sumup.fault(Meanwhile(lambda: stage.change(sumup_connection_status="expired")), path="/token")
    assert isinstance(make_client().read_checkout(stage.checkout(), ORGANISER), Found)
    assert stage.profile()["sumup_connection_status"] == "connected"


def test_candidates_many_threads_share_a_handful_of_sessions(
    real_time_stage: "Stage", make_real_time_client: "MakeClient", another_engine: Callable[[], sa.Engine]
) -> None:
    stage, elsewhere = real_time_stage, another_engine()
    stage.connect()
    client, checkout_id = make_real_time_client(parallel_requests=32), stage.checkout()
    with ThreadPoolExecutor(32) as pool:
        looks = list(pool.map(lambda _: client.read_checkout(checkout_id, ORGANISER), range(128)))
    assert all(isinstance(look, Found) for look in looks)
    with transaction(elsewhere) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        assert 1 <= (connection.scalar(sa.text(query)) or 0) <= CONNECTIONS


def forbid_writing(engine: sa.Engine) -> None:
    """Let the database refuse every change of a profile, quoting what was to be written."""
    with transaction(engine) as connection:
        connection.exec_driver_sql(
            "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;"
            "CREATE TRIGGER no BEFORE UPDATE ON accounts_artistprofile FOR EACH ROW EXECUTE FUNCTION no()"
        )


def move_away(engine: sa.Engine) -> None:
    """Let every further connection of this engine find no server."""
    engine.dispose()

    @sa.event.listens_for(engine, "do_connect")
    def elsewhere(_dialect: object, _record: object, _args: object, parameters: dict[str, object]) -> None:
        parameters["host"] = "/nowhere"
