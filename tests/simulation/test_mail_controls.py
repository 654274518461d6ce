"""The protections of mail switched off, and the simulation seen to notice."""

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.simulation.test_controls import _STORM, worlds_until_broken

from paypoll.mail.mailer import MailUnavailableError
from paypoll.mail.outcomes import MailOutcomes
from paypoll.state.outbox import Mail

if TYPE_CHECKING:
    from tests.simulation.bench import Bench

_MAIL_STORM = replace(_STORM, crash=0.0, smtp=0.5)


def test_with_a_refusal_about_us_taken_for_the_mails_own_mails_are_lost(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    def give_up(
        self: MailOutcomes, mail: Mail, error: MailUnavailableError, why: str, *, everything: bool = False
    ) -> None:
        del why, everything
        self.given_up(mail, str(error))

    monkeypatch.setattr(MailOutcomes, "halted", give_up)
    assert worlds_until_broken(bench, "3 no mail is lost", "the server said only", weather=_MAIL_STORM)


def test_with_alerts_given_up_like_other_mail_they_are_lost(bench: "Bench", monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Mail, "is_alert", property(lambda _mail: False))
    assert worlds_until_broken(bench, "3 no mail is lost", "alert", weather=_MAIL_STORM)
