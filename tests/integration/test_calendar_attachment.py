"""The calendar file on its way: with the tickets, in the first message, within the size limit."""

from collections.abc import Iterator
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from icalendar import Calendar

from paypoll.app import App
from paypoll.database import transaction
from paypoll.runs.record import record_run
from paypoll.settings.load import load_settings
from paypoll.state.due_mail import Whose, claim_mail

if TYPE_CHECKING:
    from tests.integration.conftest import Bench, Place


def calendars(message: EmailMessage) -> list[EmailMessage]:
    return [part for part in message.iter_attachments() if part.get_content_type() == "text/calendar"]


def test_confirmation_carries_the_calendar_file_and_says_so(bench: "Bench", place: "Place") -> None:
    place("ORD-1")
    record_run(bench.app, "run-once")
    ((message, _),) = bench.mailer.sent
    (part,) = calendars(message)
    assert (part.get_filename(), part.get_param("method")) == ("tickets.ics", "PUBLISH")
    (entry,) = Calendar.from_ical(part.get_content()).walk("VEVENT")
    assert entry["summary"] == "Winter Concert"
    for kind in ("plain", "html"):
        text = message.get_body((kind,))
        assert text is not None
        assert "tickets.ics puts the date into your calendar" in text.get_content()


def test_confirmation_sent_again_has_the_same_calendar_file(bench: "Bench", place: "Place") -> None:
    place("ORD-1")
    bench.mailer.failures.append(ConnectionError("cut off"))
    record_run(bench.app, "run-once")
    bench.clock.move(timedelta(hours=1))
    record_run(bench.app, "run-once")
    ((message, _),) = [sent for sent in bench.mailer.sent if calendars(sent[0])]
    (entry,) = Calendar.from_ical(calendars(message)[0].get_content()).walk("VEVENT")
    # When it was posted, not when it was sent.
    assert entry.decoded("dtstamp") == bench.clock.now().replace(microsecond=0) - timedelta(hours=1)


def test_confirmation_packed_again_has_the_same_bytes(bench: "Bench", settings_file: Path, place: "Place") -> None:
    place("ORD-1")
    bench.mailer.failures.append(ConnectionError("cut off"))
    record_run(bench.app, "run-once")
    bench.clock.move(timedelta(hours=1))

    def packed() -> bytes:
        """As another process would, after a crash: with nothing kept from the last time, and the real printer."""
        app = App(load_settings(settings_file, {}), clock=bench.clock)
        try:
            (message,) = app.packer.pack(mail).messages
            return message.as_bytes(policy=SMTP)
        finally:
            app.close()

    with transaction(bench.app.engine) as connection:
        (mail,) = claim_mail(
            connection, "run", bench.clock.now(), limit=1, lease=timedelta(minutes=5), whose=Whose.ALL, tried=True
        )
    assert packed() == packed()


@pytest.fixture
def tight(bench: "Bench", settings_file: Path) -> Iterator[App]:
    """An app like the bench's, whose mail server takes small messages only; the tickets are of the real printer."""
    app = App(load_settings(settings_file, {"PAYPOLL_MAIL__SIZE_LIMIT": "120kB"}), clock=bench.clock)
    app.gateway, app.mailer = bench.gateway, bench.mailer
    yield app
    app.close()


def test_tickets_in_several_messages_have_the_calendar_file_in_the_first(
    tight: App, bench: "Bench", place: "Place"
) -> None:
    place("ORD-1", quantity=8)
    record_run(tight, "run-once")
    messages = [message for message, _ in bench.mailer.sent]
    assert len(messages) > 1
    assert [len(calendars(message)) for message in messages] == [1] + [0] * (len(messages) - 1)
    assert all(len(message.as_bytes(policy=SMTP)) <= 120_000 for message in messages)
