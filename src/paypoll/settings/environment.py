"""Settings from environment variables: `PAYPOLL_SUMUP__READ_TIMEOUT=5s` stands for `sumup.read_timeout`.

A variable wins over the file. A list is JSON (`["a", "b"]`) or has commas.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from paypoll.settings.keys import PREFIX, environment_name, is_list, spellings, unknown_variable
from paypoll.settings.model import SECTIONS


@dataclass(frozen=True, slots=True)
class Overlay:
    """The environment's settings: values by section and key, as in the file, and the mistakes in the others."""

    values: dict[str, dict[str, object]]
    problems: list[str]


def read_environment(environ: Mapping[str, str]) -> Overlay:
    """Return the settings that the environment gives.

    A name with two underscores is always meant as a setting. One with a single underscore is taken for a mistake
    only if it would be a setting with two: other programs have variables that start with PAYPOLL_ too.
    """
    known = {
        environment_name(section, key): (section, key) for section in SECTIONS for key in sorted(spellings(section))
    }
    slips = {name.replace("__", "_", 1): name for name in known}
    values: dict[str, dict[str, object]] = {}
    problems = []
    for name in sorted(environ):
        if name in known:
            section, key = known[name]
            values.setdefault(section, {})[key] = _value(section, key, environ[name])
        elif name in slips:
            problems.append(f"{name}: stands for no setting; did you mean {slips[name]}?")
        elif name.startswith(PREFIX) and "__" in name:
            problems.append(f"{name}: {unknown_variable(name)}")
    return Overlay(values, problems)


def _value(section: str, key: str, text: str) -> object:
    if not is_list(section, key):
        return text
    if text.lstrip().startswith("["):
        try:
            return json.loads(text)
        except ValueError:
            return text  # no list: the check of the key says so
    return [part.strip() for part in text.split(",") if part.strip()]
