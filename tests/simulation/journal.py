"""The log of one world's events, for whoever has to find out why a promise was broken there."""

import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from tests.simulation.fibers import Scheduler

from paypoll.testing import NOW

REPLAYED = "PAYPOLL_SIMULATION_SEED"
"""The environment variable that names the one world to replay."""

STOP_AT = "PAYPOLL_SIMULATION_STOP"
"""The environment variable that names the line of the log at which a debugger is wanted."""

WITHOUT = "PAYPOLL_SIMULATION_WITHOUT"
"""The environment variable that names what a replayed world is without: actors and troubles, with commas between."""


class Journal:
    """Numbered lines: the world's time, who, what. The same seed gives the same lines."""

    def __init__(self, scheduler: Scheduler, now: Callable[[], datetime], *, stop_at: int = 0) -> None:
        self.lines: list[str] = []
        self._scheduler = scheduler
        self._now = now
        self._stop_at = stop_at

    def note(self, what: str) -> None:
        """Add a line. Stops in a debugger, in the thread of whoever does it, when this line is wanted."""
        fiber = self._scheduler.current
        who = fiber.name if fiber is not None else "the world"
        self.lines.append(f"{len(self.lines) + 1:5}  {str(self._now() - NOW)[:11]:>11}  {who:<18}  {what}")
        if len(self.lines) == self._stop_at:
            breakpoint()  # noqa: T100 - asked for; go up with `up` to where it happens

    def write(self, path: Path) -> Path:
        """Write the lines to a file and return it."""
        path.write_text("\n".join([*self.lines, ""]), encoding="utf-8")
        return path


def stop_line() -> int:
    """Return the line of the log at which a debugger is wanted, or 0."""
    return int(os.environ.get(STOP_AT) or 0)


def left_out() -> frozenset[str]:
    """Return what a replayed world is without."""
    return frozenset(name.strip() for name in os.environ.get(WITHOUT, "").split(",")) - {""}


def is_replay() -> bool:
    """Say whether one world is replayed, with all the time in the world for a debugger."""
    return bool(os.environ.get(REPLAYED))
