"""The lease by which one run on all hosts renews an organiser's token."""

from collections.abc import Callable
from datetime import datetime, timedelta
from time import monotonic

import pytest
import sqlalchemy as sa

from paypoll.database import transaction
from paypoll.runs.stop import Stop
from paypoll.state import leases
from paypoll.sumup.organisers.lease import LENGTH, Lease
from paypoll.sumup.pace import StoppedError

NAME = "organiser-token:1"
PATIENCE = 60.0


def until(engine: sa.Engine) -> datetime | None:
    with transaction(engine) as connection:
        found: datetime | None = connection.scalar(sa.text("SELECT until FROM paypoll.lease"))
    return found


def test_lease_that_is_held_is_renewed_again_and_again_and_given_back(engine: sa.Engine) -> None:
    with Lease(engine, Stop().wait, renew_every=0.01).held(NAME) as is_held:
        assert is_held
        first = until(engine)
        assert first is not None
        deadline = monotonic() + PATIENCE
        while (now := until(engine)) is None or now <= first + timedelta(milliseconds=50):
            assert monotonic() < deadline
    assert until(engine) is None


def test_lease_that_ran_out_belongs_to_whoever_takes_it_and_the_first_holder_cannot_touch_it(
    engine: sa.Engine, another_engine: Callable[[], sa.Engine]
) -> None:
    with transaction(engine) as connection:
        assert leases.take(connection, NAME, "one", LENGTH)
    with transaction(another_engine()) as connection:
        assert not leases.take(connection, NAME, "two", LENGTH)
        connection.execute(sa.text("UPDATE paypoll.lease SET until = clock_timestamp()"))
        assert leases.take(connection, NAME, "two", LENGTH)
    with transaction(engine) as connection:
        assert not leases.renew(connection, NAME, "one", LENGTH)
        leases.give_back(connection, NAME, "one")
        assert connection.scalar(sa.text("SELECT holder FROM paypoll.lease")) == "two"
        assert leases.renew(connection, NAME, "two", LENGTH)


def test_row_46_lease_that_was_taken_under_a_clock_that_was_ahead_is_free(engine: sa.Engine) -> None:
    with transaction(engine) as connection:
        assert leases.take(connection, NAME, "one", LENGTH)
        for ahead, is_free in (("25 seconds", False), ("7 days", True)):
            connection.execute(sa.text(f"UPDATE paypoll.lease SET until = until + interval '{ahead}'"))  # noqa: S608
            assert leases.take(connection, NAME, "two", LENGTH) is is_free
        assert not leases.take(connection, NAME, "three", LENGTH)
        assert not leases.renew(connection, NAME, "one", LENGTH)


def test_lease_of_somebody_else_is_not_waited_for_when_the_run_is_told_to_stop(engine: sa.Engine) -> None:
    with transaction(engine) as connection:
        assert leases.take(connection, NAME, "one", LENGTH)
    with pytest.raises(StoppedError), Lease(engine, lambda _: True).held(NAME):
        raise AssertionError("nobody gets here")
