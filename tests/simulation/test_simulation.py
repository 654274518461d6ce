"""Worlds made from seeds: whatever happened in them, the promises hold.

80 by default. `PAYPOLL_SIMULATION=10000` lives through so many, `PAYPOLL_SIMULATION_FROM` says where to
begin, and `PAYPOLL_SIMULATION_SEED=17` replays one: with a log of its events, and made smaller when it fails. See
docs/contributing.md, "A world that fails". `PAYPOLL_SIMULATION_KINDS` says which kinds of trouble the worlds may have
(`kinds`).
"""

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.simulation.journal import REPLAYED, WITHOUT, is_replay, left_out, stop_line
from tests.simulation.kinds import KINDS, draw_kinds, switched_on
from tests.simulation.shrinking import shrink, what_breaks
from tests.simulation.transcript import transcript
from tests.simulation.world import World

if TYPE_CHECKING:
    from tests.simulation.bench import Bench

# A world with all kinds of trouble, the ledger's among them, costs 1.5 s of CPU and PostgreSQL's time: CI has room for
# so many. More by hand.
_DEFAULT = 80


def seeds() -> range:
    """Return the seeds to live through."""
    if seed := os.environ.get(REPLAYED):
        return range(int(seed), int(seed) + 1)
    first = int(os.environ.get("PAYPOLL_SIMULATION_FROM", "0"))
    return range(first, first + int(os.environ.get("PAYPOLL_SIMULATION") or _DEFAULT))


@pytest.mark.parametrize("seed", seeds())
def test_world_made_from_a_seed_keeps_every_promise(bench: "Bench", seed: int) -> None:
    world = World(bench, seed, kinds=draw_kinds(seed, switched_on()), without=left_out(), stop_at=stop_line())
    broken = what_breaks(world)
    if broken and not is_replay():
        broken += [*transcript(world), f"replay: {replay_of(world)}"]
    elif broken and not stop_line():
        broken += replayed(bench, world, promise=broken[0].partition(":")[0])
    assert not broken, "\n".join(broken)


def replayed(bench: "Bench", world: World, promise: str) -> list[str]:
    """Write the log of a replayed world that failed, and that of a smaller one that fails in the same way."""
    lines = [*transcript(world), f"the log of its events: {logged(world, '')}"]
    small = shrink(bench, world, promise)
    there = [name for name in (*small.actors, *small.weather.troubles()) if name not in small.without]
    lines.append(f"a smaller world breaks it, too: {', '.join(there)}")
    lines.append(f"the log of the smaller one: {logged(small, '-small')}")
    return [*lines, f"replay the smaller one: {replay_of(small)}"]


def replay_of(world: World) -> str:
    """Return the command that replays a world."""
    without = f" {WITHOUT}='{','.join(sorted(world.without))}'" if world.without else ""
    kinds = f" {KINDS}={','.join(sorted(switched_on())) or 'none'}"
    return f"{REPLAYED}={world.seed}{kinds}{without} .venv/bin/pytest tests/simulation -k keeps_every_promise"


def logged(world: World, suffix: str) -> Path:
    """Write the world's log into the system's folder for such files, and return its path."""
    path = Path(tempfile.gettempdir(), f"paypoll-world-{world.seed}{suffix}.log")
    return world.journal.write(path) if world.journal is not None else path


@pytest.mark.parametrize("seed", range(1, 21, 10))
def test_world_made_from_the_same_seed_is_the_same_again(bench: "Bench", seed: int) -> None:
    def live() -> tuple[object, ...]:
        world = World(bench, seed, kinds=draw_kinds(seed, switched_on()))
        world.live()
        asked = [(said.tick, said.question, said.subject, said.found) for said in world.sumup.said]
        mails = [(mail.tick, mail.subject, mail.recipients) for mail in world.mail.inbox]
        return world.met, world.ticks, world.scheduler.steps, asked, mails, bench.fingerprint()

    assert live() == live()


def test_replayed_world_without_some_actors_keeps_a_log_of_what_the_others_do(
    bench: "Bench", monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(REPLAYED, "2")
    whole = World(bench, 2)
    whole.live()
    others = frozenset({*whole.actors, *whole.weather.troubles()}) - {"customer 1"}
    small = World(bench, 2, without=others)
    small.live()
    assert whole.journal is not None
    assert small.journal is not None
    assert len(small.journal.lines) < len(whole.journal.lines)
    assert not any(line.split()[2:4] == ["customer", "2"] for line in small.journal.lines)
    assert "customer 1          pays wrong: ORD-1" in small.journal.lines[0]
    assert any("committed: INSERT INTO paypoll.run" in line for line in small.journal.lines)
