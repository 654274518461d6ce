"""The settings as they would be: what is there already, and the answers so far over it."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from paypoll.admin.setup.settings_file import Key, Value, with_values
from paypoll.errors import SettingsError
from paypoll.settings.addresses import is_placeholder
from paypoll.settings.keys import secret_keys
from paypoll.settings.load import load_settings
from paypoll.settings.model import SECTIONS, Settings
from paypoll.settings.secret import WAYS, Secret

NOWHERE = "unanswered.invalid"
_UNANSWERED: dict[Key, Value] = {
    ("site", "base_url"): f"https://{NOWHERE}",
    ("site", "support_email"): f"nobody@{NOWHERE}",
    ("database", "url"): f"postgresql://{NOWHERE}/shop",
    ("mail", "sender"): f"nobody@{NOWHERE}",
    ("alerts", "to"): [f"nobody@{NOWHERE}"],
}
_SECRETS = tuple((name, key) for name in SECTIONS for key in sorted(secret_keys(name)))


@dataclass
class Draft:
    """`text`: the settings file that is there, and `kept` what it holds; both empty if there is none yet.

    `kept_secrets`: those that it gives, as far as they can be read. `without`: secrets that it gives and that are not
    needed any more.
    """

    source: Path
    text: str = ""
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)
    values: dict[Key, Value] = field(default_factory=dict)
    secrets: dict[Key, Secret] = field(default_factory=dict)
    without: set[Key] = field(default_factory=set)
    kept_secrets: dict[Key, Secret] = field(default_factory=dict)

    def get(self, section: str, key: str) -> Any:
        """Return what is set, by an answer or by the file; an empty text if nothing is."""
        kept = self.kept.get(section, {}).get(key, "")
        return self.values.get((section, key), kept)

    def keeps(self, section: str, key: str) -> bool:
        """Say whether the file gives this, in one way or another. What is the example file's own was never meant."""
        kept = self.kept.get(section, {})
        return any(way in kept and not is_placeholder(str(kept[way])) for way in _ways(key))

    def forget(self, section: str, key: str) -> None:
        """Have a secret neither from an answer nor from the file."""
        self.secrets.pop((section, key), None)
        self.without.add((section, key))

    def settings(self) -> Settings:
        """Return the settings as far as they are answered. Raise SettingsError with what is wrong in them."""
        values: dict[Key, Value] = {key: value for key, value in _UNANSWERED.items() if not self._is_given(*key)}
        # What is not asked for anew, and only the service may read, is not needed to try the answers.
        for section, key in _SECRETS:
            if f"{key}_credential" in self.kept.get(section, {}):
                values[section, key] = "unknown"
        if not self._is_given("sumup", "api_key") and not self._is_given("sumup", "client_id"):
            values["sumup", "api_key"] = "unanswered"
        values |= self.values | {key: secret.reveal() for key, secret in self.secrets.items()}
        without = {key for key in self.without if key not in self.secrets}
        for unwanted in without:
            values.pop(unwanted, None)
        return _loaded(with_values(self.text, values, without), str(self.source))

    def _is_given(self, section: str, key: str) -> bool:
        kept = self.kept.get(section, {})
        return (section, key) in {*self.values, *self.secrets} or any(way in kept for way in _ways(key))


def _ways(key: str) -> tuple[str, ...]:
    return (key, *(f"{key}_{way}" for way in WAYS))


def _loaded(text: str, source: str) -> Settings:
    """Check settings that no file holds yet, with secrets among them: they are in memory, and nowhere else."""
    descriptor = os.memfd_create("settings")
    try:
        os.fchmod(descriptor, 0o600)
        with open(descriptor, "w", encoding="utf-8", closefd=False) as file:
            file.write(text)
        return load_settings(Path(f"/proc/self/fd/{descriptor}"), {})
    except SettingsError as error:
        raise SettingsError(list(error.problems), source=source) from None
    finally:
        os.close(descriptor)


def read_draft(file: Path, credentials: Path) -> Draft:
    """Return the draft that changes nothing of the file, if there is one. Raise SettingsError if it cannot be read.

    `credentials`: the folder with systemd's credentials, as files `paypoll.<name>`.
    """
    try:
        text = file.read_text(encoding="utf-8")
        kept = tomllib.loads(text)
    except FileNotFoundError:
        return Draft(file)
    except (OSError, ValueError) as error:
        words = (error.strerror or str(error)) if isinstance(error, OSError) else "it is not TOML in UTF-8"
        raise SettingsError([f"{words}; mend it, or move it away"], source=str(file)) from None
    draft = Draft(file, text, {name: table for name, table in kept.items() if isinstance(table, dict)})
    for section, key in _SECRETS:
        table = draft.kept.get(section, {})
        if name := table.get(f"{key}_credential"):
            if (found := _content(credentials / f"paypoll.{name}")) and "/" not in str(name):
                draft.secrets[section, key] = Secret(found)
        elif place := table.get(f"{key}_file"):
            if found := _content(Path(str(place))):
                draft.secrets[section, key] = Secret(found)
        elif isinstance(table.get(key), str) and (section, key) != ("database", "url"):
            draft.secrets[section, key] = Secret(table[key])
    draft.kept_secrets = dict(draft.secrets)
    return draft


def _content(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError):
        return ""


def zone_of_host(link: Path = Path("/etc/localtime"), environ: Mapping[str, str] | None = None) -> str:
    """Return this machine's time zone by its name; UTC where nothing tells it."""
    if named := (environ or {}).get("TZ", "").lstrip(":"):
        return named
    try:
        return str(link.readlink()).partition("zoneinfo/")[2] or "UTC"
    except OSError:
        return "UTC"
