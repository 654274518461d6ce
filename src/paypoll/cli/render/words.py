"""How values are said: on a terminal ages, statuses in colour, lines that fit."""

import textwrap
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from paypoll.cli.render.marks import is_plain, looked_at, styled, width

if TYPE_CHECKING:
    from paypoll.settings.model import SiteSettings

_COLOURS = {
    "completed": "green",
    "sent": "green",
    "valid": "green",
    "PAID": "green",
    "paid": "green",
    "failed": "yellow",
    "expired": "yellow",
    "waiting": "yellow",
    "sending": "yellow",
    "requires_manual_review": "red",
    "undeliverable": "red",
    "incomplete": "red",
    "finished": "green",
    "out_of_time": "yellow",
    "stopped": "yellow",
}


def brief(duration: timedelta) -> str:
    """Return a duration in few letters, for a column: 0.4 s, 12 s, 3 min, 2 h, 5 d."""
    return brief_seconds(duration.total_seconds())


def brief_seconds(seconds: float) -> str:
    """Return seconds as `brief` does."""
    if seconds < 10:  # noqa: PLR2004 - below, tenths are worth showing
        return f"{seconds:.1f} s"
    for longest, size, name in ((2 * 60, 1, "s"), (2 * 3600, 60, "min"), (2 * 86400, 3600, "h")):
        if seconds < longest:
            return f"{int(seconds // size)} {name}"
    return f"{int(seconds // 86400)} d"


def status(word: str) -> str:
    """Return a status in its colour; `show` leaves the colour out where there is no terminal for it."""
    return styled(word, fg=_COLOURS.get(word))


def wrapped(text: str, indent: int = 2) -> list[str]:
    """Return the text in lines that fit the screen, each indented."""
    if looked_at() and not is_plain(text):
        from paypoll.cli.render.terminal import wrapped_lines

        return wrapped_lines(text, width(), indent)
    space = " " * indent
    return textwrap.wrap(text, width(), initial_indent=space, subsequent_indent=space, break_on_hyphens=False) or [
        space
    ]


def headed(title: str) -> list[str]:
    """Return a heading, set off from what was before."""
    return ["", styled(title, bold=True)]


def more(number: int, shown: int) -> list[str]:
    """Return the line that ends a list of which only so many are shown; none when that is all."""
    return [f"  and {number - shown} more (--json lists all)"] if number > shown else []


def numbered(number: int, noun: str) -> str:
    """Return a number with its noun: 1 mail, 2 mails."""
    return f"{number} {noun}{'s' if number != 1 else ''}"


def moment(value: datetime, site: "SiteSettings") -> str:
    """Return a time in the site's time zone."""
    return f"{value.astimezone(site.zone):%Y-%m-%d %H:%M:%S}"


def said(answer: Mapping[str, Any]) -> str:
    """Return what SumUp said about a checkout, as `describe_evidence` has it."""
    if answer.get("answer") != "Found":
        detail = f" ({answer['detail']})" if answer.get("detail") else ""
        return f"{answer.get('answer')}{detail}"
    merchant = answer["merchant_code"] or "(none)"
    return f"{answer['status']}, {said_amount(answer['amount'], answer['currency'])}, merchant {merchant}"


def said_amount(amount: object, currency: str) -> str:
    """Return an amount that the trail has as SumUp wrote it, 35.0, as people read it; what is none as it is."""
    return f"{said_digits(amount, currency)} {currency}".strip()


def said_digits(amount: object, currency: str) -> str:
    """Return the same without the currency's name."""
    from paypoll.payments.money import digits

    try:
        return digits(Decimal(str(amount)), currency)
    except InvalidOperation:
        return str(amount)


def case_lines(evidence: Mapping[str, Any], objections: Iterable[str], of: str) -> list[str]:
    """Return what SumUp says of a case, as `describe_evidence` has it, and what speaks against it."""
    answers = evidence["checkouts"]
    lines = [line for name, answer in answers.items() for line in wrapped(f"SumUp about {name}: {said(answer)}")]
    if not answers:
        lines.append(f"  SumUp knows no checkout of this {of}.")
    against = [line for objection in objections for line in wrapped(f"Against it: {objection}")]
    return lines + (against or ["  Everything fits."])
