"""Tokens: fetched once, kept, renewed once, and never seen by anybody."""

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import structlog

from paypoll.errors import SettingsError
from paypoll.payments.gateway import BrokenAnswer, Found, NoAnswer, NotAllowed, NotFound
from paypoll.sumup.auth import ApiKey, ClientCredentials, Credential
from paypoll.sumup.token_file import TokenFile

if TYPE_CHECKING:
    from tests.integration.sumup.conftest import Asked, FaultyServer, MakeClient, ManualClock

SECRET = "hush-hush"
MISSING = {"error_code": "NOT_FOUND"}
REFUSED = {"error_code": "NOT_AUTHORIZED"}


class TokenServer:
    """Plays SumUp: gives out tokens, and answers those who show a valid one."""

    def __init__(self, server: "FaultyServer") -> None:
        self.server = server
        self.lock = threading.Lock()
        self.given = 0
        self.valid: set[str] = set()
        self.expires_in: object = 3599
        server.answer = self.answer

    def answer(self, asked: "Asked") -> bytes:
        if asked.path == "/token":
            with self.lock:
                self.given += 1
                token = f"token-{self.given}"
                self.valid.add(f"Bearer {token}")
            fields = {"access_token": token, "token_type": "Bearer", "expires_in": self.expires_in}
            return self.server.json(fields)
        if asked.headers.get("authorization") not in self.valid:
            return self.server.json(REFUSED, status=401)
        return self.server.json({"id": "co-1", "status": "PENDING"})


@pytest.fixture
def sumup(server: "FaultyServer") -> TokenServer:
    return TokenServer(server)


def client_credentials(clock: "ManualClock", store: TokenFile | None = None) -> ClientCredentials:
    return ClientCredentials("client-1", SECRET, clock, store=store)


class Candidates:
    """Several credentials, whatever the merchant."""

    def __init__(self, *credentials: Credential) -> None:
        self._credentials = credentials

    def candidates(self, merchant_code: str) -> Sequence[Credential]:
        del merchant_code
        return self._credentials


# --- client credentials ----------------------------------------------------------------------------------


def test_client_credentials_token_is_fetched_as_documented_and_used_again(
    sumup: TokenServer, make_client: "MakeClient", clock: "ManualClock"
) -> None:
    client = make_client(credential=client_credentials(clock))
    for _ in range(3):
        assert isinstance(client.read_checkout("co-1", "MC1"), Found)
    first, *others = sumup.server.asked
    assert (first.method, first.target) == ("POST", "/token")
    assert first.form == {"grant_type": "client_credentials", "client_id": "client-1", "client_secret": SECRET}
    assert first.headers["content-type"] == "application/x-www-form-urlencoded"
    assert "authorization" not in first.headers
    assert [asked.headers["authorization"] for asked in others] == ["Bearer token-1"] * 3


def test_client_credentials_many_threads_fetch_one_token(
    sumup: TokenServer, make_client: "MakeClient", clock: "ManualClock"
) -> None:
    client = make_client(credential=client_credentials(clock))
    with ThreadPoolExecutor(8) as pool:
        looks = list(pool.map(lambda _: client.read_checkout("co-1", "MC1"), range(24)))
    assert all(isinstance(look, Found) for look in looks)
    assert sumup.given == 1


@pytest.mark.parametrize(
    ("expires_in", "good_for"),
    [(3599, 3539), ("soon", 540), (None, 540), (-5, 540), (10**9, 86_340), (40, 20)],
)
def test_client_credentials_token_is_replaced_before_it_expires(
    sumup: TokenServer, make_client: "MakeClient", clock: "ManualClock", expires_in: object, good_for: float
) -> None:
    sumup.expires_in = expires_in
    client = make_client(credential=client_credentials(clock))
    client.read_checkout("co-1", "MC1")
    clock.seconds = good_for - 1
    client.read_checkout("co-1", "MC1")
    assert sumup.given == 1
    clock.seconds = good_for
    client.read_checkout("co-1", "MC1")
    assert sumup.given == 2


def test_client_credentials_refused_token_is_renewed_once_and_the_call_mended(
    sumup: TokenServer, make_client: "MakeClient", clock: "ManualClock"
) -> None:
    client = make_client(credential=client_credentials(clock))
    client.read_checkout("co-1", "MC1")
    sumup.valid.clear()
    assert isinstance(client.read_checkout("co-1", "MC1"), Found)
    assert sumup.given == 2


def test_client_credentials_refused_token_of_many_threads_is_renewed_once(
    sumup: TokenServer, make_client: "MakeClient", clock: "ManualClock"
) -> None:
    client = make_client(credential=client_credentials(clock))
    client.read_checkout("co-1", "MC1")
    sumup.valid.clear()
    with ThreadPoolExecutor(8) as pool:
        looks = list(pool.map(lambda _: client.read_checkout("co-1", "MC1"), range(24)))
    assert all(isinstance(look, Found) for look in looks)
    assert sumup.given == 2


