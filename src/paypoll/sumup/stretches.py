"""A list of many days that SumUp gives in one answer, without pages: asked for in stretches that an answer holds."""

from collections.abc import Callable
from datetime import date, timedelta
from typing import Final, TypeVar

from paypoll.payments.gateway import BrokenAnswer, Found, Look

T = TypeVar("T")
Ask = Callable[[date, date], Look[tuple[T, ...]]]
"""Asks for the days from the first to the last, both included."""

MOST_LISTED: Final = 9999
"""As many payouts as SumUp lists at once. A list of so many may have been cut off."""
_DAYS: Final = timedelta(days=31)


def in_stretches(ask: Ask[T], first: date, last: date) -> Look[tuple[T, ...]]:
    """Return what there is of these days, or the first failure."""
    found: tuple[T, ...] = ()
    while first <= last:
        end = min(last, first + _DAYS - timedelta(days=1))
        look = _halved(ask, first, end)
        if not isinstance(look, Found):
            return look
        found += look.value
        first = end + timedelta(days=1)
    return Found(found)


def _halved(ask: Ask[T], first: date, last: date) -> Look[tuple[T, ...]]:
    look = ask(first, last)
    cut_off = isinstance(look, Found) and len(look.value) >= MOST_LISTED
    if not cut_off and not (isinstance(look, BrokenAnswer) and look.too_long):
        return look
    if first == last:
        what = f"{MOST_LISTED} records or more" if isinstance(look, Found) else look.detail
        return BrokenAnswer(
            f"{first} alone has more than one answer holds, and SumUp has no pages: {what}", too_long=True
        )
    middle = first + (last - first) // 2
    before = _halved(ask, first, middle)
    if not isinstance(before, Found):
        return before
    after = _halved(ask, middle + timedelta(days=1), last)
    return Found(before.value + after.value) if isinstance(after, Found) else after
