"""SpamAssassin's local rules have nothing against our mails. Runs where it is installed (apt install spamassassin)."""

import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.mail.test_compose import compose

from paypoll.mail.content.compose import Attachment
from paypoll.mail.content.contexts import AlertContext, ConfirmationContext
from paypoll.mail.content.samples import SAMPLES, SUMMARY

SPAMASSASSIN = shutil.which("spamassassin")


def mails() -> dict[str, bytes]:
    """Return a mail of each kind, and those that rules might mistake: loud, long, in other scripts."""
    pdf = Attachment("WINTER-CON-K7Q2M9XPA.pdf", "application/pdf", b"%PDF-1.7\n" + bytes(3000))
    contents: dict[str, tuple[str, dict[str, Any]]] = {kind: (kind, one.to_json()) for kind, one in SAMPLES.items()}
    contents["summary"] = ("alert", SUMMARY.to_json())
    alert, confirmation = SAMPLES["alert"], SAMPLES["confirmation"]
    assert isinstance(alert, AlertContext)
    assert isinstance(confirmation, ConfirmationContext)
    for level in ("Alert", "CRITICAL"):
        contents[f"level {level}"] = ("alert", replace(alert, level=level).to_json())
    for title in ("東京 コンサート", "Café-Concert für Überraschungsgäste in der alten Straßenbahnhalle", "Вечер"):
        line = replace(confirmation.lines[0], event_title=title)
        contents[title] = ("confirmation", replace(confirmation, lines=(line,)).to_json())
    return {
        name: compose(kind, content, attachments=[pdf] if "confirmation" in kind else []).as_bytes()
        for name, (kind, content) in contents.items()
    }


@pytest.mark.skipif(SPAMASSASSIN is None, reason="SpamAssassin is not installed")
def test_mails_of_every_kind_score_nothing_by_local_rules(tmp_path: Path) -> None:
    assert SPAMASSASSIN
    preferences = tmp_path / "user_prefs"
    preferences.write_text(
        "use_bayes 0\nuse_auto_whitelist 0\nreport_safe 0\nadd_header all Score _SCORE_ _TESTSSCORES_\n"
    )
    sent = mails()
    # One process for all: it takes seconds to start. Lines of the mails that begin with "From " would end one early.
    letters = (b"From nobody Thu Nov 26 12:00:00 2026\n" + raw.replace(b"\r\n", b"\n") + b"\n" for raw in sent.values())
    done = subprocess.run(  # noqa: S603 - where it was found
        [SPAMASSASSIN, "--local", "--prefspath", preferences, "--mbox"],
        input=b"".join(letters),
        capture_output=True,
        check=True,
        timeout=120,
    )
    found = re.findall(rb"^X-Spam-Score: (\S+) ?((?:.*)(?:\n[ \t].*)*)", done.stdout, re.MULTILINE)
    scores = {name: (float(score), rules.decode()) for name, (score, rules) in zip(sent, found, strict=True)}
    assert {name: one for name, one in scores.items() if one[0] > 0} == {}
