"""A message as it is sent after DATA: what `email` writes, with no line end and no dot that could be misread."""

import re
from email.message import EmailMessage
from email.policy import SMTP
from io import BytesIO

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.unit.mail.test_compose import compose

from paypoll.mail.content.compose import KINDS, Attachment
from paypoll.mail.smtp.data import MessageWriter, data_of

FILES = (
    Attachment("ticket.pdf", "application/pdf", bytes(range(256)) * 300),
    Attachment("a.ics", "text/calendar", b""),
)


def written_by_email(message: EmailMessage, *, utf8: bool) -> bytes:
    written = message.as_bytes(policy=SMTP.clone(cte_type="7bit", utf8=utf8))
    return re.sub(rb"^\.", b"..", written, flags=re.MULTILINE)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("international", [False, True])
def test_data_is_what_email_writes(kind: str, international: bool) -> None:
    message = compose(kind, attachments=FILES)
    assert data_of(message, international=international) == written_by_email(message, utf8=international)


@given(st.text(st.sampled_from("\r\n.aé "), max_size=40))
@example(".\r\n..\r.\n\r\r\n.")
def test_data_of_any_text_has_no_lone_line_end_and_ends_at_no_dot_of_its_own(text: str) -> None:
    message = EmailMessage(policy=SMTP)
    message["Subject"] = "any"
    message.set_payload(text.encode("ascii", "replace").decode())
    data = data_of(message, international=False)
    assert not re.search(rb"[\r\n]", data.replace(b"\r\n", b""))
    assert data.endswith(b"\r\n")
    assert not re.search(rb"^\.(?!\.)", data, flags=re.MULTILINE)


def test_email_writes_bodies_by_the_method_that_is_replaced() -> None:
    """What a library does not promise: without it, mail would be written slowly and nobody would notice."""
    asked: list[str] = []

    class Noted(MessageWriter):
        def _write_lines(self, lines: str) -> None:
            asked.append(lines)
            super()._write_lines(lines)

    message = compose("confirmation", attachments=FILES)
    Noted(BytesIO(), mangle_from_=False, policy=SMTP).flatten(message)
    assert len(asked) == len([part for part in message.walk() if not part.is_multipart()])
