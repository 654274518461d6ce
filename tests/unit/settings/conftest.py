"""A settings file that is sound, for tests to change."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.settings_text import sound_settings, write_settings_file

SOUND = sound_settings(sumup={"api_key": "sup_sk_file_secret"})
WriteSettings = Callable[..., Path]


@pytest.fixture
def write_settings(tmp_path: Path) -> WriteSettings:
    """Return a function that writes the sound settings, with texts replaced, and returns the file (mode 0600)."""

    def write(*changes: tuple[str, str], extra: str = "", mode: int = 0o600) -> Path:
        text = SOUND + extra
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        return write_settings_file(tmp_path / "config.toml", text, mode=mode)

    return write
