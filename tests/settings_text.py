"""The settings files of all test worlds: each says what it has that others have not, and nothing else.

`sound_settings` is the least that paypoll accepts. `world_settings` is for a world with a database, where SumUp and
the mail server are nowhere until their addresses are given.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

Value = str | int | float | bool | Path | Sequence[str]
Section = Mapping[str, Value | None]
"""The keys of a section. One that is None is left out, whatever the other settings say."""

MERCHANT = "MPLATFORM"
API_KEY = "sup_sk_test_key"
ADMIN = "admin@shop.example"
NOWHERE = 9
"""The port "discard", where nobody listens."""

_SOUND: dict[str, Section] = {
    "site": {"base_url": "https://shop.example", "support_email": "help@shop.example"},
    "database": {"url": "postgresql:///shop"},
    "sumup": {"api_key": API_KEY},
    "tickets": {},
    "mail": {"sender": "Tickets <tickets@shop.example>"},
    "ledger": {},
    "alerts": {"to": [ADMIN]},
}


def sound_settings(**changes: Section) -> str:
    """Return the least that paypoll accepts, with these changes by section."""
    sections = {name: {**_SOUND.get(name, {}), **changes.get(name, {})} for name in {**_SOUND, **changes}}
    return "".join(_section(name, keys) for name, keys in sections.items())


def world_settings(
    database_url: str,
    *,
    sumup_url: str = f"http://127.0.0.1:{NOWHERE}",
    api_key: str = API_KEY,
    smtp_port: int = NOWHERE,
    media: Path | None = None,
    **changes: Section,
) -> str:
    """Return the settings of the shop "Jersey Events" on this database, with more changes by section."""
    world: dict[str, Section] = {
        "site": {"name": "Jersey Events", "time_zone": "Europe/Jersey"},
        "database": {"url": database_url},
        "sumup": {"base_url": sumup_url, "api_key": api_key, "merchant_code": MERCHANT},
        "tickets": {"media_folder": media},
        # Tests of the ledger turn it on.
        "ledger": {"every": "0"},
        "mail": {
            "host": "127.0.0.1", "port": smtp_port, "tls": "none", "sender": "Jersey Events <tickets@shop.example>",
        },
    }  # fmt: skip
    return sound_settings(**{name: {**world.get(name, {}), **changes.get(name, {})} for name in {**world, **changes}})


def write_settings_file(path: Path, text: str, *, mode: int = 0o600) -> Path:
    """Write a settings file that no other user may read, unless `mode` says otherwise, and return its path."""
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def _section(name: str, keys: Section) -> str:
    lines = [f"{key} = {_toml(value)}\n" for key, value in keys.items() if value is not None]
    return "".join([f"[{name}]\n", *lines]) if lines else ""


def _toml(value: Value) -> str:
    match value:
        case bool():
            return str(value).lower()
        case int() | float():
            return repr(value)
        case str() | Path():
            # No test needs a control character in a setting; a string of TOML has these two to escape.
            escaped = str(value).replace("\\", "\\\\").replace('"', '\\"')
            return f'"{escaped}"'
    return f"[{', '.join(map(_toml, value))}]"
