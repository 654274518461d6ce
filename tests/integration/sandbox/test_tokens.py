"""The token endpoint, and what its tokens open."""

import pytest
import requests

from paypoll.sandbox.sumup.keyring import AuthKind
from paypoll.sandbox.sumup.simulator import Simulator

from .conftest import MERCHANT, OTHER_MERCHANT, Client, MakeClient, MovableClock

CLIENT, SECRET = "cc_client", "cc_secret"


@pytest.fixture(autouse=True)
def platform_client(sim: Simulator) -> None:
    sim.add_client(CLIENT, SECRET, MERCHANT)


def ask(client: Client, **form: str) -> requests.Response:
    return client.submit("/token", **({"client_id": CLIENT, "client_secret": SECRET} | form))


def refresh(client: Client, token: str) -> requests.Response:
    return ask(client, grant_type="refresh_token", refresh_token=token)


def test_client_credentials_give_a_token_without_a_refresh_token(
    client: Client, make_client: MakeClient, checkout: str
) -> None:
    given = ask(client, grant_type="client_credentials").json()

    assert (given["token_type"], given["expires_in"]) == ("Bearer", 3599)
    assert "refresh_token" not in given
    assert make_client(given["access_token"]).get(f"/v0.1/checkouts/{checkout}").status_code == 200


def test_client_credentials_see_no_transactions(sim: Simulator, client: Client, make_client: MakeClient) -> None:
    token = ask(client, grant_type="client_credentials").json()["access_token"]

    for path in ("transactions?id=x", "transactions/history"):
        answer = make_client(token).get(f"/v2.1/merchants/{MERCHANT}/{path}")
        assert (answer.status_code, answer.json()["error_code"]) == (403, "FORBIDDEN")
    assert sim.requests[-1].auth is AuthKind.CLIENT_CREDENTIALS


def test_access_token_past_its_life_is_401(client: Client, make_client: MakeClient, clock: MovableClock) -> None:
    token = ask(client, grant_type="client_credentials").json()["access_token"]
    clock.move(seconds=3598)
    assert make_client(token).get("/v0.1/checkouts").status_code == 200

    clock.move(seconds=1)

    assert make_client(token).get("/v0.1/checkouts").status_code == 401


def test_access_token_expired_by_hand_is_401(sim: Simulator, client: Client, make_client: MakeClient) -> None:
    token = ask(client, grant_type="client_credentials").json()["access_token"]

    sim.expire_access_tokens()

    assert make_client(token).get("/v0.1/checkouts").status_code == 401
    assert sim.requests[-1].auth is AuthKind.EXPIRED
    again = ask(client, grant_type="client_credentials").json()["access_token"]
    assert make_client(again).get("/v0.1/checkouts").status_code == 200


def test_refresh_token_gives_access_to_the_merchant_that_connected(
    sim: Simulator, client: Client, make_client: MakeClient
) -> None:
    token = refresh(client, sim.connect_merchant(OTHER_MERCHANT, CLIENT)).json()["access_token"]

    assert make_client(token).get(f"/v2.1/merchants/{OTHER_MERCHANT}/transactions/history").status_code == 200
    assert make_client(token).get(f"/v2.1/merchants/{MERCHANT}/transactions/history").status_code == 404


def test_refresh_without_rotation_keeps_the_old_token(sim: Simulator, client: Client) -> None:
    token = sim.connect_merchant(OTHER_MERCHANT, CLIENT)

    first, second = refresh(client, token), refresh(client, token)

    assert "refresh_token" not in first.json()
    assert second.status_code == 200


def test_refresh_with_rotation_burns_the_old_token(sim: Simulator, client: Client) -> None:
    sim.keyring.rotate = True
    token = sim.connect_merchant(OTHER_MERCHANT, CLIENT, "rt-of-the-shop")
    assert token == "rt-of-the-shop"

    renewed = refresh(client, token).json()["refresh_token"]
    burnt = refresh(client, token)

    assert renewed != token
    assert (burnt.status_code, burnt.json()["error"]) == (400, "invalid_grant")
    assert refresh(client, renewed).status_code == 200


def test_revoke_ends_refresh_and_access_tokens_of_that_merchant(
    sim: Simulator, client: Client, make_client: MakeClient
) -> None:
    token = sim.connect_merchant(OTHER_MERCHANT, CLIENT)
    kept = sim.connect_merchant(MERCHANT, CLIENT)
    access = sim.issue_access_token(OTHER_MERCHANT)
    assert make_client(access).get("/v0.1/checkouts").status_code == 200

    sim.revoke(OTHER_MERCHANT)

    assert refresh(client, token).json()["error"] == "invalid_grant"
    assert make_client(access).get("/v0.1/checkouts").status_code == 401
    assert refresh(client, kept).status_code == 200


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({"grant_type": "client_credentials", "client_secret": "wrong"}, 401, "invalid_client"),
        ({"grant_type": "client_credentials", "client_id": "nobody"}, 401, "invalid_client"),
        ({"grant_type": "refresh_token", "refresh_token": "unknown"}, 400, "invalid_grant"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({}, 400, "unsupported_grant_type"),
    ],
)
def test_token_request_that_is_wrong_is_refused(client: Client, form: dict[str, str], status: int, error: str) -> None:
    answer = ask(client, **form)

    assert (answer.status_code, answer.json()["error"]) == (status, error)


def test_refresh_token_of_another_client_is_refused(sim: Simulator, client: Client) -> None:
    token = sim.connect_merchant(OTHER_MERCHANT, "another_client")

    assert refresh(client, token).json()["error"] == "invalid_grant"


def test_log_and_reprs_hold_no_secret(sim: Simulator, client: Client) -> None:
    refresh_token = sim.connect_merchant(OTHER_MERCHANT, CLIENT)
    given = refresh(client, refresh_token).json()
    client.get("/v0.1/checkouts")

    tokens = sim.keyring.exchange("client_credentials", CLIENT, SECRET, "")
    shown = repr((sim, sim.requests, sim.keyring, sim.keyring._clients, tokens))

    assert [seen.auth for seen in sim.requests] == [AuthKind.REFRESH_TOKEN, AuthKind.API_KEY]
    for secret in (
        SECRET,
        refresh_token,
        given["access_token"],
        tokens.access_token,
        client.session.headers["Authorization"],
    ):
        assert str(secret).removeprefix("Bearer ") not in shown
