"""One order that cannot be read, one organiser whose token cannot be renewed: theirs alone wait, the others go on."""

import json
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal

import pytest
from tests.acceptance.papers import body, subject
from tests.acceptance.promises import check_issued
from tests.acceptance.stage import ADMIN, MERCHANT, PRICE, Placed, Stage
from tests.acceptance.test_organisers import OVER, Connected

from paypoll.sandbox.sumup.effects import Line, Respond
from paypoll.sandbox.sumup.exchange import Answer

INCOMPLETE = 1
TRY_LATER = 75
REVIEW = "requires_manual_review"


@dataclass(frozen=True, slots=True)
class _Refused:
    """SumUp's answer to a refresh, in the words of OAuth 2."""

    status: int
    error: str

    def spoil(self, line: Line, respond: Respond) -> None:
        """Answer with the refusal."""
        del respond
        line.send(Answer(self.status, json.dumps({"error": self.error}).encode()))


def poison(stage: Stage) -> list[Placed]:
    """Place orders of which each holds something that PostgreSQL takes and Python has nothing for."""
    far, old = (stage.event(title) for title in ("Far Concert", "Old Concert"))
    events = {"FAR": far, "OLD": old, **dict.fromkeys(("NEVER", "AHEAD", "SUM"), stage.concert)}
    orders = [stage.order(f"ORD-{name}", places=[(event, 1, PRICE)], checkout="PAID") for name, event in events.items()]
    stage.sql("UPDATE events_event SET event_date = '20260-05-01' WHERE id = :event", event=far)
    stage.sql("UPDATE events_event SET event_date = '0044-03-15 BC' WHERE id = :event", event=old)
    for order in orders[2:4]:
        stage.sql("UPDATE orders_order SET created_at = '20260-05-01' WHERE id = :order", order=order.id)
    stage.sql("UPDATE orders_orderitem SET price = 'NaN' WHERE order_id = :order", order=orders[4].id)
    stage.sql("UPDATE payments_sumupcheckout SET poll_count = 2147483647 WHERE order_id = :order", order=orders[4].id)
    return orders


def test_row_41a_row_that_cannot_be_read_holds_up_its_own_order_alone(stage: Stage) -> None:
    poisoned = poison(stage)
    good = [stage.order(f"ORD-GOOD-{number}", checkout="PAID") for number in (1, 2)]
    # An answer of SumUp's that the shop has kept, and that nobody needs, may hold what it will.
    stage.sql(
        "UPDATE payments_sumupcheckout SET sumup_response = ('{\"n\": ' || repeat('9', 5000) || '}')::jsonb"
        " WHERE order_id = :order",
        order=good[1].id,
    )
    dry = stage.run_once("--dry-run")
    ended = stage.run_once()
    for order in good:
        check_issued(stage, order)
    assert stage.status(poisoned[4]) == "completed"
    for report in (dry.report, ended.report):
        assert {error["order"] for error in report["errors"]} >= {"ORD-FAR", "ORD-OLD", "ORD-NEVER"}
    assert any("year 20260 is out of range" in error["error"] for error in ended.report["errors"])
    assert ended.code == INCOMPLETE
    for order in poisoned[:4]:
        (row,) = stage.sql("SELECT status, payment_notes FROM orders_order WHERE id = :order", order=order.id)
        assert tuple(row.values()) == ("pending_verification", "")
        assert (stage.tickets(order), stage.mails(order)) == ([], [])
    # What lists them all, or one of them, says so instead of falling over.
    queue = stage.paypoll("queue")
    assert (queue.code, queue.stdout.count("error: order ORD-")) == (0, 4)
    shown = stage.paypoll("inspect", "ORD-FAR")
    assert shown.code == INCOMPLETE
    assert "order ORD-FAR holds a value that cannot be read; put it right in the shop" in " ".join(shown.errors)
    # Put right in the shop, they are whole again: nothing that paypoll keeps remembers the year 20260.
    stage.sql("UPDATE events_event SET event_date = current_date + 20 WHERE event_date > '9999-12-31'")
    stage.sql("UPDATE orders_order SET created_at = now() WHERE id = :order", order=poisoned[2].id)
    stage.sql("UPDATE paypoll.watch SET first_seen_at = now() - interval '1 hour'")
    assert stage.run_once("--order", "ORD-FAR", "--order", "ORD-NEVER").code == 0
    check_issued(stage, poisoned[0])
    check_issued(stage, poisoned[2])
    # Who has waited for too long is told of, by whatever date.
    (stuck,) = [body(mail) for mail in stage.sink.messages if "waiting for SumUp for too long" in subject(mail)]
    assert "ORD-AHEAD" in stuck


