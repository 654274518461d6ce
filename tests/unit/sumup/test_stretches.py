"""Days that are asked for in stretches: each once, and never a list that was cut off."""

from datetime import date, timedelta

import pytest

from paypoll.payments.gateway import BrokenAnswer, Found, Look, NoAnswer
from paypoll.sumup.stretches import MOST_LISTED, in_stretches

FIRST = date(2026, 10, 1)


def day(number: int) -> date:
    return FIRST + timedelta(days=number)


@pytest.mark.parametrize("full", [True, False])
def test_every_day_is_read_once_in_answers_that_hold_them(full: bool) -> None:
    most = 5  # days that an answer holds

    def ask(first: date, last: date) -> Look[tuple[date, ...]]:
        found = tuple(first + timedelta(days=number) for number in range((last - first).days + 1))
        if len(found) <= most:
            return Found(found)
        return Found(found[:1] * MOST_LISTED) if full else BrokenAnswer("too long", garbled=True, too_long=True)

    look = in_stretches(ask, FIRST, day(99))
    assert look == Found(tuple(day(number) for number in range(100)))


@pytest.mark.parametrize(
    "answer", [Found(("a record",) * MOST_LISTED), BrokenAnswer("endless", garbled=True, too_long=True)]
)
def test_day_that_no_answer_holds_is_named(answer: Look[tuple[str, ...]]) -> None:
    def ask(first: date, last: date) -> Look[tuple[str, ...]]:
        return answer if first <= day(7) <= last else Found(())

    look = in_stretches(ask, FIRST, day(20))
    assert isinstance(look, BrokenAnswer)
    assert look.too_long
    assert look.detail.startswith("2026-10-08 alone has more than one answer holds")


def test_other_failure_is_that_of_the_whole() -> None:
    asked = []

    def ask(first: date, last: date) -> Look[tuple[str, ...]]:
        asked.append((first, last))
        return Found(("a record",)) if len(asked) == 1 else NoAnswer("time-out")

    assert in_stretches(ask, FIRST, day(99)) == NoAnswer("time-out")
    assert asked == [(FIRST, day(30)), (day(31), day(61))]
