"""`paypoll preview`: all that people get, from settings and templates alone."""

# ruff: noqa: S603

import json
import subprocess
import sys
from collections.abc import Iterator
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
from icalendar import Calendar
from tests.integration.tickets.test_printer import page_count, text_of
from tests.settings_text import sound_settings, write_settings_file

from paypoll.admin.preview import write_preview
from paypoll.app import App
from paypoll.errors import CannotWriteError
from paypoll.mail.content.compose import KINDS
from paypoll.settings.load import load_settings
from paypoll.testing import FakePrinter

SETTINGS = sound_settings(
    site={"name": "Harbour Nights", "time_zone": "Europe/Jersey", "currency": "EUR"},
    database={"url": "postgresql://paypoll:none@nowhere.invalid/shop"},
    sumup={"api_key": "sup_sk_secret"},
    mail={"sender": "tickets@shop.example"},
    tickets={"what_to_bring": "Bring a raincoat."},
)
# In a process of its own, which ends at the first attempt to reach anything.
OFFLINE = """
import sys
sys.addaudithook(lambda event, _: sys.exit(event) if event in ("socket.connect", "socket.getaddrinfo") else None)
from paypoll.__main__ import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.fixture
def config(tmp_path: Path) -> Path:
    return write_settings_file(tmp_path / "config.toml", SETTINGS)


@pytest.fixture
def app(config: Path, tmp_path: Path) -> Iterator[App]:
    """An app with its own empty template folders, and a printer that prints nothing."""
    folders = {"PAYPOLL_MAIL__TEMPLATE_FOLDER": str(tmp_path), "PAYPOLL_TICKETS__TEMPLATE_FOLDER": str(tmp_path)}
    made = App(load_settings(config, folders), read_only=True)
    yield made
    made.close()


def test_preview_without_database_or_network_writes_a_ticket_and_every_mail(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "new" / "preview"
    command: list[str | Path] = [sys.executable, "-c", OFFLINE, "--config", config, "preview", "--out", out, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shown = json.loads(done.stdout)
    assert shown["problems"] == []
    names = {Path(file).name for file in shown["files"]}
    mails = {f"{kind}.{form}" for kind in (*KINDS, "summary") for form in ("html", "txt", "eml")}
    assert names == {path.name for path in out.iterdir()} == {"ticket.pdf", "tickets.ics"} | mails
    pdf = (out / "ticket.pdf").read_bytes()
    assert page_count(pdf) == 1
    assert all(text in text_of(pdf) for text in ("Harbour Nights", "12.50 EUR", "Bring a raincoat."))
    assert "Bring a raincoat." in (out / "confirmation.txt").read_text()
    assert "25.00 EUR" in (out / "confirmation.html").read_text()
    (zone,) = Calendar.from_ical((out / "tickets.ics").read_bytes()).walk("VTIMEZONE")
    assert zone["tzid"] == "Europe/Jersey"


def test_preview_of_confirmation_is_a_whole_message_and_others_have_no_tickets(app: App, tmp_path: Path) -> None:
    app.printer = FakePrinter()
    write_preview(tmp_path / "out", app.settings, app.printer, app.composer, app.clock.now())

    def attached(name: str) -> list[str | None]:
        message = message_from_bytes((tmp_path / "out" / f"{name}.eml").read_bytes(), policy=default)
        assert isinstance(message, EmailMessage)
        assert (message["From"], message["Reply-To"]) == ("tickets@shop.example", "help@shop.example")
        return [part.get_filename() for part in message.iter_attachments()]

    assert attached("confirmation") == attached("late_confirmation") == ["ticket.pdf", "tickets.ics"]
    assert attached("payment_failed") == attached("under_review") == attached("summary") == []


def test_preview_with_broken_templates_names_file_and_line_and_writes_the_rest(app: App, tmp_path: Path) -> None:
    (tmp_path / "ticket.html").write_text("<p>\n{{ nothing.here }}")
    (tmp_path / "payment_failed.txt").write_text("Hello\n\n{% if %}")
    made = write_preview(tmp_path / "out", app.settings, app.printer, app.composer, app.clock.now())
    ticket, mail = made.problems
    assert "ticket.html, line 2: " in ticket
    assert f"{tmp_path / 'payment_failed.txt'}, line 3" in mail
    names = {file.name for file in made.files}
    assert not names & {"ticket.pdf", "payment_failed.txt", "payment_failed.eml"}
    assert {"confirmation.eml", "alert.html"} <= names


def test_preview_with_template_folder_that_is_not_there_says_so(config: Path, tmp_path: Path) -> None:
    app = App(load_settings(config, {"PAYPOLL_MAIL__TEMPLATE_FOLDER": str(tmp_path / "gone")}), read_only=True)
    app.printer = FakePrinter()
    (problem,) = write_preview(tmp_path / "out", app.settings, app.printer, app.composer, app.clock.now()).problems
    assert problem.startswith(f"mail.template_folder: there is no folder {tmp_path / 'gone'}")


def test_preview_command_with_broken_template_ends_with_the_status_of_wrong_settings(
    config: Path, tmp_path: Path
) -> None:
    (tmp_path / "greeting.txt").write_text("{{ nobody }}")
    config.write_text(SETTINGS.replace("[alerts]", f'template_folder = "{tmp_path}"\n[alerts]'))
    command: list[str | Path] = [
        sys.executable,
        "-m",
        "paypoll",
        "--config",
        config,
        "preview",
        "--out",
        tmp_path / "out",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 78
    assert done.stderr == f"PROBLEM  {tmp_path / 'greeting.txt'}, line 1: 'nobody' is undefined\n"
    assert f"{tmp_path / 'out' / 'alert.eml'}\n" in done.stdout


def test_preview_into_a_folder_that_cannot_be_made_says_so(app: App, tmp_path: Path) -> None:
    app.printer = FakePrinter()
    (tmp_path / "file").touch()
    with pytest.raises(CannotWriteError, match="cannot be written: not a directory"):
        write_preview(tmp_path / "file" / "out", app.settings, app.printer, app.composer, app.clock.now())
