"""Where the mail of a failed payment leads: SumUp's own page while it lives, else what the settings say."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from tests.acceptance.papers import body
from tests.acceptance.stage import Placed, Stage

from paypoll.sandbox.sumup.tampering import ABSENT

EVENTS = "https://shop.example/events/"


@pytest.fixture(scope="module")
def failed(new_stage: Callable[[], Stage]) -> tuple[Stage, dict[str, Placed]]:
    """Orders whose payment failed on a page of SumUp's, in a shop where nobody can pay an old order again."""
    stage = new_stage()
    stage.environ |= {"site__retry_url": EVENTS, "verification__failed_grace": "0s"}
    orders = {name: stage.order(f"ORD-{name.upper()}", checkout="") for name in ("page", "over", "row", "evil", "none")}
    ids = {name: stage.checkout(order, hosted=name != "none", **noted(stage, name)) for name, order in orders.items()}
    for name, checkout_id in ids.items():
        stage.sumup.decline(checkout_id)
        if name in {"row", "evil"}:  # SumUp's document lets it leave the address out
            stage.sumup.tamper(checkout_id, hosted_checkout_url=ABSENT)
    stage.sumup.tamper(ids["over"], valid_until=(datetime.now(UTC) + timedelta(minutes=4)).isoformat())
    assert stage.run_once().code == 0
    return stage, orders


def noted(stage: Stage, name: str) -> dict[str, Any]:
    """Return what the shop has noted of the checkout."""
    pages = {"row": f"{stage.sumup.url}/pay/noted-by-the-shop", "evil": "https://sumup.com.thief.example/pay"}
    return {"sumup_response": {"hosted_checkout_url": pages[name]}} if name in pages else {}


def test_failure_mail_links_sumups_page_while_it_lives(failed: tuple[Stage, dict[str, Placed]]) -> None:
    stage, orders = failed
    (mail,) = stage.mails(orders["page"])
    (row,) = stage.checkout_rows(orders["page"])
    assert row["sumup_response"]["hosted_checkout_url"] in body(mail).splitlines()
    assert EVENTS not in body(mail)


def test_failure_mail_links_the_page_that_the_shop_has_noted_where_sumup_does_not_say(
    failed: tuple[Stage, dict[str, Placed]],
) -> None:
    stage, orders = failed
    (mail,) = stage.mails(orders["row"])
    assert f"{stage.sumup.url}/pay/noted-by-the-shop" in body(mail).splitlines()
    (row,) = stage.checkout_rows(orders["row"])
    assert row["sumup_response"]["hosted_checkout_url"].endswith("/pay/noted-by-the-shop")  # kept for the next time


@pytest.mark.parametrize("name", ["over", "evil", "none"])
def test_failure_mail_links_the_address_of_the_settings_where_no_page_of_sumups_lives(
    failed: tuple[Stage, dict[str, Placed]], name: str
) -> None:
    stage, orders = failed
    (mail,) = stage.mails(orders[name])
    assert f"{EVENTS.rstrip('/')}" in body(mail)
    assert "thief" not in body(mail)
    assert "/pay/" not in body(mail)


def test_failure_mail_that_leaves_late_does_not_link_a_page_that_has_ended(stage: Stage) -> None:
    stage.environ |= {"site__retry_url": EVENTS, "verification__failed_grace": "0s"}
    order = stage.order("ORD-1", checkout="")
    stage.sumup.decline(stage.checkout(order, hosted=True))
    stage.run_once(mail__port="9")
    stage.sql(
        "UPDATE paypoll.outbox SET content = jsonb_set(content, '{page_until}', to_jsonb(now() - interval '1 minute'))"
    )
    stage.let_time_pass()
    stage.run_once()
    (mail,) = stage.mails(order)
    assert (EVENTS.rstrip("/") in body(mail), "/pay/" in body(mail)) == (True, False)
