"""Row 46: the clocks of this machine and of the database differ.

The database's clock is moved by a function before PostgreSQL's own in the search path of paypoll's role, and the
machine's by faketime, where that is installed.
"""

import shutil

import pytest
from tests.acceptance.papers import subject
from tests.acceptance.promises import check_completed
from tests.acceptance.stage import ADMIN, ROLE, Ended, Stage

TRY_LATER = 75


def move_clock_of_database(stage: Stage, by: str) -> None:
    """Let the database's clock go wrong for paypoll's role, or right again."""
    stage.sql(
        "CREATE OR REPLACE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql AS "
        f"$$ SELECT pg_catalog.clock_timestamp() + interval '{by}' $$"
    )
    database = stage.engine.url.database
    stage.sql(f'ALTER ROLE {ROLE} IN DATABASE "{database}" SET search_path = public, pg_catalog')


def alerts(stage: Stage) -> list[str]:
    return [subject(mail) for mail in stage.sink.messages if mail.recipients == (ADMIN,)]


def check_refused(run: Ended, said: str) -> None:
    assert run.code == TRY_LATER, run.stderr
    (line,) = run.errors
    assert line.startswith("paypoll: this machine is ")
    assert said in line


def test_row_46_clocks_that_differ_no_run_begins_and_it_is_told_once(stage: Stage) -> None:
    order = stage.order("ORD-PAID", checkout="PAID")
    for by, said in (("3 minutes", "s behind the database"), ("-3 minutes", "s ahead of the")):
        move_clock_of_database(stage, by)
        check_refused(stage.run_once(), said)
        # By its date a restore tells what has happened since.
        check_refused(stage.paypoll("db", "backup", "--to", str(stage.folder / "backups")), said)
    assert not (stage.folder / "backups").exists()
    assert stage.status(order) == "pending_verification"
    assert stage.sumup.requests == ()
    assert len(alerts(stage)) == 1
    assert "clock" in alerts(stage)[0]
    # As much as NTP leaves on a bad day.
    move_clock_of_database(stage, "1 minute")
    assert stage.run_once().code == 0
    check_completed(stage, order)
    assert len(alerts(stage)) == 2
    assert "agree again" in alerts(stage)[1]


@pytest.mark.skipif(shutil.which("faketime") is None, reason="faketime is not installed (apt-get install faketime)")
def test_row_46_machine_a_day_ahead_closes_and_expires_nothing(stage: Stage) -> None:
    order = stage.order("ORD-YOUNG", checkout="PENDING")
    stage.wrapper = ("faketime", "+1 day")
    check_refused(stage.run_once(), "s ahead of the database")
    assert stage.status(order) == "pending_verification"
    assert stage.sumup.requests == ()
    assert len(alerts(stage)) == 1
