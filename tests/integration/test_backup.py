"""Backups of paypoll's own tables: whole, private, never over another; and back in one transaction, or not at all."""

import resource
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.integration.conftest import Bench, Place

from paypoll.admin import backup as admin
from paypoll.admin.backup import KEPT, BackedUp, back_up, find_folder, restore, upgrade_safely
from paypoll.admin.pause import list_pauses
from paypoll.cli.commands.db_backup import _restored_lines
from paypoll.database import SCHEMA, DatabaseOptions, make_engine, own_file, transaction
from paypoll.errors import CannotWriteError, RefusedError, SchemaError
from paypoll.payments.refunding import RefundIntent, RefundState, Standing
from paypoll.runs.record import record_run
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.state.backup_file import opened_backup
from paypoll.state.grants import grants_sql
from paypoll.state.memory import ADOPTED_UNTIL
from paypoll.state.refunds import end, write_down
from paypoll.state.tables import metadata, outbox, refund, run
from paypoll.state.upgrade import HEAD, current_version, upgrade
from paypoll.testing import NOW

ROLE = "paypoll_kept"
GRANTS = sa.text(
    "SELECT grantee, table_name, column_name, privilege_type FROM information_schema.column_privileges"
    " WHERE table_schema = 'paypoll' AND grantee = :role ORDER BY 2, 3, 4"
)


@pytest.fixture
def place(bench: Bench, shop: SmallShop) -> Place:
    """Places orders."""
    return Place(shop, bench.gateway)


def everything(engine: sa.Engine) -> Mapping[str, Any]:
    """Return all rows of paypoll's own tables, and what its role may do."""
    with transaction(engine) as connection:
        rows = {
            name: sorted(map(repr, connection.execute(sa.select(table)).all()))
            for name, table in metadata.tables.items()
        }
        return {**rows, "rights": list(map(tuple, connection.execute(GRANTS, {"role": ROLE})))}


def put_back(
    bench: Bench, made: BackedUp, *, copy_to: Path | None = None, as_it_was: bool = False, shop_restored: bool = False
) -> admin.Outcome:
    with made.path.open("rb") as file, opened_backup(file, str(made.path)) as backup:
        return restore(
            bench.app.engine, backup, bench.app.desk, who="ada", now=bench.clock.now(), copy_to=copy_to,
            as_it_was=as_it_was, shop_restored=shop_restored,
        )  # fmt: skip


def drop(engine: sa.Engine) -> None:
    with transaction(engine) as connection:
        connection.exec_driver_sql(f"DROP SCHEMA {SCHEMA} CASCADE")


def test_backup_is_restored_with_every_row_right_and_the_next_ids(
    bench: Bench, place: Place, engine: sa.Engine, tmp_path: Path
) -> None:
    with engine.connect() as connection:
        grants = grants_sql(ROLE).replace("%", "%%")
        connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(grants)
    for number in ("ORD-ÄÖ\\N", "ORD-2\t\n"):
        place(number)
    record_run(bench.app, "run-once")
    before = everything(engine)
    assert before["rights"]
    made = back_up(engine, tmp_path / "kept", bench.clock.now())
    assert made.path.name == f"paypoll-20261123T150000Z-{HEAD}.zip"
    assert [stat.S_IMODE(path.stat().st_mode) for path in (made.path, made.path.parent)] == [0o600, 0o700]
    # Another one of the same second, as `restore` makes of what it replaces, takes none's name.
    again = back_up(engine, tmp_path / "kept", bench.clock.now())
    assert again.path.name == f"paypoll-20261123T150000Z-{HEAD}-2.zip"
    # A fresh schema in the same shop, as after a restore of a dump that had only the shop's tables.
    drop(engine)
    done = put_back(bench, made)
    after = everything(engine)
    (restored,) = set(after["paypoll.audit"]) - set(before["paypoll.audit"])
    assert "'ada'" in restored
    assert "restored the backup of 2026-11-23 15:00 UTC" in restored
    assert {**after, "paypoll.audit": before["paypoll.audit"]} == before
    assert (done.replaced, done.held, done.place.lost, done.restored.missing_roles) == (None, 0, None, ())
    record_run(bench.app, "run-once")


