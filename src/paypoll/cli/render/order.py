"""One order on one screen, for people and for programs."""

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Any

from paypoll.admin.inspect import Inspection, LiveLook
from paypoll.alerts.ledger import closing_steps, is_told_case
from paypoll.alerts.next_steps import Step, order_word, steps_of_review, steps_of_status
from paypoll.cli.options import SCHEMA
from paypoll.cli.render.astray import astray_sentences, astray_steps
from paypoll.cli.render.findings import finding_lines
from paypoll.cli.render.screen import json_text
from paypoll.cli.render.steps import step_lines
from paypoll.cli.render.words import headed, moment, said, status, wrapped
from paypoll.clock import ago
from paypoll.payments.decision import Outcome
from paypoll.payments.money import show_amount
from paypoll.payments.order import OrderItem
from paypoll.payments.order_statuses import OrderStatus
from paypoll.settings.model import SiteSettings


def order_lines(inspection: Inspection, site: SiteSettings) -> list[str]:
    """Return everything about the order, in lines of a terminal."""
    order, now = inspection.order, inspection.now
    paid, amount = "paid" if order.is_paid else "not paid", show_amount(order.total, site.currency)
    lines = [
        f"Order {order.number} (id {order.id})  {status(order.status)}, {paid}, {amount}",
        f"  {order.customer_name or '(no name)'} <{order.email or 'no e-mail'}>",
        f"  placed {moment(order.created_at, site)}, {ago(order.created_at, now)}",
        f"  {site.order_admin_link(order.id, order.number)}",
    ]
    lines += watch_lines(inspection.watch, now, site)
    if inspection.astray:
        lines += headed("Completed by the shop itself")
        lines += [line for sentence in astray_sentences(inspection.astray) for line in wrapped(sentence)]
    for title, told in (("SumUp's ledger", False), ("Told by mail", True)):
        if found := [finding for finding in inspection.findings if is_told_case(finding) is told]:
            lines += headed(title) + [line for finding in found for line in finding_lines(finding, now)]
    lines += headed("Next steps") + step_lines(next_steps(inspection))
    lines += headed("Items")
    lines += [line for item in order.items for line in _item_lines(item, site)] or ["  none"]
    lines += headed("Checkouts")
    lines += [line for row in inspection.checkouts for line in _checkout_lines(row, site)] or ["  none stored"]
    lines += headed("Tickets")
    lines += [
        f"  {row['ticket_number']}  {status(row['status'])}" + (f"  {row['pdf_file']}" if row["pdf_file"] else "")
        for row in inspection.tickets
    ] or ["  none"]
    lines += headed("Mail")
    lines += [line for row in inspection.mails for line in mail_lines(row, site)] or ["  none"]
    lines += headed("What happened")
    lines += [line for row in inspection.trail for line in trail_lines(row, site)] or ["  nothing yet"]
    if inspection.live:
        lines += live_lines(inspection.live)
    return lines


def next_steps(inspection: Inspection) -> list[Step]:
    """Return what can be done about the order as it is."""
    order = inspection.order
    if inspection.astray:
        return astray_steps(inspection.astray)
    word = order_word(order.id, order.number)
    if order.status == OrderStatus.REVIEW and not order.rejected:
        reasons = [row["reason"] for row in inspection.trail if row["outcome"] == Outcome.REVIEW]
        return steps_of_review((reasons or [""])[-1] or "", word)
    still_open = (finding for finding in inspection.findings if finding.closed_at is None)
    # Without what shows the order, and what explains it.
    closing = [step for finding in still_open for step in closing_steps(finding)[1:-1]]
    return steps_of_status(order.status, word) + closing


def order_json(inspection: Inspection, site: SiteSettings) -> str:
    """Return everything about the order as JSON."""
    order = inspection.order
    document = {
        "schema": SCHEMA,
        "order": {
            "id": order.id,
            "number": order.number,
            "status": order.status,
            "is_paid": order.is_paid,
            "total": order.total,
            "currency": site.currency,
            "customer": order.customer_name,
            "email": order.email,
            "created_at": order.created_at,
            "admin_url": site.order_admin_link(order.id, order.number),
        },
        "items": [
            {
                "id": item.id,
                "event": item.event.title if item.event else item.event_title,
                "starts_on": item.event.starts_on if item.event else None,
                "quantity": item.quantity,
                "price": item.price,
            }
            for item in order.items
        ],
        "checkouts": inspection.checkouts,
        "tickets": inspection.tickets,
        "mail": [{key: value for key, value in row.items() if key != "content"} for row in inspection.mails],
        "audit": inspection.trail,
        "watch": inspection.watch,
        "next_steps": [step._asdict() for step in next_steps(inspection)],
        "astray": asdict(inspection.astray) if inspection.astray else None,
        "findings": [asdict(finding) for finding in inspection.findings],
        "live": None
        if inspection.live is None
        else {name: getattr(inspection.live, name) for name in LiveLook.__slots__},
    }
    return json_text(document)


