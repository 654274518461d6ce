"""The command line as a whole: every command explains itself, and the settings are shown without their secrets."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from tests.settings_text import sound_settings, write_settings_file

from paypoll.__main__ import main
from paypoll.admin.check import exit_code
from paypoll.admin.check.result import fine, unreachable, wrong
from paypoll.cli import cli
from paypoll.cli.commands.check import result_lines
from paypoll.cli.person import person
from paypoll.cli.render.screen import shown

SETTINGS = sound_settings(
    database={"url": "postgresql://paypoll:db-secret@db.example/shop"},
    sumup={"api_key": "sup_sk_secret"},
)


def commands(group: click.Group, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


@pytest.mark.parametrize(("path", "command"), list(commands(cli)), ids=str)
def test_every_command_has_help_and_an_example(path: tuple[str, ...], command: click.Command) -> None:
    shown = CliRunner().invoke(cli, [*path, "-h"])
    assert shown.exit_code == 0
    assert command.help
    if not isinstance(command, click.Group):
        assert "Example" in command.help
        assert f"paypoll {' '.join(path)}" in command.help or f"{' '.join(path)}\n" in command.help
    for option in command.params:
        assert not isinstance(option, click.Option) or option.help


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    return write_settings_file(tmp_path / "config.toml", SETTINGS)


def test_config_show_is_toml_with_masked_secrets(settings: Path) -> None:
    shown = CliRunner().invoke(cli, ["--config", str(settings), "config", "show"])
    assert "secret" not in shown.output.replace("client_secret", "")
    parsed = tomllib.loads(shown.output)
    assert parsed["sumup"]["api_key"] == "***"
    assert parsed["verification"]["max_age"] == "2h"
    assert parsed["alerts"]["to"] == ["admin@shop.example"]


def test_config_show_as_json_has_the_source(settings: Path) -> None:
    shown = json.loads(CliRunner().invoke(cli, ["--config", str(settings), "config", "show", "--json"]).output)
    assert (shown["schema"], shown["source"], shown["settings"]["sumup"]["api_key"]) == (1, str(settings), "***")


def test_config_validate_names_the_file(settings: Path) -> None:
    assert CliRunner().invoke(cli, ["--config", str(settings), "config", "validate"]).output == f"OK  {settings}\n"


def test_db_grants_of_a_name_that_no_role_can_have_is_a_usage_error() -> None:
    assert CliRunner().invoke(cli, ["db", "grants", "--role", "a$grant$"]).exit_code == 2


@pytest.mark.parametrize("address", ["", "ADDRESS", "a@b@c", "ada@example.org\nBcc: x@example.org"])
def test_resend_to_what_is_no_address_is_a_usage_error(address: str) -> None:
    # An empty one as well, as of a variable that is not set: it would be the order's own address.
    refused = CliRunner().invoke(cli, ["resend", "ORD-1", "--to", address])
    assert (refused.exit_code, "Invalid value for '--to'" in refused.output) == (2, True)


def test_person_is_the_name_given_then_who_called_sudo_then_the_login() -> None:
    assert person(" Ana\nMaria ", {"SUDO_USER": "margot"}) == "Ana Maria"
    assert person(None, {"SUDO_USER": "margot"}) == "margot"
    assert person("", {})


def test_exit_code_of_a_check_is_the_settings_before_what_is_out_of_reach() -> None:
    assert exit_code([fine("a", "b")]) == 0
    assert exit_code([unreachable("a", "b", "c")]) == 75
    assert exit_code([unreachable("a", "b", "c"), wrong("a", "b", "c")]) == 78


def test_finding_has_its_next_step_behind_it_or_below() -> None:
    (line,) = result_lines(wrong("timer", "disabled", "enable it"))
    assert click.unstyle(shown(line)) == "PROBLEM timer: disabled → enable it"
    assert result_lines(wrong("timer", "y" * 70, "x"))[-1] == "        → x"


def test_restore_of_a_file_that_is_not_there_is_66(tmp_path: Path) -> None:
    assert main(["db", "restore", str(tmp_path / "gone.zip")]) == 66
