"""What stands in the way while a person's decision is written down, in words."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Protocol

from sqlalchemy.exc import DBAPIError, IntegrityError

from paypoll.database import Trouble, sort_error
from paypoll.errors import RefusedError, TryLaterError

_FRESH = timedelta(minutes=5)
"""For so long what SumUp said may be acted upon: a person may leave the question unanswered for an hour."""


class Weighed(Protocol):
    """An order or a fee with what SumUp says about it: as a person was shown it, or as it is by now."""

    @property
    def forbidden(self) -> str:
        """Why nobody may do it, whatever the reason given."""
        ...

    @property
    def objections(self) -> tuple[str, ...]:
        """What stands against it, and may be overridden."""
        ...

    @property
    def buys(self) -> object:
        """What is had for the money."""
        ...


@contextmanager
def decision_about(what: str, *, forbidden: str) -> Iterator[None]:
    """Run the transaction that writes a decision down about this order or fee.

    Raise RefusedError when the database forbids it, which means what `forbidden` says, and TryLaterError when the shop
    or a run holds the row. Nothing was changed then.
    """
    try:
        yield
    except IntegrityError as error:
        raise RefusedError(f"{what}: the database forbids it: {forbidden}; nothing was changed") from error
    except DBAPIError as error:
        if sort_error(error) is Trouble.BUSY:
            raise TryLaterError(f"{what} is held by the shop or by a run; try again") from error
        raise


def require_fresh(what: str, asked_at: datetime, now: datetime) -> None:
    """Raise RefusedError when what SumUp said then is out of date."""
    if now - asked_at > _FRESH:
        raise RefusedError(f"{what}: what SumUp said is out of date by now; ask again")


def require_as_shown(what: str, shown: Weighed, now: Weighed, *, override: bool, act: str) -> None:
    """Raise RefusedError when it must not be done as it is now; `act` says what, as in "take it".

    Nor where it is not what the person was shown: they override what they have seen, and nothing else.
    """
    if now.forbidden:
        raise RefusedError(f"{what}: {now.forbidden}")
    if now.objections and not override:
        raise RefusedError(f"{what}: {' '.join(now.objections)} To {act} all the same, add --override")
    if shown.buys != now.buys or not set(now.objections) <= set(shown.objections):
        raise RefusedError(f"{what} was changed since SumUp was asked about it; look at it again")
