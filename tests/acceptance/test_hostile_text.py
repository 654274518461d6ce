"""Text of the shop that would steer a terminal, fake a line or turn the reading direction, in every command."""

import re
import sys
from pathlib import Path

import pytest
from tests.acceptance.papers import body, subject
from tests.acceptance.stage import ADMIN, API_KEY, Ended, Placed, Stage

from paypoll.cli import cli

# Is coloured by rich's markup, clears the screen, sets the window's title, begins a line of its own, colours by one
# byte, reads backwards.
HOSTILE = "[red]x[/]\x1b[2J\x1b]0;x\x07\r\nFORGED line\x9b31m\u202e\u2028FORGED again\x7f"
HARMFUL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff]")
OURS = re.compile("\x1b\\[[0-9;]+m|\r(?=\n)")
# What paypoll is steered by: a status, a currency and ids of SumUp are compared, not only shown.
STEERING = {"status", "currency", "sumup_checkout_id", "merchant_code", "email", "slug", "user_type", "payment_method"}
NO_SHOP_TEXT = {"config", "db", "preview", "demo", "sandbox", "explain"}
"""Commands that show nothing of the shop's rows."""

ON_A_TERMINAL = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))"


def answers_by_url(stage: Stage) -> Path:
    """Write the answers that `paypoll setup` takes: the currency and the merchants are the shop's rows' own."""
    file = stage.folder / "answers.toml"
    file.write_text(
        f"""
        shop = "{stage.owner_url}"
        sumup_key = "{API_KEY}"
        name = "The Shop"
        address = "{stage.sumup.url}"
        support = "help@shop.example"
        alerts = ["{ADMIN}"]
        ping = "none"
        every = 5
        """
    )
    file.chmod(0o600)
    return file


def poison(stage: Stage, *, sparing: str = "") -> None:
    """Put hostile text into every text column of every row of the shop, as far as it fits.

    `sparing` is left as it is wherever it stands: an order's number has to be the one that SumUp knows.
    """
    columns = stage.sql(
        "SELECT table_name, column_name, coalesce(character_maximum_length, 1000) AS most"
        " FROM information_schema.columns WHERE table_schema = 'public'"
        " AND data_type IN ('character varying', 'text')"
    )
    for row in columns:
        table, column, most = (str(value) for value in row.values())
        if column in STEERING or column.startswith("sumup_") or table == "accounts_user":
            continue
        quoted = f'"{column}"'
        stage.sql(
            f'UPDATE "{table}" SET {quoted} = left({quoted} || :text, :most)'  # noqa: S608 - names of the catalogue
            f" WHERE {quoted} NOT LIKE '%FORGED%' AND {quoted} <> :sparing",
            text=HOSTILE,
            sparing=sparing,
            most=int(most),
        )


@pytest.fixture
def poisoned(stage: Stage) -> tuple[Stage, dict[str, Placed]]:
    """A stage whose shop is full of hostile text, with an order of each kind."""
    orders = {
        "paid": stage.order("ORD-PAID", checkout="PAID"),
        "review": stage.order("ORD-REVIEW", checkout="PAID"),
        "refused": stage.order("ORD-REFUSED", checkout="PAID"),
        "waiting": stage.order("ORD-WAITING"),
        "old": stage.order("ORD-OLD"),
        "nobody": stage.order("ORD-NOBODY", checkout="PAID", email="ada" + HOSTILE + "@buyer.example"),
    }
    for name in ("review", "refused"):
        stage.sumup.refund(orders[name].checkout)
    poison(stage, sparing="ORD-PAID")
    stage.pages_checked = False  # the names of the tickets' files are poisoned too
    return stage, orders


