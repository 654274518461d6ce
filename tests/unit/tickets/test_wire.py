"""What goes to a printing process and back arrives as it was."""

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paypoll.tickets.look import TicketLook
from paypoll.tickets.ticket import TicketFace
from paypoll.tickets.wire import (
    Answer,
    Job,
    PrinterOptions,
    answer_line,
    job_line,
    options_line,
    read_answer,
    read_job,
    read_options,
)

# Also what no encoding takes: a lone surrogate, and every kind of line break.
texts = st.text(alphabet=st.characters(), max_size=20) | st.sampled_from(["\ud800", "a\nb\r\u2028c", "\x00"])
zones = st.sampled_from([ZoneInfo("Europe/Jersey"), ZoneInfo("Asia/Kathmandu")])
faces = st.builds(
    TicketFace,
    ticket_number=texts,
    qr_data=texts,
    event_title=texts,
    starts=st.datetimes(timezones=zones),
    venue_name=texts,
    venue_address=texts,
    organiser_name=texts,
    holder_name=texts,
    price=st.decimals(min_value=0, max_value=10**8, places=2) | st.just(Decimal("12.500")),
    currency=st.just("GBP"),
    order_number=texts,
    place=st.integers(1, 100),
    places=st.integers(1, 100),
)


@given(st.lists(faces, max_size=3), st.booleans())
def test_job_arrives_as_it_was_on_one_line(of_faces: list[TicketFace], together: bool) -> None:
    line = job_line(Job(tuple(of_faces), together=together))
    assert line.count(b"\n") == 1
    job = read_job(line)
    assert job == Job(tuple(of_faces), together=together)
    for sent, read in zip(of_faces, job.faces, strict=True):
        assert (read.starts.tzname(), read.starts.fold, str(read.price)) == (
            sent.starts.tzname(),
            sent.starts.fold,
            str(sent.price),
        )


files = st.lists(st.binary(max_size=40), max_size=3)


@given(files, files, st.lists(st.booleans()), texts, texts)
def test_answer_arrives_as_it_was_on_one_line(
    pdfs: list[bytes], codes: list[bytes], stamped: list[bool], error: str, event: str
) -> None:
    events = [{"level": "warning", "event": event}]
    answer = Answer(pdfs=pdfs, codes=codes, stamped=stamped, error=error, events=events)
    line = answer_line(answer)
    assert line.count(b"\n") == 1
    assert read_answer(line) == answer


@pytest.mark.parametrize("folder", [None, Path("/srv/shop/templates")])
def test_options_arrive_as_they_were(folder: Path | None) -> None:
    look = TicketLook(accent="#123456", logo=folder and folder / "logo.png", what_to_bring="A photo ID.\nAn umbrella.")
    options = PrinterOptions(
        folder, language="en-GB", site_name="Jersey «Events»", terms="a\nb", look=look, stamping=folder is None
    )
    assert read_options(options_line(options)) == options


def test_face_without_a_time_zone_of_its_own_is_refused() -> None:
    face = TicketFace("T", "Q", "E", datetime(2026, 1, 1, tzinfo=UTC), "", "", "", "", Decimal(1), "GBP", "O", 1, 1)
    with pytest.raises(TypeError, match="time zone"):
        job_line(Job((face,)))
