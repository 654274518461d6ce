"""A shop that was restored to an older moment, and a paypoll whose own tables are lost."""

from datetime import timedelta

from tests.acceptance.papers import body, subject
from tests.acceptance.promises import check_completed, check_issued, check_review
from tests.acceptance.stage import MERCHANT, Placed, Stage

SETTINGS, USAGE = 78, 2
OF_AN_ORDER = ("events_ticket", "orders_orderstatushistory", "payments_sumupcheckout", "orders_orderitem")


def restore_before(stage: Stage, order: Placed) -> None:
    """Bring the shop back to the moment before this order, sequences and all; paypoll's records stay."""
    for table in OF_AN_ORDER:
        rows = stage.sql(f"DELETE FROM {table} WHERE order_id = :order RETURNING id", order=order.id)  # noqa: S608
        if rows:
            restart(stage, table, min(row["id"] for row in rows))
    stage.sql("DELETE FROM orders_order WHERE id = :order", order=order.id)
    restart(stage, "orders_order", order.id)


def restart(stage: Stage, table: str, next_id: int) -> None:
    """Let the table's next row have this id."""
    stage.sql("SELECT setval(pg_get_serial_sequence(:table, 'id'), :next, false)", table=table, next=next_id)


def test_row_39a_new_order_under_an_old_id_is_a_case_and_the_next_one_gets_its_tickets(stage: Stage) -> None:
    old = stage.order("ORD-OLD", checkout="PAID")
    unpaid = stage.order("ORD-UNPAID", checkout="PENDING")
    dead = stage.order("ORD-DEAD", checkout="")
    stage.shop.add_checkout(dead.id, dead.number, "dead-1", merchant_code=MERCHANT)
    stage.run_once()
    check_completed(stage, old)
    check_review(stage, dead, reason="not_found")
    for order in (dead, unpaid, old):
        restore_before(stage, order)
    new, following = (stage.order(f"ORD-{name}", checkout="PAID") for name in ("NEW", "FOLLOWING"))
    anew = stage.order("ORD-DEAD-ANEW", checkout="")
    stage.shop.add_checkout(anew.id, anew.number, "dead-2", merchant_code=MERCHANT)
    fresh = stage.order("ORD-FRESH", checkout="PAID")
    assert (new.id, following.id) == (old.id, unpaid.id)
    ended = stage.run_once()
    assert (ended.code, ended.report["errors"]) == (0, [])
    check_review(stage, new, reason="id_reused", found="records under this order's id are of ORD-OLD")
    check_review(stage, following, reason="id_reused", found="are of ORD-UNPAID")
    # What was told of the order that had its id before is told of this one as well.
    assert (anew.id, stage.status(anew)) == (dead.id, "requires_manual_review")
    assert ["needs a person: not found" in subject(alert) for alert in stage.alerts(anew)] == [True]
    # The ids of its tickets had been given out before as well.
    check_issued(stage, fresh)
    forbidden = stage.paypoll("resolve", "ORD-NEW", "--issue", "--override", "--reason", "try", "--yes")
    assert (forbidden.code, "of ORD-OLD" in " ".join(forbidden.errors)) == (65, True)
    # The old one's confirmation is not sent with tickets of somebody else.
    stage.sql("UPDATE paypoll.outbox SET state = 'waiting' WHERE kind = 'confirmation' AND order_id = :id", id=old.id)
    before = len(stage.mails(old))
    stage.let_time_pass()
    stage.run_once()
    assert len(stage.mails(old)) == before
    # The money of the one that is lost is told, once, and that of the new one is told already.
    told = [body(mail) for mail in stage.sink.messages if "was deleted in the shop, and it was paid" in subject(mail)]
    assert [old.checkout in text for text in told] == [True]
    assert stage.sumup.checkout(unpaid.checkout).status == "EXPIRED"
    assert [len(stage.alerts(order)) for order in (new, following)] == [1, 1]


def test_row_26b_order_that_is_gone_from_the_shop_is_made_unpayable_and_its_money_told_once(stage: Stage) -> None:
    done, back = stage.order("ORD-DONE", checkout="PAID"), stage.order("ORD-BACK", checkout="PAID")
    paid_after, left = stage.order("ORD-AFTER", checkout="PENDING"), stage.order("ORD-LEFT", checkout="PENDING")
    stage.run_once()
    check_completed(stage, done)
    stage.sumup.refund(back.checkout)
    for order in (left, paid_after, back, done):
        stage.let_age(order, timedelta(hours=1))
        restore_before(stage, order)
    stage.sumup.pay(paid_after.checkout, force=True)
    # One was looked at last under a clock that was a month ahead.
    ahead = "UPDATE paypoll.watch SET {0} = {0} + interval '30 days', {1} = {1} + interval '30 days'"
    stage.sql(f"{ahead.format('next_check_at', 'last_checked_at')} WHERE order_id = :id", id=left.id)
    for _ in range(2):
        ended = stage.run_once()
        assert (ended.code, ended.report["errors"]) == (0, [])
        told = [
            body(mail) for mail in stage.sink.messages if "was deleted in the shop, and it was paid" in subject(mail)
        ]
        assert [[order.checkout in text for text in told].count(True) for order in (done, paid_after, back, left)] == [
            1, 1, 0, 0
        ]  # fmt: skip
        assert stage.sumup.checkout(left.checkout).status == "EXPIRED"
        stage.sql("UPDATE paypoll.watch SET next_check_at = now() WHERE next_check_at IS NOT NULL")


