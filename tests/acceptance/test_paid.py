"""Paid orders, each of its own kind, in one run: the rows of docs/outcomes.md that end in tickets."""

import base64
import re
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from icalendar import Calendar
from tests.acceptance.papers import attachments, body, calendar_of, html_text_of, subject, text_of
from tests.acceptance.promises import check_completed
from tests.acceptance.stage import ADMIN, PRICE, Placed, Stage
from tests.acceptance.world import World

from paypoll.sandbox.sumup.tampering import ABSENT

ODD_TEXT = {
    "markup": "<b>Rock & \"Roll\"</b> 'n' {{ 7 * 7 }} <script>alert(1)</script>",
    "emoji": "Fête 🎉 de Noël",
    "right-to-left": "קונצרט חורף",
    "long": ("Philharmonic orchestra of the island and friends " * 5)[:199] + "!",
}


@pytest.fixture(scope="module")
def world(new_stage: Callable[[], Stage]) -> World:
    stage = new_stage()
    orders = {
        "plain": stage.order("ORD-PLAIN", checkout="PAID", payment_notes="Asked for seats near the door."),
        "codeless": stage.order("ORD-CODELESS", checkout="PAID"),
        "text-amount": stage.order("ORD-TEXTAMOUNT", checkout="PAID"),
        "basket": stage.order("ORD-BASKET", checkout="PAID", status="pending"),
        "unnamed": stage.order("ORD-UNNAMED", checkout=""),
        "hosted": stage.order("ORD-HOSTED", checkout=""),
        "no-id": stage.order("ORD-NOID", checkout=""),
        "unstored": stage.order("ORD-UNSTORED", checkout="FAILED"),
        "guest": stage.order("ORD-GUEST", checkout="PAID", email="new.guest@buyer.example"),
        "guest-known": stage.order("ORD-KNOWN", checkout="PAID", email="ada.known@buyer.example"),
        "member": stage.order("ORD-MEMBER", checkout="PAID", user_id=stage.shop.add_user("ada@member.example")),
        "several": several_events(stage),
        **two_tries(stage),
        **{name: odd_order(stage, name, text) for name, text in ODD_TEXT.items()},
    }
    stage.shop.add_user("Ada.Known@Buyer.example")
    codeless = stage.sumup.checkout(orders["codeless"].checkout)
    attempt = {"id": codeless.attempts[0].id, "status": "SUCCESSFUL", "amount": Decimal("25.00"), "currency": "GBP"}
    stage.sumup.tamper(codeless.id, transaction_code=ABSENT, transactions=[attempt])
    stage.sumup.tamper(orders["text-amount"].checkout, amount="25.00")
    stage.checkout(orders["unnamed"], "PAID", stored=False)
    stage.checkout(orders["hosted"], "PAID", stored=False, reference="hosted_order_ORD-HOSTED")
    stage.checkout(orders["no-id"], "PAID", sumup_checkout_id="")
    stage.checkout(orders["unstored"], "PAID", stored=False, reference="hosted_order_ORD-UNSTORED")
    made = World(stage, orders)
    made.run()
    made.run()
    return made


def two_tries(stage: Stage) -> dict[str, Placed]:
    """Orders with two checkouts each."""
    orders = {}
    for name, states in {
        "failed-paid": ("FAILED", "PAID"),
        "paid-failed": ("PAID", "FAILED"),
        "twice": ("PAID", "PAID"),
        "paid-pending": ("PAID", "PENDING"),
    }.items():
        orders[name] = stage.order(f"ORD-{name.upper()}", checkout=states[0])
        stage.checkout(orders[name], states[1], reference=f"{orders[name].number}-again")
    return orders


def several_events(stage: Stage) -> Placed:
    """An order for three events of two organisers."""
    other = stage.shop.add_organiser("band@organiser.example", "The Band")
    places = [
        (stage.concert, 2, PRICE),
        (stage.event("Spring Concert"), 1, Decimal("8.00")),
        (stage.event("Garage Night", organiser_id=other), 3, Decimal("5.50")),
    ]
    return stage.order("ORD-SEVERAL", places=places, checkout="PAID")


def odd_order(stage: Stage, name: str, text: str) -> Placed:
    """An order whose texts, wherever the column is wide enough, are this one."""
    event = stage.event(text[:200], slug=f"odd-texts-{name}", venue_name=text[:200], venue_address=f"{text}\nSt Helier")
    names: dict[str, Any] = {"delivery_first_name": text[:50], "delivery_last_name": "Le Sueur"}
    return stage.order(f"ORD-{name.upper()}", places=[(event, 1, PRICE)], checkout="PAID", **names)


