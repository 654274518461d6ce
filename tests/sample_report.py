"""A report of a made-up month, for the picture in the README: `python -m tests.sample_report` prints its page."""

import math
import random
import sys
from collections import Counter
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from paypoll.report.facts import (
    Asked,
    CaseStep,
    Decided,
    Facts,
    FindingSeen,
    Line,
    Payment,
    Placed,
    ReturnSeen,
    RunSeen,
)
from paypoll.report.page import render_page
from paypoll.report.period import Period
from paypoll.report.result import Report
from paypoll.report.sums import sum_up

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
PERIOD = Period(NOW - timedelta(days=30), NOW, ZoneInfo("Europe/Jersey"))
EVENTS = (
    Line(1, "Winter Concert", 1, "St Helier Chamber Choir", Decimal(1), 1),
    Line(2, "Battle of Flowers: the Moonlight Parade", 2, "Parish Carnival Association", Decimal(1), 1),
    Line(3, "Sea Shanties at the Old Harbour", 3, "The Corbière Crew", Decimal(1), 1),
    Line(4, "Improvised: an evening without a script", 4, "Opera House Players", Decimal(1), 1),
)
PRICES = (Decimal("18.50"), Decimal("9.00"), Decimal("14.00"), Decimal("22.50"))


def sample_report() -> Report:
    """Return the report."""
    chance = random.Random(4)  # noqa: S311 - the same month each time
    placed: Counter[tuple[datetime, str]] = Counter()
    payments, returns, asked = [], [], []
    for number in range(900):
        day = 30 * chance.betavariate(1.6, 1.2)
        at = NOW - timedelta(days=30 - int(day), hours=12 - 24 * chance.betavariate(4, 3))
        if at >= NOW:
            continue
        status = chance.choices(("completed", "failed", "expired", "cancelled"), (86, 6, 7, 1))[0]
        placed[at.replace(minute=0, second=0), status] += 1
        if status != "completed":
            continue
        event = chance.choices(range(4), (8, 5, 3, 2))[0]
        places, fulfilled = chance.randint(1, 4), at + timedelta(seconds=60 + chance.lognormvariate(3.9, 1))
        amount = PRICES[event] * places
        line = Line(EVENTS[event].event_id, EVENTS[event].event, event, EVENTS[event].organiser, amount, places)
        by_person = chance.random() < 0.01
        payments.append(
            Payment(
                number, at, fulfilled, amount, "GBP", by_shop=False, by_person=by_person, on_word=False, lines=(line,)
            )
        )
        if chance.random() < 0.03 and fulfilled + timedelta(days=3) < NOW:
            returns.append(ReturnSeen(number, fulfilled + timedelta(days=3), amount, amount, "GBP", (line,)))
    for hour in range(30 * 24):
        silent = hour in {211, 212, 213, 480}
        looks = 3 + round(3 * math.sin(hour / 24 * math.tau) ** 2)
        asked.append(Asked(NOW - timedelta(hours=hour + 1), looks, looks - 1 if silent else 0, 0))
    runs = [
        RunSeen(
            NOW - timedelta(minutes=5 * number + 2),
            "finished",
            {"mails_sent": number % 3 == 0, "mails_put_off": 2 if 1200 < number < 1215 else 0},
        )
        for number in range(30 * 288)
    ]
    outcomes = Counter(status for (_, status), _ in placed.items())
    begin = NOW - timedelta(days=9)
    facts = Facts(
        placed=[Placed(at, status, orders) for (at, status), orders in placed.items()],
        payments=payments,
        returns=returns,
        decided=[
            Decided("complete", "paid", len(payments) - 14),
            Decided("complete", "paid_late", 14),
            Decided("fail", "payment_failed", outcomes["failed"]),
            Decided("expire", "too_old", outcomes["expired"]),
            Decided("review", "mismatch", 4),
            Decided("review", "hall_full", 2),
        ],
        steps=[
            *(CaseStep(case, begin - timedelta(days=case), reason="mismatch") for case in range(4)),
            *(
                CaseStep(case, begin - timedelta(days=case) + timedelta(hours=2 + 5 * case), how="issue")
                for case in range(4)
            ),
            CaseStep(8, begin, reason="hall_full"),
            CaseStep(9, NOW - timedelta(hours=20), reason="hall_full"),
            CaseStep(8, begin + timedelta(hours=30), how="refund_noted"),
        ],
        open_cases={9: NOW - timedelta(hours=20)},
        findings=[
            FindingSeen("returned", NOW - timedelta(days=day), NOW - timedelta(days=day - 1)) for day in (4, 8, 20)
        ],
        asked=asked,
        runs=runs,
        troubles=(),
    )
    return sum_up(facts, PERIOD, NOW)


if __name__ == "__main__":
    sys.stdout.write(render_page(sample_report(), site_name="Jersey Events", language="en"))
