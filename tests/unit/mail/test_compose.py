"""What messages say, and that nothing from the database can make them say more than that."""

import functools
import re
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from email import message_from_bytes
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.policy import SMTP
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from paypoll.mail.content.compose import KINDS, Attachment, ComposeOptions, Composer
from paypoll.mail.content.contexts import AlertContext, ConfirmationContext, FailureContext, OrderLine
from paypoll.mail.content.reading import ComposeError
from paypoll.mail.content.samples import SAMPLES

EXAMPLES = settings().max_examples  # of the profile
DATE = datetime(2026, 11, 23, 15, 0, 7, tzinfo=UTC)
MESSAGE_ID = "<0123456789abcdef@example.org>"
OPTIONS = ComposeOptions(
    site_name="Jersey Events",
    base_url="https://shop.example.org",
    support_email="help@example.org",
    sender="Jersey Events <tickets@example.org>",
    time_zone=ZoneInfo("Europe/Jersey"),
)
HEADERS = [
    "Message-ID",
    "Date",
    "From",
    "To",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "Subject",
    "MIME-Version",
    "Content-Type",
]
# What an event or a customer may be called, by whoever wants to make trouble.
NASTY = (
    "\r\nBcc: eve@example.org\r\n\r\n=?utf-8?q?a=0D=0ABcc:eve@example.org?= \x00\u2028"
    "<b>&amp;\"' {{ 7 * 7 }} \ud800 🎉 שלום"
)


composer_for = functools.cache(Composer)


def compose(kind: str, content: dict[str, Any] | None = None, **changes: Any) -> EmailMessage:
    """Compose a sample, sent on Monday to Ada, unless `changes` say otherwise."""
    options = changes.pop("options", OPTIONS)
    arguments: dict[str, Any] = {"message_id": MESSAGE_ID, "date": DATE, "to": ["ada@example.org"]} | changes
    return composer_for(options).compose(kind, SAMPLES[kind].to_json() if content is None else content, **arguments)


def sent(message: EmailMessage) -> EmailMessage:
    """Return the message as whoever receives it reads it."""
    return message_from_bytes(message.as_bytes(policy=SMTP), policy=SMTP)


def body(message: EmailMessage, kind: str) -> str:
    """Return the body, `plain` or `html`."""
    part = message.get_body((kind,))
    assert part is not None
    content: str = part.get_content()
    return content


