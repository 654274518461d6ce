"""Answers that are given beforehand: an answers file, with whatever the command line says over it."""

import re
import stat
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paypoll.admin.setup.questions import QUESTIONS, Question
from paypoll.admin.setup.session import AnswerError, Session
from paypoll.errors import SettingsError
from paypoll.settings.keys import is_list, secret_keys, spellings
from paypoll.settings.model import SECTIONS
from paypoll.settings.secret import read_secret

_SECRET = ("sumup_key", "mail_password")
_KNOWN = {*(question.key for question in QUESTIONS), *(f"{key}_file" for key in _SECRET), "address", "owner", "set"}


@dataclass
class Answers:
    """`given` by the questions' keys. `owner`: how the owner of the shop's tables gets in. `set`: other settings."""

    given: dict[str, str] = field(default_factory=dict)
    owner: str = ""
    set: dict[tuple[str, str], str | int | list[str]] = field(default_factory=dict)


def read_answers(file: Path) -> Answers:
    """Return the answers of a file. Raise SettingsError with each mistake in it."""
    try:
        with file.open("rb") as opened:
            table = tomllib.load(opened)
        is_open = file.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH)
    except OSError as error:
        raise SettingsError([(error.strerror or str(error)).lower()], source=str(file)) from None
    except ValueError:
        raise SettingsError(["it is not TOML in UTF-8"], source=str(file)) from None
    problems = [f"{key}: there is no such answer" for key in table if key not in _KNOWN]
    if is_open and any(key in table for key in (*_SECRET, "owner")):
        problems.append(f"it holds a secret, and everyone on this machine can read it; run: chmod o-rwx '{file}'")
    answers = Answers(owner=str(table.pop("owner", "")))
    for key in _SECRET:
        if place := table.pop(f"{key}_file", None):
            try:
                table[key] = read_secret("file", place, {}).reveal()
            except ValueError as error:
                problems.append(f"{key}_file: {error}")
    more = table.pop("set", {})
    try:
        for name, value in more.items():
            add_setting(answers, name, value)
    except ValueError as error:
        problems.append(f"set: {error}")
    if address := table.pop("address", ""):
        table["name"] = f"{table.get('name', '')}, {address}"
    for key, value in table.items():
        answers.given[key] = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    if problems:
        raise SettingsError(problems, source=str(file))
    return answers


def secret_in(file: Path) -> str:
    """Return the secret that a file holds. Raise SettingsError where it cannot be read, or others can read it."""
    try:
        return read_secret("file", str(file.absolute()), {}).reveal()
    except ValueError as error:
        raise SettingsError([str(error)], source="setup") from None


def add_setting(answers: Answers, name: str, value: Any) -> None:
    """Add a setting by its name, such as mail.host. Raise ValueError where there is none, or it is a secret."""
    section, _, key = name.partition(".")
    if section not in SECTIONS or key not in spellings(section):
        raise ValueError(f"{name}: there is no such setting")
    if key in secret_keys(section) and (section, key) != ("database", "url"):
        raise ValueError(f"{name}: a secret is given by {key}_file, so that nobody reads it over your shoulder")
    if is_list(section, key) and isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    elif isinstance(value, str) and re.fullmatch(r"\d+|true|false", value):
        value = tomllib.loads(f"value = {value}")["value"]
    answers.set[section, key] = value


def take_settings(session: Session, answers: Answers) -> None:
    """Set what somebody has named: nothing that is found out later goes over it."""
    session.owner_url = answers.owner
    session.draft.values |= answers.set
    session.fixed = frozenset(answers.set) | {
        (section, secret)
        for section, key in answers.set
        for secret in secret_keys(section)
        if key.startswith(f"{secret}_")
    }


def answer_all(session: Session, answers: Answers, questions: Iterable[Question] = QUESTIONS) -> list[str]:
    """Answer every question by what is given, else by its default. Return what was found; raise SettingsError."""
    notes: list[str] = []
    problems: list[str] = []
    for question in questions:
        given = answers.given.get(question.key, "")
        if not (given or question.needed(session)):
            continue
        answer = given or question.default(session)
        if not answer:
            problems.append(f"{question.key}: {session.mail_problem or 'there is no answer'}")
            continue
        try:
            notes += question.take(session, answer)
        except AnswerError as error:
            problems.append(f"{question.key}: {error}")
            if question.key == "shop":
                break  # the rest hangs on it
    if problems:
        raise SettingsError(problems, source="setup")
    return notes
