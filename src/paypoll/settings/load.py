"""Finding, reading and checking the settings, so that every mistake is reported at once and no secret is shown."""

import os
import stat
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from paypoll.errors import SettingsError
from paypoll.settings.database_url import passwords_in, takes_no_password
from paypoll.settings.environment import read_environment
from paypoll.settings.keys import environment_name, secret_keys, spellings, unknown_key, unknown_section
from paypoll.settings.model import SECTIONS, Section, Settings
from paypoll.settings.secret import WAYS, Secret, read_secret

SYSTEM_FILE = Path("/etc/paypoll/config.toml")
READ_ONLY_FILE = "read-only.toml"

_Table = dict[str, object]

_CALLED_FOR = {("sumup", "api_key"): "", ("sumup", "client_secret"): "client_id", ("mail", "password"): "username"}
"""Secrets that cannot be left out, and with what other key of their section; without: always."""

_STANDS_IN = "-"  # too short for the log to blot it out wherever it stands

# Pydantic's error types in an operator's terms; the others keep Pydantic's text.
_SENTENCES = {
    "missing": "is required",
    "string_type": "must be text in quotes",
    "string_too_long": "must have at most {max_length} characters",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a number",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "path_type": "must be text in quotes",
    "tuple_type": 'must be a list, such as ["a", "b"]',
    "greater_than": "must be more than {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be one of {expected}",
}


def find_settings_file(
    path: Path | None, environ: Mapping[str, str], *, system_file: Path = SYSTEM_FILE
) -> Path | None:
    """Return the settings file to read: `path`, else $PAYPOLL_CONFIG, else /etc, else the user's own (XDG).

    The first two are returned whether they exist or not, the others if they do. None: there is none. Beside one that
    this user may not read, `read-only.toml` is taken, if that may be read.
    """
    if path is not None:
        return path
    if named := environ.get("PAYPOLL_CONFIG"):
        return Path(named)
    found = next((place for place in _usual_places(environ, system_file) if _is_there(place)), None)
    if found is not None and not os.access(found, os.R_OK, effective_ids=True):
        # The service's own are for its user. Colleagues have a file beside it that says what they may see.
        beside = found.with_name(READ_ONLY_FILE)
        return beside if os.access(beside, os.R_OK, effective_ids=True) else found
    return found


def load_settings(path: Path | None, environ: Mapping[str, str], *, system_file: Path = SYSTEM_FILE) -> Settings:
    """Return the checked settings from the file and, before it, the environment.

    Raise SettingsError with one sentence for each thing that is wrong.
    """
    source = find_settings_file(path, environ, system_file=system_file)
    shown = "settings" if source is None else str(source)
    tables, mode = ({}, 0) if source is None else _read(source)
    overlay = read_environment(environ)
    problems = list(overlay.problems)
    if mode & stat.S_IWOTH:
        problems.append(f"{source} can be changed by everyone on this machine; run: chmod o-w '{source}'")
    problems += [f"{name}: {unknown_section(name)}" for name in tables if name not in SECTIONS]
    sections = {}
    looking = _is_for_looking(tables.get("database"), overlay.values.get("database", {}))
    for name in SECTIONS:
        table = tables.get(name, {})
        if not isinstance(table, dict):
            problems.append(f"{name}: must be a section, [{name}]")
            continue
        reader = _SectionReader(
            name,
            table,
            overlay.values.get(name, {}),
            environ,
            open_to_all=bool(mode & stat.S_IROTH),
            unread=looking and name != "database",
        )
        sections[name] = reader.read()
        problems += reader.problems
    if problems:
        if source is None:
            places = ", ".join(str(place) for place in _usual_places(environ, system_file))
            problems.append(
                f"there is no settings file: looked for {places}; `sudo paypoll setup` makes one, --config FILE names"
                " another"
            )
        raise SettingsError(problems, source=shown)
    settings = Settings(**sections, source=source)  # type: ignore[arg-type]  # one of each type in SECTIONS
    if contradiction := _contradiction(settings):
        raise SettingsError([contradiction], source=shown)
    return settings


def _is_for_looking(database: object, overlay: _Table) -> bool:
    """Say whether database.read_only is set, before the section is checked: other sections depend on it."""
    given = overlay.get("read_only", database.get("read_only") if isinstance(database, dict) else None)
    return given is True or str(given).lower() in {"true", "1", "yes", "on"}


def _contradiction(settings: Settings) -> str:
    """Return what is wrong between settings of which each is right by itself, in a sentence, or nothing."""
    if settings.mail.message_timeout < settings.verification.lease:
        return ""
    return (
        "mail.message_timeout: must be shorter than verification.lease: else another run takes a mail that is still"
        " being sent for one that was cut off, and sends it as well"
    )


def _usual_places(environ: Mapping[str, str], system_file: Path) -> list[Path]:
    places = [system_file]
    # The XDG base directory specification: a relative path is to be ignored.
    folder = environ.get("XDG_CONFIG_HOME", "")
    if folder.startswith("/"):
        places.append(Path(folder, "paypoll", "config.toml"))
    elif home := environ.get("HOME"):
        places.append(Path(home, ".config", "paypoll", "config.toml"))
    return places


