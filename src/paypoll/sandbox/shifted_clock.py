"""A clock for what is to have happened some time ago: an order of three hours is not waited for."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta


class ShiftedClock:
    """This machine's clock, but set back inside a `back` block. Not for several threads at once."""

    def __init__(self) -> None:
        self._behind = timedelta(0)

    def now(self) -> datetime:
        """Return the time as an aware datetime in UTC."""
        return datetime.now(UTC) - self._behind

    def monotonic(self) -> float:
        """Return seconds on a clock that only moves forward."""
        return time.monotonic()

    @contextmanager
    def back(self, behind: timedelta) -> Iterator[None]:
        """Have the time be some while ago inside the block."""
        self._behind = behind
        try:
            yield
        finally:
            self._behind = timedelta(0)
