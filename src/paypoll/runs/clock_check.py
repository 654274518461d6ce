"""This machine's clock beside the database's: a run does not begin while they differ by more than is tolerated.

What an order's age, a lease or a window means hangs on the clock; a machine that is a day ahead would close and expire
orders of a minute ago. Which of the two is wrong nobody here can know, so a person is told, once.
"""

from datetime import datetime, timedelta

import sqlalchemy as sa

from paypoll.clock import Clock
from paypoll.database import transaction
from paypoll.errors import ClockError
from paypoll.runs.parts import RunParts
from paypoll.state.incidents import any_trouble

TROUBLE = "clock"
_HEADLINE = "This machine's clock and the database's differ"
_TODO = ("Set both clocks by NTP (`timedatectl` shows this machine's). Until then runs end with exit status 75.",)

_DATABASE_CLOCK = sa.func.clock_timestamp(type_=sa.DateTime(timezone=True))
_WAS_TOLD = any_trouble(TROUBLE)


def clock_difference(clock: Clock, connection: sa.Connection) -> timedelta:
    """Return how far the database's clock is ahead of this machine's. Asks PostgreSQL only."""
    ahead, _ = _difference(clock, connection, sa.false())  # no table of ours: `check` asks before it knows of them
    return ahead


def _difference(clock: Clock, connection: sa.Connection, beside: sa.ColumnElement[bool]) -> tuple[timedelta, bool]:
    """Return how far the database's clock is ahead, and what the query `beside` says: in one statement."""
    before = clock.now()
    there, said = connection.execute(sa.select(_DATABASE_CLOCK, beside)).one()
    return there - (before + (clock.now() - before) / 2), said


def describe_difference(ahead: timedelta) -> str:
    """Return a difference as a sentence without its end."""
    direction = "behind" if ahead > timedelta(0) else "ahead of"
    return f"this machine is {abs(ahead).total_seconds():.1f} s {direction} the database"


def require_same_time(parts: RunParts, run_id: str) -> None:
    """Raise ClockError, and tell the admins once, when the clocks differ by more than the settings tolerate."""
    if parts.engine.dialect.name != "postgresql":
        return
    tolerance = parts.settings.database.clock_tolerance
    with transaction(parts.engine) as connection:
        ahead, was_told = _difference(parts.clock, connection, _WAS_TOLD)
    if abs(ahead) <= tolerance:
        if was_told:
            _tell_that_it_is_over(parts)
        return
    _tell(parts, run_id, describe_difference(ahead), ahead)
    raise _too_far_apart(ahead, tolerance)


def refuse_other_time(engine: sa.Engine, clock: Clock, tolerance: timedelta) -> None:
    """Raise ClockError as a run does. For a command whose dates others rely on; whoever called it is told by that."""
    if engine.dialect.name != "postgresql":
        return
    with transaction(engine) as connection:
        ahead = clock_difference(clock, connection)
    if abs(ahead) > tolerance:
        raise _too_far_apart(ahead, tolerance)


def _too_far_apart(ahead: timedelta, tolerance: timedelta) -> ClockError:
    said = describe_difference(ahead)
    return ClockError(f"{said}, and more than {tolerance.total_seconds():.0f} s are not tolerated: set both by NTP")


class _CorrectedClock:
    """This machine's clock, set by the database's: what is written down under it fits what other hosts write."""

    def __init__(self, clock: Clock, ahead: timedelta) -> None:
        self._clock = clock
        self._ahead = ahead

    def now(self) -> datetime:
        return self._clock.now() + self._ahead

    def monotonic(self) -> float:
        return self._clock.monotonic()


def _tell(parts: RunParts, run_id: str, said: str, ahead: timedelta) -> None:
    """Post the alert unless it was posted before, and send what mail is due: no run will."""
    corrected = parts.with_clock(_CorrectedClock(parts.clock, ahead))
    try:
        with transaction(corrected.engine) as connection:
            corrected.desk.tell_of_trouble(
                connection,
                TROUBLE,
                said,
                tell_after=timedelta(0),
                headline=_HEADLINE,
                found=(f"{said[:1].upper()}{said[1:]}.", "No run begins until they agree: orders wait."),
                todo=_TODO,
                now=corrected.clock.now(),
            )
        corrected.deliver(run_id, parts.stop)
    finally:
        corrected.close()


def _tell_that_it_is_over(parts: RunParts) -> None:
    with transaction(parts.engine) as connection:
        parts.desk.tell_of_recovery(
            connection,
            TROUBLE,
            headline="The clocks agree again",
            found="This machine's clock and the database's had differed",
            todo=("Nothing. What had waited is being verified.",),
            now=parts.clock.now(),
        )
