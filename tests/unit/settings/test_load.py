"""Settings from files and the environment, and what is said when they are wrong."""

import os
import traceback
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path

import pytest

from paypoll.errors import SettingsError
from paypoll.exitcodes import ExitCode
from paypoll.settings.load import find_settings_file, load_settings
from paypoll.settings.model import SumUpSettings

WriteSettings = Callable[..., Path]

# ---------------------------------------------------------------------------------------------------------
# Where the file is
# ---------------------------------------------------------------------------------------------------------


def test_settings_file_is_looked_for_in_order(tmp_path: Path) -> None:
    system, user = tmp_path / "etc.toml", tmp_path / "xdg" / "paypoll" / "config.toml"
    user.parent.mkdir(parents=True)
    for file in (system, user):
        file.touch()
    environ = {"PAYPOLL_CONFIG": "/named.toml", "XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    given = Path("given.toml")
    assert find_settings_file(given, environ, system_file=system) == given
    assert find_settings_file(None, environ, system_file=system) == Path("/named.toml")
    del environ["PAYPOLL_CONFIG"]
    assert find_settings_file(None, environ, system_file=system) == system
    system.unlink()
    assert find_settings_file(None, environ, system_file=system) == user
    user.unlink()
    assert find_settings_file(None, environ, system_file=system) is None


def test_settings_file_of_the_home_folder_is_found_without_xdg(tmp_path: Path) -> None:
    user = tmp_path / ".config" / "paypoll" / "config.toml"
    user.parent.mkdir(parents=True)
    user.touch()
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": "relative"}
    assert find_settings_file(None, environ, system_file=tmp_path / "none.toml") == user


def test_settings_file_that_cannot_be_looked_at_is_told_not_passed_over(tmp_path: Path) -> None:
    loop = tmp_path / "etc.toml"
    loop.symlink_to(loop)
    with pytest.raises(SettingsError, match=r"etc.toml.*\n.*cannot be read"):
        load_settings(None, {}, system_file=loop)


def test_settings_for_looking_are_taken_where_the_services_own_may_not_be_read_and_need_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, beside = tmp_path / "config.toml", tmp_path / "read-only.toml"
    service.mkdir()  # nobody can read it as a file, and everybody look at it
    beside.write_text(FOR_LOOKING, encoding="utf-8")
    monkeypatch.setattr(os, "access", lambda path, _mode, **_how: Path(path) == beside)
    settings = load_settings(None, {}, system_file=service)
    assert (settings.source, settings.database.read_only) == (beside, True)
    # The same without the word: every secret is missed.
    beside.write_text(FOR_LOOKING.replace("read_only = true", ""), encoding="utf-8")
    problems = _problems(beside, {})
    assert [problem.partition(":")[0] for problem in problems] == ["sumup.api_key_credential", "mail.password_file"]


FOR_LOOKING = """
[site]
base_url = "https://shop.example"
support_email = "help@shop.example"
[database]
url = "postgresql:///shop"
read_only = true
[sumup]
api_key_credential = "sumup_api_key"
[mail]
host = "mail.shop.example"
username = "shop"
password_file = "/gone"
sender = "tickets@shop.example"
[alerts]
to = ["admin@shop.example"]
"""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_settings_file_of_another_user_says_who_may_read_it(write_settings: WriteSettings) -> None:
    with pytest.raises(SettingsError, match="this user may not read it"):
        load_settings(write_settings(mode=0o000), {})


def test_settings_file_that_is_missing_is_named(tmp_path: Path) -> None:
    for given, environ in ((tmp_path / "a.toml", {}), (None, {"PAYPOLL_CONFIG": f"{tmp_path}/a.toml"})):
        with pytest.raises(SettingsError, match=r"a\.toml.*\n.*no such file"):
            load_settings(given, environ)


def test_settings_nowhere_at_all_says_where_was_looked(tmp_path: Path) -> None:
    problems = _problems(None, {"HOME": "/nowhere"}, system_file=tmp_path / "etc.toml")
    assert f"looked for {tmp_path}/etc.toml, /nowhere/.config/paypoll/config.toml" in problems[-1]


def test_settings_from_the_environment_alone_will_do(tmp_path: Path) -> None:
    environ = {
        "PAYPOLL_SITE__BASE_URL": "https://shop.example",
        "PAYPOLL_SITE__SUPPORT_EMAIL": "help@shop.example",
        "PAYPOLL_DATABASE__URL": "postgresql:///shop",
        "PAYPOLL_SUMUP__API_KEY_ENV": "KEY",
        "KEY": "sup_sk_1",
        "PAYPOLL_MAIL__SENDER": "tickets@shop.example",
        "PAYPOLL_ALERTS__TO": "a@shop.example, b@shop.example",
    }
    settings = load_settings(None, environ, system_file=tmp_path / "none")
    assert settings.source is None
    assert settings.alerts.to == ("a@shop.example", "b@shop.example")


# ---------------------------------------------------------------------------------------------------------
# What is in it
# ---------------------------------------------------------------------------------------------------------


def test_settings_that_are_sound_are_loaded_with_defaults(write_settings: WriteSettings) -> None:
    file = write_settings(extra="[verification]\nmax_age = '90min'\nlease = 150\n[tickets]\nterms = 'One\\nTwo'\n")
    settings = load_settings(file, {})
    assert settings.source == file
    assert settings.verification.max_age == timedelta(minutes=90)
    assert settings.verification.lease == timedelta(minutes=2.5)
    assert settings.verification.late_window == timedelta(hours=72)
    assert settings.database.url.reveal() == "postgresql+psycopg2:///shop"
    assert settings.mail.size_limit == 10_485_760
    assert settings.site.zone.key == "UTC"
    assert settings.site.order_admin_link(7, "A1") == "https://shop.example/admin/orders/order/7/change/"
    assert settings.site.retry_link(7, "A/1") == "https://shop.example/orders/A%2F1/"


def test_settings_cannot_be_changed(write_settings: WriteSettings) -> None:
    settings = load_settings(write_settings(), {})
    with pytest.raises(AttributeError):
        settings.source = None  # type: ignore[misc]  # what is tested
    with pytest.raises(ValueError, match="frozen"):
        settings.sumup.tries = 5


def test_settings_with_many_mistakes_tell_all_of_them(write_settings: WriteSettings) -> None:
    file = write_settings(
        (
            'base_url = "https://shop.example"',
            'base_url = "shop.example"\ntime_zone = "Europe/Jersay"\ncurency = "GBP"',
        ),
        ('support_email = "help@shop.example"\n', ""),
        ('to = ["admin@shop.example"]', 'to = ["admin@shop.example", 5, "nobody"]'),
        extra="[verification]\nmax_age = 'soon'\nbatch_size = 0\nwatch_abandoned = 'perhaps'\n[sumpu]\ntries = 2\n",
    )
    said = {problem.partition(": ")[0] for problem in _problems(file, {"PAYPOLL_MAIL__PORT": "smtp"})}
    assert said == {
        "site.base_url",
        "site.time_zone",
        "site.curency",
        "site.support_email",
        "alerts.to",
        "verification.max_age",
        "verification.batch_size",
        "verification.watch_abandoned",
        "sumpu",
        "mail.port",
    }


def test_settings_error_has_the_exit_status_of_settings(tmp_path: Path) -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(tmp_path / "none", {})
    assert caught.value.exit_code is ExitCode.SETTINGS


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        (
            "[verification]\nmax_agee = 1",
            "verification.max_agee: there is no such key; did you mean verification.max_age?",
        ),
        ("[tickets]\nmax_age = 1", "tickets.max_age: there is no such key; did you mean verification.max_age?"),
        ("[metrics]\nzebra = 1", "metrics.zebra: there is no such key"),
        ("[metric]\n", "metric: there is no such section; did you mean [metrics]?"),
        ("[zebra]\n", "zebra: there is no such section; there are [site], [database],"),
        ("[[metrics]]\n", "metrics: must be a section, [metrics]"),
    ],
)
def test_name_that_is_unknown_is_told_with_what_was_meant(write_settings: WriteSettings, extra: str, said: str) -> None:
    [problem] = _problems(write_settings(extra=extra), {})
    assert problem.startswith(said)


