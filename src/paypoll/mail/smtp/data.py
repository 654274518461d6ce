"""A message as it is sent after DATA, without the dot at its end (RFC 5321, 4.5.2)."""

import re
from email.generator import BytesGenerator
from email.message import EmailMessage
from email.policy import SMTP
from io import BytesIO

_NEWLINE = "\r\n"

# Every part is ASCII, so that delivery does not depend on what the servers on the way support (8BITMIME).
_SEVEN_BIT = SMTP.clone(cte_type="7bit")
_INTERNATIONAL = _SEVEN_BIT.clone(utf8=True)


def data_of(message: EmailMessage, *, international: bool) -> bytes:
    """Return the bytes to send. `international`: the server offers SMTPUTF8, and addresses have letters beyond ASCII.

    A lone CR or LF could pass for the end of the message at some servers, and the rest for another one: there is none.
    """
    written = BytesIO()
    policy = _INTERNATIONAL if international else _SEVEN_BIT
    MessageWriter(written, mangle_from_=False, policy=policy).flatten(message)
    content = written.getvalue()
    if not content.count(b"\r\n") == content.count(b"\n") == content.count(b"\r"):
        content = re.sub(rb"\r\n|\r|\n", b"\r\n", content)
    if not content.endswith(b"\r\n"):
        content += b"\r\n"
    stuffed = content.replace(b"\r\n.", b"\r\n..")
    return b"." + stuffed if stuffed.startswith(b".") else stuffed


class MessageWriter(BytesGenerator):
    """Writes what `email` writes, a body at a time.

    Python's own takes each body to lines and writes them one by one, which for two tickets was two thirds of the work.
    """

    def _write_lines(self, lines: str) -> None:
        # Not to be had by a public call. A test says when `email` does not ask for it any more.
        if "\r" in lines:
            lines = re.sub(r"\r\n|\r", "\n", lines)
        self.write(lines.replace("\n", _NEWLINE))
