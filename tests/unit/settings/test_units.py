"""Durations and sizes."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paypoll.settings.units import parse_duration, parse_size, show_duration, show_size


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("90s", 90),
        ("5min", 300),
        ("5m", 300),
        ("2h", 7200),
        ("3 days", 259_200),
        ("1h 30min", 5400),
        ("1h30min", 5400),
        ("1.5 h", 5400),
        ("2 WEEKS", 1_209_600),
        ("250ms", 0.25),
        (45, 45),
        (0.5, 0.5),
        ("45", 45),
        (" 45 ", 45),
        ("0s", 0),
        (timedelta(minutes=1), 60),
    ],
)
def test_duration_in_any_form_is_that_long(written: object, seconds: float) -> None:
    assert parse_duration(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "written",
    [
        *("", "soon", "5 parsecs", "min", "-5s", "5s and more", "٥s", "1e3s", "nan", "99999999999999 weeks"),
        *(-1, 1e300, float("nan"), float("inf"), timedelta(seconds=-1), True, None, [5]),
    ],
)
def test_duration_that_is_none_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match=r"duration|negative"):
        parse_duration(written)


@given(st.integers(min_value=0, max_value=10**12).map(lambda count: timedelta(milliseconds=count)))
def test_duration_shown_and_read_again_is_the_same(duration: timedelta) -> None:
    assert parse_duration(show_duration(duration)) == duration


@pytest.mark.parametrize(
    ("written", "size"),
    [("10MiB", 10_485_760), ("500 kB", 500_000), ("1GiB", 1_073_741_824), ("12B", 12), (4096, 4096), ("4096", 4096)],
)
def test_size_in_any_form_is_that_many_bytes(written: object, size: int) -> None:
    assert parse_size(written) == size


@pytest.mark.parametrize("written", ["", "10M", "big", "-1", -1, 1.5, "0.3B", True, None, "10MiB or so"])
def test_size_that_is_none_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="is not a size"):
        parse_size(written)


@given(st.integers(min_value=0, max_value=10**12))
def test_size_shown_and_read_again_is_the_same(size: int) -> None:
    assert parse_size(show_size(size)) == size
