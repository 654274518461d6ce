"""`paypoll setup`, by a file and as a person types: from a shop's folder and a SumUp key to runs that issue tickets."""

import os
import pty
import re
import select
import subprocess
import time
import tomllib
from pathlib import Path

import pytest
from tests.acceptance.stage import ADMIN, API_KEY, MERCHANT, PROGRAM, Stage

_SETTINGS = """
from .base import *
DATABASES["default"]["USER"] = os.environ.get("DB_USER", "nobody")
MEDIA_ROOT = os.path.join(os.environ["MEDIA"])
raise SystemExit("a stranger's code was run")
"""
_BASE = """
import os
from pathlib import Path
BASE_DIR = Path(__file__).resolve().parent.parent
DATABASES = {{"default": {{"ENGINE": "django.db.backends.postgresql", "NAME": "{name}", "HOST": "{host}"}}}}
EMAIL_HOST, EMAIL_PORT = "127.0.0.1", {port}
DEFAULT_FROM_EMAIL = "Jersey Events <tickets@shop.example>"
TIME_ZONE = "Europe/Jersey"
CSRF_TRUSTED_ORIGINS = ["https://*.shop.example"]
"""
PATIENCE = 180.0


@pytest.fixture
def shop_folder(stage: Stage, tmp_path: Path) -> Path:
    """The folder of the stage's shop, as Django has it; paypoll is not set up there."""
    name, host = re.findall(r"@/(\w+)\?host=(.*)", stage.owner_url)[0]
    folder = tmp_path / "shop"
    (folder / "jersey").mkdir(parents=True)
    (folder / "manage.py").write_text('os.environ.setdefault("DJANGO_SETTINGS_MODULE", "jersey.settings")\n')
    (folder / "jersey/base.py").write_text(_BASE.format(name=name, host=host, port=stage.sink.port))
    (folder / "jersey/settings.py").write_text(_SETTINGS)
    (folder / ".env").write_text(f"DB_USER=postgres\nMEDIA='{stage.media}'\n")
    stage.sql("DROP SCHEMA paypoll CASCADE")
    stage.config = tmp_path / "etc" / "config.toml"
    return folder


def answers_of(stage: Stage, folder: Path) -> str:
    return f"""
shop = "{folder}"
sumup_key = "{API_KEY}"
name = "Jersey Events"
address = "{stage.sumup.url}"
support = "help@shop.example"
alerts = ["{ADMIN}"]
ping = "none"
every = 5
[set]
"sumup.base_url" = "{stage.sumup.url}"
"""


def test_setup_by_a_file_leads_to_tickets_and_again_keeps_what_is_there(stage: Stage, shop_folder: Path) -> None:
    waiting = stage.order("ORD-1", checkout="PAID")
    file = shop_folder.with_name("answers.toml")
    file.write_text(answers_of(stage, shop_folder))
    file.chmod(0o644)
    refused = stage.paypoll("setup", "--answers", str(file), "--yes")
    assert (refused.code, "holds a secret" in refused.stderr) == (78, True)
    file.chmod(0o600)

    done = stage.paypoll("setup", "--answers", str(file), "--yes")
    assert (done.code, done.errors) == (0, []), done.stdout + done.stderr
    assert API_KEY not in done.stdout + done.stderr
    assert re.search(r"ORD-1 +would be: paid, tickets issued|ORD-1 .*tickets", done.stdout), done.stdout
    assert stage.status(waiting) == "pending_verification"
    assert [mail.recipients for mail in stage.sink.messages] == [(ADMIN,)]
    settings = tomllib.loads(stage.config.read_text())
    assert settings["site"]["time_zone"] == "Europe/Jersey"
    key_file = str(stage.config.with_name("sumup_api_key"))
    assert settings["sumup"] == {"base_url": stage.sumup.url, "merchant_code": MERCHANT, "api_key_file": key_file}
    assert settings["site"]["currency"] == "GBP"
    assert settings["tickets"]["media_folder"] == str(stage.media)
    for secret in (stage.config, stage.config.with_name("sumup_api_key")):
        assert secret.stat().st_mode & 0o007 == 0
    assert settings["database"]["url"].startswith("postgresql://paypoll@/")

    assert stage.run_once().code == 0
    assert stage.status(waiting) == "completed"
    # What an operator has set since, and the shop says otherwise.
    text = stage.config.read_text().replace('"Europe/Jersey"', '"Europe/London"').replace('"127.0.0.1"', '"localhost"')
    text = text.replace('"Jersey Events <tickets@shop', '"Ours <ours@shop').replace("paypoll@/", "paypoll:@/")
    stage.config.write_text(text.replace(key_file, str(stage.config.with_name("key"))))
    stage.config.with_name("sumup_api_key").rename(stage.config.with_name("key"))
    at_a_terminal_it_names_mistakes_goes_back_and_keeps_a_copy(stage)


