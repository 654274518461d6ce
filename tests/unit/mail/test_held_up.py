"""A mail server that takes nobody's mail, one recipient at a time: when it is that, and when a recipient's affair."""

from datetime import timedelta

import pytest

from paypoll.mail.doubts import HeldUp, NobodyTaken, nobody_is_taken
from paypoll.testing import NOW

HOUR, MINUTE = timedelta(hours=1), timedelta(minutes=1)


def held(to: str, since: timedelta = 2 * HOUR, *, refused: bool = False) -> HeldUp:
    return HeldUp((to,), NOW - since, NOW - since / 2, refused, f"450 {to}")


def judge(*mails: HeldUp, taken: timedelta | None = 3 * HOUR) -> NobodyTaken | None:
    return nobody_is_taken(mails, NOW - taken if taken else None, NOW, HOUR)


@pytest.mark.parametrize("taken", [None, 3 * HOUR])
def test_nobody_is_taken_when_two_domains_are_put_off_and_nothing_was_taken_since(taken: timedelta | None) -> None:
    found = judge(held("a@one.example", 2 * HOUR), held("b@two.example", HOUR), taken=taken)
    assert found == NobodyTaken(2, 2, NOW - 2 * HOUR, "450 b@two.example")


def test_nobody_is_taken_when_two_recipients_of_one_domain_are_refused_without_a_reason() -> None:
    found = judge(held("a@one.example", refused=True), held("b@one.example", refused=True))
    assert (found and (found.mails, found.domains)) == (2, 1)


@pytest.mark.parametrize(
    "mails",
    [
        (),
        (held("a@one.example", refused=True),),
        # One domain's server, or one mailbox, may be away for as long as it likes.
        (held("a@one.example"), held("b@ONE.example")),
        (held("a@one.example", refused=True), held("A@one.example", refused=True)),
        # It does not last yet, as with greylisting.
        (held("a@one.example"), held("b@two.example", 59 * MINUTE)),
        # One was put off while others were taken.
        (held("a@one.example", 4 * HOUR), held("b@two.example")),
        (held("a@one.example", 3 * HOUR), held("b@two.example")),
    ],
)
def test_recipients_affair_says_nothing_about_the_server(mails: tuple[HeldUp, ...]) -> None:
    assert judge(*mails) is None
