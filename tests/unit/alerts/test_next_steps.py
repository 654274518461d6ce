"""The commands that stand in alerts: they are paypoll's own, and no order's number makes anything else of them."""

import json
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from html import unescape
from zoneinfo import ZoneInfo

import click
import pytest
from tests.systemd.test_troubleshooting import ALERTS, section

from paypoll.admin.explain import explain
from paypoll.alerts.desk import AlertDesk
from paypoll.alerts.next_steps import (
    Step,
    order_word,
    steps_of_astray,
    steps_of_fee,
    steps_of_finding,
    steps_of_mail,
    steps_of_order,
    steps_of_review,
    steps_of_status,
    steps_of_told,
    steps_of_whole,
)
from paypoll.alerts.orders import Level, OrderAlert, alert_about
from paypoll.cli import cli
from paypoll.mail.content.compose import ComposeOptions, Composer
from paypoll.mail.content.contexts import AlertContext
from paypoll.payments.decision import Notice, NoticeKind, Reason
from paypoll.payments.order_statuses import OrderStatus
from paypoll.payments.told import ToldKind, told_kind
from paypoll.settings.model import SiteSettings
from paypoll.testing import an_order

SITE = SiteSettings(base_url="https://shop.example", support_email="help@shop.example")
DESK = AlertDesk(("admin@shop.example",), SITE, "shop.example", remind_every=timedelta(days=1))
COMPOSER = Composer(
    ComposeOptions("Jersey Events", "https://shop.example", "help@shop.example", "t@shop.example", ZoneInfo("UTC"))
)
HOSTILE = (
    "ORD-1;touch /tmp/owned",
    "$(reboot)",
    "`reboot`",
    "--yes",
    "-h",
    "a b",
    "ORD-1\nsudo reboot",
    "ORD-1' --override '",
    'ORD-1" --override "',
    "{order}",
    "ORD-1\u202e",
    "ОRD-1",  # its first letter is Cyrillic
    "\uff2f\uff32\uff24",  # full-width letters
    "٣",
    "",
    "ORD-1\n",
    "!!",
    "~root",
    "*",
    "=x",
    "a/b",
)
REASONS = [Reason(name) for name in re.findall(r"^\| `(\w+)` \|", section("### Reviews"), re.MULTILINE)]
OF_ORDERS = ("mail_waits", "undeliverable", "refund_not_made", "refund_not_shown", "refund_surplus")
WHOLE = sorted({alert.key for alert in ALERTS} - {kind.value for kind in NoticeKind} - {"finding", *OF_ORDERS})


def order_alerts() -> Iterator[OrderAlert]:
    """Yield an alert of every kind that is about one order."""
    order = an_order()
    for kind in set(NoticeKind) - {NoticeKind.NOT_LISTED}:  # which is a listing fee's alone
        for reason in REASONS if kind is NoticeKind.REVIEW else ["chk-1"]:
            yield alert_about(order, Notice(kind, reason))
    for key in OF_ORDERS:
        yield OrderAlert(f"{key}:1", Level.ALERT, "its mail", ("found",), ("todo",))


def every_alert(number: str) -> Iterator[AlertContext]:
    """Yield what a mail of every kind of alert says, about an order with this number or about the whole."""
    order = replace(an_order(), number=number)
    for alert in order_alerts():
        yield DESK.about_order(order, alert)
    for kind in NoticeKind:
        yield AlertContext("Alert", kind, kind, what_to_do=("todo",), commands=tuple(steps_of_fee(kind, number)))
    for reason in (*REASONS, Reason.DRAFT_AGAIN, Reason.NO_PAYMENT, Reason.MARKED_PAID, Reason.NOT_A_DRAFT):
        steps = tuple(steps_of_fee(f"review:{reason}:chk-1", number))
        yield AlertContext("Alert", f"fee {reason}", "fee", what_to_do=("todo",), commands=steps)
    for word in ("", order_word(order.id, number)):
        yield AlertContext("Alert", "finding", "f", what_to_do=("todo",), commands=tuple(steps_of_finding(12, word)))
    for key in WHOLE:
        steps = tuple(steps_of_whole(f"{key}:MCODE:2026"))
        yield AlertContext("Alert", key, key, what_to_do=("todo",), commands=steps)


