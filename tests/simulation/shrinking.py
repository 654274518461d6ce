"""Make a failing world smaller: leave out whoever and whatever is not needed to break the same promise."""

from typing import TYPE_CHECKING

from tests.simulation.fibers import SimulationError
from tests.simulation.promises import broken_promises
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


def shrink(bench: "Bench", world: World, promise: str) -> World:
    """Return the smallest world found that breaks this promise as well, lived through. `promise` is its first words.

    Each actor is left out in turn, then each trouble of the weather; what does not keep the promise from being broken
    stays out. Everything else is drawn from the seed as before.
    """
    without = world.without
    for name in (*sorted(world.actors, reverse=True), *world.weather.troubles()):
        smaller = World(bench, world.seed, kinds=world.kinds, without=without | {name})
        if any(found.startswith(promise) for found in what_breaks(smaller)):
            without |= {name}
    small = World(bench, world.seed, kinds=world.kinds, without=without)
    what_breaks(small)
    return small
