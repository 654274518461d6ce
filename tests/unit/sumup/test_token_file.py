"""The token kept between runs: private, whole, and never in the way."""

import os
import stat
from datetime import UTC, datetime
from pathlib import Path

import pytest

from paypoll.sumup.token_file import StoredToken, TokenFile

TOKEN = StoredToken("secret-token", datetime(2026, 5, 1, 19, 0, tzinfo=UTC))


def token_file(folder: Path, *, base_url: str = "https://api.sumup.com", client_id: str = "client") -> TokenFile:
    return TokenFile(folder, base_url=base_url, client_id=client_id)


def test_token_file_saved_is_loaded_and_private(tmp_path: Path) -> None:
    token_file(tmp_path).save(TOKEN)
    store = token_file(tmp_path, base_url="https://api.sumup.com/")
    assert store.load() == TOKEN
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [store.path]


def test_token_file_another_client_or_sumup_has_another_file(tmp_path: Path) -> None:
    token_file(tmp_path).save(TOKEN)
    assert token_file(tmp_path, client_id="other").load() is None
    assert token_file(tmp_path, base_url="http://127.0.0.1:1").load() is None


@pytest.mark.parametrize(
    "content",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"access_token": "t"}',
        '{"access_token": 5, "expires_at": "2026-05-01T19:00:00+00:00"}',
        '{"access_token": "t\\r\\nX: y", "expires_at": "2026-05-01T19:00:00+00:00"}',
        '{"access_token": "t", "expires_at": "2026-05-01T19:00:00"}',
        '{"access_token": "t", "expires_at": "soon"}',
        '{"access_token": "t", "expires_at": 5}',
        "\udcff",
    ],
)
def test_token_file_corrupt_is_ignored(tmp_path: Path, content: str) -> None:
    store = token_file(tmp_path)
    store.path.write_text(content, errors="surrogateescape")
    store.path.chmod(0o600)
    assert store.load() is None


def test_token_file_that_others_can_read_or_write_is_ignored(tmp_path: Path) -> None:
    store = token_file(tmp_path)
    store.save(TOKEN)
    store.path.chmod(0o620)
    assert store.load() is None


def test_token_file_that_is_a_link_is_ignored(tmp_path: Path) -> None:
    store = token_file(tmp_path)
    store.save(TOKEN)
    target = tmp_path / "elsewhere"
    store.path.rename(target)
    store.path.symlink_to(target)
    assert store.load() is None


def test_token_file_folder_missing_neither_loads_nor_raises(tmp_path: Path) -> None:
    store = token_file(tmp_path / "missing")
    store.save(TOKEN)
    assert store.load() is None


def test_token_file_that_cannot_be_replaced_leaves_nothing_behind(tmp_path: Path) -> None:
    store = token_file(tmp_path)
    (store.path / "in the way").mkdir(parents=True)
    store.save(TOKEN)
    assert os.listdir(tmp_path) == [store.path.name]  # noqa: PTH208 - dot files as well


def test_stored_token_repr_hides_the_token() -> None:
    assert "secret-token" not in repr(TOKEN)
