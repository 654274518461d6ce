"""config.example.toml shows every key, with its real default, and loads."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from paypoll.errors import SettingsError
from paypoll.settings.keys import secret_keys
from paypoll.settings.load import load_settings
from paypoll.settings.model import SECTIONS
from paypoll.settings.show import masked

EXAMPLE = Path(__file__).parents[3] / "config.example.toml"
# What a shop must say for itself: the example has a made-up value instead of a default.
REQUIRED = {"site.base_url", "site.support_email", "database.url", "mail.sender", "alerts.to"}


def test_example_shows_every_key_and_no_other_in_the_models_sections() -> None:
    shown: list[str] = []
    section = ""
    for line in EXAMPLE.read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"\[(\w+)\]", line):
            section = heading[1]
        elif key := re.match(r"#?(\w+) = ", line):
            shown.append(f"{section}.{key[1]}")
    assert sorted(shown) == sorted(f"{name}.{key}" for name, model in SECTIONS.items() for key in model.model_fields)


def test_example_has_the_real_defaults() -> None:
    settings = load_settings(EXAMPLE, {"PAYPOLL_SUMUP__API_KEY": "sup_sk_1"})
    written = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    for name, model in SECTIONS.items():
        section = getattr(settings, name)
        for key, field in model.model_fields.items():
            path = f"{name}.{key}"
            if path in REQUIRED:
                assert field.is_required(), path
                continue
            assert not field.is_required(), path
            # Unset is what cannot be written as a value: it stands behind a #.
            assert (key in written[name]) == (field.default is not None), path
            if key in written[name]:
                assert getattr(section, key) == field.default, path


def test_example_has_a_comment_before_every_group_of_keys() -> None:
    for paragraph in re.split(r"\n\[\w+\]\n", EXAMPLE.read_text(encoding="utf-8"))[1:]:
        assert re.match(r"# \S", paragraph), paragraph[:60]


def test_example_as_it_is_lacks_only_the_secret() -> None:
    with pytest.raises(SettingsError) as caught:
        load_settings(EXAMPLE, {})
    assert [problem.partition(":")[0] for problem in caught.value.problems] == ["sumup.api_key"]


def test_example_names_every_secret_where_it_explains_secrets() -> None:
    head = EXAMPLE.read_text(encoding="utf-8").partition("\n[")[0]
    assert not [key for name in SECTIONS for key in secret_keys(name) if f"{name}.{key}" not in head]


def test_settings_shown_are_plain_and_hide_every_secret() -> None:
    environ = {
        "PAYPOLL_SUMUP__API_KEY": "hunter2-key",
        "PAYPOLL_SUMUP__CLIENT_ID": "cc_1",
        "PAYPOLL_SUMUP__CLIENT_SECRET": "hunter2-client",
        "PAYPOLL_DATABASE__URL": "postgresql://u@h/d?sslpassword=hunter2-ssl",
        "PAYPOLL_MAIL__USERNAME": "u",
        "PAYPOLL_MAIL__PASSWORD": "hunter2-mail",
        "PAYPOLL_LOGGING__FILE": "/var/log/paypoll.log",
    }
    shown = masked(load_settings(EXAMPLE, environ))
    assert "hunter2" not in json.dumps(shown)
    assert shown["database"]["url"] == "postgresql+psycopg2://u@h/d?sslpassword=***"
    assert shown["sumup"]["api_key"] == "***"
    assert shown["mail"]["size_limit"] == "10MiB"
    assert shown["verification"]["late_window"] == "3d"
    assert shown["logging"]["file"] == "/var/log/paypoll.log"
    assert {name: set(section) for name, section in shown.items()} == {
        name: set(model.model_fields) for name, model in SECTIONS.items()
    }