def test_restore_over_records_needs_to_be_told_and_keeps_a_copy(
    bench: Bench, place: Place, engine: sa.Engine, tmp_path: Path
) -> None:
    made = back_up(engine, tmp_path, bench.clock.now())
    place("ORD-1")
    bench.clock.move(timedelta(minutes=30))
    record_run(bench.app, "run-once")
    before = everything(engine)
    with pytest.raises(RefusedError, match="--replace"):
        put_back(bench, made)
    assert everything(engine) == before
    bench.clock.move(timedelta(minutes=30))
    done = put_back(bench, made, copy_to=tmp_path / "copies")
    assert done.replaced is not None
    # paypoll was at work in between: what `db adopt` does is done, and audited.
    with transaction(engine) as connection:
        until = connection.scalar(ADOPTED_UNTIL)
    assert until is not None
    assert until > made.manifest.taken_at
    # And back again, with what was there in between.
    bench.clock.move(timedelta(minutes=30))
    put_back(bench, done.replaced, copy_to=tmp_path / "copies")
    again = everything(engine)
    assert [again[name] for name in ("paypoll.fulfilment", "paypoll.ticket_place")] == [
        before[name] for name in ("paypoll.fulfilment", "paypoll.ticket_place")
    ]


def test_mail_and_refunds_of_an_older_backup_do_not_leave_a_second_time(
    bench: Bench, place: Place, engine: sa.Engine, tmp_path: Path
) -> None:
    place("ORD-1")
    bench.mailer.down = "down"
    record_run(bench.app, "run-once")
    nothing = Standing(Decimal(0), Decimal(0), Decimal(0), Decimal(0))
    with transaction(engine) as connection:
        # Not due for as long as this test lives.
        write_down(
            connection,
            RefundIntent(
                0, 1, "ORD-1", "c", "t", "M", Decimal(1), "GBP", (), False, "ada", "why", RefundState.INTENDED, nothing,
                NOW, NOW,
            ),
            NOW + timedelta(days=9),
        )  # fmt: skip
    made = back_up(engine, tmp_path, bench.clock.now())
    # Restored at once, nothing can have happened meanwhile.
    assert put_back(bench, made, copy_to=tmp_path / "copies").held == 0
    assert refund_states(engine) == ["intended"]
    bench.mailer.down = ""
    bench.clock.move(timedelta(hours=2))
    record_run(bench.app, "run-once")
    sent = len(bench.mailer.sent)
    assert sent
    bench.clock.move(timedelta(hours=2))
    assert put_back(bench, made, copy_to=tmp_path / "copies").held == 1
    assert refund_states(engine) == ["asked"]
    record_run(bench.app, "run-once")
    assert not [subject for subject in _subjects(bench)[sent:] if "ticket" in subject.lower()]


@pytest.mark.parametrize(
    ("meanwhile", "lost_after"),
    [
        ("nothing", None),
        ("mailed by a command", timedelta(minutes=10)),
        ("begun to mail by a command", timedelta(minutes=20)),
        ("a clock ahead", timedelta(hours=1)),  # nobody knows: until now
        ("tables lost", None),  # the shop's marks are all from before
        ("tables lost in the same minute", timedelta(seconds=30)),
    ],
)
def test_mail_that_waited_is_held_unless_it_is_on_record_that_nothing_was_done(
    bench: Bench, place: Place, engine: sa.Engine, tmp_path: Path, meanwhile: str, lost_after: timedelta | None
) -> None:
    bench.clock.move(timedelta(seconds=30))
    place("ORD-1")
    bench.mailer.down = "down"
    record_run(bench.app, "run-once")
    if not meanwhile.endswith("in the same minute"):
        bench.clock.move(timedelta(minutes=2))
    at = bench.clock.now()
    made = back_up(engine, tmp_path, at + timedelta(days=1) if meanwhile == "a clock ahead" else at)
    bench.clock.move(timedelta(hours=1))
    values: dict[str, object] = {}
    if meanwhile == "mailed by a command":
        values = {"state": "sent", "sent_at": at + timedelta(minutes=10)}
    elif meanwhile == "begun to mail by a command":
        values = {"lease_run": "c", "lease_until": at + timedelta(minutes=20)}
    if values:
        with transaction(engine) as connection:
            connection.execute(sa.update(outbox).values(values))
    if meanwhile.startswith("tables lost"):
        drop(engine)
    done = put_back(bench, made, copy_to=tmp_path / "copies")
    assert done.held == (meanwhile != "nothing")
    assert (done.place.lost.newest_mark - at if done.place.lost else None) == lost_after
    # Once restored, nobody knows any more what a second restore would bring back.
    assert put_back(bench, made, copy_to=tmp_path / "more").held == 1