class Page(HTMLParser):
    """The text, tags and addresses of a page."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.text = ""
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attrs if name in {"src", "href", "background", "action"}]

    def handle_data(self, data: str) -> None:
        self.text += data


def a_line(**changes: Any) -> OrderLine:
    line = OrderLine(
        event_title="Winter Concert",
        starts=datetime(2026, 12, 7, 19, 30, tzinfo=UTC),
        venue_name="Town Hall",
        venue_address="1 High Street\nSt Helier",
        quantity=1,
        price=Decimal("12.50"),
        ticket_numbers=("WINTER-A1",),
    )
    return replace(line, **changes)


def a_confirmation(**changes: Any) -> dict[str, Any]:
    context = ConfirmationContext(
        order_number="ORD-1001",
        customer_name="Ada Le Sueur",
        email="ada@example.org",
        total=Decimal("12.50"),
        currency="GBP",
        lines=(a_line(),),
    )
    return replace(context, **changes).to_json()


@pytest.mark.parametrize(
    ("kind", "subject"),
    [
        ("under_review", "Your payment is being checked - order ORD-1001"),
        ("refund", "12.50 GBP refunded - order ORD-1001"),
        ("confirmation", "Your tickets for Winter Concert and 1 more - order ORD-1001"),
        (
            "late_confirmation",
            "Payment received after all: your tickets for Winter Concert and 1 more - order ORD-1001",
        ),
        ("payment_failed", "Your payment did not go through - order ORD-1001"),
        ("alert", "[Jersey Events CRITICAL] Order ORD-1001 needs a person: amount differs"),
    ],
)
def test_mail_of_each_kind_has_its_headers_and_subject(kind: str, subject: str) -> None:
    message = sent(compose(kind))
    # Where the subject begins on the second line of its header, older Pythons read the fold as part of it.
    assert str(message["Subject"]).lstrip() == subject
    assert message["Message-ID"] == MESSAGE_ID
    assert message["Date"].datetime == DATE
    assert str(message["From"]) == "Jersey Events <tickets@example.org>"
    assert message["To"] == "ada@example.org"
    assert message["Auto-Submitted"] == "auto-generated"
    assert sorted(message.keys()) == sorted(HEADERS)
    assert message.defects == []


def test_mail_with_reply_to_has_it() -> None:
    options = replace(OPTIONS, reply_to="box-office@example.org")
    assert sent(compose("confirmation", options=options))["Reply-To"] == "box-office@example.org"


@pytest.mark.parametrize("part", ["plain", "html"])
def test_confirmation_says_all_about_the_order(part: str) -> None:
    text = body(sent(compose("confirmation", a_confirmation())), part)
    for fact in (
        "Ada Le Sueur",
        "ORD-1001",
        "Winter Concert",
        "Monday, 7 December 2026, 19:30",
        "Town Hall",
        "1 High Street",
        "St Helier",
        "12.50 GBP",
        "WINTER-A1",
        "help@example.org",
        "https://shop.example.org",
    ):
        assert fact in text


def test_confirmation_in_summer_has_the_time_of_the_site() -> None:
    content = a_confirmation(lines=(a_line(starts=datetime(2026, 7, 7, 18, 30, tzinfo=UTC)),))
    assert "Tuesday, 7 July 2026, 19:30" in body(compose("confirmation", content), "plain")


def test_confirmation_text_is_laid_out_without_gaps() -> None:
    assert body(compose("confirmation", a_confirmation()), "plain") == (
        "Hello Ada Le Sueur,\n\n"
        "Thank you, your payment has arrived. Your ticket is attached to this mail.\n\n"
        "Winter Concert\nMonday, 7 December 2026, 19:30\nTown Hall\n1 High Street\nSt Helier\n1 × 12.50 GBP\n"
        "Ticket: WINTER-A1\n\n"
        "Order ORD-1001, total 12.50 GBP\n\n"
        "At the door, show the code on your ticket, on your phone or printed. Each code admits one person, once: "
        "please do not share it.\n\n"
        "Questions? Write to help@example.org and name your order number, ORD-1001.\n\n"
        "Jersey Events\nhttps://shop.example.org\n"
    )


def test_mail_to_a_customer_without_a_name_greets_all_the_same() -> None:
    text = body(compose("confirmation", a_confirmation(customer_name=" ")), "plain")
    assert text.startswith("Hello,\n")


@pytest.mark.parametrize("part", ["plain", "html"])
def test_failure_mail_has_the_link_to_try_again(part: str) -> None:
    link = "https://shop.example.org/pay?a=1&b=2"
    context = SAMPLES["payment_failed"]
    assert isinstance(context, FailureContext)
    message = sent(compose("payment_failed", replace(context, retry_url=link).to_json()))
    text = body(message, part)
    assert link in (text if part == "plain" else Page(text).addresses)


@pytest.mark.parametrize("part", ["plain", "html"])
def test_alert_says_what_was_found_and_what_to_do(part: str) -> None:
    text = body(sent(compose("alert")), part)
    page = Page(text) if part == "html" else None
    shown = page.text if page else text
    context = SAMPLES["alert"]
    assert isinstance(context, AlertContext)
    assert all(value in shown for _, value in context.facts)
    assert all(sentence in shown for sentence in (*context.found, *context.what_to_do, "ORD-1002"))
    assert all(url in (page.addresses if page else text) for _, url in context.links)


@pytest.mark.parametrize(
    ("level", "start"), [("Alert", "[Jersey Events Alert] "), ("CRITICAL", "[Jersey Events CRITICAL] ")]
)
def test_alert_subject_begins_with_its_level(level: str, start: str) -> None:
    content = AlertContext(level=level, headline="x" * 300, what_happened="").to_json()
    subject = str(sent(compose("alert", content))["Subject"]).lstrip()
    assert subject.startswith(start)
    assert len(subject) < 200


def test_html_has_a_preheader_for_each_kind_that_says_more_than_the_subject() -> None:
    hidden = {kind: re.search(r"display:none[^>]*>([^<]*)<", body(compose(kind), "html")) for kind in KINDS}
    texts = {kind: found[1].strip() for kind, found in hidden.items() if found}
    assert all(len(text) > 20 for text in texts.values())
    assert len(set(texts.values())) == len(KINDS)


@pytest.mark.parametrize("part", ["plain", "html"])
def test_confirmation_says_what_to_bring_as_the_settings_have_it(part: str) -> None:
    options = replace(OPTIONS, what_to_bring="Bring <ID>.\nDoors open at 18:30.")
    text = body(compose("confirmation", options=options), part)
    assert ("Bring <ID>." if part == "plain" else "Bring &lt;ID&gt;.") in text
    assert "Doors open at 18:30." in text
    assert "Bring" not in body(compose("payment_failed", options=options), part)


def test_html_has_the_sites_colour_and_text_that_can_be_read_on_it() -> None:
    text = body(compose("confirmation", options=replace(OPTIONS, accent="#facc15")), "html")
    assert "background-color:#facc15; color:#16181d" in text
    assert "background-color:#1e3a8a; color:#ffffff" in body(compose("confirmation"), "html")


@pytest.mark.parametrize("kind", KINDS)
def test_html_loads_nothing_from_elsewhere(kind: str) -> None:
    page = Page(body(sent(compose(kind)), "html"))
    assert {"img", "link", "script", "iframe"}.isdisjoint(page.tags)
    assert not {"url(", "@import"} & set(re.findall(r"url\(|@import", body(compose(kind), "html")))


def test_html_shows_text_from_the_database_as_text() -> None:
    title = "<b>Tom & \"Jerry\"</b> <script>alert('x')</script> {{ 7 * 7 }}"
    message = sent(compose("confirmation", a_confirmation(lines=(a_line(event_title=title),), customer_name=title)))
    page = Page(body(message, "html"))
    assert page.text.count(title) == 2
    assert {"b", "script"} & set(page.tags) == {"b"}
    usual = Page(body(sent(compose("confirmation", a_confirmation())), "html"))
    assert page.tags == usual.tags
    assert title in body(message, "plain")


@pytest.mark.parametrize("title", ["🎉" * 200, "é" * 200, "x" * 200, "word " * 40, "مرحبا بالعالم " * 14, "A & B"])
def test_subject_of_a_long_title_keeps_the_order_number(title: str) -> None:
    raw = compose("confirmation", a_confirmation(lines=(a_line(event_title=title),))).as_bytes(policy=SMTP)
    message = message_from_bytes(raw, policy=SMTP)
    assert str(message["Subject"]).startswith(f"Your tickets for {title.strip()[:70]}")
    assert str(message["Subject"]).endswith("- order ORD-1001")
    assert max(map(len, raw.split(b"\r\n"))) <= 78


UNSPOILT = {"total", "fee", "price", "refunded", "starts", "retry_url", "page_url", "page_until", "links", "url"}


@pytest.mark.parametrize("kind", KINDS)
@given(data=st.data())
@settings(max_examples=EXAMPLES * 2 // 5)
def test_text_from_the_database_adds_no_header_and_breaks_no_message(kind: str, data: st.DataObject) -> None:
    anything = st.one_of(st.just(NASTY), st.text(max_size=60))

    def spoilt(value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: spoilt(entry, name) for name, entry in value.items()}
        if isinstance(value, list):
            return [spoilt(entry, key) for entry in value]
        spoilable = isinstance(value, str) and key not in UNSPOILT
        return data.draw(anything) if spoilable else value

    composed = compose(
        kind, spoilt(SAMPLES[kind].to_json()), attachments=[Attachment("t.pdf", "application/pdf", b"x")]
    )
    raw = composed.as_bytes(policy=SMTP)
    message = message_from_bytes(raw, policy=SMTP)
    assert sorted(message.keys()) == sorted(HEADERS)
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/mixed",
        "multipart/alternative",
        "text/plain",
        "text/html",
        "application/pdf",
    ]
    assert raw.isascii()
    assert max(map(len, raw.split(b"\r\n"))) <= 998
    assert not any(ord(character) < 32 and character not in "\r\n" for character in body(sent(composed), "plain"))


def test_subject_from_an_encoded_word_is_shown_as_it_is_and_adds_no_recipient() -> None:
    title = "=?utf-8?q?a=0D=0ABcc:eve@example.org?="
    raw = compose("confirmation", a_confirmation(lines=(a_line(event_title=title),))).as_bytes(policy=SMTP)
    assert b"\r\nBcc:" not in raw
    assert "Bcc:eve@example.org" in str(message_from_bytes(raw, policy=SMTP)["Subject"])


@pytest.mark.parametrize(
    "name", ["Jersey, Évents", "O'Hara & Sons", "Ü" * 60, "=?utf-8?q?a=0D=0ABcc:b@c.d?=", "A (B) C: D"]
)
def test_sender_with_any_name_keeps_its_address(name: str) -> None:
    options = replace(OPTIONS, sender=f'"{name}" <tickets@example.org>')
    raw = compose("alert", options=options).as_bytes(policy=SMTP)
    message = message_from_bytes(raw, policy=SMTP)
    assert [found.addr_spec for found in message["From"].addresses] == ["tickets@example.org"]
    assert sorted(message.keys()) == sorted(HEADERS)
    if "=?" not in name:
        line = raw.split(b"\r\nFrom: ")[1].split(b" <tickets")[0].decode()
        assert str(make_header(decode_header(line))).strip('"') == name


@pytest.mark.parametrize(
    ("to", "header"),
    [
        (["ada@example.org", "bob@example.org"], "ada@example.org, bob@example.org"),
        (["ada@example.org", "bob@example.org\r\nBcc: eve@example.org"], "ada@example.org"),
        ([""], "undisclosed-recipients:;"),
        (["x, y <z@example.org>"], "undisclosed-recipients:;"),
        (["ada@bücher.example"], "ada@xn--bcher-kva.example"),
    ],
)
def test_recipients_that_are_none_are_left_out(to: list[str], header: str) -> None:
    message = sent(compose("confirmation", to=to))
    assert message["To"] == header
    assert sorted(message.keys()) == sorted(HEADERS)


@pytest.mark.parametrize("kind", KINDS)
def test_mail_composed_twice_is_the_same_bytes(kind: str) -> None:
    pdf = Attachment("t.pdf", "application/pdf", bytes(1000))
    once, again = (compose(kind, attachments=[pdf, pdf]).as_bytes(policy=SMTP) for _ in range(2))
    assert once == again


def test_attachments_are_read_back_whole_under_their_names() -> None:
    files = [
        Attachment("ticket-A1.pdf", "application/pdf", bytes(range(256))),
        Attachment("../../Ünï\r\nX: y.pdf", "application/pdf", b"--=_boundary\r\n.\r\n"),
        Attachment("", "text/calendar", b"BEGIN:VCALENDAR"),
    ]
    message = sent(compose("confirmation", attachments=files))
    attached = list(message.iter_attachments())
    assert [part.get_filename() for part in attached] == ["ticket-A1.pdf", "n-X-y.pdf", "file"]
    assert [part.get_payload(decode=True) for part in attached] == [file.content for file in files]
    assert [part.get_content_type() for part in attached] == ["application/pdf", "application/pdf", "text/calendar"]


def test_parts_of_a_mail_are_numbered_and_have_message_ids_of_their_own() -> None:
    parts = [sent(compose("confirmation", part=part, parts=2)) for part in (1, 2)]
    assert [str(part["Subject"])[-9:] for part in parts] == [" (1 of 2)", " (2 of 2)"]
    assert parts[0]["Message-ID"] == MESSAGE_ID
    assert parts[1]["Message-ID"] == "<0123456789abcdef.2@example.org>"
    assert "mail 2 of 2" in body(parts[1], "plain")
    assert parts[0].get_boundary() != parts[1].get_boundary()


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"message_id": "<a@b>\r\nBcc: c@d.e"}, "not a Message-ID"),
        ({"date": datetime(2026, 11, 23)}, "time zone"),  # noqa: DTZ001 - that is what is tested
        ({"attachments": [Attachment("a", "pdf\r\nX: y", b"")]}, "not a media type"),
        ({"attachments": [Attachment("a", "text/calendar", b"", (("m", "x\r\nBcc: e@f.g"),))]}, "line break in"),
        ({"options": replace(OPTIONS, sender="nobody")}, "sender is no mail address"),
    ],
)
def test_mail_with_a_broken_argument_is_not_composed(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ComposeError, match=problem):
        compose("confirmation", **changes)


def test_mail_of_an_unknown_kind_is_not_composed() -> None:
    with pytest.raises(ComposeError, match="birthday"):
        compose("birthday", {})


@given(st.text(max_size=200))
@example("=?utf-8?q?a=0D=0ABcc:b?=")
@example("==??utf-8?q?a?=")
@settings(max_examples=EXAMPLES * 2)
def test_event_title_never_adds_a_header(title: str) -> None:
    message = sent(compose("confirmation", a_confirmation(lines=(a_line(event_title=title),))))
    assert sorted(message.keys()) == sorted(HEADERS)