@pytest.mark.parametrize(
    ("section", "line", "said"),
    [
        ("verification", "lease = 0", "must be more than zero"),
        ("verification", "batch_size = true", "must be a number"),
        ("verification", "batch_size = 1.5", "must be a whole number"),
        ("verification", "batch_size = 2000", "must be at most 1000"),
        ("logging", "level = 'loud'", "must be one of 'debug', 'info', 'warning' or 'error'"),
        ("logging", "file = 'paypoll.log'", "must be a full path"),
        ("logging", "file = 5", "must be text in quotes"),
        ("metrics", 'textfile = "/a\\u0000b"', "must be a full path"),
        ("tickets", "qr_prefix = 'A|B'", "must not hold a |"),
        ("tickets", "qr_prefix = ''", "must not be empty"),
        ("report", "since = '2y'", "is not a duration"),
        ("report", "since = '400d'", "must not be more than 366 days"),
        ("tickets", "qr_prefix = 7", "must be text in quotes"),
    ],
)
def test_value_that_will_not_do_is_told_in_plain_words(
    write_settings: WriteSettings, section: str, line: str, said: str
) -> None:
    [problem] = _problems(write_settings(extra=f"[{section}]\n{line}"), {})
    assert problem.startswith(f"{section}.{line.partition(' ')[0]}: ")
    assert said in problem


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("SITE__TIME_ZONE", "../../etc/passwd", "is not a time zone"),
        ("SITE__TIME_ZONE", "Europe", "is not a time zone"),
        ("SITE__CURRENCY", "pounds", "is not a currency code"),
        ("SITE__LANGUAGE", "English (UK)", "is not a language tag"),
        ("SITE__NAME", "Tickets\nBcc: everyone@shop.example", "line break"),
        ("SITE__ORDER_ADMIN_URL", "{base_url}/", "needs {order_id} or {order_number}"),
        ("SITE__RETRY_URL", "{base_url}/{order}/", "{order} is no placeholder"),
        ("SITE__RETRY_URL", "/events/", "is not a web address"),
        ("SUMUP__BASE_URL", "http://api.sumup.example", "must be https"),
        ("SUMUP__REQUESTS_PER_SECOND", "nan", "must be"),
        ("SUMUP__REQUESTS_PER_SECOND", "0", "must be more than 0"),
        ("SUMUP__CLIENT_SECRET", "hunter2", "is of no use without sumup.client_id"),
        ("SUMUP__API_KEY", "hunter2 ", "no API key has"),
        ("MAIL__SIZE_LIMIT", "10 megs", "is not a size"),
        ("MAIL__PASSWORD", "hunter2", "is of no use without mail.username"),
        ("MAIL__HOST", "smtp://mail.example", "is not a host"),
        ("ALERTS__TO", "", "must not be empty"),
        ("ALERTS__TO", '["a@shop.example"', "must be a list"),
        ("ALERTS__PING_URL", "ping me", "is not a web address"),
    ],
)
def test_value_from_the_environment_that_will_not_do_names_the_variable(
    write_settings: WriteSettings, name: str, value: str, said: str
) -> None:
    [problem] = _problems(write_settings(), {f"PAYPOLL_{name}": value})
    assert problem.startswith(name.lower().replace("__", ".") + ": ")
    assert said in problem
    assert problem.endswith(f"(from PAYPOLL_{name})")
    assert "hunter2" not in problem


