"""Secrets do not show themselves, and come from four places."""

import copy
import json
import os
import pickle
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from paypoll.settings.secret import Secret, read_secret

VALUE = "hunter2-hunter2"


class Holder(BaseModel):
    """A model with a secret."""

    secret: Secret


def test_secret_shown_in_any_way_is_masked() -> None:
    secret = Secret(VALUE)
    holder = Holder(secret=secret)
    shown = [str(secret), repr(secret), f"{secret}", f"{secret!r:>20}", f"{[secret]}", str(holder), repr(holder)]
    shown += [holder.model_dump_json(), str(holder.model_dump()), json.dumps(secret, default=str)]
    assert not [text for text in shown if VALUE in text]
    assert secret.reveal() == VALUE


def test_secret_pickled_is_refused() -> None:
    with pytest.raises(TypeError):
        pickle.dumps(Secret(VALUE))
    assert copy.deepcopy(Secret(VALUE)) == Secret(VALUE)


def test_secret_compares_by_value_and_never_with_text() -> None:
    assert Secret(VALUE) == Secret(VALUE)
    assert len({Secret(VALUE), Secret(VALUE), Secret("other")}) == 2
    assert Secret(VALUE) != VALUE


@pytest.mark.parametrize("value", ["", "hunter2\nX-Evil: 1", "hunter2\r", "hunter2\x00", 12345, None])
def test_secret_that_is_unfit_is_refused_without_being_shown(value: object) -> None:
    with pytest.raises(ValidationError) as caught:
        Holder.model_validate({"secret": value})
    assert "hunter2" not in caught.value.errors(include_input=False, include_url=False)[0]["msg"]


@pytest.mark.parametrize(
    ("content", "value"),
    [("abc", "abc"), ("abc\n", "abc"), ("abc\r\n", "abc"), ("abc\n\n", "abc\n"), (" a c ", " a c ")],
)
def test_secret_file_loses_one_line_end(tmp_path: Path, content: str, value: str) -> None:
    file = _file(tmp_path, content)
    assert read_secret("file", str(file), {}).reveal() == value


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o660, 0o400])
def test_secret_file_closed_to_others_is_read(tmp_path: Path, mode: int) -> None:
    file = _file(tmp_path, VALUE, mode=mode)
    assert read_secret("file", str(file), {}).reveal() == VALUE


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o602, 0o666])
def test_secret_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    file = _file(tmp_path, VALUE, mode=mode)
    with pytest.raises(ValueError, match="open to everyone") as caught:
        read_secret("file", str(file), {})
    assert str(file) in str(caught.value)
    assert VALUE not in str(caught.value)


def test_secret_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=f"there is no file {tmp_path}/nothing"):
        read_secret("file", f"{tmp_path}/nothing", {})


def test_secret_file_that_is_no_plain_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    for place in (tmp_path / "pipe", tmp_path):
        with pytest.raises(ValueError, match="is not a file"):
            read_secret("file", str(place), {})


@pytest.mark.parametrize(
    ("content", "said"), [(b"", "is empty"), (b"\n", "is empty"), (b"\xff\xfe", "UTF-8"), (b"x" * 70_000, "too large")]
)
def test_secret_file_with_no_secret_in_it_is_refused(tmp_path: Path, content: bytes, said: str) -> None:
    file = _file(tmp_path, content)
    with pytest.raises(ValueError, match=said) as caught:
        read_secret("file", str(file), {})
    # Not even as the hidden cause: that of a decoding carries the content.
    assert caught.value.__context__ is None


@pytest.mark.parametrize("where", ["relative/path", "", 5, None])
def test_secret_file_not_given_by_its_full_path_is_refused(where: object) -> None:
    with pytest.raises(ValueError, match=r"absolute path|must be text"):
        read_secret("file", where, {})


def test_secret_from_the_environment_is_read_or_named() -> None:
    assert read_secret("env", "SHOP_KEY", {"SHOP_KEY": VALUE}).reveal() == VALUE
    with pytest.raises(ValueError, match="SHOP_KEY is not set"):
        read_secret("env", "SHOP_KEY", {})
    with pytest.raises(ValueError, match="SHOP_KEY is empty"):
        read_secret("env", "SHOP_KEY", {"SHOP_KEY": ""})


def test_credential_of_systemd_is_read_whatever_its_mode(tmp_path: Path) -> None:
    _file(tmp_path, VALUE, mode=0o444)
    secret = read_secret("credential", "secret", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert (secret.reveal(), secret.origin) == (VALUE, "/etc/credstore/paypoll.secret")


def test_credential_that_is_missing_or_empty_is_named_by_the_file_that_the_operator_knows(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"put it into /etc/credstore/paypoll\.secret, for root"):
        read_secret("credential", "secret", {"CREDENTIALS_DIRECTORY": str(tmp_path)})
    _file(tmp_path, "")
    with pytest.raises(ValueError, match=r"/etc/credstore/paypoll\.secret is empty"):
        read_secret("credential", "secret", {"CREDENTIALS_DIRECTORY": str(tmp_path)})


def test_credential_outside_of_the_service_says_why() -> None:
    with pytest.raises(ValueError, match="LoadCredential"):
        read_secret("credential", "secret", {})


@pytest.mark.parametrize("name", ["../secret", "/etc/shadow", "..", "a/b"])
def test_credential_name_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="plain name"):
        read_secret("credential", name, {"CREDENTIALS_DIRECTORY": str(tmp_path)})


def _file(folder: Path, content: str | bytes, mode: int = 0o600) -> Path:
    file = folder / "secret"
    file.write_bytes(content.encode() if isinstance(content, str) else content)
    file.chmod(mode)
    return file
