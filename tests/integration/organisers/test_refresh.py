"""Renewing a token: when, with what outcome, and what stands in the shop's profile afterwards."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from paypoll.database import DatabaseOptions, make_engine, transaction
from paypoll.payments.gateway import BrokenAnswer, Found, NoAnswer, NotAllowed
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.sandbox.sumup.effects import Html, Reset, Status, Truncated
from paypoll.shop.changes import store_tokens
from paypoll.shop.connections import find_connections
from paypoll.sumup.organisers.refresh import OAuthClient
from paypoll.sumup.retry import STOPPED

if TYPE_CHECKING:
    from tests.integration.organisers.conftest import MakeClient, ManualClock, Stage

ORGANISER = "MORGANISER"
HOUR = timedelta(seconds=3599)


def test_refresh_expired_token_is_renewed_and_everything_stored(stage: "Stage", make_client: "MakeClient") -> None:
    stage.connect(expires_in=-1)
    before = stage.profile()
    client, checkout_id = make_client(), stage.checkout()
    for _ in range(3):
        assert isinstance(client.read_checkout(checkout_id, ORGANISER), Found)
    assert stage.refreshes == 1
    after = stage.profile()
    assert after["sumup_access_token"] not in {before["sumup_access_token"], ""}
    assert after["sumup_refresh_token"] not in {before["sumup_refresh_token"], ""}
    # The pace of the requests moves the clock by a few milliseconds.
    assert timedelta(0) <= stage.clock.now() + HOUR - after["sumup_expires_at"] < timedelta(seconds=1)
    assert (after["sumup_token_type"], after["sumup_scope"]) == ("Bearer", "payments transactions.history")
    changed = {column for column in after if after[column] != before[column]}
    assert changed == {
        "sumup_access_token",
        "sumup_refresh_token",
        "sumup_expires_at",
        "sumup_scope",
        "updated_at",
    }


def test_refresh_stored_rotation_serves_the_runs_to_come(
    stage: "Stage", make_client: "MakeClient", clock: "ManualClock"
) -> None:
    stage.connect(expires_in=-1)
    checkout_id = stage.checkout()
    for count in (1, 2, 3):
        assert isinstance(make_client().read_checkout(checkout_id, ORGANISER), Found)
        assert stage.refreshes == count
        clock.seconds += 3600


def test_refresh_without_a_new_refresh_token_the_old_one_is_kept(stage: "Stage", make_client: "MakeClient") -> None:
    stage.sumup.keyring.rotate = False
    stage.connect(expires_in=-1)
    assert isinstance(make_client().read_checkout(stage.checkout(), ORGANISER), Found)
    assert stage.profile()["sumup_refresh_token"] == stage.refresh_token


@pytest.mark.parametrize(("expires_in", "refreshes"), [(60, 1), (61, 0), (None, 0)])
def test_refresh_token_is_renewed_a_minute_before_it_expires(
    stage: "Stage", make_client: "MakeClient", expires_in: float | None, refreshes: int
) -> None:
    # The pace of the requests moves the clock by a few milliseconds.
    stage.connect(expires_in=None if expires_in is None else expires_in + 0.5 * (expires_in > 60))
    assert isinstance(make_client().read_checkout(stage.checkout(), ORGANISER), Found)
    assert stage.refreshes == refreshes


@pytest.mark.parametrize("expires_in", [3599, None])
def test_refresh_refused_token_is_renewed_once_and_the_call_mended(
    stage: "Stage", make_client: "MakeClient", expires_in: float | None
) -> None:
    stage.connect(expires_in=expires_in)
    stage.sumup.expire_access_tokens()
    assert isinstance(make_client().read_checkout(stage.checkout(), ORGANISER), Found)
    assert stage.refreshes == 1
    assert stage.profile()["sumup_access_token"] != stage.access_token


def test_refresh_refused_for_another_reason_is_not_renewed_for_every_call(
    stage: "Stage", make_client: "MakeClient"
) -> None:
    stage.connect()
    checkout_id, client = stage.checkout(), make_client()
    stage.sumup.fault(Status(401), path="/v0.1/*")
    for _ in range(4):
        assert isinstance(client.read_checkout(checkout_id, ORGANISER), NotAllowed)
    assert stage.refreshes == 1
    assert stage.profile()["sumup_connection_status"] == "connected"


def test_refresh_refused_for_another_reason_two_runs_do_not_renew_in_turns(
    stage: "Stage", make_client: "MakeClient"
) -> None:
    stage.connect()
    checkout_id, clients = stage.checkout(), (make_client(), make_client())
    stage.sumup.fault(Status(401), path="/v0.1/*")
    for client in clients * 3:
        assert isinstance(client.read_checkout(checkout_id, ORGANISER), NotAllowed)
    assert stage.refreshes == 2


def test_refresh_invalid_grant_is_final_and_marks_the_connection(
    stage: "Stage", make_client: "MakeClient", clock: "ManualClock"
) -> None:
    stage.connect(expires_in=-1)
    stage.sumup.revoke(ORGANISER)
    checkout_id = stage.checkout()
    first, second = make_client(), make_client()
    for client in (first, first, second):
        look = client.read_checkout(checkout_id, ORGANISER)
        assert isinstance(look, NotAllowed)
        assert look.merchant_code == ORGANISER
        assert "connect" in look.detail
        clock.seconds += 3600
    assert stage.refreshes == 1
    assert stage.profile()["sumup_connection_status"] == "expired"
    assert stage.profile()["sumup_refresh_token"] == stage.refresh_token


@pytest.mark.parametrize(
    ("effect", "outcome"),
    [
        (Status(503), NoAnswer),
        (Status(429), NoAnswer),
        (Reset(), NoAnswer),
        (Html(), BrokenAnswer),
    ],
)
def test_refresh_temporary_failure_marks_nothing_and_is_mended_later(
    stage: "Stage", make_client: "MakeClient", clock: "ManualClock", effect: Status, outcome: type
) -> None:
    stage.connect(expires_in=-1)
    before, client, checkout_id = stage.profile(), make_client(tries=1), stage.checkout()
    with stage.sumup.fault(effect, path="/token"):
        for _ in range(3):
            assert isinstance(client.read_checkout(checkout_id, ORGANISER), outcome)
    assert stage.refreshes == 1, "a failure stands for a minute, or every order would ask again"
    assert stage.profile() == before
    clock.seconds += 60
    assert isinstance(client.read_checkout(checkout_id, ORGANISER), Found)


def test_refresh_answer_lost_on_the_way_is_mended_if_the_refresh_token_still_holds(
    stage: "Stage", make_client: "MakeClient"
) -> None:
    stage.sumup.keyring.rotate = False
    stage.connect(expires_in=-1)
    stage.sumup.fault(Truncated(), path="/token", times=1)
    assert isinstance(make_client().read_checkout(stage.checkout(), ORGANISER), Found)
    assert stage.refreshes == 2


def test_refresh_answer_lost_on_the_way_with_a_new_refresh_token_is_told(
    stage: "Stage", make_client: "MakeClient"
) -> None:
    stage.connect(expires_in=-1)
    stage.sumup.fault(Truncated(), path="/token", times=1)
    assert isinstance(make_client().read_checkout(stage.checkout(), ORGANISER), NotAllowed)
    assert stage.profile()["sumup_connection_status"] == "expired"


def test_refresh_client_refused_marks_no_organiser_and_is_asked_once_for_each(
    stage: "Stage", make_client: "MakeClient"
) -> None:
    stage.connect("MONE", expires_in=-1)
    stage.connect("MTWO", expires_in=-1)
    client = make_client(oauth=OAuthClient("client-1", "not-the-secret"))
    for merchant_code in ("MONE", "MTWO", "MONE"):
        look = client.read_checkout(stage.checkout(merchant_code), merchant_code)
        assert isinstance(look, NotAllowed)
        assert (look.merchant_code, "invalid_client" in look.detail) == (merchant_code, True)
    assert stage.refreshes == 2
    statuses = {row["sumup_connection_status"] for row in stage.shop.rows("accounts_artistprofile")}
    assert statuses == {"connected"}


def test_refresh_without_the_platforms_client_is_not_allowed_and_says_why(
    stage: "Stage", make_client: "MakeClient"
) -> None:
    stage.connect(expires_in=-1)
    look = make_client(oauth=None).read_checkout(stage.checkout(), ORGANISER)
    assert isinstance(look, NotAllowed)
    assert look.merchant_code == ORGANISER
    assert "sumup.client_id" in look.detail
    assert stage.profile()["sumup_connection_status"] == "connected"


def test_refresh_without_a_refresh_token_is_not_allowed_and_not_asked(
    stage: "Stage", make_client: "MakeClient"
) -> None:
    stage.connect(expires_in=-1, sumup_refresh_token="")
    look = make_client().read_checkout(stage.checkout(), ORGANISER)
    assert isinstance(look, NotAllowed)
    assert "no refresh token" in look.detail
    assert stage.refreshes == 0


def test_refresh_in_a_dry_run_is_not_made(stage: "Stage", make_client: "MakeClient") -> None:
    stage.connect(expires_in=-1)
    look = make_client(read_only=True).read_checkout(stage.checkout(), ORGANISER)
    assert isinstance(look, NoAnswer)
    assert stage.refreshes == 0


def test_refresh_told_to_stop_asks_nothing(stage: "Stage", make_client: "MakeClient", clock: "ManualClock") -> None:
    stage.connect(expires_in=-1)
    clock.stopping = True
    assert make_client().read_checkout(stage.checkout(), ORGANISER) == NoAnswer(STOPPED)
    assert stage.refreshes == 0


def test_store_long_list_of_scopes_is_cut_and_not_lost(stage: "Stage", engine: sa.Engine) -> None:
    stage.connect()
    with transaction(engine) as connection:
        (known,) = find_connections(connection, ORGANISER)
        assert store_tokens(
            connection,
            known,
            access_token="at-new",
            refresh_token="",
            token_type="Bearer",
            scope="s" * 300,
            expires_at=stage.clock.now(),
            now=stage.clock.now(),
        )
    assert (stage.profile()["sumup_access_token"], stage.profile()["sumup_scope"]) == ("at-new", "s" * 255)


def test_refresh_on_sqlite_is_renewed_and_stored(stage: "Stage", make_client: "MakeClient", tmp_path: Path) -> None:
    engine = make_engine(DatabaseOptions(sa.make_url(f"sqlite:///{tmp_path / 'shop.db'}")))
    shop = SmallShop(engine)
    shop.make_tables()
    stage.shop = shop
    stage.connect(expires_in=-1)
    client, checkout_id = make_client(engine=engine), stage.checkout()
    with ThreadPoolExecutor(8) as pool:
        looks = list(pool.map(lambda _: client.read_checkout(checkout_id, ORGANISER), range(16)))
    assert all(isinstance(look, Found) for look in looks)
    assert stage.refreshes == 1
    assert stage.profile()["sumup_refresh_token"] != stage.refresh_token
    engine.dispose()
