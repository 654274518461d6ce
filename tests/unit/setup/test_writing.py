"""What setup writes: settings with the rest as it was, files with copies, folders, drop-ins; and what it asks."""

import os
import stat
import tomllib
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.settings_text import sound_settings, write_settings_file

from paypoll.admin.check import Installation
from paypoll.admin.setup import units
from paypoll.admin.setup.answers import Answers, add_setting, answer_all, read_answers, take_settings
from paypoll.admin.setup.database import owner_ways
from paypoll.admin.setup.draft import read_draft, zone_of_host
from paypoll.admin.setup.media import NoMediaFolderError, look_at_media, prepare_media
from paypoll.admin.setup.places import Places, write_file
from paypoll.admin.setup.questions import QUESTIONS
from paypoll.admin.setup.session import AnswerError, Session
from paypoll.admin.setup.settings_file import with_values
from paypoll.admin.setup.shop_facts import DatabaseLogin
from paypoll.errors import SettingsError
from paypoll.settings.load import load_settings
from paypoll.settings.model import Settings
from paypoll.settings.secret import Secret

NOW = datetime(2026, 11, 26, 23, 0, tzinfo=UTC)
ROOT = Path(__file__).parents[3]
BY_KEY = {question.key: question for question in QUESTIONS}


def nothing_opens(_settings: Settings) -> AbstractContextManager[Installation]:
    raise AssertionError("nothing is to be tried here")


@pytest.fixture
def session(tmp_path: Path) -> Session:
    places = Places(tmp_path / "config.toml", is_service=False)
    return Session(places, read_draft(places.settings, tmp_path), nothing_opens)


def test_settings_keep_comments_and_other_keys_and_lose_what_gave_the_secret() -> None:
    before = '# mine\n[site]\nname = "Old" # said\n[sumup]\napi_key = "k"\n\n'
    before += '[tickets]\nterms = """\n[sumup]\napi_key = 1\n"""\n'
    values: dict[tuple[str, str], str | int | list[str]] = {
        ("site", "name"): 'Jersey "Events" \\ \x7f', ("sumup", "api_key_file"): "/k", ("alerts", "to"): ["a@b.example"],
        ("mail", "port"): 25,
    }  # fmt: skip
    after = with_values(before, values, without=[("database", "password")])
    assert tomllib.loads(after) == {
        "site": {"name": 'Jersey "Events" \\ \x7f'}, "sumup": {"api_key_file": "/k"},
        "tickets": {"terms": "[sumup]\napi_key = 1\n"}, "alerts": {"to": ["a@b.example"]}, "mail": {"port": 25},
    }  # fmt: skip
    plain = with_values('# mine\n[site]\nname = "Old"\n\n[mail]\nhost = "h"\n', {("site", "language"): "en"})
    assert plain == '# mine\n[site]\nname = "Old"\n\nlanguage = "en"\n[mail]\nhost = "h"\n'
    assert with_values(after, values) == after


def test_file_is_written_with_its_rights_and_a_copy_of_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    assert "mode 600" in write_file(file, "one", 0o600, now=NOW)
    assert "as it was" in write_file(file, "one", 0o640, now=NOW)
    file.chmod(0o600)
    assert "config.toml.20261126-230000.bak" in write_file(file, "two", 0o640, now=NOW)
    found = {path.name: (path.read_text(), stat.S_IMODE(path.stat().st_mode)) for path in tmp_path.iterdir()}
    assert found == {"config.toml": ("two", 0o640), "config.toml.20261126-230000.bak": ("one", 0o600)}


def test_media_folder_of_somebody_else_is_prepared_without_following_links(tmp_path: Path) -> None:
    media, elsewhere = tmp_path / "media", tmp_path / "elsewhere"
    (media / "tickets").mkdir(parents=True)
    elsewhere.mkdir(mode=0o700)
    (media / "tickets" / "pdfs").symlink_to(elsewhere)
    with pytest.raises(NoMediaFolderError, match="is a link"):
        prepare_media(media, os.getgid())
    assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o700
    (media / "tickets" / "pdfs").unlink()
    assert prepare_media(media, os.getgid())
    assert prepare_media(media, os.getgid()) == []
    assert (media / "tickets" / "qr_codes").is_dir()
    for wrong in ("/etc", "/", "/usr/share", str(tmp_path / "none")):
        with pytest.raises(NoMediaFolderError):
            look_at_media(Path(wrong))


