"""The other commands, and what the exit status says."""

import json
import stat
from datetime import timedelta

import pytest
from tests.acceptance.papers import subject
from tests.acceptance.promises import check_completed
from tests.acceptance.stage import ROLE, Stage

OK, USAGE, REFUSED, NOT_FOUND, TRY_LATER, SETTINGS = 0, 2, 65, 66, 75, 78


# -- exit status ----------------------------------------------------------------------------------------------


@pytest.mark.fast("settings")
def test_run_with_wrong_settings_names_them_all_and_ends_with_78(stage: Stage) -> None:
    text = stage.config.read_text(encoding="utf-8").replace('time_zone = "Europe/Jersey"', 'time_zone = "Mars/Base"')
    stage.config.write_text(text + 'cc = "somebody"\n', encoding="utf-8")
    run = stage.run_once()
    assert run.code == SETTINGS
    said = " ".join(run.errors)
    assert "Mars/Base" in said
    assert "alerts.cc" in said
    assert (run.stdout, stage.sumup.requests) == ("", ())


def test_run_with_settings_that_others_may_read_ends_with_78(stage: Stage) -> None:
    stage.config.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IROTH)
    run = stage.run_once()
    assert run.code == SETTINGS
    assert "sup_sk" not in run.stderr


def test_run_without_settings_file_ends_with_78(stage: Stage) -> None:
    stage.config.unlink()
    assert stage.run_once().code == SETTINGS


@pytest.mark.fast("state")
def test_run_without_own_tables_says_how_to_make_them_and_upgrade_makes_them(stage: Stage) -> None:
    order = stage.order("ORD-FIRST", checkout="PAID")
    stage.sql("DROP SCHEMA paypoll CASCADE")
    before = stage.dump("public")
    run = stage.run_once()
    assert run.code == SETTINGS
    assert "paypoll db upgrade" in " ".join(run.errors)
    assert stage.dump("public") == before
    assert stage.paypoll("db", "upgrade", database__url=stage.owner_url).code == OK
    assert stage.dump("public") == before
    assert stage.paypoll("db", "status").code == SETTINGS
    stage.grant()
    assert stage.paypoll("db", "status").code == OK
    assert stage.run_once().code == OK
    check_completed(stage, order)


@pytest.mark.parametrize("command", [("run-once", "--order"), ("inspect",), ("expire",)])
def test_command_for_an_order_that_is_not_there_ends_with_66(stage: Stage, command: tuple[str, ...]) -> None:
    run = stage.paypoll(*command, "ORD-NOWHERE")
    assert run.code == NOT_FOUND
    assert run.errors == ["paypoll: no order has the number or id 'ORD-NOWHERE'"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("run-twice",),
        ("run-once", "--fast"),
        ("inspect",),
        ("expire",),
        ("report", "--html", ""),
        ("report", "--csv", ""),
        ("db", "backup", "--to", ""),
        ("reconcile", "--merchant", ""),
        ("reconcile", "--merchant", "../MPLATFORM"),
    ],
)
def test_command_line_that_is_wrong_ends_with_2(stage: Stage, arguments: tuple[str, ...]) -> None:
    assert stage.paypoll(*arguments).code == USAGE


def test_paypoll_logs_in_as_a_role_that_may_do_no_more_than_its_work(stage: Stage) -> None:
    # What every other test here shows to be enough.
    checked = stage.paypoll("check", "--json")
    rights = {one["mark"] for one in json.loads(checked.stdout)["findings"] if one["topic"] == "rights"}
    assert rights == {"OK"}
    (role,) = stage.sql("SELECT rolsuper, rolcreatedb FROM pg_roles WHERE rolname = :role", role=ROLE)
    assert (role["rolsuper"], role["rolcreatedb"]) == (False, False)
    stage.sql(f"REVOKE DELETE ON paypoll.pause FROM {ROLE}")
    status = stage.paypoll("db", "status", "--json")
    assert status.code == SETTINGS
    assert status.report["missing_rights"] == ["may not DELETE paypoll.pause: (the whole table)"]
    assert "may not DELETE paypoll.pause" in stage.paypoll("db", "status").stdout


# -- run-once -------------------------------------------------------------------------------------------------


def test_dry_run_says_what_would_happen_and_changes_nothing_anywhere(stage: Stage) -> None:
    orders = {
        "complete": stage.order("ORD-PAID", checkout="PAID"),
        "fail": stage.order("ORD-FAILED", checkout="FAILED"),
        "expire": stage.order("ORD-EXPIRED", checkout="EXPIRED"),
        "review": stage.order("ORD-REFUNDED", checkout="PAID"),
        "unchanged": stage.order("ORD-PENDING", checkout="PENDING"),
    }
    stage.sumup.refund(orders["review"].checkout)
    old = stage.order("ORD-OLD", age=timedelta(hours=3))
    before = stage.dump("public", "paypoll")
    run = stage.run_once("--dry-run")
    assert run.code == OK
    assert stage.dump("public", "paypoll") == before
    assert {seen.method for seen in stage.sumup.requests} == {"GET"}
    assert stage.sumup.checkout(old.checkout).status == "PENDING"
    assert (stage.sink.connections, list(stage.media.iterdir())) == (0, [])
    said = {one["number"]: one["outcome"] for one in run.report["orders"]}
    assert run.report["dry_run"] is True
    assert {order.number: outcome for outcome, order in orders.items()}.items() <= said.items()