def test_refund_that_the_backup_does_not_have_is_let_end_first(bench: Bench, engine: sa.Engine, tmp_path: Path) -> None:
    made = back_up(engine, tmp_path, bench.clock.now())
    nothing = Standing(Decimal(0), Decimal(0), Decimal(0), Decimal(0))
    with transaction(engine) as connection:
        # Under a clock that is behind: it is told by its id.
        begun = write_down(
            connection,
            RefundIntent(
                0, 1, "ORD-1", "c", "t", "M", Decimal(1), "GBP", (), False, "ada", "why", RefundState.INTENDED, nothing,
                NOW, NOW,
            ),
            NOW - timedelta(hours=2),
        )  # fmt: skip
    assert begun is not None
    bench.clock.move(timedelta(minutes=30))
    with pytest.raises(RefusedError, match=r"a refund of order ORD-1 is under way .*`paypoll run-once`"):
        put_back(bench, made, copy_to=tmp_path / "copies")
    with transaction(engine) as connection:
        end(connection, begun.id, RefundState.INTENDED, RefundState.WITHDRAWN, "", bench.clock.now())
    assert put_back(bench, made, copy_to=tmp_path / "copies").place.lost is not None


def refund_states(engine: sa.Engine) -> list[str]:
    with transaction(engine) as connection:
        return list(connection.scalars(sa.select(refund.c.state)))


def _subjects(bench: Bench) -> list[str]:
    return [str(message["Subject"]) for message, _ in bench.mailer.sent]


def test_restore_while_any_run_is_under_way_is_refused(bench: Bench, engine: sa.Engine, tmp_path: Path) -> None:
    made = back_up(engine, tmp_path, bench.clock.now())
    began = {"h": NOW - timedelta(minutes=9), "killed": NOW + timedelta(hours=20)}  # that one: under a clock ahead
    with transaction(engine) as connection:
        for host, at in began.items():
            row = {"id": host, "command": "run-once", "host": host, "version": "1", "started_at": at}
            connection.execute(sa.insert(run).values(row))
    over = f"{NOW + timedelta(minutes=1):%H:%M:%S}"
    with pytest.raises(RefusedError, match=f"a run has been under way on h since .* over at {over} UTC"):
        put_back(bench, made, copy_to=tmp_path)
    bench.clock.move(timedelta(minutes=2))
    done = put_back(bench, made, copy_to=tmp_path / "copies")
    # What it did is before now, whatever it is dated.
    assert done.place.lost is not None
    assert done.place.lost.newest_mark == bench.clock.now()
    # One that was under way when the backup was made is over when that is restored, and holds up no other restore.
    with transaction(engine) as connection:
        row |= {"id": "i", "started_at": bench.clock.now()}
        connection.execute(sa.insert(run).values(row))
    made = back_up(engine, tmp_path / "later", bench.clock.now())
    with transaction(engine) as connection:
        connection.execute(sa.update(run).where(run.c.id == "i").values(ended="finished"))
    for folder in ("one", "two"):
        put_back(bench, made, copy_to=tmp_path / folder)


