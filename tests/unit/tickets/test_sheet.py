"""Texts made printable, and dates in words."""

import time
import unicodedata
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from xml.etree import ElementTree as ET
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paypoll.tickets.sheet import Fit, date_in_words, direction, first_fit, lay_out, printable
from paypoll.tickets.ticket import TicketFace

FACE = TicketFace(
    ticket_number="SUMMER-FES-A1B2C3D4E",
    qr_data="P|N|1|a@b.c|0",
    event_title="Summer Festival",
    starts=datetime(2026, 12, 5, 19, 30, tzinfo=UTC),
    venue_name="Opera House",
    venue_address="Gloucester Street\r\n\r\n  St Helier\x0bJersey",
    organiser_name="Island Concerts",
    holder_name="Ada\nLovelace",
    price=Decimal("12.5"),
    currency="GBP",
    order_number="ORD-1",
    place=1,
    places=3,
)


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (datetime(2026, 12, 5, 19, 30, tzinfo=UTC), "Saturday, 5 December 2026, 19:30"),
        (datetime(2027, 1, 31, 0, 5, tzinfo=ZoneInfo("Asia/Tokyo")), "Sunday, 31 January 2027, 00:05"),
    ],
)
def test_date_in_words_is_in_its_own_zone(moment: datetime, words: str) -> None:
    assert date_in_words(moment) == words


@pytest.mark.parametrize("month", range(1, 13))
def test_date_in_words_of_each_month_agrees_with_the_c_locale(month: int) -> None:
    moment = datetime(2026, month, month, 8, 0, tzinfo=UTC)
    assert date_in_words(moment) == time.strftime(f"%A, {month} %B %Y, %H:%M", moment.timetuple())


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a\x00b\x1bc\x7fd", ["abcd"]),
        ("tab\tand   spaces  ", ["tab and spaces"]),
        ("one\n\n \r\ntwo\u2028three", ["one", "two", "three"]),
        ("lone \ud800 surrogate", ["lone \ufffd surrogate"]),
        ("\u202eturned\u202c \u2066round\u2069 \uffff", ["turned round"]),
        ("👨‍👩‍👧 نمی‌خواهم", ["👨‍👩‍👧 نمی‌خواهم"]),
        ("", []),
    ],
    ids=["controls", "spaces", "lines", "surrogate", "overrides", "joiners", "empty"],
)
def test_printable_text_loses_only_what_cannot_be_printed(text: str, lines: list[str]) -> None:
    assert printable(text) == lines


@given(st.text(st.characters(exclude_categories=())))
def test_printable_of_any_text_can_be_put_into_xml(text: str) -> None:
    shown = "\n".join(printable(text))
    element = ET.Element("title")
    element.text = shown
    assert (ET.fromstring(ET.tostring(element, encoding="utf-8")).text or "") == shown  # noqa: S314 -- our own text
    assert not any(unicodedata.category(letter) == "Cc" for letter in shown.replace("\n", ""))


@pytest.mark.parametrize(
    ("text", "way"),
    [("Party", "ltr"), ("2026 «מסיבה» party", "rtl"), ("حفلة", "rtl"), ("Party מסיבה", "ltr"), ("2026!", "ltr")],
)
def test_direction_is_that_of_the_first_letter(text: str, way: str) -> None:
    assert direction(text) == way


def test_sheet_of_face_has_one_line_everywhere_but_in_address_and_terms() -> None:
    sheet = lay_out(FACE, b"", "No refunds.\nNo exchange.", Fit.NORMAL)
    assert sheet.holder_name == "Ada Lovelace"
    assert sheet.venue_address == "Gloucester Street\nSt Helier\nJersey"
    assert sheet.terms == "No refunds.\nNo exchange."
    assert sheet.price == "12.50 GBP"


def test_sheet_at_last_fit_cuts_long_texts_with_an_ellipsis_and_no_others() -> None:
    sheet = lay_out(FACE, b"", "line\n" * 50 + "x" * 9000, Fit.CUT)
    assert sheet.terms == "\n".join(["line"] * 12) + "…"
    assert len(lay_out(FACE, b"", "x" * 9000, Fit.CUT).terms) == 3000
    assert lay_out(FACE, b"", "x" * 9000, Fit.SMALLEST).terms == "x" * 9000
    assert sheet.event_title == FACE.event_title
    assert sheet.fit == Fit.SMALLEST


def test_sheet_of_endless_line_is_cut_at_any_fit_beyond_the_widest_column() -> None:
    assert lay_out(replace(FACE, holder_name="x" * 400), b"", "", Fit.NORMAL).holder_name == "x" * 400
    assert lay_out(replace(FACE, holder_name="x" * 9000), b"", "", Fit.NORMAL).holder_name == "x" * 399 + "…"


@pytest.mark.parametrize(("length", "fit"), [(4000, Fit.NORMAL), (4001, Fit.CUT)])
def test_first_fit_of_address_that_no_page_holds_is_the_last(length: int, fit: Fit) -> None:
    assert first_fit(replace(FACE, venue_address="x" * length)) is fit
