"""Subjects and senders' names as they leave: by RFC 2047, and read back as what they were."""

import re
from base64 import b64decode
from email import message_from_bytes
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from quopri import decodestring

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paypoll.mail.content.plain import one_line
from paypoll.mail.content.policies import MESSAGE

# A letter of each of many scripts, among what goes wrong: spaces, digits, quotes, what encoded words are made of.
SCRIPTS = 'aZ é ß Ł Ω Ж Ա א ع अ অ ਅ அ అ ක ก ລ མ က ა አ ខ 中 ひ カ 한 𐍈 🎉 e\u0301 👩\u200d🚒 A\u200d 1.?=_"\\,;:()<>@-&'
TITLES = st.one_of(
    st.text(st.sampled_from(SCRIPTS), max_size=200),
    st.text(max_size=100),
    st.lists(
        st.sampled_from(["Café", "=?utf-8?q?a?=", "東京", "Concert", "x" * 70, "é" * 30, "?=", "=?"]), max_size=12
    ).map(" ".join),
).map(one_line)
WORD = re.compile(r"=\?utf-8\?([QB])\?([!->@-~]+)\?=")


def raw_header(name: str, value: object) -> str:
    """Return the header as it leaves, without the line end."""
    message = EmailMessage(policy=MESSAGE)
    message[name] = value
    return message.as_bytes(policy=SMTP).decode("ascii").removesuffix("\r\n\r\n")


def read(header: str) -> str:
    """Return what a strict reader makes of a header: words of ours only where spaces part them from all else."""
    read, last_was_encoded = "", False
    for piece in re.split(r"((?:\r\n)? )", header.partition(": ")[2])[::2]:
        found = WORD.fullmatch(piece)
        if found:
            kind, text = found.groups()
            decoded = b64decode(text) if kind == "B" else decodestring(text, header=True)
            read += ("" if last_was_encoded or not read else " ") + decoded.decode()
        else:
            assert "=?" not in piece
            read += (" " if read else "") + piece
        last_was_encoded = bool(found)
    return read


@given(TITLES)
@example("Café  ".strip() + " " + "x" * 80)
@example("word " * 39 + "é")
@example("=?utf-8?q?a=0D=0ABcc:eve@example.org?=")
def test_subject_is_read_back_as_it_was_by_every_reader(title: str) -> None:
    header = raw_header("Subject", title)
    assert read(header) == title
    parsed = message_from_bytes(f"{header}\r\n\r\n".encode(), policy=SMTP)
    assert str(parsed["Subject"]).strip() == title
    assert str(make_header(decode_header(header.partition(": ")[2].replace("\r\n", "")))) == title


@given(TITLES.filter(bool))
@example("x" * 500)
@example("é" * 500)
def test_subject_has_short_lines_none_empty_and_sound_words(title: str) -> None:
    lines = raw_header("Subject", title).split("\r\n")
    assert max(map(len, lines)) <= 76
    assert all(line.removeprefix("Subject:").strip() for line in lines)
    for piece in " ".join(lines).split():
        if "=?" in piece:
            assert WORD.fullmatch(piece)
            assert len(piece) <= 75


def test_subject_of_ascii_is_left_to_be_read() -> None:
    assert raw_header("Subject", "Your tickets") == "Subject: Your tickets"
    long = "Your tickets for the Winter Concert of the Choir of Saint Helier - order ORD-1001"
    assert raw_header("Subject", long) == f"Subject: {long}".replace(" - order", " -\r\n order")


@pytest.mark.parametrize("address", ["tickets@example.org", f"tickets@{'x' * 60}.example.org"])
@given(name=TITLES)
@example(name='Events, "Jersey" \\ Co')
@example(name="Ü" * 60)
def test_senders_name_is_read_back_as_it_was(address: str, name: str) -> None:
    local, _, domain = address.partition("@")
    header = raw_header("From", Address(name, local, domain))
    assert max(map(len, header.replace(address, "").split("\r\n"))) <= 76
    (found,) = message_from_bytes(f"{header}\r\n\r\n".encode(), policy=SMTP)["From"].addresses
    assert found.addr_spec == address
    # Not by Python's display_name, which puts spaces between the encoded words of a name.
    written = re.sub(rf"(\r\n)? ?<?{re.escape(address)}>?$", "", header.removeprefix("From: "))
    quoted = re.fullmatch(r'"(.*)"', written)
    assert (re.sub(r"\\(.)", r"\1", quoted[1]) if quoted else read(f"From: {written}")) == name
