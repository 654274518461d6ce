"""What a recorded run is put together from. `paypoll.app` has it all; runs name what they want of it."""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import sqlalchemy as sa

from paypoll.clock import Clock
from paypoll.mail.delivered import Delivered
from paypoll.runs.monitoring.latency import Latency
from paypoll.runs.stop import Stop
from paypoll.settings.model import Settings
from paypoll.state.due_mail import Whose

if TYPE_CHECKING:
    from paypoll.alerts.desk import AlertDesk
    from paypoll.runs.cycle import Cycle


class RunParts(Protocol):
    """What a recorded run is put together from; `paypoll.app` has it."""

    settings: Settings
    clock: Clock
    latency: Latency
    stop: Stop

    @property
    def desk(self) -> "AlertDesk":
        """Where alerts are posted."""
        ...

    @property
    def engine(self) -> sa.Engine:
        """The database."""
        ...

    def require_ready(self) -> None:
        """Raise SchemaError unless the database is as this version needs it."""
        ...

    def is_idle(self) -> bool:
        """Say whether a run would find nothing to do. Asked first: then nothing else is loaded."""
        ...

    def cycle(self, run_id: str, *, max_age: timedelta | None = None, accept_reviews: bool = False) -> "Cycle":
        """Return the use case of one run."""
        ...

    def deliver(self, run_id: str, should_stop: Callable[[], bool], whose: Whose = Whose.ALL) -> Delivered:
        """Send the mail that is due."""
        ...

    def with_clock(self, clock: Clock) -> "RunParts":
        """Return the same put together anew, with another clock."""
        ...

    def close(self) -> None:
        """Give back connections."""
        ...