def test_hostile_text_of_the_shop_is_shown_harmlessly_by_every_command(
    poisoned: tuple[Stage, dict[str, Placed]],
) -> None:
    stage, orders = poisoned
    stage.grant(refunds=True)
    stage.environ["sumup__allow_refunds"] = "true"
    ids = {name: str(order.id) for name, order in orders.items()}
    walk = [
        ("run-once", "--dry-run"),
        ("run-once", "--verbose"),
        ("expire", ids["old"], "--yes", "--verbose"),
        ("queue",),
        ("queue", "--json"),
        *(("inspect", ids[name]) for name in ("paid", "review", "nobody")),
        ("inspect", ids["waiting"], "--live"),
        ("inspect", ids["review"], "--json"),
        ("recheck", ids["review"], "--why", "why" + HOSTILE, "--yes"),
        ("recheck", ids["refused"], "--why", "why", "--yes", "--json"),
        ("run-once",),
        ("resolve", ids["review"], "--issue", "--reason", "why", "--yes"),
        ("resolve", ids["review"], "--issue", "--override", "--reason", "why", "--yes"),
        ("resolve", ids["refused"], "--reject", "--reason", "why", "--json", "--yes"),
        ("expire", ids["paid"], "--yes"),
        ("resend", ids["paid"]),
        ("resend", ids["nobody"]),
        ("resend", "--all-undeliverable", "--yes"),
        ("resolve", "--of", "refunded", "--reject", "--reason", "why", "--yes"),
        ("pause", ids["waiting"], "--reason", "why" + HOSTILE),
        ("resume", ids["waiting"]),
        ("inspect", "FORGED"),
        ("refund", ids["paid"], "--amount", "1.00", "--reason", "why" + HOSTILE, "--yes"),
        ("reconcile", "--since", "1d"),
        ("reconcile", "--payouts", "--since", "1d"),
        ("report", "--since", "1d"),
        ("mail", "list"),
        ("runs",),
        ("check",),
        ("setup", "--answers", str(answers_by_url(stage)), "--dry-run", "--yes"),
    ]
    assert {words[0] for words in walk} == set(cli.commands) - NO_SHOP_TEXT
    shown = ""
    for words in walk:
        ended = stage.paypoll(*words)
        assert ended.code in {0, 1, 65, 66, 75, 78}, (words, ended.stderr)
        check_harmless(words, ended)
        shown += ended.stdout + ended.stderr
        if words[0] != "run-once":
            poison(stage)
    assert stage.status(orders["paid"]) == "completed", shown
    # It was shown, not left out.
    assert shown.count("\\x1b[2J") > len(ids)
    assert "\\u009b31m\\u202e" in shown
    # What was paid for under another number would be an order that is gone, of no event.
    stage.shop.update("orders_order", orders["paid"].id, order_number="ORD-PAID")
    stage.wrapper = ("/usr/bin/env", "TERM=xterm", "NO_COLOR=", sys.executable, "-c", ON_A_TERMINAL)
    for words in (("inspect", ids["nobody"]), ("queue",), ("run-once", "--dry-run"), ("report", "--since", "1d")):
        ended = stage.paypoll(*words)
        assert OURS.search(ended.stdout)
        assert "[red]x" in ended.stdout, words
        check_harmless(words, Ended(ended.code, OURS.sub("", ended.stdout), ended.stderr))


def test_hostile_text_of_the_shop_is_harmless_in_mails(poisoned: tuple[Stage, dict[str, Placed]]) -> None:
    stage, orders = poisoned
    assert stage.run_once().code == 0
    told = [mail for mail in stage.sink.messages if mail.recipients == (ADMIN,)]
    assert len(told) >= 3
    assert stage.mails(orders["paid"]), [body(mail) for mail in told]
    for mail in stage.sink.messages:
        for text in (subject(mail), body(mail).replace("\r\n", "\n")):
            assert not HARMFUL.search(text), text
    for mail in told:
        assert not re.search(r"^\s*FORGED", body(mail), re.MULTILINE), body(mail)


def check_harmless(words: tuple[str, ...], ended: Ended) -> None:
    """Check that nothing on either stream could steer a terminal or stand on a line of its own making."""
    for text in (ended.stdout, ended.stderr):
        found = HARMFUL.search(text)
        assert not found, (words, text[max(0, found.start() - 80) :][:160])
        assert not re.search(r"^FORGED", text, re.MULTILINE), (words, text)
