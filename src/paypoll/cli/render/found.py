"""Orders that a search has found, for people and for programs."""

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

from paypoll.admin.search import MOST, FoundOrder
from paypoll.alerts.next_steps import order_word
from paypoll.cli.options import SCHEMA
from paypoll.cli.render.screen import json_text
from paypoll.cli.render.words import numbered, status, wrapped
from paypoll.clock import ago
from paypoll.payments.money import show_amount
from paypoll.settings.model import SiteSettings


def found_lines(found: Sequence[FoundOrder], site: SiteSettings, now: datetime) -> list[str]:
    """Return the orders in lines of a terminal, each with the command that shows it."""
    lines = [f"{numbered(len(found), 'order')}{' or more' if len(found) == MOST else ''}, the newest first:"]
    for order in found:
        amount = show_amount(order.total, site.currency)
        lines += wrapped(f"{order.order_number}  {status(order.status)}, {amount}, placed {ago(order.created_at, now)}")
        lines += wrapped(f"{order.customer or '(no name)'} <{order.email or 'no e-mail'}>", 6)
        lines.append(f"      sudo paypoll inspect {order_word(order.order_id, order.order_number)}")
    return lines


def found_json(found: Sequence[FoundOrder]) -> str:
    """Return the orders as JSON."""
    return json_text({"schema": SCHEMA, "found": [asdict(order) for order in found]})