@pytest.mark.parametrize(
    ("status", "error"), [(400, "invalid_request"), (400, "unauthorized_client"), (401, "invalid_client")]
)
def test_row_18a_refresh_refused_for_one_organiser_leaves_the_others_alone(
    stage: Stage, status: int, error: str
) -> None:
    connected = Connected(stage)
    for merchant in ("MFIRST", "MSECOND", "MTHIRD"):
        connected.organiser(merchant, sumup_expires_at=OVER)
    orders = {merchant: connected.order(f"ORD-{merchant}", merchant) for merchant in connected.events}
    with stage.sumup.fault(_Refused(status, error), path="/token", times=1):
        ended = stage.run_once()
    waiting = [merchant for merchant, order in orders.items() if stage.status(order) == "pending_verification"]
    assert len(waiting) == 1
    assert ended.reason(orders[waiting[0]]) == "not_allowed"
    told = [subject(mail) for mail in stage.sink.messages if "refuses the credential" in subject(mail)]
    assert [waiting[0] in words for words in told] == [True]
    assert connected.profile(waiting[0])["sumup_connection_status"] == "connected"
    assert stage.run_once().code == 0
    check_issued(stage, orders[waiting[0]])


def test_row_18b_client_refused_or_every_connection_lost_is_said_by_every_run(stage: Stage) -> None:
    connected = Connected(stage)
    for merchant in ("MFIRST", "MSECOND"):
        connected.organiser(merchant, sumup_expires_at=OVER)
    orders = [connected.order(f"ORD-{merchant}", merchant) for merchant in connected.events]
    own = stage.order("ORD-OWN", checkout="PAID")

    def run(code: int, standstill: str = "") -> list[str]:
        """Do a run, and return the subjects of its alerts."""
        before = len(stage.sink.messages)
        ended = stage.run_once()
        said = [line["what"] for line in ended.log if line["event"] == "standstill"]
        assert (ended.code, len(said)) == (code, bool(standstill)), ended.stderr
        assert all(standstill in line for line in said)
        return [subject(mail) for mail in stage.sink.messages[before:] if mail.recipients == (ADMIN,)]

    told = "[Jersey Events CRITICAL] SumUp refuses the platform's OAuth client"
    with stage.sumup.fault(_Refused(401, "invalid_client"), path="/token"):
        assert run(TRY_LATER, "OAuth client: no access token: SumUp answered 401 invalid_client") == [told]
        assert run(TRY_LATER, "OAuth client") == []
        stage.sql("UPDATE paypoll.trouble SET told_at = told_at - interval '25 hours'")
        assert run(TRY_LATER, "OAuth client") == [told]
    check_issued(stage, own)
    assert {connected.profile(merchant)["sumup_connection_status"] for merchant in connected.events} == {"connected"}
    assert run(0) == []
    for order in orders:
        check_issued(stage, order)
    assert stage.sql("SELECT key FROM paypoll.trouble") == []

    # Not the client, but every connection there is; on other days, or with enough others, they are organisers' own.
    for merchant in connected.events:
        stage.sumup.revoke(merchant)
        connected.order(f"ORD-{merchant}-2", merchant)
    assert len(run(TRY_LATER, "the connections of all 2 organisers")) == 2
    apart = "UPDATE paypoll.trouble SET since = since - :ago * interval '25 hours' WHERE key = 'not_allowed:MFIRST'"
    stage.sql(apart, ago=1)
    assert run(0) == []
    stage.sql(apart, ago=-1)
    assert run(TRY_LATER, "the connections of all 2 organisers") == []
    connected.organiser("MTHIRD")
    assert run(0) == []


