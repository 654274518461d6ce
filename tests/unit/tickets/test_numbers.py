"""Ticket numbers and what the shop's scanner recomputes. The rules: events-database, "A ticket"."""

import hashlib
import random
import re
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paypoll.tickets.numbers import new_ticket_number, qr_data, validation_hash


def test_number_of_usual_slug_is_its_first_ten_letters_a_dash_and_nine_random_ones() -> None:
    assert re.fullmatch(r"SUMMER-FES-[A-Z0-9]{9}", new_ticket_number("summer-festival-2026"))


@pytest.mark.parametrize(
    ("slug", "start"),
    [
        ("gig", "GIG"),
        ("live_music", "LIVE_MUSIC"),
        ("blue-moon-night", "BLUE-MOON-"),
        ("café-soirée", "CAFE-SOIRE"),
        ("straßenfest", "STRASSENFE"),
        ("a|b/../c.d:e", "ABCD"),
        ("фестиваль", "EVENT"),
        ("", "EVENT"),
    ],
)
def test_number_of_odd_slug_keeps_only_what_every_scanner_reads(slug: str, start: str) -> None:
    number = new_ticket_number(slug)
    assert len(number) == 20
    assert re.fullmatch(re.escape(start) + r"-[A-Z0-9]+", number)


@given(st.text())
def test_number_of_any_slug_fills_the_column_and_has_nine_random_characters(slug: str) -> None:
    assert re.fullmatch(r"(?=.{20}$)[A-Z0-9_-]{1,10}-[A-Z0-9]{9,}", new_ticket_number(slug))


def test_number_drawn_again_is_another_one() -> None:
    assert len({new_ticket_number("summer-festival") for _ in range(1000)}) == 1000


def test_number_draws_every_character_of_its_alphabet_at_every_place() -> None:
    chance = random.Random(1)  # noqa: S311 -- seeded, so that the test always sees the same
    drawn = [new_ticket_number("summer-festival", chance)[11:] for _ in range(2000)]
    assert {len(set(place)) for place in zip(*drawn, strict=True)} == {36}


def test_hash_is_what_the_scanner_computes_from_the_stored_row() -> None:
    moment = datetime(2026, 11, 23, 15, 23, 0, 842761, tzinfo=UTC)
    text = "SUMMER-FES-A1B2C3D4E:17:Ada@Example.org:2026-11-23T15:23:00.842761+00:00"
    expected = hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]
    assert validation_hash("SUMMER-FES-A1B2C3D4E", 17, "Ada@Example.org", moment) == expected


def test_hash_of_whole_second_has_no_fraction() -> None:
    expected = hashlib.sha256(b"N:1:a@b.c:2026-11-23T15:23:00+00:00").hexdigest()[:16]
    assert validation_hash("N", 1, "a@b.c", datetime(2026, 11, 23, 15, 23, tzinfo=UTC)) == expected


def test_hash_of_same_moment_in_another_zone_is_the_same() -> None:
    moment = datetime(2026, 11, 23, 15, 23, tzinfo=UTC)
    elsewhere = moment.astimezone(timezone(timedelta(hours=5, minutes=30)))
    assert validation_hash("N", 1, "a@b.c", elsewhere) == validation_hash("N", 1, "a@b.c", moment)


def test_hash_of_naive_date_is_refused() -> None:
    with pytest.raises(ValueError, match="time zone"):
        validation_hash("N", 1, "a@b.c", datetime(2026, 11, 23, 15, 23))  # noqa: DTZ001 -- what is tested


def test_qr_data_has_five_parts() -> None:
    data = qr_data("JERSEY_EVENTS", "SUMMER-FES-A1B2C3D4E", 17, "Ada@example.org", "0123456789abcdef")
    assert data == "JERSEY_EVENTS|SUMMER-FES-A1B2C3D4E|17|Ada@example.org|0123456789abcdef"


@pytest.mark.parametrize(
    ("prefix", "number", "email", "digits", "named"),
    [
        ("A|B", "N", "a@b.c", "0", "prefix"),
        ("P", "N|", "a@b.c", "0", "ticket number"),
        ("P", "N", "a|b@c.d", "0", "e-mail"),
        ("P", "N", "a@b.c", "|", "hash"),
    ],
)
def test_qr_data_with_separator_in_a_part_is_refused_and_the_part_named(
    prefix: str, number: str, email: str, digits: str, named: str
) -> None:
    with pytest.raises(ValueError, match=named) as refusal:
        qr_data(prefix, number, 1, email, digits)
    assert email not in str(refusal.value)
