"""Log lines: their form, where they go, and that no secret is in them."""

import base64
import io
import json
import logging
import os
import pty
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import structlog

from paypoll import logs
from paypoll.errors import SettingsError

SECRET = "sup_sk_Zz/+ \"é'&%\\x"

log = structlog.get_logger("paypoll.something")


@pytest.fixture(autouse=True)
def _undo() -> Iterator[None]:
    yield
    logs.close_logging()
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()
    logging.getLogger().setLevel(logging.WARNING)


@pytest.fixture(scope="module", autouse=True)
def _known_secret() -> None:
    logs.register_secret(SECRET)


# ---------------------------------------------------------------------------------------------------------
# The form of a line
# ---------------------------------------------------------------------------------------------------------


def test_event_without_a_terminal_is_one_json_line() -> None:
    stream = _configured()
    structlog.contextvars.bind_contextvars(run=7, order="A1")
    moment = datetime(2026, 12, 5, 19, 30, tzinfo=UTC)
    log.info("order decided", amount=Decimal("12.50"), at=moment, took=timedelta(seconds=2), name="Zoë\n\x1b[2J")
    [line] = stream.getvalue().splitlines()
    event = json.loads(line)
    stamp = datetime.fromisoformat(event.pop("timestamp"))
    assert stamp.tzinfo is not None
    assert stamp.utcoffset() == timedelta(0)
    assert event == {
        "event": "order decided",
        "level": "info",
        "logger": "paypoll.something",
        "run": 7,
        "order": "A1",
        "amount": "12.50",
        "at": "2026-12-05T19:30:00+00:00",
        "took": 2.0,
        "name": "Zoë\n\x1b[2J",
    }