def test_row_41a_commands_over_many_orders_leave_the_one_that_cannot_be_read(stage: Stage) -> None:
    orders = [stage.order(f"ORD-{name}", checkout="PAID", email="no address") for name in ("ONE", "SPOILT", "TWO")]
    lost = [stage.order(f"ORD-LOST-{name}", checkout="") for name in ("ONE", "SPOILT", "TWO")]
    for number, order in enumerate(lost):
        stage.shop.add_checkout(order.id, order.number, f"late-{number}", merchant_code=MERCHANT)
    connected = Connected(stage)
    for merchant in ("MBROKEN", "MSOUND"):
        connected.organiser(merchant)
    stage.run_once()
    assert [stage.status(order) for order in lost] == [REVIEW] * 3
    for order in orders:
        stage.sql("UPDATE orders_order SET email = 'ada@buyer.example' WHERE id = :order", order=order.id)
    for order in (orders[1], lost[1]):
        stage.sql("UPDATE orders_order SET created_at = '20260-05-01' WHERE id = :order", order=order.id)

    resent = stage.paypoll("resend", "--all-undeliverable", "--yes", "--json")
    assert "cannot be read" in resent.stdout
    assert [len(stage.mails(order)) for order in orders] == [0, 0, 0]  # they were placed under another address
    confirmed = [mail for mail in stage.sink.messages if mail.recipients == ("ada@buyer.example",)]
    assert len(confirmed) == 2

    done = stage.paypoll("recheck", "--reason", "not_found", "--why", "a wrong key", "--yes", "--json")
    assert (done.code, done.report["left"]) == (INCOMPLETE, ["ORD-LOST-SPOILT"])
    assert [one["number"] for one in done.report["waiting"]] == ["ORD-LOST-ONE", "ORD-LOST-TWO"]

    # Nor are lists and the ledgers of others held up: by an order, a review's event, a refund, an organiser's expiry.
    far = stage.event("Far Concert")
    stage.sql("UPDATE orders_orderitem SET event_id = :event WHERE order_id = :order", event=far, order=lost[1].id)
    stage.sql("UPDATE events_event SET event_date = '20260-05-01' WHERE id = :event", event=far)
    stage.shop.insert("orders_refund", order_id=orders[2].id, amount=Decimal("NaN"), status="approved")
    stage.sumup.refund(orders[2].checkout, Decimal("5.00"))
    expiry = "UPDATE accounts_artistprofile SET sumup_expires_at = '20260-05-01' WHERE sumup_merchant_code = 'MSOUND'"
    stage.sql(expiry)
    stage.sql("INSERT INTO paypoll.ledger_cursor (merchant_code, read_until) VALUES ('MBROKEN', '20260-05-01')")
    with stage.sumup_time.back(timedelta(hours=2)):
        stage.sumup.sell(amount=Decimal("99.00"), merchant_code="MSOUND", payment_type="ECOM", description="Workshop")
    swept = stage.run_once(ledger__every="30min")
    assert [error["order"] for error in swept.report["errors"]] == ["SumUp's ledger of MBROKEN"]
    found = stage.sql("SELECT kind, order_number, told_at IS NOT NULL AS told FROM paypoll.finding ORDER BY kind")
    assert [(row["kind"], row["order_number"], row["told"]) for row in found] == [
        ("returned", "ORD-TWO", True),
        ("unplaced", None, True),
    ]
    assert stage.sql("SELECT key FROM paypoll.trouble WHERE key LIKE 'ledger%'") == [{"key": "ledger_unread:MBROKEN"}]
    queue = stage.paypoll("queue")
    assert (queue.code, "ORD-LOST-SPOILT" in queue.stdout) == (0, True)
    # A search lists it, too.
    assert "ORD-SPOILT" in stage.paypoll("inspect", "ada@buyer.example").stdout
    # The shop's own pages can read it no better.
    stage.sql("UPDATE orders_order SET created_at = now() WHERE created_at > '20000-01-01'")
