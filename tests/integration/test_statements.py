"""How statements reach the database: which travel together, and how many messages a run takes."""

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from tests.benchmarks.counting import Counts, counting

from paypoll.database import transaction
from paypoll.runs.record import record_run
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.state.tables import audit, run
from paypoll.statements import Together, later
from paypoll.testing import NOW

if TYPE_CHECKING:
    from tests.integration.conftest import Bench, Place

_BEGIN = later(sa.insert(run))
_IDS = sa.select(run.c.id).order_by(run.c.id)


def row(name: str) -> dict[str, object]:
    return {"id": name, "command": "100% mine", "host": "h", "version": "1", "started_at": NOW}


def entry(explanation: str) -> dict[str, object]:
    return {"at": NOW, "actor": "me", "action": "tested", "explanation": explanation}


def test_put_off_statements_are_sent_in_their_order_with_the_next_one_or_before_the_commit(engine: sa.Engine) -> None:
    with counting(engine) as counts:
        with transaction(engine) as connection:
            connection.execute(_BEGIN, row("a"))
            connection.execute(later(sa.update(run).values(host="later")))
            connection.execute(_BEGIN, [row("b"), row("c")])
            assert counts.messages == 0
            assert connection.execute(sa.select(run.c.id, run.c.host).order_by(run.c.id)).all() == [
                ("a", "later"),
                ("b", "h"),
                ("c", "h"),
            ]
            assert counts.messages == 1
            connection.execute(_BEGIN, row("d"))
        assert counts.messages == 2
        with transaction(engine) as connection:
            connection.execute(_BEGIN, row("e"))
            # psycopg2 writes a DECLARE around this one.
            streamed = connection.execute(_IDS, execution_options={"yield_per": 2}).scalars().all()
        with transaction(engine):
            """Nothing is asked, nothing is sent."""
    assert (streamed, counts.messages) == (["a", "b", "c", "d", "e"], 4)


def test_two_changes_of_one_deed_become_one_statement_unless_they_are_of_one_table(engine: sa.Engine) -> None:
    begin, line = later(sa.insert(run), joins=True), later(sa.insert(audit), joins=True)
    rename = later(sa.update(run).values(host="100% later; it's mine"))

    def lines() -> list[str]:
        with transaction(engine) as connection:
            return list(connection.scalars(sa.select(audit.c.explanation).order_by(audit.c.id)))

    with counting(engine) as counts:
        with transaction(engine) as connection:
            connection.execute(begin, row("a"))  # not with the settings of the transaction
            connection.execute(line, entry("1"))
            connection.execute(line, entry("2"))  # a third
            connection.execute(line, entry("3"))  # of the same table
            connection.execute(rename)
            connection.execute(line, entry("4"))
        assert (counts.messages, counts.statements) == (1, 4)
    connection = engine.connect()
    connection.execute(line, entry("lost"))
    connection.execute(begin, row("a"))
    with pytest.raises(IntegrityError):
        connection.commit()
    connection.close()
    with transaction(engine) as connection:
        assert connection.execute(sa.select(run.c.id, run.c.host)).all() == [("a", "100% later; it's mine")]
    assert lines() == ["1", "2", "3", "4"]


def test_error_of_a_put_off_statement_is_raised_by_the_commit_and_nothing_stays(engine: sa.Engine) -> None:
    connection = engine.connect()
    connection.execute(_BEGIN, row("a"))
    connection.execute(_BEGIN, row("a") | {"command": "secret"})
    with pytest.raises(IntegrityError) as met:
        connection.commit()
    connection.close()
    assert "secret" not in str(met.value)
    with transaction(engine) as connection:
        assert connection.scalars(_IDS).all() == []


def test_put_off_statements_go_with_the_savepoint_that_they_were_put_off_in(engine: sa.Engine) -> None:
    with transaction(engine) as connection:
        connection.execute(_BEGIN, row("a"))
        savepoint = connection.begin_nested()
        connection.execute(_BEGIN, row("b"))
        with pytest.raises(IntegrityError):
            connection.execute(sa.insert(run), row("a"))
        savepoint.rollback()
        savepoint = connection.begin_nested()
        connection.execute(_BEGIN, row("c"))
        savepoint.rollback()
        connection.execute(_BEGIN, row("d"))
    with transaction(engine) as connection:
        assert connection.scalars(_IDS).all() == ["a", "d"]


def test_queries_asked_together_keep_their_columns_and_types(engine: sa.Engine) -> None:
    together = Together(
        first=sa.select(sa.literal(1).label("number"), sa.literal("x").label("text"), run.c.started_at),
        second=sa.select(sa.literal("y").label("text"), sa.literal("z").label("other")).where(sa.bindparam("wanted")),
    )
    with transaction(engine) as connection:
        connection.execute(_BEGIN, row("a"))
        found = together.ask(connection, {"wanted": True})
        assert together.ask(connection, {"wanted": False})["second"] == []
    assert found == {
        "first": [{"number": 1, "text": "x", "started_at": NOW}],
        "second": [{"text": "y", "other": "z"}],
    }


def test_run_sends_no_more_to_the_database_than_it_did(bench: "Bench", shop: SmallShop, place: "Place") -> None:
    """The counts are the same on every machine: docs/performance.md has them. Not counted: BEGIN and COMMIT."""

    def count(*, here: bool = False) -> Counts:
        with counting(bench.app.engine, here=here) as counts:
            record_run(bench.app, "run-once")
        bench.clock.move(timedelta(hours=2))
        return counts

    def count_orders(*numbers: int) -> tuple[Counts, Counts]:
        for number in numbers:
            account = shop.add_user(f"ord-{number}@example.org")
            place(f"ORD-{number}", user_id=account, created_at=bench.clock.now())
        bench.mailer.down = "not now"
        applied = count(here=True)
        bench.mailer.down = ""
        return applied, count()

    (one, mailed_one), (many, mailed_many) = count_orders(1), count_orders(*range(2, 13))
    idle = count()
    assert len(bench.mailer.sent) >= 12
    assert (idle.messages, idle.statements, idle.transactions) == (8, 8, 6)
    assert (many.messages - one.messages) / 10 <= 4
    assert (many.statements - one.statements) / 10 <= 10
    assert (many.transactions - one.transactions) / 10 <= 1
    # And with their mail, which has waited, so that it is asked whether it is still true, each has a second look.
    assert (mailed_many.messages - mailed_one.messages) / 10 <= 8
    assert (mailed_many.statements - mailed_one.statements) / 10 <= 9
    assert (mailed_many.transactions - mailed_one.transactions) / 10 <= 6
