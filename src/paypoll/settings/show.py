"""The settings as plain values for `paypoll config show`, with `***` in place of every secret."""

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import BaseModel

from paypoll.settings.database_url import masked_url
from paypoll.settings.model import SECTIONS, Settings
from paypoll.settings.secret import Secret
from paypoll.settings.units import show_duration, show_size

_SIZES = {("mail", "size_limit")}


def masked(settings: Settings) -> dict[str, dict[str, object]]:
    """Return section → key → value, ready for JSON. The database's address is shown without its passwords."""
    return {name: _plain_section(name, getattr(settings, name)) for name in SECTIONS}


def _plain_section(name: str, section: BaseModel) -> dict[str, object]:
    plain = {key: _plain(name, key, value) for key, value in section}
    if name == "database":
        plain["url"] = masked_url(section.url.reveal())  # type: ignore[attr-defined]  # only DatabaseSettings has one
    if plain.get("ping_url"):
        # Whoever knows the whole address can send the pings, and nobody would notice that runs have stopped.
        address = urlsplit(str(plain["ping_url"]))
        plain["ping_url"] = f"{address.scheme}://{address.netloc}/***"
    return plain


def _plain(section: str, key: str, value: object) -> object:
    if isinstance(value, Secret | Path):
        return str(value)
    if isinstance(value, timedelta):
        return show_duration(value)
    if isinstance(value, int) and (section, key) in _SIZES:
        return show_size(value)
    return list(value) if isinstance(value, tuple) else value
