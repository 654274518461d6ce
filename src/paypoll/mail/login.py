"""Log in at a mail server.

Not by smtplib's `login`: it takes ASCII only, and its UnicodeEncodeError carries the password.
"""

import base64
import ssl

from paypoll.mail.connection import Connection
from paypoll.mail.mailer import MailUnavailableError, refusal
from paypoll.mail.refusal import Step, whom_it_is_about
from paypoll.mail.reply import show_reply

_ACCEPTED = 235
_CHALLENGE = 334


def log_in(connection: Connection, username: str, password: str) -> None:
    """Log in by PLAIN (RFC 4616) or LOGIN. Raise MailUnavailableError when that is not possible or refused.

    Never sends a password over a connection without TLS, whatever the settings say.
    """
    if not isinstance(connection.sock, ssl.SSLSocket):
        raise MailUnavailableError("the line is not encrypted, so paypoll does not log in; set mail.tls")
    offered = connection.esmtp_features.get("auth", "").upper().split()
    plain, user, word = _encode(f"\0{username}\0{password}"), _encode(username), _encode(password)
    if "PLAIN" in offered:
        code, reply = connection.docmd("AUTH", f"PLAIN {plain}")
    elif "LOGIN" in offered:
        code, reply = connection.docmd("AUTH", "LOGIN")
        for answer in (user, word):
            if code == _CHALLENGE:
                code, reply = connection.docmd(answer)
    else:
        raise MailUnavailableError("the mail server offers no login that paypoll knows (PLAIN, LOGIN)")
    if code != _ACCEPTED:
        # Some servers quote the rejected command in their answer.
        shown = show_reply(code, reply, secrets=(plain, word, password))
        about = whom_it_is_about(Step.AUTH, code, reply.decode(errors="replace"))
        raise refusal(about, f"the mail server refuses the login of {username}: {shown}")


def _encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
