"""Both servers together, as `paypoll sandbox` runs them."""

import smtplib
import threading
from pathlib import Path

import pytest
import requests
from tests.settings_text import sound_settings, write_settings_file

from paypoll.sandbox.serve import Sandbox, serve
from paypoll.settings.load import load_settings

LONG = 10.0
# All but the sections that the sandbox itself says.
THE_REST = sound_settings(sumup={"api_key": None}, mail={"sender": None})


def test_serve_runs_both_until_told_to_stop(tmp_path: Path) -> None:
    stop = threading.Event()
    seen: list[tuple[int, str]] = []
    announced: list[Sandbox] = []

    def visit(running: Sandbox) -> None:
        announced.append(running)
        key = {"Authorization": f"Bearer {running.api_key}"}
        answer = requests.get(f"{running.sumup_url}/v0.1/checkouts", headers=key, timeout=LONG)
        seen.append((answer.status_code, answer.text))
        host, _, port = running.smtp_address.rpartition(":")
        with smtplib.SMTP(host, int(port), timeout=LONG) as session:
            session.sendmail("a@shop.example", ["b@shop.example"], "Subject: Hi\r\n\r\nHello\r\n")
        stop.set()

    serve(0, 0, tmp_path / "mails", stop, visit)

    assert seen == [(200, "[]")]
    assert [path.name for path in (tmp_path / "mails").iterdir()] == ["0001-hi.eml"]
    with pytest.raises(requests.ConnectionError):
        requests.get(announced[0].sumup_url, timeout=LONG)


def test_sample_settings_are_settings_that_paypoll_takes(tmp_path: Path) -> None:
    stop = threading.Event()
    texts: list[tuple[str, str, int]] = []

    def visit(running: Sandbox) -> None:
        texts.append((running.sample_settings(), running.sumup_url, running.mail_sink.port))
        stop.set()

    serve(0, 0, tmp_path / "mails", stop, visit, api_key="sup_sk_other", merchant_code="MOTHER")

    [(text, sumup_url, smtp_port)] = texts
    settings = load_settings(write_settings_file(tmp_path / "config.toml", THE_REST + text), {})
    assert settings.sumup.base_url == sumup_url
    assert settings.sumup.merchant_code == "MOTHER"
    assert settings.sumup.api_key is not None
    assert settings.sumup.api_key.reveal() == "sup_sk_other"
    assert (settings.mail.host, settings.mail.port, settings.mail.tls) == ("127.0.0.1", smtp_port, "none")


def test_serve_on_a_taken_port_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    stop, before = threading.Event(), threading.active_count()

    def again(running: Sandbox) -> None:
        stop.set()
        with pytest.raises(OSError, match="in use"):
            serve(0, running.mail_sink.port, tmp_path, stop, lambda _: None)

    serve(0, 0, tmp_path, stop, again)

    assert threading.active_count() == before


def test_repr_of_the_sandbox_shows_no_key(tmp_path: Path) -> None:
    stop = threading.Event()
    shown: list[str] = []

    def visit(running: Sandbox) -> None:
        shown.append(repr(running))
        stop.set()

    serve(0, 0, tmp_path, stop, visit, api_key="sup_sk_hidden")

    assert "sup_sk_hidden" not in shown[0]