def test_row_39b_lost_records_stop_runs_until_a_person_adopts_the_shop(stage: Stage) -> None:
    done, short = stage.order("ORD-DONE", checkout="PAID"), stage.order("ORD-SHORT", checkout="PAID")
    stage.run_once()
    check_issued(stage, done)
    before = stage.order("ORD-BEFORE", checkout="PAID")
    # The shop is restored to a moment at which one lacked its tickets, and without paypoll's tables.
    stage.sql("DELETE FROM events_ticket WHERE order_id = :order", order=short.id)
    # A mark of the future, and one that somebody typed, say nothing about what is to come.
    stage.order("ORD-AHEAD", checkout="", status="failed", payment_notes="[2031-01-01 10:00 UTC] paypoll: failed")
    stage.order("ORD-TYPED", checkout="", status="failed", payment_notes="[9026-13-45 99:99 UTC] paypoll: failed")
    stage.sql("DROP SCHEMA paypoll CASCADE")
    gone = stage.run_once()
    assert (gone.code, "paypoll db restore" in gone.stderr) == (SETTINGS, True)
    assert stage.paypoll("db", "upgrade", database__url=stage.owner_url).code == 0
    stage.grant()
    for command in (("run-once",), ("run-once", "--dry-run"), ("resolve", "ORD-BEFORE", "--reject", "--reason", "x")):
        refused = stage.paypoll(*command)
        assert (refused.code, "paypoll db adopt" in refused.stderr) == (SETTINGS, True), command
    checked = stage.paypoll("check")
    assert (checked.code, "PROBLEM records:" in checked.stdout) == (SETTINGS, True)
    assert stage.status(before) == "pending_verification"
    shown = stage.paypoll("db", "adopt", "--json")
    assert (shown.code, shown.report["paid_without_all_tickets"]) == (USAGE, ["ORD-SHORT"])
    assert stage.run_once().code == SETTINGS
    assert stage.paypoll("db", "adopt", "--yes", "--by", "Ada").code == 0
    # Marks have minutes: an order that is placed after the newest one goes the usual way.
    after = stage.order("ORD-AFTER", checkout="PAID", age=-timedelta(minutes=3))
    assert stage.run_once().code == 0
    check_review(stage, before, reason="memory_lost", found="may have had its tickets already")
    check_issued(stage, after)
    (told,) = [mail for mail in stage.sink.messages if "before paypoll lost its records" in subject(mail)]
    assert "ORD-SHORT" in body(told)
    assert stage.paypoll("db", "adopt", "--yes").code == 65
    assert stage.paypoll("runs").code == 0


def test_row_47_tickets_that_a_person_makes_in_a_restored_shop_get_ids_that_nobody_had(stage: Stage) -> None:
    old = stage.order("ORD-OLD", checkout="PAID")
    stage.run_once()
    check_completed(stage, old)
    had = {ticket["id"] for ticket in stage.tickets(old)}
    # Another order keeps the id of the old one from being given out again; those of its tickets are.
    kept = stage.order("ORD-KEPT", checkout="PAID", status="confirmed", is_paid=True)
    restore_before(stage, old)
    restart(stage, "orders_order", kept.id + 1)
    done = stage.paypoll("resolve", "ORD-KEPT", "--issue", "--reason", "the shop lost them", "--yes", "--json")
    assert (done.code, done.report["tickets"]) == (0, 2), done.stderr
    assert {ticket["id"] for ticket in stage.tickets(kept)}.isdisjoint(had)


def test_backup_by_paypolls_role_is_restored_by_the_owner_and_what_came_after_it_is_a_case(stage: Stage) -> None:
    done = stage.order("ORD-DONE", checkout="PAID")
    stage.run_once()
    folder = stage.folder / "backups"
    made = stage.paypoll("db", "backup", "--to", str(folder), "--json")
    assert (made.code, made.report["rows"]["fulfilment"]) == (0, 1), made.stderr
    # A later fulfilment is not in it, and its order loses its tickets; the shop bears the mark.
    lost = stage.order("ORD-LOST", checkout="PAID")
    stage.run_once()
    check_issued(stage, lost)
    stage.sql("DELETE FROM events_ticket WHERE order_id = :order", order=lost.id)
    stage.sql(
        "UPDATE orders_order SET status = 'pending_verification', is_paid = false, paid_at = NULL WHERE id = :order",
        order=lost.id,
    )
    unasked = stage.paypoll("db", "restore", made.report["path"], "--replace", database__url=stage.owner_url)
    assert (unasked.code, "was at work in this shop until" in unasked.stdout) == (USAGE, True), unasked.stderr
    restored = stage.paypoll(
        "db", "restore", made.report["path"], "--replace", "--to", str(folder), "--yes", "--json",
        database__url=stage.owner_url,
    )  # fmt: skip
    assert (restored.code, len(list(folder.iterdir()))) == (0, 2), restored.stderr
    assert restored.report["missing_roles"] == []
    # paypoll's role has its rights again; what came after the backup is no second ticket, but a person's.
    assert stage.run_once().code == 0
    check_issued(stage, done)
    assert (stage.status(lost), stage.reasons(lost)[-1]) == ("requires_manual_review", "memory_lost")
    assert stage.tickets(lost) == []
