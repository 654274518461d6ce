"""Commands to paste, on a terminal: each on a line of its own, however long, so that it is copied whole."""

from collections.abc import Iterable
from typing import TYPE_CHECKING

from paypoll.cli.render.words import wrapped

if TYPE_CHECKING:
    from paypoll.alerts.next_steps import Step


def step_lines(steps: "Iterable[Step]", indent: int = 2) -> list[str]:
    """Return the commands, each below what it is for."""
    return [line for step in steps for line in (*wrapped(f"{step.when}:", indent), f"{'':{indent + 4}}{step.command}")]


def command_lines(steps: "Iterable[Step]", indent: int = 6) -> list[str]:
    """Return the commands alone, where there are many."""
    return [f"{'':{indent}}{step.command}" for step in steps]