def test_client_credentials_refused_for_another_reason_is_not_renewed_for_every_call(
    server: "FaultyServer", make_client: "MakeClient", clock: "ManualClock"
) -> None:
    token = server.json({"access_token": "t", "expires_in": 3599})
    server.answer = lambda asked: token if asked.path == "/token" else server.json(REFUSED, status=401)
    client = make_client(credential=client_credentials(clock))
    for _ in range(4):
        assert client.read_transaction("tx-1", "MC1") == NotAllowed("", "SumUp answered 401 NOT_AUTHORIZED")
    assert [asked.path for asked in server.asked].count("/token") == 2


@pytest.mark.parametrize(("status", "code"), [(400, "invalid_client"), (401, "invalid_client"), (403, "FORBIDDEN")])
def test_client_credentials_refused_themselves_is_not_allowed_and_final(
    server: "FaultyServer", make_client: "MakeClient", clock: "ManualClock", status: int, code: str
) -> None:
    server.says(server.json({"error": code}, status=status))
    client = make_client(credential=client_credentials(clock))
    for _ in range(3):
        assert client.read_checkout("co-1", "MC1") == NotAllowed("", f"no access token: {status} {code}")
    assert len(server.asked) == 1


def test_client_credentials_token_server_silent_is_no_answer(
    server: "FaultyServer", make_client: "MakeClient", clock: "ManualClock"
) -> None:
    server.says(server.http(503))
    client = make_client(credential=client_credentials(clock), breaker_after=2)
    assert isinstance(client.read_checkout("co-1", "MC1"), NoAnswer)
    assert isinstance(client.read_checkout("co-1", "MC1"), NoAnswer)
    assert client.breaker.open


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"access_token": ""},
        {"access_token": 5},
        {"access_token": "two words"},
        {"access_token": "a\r\nX: y"},
        {"access_token": "schlüssel"},
        {"access_token": "t", "token_type": "mac"},
        ["t"],
    ],
)
def test_client_credentials_unusable_token_is_broken_and_never_sent(
    server: "FaultyServer", make_client: "MakeClient", clock: "ManualClock", fields: object
) -> None:
    server.says(server.json(fields))
    look = make_client(credential=client_credentials(clock)).read_checkout("co-1", "MC1")
    assert isinstance(look, BrokenAnswer)
    assert [asked.path for asked in server.asked] == ["/token"]


# --- kept for the next run -------------------------------------------------------------------------------


def test_token_store_next_run_uses_the_token_of_the_last(
    sumup: TokenServer, make_client: "MakeClient", clock: "ManualClock", tmp_path: Path
) -> None:
    store = TokenFile(tmp_path, base_url=sumup.server.url, client_id="client-1")
    for _ in range(3):
        client = make_client(credential=client_credentials(clock, store))
        assert isinstance(client.read_checkout("co-1", "MC1"), Found)
    assert sumup.given == 1


def test_token_store_expired_token_is_not_used(
    sumup: TokenServer, make_client: "MakeClient", clock: "ManualClock", tmp_path: Path
) -> None:
    store = TokenFile(tmp_path, base_url=sumup.server.url, client_id="client-1")
    make_client(credential=client_credentials(clock, store)).read_checkout("co-1", "MC1")
    clock.seconds = 3539
    make_client(credential=client_credentials(clock, store)).read_checkout("co-1", "MC1")
    assert sumup.server.asked[-1].headers["authorization"] == "Bearer token-2"


def test_token_store_refused_token_is_renewed_and_replaced(
    sumup: TokenServer, make_client: "MakeClient", clock: "ManualClock", tmp_path: Path
) -> None:
    store = TokenFile(tmp_path, base_url=sumup.server.url, client_id="client-1")
    make_client(credential=client_credentials(clock, store)).read_checkout("co-1", "MC1")
    sumup.valid.clear()
    client = make_client(credential=client_credentials(clock, store))
    assert isinstance(client.read_checkout("co-1", "MC1"), Found)
    kept = store.load()
    assert kept is not None
    assert kept.value == "token-2"


def test_token_store_out_of_order_is_done_without(
    sumup: TokenServer, make_client: "MakeClient", clock: "ManualClock", tmp_path: Path
) -> None:
    store = TokenFile(tmp_path / "missing", base_url=sumup.server.url, client_id="client-1")
    client = make_client(credential=client_credentials(clock, store))
    assert isinstance(client.read_checkout("co-1", "MC1"), Found)


# --- several credentials ---------------------------------------------------------------------------------