def pasted(context: AlertContext) -> list[str]:
    """Return the commands that the mail shows; the same stand in its text and in its HTML."""
    message = COMPOSER.compose(
        "alert",
        json.loads(json.dumps(context.to_json())),
        message_id="<1@shop.example>",
        date=datetime(2026, 11, 23, tzinfo=UTC),
        to=["admin@shop.example"],
    )
    text, html = (message.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    found = re.findall(r"^ {4}(sudo .*)$", str(text.get_content()), re.MULTILINE)
    assert found == [unescape(one) for one in re.findall(r"<code[^>]*>(.*?)</code>", str(html.get_content()))]
    return found


def parse(command: str) -> None:
    """Let click parse the command, as the program does, and do nothing. Raise what click raises."""
    # As it stands the program refuses it, so that nobody sends tickets to a place-holder.
    filled_in = command.replace("--to ADDRESS", "--to ada@example.org")
    program, name, *arguments = shlex.split(filled_in)
    assert (program, name) == ("sudo", "paypoll")
    group: click.Command = cli
    context = None
    while isinstance(group, click.Group):
        context = group.make_context("paypoll", [], parent=context, resilient_parsing=True)
        _, found, arguments = group.resolve_command(context, arguments)
        assert found is not None, command
        group = found
    group.make_context(group.name, arguments, parent=context).close()


@pytest.mark.parametrize("number", ["ORD-1001", HOSTILE[0]])
def test_every_alert_has_commands_that_the_program_takes(number: str) -> None:
    contexts = list(every_alert(number))
    assert len(contexts) >= 50
    without = set()
    for context in contexts:
        commands = pasted(context)
        for command in commands:
            parse(command)
            words = shlex.split(command)
            if words[2] == "explain":
                explain(words[3])  # refuses what it does not know
        if len(commands) < 2:
            without.add(context.headline)
    assert without == {"order_gone", "order_gone_open", "fee_gone", "fee_gone_open", "refund_order_gone"}


def test_every_place_that_shows_commands_shows_those_that_the_program_takes() -> None:
    shown = [
        *(step for status in OrderStatus for step in steps_of_status(status, "ORD-1")),
        *(step for reason in ("", "no such reason", *Reason) for step in steps_of_review(reason, "ORD-1")),
        *steps_of_astray("ORD-1", paid=True),
        *steps_of_astray("ORD-1", paid=False),
        *steps_of_mail(17, "ORD-1"),
        *steps_of_mail(17, ""),
        *steps_of_told(3, ToldKind.PAID_BUT_VOID, "ORD-1"),
        *steps_of_told(3, ToldKind.ORDER_GONE),
    ]
    for step in shown:
        parse(step.command)


def test_every_notice_of_money_is_a_case_or_is_listed_as_something_else() -> None:
    waits = {NoticeKind.BROKEN_ANSWER, NoticeKind.UNKNOWN_STATUS}
    review = {NoticeKind.REVIEW, NoticeKind.NOT_LISTED}
    over = {NoticeKind.EXPIRED, NoticeKind.PAID_LATE, NoticeKind.REPLAYED, NoticeKind.ISSUED_BY_SHOP}
    kept = {kind for kind in NoticeKind if told_kind(f"{kind}:chk-1") is not None}
    assert kept == set(NoticeKind) - waits - review - over


def test_alert_about_a_case_outside_a_review_has_no_command_that_is_refused() -> None:
    of_review = [step.command for step in steps_of_order("paid_not_issued:chk-1", "ORD-1")]
    of_case = [step.command for step in steps_of_order("paid_not_issued:chk-1", "ORD-1", finding=3)]
    assert [command for command in of_review if "resolve ORD-1" in command]
    assert [command for command in of_case if "resolve" in command] == [
        'sudo paypoll resolve --finding 3 --reason "settled"'
    ]


def test_parsing_notices_an_option_that_is_not_there() -> None:
    with pytest.raises(click.NoSuchOption):
        parse("sudo paypoll inspect ORD-1 --nothing")


@pytest.mark.parametrize("number", HOSTILE)
def test_hostile_order_number_is_never_in_a_command(number: str) -> None:
    assert order_word(17, number) == "id:17"


@pytest.mark.parametrize("number", ["ORD-1001", "20260001", "a_b", "_x-"])
def test_plain_order_number_names_its_order(number: str) -> None:
    assert order_word(17, number) == number


def test_root_shell_runs_nothing_but_paypoll_on_hostile_orders() -> None:
    steps: list[Step] = []
    for number in HOSTILE:
        word = order_word(17, number)
        steps += [step for alert in order_alerts() for step in steps_of_order(alert.key, word)]
        steps += [*steps_of_fee("review", number), *steps_of_finding(12, word)]
    script = "sudo() { printf '%s\\n' \"$*\"; }\n" + "\n".join(step.command for step in steps)
    done = subprocess.run(  # noqa: S603 - what is tested
        [shutil.which("sh") or "/bin/sh", "-c", script], env={}, check=True, capture_output=True, text=True
    )
    assert done.stdout.splitlines() == [" ".join(shlex.split(step.command)[1:]) for step in steps]
    assert done.stderr == ""


def test_what_is_over_needs_no_command() -> None:
    assert steps_of_whole("sumup_silent:over:2026-11-23T15:00:00+00:00") == []
    assert steps_of_whole("not_allowed:MCODE:over:2026-11-23T15:00:00+00:00") == []


def test_no_advice_leads_into_the_shops_admin_by_hand() -> None:
    told = " ".join(sentence for alert in order_alerts() for sentence in alert.todo)
    assert not re.search(r"by hand|in the shop's admin", told)
