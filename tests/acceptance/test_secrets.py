"""Every secret of the settings and of the database, thrown through every way of failing: none comes out anywhere."""

import base64
import json
import re
import ssl
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from tests.acceptance.stage import API_KEY as USUAL_KEY
from tests.acceptance.stage import MERCHANT, PRICE, ROLE, Stage

from paypoll.sandbox.mail.sink import MailSink
from paypoll.sandbox.mail.smtp_session import Stage as MailStage
from paypoll.sandbox.sumup.effects import Html, Line, Redirect, Reset, Respond, Status, Truncated
from paypoll.sandbox.sumup.exchange import JSON, Answer

API_KEY = "sup_sk_Ky7SECRETkeyOfThePlatform"
CLIENT_ID = "shop-client"
CLIENT_SECRET = "cl13nt/s3cr3t+'%"
DATABASE_PASSWORD = "p@ss:w/rd %#1"
MAIL_USER = "shop"
MAIL_PASSWORD = 'm@il"p4ss\\word'
PING_TOKEN = "8f0c1d2e-dead-mans-switch"
HASH = "pbkdf2_sha256$870000$saltsalt$hashhashhash="
CERTIFICATES = Path(__file__).parents[1] / "integration" / "mail" / "certificates"

_RUN = ("run-once", "--verbose")
_CHECK = ("check", "--send-test-alert", "--verbose")
_RESEND = ("resend", "ORD-OURS", "--verbose")
_ASKING = (
    _RUN,
    ("run-once", "--dry-run", "--json", "--verbose"),
    ("inspect", "ORD-OURS", "--live", "--verbose"),
    ("inspect", "ORD-THEIRS", "--live", "--json"),
    ("expire", "ORD-WAITS", "--yes", "--verbose"),
    ("resolve", "ORD-REVIEW", "--issue", "--reason", "why not", "--yes", "--verbose"),
    _CHECK,
)
_ASKING_BRIEFLY = (_RUN, _ASKING[3], _ASKING[4], _CHECK)
_SETTINGS = (("config", "show"), ("config", "show", "--json"), ("config", "validate"))
_DATABASE = (("queue", "--verbose"), ("runs", "--json"), ("db", "status"), ("db", "upgrade"))
EVERYTHING = (*_ASKING, _RESEND, *_SETTINGS, *_DATABASE)


Fail = Callable[["Vault"], None]


@dataclass(frozen=True)
class Quote:
    """An effect: whatever stands before SumUp answers with all that it was told, and what it should never have seen."""

    status: int
    secrets: tuple[str, ...] = field(repr=False)

    def spoil(self, line: Line, respond: Respond) -> None:
        respond()
        said = {"message": f"denied: Authorization: Bearer {self.secrets[0]}", "error_code": " ".join(self.secrets)}
        line.send(Answer(self.status, json.dumps(said | {"id": self.secrets[-1]}).encode(), JSON))


