"""One listing fee on one screen, for people and for programs."""

from dataclasses import asdict

from paypoll.admin.inspect import LiveLook
from paypoll.admin.inspect_fee import FeeInspection
from paypoll.cli.options import SCHEMA
from paypoll.cli.render.findings import finding_lines
from paypoll.cli.render.order import live_lines, mail_lines, trail_lines, watch_lines
from paypoll.cli.render.screen import json_text
from paypoll.cli.render.steps import step_lines
from paypoll.cli.render.words import headed, moment, status, wrapped
from paypoll.clock import ago
from paypoll.payments.money import show_amount
from paypoll.payments.order import Checkout
from paypoll.settings.model import SiteSettings


def fee_lines(inspection: FeeInspection, site: SiteSettings) -> list[str]:
    """Return everything about the fee, in lines of a terminal."""
    fee, now = inspection.fee, inspection.now
    lines = [
        f"Listing fee {fee.reference} (id {fee.id})  {status(fee.status)}, {show_amount(fee.amount, fee.currency)}",
        f"  {fee.organiser_name or '(no name)'} <{fee.organiser_email or 'no e-mail'}>",
        f"  made {moment(fee.created_at, site)}, {ago(fee.created_at, now)}",
        f"  paypoll holds it to be {status(fee.state.value)}",
    ]
    lines += watch_lines(inspection.watch, now, site)
    if fee.closed:
        lines.append("  a person has closed it: nothing is published by itself")
    if inspection.findings:
        lines += headed("SumUp's ledger")
        lines += [line for finding in inspection.findings for line in finding_lines(finding, now)]
    lines += headed("Next steps") + step_lines(inspection.next_steps)
    lines += headed("Event")
    if fee.event:
        when = f"{fee.event.starts_on:%a %d %b %Y}, {fee.event.starts_at:%H:%M}"
        lines += wrapped(f"{fee.event.title} ({status(fee.event.status)})")
        lines += wrapped(f"{when}, {fee.event.venue_name}", 6)
    else:
        lines += ["  no longer in the shop"]
    lines += headed("Checkouts")
    lines += [line for row in fee.checkouts for line in _checkout_lines(row)] or ["  none stored"]
    if fee.settled:
        lines += wrapped(f"paid by checkout {fee.settled.checkout_id}, {moment(fee.settled.paid_at, site)}")
    lines += headed("Mail")
    lines += [line for row in inspection.mails for line in mail_lines(row, site)] or ["  none"]
    lines += headed("What happened")
    lines += [line for row in inspection.trail for line in trail_lines(row, site)] or ["  nothing yet"]
    if inspection.live:
        lines += live_lines(inspection.live)
    return lines


def fee_json(inspection: FeeInspection) -> str:
    """Return everything about the fee as JSON."""
    fee, event = asdict(inspection.fee), inspection.fee.event
    kept = ("id", "reference", "status", "amount", "currency", "created_at", "organiser_name", "organiser_email")
    live = inspection.live
    document = {
        "schema": SCHEMA,
        "fee": {name: fee[name] for name in (*kept, "state")},
        "event": event and {"id": event.id, "title": event.title, "status": event.status, "starts_on": event.starts_on},
        "checkouts": fee["checkouts"],
        "paid_by": fee["settled"],
        "mail": [{key: value for key, value in row.items() if key != "content"} for row in inspection.mails],
        "audit": inspection.trail,
        "watch": inspection.watch,
        "next_steps": [step._asdict() for step in inspection.next_steps],
        "findings": [asdict(finding) for finding in inspection.findings],
        "live": None if live is None else {name: getattr(live, name) for name in LiveLook.__slots__},
    }
    return json_text(document)


def _checkout_lines(row: Checkout) -> list[str]:
    lines = [f"  {', '.join(row.checkout_ids) or '(no id)'}  {status(row.status)}, {row.amount} {row.currency}"]
    return lines + wrapped(f"reference {row.reference}, merchant {row.merchant_code or '(none)'}", 6)