def test_backup_of_another_shop_is_refused_unless_this_one_has_given_ids_out_again(
    bench: Bench, place: Place, engine: sa.Engine, tmp_path: Path
) -> None:
    for number in ("ORD-1", "ORD-2", "ORD-3"):
        place(number)
    record_run(bench.app, "run-once")
    made = back_up(engine, tmp_path, bench.clock.now())
    bench.clock.move(timedelta(hours=1))

    def change(numbers: list[str], changes: str) -> None:
        with transaction(engine) as connection:
            statement = sa.text(f"UPDATE orders_order SET {changes} WHERE order_number = ANY(:numbers)")  # noqa: S608 - ours
            connection.execute(statement, {"numbers": numbers})

    # A number that somebody has changed, and an id that was given out again: it is still this shop.
    change(["ORD-1", "ORD-2"], "order_number = 'NEW-' || order_number")
    change(["NEW-ORD-1"], "created_at = created_at + interval '1 hour'")
    put_back(bench, made, copy_to=tmp_path / "copies")
    change(["NEW-ORD-2"], "created_at = created_at + interval '1 hour'")
    before = everything(engine)
    bench.clock.move(timedelta(hours=1))
    with pytest.raises(
        RefusedError, match=r"another shop.* 3 .*, 2 are other orders \(NEW-ORD-2 here is ORD-2 there\)"
    ):
        put_back(bench, made, copy_to=tmp_path / "copies")
    assert everything(engine) == before
    # Two shops that count their numbers from the same one.
    change(["NEW-ORD-1", "NEW-ORD-2"], "order_number = replace(order_number, 'NEW-', '')")
    with pytest.raises(RefusedError, match=r"2 are other orders \(ORD-2 was made later here\)"):
        put_back(bench, made, copy_to=tmp_path / "copies")
    bench.clock.move(timedelta(hours=1))
    put_back(bench, made, copy_to=tmp_path / "copies", shop_restored=True)