class Vault:
    """A stage whose settings and database hold secrets, and all that comes out of it.

    Its mail server wants STARTTLS and a login; the dead man's switch is nowhere, which is warned of in every run.
    """

    def __init__(self, stage: Stage, sink: MailSink) -> None:
        self.stage = stage
        self.sink = sink
        self.log = stage.folder / "paypoll.log"
        self.metrics = stage.folder / "paypoll.prom"
        stage.sumup.add_merchant(MERCHANT, API_KEY)
        stage.sumup.add_client(CLIENT_ID, CLIENT_SECRET)
        self.refresh_token = stage.sumup.connect_merchant("MARTIST", CLIENT_ID)
        self.access_token = stage.sumup.issue_access_token("MARTIST")
        self._configure()
        self._fill()

    def _configure(self) -> None:
        stage = self.stage
        client = f"client_id = {json.dumps(CLIENT_ID)}\nclient_secret = {json.dumps(CLIENT_SECRET)}"
        login = f'username = "{MAIL_USER}"\npassword = {json.dumps(MAIL_PASSWORD)}\nca_file = "{CERTIFICATES}/ca.pem"'
        password = quote(DATABASE_PASSWORD, safe="")
        text = stage.config.read_text(encoding="utf-8")
        for old, new in (
            (f'api_key = "{USUAL_KEY}"', f"api_key = {json.dumps(API_KEY)}\n{client}"),
            ('host = "127.0.0.1"', 'host = "localhost"'),
            (f"port = {stage.sink.port}", f"port = {self.sink.port}"),
            ('tls = "none"', f'tls = "starttls"\n{login}'),
            ("[alerts]", f'[alerts]\nping_url = "http://127.0.0.1:9/{PING_TOKEN}"'),
            (f"{ROLE}@", f"{ROLE}:{password}@"),
        ):
            assert old in text
            text = text.replace(old, new)
        text += f'[logging]\nlevel = "debug"\nfile = "{self.log}"\n[metrics]\ntextfile = "{self.metrics}"\n'
        stage.config.write_text(text, encoding="utf-8")

    def _fill(self) -> None:
        stage = self.stage
        artist = stage.shop.add_organiser(
            "artist@organiser.example",
            "The Artist",
            sumup_connection_status="connected",
            sumup_access_token=self.access_token,
            sumup_refresh_token=self.refresh_token,
            sumup_token_type="Bearer",
            sumup_scope="payments",
            sumup_expires_at=datetime.now(UTC) - timedelta(hours=1),
            sumup_merchant_code="MARTIST",
        )
        stage.order("ORD-OURS", checkout="PAID")
        stage.order("ORD-WAITS")
        wrong = stage.order("ORD-REVIEW", checkout="")
        stage.checkout(wrong, "PAID", amount=Decimal("24.99"))
        theirs = stage.event("Their Night", organiser_id=artist)
        order = stage.order("ORD-THEIRS", places=[(theirs, 1, PRICE)], checkout="")
        stage.checkout(order, "PAID", merchant="MARTIST", merchant_code="MARTIST")
        stage.shop.add_user("ord-ours@buyer.example")
        stage.sql("UPDATE accounts_user SET password = :hash", hash=HASH)

    def secrets(self) -> tuple[str, ...]:
        """Return every secret, those among them that a run has fetched; what SumUp may quote comes first."""
        profile = self.stage.sql("SELECT * FROM accounts_artistprofile WHERE sumup_merchant_code = 'MARTIST'")[0]
        fetched = (profile["sumup_access_token"], profile["sumup_refresh_token"])
        return (
            *(self.access_token, self.refresh_token, *fetched, API_KEY, CLIENT_SECRET),
            *(DATABASE_PASSWORD, MAIL_PASSWORD, PING_TOKEN, HASH),
        )

    def comes_out(self, commands: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, str]]:
        """Run the commands; yield whatever they say, and then what is left in files, mails and tables."""
        for command in commands:
            done = self.stage.paypoll(*command)
            yield " ".join(command), done.stdout + done.stderr
        for file in (self.log, self.metrics):
            yield file.name, file.read_text(encoding="utf-8") if file.exists() else ""
        for mail in self.sink.messages:
            text = "".join(
                str(part.get_content()) for part in mail.message.walk() if part.get_content_maintype() == "text"
            )
            yield f"mail {mail.message['Subject']}", f"{mail.message['Subject']} {text} {mail.raw.decode('latin-1')}"
        for table, rows in self.stage.dump("paypoll", "public").items():
            if not table.startswith("public.accounts_"):  # where the shop keeps them
                yield table, "\n".join(rows)