def test_drop_in_lets_the_service_into_what_the_settings_name_and_no_further(tmp_path: Path) -> None:
    text = sound_settings(
        metrics={"textfile": "/var/lib/node exporter/100%.prom"}, logging={"file": "/var/log/paypoll/paypoll.log"}
    )
    settings = load_settings(write_settings_file(tmp_path / "config.toml", text), {})
    lines = units.folder_drop_in(settings, Path("/srv/shop/media/tickets"), "www-data").splitlines()[2:]
    assert lines == [
        "ReadWritePaths=/srv/shop/media/tickets", 'ReadWritePaths="/var/lib/node exporter"',
        "SupplementaryGroups=www-data",
    ]  # fmt: skip
    at_home = units.folder_drop_in(settings, Path("/home", "shop", "media", "tickets"), "")
    assert "ProtectHome=tmpfs" in at_home
    assert f"BindPaths={Path('/home', 'shop', 'media', 'tickets')}\n" in at_home


def test_drop_in_that_was_made_by_hand_stays_and_setups_own_goes_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "_UNITS", tmp_path)
    monkeypatch.setattr(units, "_EVERY_MINUTE", ())
    monkeypatch.setattr(units, "command", lambda _words: "")
    folder = tmp_path / "paypoll.service.d"
    settings = load_settings(write_settings_file(tmp_path / "config.toml", sound_settings()), {})
    ours = units.folder_drop_in(settings, Path("/srv/shop/media/tickets"), "")
    for _ in range(2):
        units.write_drop_ins(ours, every_minute=False, now=NOW)
    assert [(file.name, file.read_text()) for file in folder.iterdir()] == [("folders.conf", ours)]
    by_hand = "[Service]\nReadWritePaths=/srv/shop/media/tickets\nMemoryMax=1G\n"
    (folder / "folders.conf").write_text(by_hand)
    units.write_drop_ins(ours, every_minute=False, now=NOW)
    assert {file.name: file.read_text() for file in folder.iterdir()} == {
        "10-folders.conf": ours,
        "folders.conf": by_hand,
    }


def test_units_name_the_program_that_they_are_installed_by_and_none_at_home() -> None:
    program = Path("/srv/venv/bin/paypoll")
    files = {str(one.file): one for one in units.units_of(ROOT, program)}
    assert "ExecStart=/srv/venv/bin/paypoll run-once" in files["/etc/systemd/system/paypoll.service"].text
    wrapper = files["/usr/local/sbin/paypoll"]
    assert "program=${PAYPOLL_PROGRAM:-/srv/venv/bin/paypoll}" in wrapper.text
    assert wrapper.mode == 0o755
    with pytest.raises(units.HostError, match="home folder"):
        list(units.units_of(ROOT, Path("/home", "me", "bin", "paypoll")))


def test_units_are_the_files_that_the_install_script_installs() -> None:
    script = (ROOT / "scripts" / "install").read_text(encoding="utf-8")
    for one in units.units_of(ROOT, Path("/opt/paypoll/.venv/bin/paypoll")):
        assert one.file.name in script or str(one.file.parent) in script, one.file
    assert units.share_folder() == ROOT


@pytest.mark.parametrize(
    ("key", "answer", "why"),
    [
        ("shop", "shop", "from the / on"),
        ("shop", "mysql://a/b", "not PostgreSQL's"),
        ("shop", "/nowhere/at/all", "no such file"),
        ("mail", "http://x", "begins with smtp"),
        ("mail", "smtp://u:p@x", "asked for apart"),
        ("name", "Jersey Events", "the address last"),
        ("name", "https://shop.example", "name before its address"),
        ("name", "Shop ftp://shop.example", "is not a web address"),
        ("support", "nobody", "is not a mail address"),
        ("alerts", "ana@shop.example, nobody", "is not a mail address"),
        ("ping", "https://h.example/?status=up", "status="),
        ("every", "10", "1 or 5"),
    ],
)
def test_answer_that_does_not_do_is_refused_with_the_reason_and_not_kept(
    session: Session, key: str, answer: str, why: str
) -> None:
    with pytest.raises(AnswerError, match=why):
        BY_KEY[key].take(session, answer)
    assert session.draft.values == {}