def by_key(server: "FaultyServer", **answers: bytes) -> None:
    server.answer = lambda asked: answers[asked.headers["authorization"].removeprefix("Bearer ")]


@pytest.mark.parametrize(("status", "body"), [(404, MISSING), (401, REFUSED), (403, REFUSED)])
def test_candidates_first_turned_away_the_next_is_asked(
    server: "FaultyServer", make_client: "MakeClient", status: int, body: object
) -> None:
    by_key(server, own=server.json(body, status=status), platform=server.json({"id": "co-1", "status": "PENDING"}))
    client = make_client(credentials=Candidates(ApiKey("own", merchant_code="MC1"), ApiKey("platform")))
    assert isinstance(client.read_checkout("co-1", "MC1"), Found)


def test_candidates_first_without_an_answer_the_next_is_not_asked(
    server: "FaultyServer", make_client: "MakeClient"
) -> None:
    by_key(server, own=server.http(500), platform=server.json(MISSING, status=404))
    client = make_client(credentials=Candidates(ApiKey("own", merchant_code="MC1"), ApiKey("platform")))
    assert isinstance(client.read_checkout("co-1", "MC1"), NoAnswer)


def test_candidates_missing_for_all_is_not_found(server: "FaultyServer", make_client: "MakeClient") -> None:
    server.says(server.json(MISSING, status=404))
    client = make_client(credentials=Candidates(ApiKey("own"), ApiKey("platform")))
    assert isinstance(client.read_checkout("co-1", "MC1"), NotFound)
    assert len(server.asked) == 2


def test_candidates_missing_for_one_and_refused_to_the_other_is_not_missing(
    server: "FaultyServer", make_client: "MakeClient"
) -> None:
    by_key(server, own=server.json(REFUSED, status=401), platform=server.json(MISSING, status=404))
    for order in (("own", "platform"), ("platform", "own")):
        codes = {"own": "MC1", "platform": ""}
        keys = [ApiKey(key, merchant_code=codes[key]) for key in order]
        look = make_client(credentials=Candidates(*keys)).read_checkout("co-1", "MC1")
        assert isinstance(look, NotAllowed)
        assert look.merchant_code == "MC1"


def test_candidates_none_is_not_allowed(make_client: "MakeClient") -> None:
    look = make_client(credentials=Candidates()).read_checkout("co-1", "MC1")
    assert isinstance(look, NotAllowed)
    assert look.merchant_code == "MC1"


def test_candidates_lists_of_all_are_put_together(server: "FaultyServer", make_client: "MakeClient") -> None:
    one, two = ({"id": name, "status": "PENDING", "checkout_reference": "ORD-1"} for name in ("co-1", "co-2"))
    by_key(server, own=server.json([one]), platform=server.json([two, one]))
    client = make_client(credentials=Candidates(ApiKey("own"), ApiKey("platform")))
    look = client.find_checkouts("ORD-1", "MC1")
    assert isinstance(look, Found)
    assert [answer.id for answer in look.value] == ["co-1", "co-2"]


@pytest.mark.parametrize(
    ("status", "outcome"), [(401, NotAllowed), (500, NoAnswer), (400, BrokenAnswer), (404, BrokenAnswer)]
)
def test_candidates_list_that_one_could_not_give_is_no_list(
    server: "FaultyServer", make_client: "MakeClient", status: int, outcome: type
) -> None:
    by_key(server, own=server.json([]), platform=server.json(REFUSED, status=status))
    client = make_client(credentials=Candidates(ApiKey("own"), ApiKey("platform")))
    assert isinstance(client.find_checkouts("ORD-1", "MC1"), outcome)


# --- nothing secret is shown -----------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "two words", "tab\t", "line\n", "schlüssel-hush", "\x00"])
def test_api_key_that_cannot_be_sent_is_refused_without_being_quoted(key: str) -> None:
    with pytest.raises(SettingsError) as caught:
        ApiKey(key)
    assert not key.strip() or key not in str(caught.value)


def test_secrets_show_in_no_repr_log_or_answer(
    sumup: TokenServer, make_client: "MakeClient", clock: "ManualClock", caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    credential, key = client_credentials(clock), ApiKey(SECRET)
    client = make_client(credential=credential)
    quoting = {"error_code": "NOT_AUTHORIZED", "message": f"not token-1, not {SECRET}"}
    with structlog.testing.capture_logs() as logs:
        looks = [client.read_checkout("co-1", "MC1")]
        sumup.server.says(sumup.server.json(quoting, status=401))
        looks.append(client.read_checkout("co-1", "MC1"))
    assert isinstance(looks[1], NotAllowed)
    shown = " ".join(map(str, (logs, caplog.text, looks, credential, key, client)))
    assert "POST /token" in shown
    assert "token-1" not in shown
    assert SECRET not in shown
