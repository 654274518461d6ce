"""Durations and sizes as people write them: `90s`, `5min`, `1h 30min`, `3 days`, `10MiB`."""

import re
from datetime import timedelta

_NUMBER = r"\d+(?:\.\d+)?"
_PLAIN_NUMBER = re.compile(_NUMBER, re.ASCII)
_PART = re.compile(rf"({_NUMBER})\s*([A-Za-z]+)\s*", re.ASCII)

_SECONDS = {
    **dict.fromkeys(("ms",), 0.001),
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "mins", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
    **dict.fromkeys(("w", "week", "weeks"), 604_800),
}
_BYTES = {
    "b": 1,
    "kb": 1000,
    "mb": 1000**2,
    "gb": 1000**3,
    "kib": 1024,
    "mib": 1024**2,
    "gib": 1024**3,
}
# For showing; each divides the one before it.
_SHOWN = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1000), ("ms", 1))


def parse_duration(value: object) -> timedelta:
    """Return the duration that is meant: a number is seconds, a text has units and may have several parts.

    Raise ValueError with a sentence for whoever wrote the setting. A duration is never negative.
    """
    if isinstance(value, timedelta):
        duration = value
    else:
        seconds = _number(value)
        if seconds is None and isinstance(value, str):
            seconds = _sum_of_parts(value, _SECONDS)
        if seconds is None:
            raise ValueError(f"{value!r} is not a duration; write it like 90s, 5min, 2h or 3 days")
        try:
            duration = timedelta(seconds=seconds)
        except (OverflowError, ValueError):
            raise ValueError(f"{value!r} is not a duration that can be counted") from None
    if duration < timedelta(0):
        raise ValueError(f"{value!r} is negative")
    return duration


def parse_size(value: object) -> int:
    """Return a size in bytes: a number is bytes, a text has a unit (`10MiB`, `500 kB`).

    Raise ValueError with a sentence for whoever wrote the setting.
    """
    size = _number(value)
    if size is None and isinstance(value, str):
        size = _sum_of_parts(value, _BYTES)
    if size is None or size < 0 or not size.is_integer():
        raise ValueError(f"{value!r} is not a size; write it like 10MiB or 500kB")
    return int(size)


def show_duration(duration: timedelta) -> str:
    """Return the duration in the form that parse_duration reads, exact to the millisecond: `1h 30min`."""
    rest = duration // timedelta(milliseconds=1)
    parts = []
    for unit, length in _SHOWN:
        count, rest = divmod(rest, length)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0s"


def show_size(size: int) -> str:
    """Return the size in the form that parse_size reads, in the largest unit that is exact: `10MiB`."""
    for unit in ("GiB", "MiB", "KiB"):
        count, rest = divmod(size, _BYTES[unit.lower()])
        if count and not rest:
            return f"{count}{unit}"
    return f"{size}B"


def _number(value: object) -> float | None:
    # A bool is an int to Python, but `read_timeout = true` is a mistake. A text comes from the environment.
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(value, str) and _PLAIN_NUMBER.fullmatch(value.strip()):
        return float(value)
    return None


def _sum_of_parts(text: str, units: dict[str, float] | dict[str, int]) -> float | None:
    total, position, text = 0.0, 0, text.strip()
    while position < len(text):
        part = _PART.match(text, position)
        if part is None or part[2].lower() not in units:
            return None
        total += float(part[1]) * units[part[2].lower()]
        position = part.end()
    return total if position else None