@pytest.mark.parametrize(
    ("environ", "coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False), ({"NO_COLOR": ""}, True)],
)
def test_event_on_a_terminal_is_for_people(environ: Mapping[str, str], coloured: bool) -> None:
    leader, follower = pty.openpty()
    with os.fdopen(leader, "rb", buffering=0) as screen, os.fdopen(follower, "w", encoding="utf-8") as terminal:
        logs.configure_logging(stream=terminal, environ=environ)
        log.warning("order stuck", order="A1")
        shown = screen.read(4096).decode()
        logs.close_logging()
    assert "order stuck" in shown
    assert not shown.startswith("{")
    assert ("\x1b[" in shown) is coloured


def test_event_for_people_cannot_move_the_cursor_or_fake_a_line() -> None:
    stream = _configured(form="console")
    log.info("order\x1b[2J\nfake", name="x\x1b[2J\x9bA\r\n2026-01-01 [critical] all is lost", short="\x1b[2J")
    _raise_and_log(ValueError("line one\x1b[2J\nline two"))
    text = stream.getvalue()
    assert not [code for code in "\x1b\x9b\r" if code in text]
    first, *_ = text.splitlines()
    assert "order\\x1b[2J\\x0afake" in first
    assert "all is lost" in first
    assert "line one\\x1b[2J\nline two" in text


@pytest.mark.parametrize(("level", "shown"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_event_below_the_level_is_left_out(level: str, shown: int) -> None:
    stream = _configured(level=level)
    for method in (log.debug, log.info, log.warning, log.error):
        method("event")
    assert len(stream.getvalue().splitlines()) == shown


def test_exception_is_shown_without_local_variables() -> None:
    stream = _configured()
    _raise_and_log(ValueError("the reason"))
    event = json.loads(stream.getvalue())
    assert "ValueError: the reason" in event["exception"]
    assert "in-a-local-variable" not in event["exception"]


def test_record_of_a_library_is_shown_from_warning_on() -> None:
    stream = _configured(level="debug")
    library = logging.getLogger("urllib3.connectionpool")
    library.debug("chatter")
    library.info("chatter")
    library.warning("retrying %s", "soon")
    [line] = stream.getvalue().splitlines()
    assert json.loads(line).items() >= {"event": "retrying soon", "level": "warning", "logger": library.name}.items()


def test_event_that_cannot_be_encoded_is_written_nevertheless() -> None:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="ascii", write_through=True)
    logs.configure_logging(format="console", stream=stream, environ={})
    log.info("name", name="Zoë \ud800 🎟")
    assert b"Zo\\xeb \\\\ud800 \\U0001f39f" in raw.getvalue()


# ---------------------------------------------------------------------------------------------------------
# The journal
# ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["auto", "console"])
def test_event_under_systemd_has_its_priority_on_every_line(tmp_path: Path, form: logs.LogFormat) -> None:
    with (tmp_path / "journal").open("w+", encoding="utf-8") as journal:
        status = os.fstat(journal.fileno())
        environ = {"JOURNAL_STREAM": f"{status.st_dev}:{status.st_ino}"}
        logs.configure_logging("debug", form, stream=journal, environ=environ)
        for method, number in ((log.debug, 7), (log.info, 6), (log.warning, 4), (log.error, 3), (log.critical, 2)):
            method("event", number=number)
        _raise_and_log(ValueError("the reason"))
        journal.seek(0)
        lines = journal.read().splitlines()
    assert [line[:3] for line in lines[:5]] == ["<7>", "<6>", "<4>", "<3>", "<2>"]
    assert all(line.startswith("<3>") for line in lines[5:])
    assert (len(lines) > 6) is (form == "console")


def test_event_not_sent_to_the_journal_has_no_priority(tmp_path: Path) -> None:
    with (tmp_path / "redirected").open("w+", encoding="utf-8") as stream:
        logs.configure_logging(stream=stream, environ={"JOURNAL_STREAM": "8:12345"})
        log.info("event")
        stream.seek(0)
        assert stream.read().startswith("{")


# ---------------------------------------------------------------------------------------------------------
# The file
# ---------------------------------------------------------------------------------------------------------


def test_log_file_gets_json_whatever_the_screen_shows_and_survives_rotation(tmp_path: Path) -> None:
    file = tmp_path / "paypoll.log"
    _configured(form="console", file=file)
    log.info("before")
    file.rename(tmp_path / "paypoll.log.1")
    log.info("after")
    assert json.loads((tmp_path / "paypoll.log.1").read_text())["event"] == "before"
    assert json.loads(file.read_text())["event"] == "after"


def test_log_file_that_cannot_be_opened_is_a_settings_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"logging\.file: cannot write .*no such file or directory"):
        _configured(file=tmp_path / "nowhere" / "paypoll.log")


def test_log_file_that_goes_away_does_not_stop_the_run_and_is_told_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "logs"
    folder.mkdir()
    stream = _configured(file=folder / "paypoll.log")
    (folder / "paypoll.log").unlink()
    folder.rmdir()
    for _ in range(3):
        log.info("event", key=SECRET)
    assert len(stream.getvalue().splitlines()) == 3
    assert capsys.readouterr().err.count("cannot write the log file") == 1


def test_log_file_on_a_full_disk_does_not_stop_the_run(capsys: pytest.CaptureFixture[str]) -> None:
    stream = _configured(file=Path("/dev/full"))
    log.info("event", key=SECRET)
    logs.close_logging()
    assert json.loads(stream.getvalue())["event"] == "event"
    said = capsys.readouterr().err
    assert said == "paypoll: cannot write the log file /dev/full: no space left on device\n"


def test_logging_configured_again_replaces_what_was(tmp_path: Path) -> None:
    first = _configured(file=tmp_path / "first.log")
    second = _configured(level="warning")
    log.warning("event")
    assert (first.getvalue(), (tmp_path / "first.log").read_text()) == ("", "")
    assert len(second.getvalue().splitlines()) == 1


def test_logging_to_a_closed_stream_does_not_stop_the_run() -> None:
    stream = _configured()
    stream.close()
    log.info("event")


def test_event_that_cannot_be_rendered_is_told_as_lost_without_showing_it() -> None:
    class Odd:
        def __str__(self) -> str:
            raise KeyError(SECRET)

    stream = _configured()
    log.info("event", odd=Odd(), key=SECRET)
    assert stream.getvalue() == "paypoll: a log line was lost: keyerror\n"


# ---------------------------------------------------------------------------------------------------------
# Secrets
# ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["console", "json"])
@pytest.mark.parametrize(
    "values",
    [
        {"key": SECRET},
        {"nested": {"list": [SECRET, {"deep": SECRET}]}},
        {"url": f"https://h/?key={quote(SECRET, safe='')}", "form": f"key={quote_plus(SECRET)}", "path": quote(SECRET)},
        {"shown": repr(SECRET), "as_json": json.dumps({"key": SECRET}), "as_bytes": SECRET.encode()},
        {"error": ValueError(SECRET)},
        {SECRET: 1},
    ],
)
def test_secret_in_any_value_is_masked(form: logs.LogFormat, values: dict[str, Any]) -> None:
    stream = _configured(form=form)
    log.info("event %s", SECRET, **values)
    text = stream.getvalue()
    assert "***" in text
    assert "sup_sk_Zz" not in text


@pytest.mark.parametrize("form", ["console", "json"])
def test_secret_in_an_exception_and_its_cause_is_masked(tmp_path: Path, form: logs.LogFormat) -> None:
    stream = _configured(form=form, file=tmp_path / "file.log")
    error = ValueError(f"refused {SECRET}")
    error.__cause__ = KeyError(SECRET)
    error.add_note(SECRET)
    _raise_and_log(error)
    text = stream.getvalue() + (tmp_path / "file.log").read_text()
    assert text.count("refused ***") == 2
    assert "sup_sk_Zz" not in text


def test_secret_in_a_record_of_a_library_is_masked() -> None:
    stream = _configured()
    logging.getLogger("urllib3").warning("Connection to %s failed", f"https://h/{quote(SECRET)}")
    assert "failed" in stream.getvalue()
    assert "sup_sk_Zz" not in stream.getvalue()


def test_secret_registered_later_is_masked_from_then_on_and_whole() -> None:
    stream = _configured()
    logs.register_secret("token-12345")
    logs.register_secret("token-12345-and-more")
    log.info("token-12345-and-more, token-12345")
    assert json.loads(stream.getvalue())["event"] == "***, ***"


def test_secret_too_short_to_be_told_from_a_word_is_not_masked() -> None:
    logs.register_secret("paid")
    assert logs.redact("order paid") == "order paid"


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer TOKEN",
        "{'Authorization': 'Bearer TOKEN', 'Accept': '*/*'}",
        '{\\"Authorization\\": \\"Basic TOKEN\\"}',
        "bearer TOKEN is not valid",
        "connecting to postgresql+psycopg2://shop:TOKEN@db/shop failed",
    ],
)
def test_secret_that_gives_itself_away_is_masked_unregistered(text: str) -> None:
    token = base64.b64encode(b"an-unregistered-one").decode().rstrip("=")
    masked = logs.redact(text.replace("TOKEN", token))
    assert masked == text.replace("TOKEN", "***")


@pytest.mark.parametrize(
    "text", ["Bearer of good news", "https://shop.example:8080/a@b", "see a://b and c@d", "12:30 @ 5"]
)
def test_text_that_only_resembles_a_secret_is_kept(text: str) -> None:
    assert logs.redact(text) == text


def _configured(level: str = "info", form: logs.LogFormat = "auto", file: Path | None = None) -> io.StringIO:
    stream = io.StringIO()
    logs.configure_logging(level, form, file, stream=stream, environ={})
    return stream


def _raise_and_log(error: Exception) -> None:
    local_value = "-".join(["in", "a", "local", "variable"])
    try:
        raise error
    except type(error):
        log.exception("it failed")
    del local_value