class Typist:
    """A person at a terminal: waits for words to appear, and types."""

    def __init__(self, *command: str) -> None:
        ours, theirs = pty.openpty()
        environ = {name: value for name, value in os.environ.items() if not name.startswith("PAYPOLL_")}
        self._process = subprocess.Popen(  # noqa: S603 - the command that is tested
            command, stdin=theirs, stdout=theirs, stderr=theirs, env={**environ, "TERM": "dumb"}, start_new_session=True
        )
        os.close(theirs)
        self._terminal = ours
        self.screen = ""
        self._read_to = 0

    def sees(self, words: str) -> None:
        """Wait until the words appear, after those seen before."""
        until = time.monotonic() + PATIENCE
        while (found := " ".join(self.screen[self._read_to :].split()).find(words)) < 0:
            assert select.select([self._terminal], [], [], until - time.monotonic())[0], self.screen
            try:
                self.screen += os.read(self._terminal, 1 << 16).decode()
            except OSError:  # the other end is closed
                raise AssertionError(f"{words!r} never came: {self.screen}") from None
        del found

    def types(self, text: str) -> None:
        """Type a line."""
        self._read_to = len(self.screen)
        os.write(self._terminal, f"{text}\n".encode())

    def code(self) -> int:
        """Return how the command has ended, with what it still had to say."""
        while True:
            try:
                if not (more := os.read(self._terminal, 1 << 16)):
                    break
            except OSError:
                break
            self.screen += more.decode()
        os.close(self._terminal)
        return self._process.wait(PATIENCE)


def at_a_terminal_it_names_mistakes_goes_back_and_keeps_a_copy(stage: Stage) -> None:
    """What was set up by the file is the default of everything; one thing is changed, after some mistakes."""
    before = {path.name: path.read_bytes() for path in stage.config.parent.iterdir()}
    person = Typist(str(PROGRAM), "--config", str(stage.config), "setup")
    person.sees("1 of 7 Where is the shop? Its folder, or its database's address [/")
    person.types("/no/such/shop")
    person.sees("no such file")
    person.types("")
    for key, mine, of_the_shop in (
        ("mail.host", "localhost", "127.0.0.1"),
        ("mail.sender", "Ours <ours@shop.example>", "Jersey Events <tickets@shop.example>"),
        ("site.time_zone", "Europe/London", "Europe/Jersey"),
    ):
        person.sees(f"but {key} stays {mine}; the shop's is {of_the_shop}")
    person.sees("2 of 7 SumUp's API key [as it is]")
    person.types("sup_sk_of_somebody_else")
    person.sees("refuses the key")
    person.sees("2 of 7")  # what is typed ahead of an unseen answer is thrown away
    person.types("")
    person.sees(f"the key is of merchant {MERCHANT}")
    person.sees(f"3 of 7 The shop's name and web address [Jersey Events, {stage.sumup.url}]")
    person.types("")
    person.sees("4 of 7 Where customers can write to [help@shop.example]")
    person.types("nobody")
    person.sees("is not a mail address")
    person.types("<")
    person.sees("3 of 7")
    person.types("")
    person.sees("4 of 7")
    person.types("us@shop.example")
    person.sees("5 of 7")
    person.types("")
    person.sees(f"taken by the mail server for {ADMIN}")
    person.sees("6 of 7")
    person.types("")
    person.sees("7 of 7")
    person.types("2")
    person.sees("it is 1 or 5")
    person.types("")
    person.sees("Set it up like this?")
    assert {path.name: path.read_bytes() for path in stage.config.parent.iterdir()} == before
    person.types("y")
    assert person.code() == 0, person.screen
    assert API_KEY not in person.screen
    after = {path.name: path.read_bytes() for path in stage.config.parent.iterdir()}
    (copy,) = after.keys() - before.keys()
    assert after.pop(copy) == before["config.toml"]
    changed = before["config.toml"].replace(b"help@shop.example", b"us@shop.example")
    assert after == {**before, "config.toml": changed}


def test_setup_of_a_database_that_does_not_let_us_in_writes_nothing(stage: Stage, shop_folder: Path) -> None:
    stage.pages_checked = False  # there is no schema of ours to look into
    (shop_folder / "jersey/base.py").write_text(_BASE.format(name="no_such", host="/nowhere", port=stage.sink.port))
    refused = stage.paypoll("setup", "--shop", str(shop_folder), "--yes")
    assert refused.code == 78
    assert "does not let us in" in refused.stderr
    assert not stage.config.exists()
    nobody = stage.paypoll("setup", "--shop", str(shop_folder))
    assert (nobody.code, "--yes" in nobody.stderr) == (2, True)
