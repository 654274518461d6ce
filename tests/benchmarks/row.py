"""A line of the table that `scripts/benchmark` prints."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. `reached` is None where there is no limit."""

    what: str
    found: str
    limit: str
    reached: bool | None = None
    beside: str = ""
