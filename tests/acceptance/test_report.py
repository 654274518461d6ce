"""`paypoll report` and the page that runs renew, through the installed command, with the least privileges."""

import html
from decimal import Decimal
from pathlib import Path

import pytest
from tests.acceptance.stage import PRICE, Stage


@pytest.mark.fast("report")
def test_report_sums_up_what_runs_did_and_runs_renew_its_page(stage: Stage, tmp_path: Path) -> None:
    folder = tmp_path / "report"
    gala = stage.event("<script>Gala</script>")
    paid = [
        stage.order("ORD-PAID-1", checkout="PAID"),
        stage.order("ORD-PAID-2", checkout="PAID", places=[(stage.concert, 1, PRICE), (gala, 2, Decimal("7.25"))]),
    ]
    review = stage.order("ORD-ODD", checkout="")
    stage.checkout(review, "PAID", amount=review.total + 1)
    stage.order("ORD-WAITS")

    assert stage.run_once(report__folder=str(folder)).code == 0
    page = folder / "index.html"
    assert (folder.stat().st_mode & 0o777, page.stat().st_mode & 0o777) == (0o750, 0o640)
    assert [entry.name for entry in folder.iterdir()] == ["index.html"]
    shown = page.read_text(encoding="utf-8")
    assert "&lt;script&gt;Gala&lt;/script&gt;" in shown
    assert "<span>Money in, GBP</span><b>52.00</b>" in shown
    for secret in ("ORD-", "<script", "buyer.example", "Le Sueur", *(order.email for order in paid)):
        assert secret not in shown

    # A run that finds nothing new leaves the page alone; one whose folder cannot be made does its work all the same.
    before = page.stat()
    assert stage.run_once(report__folder=str(folder)).code == 0
    assert page.stat().st_ino == before.st_ino
    late = stage.order("ORD-PAID-3", checkout="PAID")
    blocked = stage.run_once(report__folder=str(stage.config / "report"))
    assert (blocked.code, stage.status(late)) == (0, "completed")
    assert [line["level"] for line in blocked.log if line["event"] == "the report cannot be renewed"] == ["warning"]

    files = tmp_path / "csv"
    told = stage.paypoll("report", "--since", "1d", "--json", "--html", str(tmp_path / "own.html"), "--csv", str(files))
    assert told.code == 0, told.stderr
    (money,) = told.report["money"]
    assert (money["taken"], money["returned"], money["orders"], money["places"]) == ("77.00", "0.00", 3, 7)
    assert {row["event"]: row["taken"] for row in money["rows"]} == {
        "Winter Concert": "62.50",
        "<script>Gala</script>": "14.50",
    }
    assert told.report["orders"]["by_status"] == {
        "completed": 3,
        "pending_verification": 1,
        "requires_manual_review": 1,
    }
    assert told.report["paid_to_ticket"]["seconds"]["number"] == 3
    assert told.report["cases"]["open_now"] == told.report["cases"]["opened"] == 1
    assert told.report["runs"]["number"] == 3
    assert "<svg" in (tmp_path / "own.html").read_text(encoding="utf-8")
    assert (files / "money.csv").read_text(encoding="utf-8-sig").count("\n") == 3

    # What a person issues is money as far as SumUp shows it: of the guest of the house there is none.
    guest = stage.order("ORD-GUEST", checkout="FAILED", status="requires_manual_review")
    for number in (review.number, guest.number):
        issue = ("resolve", number, "--issue", "--override", "--reason", "guest of the house", "--by", "ann", "--yes")
        assert stage.paypoll(*issue).code == 0
    told = stage.paypoll("report", "--since", "1d", "--json", "--html", str(page), "--csv", str(files))
    (money,) = told.report["money"]
    assert (money["taken"], money["orders"]) == ("103.00", 4)
    assert money["on_word"] == {"orders": 1, "places": 2, "amount": "25.00"}
    assert (files / "issued-on-word.csv").read_text(encoding="utf-8-sig").splitlines()[1] == "GBP,1,2,25.00"
    said = "issued on a person's word: 1 order, 2 places, 25.00 GBP - not at SumUp"
    assert said in html.unescape(page.read_text(encoding="utf-8"))
    assert said in " ".join(stage.paypoll("report", "--since", "1d").stdout.split())
