"""How bad a world is."""

import random
from dataclasses import dataclass, fields, replace

MOMENTS = 9
"""How many moments a world has at which things happen."""


DEEDS = ("cancel", "cancel", "refund", "replay", "replay", "stale", "stale", "stale checkouts", "hold")


_CALM: dict[object, object] = {float: 0.0, range: range(0)}
"""What a trouble of each type is when there is none."""


@dataclass(frozen=True)
class Weather:
    """How bad a world is: probabilities for each occasion, and the moments (from, to) of outages."""

    crash: float
    cut: float
    lost_commit: float
    told_to_stop: float
    switch: float
    sumup: float
    smtp: float
    disk: float
    sumup_outage: range
    smtp_outage: range
    deeds: tuple[str, ...] = DEEDS
    """What admins and stale pages of the shop do, drawn from these."""
    halls: tuple[tuple[int, ...], ...] = ((100, 100, 6, 3), (6, 4, 2))
    """How many places each event has, drawn from these."""

    def troubles(self) -> tuple[str, ...]:
        """Return the names of the troubles that this weather has."""
        return tuple(one.name for one in fields(self) if one.type in _CALM and getattr(self, one.name))

    def without(self, names: frozenset[str]) -> "Weather":
        """Return the weather without these troubles."""
        calm = {one.name: _CALM[one.type] for one in fields(self) if one.name in names and one.type in _CALM}
        return replace(self, **calm)  # type: ignore[arg-type]  # each is of its field's type

    @staticmethod
    def draw(chance: random.Random) -> "Weather":
        """Draw the weather of a world. Each trouble is absent in many of them, so that the others show."""

        def some(*rates: float) -> float:
            return chance.choice((0.0, *rates))

        def outage() -> range:
            start = chance.randrange(MOMENTS)
            return range(start, start + chance.choice((0, 0, 0, 2, 5)))

        return Weather(
            crash=some(0.001, 0.004, 0.012),
            cut=some(0.0, 0.002),
            lost_commit=some(0.0, 0.005),
            told_to_stop=some(0.0, 0.01),
            switch=some(0.1, 0.3, 0.6),
            sumup=some(0.05, 0.3),
            smtp=some(0.05, 0.3),
            disk=some(0.0, 0.1),
            sumup_outage=outage(),
            smtp_outage=outage(),
        )
