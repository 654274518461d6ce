"""Refusals as mail servers of the world say them, to be dialled into the sink by name."""

from typing import Final

from paypoll.sandbox.mail.smtp_session import Stage

REFUSALS: Final[dict[str, tuple[Stage, str]]] = {
    "ses-not-verified": (
        Stage.MESSAGE,
        (
            "554 Message rejected: Email address is not verified. The following identities failed the check in region "
            "EU-WEST-1: tickets@shop.example"
        ),
    ),
    "ses-rate": (Stage.MESSAGE, "454 Throttling failure: Maximum sending rate exceeded."),
    "ses-size": (Stage.MESSAGE, "552 Message is too long."),
    "gmail-quota": (Stage.RCPT, "550 5.4.5 Daily user sending limit exceeded."),
    "gmail-no-user": (Stage.RCPT, "550 5.1.1 The email account that you tried to reach does not exist."),
    "gmail-spam": (
        Stage.MESSAGE,
        "550 5.7.1 Our system has detected that this message is likely unsolicited mail.",
    ),
    "office365-send-as": (
        Stage.MESSAGE,
        "554 5.2.252 SendAsDenied; bot@shop.example not allowed to send as tickets@shop.example",
    ),
    "yahoo-policy": (Stage.MESSAGE, "554 5.7.9 Message not accepted for policy reasons."),
    "yahoo-deferred": (Stage.MAIL, "421 4.7.0 [TSS04] Messages temporarily deferred due to user complaints"),
    "plesk-limit": (
        Stage.RCPT,
        "550 5.7.0 Your message could not be sent. The limit on the number of allowed outgoing messages was exceeded.",
    ),
    "plesk-not-owned": (
        Stage.RCPT,
        "553 5.7.1 <tickets@shop.example>: Sender address rejected: not owned by user bot@shop.example",
    ),
    "postfix-relay": (Stage.RCPT, "554 5.7.1 Relay access denied"),
    "postfix-greylisted": (Stage.RCPT, "450 4.2.0 Recipient address rejected: Greylisted"),
    "postfix-malformed": (Stage.MESSAGE, "550 5.6.0 Message is malformed"),
    "exim-no-user": (Stage.RCPT, "550 Unknown user"),
}
