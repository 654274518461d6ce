"""What waits, and for whom."""

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import click
import sqlalchemy as sa

from paypoll.cli.commands.queue import backlog_json, backlog_lines
from paypoll.cli.render.screen import shown
from paypoll.database import transaction
from paypoll.payments.gateway import CheckoutStatus, NoAnswer
from paypoll.state.tables import outbox, run, watch

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Command, Desk


def shown_queue(desk: "Desk") -> list[str]:
    return [click.unstyle(shown(line)) for line in backlog_lines(desk.backlog(), desk.app.settings.site)]


def test_nothing_waits_says_so(desk: "Desk") -> None:
    assert shown_queue(desk) == ["No run yet.", "", "Nothing waits."]
    desk.place("ORD-1")
    desk.run()
    desk.bench.clock.move(timedelta(minutes=4))
    first, *rest = shown_queue(desk)
    assert first.startswith("Last run: 4 minutes ago on ")
    assert first.endswith("(run-once), finished after 0 seconds")
    assert rest == ["", "Nothing waits."]


def test_waiting_order_has_its_age_last_answer_and_next_check(desk: "Desk") -> None:
    desk.place("ORD-1", CheckoutStatus.PENDING)
    (fresh,) = desk.backlog().waiting
    assert (fresh.last_checked_at, fresh.last_answer) == (None, "")
    assert "      not looked at yet; in the next run" in shown_queue(desk)
    desk.run()
    desk.bench.clock.move(timedelta(minutes=3))
    lines = shown_queue(desk)
    assert "  ORD-1  25.00 GBP, placed 3 minutes ago" in lines
    assert "      asked 3 minutes ago: still pending; again in the next run" in lines


def test_waiting_order_with_a_later_check_says_when(desk: "Desk", engine: sa.Engine) -> None:
    desk.place("ORD-1", CheckoutStatus.PENDING)
    desk.run()
    with transaction(engine) as connection:
        connection.execute(sa.update(watch).values(next_check_at=desk.bench.clock.now() + timedelta(minutes=20)))
    assert any(line.endswith("again in 20 minutes") for line in shown_queue(desk))


def test_orders_that_nobody_waits_for_are_left_out(desk: "Desk") -> None:
    desk.place("ORD-1", CheckoutStatus.FAILED)
    abandoned = desk.place("ORD-2", CheckoutStatus.PENDING)
    desk.shop.update("orders_order", abandoned, status="pending")
    desk.run()
    assert desk.backlog().waiting == ()


def test_review_says_since_when_and_why(desk: "Desk") -> None:
    desk.in_review("ORD-1")
    desk.bench.clock.move(timedelta(hours=2))
    desk.run()
    (review,) = desk.backlog().reviews
    assert (review.reason, review.since) == ("mismatch", desk.bench.clock.now() - timedelta(hours=2))
    lines = shown_queue(desk)
    assert "  ORD-1  25.00 GBP, since 2 hours, event on 07 December 2026" in lines
    assert any("paid 24.99 GBP" in line for line in lines)


def test_review_that_the_shop_opened_is_listed_as_such(desk: "Desk") -> None:
    order_id = desk.place("ORD-1")
    desk.shop.update("orders_order", order_id, status="requires_manual_review")
    assert any("put there by the shop" in line for line in shown_queue(desk))


def test_unsent_mail_has_its_attempts_and_error(desk: "Desk") -> None:
    desk.place("ORD-1")
    desk.bench.mailer.down = "connection refused"
    desk.run()
    desk.bench.clock.move(timedelta(minutes=10))
    lines = shown_queue(desk)
    at = lines.index("  1  confirmation of ORD-1 to ord-1@example.org")
    assert lines[at + 1 : at + 3] == [
        "      waiting since 10 minutes, 1 attempt, again in the next run",
        "      connection refused",
    ]


def test_undeliverable_mail_is_listed_until_another_went_out(desk: "Desk") -> None:
    order_id = desk.place("ORD-1")
    desk.shop.update("orders_order", order_id, email="no address")
    desk.run()
    assert [mail.state for mail in desk.backlog().mails] == ["undeliverable"]
    desk.shop.update("orders_order", order_id, email="ada@example.org")
    desk.app.resender.resend("ORD-1", "margot")
    assert desk.backlog().mails == ()


def test_undeliverable_mail_is_forgotten_after_a_week(desk: "Desk", engine: sa.Engine) -> None:
    order_id = desk.place("ORD-1")
    desk.shop.update("orders_order", order_id, email="no address")
    desk.run()
    with transaction(engine) as connection:
        connection.execute(sa.update(outbox).values(created_at=desk.bench.clock.now() - timedelta(days=8)))
    assert desk.backlog().empty


def test_trouble_is_listed(desk: "Desk") -> None:
    desk.place("ORD-1")
    desk.bench.gateway.checkouts["chk-ORD-1"] = NoAnswer("timed out")
    desk.run()
    desk.bench.clock.move(timedelta(minutes=5))
    assert "  sumup silent, since 5 minutes; admins are told if it lasts" in shown_queue(desk)


def test_run_that_was_killed_is_shown_as_such(desk: "Desk", engine: sa.Engine) -> None:
    desk.run()
    with transaction(engine) as connection:
        connection.execute(sa.update(run).values(ended=None, ended_at=None))
    assert shown_queue(desk)[0].endswith("under way, or killed")


def test_lines_fit_eighty_columns_and_long_lists_are_cut(desk: "Desk") -> None:
    for number in range(45):
        desk.place(f"ORD-{number}-" + "X" * 60, CheckoutStatus.PENDING)
    desk.in_review("REVIEW")
    lines = shown_queue(desk)
    # What nobody need look at comes last, however much of it there is.
    assert lines.index("Waiting for a person (1)") < lines.index("Waiting for SumUp (45)")
    assert max(map(len, lines)) <= 80
    assert "  and 5 more (--json lists all)" in lines
    document = json.loads(backlog_json(desk.backlog(), desk.app.settings.site))
    assert (document["schema"], document["currency"], len(document["waiting"])) == (1, "GBP", 45)
    assert document["reviews"][0]["reason"] == "mismatch"


def test_queue_as_a_command_changes_nothing(desk: "Desk", paypoll: "Command", engine: sa.Engine) -> None:
    desk.place("ORD-1", CheckoutStatus.PENDING)
    done = paypoll("queue")
    assert (done.returncode, done.stderr) == (0, "")
    assert "Waiting for SumUp (1)" in done.stdout
    with transaction(engine) as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(watch)) == 0
