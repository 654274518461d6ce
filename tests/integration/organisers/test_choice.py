"""Which credential goes with which question."""

from typing import TYPE_CHECKING, Any

import pytest

from paypoll.payments.gateway import Found, NotAllowed, NotFound

if TYPE_CHECKING:
    from tests.integration.organisers.conftest import MakeClient, Stage

PLATFORM, ORGANISER = "MPLATFORM", "MORGANISER"


def test_choice_connected_organiser_own_token_is_used(stage: "Stage", make_client: "MakeClient") -> None:
    stage.connect()
    assert isinstance(make_client().read_checkout(stage.checkout(), ORGANISER), Found)
    assert stage.kinds == ["refresh_token"]


def test_choice_platforms_merchant_the_platforms_credential_is_used(stage: "Stage", make_client: "MakeClient") -> None:
    stage.connect()
    client = make_client()
    checkout_id = stage.checkout(PLATFORM)
    for merchant_code in (PLATFORM, ""):
        assert isinstance(client.read_checkout(checkout_id, merchant_code), Found)
    assert stage.kinds == ["api_key", "api_key"]


@pytest.mark.parametrize(
    "columns",
    [
        {"sumup_connection_status": "not_connected"},
        {"sumup_access_token": ""},
        {"sumup_merchant_code": "MSOMEBODY"},
        {"sumup_merchant_code": ""},
        {"sumup_merchant_code": ORGANISER.lower()},
    ],
)
def test_choice_organiser_not_connected_to_the_merchant_token_is_never_sent(
    stage: "Stage", make_client: "MakeClient", columns: dict[str, Any]
) -> None:
    stage.connect(**columns)
    assert isinstance(make_client().read_checkout(stage.checkout(), ORGANISER), NotFound)
    assert stage.kinds == ["api_key"]


def test_choice_missing_for_the_organiser_the_platform_is_asked(stage: "Stage", make_client: "MakeClient") -> None:
    stage.connect()
    assert isinstance(make_client().read_checkout(stage.checkout(PLATFORM), ORGANISER), Found)
    assert stage.kinds == ["refresh_token", "api_key"]


def test_choice_search_by_reference_lists_of_both_are_put_together(stage: "Stage", make_client: "MakeClient") -> None:
    stage.connect()
    ids = {stage.checkout(), stage.checkout(PLATFORM)}
    look = make_client().find_checkouts("ORD-1", ORGANISER)
    assert isinstance(look, Found)
    assert {answer.id for answer in look.value} == ids


@pytest.mark.parametrize("status", ["expired", "error"])
def test_choice_broken_connection_a_404_to_the_platform_proves_nothing(
    stage: "Stage", make_client: "MakeClient", status: str
) -> None:
    stage.connect(sumup_connection_status=status)
    client = make_client()
    for look in (client.read_checkout(stage.checkout(), ORGANISER), client.find_checkouts("ORD-1", ORGANISER)):
        assert isinstance(look, NotAllowed)
        assert look.merchant_code == ORGANISER
    assert stage.kinds == ["api_key", "api_key"]


def test_choice_broken_connection_to_the_platforms_own_merchant_does_not_matter(
    stage: "Stage", make_client: "MakeClient"
) -> None:
    stage.connect(PLATFORM, sumup_connection_status="expired")
    assert isinstance(make_client().find_checkouts("ORD-1", PLATFORM), Found)


def test_choice_two_organisers_of_one_merchant_the_connected_one_serves(
    stage: "Stage", make_client: "MakeClient"
) -> None:
    stage.connect(sumup_connection_status="expired")
    stage.connect()
    assert isinstance(make_client().find_checkouts("ORD-1", ORGANISER), Found)
    assert stage.kinds == ["refresh_token", "api_key"]


def test_choice_organiser_reconnects_in_mid_run_new_token_is_used(stage: "Stage", make_client: "MakeClient") -> None:
    stage.connect(sumup_connection_status="expired")
    client, checkout_id = make_client(), stage.checkout()
    assert isinstance(client.read_checkout(checkout_id, ORGANISER), NotAllowed)
    stage.change(sumup_connection_status="connected")
    assert isinstance(client.read_checkout(checkout_id, ORGANISER), Found)
