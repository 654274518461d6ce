"""No token is shown: in no log, no error, no repr; and the logs know every one of them."""

import logging
import traceback
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
import structlog

from paypoll.database import transaction
from paypoll.logs import redact
from paypoll.payments.gateway import Found, NotAllowed
from paypoll.sandbox.sumup.effects import Line, Respond
from paypoll.shop.connections import find_connections
from paypoll.sumup.auth import ApiKey, ClientCredentials
from paypoll.sumup.client import SumUpClient
from paypoll.sumup.options import SumUpOptions
from paypoll.sumup.organisers.credentials import OrganiserCredentials, OrganiserToken
from paypoll.sumup.organisers.refresh import OAuthClient, TokenRefresher
from paypoll.sumup.pace import Wait
from paypoll.sumup.token_file import StoredToken, TokenFile

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.organisers.conftest import MakeClient, ManualClock, Stage

ORGANISER = "MORGANISER"


class RefuseToStore:
    """An effect: from when SumUp has answered on, the database refuses the tokens and quotes the row."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine

    def spoil(self, line: Line, respond: Respond) -> None:
        answer = respond()
        with transaction(self._engine) as connection:
            connection.exec_driver_sql(
                "CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;"
                "CREATE TRIGGER no BEFORE UPDATE ON accounts_artistprofile FOR EACH ROW EXECUTE FUNCTION no()"
            )
        line.send(answer)


def tokens_of(stage: "Stage") -> set[str]:
    return {stage.profile()["sumup_access_token"], stage.profile()["sumup_refresh_token"]}


def test_secrets_of_a_refresh_show_in_no_log_answer_or_repr(
    stage: "Stage", make_client: "MakeClient", clock: "ManualClock", engine: sa.Engine, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    stage.connect(expires_in=-1)
    secrets, checkout_id = tokens_of(stage), stage.checkout()
    client = make_client()
    with structlog.testing.capture_logs() as logs:
        looks = [client.read_checkout(checkout_id, ORGANISER)]
        secrets |= tokens_of(stage)
        stage.sumup.revoke(ORGANISER)
        clock.seconds += 3600
        looks.append(client.read_checkout(checkout_id, ORGANISER))
    assert [type(look) for look in looks] == [Found, NotAllowed]
    oauth = OAuthClient("client-1", "client-secret-1")
    refresher = TokenRefresher(engine, oauth, clock=clock, wait=clock.sleep)
    with transaction(engine) as connection:
        (known,) = find_connections(connection, ORGANISER)
    platform = OrganiserCredentials(engine, ApiKey("platform-key"), refresher)
    shown = " ".join(
        map(
            repr,
            (logs, caplog.text, looks, client, oauth, refresher, known, OrganiserToken(known, refresher), platform),
        )
    )
    assert "organiser_token_renewed" in shown
    assert "organiser_connection_expired" in shown
    assert len(secrets) == 4
    assert [secret for secret in (*secrets, "client-secret-1") if secret in shown] == []


def test_secrets_every_token_is_known_to_the_logs(stage: "Stage", make_client: "MakeClient") -> None:
    stage.connect(expires_in=-1)
    secrets = tokens_of(stage)
    make_client().read_checkout(stage.checkout(), ORGANISER)
    secrets |= tokens_of(stage)
    assert len(secrets) == 4
    assert {redact(secret) for secret in secrets} == {"***"}


def test_secrets_error_of_the_database_quotes_no_token(
    stage: "Stage", make_client: "MakeClient", engine: sa.Engine
) -> None:
    stage.connect(expires_in=-1)
    secrets = tokens_of(stage)
    stage.sumup.fault(RefuseToStore(engine), path="/token")
    with structlog.testing.capture_logs() as logs, pytest.raises(sa.exc.InternalError) as caught:
        make_client().read_checkout(stage.checkout(), ORGANISER)
    assert [entry["event"] for entry in logs if entry["log_level"] == "critical"] == ["organiser_tokens_not_stored"]
    shown = "".join(traceback.format_exception(caught.value)) + repr(logs)
    assert "UPDATE accounts_artistprofile" in shown
    assert "at-" not in shown
    assert "rt-" not in shown
    assert [secret for secret in secrets if secret in shown] == []


def test_secrets_tokens_of_client_credentials_are_known_to_the_logs(
    stage: "Stage", clock: "ManualClock", tmp_path: "Path"
) -> None:
    store = TokenFile(tmp_path, base_url=stage.sumup.url, client_id="client-1")
    ask_as_platform(stage, clock.sleep, store)
    fetched = store.load()
    assert fetched is not None
    assert redact(fetched.value) == "***"
    kept = StoredToken("a-token-of-an-earlier-run", fetched.expires_at)
    store.save(kept)
    ask_as_platform(stage, clock.sleep, store)
    assert redact(kept.value) == "***"


def ask_as_platform(stage: "Stage", wait: Wait, store: TokenFile) -> None:
    credential = ClientCredentials("client-1", "client-secret-1", stage.clock, store=store, merchant_code="MPLATFORM")
    refresher = TokenRefresher(stage.engine, None, clock=stage.clock, wait=wait)
    credentials = OrganiserCredentials(stage.engine, credential, refresher)
    client = SumUpClient(SumUpOptions(base_url=stage.sumup.url), credentials, clock=stage.clock, wait=wait)
    client.read_checkout(stage.checkout("MPLATFORM"), "MPLATFORM")
    client.close()
