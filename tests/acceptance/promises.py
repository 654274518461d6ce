"""What must hold of an order after a run, in every place where it can be seen."""

import hashlib
import re
from datetime import UTC
from typing import Any

from PIL import Image
from tests.acceptance.papers import attachments, body, subject, text_of
from tests.acceptance.stage import Placed, Stage
from tests.pdfs import codes_in, picture_of


def check_completed(stage: Stage, order: Placed, *, kind: str = "Your tickets for") -> list[dict[str, Any]]:
    """Assert that everything about the order says: paid, its tickets issued, one mail with their PDFs."""
    tickets = check_issued(stage, order)
    (mail,) = stage.mails(order)
    assert subject(mail).startswith(kind)
    stored = {f"ticket-{ticket['ticket_number']}.pdf": stage.media / ticket["pdf_file"] for ticket in tickets}
    assert attachments(mail) == {name: path.read_bytes() for name, path in stored.items()}
    return tickets


def check_issued(stage: Stage, order: Placed, *, on_paper: bool = True) -> list[dict[str, Any]]:
    """Assert that the order is completed, with exactly its tickets. Return them.

    `on_paper`: scan their pictures and PDFs, which takes a tenth of a second each.
    """
    row = stage.row(order)
    assert (row["status"], row["is_paid"]) == ("completed", True)
    assert row["paid_at"] is not None
    assert row["transaction_id"]
    items = stage.shop.rows("orders_orderitem", order_id=order.id)
    tickets = stage.tickets(order)
    wanted = [item["event_id"] for item in items for _ in range(item["quantity"])]
    assert sorted(ticket["event_id"] for ticket in tickets) == sorted(wanted)
    for ticket in tickets:
        check_ticket(stage, order, ticket, on_paper=on_paper)
    return tickets


def check_ticket(
    stage: Stage, order: Placed, ticket: dict[str, Any], *, on_paper: bool, made_by_the_shop: bool = False
) -> None:
    """Assert that a ticket is as the shop's scanner wants it, as a row, as a PDF and as a picture.

    The number of one that the shop made is the shop's.
    """
    number, slug = ticket["ticket_number"], stage.shop.row("events_event", ticket["event_id"])["slug"]
    assert made_by_the_shop or re.fullmatch(re.escape(slug[:10].upper()) + r"-[A-Z0-9]{9}", number)
    (stored,) = stage.sql(
        "SELECT t.*, u.email FROM events_ticket t JOIN accounts_user u ON u.id = t.customer_id WHERE t.id = :id",
        id=ticket["id"],
    )
    moment = stored["purchase_date"].astimezone(UTC).isoformat()
    text = f"{stored['ticket_number']}:{stored['event_id']}:{stored['email']}:{moment}"
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    assert stored["validation_hash"] == digest
    data = f"JERSEY_EVENTS|{number}|{stored['event_id']}|{stored['email']}|{digest}"
    files = {"pdf_file": f"tickets/pdfs/ticket_{number}.pdf", "qr_code": f"tickets/qr_codes/ticket_{number}_qr.png"}
    left_empty = {
        "status": "valid", "seat_number": "", "special_requirements": "", "is_validated": False,
        "validated_at": None, "validated_by_id": None, "ticket_tier_id": None, "order_id": order.id,
    }  # fmt: skip
    expected = {**left_empty, **files, "qr_data": data}
    assert {name: stored[name] for name in expected} == expected
    if not on_paper:
        assert (stage.media / files["pdf_file"]).is_file()
        return
    pdf = (stage.media / files["pdf_file"]).read_bytes()
    assert codes_in(picture_of(pdf)) == [data]
    assert codes_in(Image.open(stage.media / files["qr_code"])) == [data]
    assert number in text_of(pdf)


def check_review(stage: Stage, order: Placed, *, reason: str, found: str = "") -> None:
    """Assert that the order waits for a person: no ticket, and one CRITICAL alert that says what and why."""
    row = stage.row(order)
    assert (row["status"], row["is_paid"]) == ("requires_manual_review", False)
    assert stage.history(order)[-1] == "manual_review"
    assert stage.tickets(order) == []
    assert stage.mails(order) == []
    (alert,) = stage.alerts(order)
    assert subject(alert).startswith("[Jersey Events CRITICAL] ")
    said = body(alert)
    for piece in (order.number, f"{order.total} GBP", order.email, "What to do", found, admin_link(order)):
        assert piece in said
    (verified,) = [one for one in stage.audit(order) if one["status_to"] == "requires_manual_review"]
    assert (verified["outcome"], verified["reason"]) == ("review", reason)


def check_waiting(stage: Stage, order: Placed, *, reason: str) -> None:
    """Assert that the order is as it was, and due."""
    row = stage.row(order)
    assert (row["status"], row["is_paid"], row["payment_notes"]) == ("pending_verification", False, "")
    assert (stage.tickets(order), stage.history(order), stage.mails(order)) == ([], [], [])
    last = stage.audit(order)[-1]
    assert (last["outcome"], last["reason"], last["status_to"]) == ("unchanged", reason, "pending_verification")


def admin_link(order: Placed) -> str:
    """Return where the shop shows the order to admins."""
    return f"https://shop.example/admin/orders/order/{order.id}/change/"