def watch_lines(watched: Mapping[str, Any] | None, now: datetime, site: SiteSettings) -> list[str]:
    """Return how often and when it was looked at, and when it will be."""
    if watched is None or watched["last_checked_at"] is None:
        return ["  not looked at yet"]
    checks = f"looked at {watched['checks']} times" if watched["checks"] != 1 else "looked at once"
    last = f"last {ago(watched['last_checked_at'], now)}: {watched['last_answer'].replace('_', ' ')}"
    due = watched["next_check_at"]
    following = "not looked at any more" if due is None else f"next look {moment(due, site)} or soon after"
    return wrapped(f"{checks}, {last}; {following}")


def _item_lines(item: OrderItem, site: SiteSettings) -> list[str]:
    event = item.event
    title = event.title if event else f"{item.event_title} (no longer in the shop)"
    lines = wrapped(f"{item.quantity} x {title}, {show_amount(item.price, site.currency)} each")
    if event:
        when = f"{event.starts_on:%a %d %b %Y}, {event.starts_at:%H:%M}"
        lines += wrapped(f"{when}, {event.venue_name} ({event.status})", 6)
    return lines


def _checkout_lines(row: Mapping[str, Any], site: SiteSettings) -> list[str]:
    ids = dict.fromkeys(one for one in (row["sumup_checkout_id"], row["checkout_id"]) if one)
    amount = f"{row['amount']} {row['currency']}"
    lines = [f"  {', '.join(ids) or '(no id)'}  {status(row['status'])}, {amount}"]
    lines += wrapped(f"reference {row['checkout_reference']}, merchant {row['merchant_code'] or '(none)'}", 6)
    if row["last_polled_at"]:
        asked = "once" if row["poll_count"] == 1 else f"{row['poll_count']} times"
        lines += wrapped(f"asked {asked}, last {moment(row['last_polled_at'], site)}", 6)
    return lines


def mail_lines(row: Mapping[str, Any], site: SiteSettings) -> list[str]:
    """Return a mail of the outbox."""
    when = row["sent_at"] or row["created_at"]
    lines = [f"  {moment(when, site)}  {row['kind'].replace('_', ' ')}  {status(row['state'])}"]
    lines += wrapped(f"to {', '.join(row['recipients'])}" + (f": {row['subject']}" if row["subject"] else ""), 6)
    if row["maybe_twice"]:
        lines += wrapped("perhaps sent twice: it was cut off while being sent, and sent again", 6)
    if row["last_error"]:
        lines += wrapped(f"attempt {row['attempts']}: {row['last_error']}", 6)
    return lines


def trail_lines(row: Mapping[str, Any], site: SiteSettings) -> list[str]:
    """Return a row of the audit trail."""
    change = f"{row['status_from']} -> {row['status_to']}" if row["status_from"] != row["status_to"] else ""
    head = f"  {moment(row['at'], site)}  {row['action']}"
    head += f" by {row['actor']}" if row["actor"] != "paypoll" else ""
    lines = [head + (f"  {change}" if change else "")]
    reason = f"[{row['reason']}] " if row["reason"] else ""
    lines += wrapped(reason + row["explanation"], 6)
    for checkout_id, answer in ((row["evidence"] or {}).get("checkouts") or {}).items():
        lines += wrapped(f"SumUp about {checkout_id}: {said(answer)}", 6)
    return lines


def live_lines(live: LiveLook) -> list[str]:
    """Return what SumUp says now."""
    lines = headed("SumUp now (nothing was changed)")
    for checkout_id, answer in live.evidence["checkouts"].items():
        lines += wrapped(f"{checkout_id}: {said(answer)}")
    lines += wrapped(f"A run would leave it {live.status_after}: [{live.reason}] {live.explanation}")
    if live.assumed:
        lines += wrapped(f"provided that SumUp closes checkout {', '.join(live.assumed)}")
    return lines