def test_settings_that_are_there_are_the_defaults_with_their_secrets_unshown(tmp_path: Path) -> None:
    (tmp_path / "paypoll.sumup_api_key").write_text("sup_sk_kept\n")
    text = sound_settings(
        site={"name": "Jersey Events"}, sumup={"api_key": None, "api_key_credential": "sumup_api_key"},
        alerts={"ping_url": "https://ping.example/secret"},
    )  # fmt: skip
    draft = read_draft(write_settings_file(tmp_path / "config.toml", text), tmp_path)
    session = Session(Places(tmp_path / "config.toml", is_service=False), draft, nothing_opens)
    assert draft.settings().site.name == "Jersey Events"
    assert BY_KEY["name"].default(session) == "Jersey Events, https://shop.example"
    assert BY_KEY["support"].default(session) == "help@shop.example"
    assert BY_KEY["alerts"].default(session) == "admin@shop.example"
    assert BY_KEY["sumup_key"].default(session) == "sup_sk_kept"
    assert BY_KEY["sumup_key"].secret
    session.try_setting("alerts", "ping_url", "https://ping.example/other")
    draft.values["database", "url"] = "postgresql://u:hidden@h/shop"
    assert "other" not in str(session.summary())
    assert "hidden" not in str(session.summary())
    assert "kept" not in str(session.summary())


def test_broken_settings_file_is_told_and_never_overwritten(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="mend it, or move it away"):
        read_draft(write_settings_file(tmp_path / "config.toml", "[site\n"), tmp_path)


def test_answers_file_names_every_mistake_and_secrets_never_come_as_settings(tmp_path: Path) -> None:
    file = write_settings_file(tmp_path / "answers.toml", 'shopp = "/x"\nsumup_key = "k"\n[set]\n"mail.hots" = "x"\n')
    file.chmod(0o644)
    with pytest.raises(SettingsError) as refused:
        read_answers(file)
    assert [problem.split()[0] for problem in refused.value.problems] == ["shopp:", "it", "set:"]
    answers = Answers()
    add_setting(answers, "mail.port", "2525")
    add_setting(answers, "sumup.api_key_file", "/k")
    assert answers.set == {("mail", "port"): 2525, ("sumup", "api_key_file"): "/k"}
    with pytest.raises(ValueError, match="a secret is given by"):
        add_setting(answers, "sumup.api_key", "k")


def test_questions_without_an_answer_are_named_by_their_keys(session: Session) -> None:
    take_settings(session, Answers(set={("site", "name"): "Ours"}))
    with pytest.raises(SettingsError) as refused:
        answer_all(session, Answers(), [one for one in QUESTIONS if one.key in {"sumup_key", "name", "every"}])
    assert refused.value.problems == ("sumup_key: there is no answer", "name: there is no answer")


def test_owner_gets_in_by_a_given_address_alone_or_by_the_shops_login() -> None:
    login = DatabaseLogin("my shop", "ann@", Secret("p/w"), "db.example", "5433", (("sslmode", "require"),))
    (given,) = owner_ways(login, "postgresql://owner@db.example/shop")
    assert (given.url.reveal(), given.as_user) == ("postgresql://owner@db.example/shop", "")
    (own,) = owner_ways(login)
    assert own.url.reveal() == "postgresql://ann%40:p%2Fw@db.example:5433/my%20shop?sslmode=require"
    assert "p%2Fw" not in repr(own)


def test_zone_of_host_is_the_link_of_localtime(tmp_path: Path) -> None:
    (tmp_path / "localtime").symlink_to("/usr/share/zoneinfo/Europe/Jersey")
    assert zone_of_host(tmp_path / "localtime") == "Europe/Jersey"
    assert zone_of_host(tmp_path / "none") == "UTC"