def test_restore_that_fails_in_the_middle_changes_nothing(
    bench: Bench, place: Place, engine: sa.Engine, tmp_path: Path
) -> None:
    place("ORD-1")
    record_run(bench.app, "run-once")
    made = back_up(engine, tmp_path, bench.clock.now())
    before = everything(engine)
    bad = tmp_path / "bad.zip"
    with zipfile.ZipFile(made.path) as source, zipfile.ZipFile(bad, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            # The last table by name has a row too many columns, or lacks its rows.
            target.writestr(name, content + b"x\ty\tz\n" if name == "rows/watch" else content)
    broken = BackedUp(bad, 0, made.manifest)
    with pytest.raises(RefusedError, match="does not fit"):
        put_back(bench, broken, copy_to=tmp_path / "copies")
    assert everything(engine) == before
    with zipfile.ZipFile(made.path) as source, zipfile.ZipFile(bad, "w") as target:
        target.writestr("manifest.json", source.read("manifest.json").replace(f'"{HEAD}"'.encode(), b'"0000"'))
    with pytest.raises(RefusedError, match="a version of the tables that never was"):
        put_back(bench, broken, copy_to=tmp_path / "never")
    bad.write_bytes(made.path.read_bytes()[:-200])
    with pytest.raises(RefusedError, match="no backup of paypoll's, or is damaged"):
        put_back(bench, broken, copy_to=tmp_path / "copies")
    with transaction(engine) as connection:
        connection.exec_driver_sql("CREATE VIEW shown AS SELECT * FROM paypoll.watch")
    with pytest.raises(RefusedError, match="hangs on the tables"):
        put_back(bench, made, copy_to=tmp_path / "more")
    assert everything(engine) == before


@pytest.fixture
def older(engine: sa.Engine) -> str:
    """paypoll's tables as an older version left them; returns that version."""
    drop(engine)
    with transaction(engine) as connection:
        upgrade(connection, "0004")
        connection.exec_driver_sql("INSERT INTO paypoll.watch (order_id, first_seen_at, checks) VALUES (7, now(), 3)")
    return "0004"


def test_upgrade_keeps_what_was_there_and_it_comes_back_in_either_version(
    bench: Bench, engine: sa.Engine, older: str, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    for number in range(KEPT + 1):
        (kept / f"paypoll-2026010{number}T000000Z-0001-before-0002.zip").touch()
    (kept / "paypoll-20250101T000000Z-0001.zip").touch()
    before, after, made = upgrade_safely(engine, lambda: kept, bench.clock.now())
    assert (before, after) == (older, HEAD)
    assert made is not None
    assert made.path.name.endswith(f"-{older}-before-{HEAD}.zip")
    left = sorted(path.name for path in kept.iterdir())
    assert len(left) == KEPT + 1
    assert "paypoll-20250101T000000Z-0001.zip" in left
    assert upgrade_safely(engine, lambda: kept, bench.clock.now())[2] is None
    with transaction(engine) as connection:
        connection.exec_driver_sql("UPDATE paypoll.schema_version SET version_num = '9999'")
    with pytest.raises(SchemaError, match="restore with the newer paypoll"):
        put_back(bench, made, copy_to=tmp_path)
    with transaction(engine) as connection:
        connection.exec_driver_sql(f"UPDATE paypoll.schema_version SET version_num = '{HEAD}'")  # noqa: S608 - ours
    done = put_back(bench, made, copy_to=tmp_path, as_it_was=True)
    said = " ".join(_restored_lines(made.manifest, replace(done, held=2)))
    assert "2 mails may have gone out before: none of them leaves by itself, and a newer version shows them" in said
    with transaction(engine) as connection:
        assert current_version(connection) == older
        assert not sa.inspect(connection).has_table("refund", schema=SCHEMA)
    assert list_pauses(engine) == ()
    bench.clock.move(timedelta(seconds=1))
    put_back(bench, made, copy_to=tmp_path)
    with transaction(engine) as connection:
        assert current_version(connection) == HEAD
        assert connection.scalar(sa.text("SELECT checks FROM paypoll.watch WHERE order_id = 7")) == 3


def test_disk_that_takes_no_more_stops_the_upgrade_and_nothing_is_left_of_the_backup(
    bench: Bench, engine: sa.Engine, older: str, tmp_path: Path
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (512, hard))  # bytes: in the middle of the file, as on a full disk
    try:
        with pytest.raises(CannotWriteError, match="file too large; nothing was upgraded; make room"):
            upgrade_safely(engine, lambda: tmp_path / "kept", bench.clock.now())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list((tmp_path / "kept").iterdir()) == []
    with transaction(engine) as connection:
        assert current_version(connection) == older


def test_backups_of_sqlite_are_the_whole_file(tmp_path: Path, bench: Bench) -> None:
    engine = make_engine(DatabaseOptions(sa.make_url(f"sqlite:///{tmp_path}/shop.db")))
    with transaction(engine) as connection:
        upgrade(connection)
        connection.exec_driver_sql(
            "INSERT INTO paypoll.run (id, command, host, version, started_at) VALUES ('r', 'c', 'h', '1', '2020-01-01')"
        )
    made = back_up(engine, tmp_path / "kept", bench.clock.now())
    with made.path.open("rb") as file, opened_backup(file, "it") as backup:
        with pytest.raises(RefusedError, match=r"is of sqlite, and database\.url names postgresql"):
            restore(bench.app.engine, backup, bench.app.desk, who="ada", now=NOW, copy_to=None)
        with transaction(engine) as connection:
            connection.exec_driver_sql("DELETE FROM paypoll.run")
        assert restore(engine, backup, bench.app.desk, who="ada", now=NOW, copy_to=None).restored.rows == 1
    with transaction(engine) as connection:
        assert connection.scalar(sa.text("SELECT id FROM paypoll.run")) == "r"
    assert own_file(engine.url).is_file()
    engine.dispose()


def test_folder_for_backups_is_the_setting_else_the_services_own_else_the_users(tmp_path: Path) -> None:
    assert find_folder(Path("/a"), {"STATE_DIRECTORY": "/b"}) == Path("/a")
    assert find_folder(None, {"STATE_DIRECTORY": "/b:/c"}) == Path("/b/backups")
    assert find_folder(None, {"HOME": str(tmp_path)}) == tmp_path / ".local/state/paypoll/backups"
    with pytest.raises(CannotWriteError, match="--to FOLDER"):
        find_folder(None, {"HOME": "/nonexistent"})
