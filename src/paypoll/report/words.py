"""How a report says its values: durations, times, amounts, and the codes that are kept in the database. Pure."""

import math
from collections import Counter
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Protocol

from paypoll.payments.money import digits
from paypoll.report.period import Period
from paypoll.report.result import MoneySums

_TROUBLES = {
    "sumup_silent": "SumUp does not answer",
    "not_allowed": "SumUp refuses a credential",
    "may_not_close": "SumUp does not let paypoll close checkouts",
    "orders_denied": "SumUp denies many orders; they are held back",
    "clocks_differ": "SumUp's clock and this host's differ",
    "smtp_down": "the mail server is out of reach",
    "smtp_refuses": "the mail server refuses mail",
    "smtp_takes_nobody": "the mail server takes no customer's mail",
    "alert_refused": "an alert reaches no admin",
    "mail_error": "mail of a kind meets an error",
    "cannot_print": "tickets cannot be printed",
}
_ENDINGS = {
    "issue": "tickets issued by a person",
    "refund": "refunded by a person",
    "refund_noted": "refund noted by a person",
    "reject": "rejected by a person",
    "rechecked": "put back to waiting by a person",
    "complete": "paid after all",
    "restore": "put back to completed",
    "fail": "failed after all",
    "expire": "expired after all",
}
_OUTCOMES = {
    "complete": "tickets issued",
    "restore": "put back to completed",
    "fail": "payment failed",
    "expire": "expired unpaid",
    "review": "needed a person",
    "issue": "a person issued tickets",
    "refund": "a person refunded",
    "refund_noted": "a person noted a refund",
    "reject": "a person rejected",
}


def trouble(kind: str) -> str:
    """Return what an incident is, without the names and addresses that its row may hold."""
    return _TROUBLES.get(kind, "another incident (`paypoll queue` shows it)")


def ending(how: str) -> str:
    """Return how a case ended."""
    return _ENDINGS.get(how, plain(how))


def outcome(code: str) -> str:
    """Return what became of orders."""
    return _OUTCOMES.get(code, plain(code))


def plain(code: str) -> str:
    """Return a code as words."""
    return code.replace("_", " ")


def duration(seconds: float) -> str:
    """Return a duration in few letters: 0.4 s, 12 s, 3 min, 2.5 h, 4 d; longer than all: more."""
    if math.isinf(seconds):
        return "more"
    for most, size, name in ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h")):
        if seconds < most:
            return f"{_short(seconds / size)} {name}"
    return f"{_short(seconds / 86400)} d"


def _short(number: float) -> str:
    # Rounded down: 59.96 s are not 60 s, which would be a minute.
    tenths = int(number * 10) / 10
    return f"{tenths:.1f}".removesuffix(".0") if tenths < 10 else str(int(number))  # noqa: PLR2004 - tenths below it


def within(limit: float, before: float) -> str:
    """Return a class of durations: within 1 min, 1 min to 5 min, more than 1 d."""
    if math.isinf(limit):
        return f"more than {duration(before)}"
    return f"{duration(before)} to {duration(limit)}" if before else f"within {duration(limit)}"


def grouped(value: Decimal, currency: str) -> str:
    """Return an amount for people, below the name of its currency: 1,250.00."""
    whole, point, rest = digits(value, currency).partition(".")
    sign, whole = ("-", whole[1:]) if whole.startswith("-") else ("", whole)
    return f"{sign}{int(whole):,}{point}{rest}"


def amount(value: Decimal, currency: str) -> str:
    """Return an amount for people: 1,250.00 GBP."""
    return f"{grouped(value, currency)} {currency}"


def on_word(sums: MoneySums) -> str:
    """Return what was issued without a payment that SumUp shows; empty where nothing was."""
    word = sums.on_word
    if not word.orders:
        return ""
    orders = f"{word.orders} order{'s' if word.orders != 1 else ''}"
    places = f"{word.places} place{'s' if word.places != 1 else ''}"
    return f"issued on a person's word: {orders}, {places}, {amount(word.amount, sums.currency)} - not at SumUp"


def here_again(sums: MoneySums) -> str:
    """Return what had gone back and is here again; empty where nothing is."""
    if not sums.here_again:
        return ""
    return f"{amount(sums.here_again, sums.currency)} that had gone back is here again: taken off what went back"


class Named(Protocol):
    """A row about an event of an organiser, whose names others may have. `starts` is the event's day and time."""

    @property
    def organiser(self) -> str: ...
    @property
    def organiser_id(self) -> int | None: ...
    @property
    def event(self) -> str: ...
    @property
    def event_id(self) -> int | None: ...
    @property
    def starts(self) -> str: ...


def told_apart(rows: Sequence[Named]) -> list[tuple[str, str]]:
    """Return for each row the organiser, and when its event is, or which, where others have the same name.

    Two organisers of one name have their numbers in the shop, as have two events of one title, day and time.
    """
    whose: dict[str, set[int | None]] = {}
    for row in rows:
        whose.setdefault(row.organiser, set()).add(row.organiser_id)
    organisers = [
        f"{row.organiser} ({row.organiser_id})" if row.organiser and len(whose[row.organiser]) > 1 else row.organiser
        for row in rows
    ]
    marks = [""] * len(rows)
    for mark in (_day, _time, lambda row: f" ({row.event_id})" if row.event_id else ""):
        same = Counter(zip(organisers, (row.event for row in rows), marks, strict=True))
        marks = [
            said + mark(row) if same[organiser, row.event, said] > 1 else said
            for organiser, row, said in zip(organisers, rows, marks, strict=True)
        ]
    return [(organiser, said.strip()) for organiser, said in zip(organisers, marks, strict=True)]


def _time(row: Named) -> str:
    return row.starts.removeprefix(row.starts.partition(" ")[0])


def _day(row: Named) -> str:
    said = row.starts.partition(" ")[0]
    try:
        day = date.fromisoformat(said)
    except ValueError:
        return said
    return f"{day.day} {day:%b %Y}"


def percent(part: int, whole: int) -> str:
    """Return a share in whole percent, or with a tenth where it is small: 87 %, 0.4 %."""
    if not whole:
        return "0 %"
    share = 100 * part / whole
    return f"{share:.0f} %" if share >= 10 or share in {0, 1, 2, 5} else f"{share:.1f} %"  # noqa: PLR2004


def when(moment: datetime, period: Period) -> str:
    """Return a time in the site's time zone: 24 Nov 2026, 14:00."""
    local = moment.astimezone(period.zone)
    return f"{local.day} {local:%b %Y, %H:%M}"


def stretch(period: Period) -> str:
    """Return the period in words: the days alone, where it begins and ends at midnight."""
    since, until = (moment.astimezone(period.zone) for moment in (period.since, period.until))
    if all((moment.hour, moment.minute, moment.second) == (0, 0, 0) for moment in (since, until)):
        last = until - timedelta(days=1)
        return f"{since.day} {since:%b %Y} to {last.day} {last:%b %Y}" if last > since else f"{since.day} {since:%b %Y}"
    return f"{when(since, period)} to {when(until, period)}"
