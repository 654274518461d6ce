"""A settings file that is sound, for tests to change."""

from collections.abc import Callable
from pathlib import Path

import pytest

SOUND = """
[site]
base_url = "https://shop.example"
support_email = "help@shop.example"
[database]
url = "postgresql:///shop"
[sumup]
api_key = "sup_sk_file_secret"
[mail]
sender = "Tickets <tickets@shop.example>"
[alerts]
to = ["admin@shop.example"]
"""

WriteSettings = Callable[..., Path]


@pytest.fixture
def write_settings(tmp_path: Path) -> WriteSettings:
    """Return a function that writes the sound settings, with texts replaced, and returns the file (mode 0600)."""

    def write(*changes: tuple[str, str], extra: str = "", mode: int = 0o600) -> Path:
        text = SOUND + extra
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        file = tmp_path / "config.toml"
        file.write_text(text, encoding="utf-8")
        file.chmod(mode)
        return file

    return write
