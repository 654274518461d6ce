"""Many alerts of one kind leave as one summary."""

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from paypoll.alerts.orders import Level, OrderAlert
from paypoll.database import transaction
from paypoll.payments.gateway import Found
from paypoll.runs.record import record_run
from paypoll.shop.orders import read_orders
from paypoll.testing import NOW

if TYPE_CHECKING:
    from tests.integration.conftest import Bench, Place


@pytest.mark.parametrize(("orders", "expected"), [(4, 4), (5, 1), (30, 1)])
def test_many_alerts_of_one_kind_become_one_summary(bench: "Bench", place: "Place", orders: int, expected: int) -> None:
    for number in range(orders):
        place(f"ORD-{number:02}")
        look = bench.gateway.checkouts[f"chk-ORD-{number:02}"]
        assert isinstance(look, Found)
        bench.gateway.checkouts[f"chk-ORD-{number:02}"] = Found(replace(look.value, amount=Decimal(1)))
    record_run(bench.app, "run-once")
    assert len(bench.mailer.sent) == expected
    bodies = "".join(message.as_string() for message, _ in bench.mailer.sent)
    assert all(f"ORD-{number:02}" in bodies for number in range(orders))
    bench.clock.move(timedelta(minutes=5))
    record_run(bench.app, "run-once")
    assert len(bench.mailer.sent) == expected


@pytest.mark.parametrize(("orders", "expected"), [(1, "1 order: paid twice"), (3, "3 orders: paid twice")])
def test_summary_counts_the_orders_and_not_their_alerts(
    bench: "Bench", engine: sa.Engine, place: "Place", orders: int, expected: str
) -> None:
    ids = [place(f"ORD-{number}") for number in range(orders)]
    with transaction(engine) as connection:
        for order in read_orders(connection, ids).values():
            for checkout in range(6):
                alert = OrderAlert(
                    f"paid_twice:{checkout}", Level.ALERT, "Paid twice", ("Two payments.",), ("Refund one.",)
                )
                bench.app.desk.tell_about_order(connection, order, alert, NOW)
    record_run(bench.app, "run-once")
    told = [message for message, _ in bench.mailer.sent if "[Jersey Events Alert]" in message["Subject"]]
    assert [message["Subject"] for message in told] == [f"[Jersey Events Alert] {expected}"]
