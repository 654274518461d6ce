"""The names that may stand in a settings file or in the environment, and which one was meant."""

from collections.abc import Iterable
from functools import cache
from typing import get_args

from paypoll.settings.model import SECTIONS
from paypoll.settings.secret import WAYS, Secret

PREFIX = "PAYPOLL_"


@cache
def secret_keys(section: str) -> frozenset[str]:
    """Return the keys of this section whose values are secrets."""
    fields = SECTIONS[section].model_fields.items()
    return frozenset(key for key, field in fields if Secret in (field.annotation, *get_args(field.annotation)))


@cache
def spellings(section: str) -> frozenset[str]:
    """Return everything that may be written in this section: its keys, and the four ways of giving a secret."""
    ways = {f"{key}_{way}" for key in secret_keys(section) for way in WAYS}
    return frozenset(ways.union(SECTIONS[section].model_fields))


def is_list(section: str, key: str) -> bool:
    """Say whether the key holds several values."""
    field = SECTIONS[section].model_fields.get(key)
    return field is not None and getattr(field.annotation, "__origin__", None) is tuple


def environment_name(section: str, key: str) -> str:
    """Return the environment variable that stands for this key."""
    return f"{PREFIX}{section}__{key}".upper()


def unknown_section(section: str) -> str:
    """Return the sentence about a section that does not exist."""
    meant = _closest(section, SECTIONS)
    return f"there is no such section; {f'did you mean [{meant}]?' if meant else f'there are {_listed(SECTIONS)}'}"


def unknown_key(section: str, key: str) -> str:
    """Return the sentence about a key that does not exist: the closest in its section, or where it belongs."""
    if meant := _closest(key, spellings(section)):
        return f"there is no such key; did you mean {section}.{meant}?"
    homes = [f"{other}.{key}" for other in SECTIONS if key in spellings(other)]
    return f"there is no such key; did you mean {' or '.join(homes)}?" if homes else "there is no such key"


def unknown_variable(name: str) -> str:
    """Return the sentence about an environment variable that stands for no key."""
    known = [environment_name(section, key) for section in SECTIONS for key in spellings(section)]
    meant = _closest(name, known)
    return f"stands for no setting; did you mean {meant}?" if meant else "stands for no setting"


def _closest(word: str, known: Iterable[str]) -> str | None:
    # Only after a mistake, so that a normal start does not pay for the import.
    from difflib import get_close_matches

    matches = get_close_matches(word, sorted(known), n=1, cutoff=0.7)
    return matches[0] if matches else None


def _listed(names: Iterable[str]) -> str:
    return ", ".join(f"[{name}]" for name in names)
