"""Worlds made from seeds: whatever happened in them, the promises hold.

A few hundred by default. `PAYPOLL_SIMULATION=10000` lives through so many, `PAYPOLL_SIMULATION_FROM` says where to
begin, and `PAYPOLL_SIMULATION_SEED=17` replays one. `PAYPOLL_SIMULATION_KINDS` says which kinds of trouble the worlds
may have (`kinds`).
"""

import os
from typing import TYPE_CHECKING

import pytest
from tests.simulation.kinds import draw_kinds, switched_on
from tests.simulation.promises import broken_promises
from tests.simulation.transcript import transcript
from tests.simulation.world import World

if TYPE_CHECKING:
    from tests.simulation.bench import Bench

_DEFAULT = 200


def seeds() -> range:
    """Return the seeds to live through."""
    if seed := os.environ.get("PAYPOLL_SIMULATION_SEED"):
        return range(int(seed), int(seed) + 1)
    first = int(os.environ.get("PAYPOLL_SIMULATION_FROM", "0"))
    return range(first, first + int(os.environ.get("PAYPOLL_SIMULATION") or _DEFAULT))


@pytest.mark.parametrize("seed", seeds())
def test_world_made_from_a_seed_keeps_every_promise(bench: "Bench", seed: int) -> None:
    on = switched_on()
    world = World(bench, seed, kinds=draw_kinds(seed, on))
    world.live()
    broken = broken_promises(world)
    kinds = f" PAYPOLL_SIMULATION_KINDS={','.join(sorted(on)) or 'none'}"
    again = f"replay: PAYPOLL_SIMULATION_SEED={seed}{kinds} .venv/bin/pytest tests/simulation/test_simulation.py"
    assert not broken, "\n".join([*map(str, broken), *transcript(world), again])


@pytest.mark.parametrize("seed", range(1, 31, 10))
def test_world_made_from_the_same_seed_is_the_same_again(bench: "Bench", seed: int) -> None:
    def live() -> tuple[object, ...]:
        world = World(bench, seed, kinds=draw_kinds(seed, switched_on()))
        world.live()
        asked = [(said.tick, said.question, said.subject, said.found) for said in world.sumup.said]
        mails = [(mail.tick, mail.subject, mail.recipients) for mail in world.mail.inbox]
        return world.met, world.ticks, world.scheduler.steps, asked, mails, bench.fingerprint()

    assert live() == live()