@pytest.mark.fast("runs")
def test_run_for_one_order_leaves_the_others(stage: Stage) -> None:
    wanted, other = stage.order("ORD-WANTED", checkout="PAID"), stage.order("ORD-OTHER", checkout="PAID")
    assert stage.run_once("--order", " #ord-wanted ").code == OK
    check_completed(stage, wanted)
    assert stage.status(other) == "pending_verification"
    assert stage.sumup.count(path=f"*/{other.checkout}") == 0


@pytest.mark.fast("alerts")
def test_many_alerts_of_one_kind_in_a_run_become_one_mail_that_lists_them(stage: Stage) -> None:
    orders = [stage.order(f"ORD-ALIKE-{letter}", checkout="PAID") for letter in "ABCDEF"]
    for order in orders:
        stage.sumup.refund(order.checkout)
    assert stage.run_once().code == OK
    assert {stage.status(order) for order in orders} == {"requires_manual_review"}
    (mail,) = stage.sink.messages
    assert subject(mail).startswith("[Jersey Events CRITICAL] 6 orders")
    text = str(mail.message.get_body(("plain",)))
    for order in orders:
        assert order.number in text
        assert f"/admin/orders/order/{order.id}/change/" in text


# -- expire ---------------------------------------------------------------------------------------------------


def test_expire_asks_sumup_first_closes_what_is_unpaid_and_fulfils_what_is_paid(stage: Stage) -> None:
    unpaid, paid, held = stage.order("ORD-UNPAID"), stage.order("ORD-PAID", checkout="PAID"), stage.order("ORD-HELD")
    stage.sql(
        "INSERT INTO paypoll.watch (order_id, first_seen_at, lease_run, lease_until)"
        " VALUES (:id, now(), 'another', now() + interval '2 minutes')",
        id=held.id,
    )
    run = stage.paypoll("expire", unpaid.number, paid.number, held.number, "--yes", "--json")
    assert (run.code, stage.status(held)) == (TRY_LATER, "pending_verification")
    assert stage.status(unpaid) == "expired"
    assert stage.sumup.checkout(unpaid.checkout).status == "EXPIRED"
    assert stage.history(unpaid) == ["expired"]
    check_completed(stage, paid)
    assert {one["outcome"] for one in run.report["orders"]} == {"expire", "complete"}


def test_expire_of_an_order_that_is_not_waiting_is_refused(stage: Stage) -> None:
    order = stage.order("ORD-DONE", checkout="PENDING", status="completed")
    before = stage.dump("public", "paypoll")
    run = stage.paypoll("expire", order.number, "--yes")
    assert run.code == REFUSED
    assert "only orders in pending_verification" in " ".join(run.errors)
    assert stage.dump("public", "paypoll") == before


def test_expire_older_than_in_a_dry_run_lists_and_changes_nothing(stage: Stage) -> None:
    old, young = stage.order("ORD-OLD", age=timedelta(minutes=50)), stage.order("ORD-YOUNG")
    before = stage.dump("public", "paypoll")
    run = stage.paypoll("expire", "--older-than", "30min", "--dry-run", "--json")
    assert [one["number"] for one in run.report["orders"]] == [old.number]
    assert stage.dump("public", "paypoll") == before
    assert stage.sumup.count("DELETE") == 0
    assert stage.paypoll("expire", "--older-than", "30min", "--yes").code == OK
    assert (stage.status(old), stage.status(young)) == ("expired", "pending_verification")


# -- inspect --------------------------------------------------------------------------------------------------


def test_inspect_shows_everything_about_an_order_and_changes_nothing(stage: Stage) -> None:
    order = stage.order("ORD-LOOK", checkout="PAID")
    stage.run_once()
    before = stage.dump("public", "paypoll")
    run = stage.paypoll("inspect", "ord-look", "--live", "--json")
    assert run.code == OK
    shown = json.loads(run.stdout)
    assert (shown["order"]["number"], shown["order"]["status"]) == (order.number, "completed")
    assert [row["ticket_number"] for row in shown["tickets"]] == [row["ticket_number"] for row in stage.tickets(order)]
    assert [row["sumup_checkout_id"] for row in shown["checkouts"]] == [order.checkout]
    assert [row["state"] for row in shown["mail"]] == ["sent"]
    assert [row["action"] for row in shown["audit"]] == ["verified", "mailed"]
    assert shown["live"]["status_after"] == "completed"
    assert stage.dump("public", "paypoll") == before
    assert "sup_sk" not in run.stdout + run.stderr


@pytest.mark.fast("cli")
def test_inspect_for_people_says_what_happened(stage: Stage) -> None:
    order = stage.order("ORD-LOOK", checkout="PENDING")
    stage.run_once()
    run = stage.paypoll("inspect", str(order.id))
    assert run.code == OK
    for piece in (order.number, "pending_verification", "25.00 GBP", order.checkout, "PENDING", "looked at once"):
        assert piece in run.stdout
