"""Every command that prints JSON has its schema in docs/schemas. Whether it keeps to it, the acceptance tests look."""

import json

import fastjsonschema
import pytest
from click.testing import CliRunner
from tests.json_schemas import SCHEMAS, check_printed, schema_of, validator

from paypoll.cli import cli
from paypoll.cli.reference import commands

PRINTING = [path[1:] for path, command in commands(cli) if any(one.name == "as_json" for one in command.params)]


def test_every_command_with_json_has_a_schema_and_no_other() -> None:
    assert {schema_of(words).name for words in PRINTING} == {path.name for path in SCHEMAS.glob("*.json")}


@pytest.mark.parametrize("words", PRINTING, ids=" ".join)
def test_schema_is_sound_and_refuses_what_has_no_schema_number(words: tuple[str, ...]) -> None:
    with pytest.raises(fastjsonschema.JsonSchemaException):
        validator(schema_of(words))({})


@pytest.mark.parametrize("words", [("explain", "--json"), ("explain", "mismatch", "--json")], ids=" ".join)
def test_explanations_are_as_their_schema_says(words: tuple[str, ...]) -> None:
    printed = CliRunner().invoke(cli, list(words)).output
    check_printed(words, printed)
    with pytest.raises(fastjsonschema.JsonSchemaException):
        check_printed(words, json.dumps({**json.loads(printed), "schema": 2}))
