"""Pages of SumUp's history and its payouts, read from bytes: what cannot be used is a broken answer, never an error."""

import json
from decimal import Decimal

import pytest

from paypoll.payments.gateway import BrokenAnswer, Found
from paypoll.report.spreadsheet import csv_text
from paypoll.sumup.books import read_history, read_link, read_payouts

LINE = {"id": "e1", "transaction_id": "t1", "transaction_code": "C1", "amount": 12.5, "currency": "gbp",
        "timestamp": "2026-11-01T10:00:00.000Z", "status": "Successful", "type": "PAYMENT", "payment_type": "ECOM",
        "refunded_amount": 2.5, "product_summary": "Concert"}  # fmt: skip


def page(*items: object, **more: object) -> bytes:
    return json.dumps({"items": list(items), **more}).encode()


def test_page_is_read_with_the_link_to_the_next() -> None:
    look = read_history(page(LINE, links=[{"rel": "next", "href": "limit=100&oldest_ref=e1&evil=1"}]))
    assert isinstance(look, Found)
    (line,) = look.value.items
    assert (line.transaction_id, line.amount, line.refunded) == ("t1", Decimal("12.5"), Decimal("2.5"))
    assert (line.status, line.currency) == ("SUCCESSFUL", "GBP")
    assert read_link(look.value.next_page) == {"limit": "100", "oldest_ref": "e1"}


def test_link_with_a_host_of_its_own_is_read_as_a_query_alone() -> None:
    look = read_history(page(links=[{"rel": "next", "href": "https://evil.example/x?oldest_ref=e1"}]))
    assert isinstance(look, Found)
    assert look.value.next_page == "oldest_ref=e1"


@pytest.mark.parametrize(
    "body",
    [
        b"<html>", b"[]", page({**LINE, "amount": None}), page({**LINE, "amount": "ten"}), page({**LINE, "status": 5}),
        page(links=[{"rel": "next", "href": 5}]), page(links=[{"rel": "next", "href": "x" * 5000}]),
    ],
)  # fmt: skip
def test_page_that_cannot_be_used_is_a_broken_answer(body: bytes) -> None:
    assert isinstance(read_history(body), BrokenAnswer)


def test_lines_of_unknown_kinds_and_without_a_name_are_left_out() -> None:
    look = read_history(page({**LINE, "type": "FEE"}, {"type": "REFUND", "id": "e2", "amount": 1}))
    assert isinstance(look, Found)
    assert look.value.items == ()


def test_payouts_are_read_and_one_without_a_date_spoils_the_list() -> None:
    record = {"id": 7, "type": "PAYOUT", "amount": 9.8, "fee": 0.2, "currency": "GBP", "date": "2026-11-01",
              "status": "SUCCESSFUL", "reference": "p", "transaction_code": "C1"}  # fmt: skip
    look = read_payouts(json.dumps([record]).encode())
    assert isinstance(look, Found)
    assert (look.value[0].id, look.value[0].amount, look.value[0].fee) == ("7", Decimal("9.8"), Decimal("0.2"))
    assert isinstance(read_payouts(json.dumps([{**record, "date": "soon"}]).encode()), BrokenAnswer)


def test_csv_holds_no_formula_and_no_control_character() -> None:
    text = csv_text(("a", "b"), [("=1+1", "-5.00"), ("@x", "+1"), ("\tx\x1b", "-x")])
    assert text == "a,b\n'=1+1,-5.00\n'@x,'+1\n'\\tx\\x1b,'-x\n"
