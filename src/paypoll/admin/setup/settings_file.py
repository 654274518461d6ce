"""The settings file with other values, and everything else in it as it was. Pure."""

import json
import re
import tomllib
from collections.abc import Collection, Mapping
from typing import Any

from paypoll.settings.keys import secret_keys
from paypoll.settings.secret import WAYS

Value = str | int | list[str]
Key = tuple[str, str]

HEAD = """\
# Settings of paypoll, written by `paypoll setup`. Change what you like; run again, it keeps what it does not ask for.
# config.example.toml explains every key: it lies beside the program, in share/paypoll. `paypoll check` says whether
# all works.
"""
_SECTION = re.compile(r"\s*\[\s*(\w+)\s*\]\s*(?:#.*)?")
_ASSIGNMENT = re.compile(r"\s*(\w+)\s*=")


def with_values(text: str, values: Mapping[Key, Value], without: Collection[Key] = ()) -> str:
    """Return the file's text with these values and `without` these keys. Of a secret, whatever gives it makes way.

    Raise tomllib.TOMLDecodeError where the text is no TOML.
    """
    wanted = tomllib.loads(text) if text else {}
    gone = {(section, other) for section, key in values for other in _other_spellings(section, key)}
    gone |= {(section, other) for section, key in without for other in {key, *_other_spellings(section, key)}}
    for section, key in gone:
        wanted.get(section, {}).pop(key, None)
    for (section, key), value in values.items():
        wanted.setdefault(section, {})[key] = value
    edited = _edited(text or HEAD, values, gone)
    try:
        if tomllib.loads(edited) == wanted:
            return edited
    except tomllib.TOMLDecodeError:
        pass
    # Something stands over several lines: then the comments are lost, and no value. The old file is kept beside it.
    return HEAD + "".join(_section(name, table) for name, table in wanted.items())


def _other_spellings(section: str, key: str) -> set[str]:
    for secret in secret_keys(section):
        spellings = {secret, *(f"{secret}_{way}" for way in WAYS)}
        if key in spellings:
            return spellings - {key}
    return set()


def _edited(text: str, values: Mapping[Key, Value], gone: Collection[Key]) -> str:
    left = dict(values)
    lines: list[str] = []
    section = ""
    for line in text.splitlines():
        if match := _SECTION.fullmatch(line):
            lines += _rest_of(section, left)
            section = match[1]
        if (match := _ASSIGNMENT.match(line)) and _stands_alone(line):
            at = (section, match[1])
            if at in gone:
                continue
            if at in left:
                line = f"{match[1]} = {_toml(left.pop(at))}"  # noqa: PLW2901 - the line as it is to be
        lines.append(line)
    lines += _rest_of(section, left)
    for name in dict.fromkeys(name for name, _ in left):
        lines += ["", f"[{name}]", *_rest_of(name, left)]
    return "\n".join(lines) + "\n"


def _rest_of(section: str, left: dict[Key, Value]) -> list[str]:
    """Return the lines of what is left for a section, and take that away."""
    mine = [key for name, key in left if name == section]
    return [f"{key} = {_toml(left.pop((section, key)))}" for key in mine]


def _stands_alone(line: str) -> bool:
    try:
        return bool(tomllib.loads(line))
    except tomllib.TOMLDecodeError:
        return False


def _section(name: str, table: Any) -> str:
    return f"\n[{name}]\n" + "".join(f"{key} = {_toml(value)}\n" for key, value in table.items())


def _toml(value: Any) -> str:
    # Numbers, truth values, texts and lists of texts look the same in JSON and TOML, but for one control character.
    return json.dumps(value, ensure_ascii=False, default=str).replace("\x7f", "\\u007f")
