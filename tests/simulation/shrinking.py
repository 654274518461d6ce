"""Make a failing world smaller: leave out whoever and whatever is not needed to break the same promise."""

from collections.abc import Iterator
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from tests.simulation.fibers import SimulationError
from tests.simulation.promises import broken_promises
from tests.simulation.weather import Weather
from tests.simulation.world import World

if TYPE_CHECKING:
    from tests.simulation.bench import Bench


def what_breaks(world: World) -> list[str]:
    """Live through the world and return what was broken in it, a sentence each."""
    try:
        world.live()
    except SimulationError as error:
        return [f"a run ends well: {error}"]
    return [str(broken) for broken in broken_promises(world)]


def shrink(bench: "Bench", seed: int, promise: str, weather: Weather | None = None) -> World:
    """Return the smallest world found that breaks this promise, lived through. `promise` is its first words.

    Each actor is left out in turn, and each trouble of the weather; what still breaks the promise stays out.
    """
    world = World(bench, seed, weather)
    what_breaks(world)
    without: frozenset[str] = frozenset()
    for name in sorted(world.actors, reverse=True):
        if _still_breaks(bench, World(bench, seed, weather, without=without | {name}), promise):
            without |= {name}
    kept = world.weather
    for calmer in _calmer(kept):
        changed = replace(kept, **calmer)
        if _still_breaks(bench, World(bench, seed, changed, without=without), promise):
            kept = changed
    small = World(bench, seed, kept, without=without)
    what_breaks(small)
    return small


def _still_breaks(bench: "Bench", world: World, promise: str) -> bool:
    del bench  # the world has entered it
    return any(found.startswith(promise) for found in what_breaks(world))


def _calmer(weather: Weather) -> Iterator[dict[str, Any]]:
    """Yield each trouble that the weather has, as it would be without."""
    for one in fields(weather):
        value = getattr(weather, one.name)
        if isinstance(value, float) and value:
            yield {one.name: 0.0}
        elif isinstance(value, range) and value:
            yield {one.name: range(0)}
