"""The model of the shop's pages notices what would break them: each control takes away one thing that they read."""

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from tests.acceptance.fees import place_fee
from tests.acceptance.shop_pages import blank_pages, blank_pages_within
from tests.acceptance.stage import Placed, Stage

TAKEN_AWAY = {
    "UPDATE orders_order SET user_id = NULL": {"summary and door list", "admin form", "my tickets"},
    "UPDATE orders_order SET paid_at = NULL": {"admin form"},
    "UPDATE orders_order SET user_id = (SELECT min(id) FROM accounts_user)": {"my tickets"},
    "UPDATE orders_orderitem SET event_id = NULL": {"summary and door list"},
    "UPDATE events_ticket SET qr_code = NULL": {"a ticket's save"},
    "UPDATE events_ticket SET pdf_file = 'tickets/pdfs/gone.pdf'": {"my tickets"},
    "UPDATE events_ticket SET qr_data = ''": {"scanner"},
    "UPDATE events_ticket SET validation_hash = 'x'": {"scanner"},
    "UPDATE events_ticket SET purchase_date = purchase_date + interval '1 second'": {"scanner"},
    "UPDATE accounts_user SET email = 'other@buyer.example' WHERE email LIKE 'ord-%'": {"scanner"},
    "UPDATE payments_sumupcheckout SET status = 'review'": {"every page"},
    "UPDATE events_listingfee SET paid_at = NULL": {"listing fee"},
}


@pytest.fixture(scope="module")
def sold(new_stage: Callable[[], Stage]) -> tuple[Stage, Placed]:
    stage = new_stage()
    order = stage.order("ORD-1", checkout="PAID")
    place_fee(stage, "LF-1", "PAID")
    stage.run_once()
    return stage, order


@pytest.mark.parametrize("statement", TAKEN_AWAY)
def test_page_that_lacks_what_it_reads_is_named(sold: tuple[Stage, Placed], statement: str) -> None:
    stage, _ = sold
    assert blank_pages(stage.engine, stage.media) == []
    with stage.engine.connect() as connection:
        connection.execute(sa.text(statement))  # and never committed
        found = blank_pages_within(connection, stage.media)
    assert {problem.partition(":")[0] for problem in found} == TAKEN_AWAY[statement]