@pytest.fixture
def vault(stage: Stage, tmp_path: Path) -> Iterator[Vault]:
    """A vault with a mail server of its own."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATES / "localhost.pem")
    with MailSink(tmp_path / "mails", starttls=context, username=MAIL_USER, password=MAIL_PASSWORD) as sink:
        yield Vault(stage, sink)


def spellings(secret: str) -> set[str]:
    """Return the secret in every way in which it may be written down."""
    return {
        secret,
        quote(secret, safe=""),
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        base64.b64encode(secret.encode()).decode(),
        base64.b64encode(f"\0shop\0{secret}".encode()).decode(),
        secret[:-2],
        secret[2:],
    }


def found_in(said: Iterable[tuple[str, str]], secrets: Iterable[str]) -> set[str]:
    """Return where a secret stands, in whatever spelling. The secret is told by its start only."""
    places = list(said)
    return {
        f"{secret[:8]}… in {where}: …{text[max(text.index(spelling) - 60, 0) : text.index(spelling)]}"
        for secret in secrets
        for spelling in spellings(secret)
        for where, text in places
        if spelling in text
    }


# -- the ways of failing --------------------------------------------------------------------------------------


def sound(vault: Vault) -> None:
    """Nothing fails."""


def _point_database(vault: Vault, old: str, new: str) -> None:
    text = vault.stage.config.read_text(encoding="utf-8")
    assert old in text
    vault.stage.config.write_text(text.replace(old, new), encoding="utf-8")


def database_gone(vault: Vault) -> None:
    _point_database(vault, "@/", "@127.0.0.1:9/")
    _point_database(vault, "?host=", "?application_name=")


def database_role_unknown(vault: Vault) -> None:
    _point_database(vault, f"{ROLE}:", "nobody_at_all:")


def database_address_broken(vault: Vault) -> None:
    _point_database(vault, quote(DATABASE_PASSWORD, safe=""), f"{DATABASE_PASSWORD}@[::1")


def database_quotes_rows(vault: Vault) -> None:
    # PostgreSQL puts the whole row into DETAIL; a trigger may put there what it likes.
    stage = vault.stage
    stage.sql("ALTER TABLE accounts_artistprofile ADD CONSTRAINT odd CHECK (sumup_scope <> 'payments') NOT VALID")
    stage.sql(
        "CREATE FUNCTION quote_rows() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN"
        " RAISE EXCEPTION 'no' USING ERRCODE = 'check_violation', DETAIL ="
        " (SELECT string_agg(p::text, ' ') FROM accounts_artistprofile AS p)"
        " || (SELECT string_agg(u::text, ' ') FROM accounts_user AS u); END $$"
    )
    for table in ("events_ticket", "payments_sumupcheckout"):
        stage.sql(f"CREATE TRIGGER odd BEFORE INSERT OR UPDATE ON {table} FOR EACH ROW EXECUTE FUNCTION quote_rows()")


def shop_changed(vault: Vault) -> None:
    vault.stage.sql("ALTER TABLE accounts_user ADD COLUMN nickname text NOT NULL DEFAULT 'x'")
    vault.stage.sql("ALTER TABLE accounts_user ALTER nickname DROP DEFAULT")


def settings_broken(vault: Vault) -> None:
    text = vault.stage.config.read_text(encoding="utf-8")
    text = text.replace("api_key = ", f"api_kee = {json.dumps(CLIENT_SECRET)}\napi_key = ")
    vault.stage.config.write_text(text.replace("port = ", 'port = "x"\nx = '), encoding="utf-8")


def settings_of_wrong_kinds(vault: Vault) -> None:
    text = vault.stage.config.read_text(encoding="utf-8")
    for key in ("api_key", "client_secret", "password", "ping_url"):
        text = re.sub(rf"(?m)^({key}) = (.*)$", r"\1 = [\2]", text)
    vault.stage.config.write_text(text, encoding="utf-8")


def settings_with_line_breaks(vault: Vault) -> None:
    text = vault.stage.config.read_text(encoding="utf-8")
    for key in ("api_key", "client_secret", "password", "ping_url", "url"):
        text = re.sub(rf'(?m)^({key} = .*)"$', r'\1\\n\\u0000"', text)
    vault.stage.config.write_text(text, encoding="utf-8")


def settings_not_toml(vault: Vault) -> None:
    text = vault.stage.config.read_text(encoding="utf-8")
    vault.stage.config.write_text(text.replace("api_key = ", "api_key == "), encoding="utf-8")


def settings_readable(vault: Vault) -> None:
    vault.stage.config.chmod(0o644)


def client_refused(vault: Vault) -> None:
    vault.stage.sumup.fault(Quote(400, (CLIENT_SECRET, vault.refresh_token)), path="/token")


def mail_login_refused(vault: Vault) -> None:
    vault.sink.fault(MailStage.AUTH, f"535 5.7.8 not with {MAIL_PASSWORD}")


def mail_refused(vault: Vault) -> None:
    vault.sink.fault(MailStage.RCPT, f"550 5.1.1 nobody there, {MAIL_PASSWORD}, {API_KEY}")


def mail_closed(vault: Vault) -> None:
    vault.sink.close()


def media_gone(vault: Vault) -> None:
    vault.stage.environ["tickets__media_folder"] = "/sys/nothing"


def template_broken(vault: Vault) -> None:
    folder = vault.stage.folder / "templates"
    folder.mkdir()
    (folder / "confirmation.txt").write_text("{{ nothing.at.all }}", encoding="utf-8")
    vault.stage.environ["mail__template_folder"] = str(folder)


def sumup_quotes(status: int) -> Fail:
    """SumUp, or what stands before it, answers with every secret that it was told and more."""

    def spoil(vault: Vault) -> None:
        vault.stage.sumup.fault(Quote(status, tuple(dict.fromkeys(vault.secrets()))))
        vault.stage.environ["sumup__tries"] = "1"

    spoil.__name__ = f"sumup_quotes_{status}"
    return spoil


def sumup_is_odd(vault: Vault) -> None:
    # Each strikes a few times, one after the other.
    for effect in (Reset(), Html(), Truncated(), Redirect(), Status(429), Reset(), Html(), Truncated(), Redirect()):
        vault.stage.sumup.fault(effect, times=2)
    vault.stage.environ["sumup__tries"] = "1"


_MAILING = (_RUN, _RESEND, _CHECK)
_LOADING = (_RUN, _CHECK, *_SETTINGS)
FAILURES: tuple[tuple[Fail, tuple[tuple[str, ...], ...]], ...] = (
    (sound, EVERYTHING),
    *((fail, (*_ASKING, *_DATABASE)) for fail in (database_gone, database_quotes_rows)),
    *((fail, (_RUN, _CHECK, *_DATABASE)) for fail in (database_role_unknown, database_address_broken, shop_changed)),
    *((fail, _LOADING) for fail in (settings_broken, settings_of_wrong_kinds, settings_with_line_breaks)),
    *((fail, _LOADING) for fail in (settings_not_toml, settings_readable)),
    (sumup_quotes(401), _ASKING),
    *((sumup_quotes(status), _ASKING_BRIEFLY) for status in (200, 500)),
    *((fail, _ASKING_BRIEFLY) for fail in (client_refused, sumup_is_odd)),
    *((fail, _MAILING) for fail in (mail_login_refused, mail_refused, mail_closed)),
    *((fail, (_RUN, _CHECK)) for fail in (media_gone, template_broken)),
)


@pytest.mark.parametrize(("fail", "commands"), FAILURES, ids=[fail.__name__ for fail, _ in FAILURES])
def test_no_secret_comes_out(vault: Vault, fail: Fail, commands: tuple[tuple[str, ...], ...]) -> None:
    fail(vault)
    said = list(vault.comes_out(commands))
    assert any(text for _, text in said)
    assert found_in(said, vault.secrets()) == set()


def test_secrets_are_really_in_use(vault: Vault) -> None:
    # Without this, the tests above might look for what was never there.
    assert vault.stage.run_once().code == 0
    done = vault.stage.sql("SELECT order_number FROM orders_order WHERE status = 'completed' ORDER BY 1")
    assert [row["order_number"] for row in done] == ["ORD-OURS", "ORD-THEIRS"]
    assert {(mail.username, mail.encrypted) for mail in vault.sink.messages} == {(MAIL_USER, True)}
    assert vault.secrets()[2] != vault.access_token, "no new token was fetched for the organiser"
    assert "ping" in vault.log.read_text(encoding="utf-8")


@pytest.mark.parametrize("secret", [CLIENT_SECRET, DATABASE_PASSWORD, MAIL_PASSWORD])
def test_search_for_secrets_finds_every_spelling(secret: str) -> None:
    for spelling in spellings(secret):
        assert found_in([("a log", f"before {spelling} after")], [secret])
    assert not found_in([("a log", "before *** after")], [secret])