def _is_there(place: Path) -> bool:
    try:
        place.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True  # such as a folder for the service's user only: reading it will say so
    return True


def _read(source: Path) -> tuple[_Table, int]:
    """Return what the file holds, and its mode (0 for what is no plain file, such as a pipe)."""
    problem = ""
    try:
        with source.open("rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            return tomllib.load(file), mode if stat.S_ISREG(mode) else 0
    except FileNotFoundError:
        problem = "there is no such file"
    except PermissionError:
        problem = "this user may not read it; run paypoll as the service's user, or through sudo"
    except OSError as error:
        problem = f"cannot be read: {(error.strerror or str(error)).lower()}"
    except UnicodeDecodeError:
        problem = "is not UTF-8 text"
    except tomllib.TOMLDecodeError as error:
        problem = f"is not TOML: {error}"
    # Outside of the except blocks: the errors of decoding carry the whole file, with its secrets.
    raise SettingsError([problem], source=str(source))


class _SectionReader:
    """Reads one section: the environment over the file, secrets from wherever they are, then the model's checks."""

    def __init__(
        self, name: str, table: _Table, overlay: _Table, environ: Mapping[str, str], *, open_to_all: bool, unread: bool
    ) -> None:
        """Read a section. `unread`: its secrets are not looked at, and something else stands for them."""
        self.problems: list[str] = []
        self._name = name
        self._table = table
        self._overlay = overlay
        self._environ = environ
        self._open_to_all = open_to_all
        self._unread = unread

    def read(self) -> Section | None:
        """Return the section, or None when it has problems."""
        known, secrets = spellings(self._name), secret_keys(self._name)
        for key in self._table:
            if key not in known:
                self._complain(key, unknown_key(self._name, key))
        plain = SECTIONS[self._name].model_fields.keys() - secrets
        values = {key: value for key, value in {**self._table, **self._overlay}.items() if key in plain}
        unusable = set()
        for key in sorted(secrets):
            if self._belongs_to_another_address(key):
                continue
            before = len(self.problems)
            secret = self._secret(key)
            if len(self.problems) > before:
                unusable.add(key)
            elif secret is not None:
                values[key] = secret
        return self._checked(values, unusable)

    def _belongs_to_another_address(self, key: str) -> bool:
        """Say whether this is the password of the file's database, and the environment names how else to get in.

        So the owner of the tables gets in, for `db upgrade`, where runs need a password.
        """
        if (self._name, key) != ("database", "password") or any(one.startswith("password") for one in self._overlay):
            return False
        url = self._overlay.get("url")
        return isinstance(url, str) and takes_no_password(url)

    def _secret(self, key: str) -> object | None:
        """Return the secret in whatever way it is given; the environment's way replaces the file's."""
        if self._unread:
            beside = _CALLED_FOR.get((self._name, key))
            called_for = beside == "" or bool(beside and {**self._table, **self._overlay}.get(beside))
            return Secret(_STANDS_IN) if called_for else None
        spellings_of_key = (key, *(f"{key}_{way}" for way in WAYS))
        layer = self._overlay if self._overlay.keys() & set(spellings_of_key) else self._table
        given = [spelling for spelling in spellings_of_key if spelling in layer]
        if not given:
            return None
        if len(given) > 1:
            self._complain(key, f"is given in {len(given)} ways ({', '.join(given)}); keep one")
            return None
        [spelling] = given
        value = layer[spelling]
        if spelling != key:
            try:
                return read_secret(spelling.removeprefix(f"{key}_"), value, self._environ)
            except ValueError as error:
                self._complain(spelling, str(error))
                return None
        if layer is self._table and self._open_to_all and _is_secret(self._name, key, value):
            place = "stands in a file that everyone on this machine can read"
            self._complain(key, f"{place}; chmod o-rwx it, or use {key}_file")
            return None
        return value

    def _checked(self, values: dict[str, Any], unusable: set[str]) -> Section | None:
        details: list[ErrorDetails] = []
        try:
            section = SECTIONS[self._name].model_validate(values)
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
        for detail in details:
            # A secret that could not be read is a problem already: it is not missing, too.
            if (key := str(detail["loc"][0])) not in unusable:
                self._complain(key, _sentence(detail))
        return None if details or unusable else section

    def _complain(self, key: str, sentence: str) -> None:
        origin = f" (from {environment_name(self._name, key)})" if key in self._overlay else ""
        self.problems.append(f"{self._name}.{key}: {sentence}{origin}")


def _is_secret(section: str, key: str, value: object) -> bool:
    """Say whether the value needs hiding: a database address without a password does not."""
    return (section, key) != ("database", "url") or bool(isinstance(value, str) and passwords_in(value))


def _sentence(detail: ErrorDetails) -> str:
    context = detail.get("ctx", {})
    kind = detail["type"]
    where = "".join(f"entry {part + 1}: " for part in detail["loc"][1:] if isinstance(part, int))
    if kind == "value_error":
        return f"{where}{context['error']}"
    return where + _SENTENCES.get(kind, detail["msg"]).format(**context)
