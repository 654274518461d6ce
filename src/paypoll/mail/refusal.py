"""Whom a mail server's refusal is about: this recipient, this message, us, or only the present moment.

What follows from it is not decided here but by the delivery: only what is about the recipient or the message itself
makes a mail undeliverable. To wait too long costs a day, to give up wrongly costs a customer the tickets: so what
cannot be told waits.
"""

import re
from enum import StrEnum


class Step(StrEnum):
    """What the server answered to. MESSAGE is its answer after the message itself."""

    GREETING = "greeting"
    EHLO = "EHLO"
    STARTTLS = "STARTTLS"
    AUTH = "AUTH"
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    MESSAGE = "message"


class About(StrEnum):
    """Whom a refusal is about, and what becomes of the mail."""

    RECIPIENT = "this recipient"
    """Undeliverable, and told."""
    MESSAGE = "this message"
    """Undeliverable in this form, and told."""
    US = "us"
    """Account, sender, quota, relay, reputation: every mail would meet it. Delivery halts, and everything waits."""
    DOUBTFUL = "us, or this message"
    """It cannot be told. This mail waits; a second one of another kind, refused so, says that it is about us."""
    DOUBTFUL_RECIPIENT = "us, or this recipient"
    """As DOUBTFUL, unless the server takes other recipients: then it is about this one."""
    NOW = "now"
    """Delivery halts, and the mail waits."""
    NOW_RECIPIENT = "now, this recipient"
    """This mail alone waits, and the session goes on."""


_CLOSING = 421
_TOO_LARGE = 552
_NO_SUCH_MAILBOX = frozenset({550, 551, 553})
_LOGIN = frozenset({530, 534, 535, 538})  # RFC 4954, 6: a login is required, too weak, refused, or needs TLS
_BEFORE_A_MAIL = frozenset({Step.GREETING, Step.EHLO, Step.STARTTLS, Step.AUTH})

_ENHANCED = re.compile(r"(?:^|[(#\s])([45]\.\d{1,3}\.\d{1,3})\b")  # qmail and Plesk write (#5.7.1) at the end
# Of the classes 5.1 and 5.2, what is about the sender all the same (RFC 3463, 3.2; 5.1.90 is Exchange Online's quota).
_SENDER_CODES = frozenset({"5.1.7", "5.1.8", "5.1.90"})
_QUOTA_CODES = frozenset({"5.4.5"})  # Gmail: daily sending quota exceeded
_MESSAGE_CODES = frozenset({"5.3.4", "5.2.3"})  # larger than the server, or this mailbox, takes
_NO_CODES = frozenset({"", "5.0.0"})

# In any reply, whatever its code: Exchange Online says SendAsDenied under 5.2.252, Postfix 5.1.0 of its own sender.
_NAMES_THE_SENDER = re.compile(
    r"SendAsDenied|send ?as (?:this|other)|not allowed to send|(?:sender|from) address (?:was )?rejected"
    r"|bad outbound sender|Submission ?Quota ?Exceeded",
    re.IGNORECASE,
)
# Only where the code does not say that it is about the recipient, whose own quota or relay may be named there.
_RELAY = re.compile(
    r"(?<![-.\w])relay(?:ing|ed|s)?(?![-.]?\w)"  # the word, and not the name of a host
    r"|allowed rcpthosts",  # qmail, and Plesk with it
    re.IGNORECASE,
)
_NAMES_US = re.compile(
    rf"{_RELAY.pattern}|not owned by|not verified|unverified (?:sender|domain)|sender verify failed"
    r"|not authori[sz]ed to (?:send|perform)|authenticat\w* (?:is )?required|must (?:first )?(?:authenticate|log ?in)"
    r"|not (?:authenticated|logged in)|sending (?:is |has been |was )?(?:suspended|paused|disabled)"
    r"|(?:daily|hourly|monthly|outgoing|outbound|submission|sending|send)\W+(?:\w+\W+){0,3}(?:quota|limit|rate)\b"
    r"|(?:quota|limit)\W+(?:\w+\W+){0,6}outgoing",
    re.IGNORECASE,
)
_NAMES_SIZE = re.compile(r"size|too (?:large|big|long)", re.IGNORECASE)


def whom_it_is_about(step: Step, code: int, text: str, *, others_taken: bool = False) -> About:
    """Return whom a reply is about that is no success. `text` is the reply without its code, of all its lines.

    `others_taken`: the server takes other recipients, in this message or lately.
    """
    if code // 100 != 5:  # noqa: PLR2004 - the classes of replies, RFC 5321, 4.2.1
        return _for_now(step, code, text)
    if step in _BEFORE_A_MAIL or code in _LOGIN or _NAMES_THE_SENDER.search(text):
        return About.US
    enhanced = enhanced_code(text)
    if step is Step.MAIL and enhanced.startswith(("5.1.", "5.2.")) and enhanced not in _MESSAGE_CODES:
        return About.US  # no recipient has been named yet: it is the sender's mailbox
    return _by_enhanced_code(enhanced) or _by_words(step, code, enhanced, text, others_taken=others_taken)


def is_about_size(code: int, text: str) -> bool:
    """Return whether a refusal of the message says that it is too large."""
    return code == _TOO_LARGE or enhanced_code(text) in _MESSAGE_CODES


def enhanced_code(text: str) -> str:
    """Return the enhanced code of a reply (RFC 3463), or an empty text where it has none."""
    found = _ENHANCED.search(text)
    return found[1] if found else ""


def _for_now(step: Step, code: int, text: str) -> About:
    # 421 closes the session, so it is not this recipient's. What is no reply of SMTP may be anything.
    if step is not Step.RCPT or code // 100 != 4 or code == _CLOSING:  # noqa: PLR2004
        return About.NOW
    if enhanced_code(text).startswith(("4.1.", "4.2.")) and not _NAMES_THE_SENDER.search(text):
        return About.NOW_RECIPIENT
    if _RELAY.search(text):
        return About.US  # Postfix says 454 of its own accord, so that a slip in its settings loses nothing
    return About.NOW if _NAMES_THE_SENDER.search(text) or _NAMES_US.search(text) else About.NOW_RECIPIENT


def _by_enhanced_code(enhanced: str) -> About | None:
    if enhanced in _SENDER_CODES | _QUOTA_CODES:
        return About.US
    if enhanced in _MESSAGE_CODES or enhanced.startswith("5.6."):
        return About.MESSAGE
    return About.RECIPIENT if enhanced.startswith(("5.1.", "5.2.")) else None


def _by_words(step: Step, code: int, enhanced: str, text: str, *, others_taken: bool) -> About:
    if _NAMES_US.search(text):
        return About.US
    codeless = enhanced in _NO_CODES
    if codeless and code == _TOO_LARGE and (step is not Step.RCPT or _NAMES_SIZE.search(text)):
        return About.MESSAGE
    if codeless and code in _NO_SUCH_MAILBOX and step is Step.RCPT:
        return About.RECIPIENT if others_taken else About.DOUBTFUL_RECIPIENT
    return About.DOUBTFUL
