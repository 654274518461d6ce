"""Which addresses mail may go to. What passes must be harmless in a header and in a command of SMTP."""

import smtplib
from email import message_from_bytes
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from paypoll.mail.address import address_problem, envelope_address, split_sender


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.org",
        "ada.le-sueur+tickets@mail.example.co.uk",
        "o'hara@example.org",
        "a_b=c&d@example.photography",
        "ADA@EXAMPLE.ORG",
        "1@2.org",
        "root@localhost",
        "ada@bücher.example",
        "jörg@example.org",
        "用户@例え.jp",
        "a" * 64 + "@" + "b" * 60 + ".org",
    ],
)
def test_address_of_a_real_person_has_no_problem(address: str) -> None:
    assert address_problem(address) is None


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("", "no mail address"),
        ("   ", "no mail address"),
        ("ada", "no @"),
        ("@example.org", "before the @"),
        ("ada@", "not a domain"),
        (" ada@example.org", "before the @"),
        ("ada@example.org ", "not a domain"),
        ("ada le@example.org", "before the @"),
        (".ada@example.org", "before the @"),
        ("ada..b@example.org", "before the @"),
        ('"ada b"@example.org', "before the @"),
        ("ada(x)@example.org", "before the @"),
        ("ada\\@example.org", "before the @"),
        ("a\u202eda@example.org", "before the @"),
        ("ada@-example.org", "not a domain"),
        ("ada@example..org", "not a domain"),
        ("ada@example.org.", "not a domain"),
        ("ada@" + "b" * 64 + ".org", "not a domain"),
        ("ada@[127.0.0.1]", "not a domain"),
        ("ada@127.0.0.1", "not a domain"),
        ("ada@☕.example", "not a domain"),
        ("ada@a\u200db.example", "not a domain"),
        ("ada@שלוםa.example", "not a domain"),
        ("ada@ex ample.org", "not a domain"),
        ("ada@b@example.org", "one mail address"),
        ("ada@example.org,bob@example.org", "one mail address"),
        ("ada@example.org;bob@example.org", "one mail address"),
        ("Ada <ada@example.org>", "one mail address"),
        ("ada@example.org\r\nBcc: eve@example.org", "line break"),
        ("ada@example.org\n", "line break"),
        ("ada\x00@example.org", "control character"),
        ("ada@example.org\u2028", "line break"),
        ("ada\ud800@example.org", "control character"),
        ("a" * 250 + "@example.org", "longer than 254"),
    ],
)
def test_address_that_cannot_be_mailed_has_its_problem_named(address: str, problem: str) -> None:
    found = address_problem(address)
    assert found is not None
    assert problem in found
    with pytest.raises(ValueError, match=problem):
        envelope_address(address)


def test_envelope_address_of_an_international_domain_is_ascii() -> None:
    assert envelope_address("Ada@Bücher.example") == "Ada@xn--bcher-kva.example"
    assert envelope_address("jörg@Example.ORG") == "jörg@Example.ORG"
    # By IDNA 2008: neither strasse.example nor a final sigma turned into another one.
    assert envelope_address("ada@straße.example") == "ada@xn--strae-oqa.example"
    assert envelope_address("ada@ΒΌΛΟΣ.example") == envelope_address("ada@βόλοσ.example")
    assert envelope_address("ada@βόλος.example") == "ada@xn--nxasmm1c.example"
    assert envelope_address("ada@ｅｘａｍｐｌｅ。jp") == "ada@example.jp"


# Mostly sound, so that many get through, with anything at all in between.
odd = st.lists(
    st.one_of(st.text(max_size=3), st.sampled_from(["ada", "@", ".", "example.org", "\r\n", ">", ",", "ü", "=?", '"'])),
    max_size=8,
).map("".join)


@given(odd)
@example("ada@example.org\r\nBcc: eve@example.org")
@example("=?utf-8?q?a=0D=0ABcc:b?=@example.org")
def test_address_without_a_problem_is_one_word_in_smtp_and_one_address_in_a_header(address: str) -> None:
    if address_problem(address):
        return
    written = envelope_address(address)
    assert smtplib.quoteaddr(written) == f"<{written}>"
    assert len(written.split()) == 1
    local, _, domain = written.partition("@")
    assert domain.isascii()
    message = EmailMessage(policy=SMTP)
    message["To"] = Address(username=local, domain=domain)
    message["X-Last"] = "x"
    received = message_from_bytes(message.as_bytes(policy=SMTP), policy=SMTP)
    assert received.keys() == ["To", "X-Last"]
    if local.isascii():
        assert [found.addr_spec for found in received["To"].addresses] == [written]


@pytest.mark.parametrize(
    ("sender", "name", "address"),
    [
        ("tickets@example.org", "", "tickets@example.org"),
        ("Tickets <tickets@example.org>", "Tickets", "tickets@example.org"),
        ('"Events, Jersey" <tickets@example.org>', "Events, Jersey", "tickets@example.org"),
        ("<tickets@example.org>", "", "tickets@example.org"),
    ],
)
def test_split_sender_parts_the_name_from_the_address(sender: str, name: str, address: str) -> None:
    assert split_sender(sender) == (name, address)
