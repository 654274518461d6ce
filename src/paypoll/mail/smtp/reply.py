"""What a mail server says, made fit for a person to read."""

from collections.abc import Sequence

from paypoll.logs import redact
from paypoll.mail.content.plain import one_line

_LONGEST = 300


def show_reply(code: int, reply: bytes, *, secrets: Sequence[str] = ()) -> str:
    """Return the server's reply on one line, shortened, without any of the `secrets` and those that the logs know."""
    text = redact(one_line(reply.decode(errors="replace")))
    for secret in secrets:
        if secret:
            text = text.replace(one_line(secret), "***")
    if len(text) > _LONGEST:
        text = text[: _LONGEST - 1] + "…"
    # smtplib's -1 stands for a line that is no reply of SMTP.
    return f"{code} {text}".strip() if code > 0 else f"not a reply of SMTP: {text}"