def test_row_01_paid_is_completed_with_tickets_and_one_mail(world: World) -> None:
    order, stage = world["plain"], world.stage
    assert world.runs[0].reason(order) == "paid"
    check_completed(stage, order)
    row, payment = stage.row(order), stage.sumup.checkout(order.checkout).payment
    assert payment is not None
    assert row["transaction_id"] == payment.code
    assert abs((row["paid_at"] - payment.at).total_seconds()) < 0.001  # SumUp's times have milliseconds
    kept, line = row["payment_notes"].splitlines()
    assert kept == "Asked for seats near the door."
    assert re.match(r"\[\d{4}-\d\d-\d\d \d\d:\d\d UTC\] paypoll: paid by checkout", line)
    assert stage.history(order) == ["completed"]
    (checkout,) = stage.checkout_rows(order)
    assert (checkout["status"], checkout["should_poll"], checkout["poll_count"]) == ("paid", False, 1)
    assert checkout["paid_at"] == row["paid_at"]
    assert checkout["sumup_response"]["status"] == "PAID"
    assert checkout["last_polled_at"] == checkout["polling_started_at"] is not None
    assert stage.alerts(order) == []


def test_row_01_paid_leaves_evidence_in_the_audit_trail(world: World) -> None:
    order = world["plain"]
    (verified,) = world.stage.audit(order)
    assert (verified["outcome"], verified["status_from"], verified["status_to"]) == (
        "complete", "pending_verification", "completed",
    )  # fmt: skip
    said = verified["evidence"]["checkouts"][order.checkout]["sumup_said"]
    assert (said["status"], said["id"]) == ("PAID", order.checkout)
    (mailed,) = world.stage.audit(order, "mailed")
    assert order.email in mailed["explanation"]


def test_row_01_paid_prints_what_the_holder_must_know(world: World) -> None:
    order = world["plain"]
    (mail,) = world.stage.mails(order)
    texts = sorted(text_of(pdf) for pdf in attachments(mail).values())
    for place in (1, 2):
        (text,) = [one for one in texts if f"Ticket {place} of 2" in one]
        for piece in ("Winter Concert", "Town Hall", "1 High Street", "Ada Le Sueur", "12.50 GBP", "The Choir"):
            assert piece in text
    assert "25.00 GBP" in body(mail)
    assert all(ticket["ticket_number"] in body(mail) for ticket in world.stage.tickets(order))


def test_row_01_paid_without_transaction_code_is_completed_under_the_checkout_id(world: World) -> None:
    order = world["codeless"]
    check_completed(world.stage, order)
    assert world.stage.row(order)["transaction_id"] == order.checkout


def test_row_05a_pending_order_that_is_paid_is_completed(world: World) -> None:
    check_completed(world.stage, world["basket"])
    assert world.stage.audit(world["basket"])[0]["status_from"] == "pending"


def test_row_10_amount_as_numeric_string_is_read_as_that_number(world: World) -> None:
    check_completed(world.stage, world["text-amount"])


@pytest.mark.parametrize("name", ["failed-paid", "paid-failed"])
def test_row_11_failed_and_paid_checkout_is_completed_by_the_paid_one(world: World, name: str) -> None:
    order, stage = world[name], world.stage
    check_completed(stage, order)
    # The other one could still be paid on SumUp's page, so it was closed there.
    assert {row["status"] for row in stage.checkout_rows(order)} == {"paid", "expired"}
    assert stage.alerts(order) == []


def test_row_12_two_paid_checkouts_are_completed_once_and_admins_told_to_refund_one(world: World) -> None:
    order, stage = world["twice"], world.stage
    check_completed(stage, order)
    (alert,) = stage.alerts(order)
    assert subject(alert).startswith("[Jersey Events CRITICAL] Order ORD-TWICE was paid twice")
    (fulfilled,) = stage.sql("SELECT checkout_id FROM paypoll.fulfilment WHERE order_id = :id", id=order.id)
    rows = {row["sumup_checkout_id"]: row["status"] for row in stage.checkout_rows(order)}
    assert set(rows.values()) == {"paid"}
    (surplus,) = set(rows) - {fulfilled["checkout_id"]}
    assert f"Refund the payment of checkout {surplus}" in " ".join(body(alert).split())


def test_row_14_paid_and_pending_checkout_is_completed_and_the_pending_one_closed(world: World) -> None:
    order, stage = world["paid-pending"], world.stage
    check_completed(stage, order)
    states = {row["checkout_reference"]: row["sumup_checkout_id"] for row in stage.checkout_rows(order)}
    assert stage.sumup.checkout(states["ORD-PAID-PENDING-again"]).status == "EXPIRED"
    assert stage.alerts(order) == []


@pytest.mark.parametrize("name", ["unnamed", "hosted", "no-id"])
def test_row_15_order_without_checkout_id_is_found_by_reference_and_completed(world: World, name: str) -> None:
    check_completed(world.stage, world[name])


def test_row_15_checkout_row_without_id_gets_the_id_that_was_found(world: World) -> None:
    (row,) = world.stage.checkout_rows(world["no-id"])
    assert world.stage.sumup.checkout(row["sumup_checkout_id"]).reference == "ORD-NOID"
    assert row["status"] == "paid"