def test_sumup_without_any_credential_is_told_beside_other_mistakes(write_settings: WriteSettings) -> None:
    file = write_settings(('api_key = "sup_sk_file_secret"', "tries = 0"))
    assert [problem.partition(":")[0] for problem in _problems(file, {})] == ["sumup.api_key", "sumup.tries"]


def test_sumup_client_is_a_credential_too_but_only_whole(write_settings: WriteSettings) -> None:
    file = write_settings(('api_key = "sup_sk_file_secret"', "client_id = 'cc_1'"))
    [problem] = _problems(file, {})
    assert problem == "sumup.client_secret: is required, because sumup.client_id is given"
    settings = load_settings(file, {"PAYPOLL_SUMUP__CLIENT_SECRET": "cc_sk_1"})
    assert (settings.sumup.api_key, str(settings.sumup.client_secret)) == (None, "***")


@pytest.mark.parametrize(
    ("lines", "key", "said"),
    [
        ("tls = 'none'\nhost = 'mail.example'", "mail.tls", "this machine only"),
        ("username = 'u'", "mail.password", "is required"),
        ("tls = 'none'\nusername = 'u'\npassword = 'hunter2'", "mail.password", "unencrypted"),
    ],
)
def test_mail_that_would_be_unsafe_or_half_given_is_refused(
    write_settings: WriteSettings, lines: str, key: str, said: str
) -> None:
    [problem] = _problems(write_settings(("[mail]\n", f"[mail]\n{lines}\n")), {})
    assert problem.startswith(f"{key}: ")
    assert said in problem


def test_mail_that_may_take_longer_than_its_lease_is_refused(write_settings: WriteSettings) -> None:
    file = write_settings(("[mail]\n", '[mail]\nmessage_timeout = "3min"\n'))
    [problem] = _problems(file, {})
    assert problem.startswith("mail.message_timeout: must be shorter than verification.lease")
    assert load_settings(file, {"PAYPOLL_VERIFICATION__LEASE": "4min"}).mail.message_timeout == timedelta(minutes=3)


