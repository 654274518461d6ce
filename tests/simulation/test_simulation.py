"""Worlds made from seeds: whatever happened in them, the promises hold.

A few hundred by default. `PAYPOLL_SIMULATION=10000` lives through so many, `PAYPOLL_SIMULATION_FROM` says where to
begin, and `PAYPOLL_SIMULATION_SEED=17` replays one: with a log of its events, and made smaller when it fails. See
docs/contributing.md, "A world that fails".
"""

import os
import tempfile
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.simulation.journal import REPLAYED, is_replay
from tests.simulation.shrinking import shrink, what_breaks
from tests.simulation.world import World

if TYPE_CHECKING:
    from tests.simulation.bench import Bench

_DEFAULT = 200


def seeds() -> range:
    """Return the seeds to live through."""
    if seed := os.environ.get(REPLAYED):
        return range(int(seed), int(seed) + 1)
    first = int(os.environ.get("PAYPOLL_SIMULATION_FROM", "0"))
    return range(first, first + int(os.environ.get("PAYPOLL_SIMULATION") or _DEFAULT))


@pytest.mark.parametrize("seed", seeds())
def test_world_made_from_a_seed_keeps_every_promise(bench: "Bench", seed: int) -> None:
    world = World(bench, seed)
    broken = what_breaks(world)
    again = f"replay: {REPLAYED}={seed} .venv/bin/pytest tests/simulation/test_simulation.py -k keeps_every_promise"
    assert not broken, "\n".join([*broken, *(replayed(bench, world, broken[0]) if is_replay() else [again])])


def replayed(bench: "Bench", world: World, broken: str) -> list[str]:
    """Write the log of a replayed world that failed, and that of a smaller one that fails in the same way."""
    promise = broken.partition(":")[0]
    lines = [f"the log of its events: {logged(world, '')}"]
    small = shrink(bench, world.seed, promise, world.given_weather)
    troubles = [one.name for one in fields(small.weather) if one.name not in ("deeds", "halls", "switch")]
    there = [name for name in troubles if getattr(small.weather, name)]
    actors = [name for name in small.actors if name not in small.without]
    lines.append(f"a smaller one breaks it too: {', '.join(actors)}; of the weather: {', '.join(there) or 'nothing'}")
    lines.append(f"the log of the smaller one: {logged(small, '-small')}")
    return lines


def logged(world: World, suffix: str) -> Path:
    """Write the world's log into the system's folder for such files, and return its path."""
    path = Path(tempfile.gettempdir(), f"paypoll-world-{world.seed}{suffix}.log")
    return world.journal.write(path) if world.journal is not None else path


@pytest.mark.parametrize("seed", range(1, 31, 10))
def test_world_made_from_the_same_seed_is_the_same_again(bench: "Bench", seed: int) -> None:
    def live() -> tuple[object, ...]:
        world = World(bench, seed)
        world.live()
        asked = [(said.tick, said.question, said.subject, said.found) for said in world.sumup.said]
        mails = [(mail.tick, mail.subject, mail.recipients) for mail in world.mail.inbox]
        return world.met, world.ticks, world.scheduler.steps, asked, mails, bench.fingerprint()

    assert live() == live()