def test_row_15a_unstored_paid_checkout_beside_a_failed_one_completes_the_order(world: World) -> None:
    check_completed(world.stage, world["unstored"])


def test_row_27a_guest_gets_an_account_that_the_owner_of_the_address_can_enter_and_nobody_else(world: World) -> None:
    order, stage = world["guest"], world.stage
    tickets = check_completed(stage, order)
    (account,) = stage.shop.rows("accounts_user", email=order.email)
    assert {ticket["customer_id"] for ticket in tickets} == {account["id"]}
    # Active and usable, so the shop's reset mail goes to the address; and no password has a digest that is random.
    algorithm, iterations, salt, digest = account["password"].split("$")
    assert (algorithm, int(iterations) >= 600_000, len(salt)) == ("pbkdf2_sha256", True, 22)
    assert len(base64.b64decode(digest, validate=True)) == 32
    expected = {
        "user_type": "customer", "is_active": True, "is_staff": False, "is_superuser": False, "phone": "",
        "first_name": "Ada", "last_name": "Le Sueur", "email_verified": False, "last_login": None,
    }  # fmt: skip
    assert {name: account[name] for name in expected} == expected
    assert stage.row(order)["user_id"] == account["id"]


def test_row_27_guests_accounts_have_nothing_in_common(world: World) -> None:
    stage = world.stage
    made = stage.sql("SELECT password FROM accounts_user WHERE password LIKE 'pbkdf2%'")
    pieces = [piece for row in made for piece in row["password"].split("$")[2:]]
    assert len(pieces) == len(set(pieces)) == 2 * len(made) > 2


def test_row_27_guest_with_a_known_address_in_other_case_gets_tickets_for_that_account(world: World) -> None:
    order, stage = world["guest-known"], world.stage
    tickets = check_completed(stage, order)
    same = stage.sql("SELECT id, email FROM accounts_user WHERE lower(email) = :email", email=order.email)
    assert [account["email"] for account in same] == ["Ada.Known@Buyer.example"]
    assert {ticket["customer_id"] for ticket in tickets} == {stage.row(order)["user_id"]} == {same[0]["id"]}
    assert {ticket["qr_data"].split("|")[3] for ticket in tickets} == {"Ada.Known@Buyer.example"}


def test_ticket_of_a_member_belongs_to_the_account_and_the_mail_to_the_order(world: World) -> None:
    tickets = check_completed(world.stage, world["member"])
    assert {ticket["qr_data"].split("|")[3] for ticket in tickets} == {"ada@member.example"}


def test_row_31_several_items_events_and_organisers_give_all_tickets_in_one_mail(world: World) -> None:
    order, stage = world["several"], world.stage
    assert len(check_completed(stage, order)) == 6
    (mail,) = stage.mails(order)
    for title in ("Winter Concert", "Spring Concert", "Garage Night"):
        assert title in body(mail)
    texts = [text_of(pdf) for pdf in attachments(mail).values()]
    assert sum("The Band" in text and "Garage Night" in text for text in texts) == 3
    assert sum("Spring Concert" in text and "8.00 GBP" in text for text in texts) == 1
    entries = Calendar.from_ical(calendar_of(mail)).walk("VEVENT")
    assert [str(entry["summary"]) for entry in entries] == ["Winter Concert", "Spring Concert", "Garage Night"]


@pytest.mark.parametrize("name", ODD_TEXT)
def test_row_32_odd_text_is_shown_as_text_and_whole(world: World, name: str) -> None:
    order, stage, text = world[name], world.stage, ODD_TEXT[name]
    (ticket,) = check_completed(stage, order)
    (mail,) = stage.mails(order)
    whole = " ".join(text.split())
    assert whole in " ".join(body(mail).split())
    assert whole in html_text_of(mail)
    printed = text_of(attachments(mail)[f"ticket-{ticket['ticket_number']}.pdf"])
    # A PDF may hold text that runs from right to left in the order in which it is drawn.
    assert whole in printed or (name == "right-to-left" and whole[::-1] in printed)


def test_run_again_over_settled_orders_changes_nothing(world: World) -> None:
    assert world.runs[1].code == 0
    assert world.runs[1].report["orders"] == []
    assert world.shops[1] == world.shops[0]
    assert world.mails[1] == world.mails[0]


def test_paid_orders_are_the_only_ones_whose_buyers_hear_of_it(world: World) -> None:
    told = sorted(mail.recipients[0] for mail in world.mails[0] if mail.recipients != (ADMIN,))
    assert told == sorted(order.email for order in world.orders.values())
    assert len({str(mail.message["Message-ID"]) for mail in world.mails[0]}) == len(world.mails[0])


def test_checkouts_of_paid_orders_are_never_closed(world: World) -> None:
    closed = [seen.path.rsplit("/", 1)[-1] for seen in world.stage.sumup.requests if seen.method == "DELETE"]
    paid = {row["checkout_id"] for row in world.stage.sql("SELECT checkout_id FROM paypoll.fulfilment")}
    assert closed
    assert paid.isdisjoint(closed)
