"""docs/states.md says how a mail moves: held against every function of the outbox, tried in every state."""

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import sqlalchemy as sa

from paypoll.admin.revive import kept_mails, revive
from paypoll.database import transaction
from paypoll.state import due_mail, outbox
from paypoll.state.due_mail import Whose
from paypoll.state.outbox import Mail
from paypoll.state.posted_alerts import hand_over, waiting_alerts
from paypoll.state.tables import outbox as table
from paypoll.testing import NOW

PAGE = (Path(__file__).parents[2] / "docs" / "states.md").read_text(encoding="utf-8").partition("## A mail")[2]
ARROW = re.compile(r"^ +(\w+|\[\*\]) --> (\w+) : (\w+)$", re.MULTILINE)
STATES = ("waiting", "sending", "sent", "undeliverable", "withdrawn")
RUN = "run-1"
LATER, LEASE = NOW + timedelta(minutes=10), timedelta(minutes=5)

Change = Callable[[sa.Connection, Mail], object]
CHANGES: dict[str, Change] = {
    "begin_sending": lambda connection, mail: outbox.begin_sending(connection, mail, RUN, LATER),
    "mark_sent": lambda connection, mail: outbox.mark_sent(connection, mail, "Your tickets", NOW),
    "put_off": lambda connection, mail: outbox.put_off(connection, mail, "later", NOW),
    "give_up": lambda connection, mail: outbox.give_up(connection, mail, "no such mailbox"),
    "withdraw_ours": lambda connection, mail: outbox.withdraw_ours(connection, mail, "it is refunded"),
    "withdraw": lambda connection, _mail: outbox.withdraw(connection, 1, outbox.ALERT),
    "withdraw_about": lambda connection, _mail: outbox.withdraw_about(connection, "alert:", "told again"),
    "hand_back": lambda connection, mail: due_mail.hand_back(connection, [mail], RUN),
}
# What is done with mails that no run has at hand, as their callers choose them.
OF_NOBODY: dict[str, Change] = {
    "give_up_waiting": lambda connection, mail: outbox.give_up_waiting(connection, mail, "no such mailbox"),
    "hand_over": lambda connection, _mail: hand_all_over(connection, "bob@example.org"),
    "revive": lambda connection, _mail: revive_all(connection),
}


def hand_all_over(connection: sa.Connection, admin: str) -> None:
    """Send all alerts that wait to this admin instead."""
    for row in waiting_alerts(connection, LATER, LEASE):
        hand_over(connection, row, [admin], lambda: "<2@shop.example>", LATER)


def revive_all(connection: sa.Connection) -> None:
    """Let all mails be tried again that `paypoll resend` does so with."""
    for kept in kept_mails(connection, LATER, LEASE, *outbox.UNSENT, "undeliverable"):
        revive(connection, kept, LATER, LEASE)


def a_mail(connection: sa.Connection, state: str) -> Mail:
    """Put an alert that this run has claimed into the outbox, in this state."""
    connection.execute(sa.delete(table))
    outbox.post(
        connection,
        kind=outbox.ALERT,
        dedupe_key="alert:key:to:ada@example.org",
        recipients=["ada@example.org"],
        content={},
        message_id="<1@shop.example>",
        now=NOW,
        order_id=1,
    )
    [mail] = due_mail.claim_mail(connection, RUN, NOW, limit=1, lease=LEASE, whose=Whose.ALL, tried=False)
    connection.execute(sa.update(table).values(state=state))
    return mail


def test_picture_of_mail_states_is_what_the_outbox_does(engine: sa.Engine) -> None:
    found = {("[*]", "waiting", "post")}
    with transaction(engine) as connection:
        for state in STATES:
            for name, change in (CHANGES | OF_NOBODY).items():
                mail = a_mail(connection, state)
                if name in OF_NOBODY:
                    due_mail.hand_back(connection, [mail], RUN)
                row = sa.select(table).where(table.c.id == mail.id)
                before = connection.execute(row).one()
                change(connection, mail)
                after = connection.execute(row).one()
                if after != before and name != "hand_back":
                    found.add((state, after.state, name))
                elif name == "hand_back":
                    assert after.state == state
        # Handed over, and back again.
        mail = a_mail(connection, "waiting")
        due_mail.hand_back(connection, [mail], RUN)
        for admin, state in (("bob@example.org", "withdrawn"), ("ada@example.org", "waiting")):
            hand_all_over(connection, admin)
            assert connection.scalar(sa.select(table.c.state).where(table.c.id == mail.id)) == state
        found.add(("withdrawn", "waiting", "hand_over"))
    # `withdraw_these` is given rows that its caller has just locked as `waiting`, and `mark_sent` one that this run
    # began to send: neither looks at the state again.
    drawn = set(ARROW.findall(PAGE)) - {("waiting", "withdrawn", "withdraw_these")}
    assert found - {(state, "sent", "mark_sent") for state in STATES if state != "sending"} == drawn


def test_states_of_the_picture_are_those_that_the_database_allows(engine: sa.Engine) -> None:
    with transaction(engine) as connection:
        [check] = [
            check["sqltext"]
            for check in sa.inspect(connection).get_check_constraints("outbox", schema="paypoll")
            if check["name"] == "outbox_state"
        ]
    assert set(re.findall(r"'(\w+)'", check)) == {after for _, after, _ in ARROW.findall(PAGE)} == set(STATES)
