"""The digest: once a day, at its time, by the site's clock; none where there is nothing to say."""

from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING

import pytest

from paypoll.alerts.digest import post_digest
from paypoll.database import transaction

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Desk

EIGHT = time(8, 0)


def post(desk: "Desk", now: datetime) -> bool:
    with transaction(desk.app.engine) as connection:
        return post_digest(connection, desk.app.desk, EIGHT, now)


def test_digest_says_what_happened_and_what_waits_the_oldest_first(desk: "Desk") -> None:
    desk.in_review("ORD-OLD")
    desk.bench.clock.move(timedelta(hours=1))
    desk.in_review("ORD-NEW")
    desk.place("ORD-PAID")
    desk.run()
    morning = (desk.app.clock.now() + timedelta(days=1)).replace(hour=8, minute=5)
    desk.bench.mailer.sent.clear()
    desk.bench.clock.move(morning - desk.app.clock.now())
    assert not post(desk, morning.replace(hour=7, minute=59))
    told = []
    for _ in range(2):
        with transaction(desk.app.engine) as connection:
            told.append(desk.app.desk.has_told(connection, f"digest:{morning:%Y-%m-%d}"))
        assert post(desk, morning) is not told[-1]
    assert told == [False, True]  # it is not even put together again
    assert not post(desk, morning + timedelta(hours=1))
    desk.run()
    (message,) = [one for one, _ in desk.bench.mailer.sent if "The last day" in str(one["Subject"])]
    text = str(message.get_body(("plain",)).get_content())  # type: ignore[union-attr]
    assert "1 paid, tickets issued, 2 sent to a person" in text
    assert "Orders that wait for a person: 2." in text
    assert text.index("ORD-OLD") < text.index("ORD-NEW")
    assert "sudo paypoll queue --reviews" in text
    assert not post(desk, morning + timedelta(hours=1))


@pytest.mark.parametrize("now", [datetime(2026, 12, 1, 8, 0, tzinfo=UTC), datetime(2026, 12, 1, 23, 59, tzinfo=UTC)])
def test_digest_of_a_day_without_anything_is_left_out(desk: "Desk", now: datetime) -> None:
    assert not post(desk, now)
