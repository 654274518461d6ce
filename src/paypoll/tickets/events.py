"""What the printer has to say: to the log, or, in a printing process, to the run that started it.

Such a process has no use for structlog, which takes an eighth of its start to load.
"""

from collections.abc import Callable
from typing import Any

Listener = Callable[..., None]
"""Called with the level, the event's name and its fields."""

_listeners: list[Listener] = []


def listen(listener: Listener) -> None:
    """Have the listener hear everything from now on, and the log nothing."""
    _listeners[:] = [listener]


def say(level: str, event: str, **fields: Any) -> None:
    """Tell of an event. The levels are those of the log."""
    for listener in _listeners or (_log,):
        listener(level, event, **fields)


def _log(level: str, event: str, **fields: Any) -> None:
    import structlog

    getattr(structlog.get_logger(__name__), level)(event, **fields)