# ---------------------------------------------------------------------------------------------------------
# Secrets
# ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o644, 0o604])
def test_secret_in_a_file_open_to_everyone_is_refused(write_settings: WriteSettings, mode: int) -> None:
    [problem] = _problems(write_settings(mode=mode), {})
    assert problem.startswith("sumup.api_key: stands in a file that everyone on this machine can read")


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o440])
def test_secret_in_a_file_closed_to_others_is_taken(write_settings: WriteSettings, mode: int) -> None:
    assert load_settings(write_settings(mode=mode), {}).sumup.api_key is not None


def test_settings_file_open_to_everyone_is_fine_without_secrets(write_settings: WriteSettings) -> None:
    file = write_settings(('api_key = "sup_sk_file_secret"', 'api_key_env = "KEY"'), mode=0o644)
    assert load_settings(file, {"KEY": "sup_sk_1"}).sumup.api_key is not None


def test_database_address_is_a_secret_only_with_a_password(write_settings: WriteSettings) -> None:
    file = write_settings(
        ('api_key = "sup_sk_file_secret"', 'api_key_env = "KEY"'),
        ("postgresql:///", "postgresql://u:hunter2@h/"),
        mode=0o644,
    )
    [problem] = _problems(file, {"KEY": "sup_sk_1"})
    assert problem.startswith("database.url: stands in a file")
    assert "hunter2" not in problem


def test_settings_file_that_everyone_can_change_is_refused(write_settings: WriteSettings) -> None:
    [problem] = _problems(write_settings(mode=0o602), {})
    assert "can be changed by everyone" in problem


def test_secret_given_in_two_ways_is_refused(write_settings: WriteSettings) -> None:
    file = write_settings(("[sumup]\n", "[sumup]\napi_key_file = '/x'\n"))
    [problem] = _problems(file, {})
    assert problem == "sumup.api_key: is given in 2 ways (api_key, api_key_file); keep one"


