"""What stands in the way while a person's decision is written down, in words."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DBAPIError, IntegrityError

from paypoll.database import Trouble, sort_error
from paypoll.errors import RefusedError, TryLaterError


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
