"""SumUp that does not answer, answers nonsense, or does not let paypoll in: no order suffers for it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from tests.acceptance.papers import body, subject
from tests.acceptance.promises import check_completed
from tests.acceptance.stage import ADMIN, API_KEY, MERCHANT, Stage

from paypoll.sandbox.sumup.effects import (
    Blocked,
    Drip,
    Effect,
    Hang,
    Html,
    InvalidJson,
    Oversized,
    Redirect,
    Reset,
    Status,
    Truncated,
    UnknownStatus,
    WrongType,
)

TRY_LATER = 75
FAULTS: dict[str, Effect] = {
    "429-seconds": Status(429, retry_after=1),
    "429-date": Status(429, retry_after=datetime(2030, 1, 1, tzinfo=UTC)),
    "500": Status(500),
    "502-html": Html(502),
    "503": Status(503),
    "504": Status(504),
    "200-html": Html(200),
    "firewall": Blocked(),
    "timeout": Hang(),
    "drip": Drip(0.05),
    "reset": Reset(),
    "truncated": Truncated(),
    "oversized": Oversized(),
    "invalid-json": InvalidJson(),
    "wrong-type": WrongType(),
    "unknown-status": UnknownStatus("PROCESSING"),
    "redirect": Redirect(),
}
IMPATIENT = {
    "sumup__read_timeout": "300ms",
    "sumup__answer_timeout": "600ms",
    "sumup__tries": "1",
    "sumup__retry_after_cap": "20ms",
    "sumup__breaker_after": "100",
}
AGES = {"young": timedelta(minutes=5), "at-limit": timedelta(hours=3), "ancient": timedelta(days=30)}


@pytest.fixture(scope="module")
def faulty(new_stage: Callable[[], Stage]) -> Stage:
    """A SumUp that is about to fail, and orders of every age and state."""
    stage = new_stage()
    for age, ago in AGES.items():
        for state in ("PENDING", "PAID", "FAILED", "EXPIRED"):
            stage.order(f"ORD-{age}-{state}".upper(), checkout=state, age=ago)
        stage.order(f"ORD-{age}-UNSTORED".upper(), checkout="", age=ago)
    return stage


@pytest.mark.parametrize("name", FAULTS)
def test_row_19_answer_that_is_none_leaves_every_order_unchanged_whatever_its_age(faulty: Stage, name: str) -> None:
    stage = faulty
    before = stage.dump("public", polling=False)
    stage.sumup.reset_log()
    stage.let_time_pass()
    with stage.sumup.fault(FAULTS[name]) as fault:
        # Behind a firewall each request costs five seconds of silence.
        ended = stage.run_once(**IMPATIENT | ({"sumup__breaker_after": "1"} if name == "firewall" else {}))
    assert fault.hits > 0
    assert ended.code == (TRY_LATER if name == "firewall" else 0)
    after = stage.dump("public", polling=False)
    if name == "unknown-status":  # this is an answer, and kept
        del before["public.payments_sumupcheckout"], after["public.payments_sumupcheckout"]
    assert after == before
    assert stage.sumup.count("DELETE") == 0
    assert {mail.recipients for mail in stage.sink.messages} <= {(ADMIN,)}
    assert {one["outcome"] for one in ended.report["orders"]} <= {"unchanged"}


def test_row_19_closing_that_is_not_answered_leaves_the_order_unchanged(stage: Stage) -> None:
    order = stage.order("ORD-CLOSING", age=timedelta(hours=3))
    with stage.sumup.fault(Status(503), method="DELETE"):
        stage.run_once(**IMPATIENT)
    assert stage.status(order) == "pending_verification"
    stage.run_once()
    assert stage.status(order) == "expired"


def test_row_19_refund_that_cannot_be_looked_up_leaves_the_paid_order_unchanged(stage: Stage) -> None:
    order = stage.order("ORD-LOOKUP", checkout="PAID")
    with stage.sumup.fault(Status(500), path="/v2.1/*"):
        stage.run_once(**IMPATIENT)
    assert stage.status(order) == "pending_verification"
    assert stage.tickets(order) == []
    stage.run_once()
    check_completed(stage, order)


def test_row_19_silence_that_lasts_is_told_once_and_once_more_when_it_is_over(stage: Stage) -> None:
    order = stage.order("ORD-SILENCE", age=timedelta(minutes=5))
    with stage.sumup.fault(Status(503)):
        stage.run_once(**IMPATIENT)
        assert list(stage.sink.messages) == []
        stage.sql("UPDATE paypoll.trouble SET since = since - interval '31 minutes'")
        for _ in range(2):
            stage.run_once(**IMPATIENT)
    (told,) = [subject(mail) for mail in stage.sink.messages]
    assert told == "[Jersey Events CRITICAL] SumUp has not been answering"
    for _ in range(2):
        stage.run_once()
    assert [subject(mail) for mail in stage.sink.messages][1:] == ["[Jersey Events Alert] SumUp is answering again"]
    assert stage.status(order) == "pending_verification"


@pytest.mark.fast("sumup")
def test_row_19_one_bad_answer_among_good_ones_is_mended_by_another_try(stage: Stage) -> None:
    order = stage.order("ORD-RETRY", checkout="PAID")
    stage.sumup.fault(Status(503), times=1)
    assert stage.run_once().code == 0
    check_completed(stage, order)


def test_sumup_that_is_silent_is_given_up_for_the_run_and_the_exit_status_says_so(stage: Stage) -> None:
    for number in range(12):
        stage.order(f"ORD-MANY-{number}")
    with stage.sumup.fault(Status(503)):
        ended = stage.run_once(**IMPATIENT | {"sumup__parallel_requests": "1", "sumup__breaker_after": "3"})
    assert ended.code == TRY_LATER
    assert stage.sumup.count() == 3
    assert stage.sql("SELECT 1 FROM paypoll.watch WHERE lease_run IS NOT NULL") == []


@pytest.mark.parametrize("key", ["", "sup_sk_wrong"])
def test_row_18_credential_refused_leaves_orders_unchanged_and_is_told_once_a_day(stage: Stage, key: str) -> None:
    orders = [stage.order(f"ORD-KEY-{age}".upper(), checkout="PAID", age=ago) for age, ago in AGES.items()]
    refused: dict[str, str] = {"sumup__api_key": key} if key else {}
    if not key:
        stage.sumup.fault(Status(403), times=200)
    ended = stage.run_once(**refused)
    assert ended.code == TRY_LATER
    assert [line["event"] for line in ended.log if line["level"] == "critical"] == ["standstill"]
    # A day later.
    stage.sql("UPDATE paypoll.trouble SET told_at = told_at - interval '24 hours'")
    assert stage.run_once(**refused).code == TRY_LATER
    for order in orders:
        assert stage.status(order) == "pending_verification"
        assert stage.alerts(order) == []
    refusals = [mail for mail in stage.sink.messages if "refuses the credential" in subject(mail)]
    assert [subject(mail) for mail in refusals] == [
        f"[Jersey Events CRITICAL] SumUp refuses the credential for merchant {MERCHANT}"
    ] * 2
    assert "Renew the API key" in body(refusals[0])


def test_row_37b_key_refused_while_orders_are_only_followed_is_said_also_by_a_run_with_nothing_due(
    stage: Stage,
) -> None:
    order = stage.order("ORD-FAILED", checkout="FAILED")
    stage.run_once()
    stage.let_time_pass()
    for _ in range(2):  # in the second, the order's next look is minutes ahead
        ended = stage.run_once(sumup__api_key="sup_sk_wrong")
        assert ended.code == TRY_LATER
        assert [line["event"] for line in ended.log if line["level"] == "critical"] == ["standstill"]
    assert len([mail for mail in stage.sink.messages if "refuses the credential" in subject(mail)]) == 1
    # Put right, the next run knows: it is as before, and asks no more than it has to.
    assert stage.run_once().code == 0
    stage.sumup.reset_log()
    assert stage.run_once().code == 0
    assert (stage.sumup.count(), stage.status(order)) == (0, "failed")
    assert stage.sql("SELECT key FROM paypoll.trouble") == []


def test_row_17_token_that_sumup_refuses_is_renewed_and_all_goes_on(stage: Stage) -> None:
    stage.sumup.add_client("client-1", "client-secret-1", MERCHANT)
    use_client(stage)
    first = stage.order("ORD-FIRST", checkout="PENDING")
    assert stage.run_once().code == 0
    stage.sumup.expire_access_tokens()
    stage.sumup.pay(first.checkout)
    stage.sumup.reset_log()
    ended = stage.run_once()
    assert ended.code == 0
    assert stage.sumup.count(status=401) == 1
    assert stage.sumup.count("POST", "/token") == 1
    check_completed(stage, first)
    assert {mail.recipients for mail in stage.sink.messages} == {(first.email,)}


def test_row_18_client_refused_is_told_once_and_no_secret_is_anywhere(stage: Stage) -> None:
    stage.sumup.add_client("client-1", "another-secret", MERCHANT)
    use_client(stage)
    order = stage.order("ORD-CLIENT", checkout="PAID")
    runs = [stage.run_once("--verbose") for _ in range(2)]
    assert stage.status(order) == "pending_verification"
    assert len([mail for mail in stage.sink.messages if "refuses the credential" in subject(mail)]) == 1
    shown = [run.stdout + run.stderr for run in runs] + [str(stage.dump("paypoll"))]
    shown += [mail.raw.decode("latin-1") for mail in stage.sink.messages]
    assert not any("client-secret-1" in text for text in shown)


def use_client(stage: Stage) -> None:
    """Let the settings name an OAuth client in place of the API key."""
    text = stage.config.read_text(encoding="utf-8")
    (stage.folder / "tokens").mkdir(mode=0o700)
    client = f'client_id = "client-1"\nclient_secret = "client-secret-1"\ntoken_cache = "{stage.folder / "tokens"}"'
    stage.config.write_text(text.replace(f'api_key = "{API_KEY}"', client), encoding="utf-8")
