"""What the kinds of a world (`kinds`) do to the whole of it: organisers, outages, clocks, runs that stand still."""

import random
from dataclasses import dataclass, field

from tests.simulation.kinds import LEDGER_KINDS, Kind
from tests.simulation.sumup_model import ORGANISERS


@dataclass(frozen=True)
class Troubles:
    """`outage`, `wrong_clock` and `wrong_world` are (from, to) in hours of the world.

    `clock_is_off` says by how many hours a clock is wrong.
    `pause` is how many hours may be between two runs, once the usual customers have gone.
    `stands_still`: how likely a run is suspended at a call of SumUp, and so stands still for hours.
    `is_swept`: SumUp's ledger is held against the orders; `voids`: an order whose money went back in full becomes void.
    """

    organisers: tuple[str, ...] = ()
    outage: tuple[float, float] = (0.0, 0.0)
    wrong_clock: tuple[float, float] = (0.0, 0.0)
    wrong_world: tuple[float, float] = (0.0, 0.0)
    clock_is_off: float = 0.0
    pause: float = 6.0
    stands_still: float = 0.0
    is_swept: bool = False
    voids: bool = False
    chance: random.Random = field(default_factory=random.Random)

    @staticmethod
    def draw(seed: int, kinds: frozenset[Kind]) -> "Troubles":
        """Draw them for a world, from what its kinds allow."""
        chance = random.Random(f"{seed} troubles")  # noqa: S311 - drawn from a seed, as is meant
        begins, lasts = chance.uniform(1, 6), chance.choice((30, 80, 100, 150))
        wrong, so_long = chance.uniform(0.5, 4), chance.uniform(0.5, 6)
        off = chance.choice((24, 24, -24, 3))
        likely = chance.choice((0.02, 0.1))
        forgets, for_hours = chance.uniform(0.5, 3), chance.uniform(1, 5)
        has_organisers = Kind.CHEATS in kinds or (Kind.ODD_REFERENCES in kinds and chance.random() < 0.5)
        is_swept = bool(kinds & LEDGER_KINDS)
        has_organisers = has_organisers or (is_swept and seed % 2 == 0)
        return Troubles(
            organisers=ORGANISERS if has_organisers else (),
            outage=(begins, begins + lasts) if Kind.LONG_OUTAGES in kinds else (0.0, 0.0),
            wrong_clock=(wrong, wrong + so_long) if Kind.CLOCK_JUMPS in kinds else (0.0, 0.0),
            wrong_world=(forgets, forgets + for_hours) if Kind.WRONG_WORLD in kinds else (0.0, 0.0),
            clock_is_off=off,
            pause=1.0 if kinds & {Kind.CLOCK_JUMPS, Kind.WRONG_WORLD} else 6.0,
            is_swept=is_swept,
            voids=seed % 4 > 1,
            stands_still=likely if Kind.SUSPENDED_RUNS in kinds else 0.0,
            chance=chance,
        )