def test_secret_from_the_environment_replaces_the_files_way(write_settings: WriteSettings, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("sup_sk_from_file\n")
    (tmp_path / "key").chmod(0o600)
    settings = load_settings(write_settings(), {"PAYPOLL_SUMUP__API_KEY_FILE": f"{tmp_path}/key"})
    assert _revealed(settings.sumup) == "sup_sk_from_file"


def test_secret_that_cannot_be_read_is_one_problem(write_settings: WriteSettings) -> None:
    file = write_settings(
        ('api_key = "sup_sk_file_secret"', "api_key_file = '/nowhere/key'"),
        ('url = "postgresql:///shop"', "url_env = 'NO_URL'"),
    )
    assert _problems(file, {}) == [
        "database.url_env: the environment variable NO_URL is not set",
        "sumup.api_key_file: there is no file /nowhere/key",
    ]


def test_secrets_of_the_settings_are_all_listed(write_settings: WriteSettings) -> None:
    file = write_settings(
        ("postgresql:///", "postgresql://u:p%40ss@h/"),
        ("[sumup]\n", "[sumup]\nclient_id = 'c'\nclient_secret = 'cc_sk'\n"),
        ("[mail]\n", "[mail]\nusername = 'u'\npassword = 'hunter2'\n"),
    )
    secrets = {secret.reveal() for secret in load_settings(file, {}).secrets()}
    assert secrets == {"p@ss", "cc_sk", "sup_sk_file_secret", "hunter2"}


@pytest.mark.parametrize(
    "text",
    [
        "sumup = 'hunter2-secret'",
        "hunter2-secret",
        "[sumup]\napi_key = 'hunter2-secret\n",
        "[sumup]\napi_key = ['hunter2-secret']",
        "[sumup]\napi_key = 'hunter2-secret'\napi_key = 'hunter2-secret'",
        "[sumup.api_key]\nhunter2 = 'hunter2-secret'",
        "[sumup]\nkey = 'hunter2-secret'",
        "[database]\nurl = 'hunter2-secret'",
        "[database]\npassword = 'hunter2-secret\\u0001'",
        "[sumup]\napi_key = 'hunter2-secret'  # \N{LATIN SMALL LETTER E WITH ACUTE}",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_settings_error_never_shows_a_secret_even_in_its_traceback(tmp_path: Path, text: str, encoding: str) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(text.encode(encoding))
    file.chmod(0o600)
    with pytest.raises(SettingsError) as caught:
        load_settings(file, {})
    shown = "".join(traceback.format_exception(caught.value)) + repr(caught.value.args)
    assert "hunter2-secret" not in shown
    assert caught.value.__context__ is None


# ---------------------------------------------------------------------------------------------------------
# The environment
# ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("url", ["postgresql:///shop", "postgresql://owner:own@db.example/shop"])
def test_password_of_the_file_is_not_for_an_address_of_the_environment_that_takes_none(
    write_settings: WriteSettings, url: str
) -> None:
    ours = 'url = "postgresql://paypoll@db.example/shop"\npassword = "ours"'
    path = write_settings(('url = "postgresql:///shop"', ours))
    assert "ours" in load_settings(path, {}).database.url.reveal()
    assert "ours" not in load_settings(path, {"PAYPOLL_DATABASE__URL": url}).database.url.reveal()
    other = {"PAYPOLL_DATABASE__URL": "postgresql://paypoll@other.example/shop"}
    assert "ours" in load_settings(path, other).database.url.reveal()
    with pytest.raises(SettingsError):
        load_settings(path, {"PAYPOLL_DATABASE__URL": url, "PAYPOLL_DATABASE__PASSWORD": "theirs"})


def test_environment_wins_over_the_file(write_settings: WriteSettings) -> None:
    environ = {"PAYPOLL_SITE__BASE_URL": "https://other.example", "PAYPOLL_SUMUP__API_KEY": "sup_sk_environment"}
    settings = load_settings(write_settings(), environ)
    assert settings.site.base_url == "https://other.example"
    assert _revealed(settings.sumup) == "sup_sk_environment"


@pytest.mark.parametrize("value", ["a@shop.example,b@shop.example", '["a@shop.example", "b@shop.example"]'])
def test_list_from_the_environment_has_commas_or_is_json(write_settings: WriteSettings, value: str) -> None:
    settings = load_settings(write_settings(), {"PAYPOLL_ALERTS__TO": value})
    assert settings.alerts.to == ("a@shop.example", "b@shop.example")


def test_numbers_and_truth_from_the_environment_are_understood(write_settings: WriteSettings) -> None:
    environ = {
        "PAYPOLL_SUMUP__TRIES": "5",
        "PAYPOLL_SUMUP__REQUESTS_PER_SECOND": "2.5",
        "PAYPOLL_SUMUP__READ_TIMEOUT": "7",
        "PAYPOLL_VERIFICATION__WATCH_ABANDONED": "no",
        "PAYPOLL_MAIL__CA_FILE": "",
    }
    settings = load_settings(write_settings(), environ)
    assert (settings.sumup.tries, settings.sumup.requests_per_second) == (5, 2.5)
    assert settings.sumup.read_timeout == timedelta(seconds=7)
    assert not settings.verification.watch_abandoned
    assert settings.mail.ca_file is None


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("PAYPOLL_SUMUP__API_KEYS", "PAYPOLL_SUMUP__API_KEY"),
        ("PAYPOLL_SUMUP_API_KEY", "PAYPOLL_SUMUP__API_KEY"),
        ("PAYPOLL_SUMPU__TRIES", "PAYPOLL_SUMUP__TRIES"),
    ],
)
def test_variable_that_is_misspelt_is_told_without_its_value(
    write_settings: WriteSettings, name: str, meant: str
) -> None:
    [problem] = _problems(write_settings(), {name: "hunter2"})
    assert problem == f"{name}: stands for no setting; did you mean {meant}?"


def test_variables_of_others_are_left_alone(write_settings: WriteSettings) -> None:
    environ = {"PAYPOLL_CONFIG": "/none", "PAYPOLL_HOME": "x", "_PAYPOLL_COMPLETE": "bash_source", "PATH": "/bin"}
    assert load_settings(write_settings(), environ).sumup.tries == 3


def _problems(path: Path | None, environ: Mapping[str, str], **options: Path) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(path, environ, **options)
    return list(caught.value.problems)


def _revealed(sumup: SumUpSettings) -> str:
    assert sumup.api_key is not None
    return sumup.api_key.reveal()


def test_what_the_ledger_leaves_out_is_a_merchant_or_a_pattern_of_one(write_settings: WriteSettings) -> None:
    file = write_settings(extra='\n[ledger]\nignore = ["MABC", "MDEF/POS-*"]\non_refund = "void"\nevery = "0"\n')
    ledger = load_settings(file, {}).ledger
    assert (ledger.ignore, ledger.on_refund, ledger.every) == (("MABC", "MDEF/POS-*"), "void", timedelta(0))
    with pytest.raises(SettingsError, match="neither a merchant code nor MERCHANT/pattern"):
        load_settings(write_settings(extra='\n[ledger]\nignore = ["MDEF/"]\n'), {})
