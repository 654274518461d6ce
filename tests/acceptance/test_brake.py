"""SumUp denies many orders at once: a key of another account, or a sandbox that forgot. The brake, and the way back."""

from datetime import timedelta
from decimal import Decimal

from tests.acceptance.papers import body, subject
from tests.acceptance.promises import check_issued, check_review, check_waiting
from tests.acceptance.stage import API_KEY, MERCHANT, PRICE, Placed, Stage

from paypoll.sandbox.sumup.effects import Status

TRY_LATER = 75
WAITING, REVIEW = "pending_verification", "requires_manual_review"


def dead(stage: Stage, number: int) -> Placed:
    """Place an order whose stored checkout SumUp does not know."""
    order = stage.order(f"ORD-DEAD-{number}", checkout="")
    stage.shop.add_checkout(order.id, order.number, f"dead-{number}", merchant_code=MERCHANT)
    return order


def told(stage: Stage, words: str) -> list[str]:
    """Return the subjects of the alerts that say so."""
    return [subject(mail) for mail in stage.sink.messages if words in subject(mail)]


def test_row_48_many_denied_at_once_are_held_back_and_exact_ones_are_fulfilled(stage: Stage) -> None:
    denied = [dead(stage, number) for number in range(1, 5)]
    for name, changed in {"MERCHANT": {"merchant_code": "MOTHER"}, "CURRENCY": {"currency": "EUR"}}.items():
        denied.append(stage.order(f"ORD-{name}", checkout="PAID"))
        stage.sumup.tamper(denied[-1].checkout, **changed)
    # One whose last look this would be: held back, it is looked at again.
    late = stage.order("ORD-LATE", checkout="PAID", status="failed", age=timedelta(days=4))
    stage.sumup.tamper(late.checkout, merchant_code="MOTHER")
    penny = stage.order("ORD-PENNY", checkout="PAID")
    stage.sumup.tamper(penny.checkout, amount=penny.total + Decimal("0.01"))
    exact = [stage.order(f"ORD-EXACT-{number}", checkout="PAID") for number in range(1, 5)]
    ended = [stage.run_once() for _ in range(2)]
    assert [(one.code, one.report["held_back"]) for one in ended] == [(TRY_LATER, 7), (TRY_LATER, 6)]
    for order in exact:
        check_issued(stage, order, on_paper=False)
    for order in denied:
        check_waiting(stage, order, reason="held_back")
    check_review(stage, penny, reason="mismatch")  # what no wrong world explains is a case as ever
    (alert,) = [mail for mail in stage.sink.messages if "SumUp denies many orders at once" in subject(mail)]
    assert subject(alert).startswith("[Jersey Events CRITICAL]")
    assert "that of merchant MPLATFORM. SumUp says so, too." in " ".join(body(alert).replace("- ", "").split())
    assert "6 orders held back" in stage.paypoll("run-once").stdout
    # A person who knows that SumUp is right lets them through.
    stage.let_time_pass()
    assert stage.run_once("--accept-reviews").code == 0
    assert [stage.status(order) for order in (*denied, late)] == [REVIEW] * 7
    assert len(told(stage, "not held back any more")) == 1


def test_row_48_few_dead_checkouts_stop_nobody_and_are_cases_as_ever(stage: Stage) -> None:
    denied = [dead(stage, number) for number in range(1, 6)]
    exact = [
        stage.order(f"ORD-EXACT-{number}", places=[(stage.concert, 1, PRICE)], checkout="PAID") for number in range(6)
    ]
    # The dead ones are the oldest, so they are asked about first: at that moment there was no other answer.
    ended = stage.run_once()
    assert (ended.code, ended.report["held_back"]) == (0, 0)
    for order in exact:
        check_issued(stage, order, on_paper=False)
    assert [stage.status(order) for order in denied] == [REVIEW] * 5
    alone = [dead(stage, number) for number in range(11, 15)]
    assert stage.run_once().code == 0
    assert [stage.status(order) for order in alone] == [REVIEW] * 4
    assert told(stage, "denies many") == []


def test_row_48_key_of_another_account_moves_nothing_and_all_is_well_when_it_is_put_right(stage: Stage) -> None:
    orders = [stage.order(f"ORD-{number}", places=[(stage.concert, 1, PRICE)], checkout="PAID") for number in range(11)]
    stage.sumup.add_merchant("MOTHER", "key-of-another")
    text = stage.config.read_text(encoding="utf-8")
    stage.config.write_text(text.replace(API_KEY, "key-of-another"), encoding="utf-8")
    ended = stage.run_once()
    assert (ended.code, ended.report["held_back"]) == (TRY_LATER, 11)
    for order in orders:
        check_waiting(stage, order, reason="held_back")
    stage.config.write_text(text, encoding="utf-8")
    assert stage.run_once().code == 0
    for order in orders:
        check_issued(stage, order, on_paper=False)
    assert (len(told(stage, "denies many")), len(told(stage, "not held back any more"))) == (1, 1)
    (alert,) = [mail for mail in stage.sink.messages if "denies many" in subject(mail)]
    assert "that of MOTHER: the key is another account's" in " ".join(body(alert).split())


def test_row_48_recheck_puts_back_what_paypoll_sent_to_review_and_nothing_else(stage: Stage) -> None:
    orders = [stage.order(f"ORD-{number}", checkout="") for number in range(1, 5)]
    for number, order in enumerate(orders):
        stage.shop.add_checkout(order.id, order.number, f"late-{number}", merchant_code=MERCHANT)
    theirs = stage.order("ORD-THEIRS", status=REVIEW)
    stage.run_once()
    assert [stage.status(order) for order in orders] == [REVIEW] * 4
    assert stage.paypoll("resolve", "ORD-4", "--reject", "--reason", "a test of the choir's", "--yes").code == 0
    why = ("--why", "the key was another account's", "--by", "Ada")
    for named in ("ORD-THEIRS", "ORD-4"):
        assert stage.paypoll("recheck", named, *why, "--yes").code == 65
    # Without a terminal it shows what it would do, and does nothing.
    shown = stage.paypoll("recheck", "--reason", "not_found", "--since", "1h", *why)
    assert (shown.code, shown.stdout.count("[not_found]")) == (2, 3)
    assert [stage.status(order) for order in orders] == [REVIEW] * 4
    done = stage.paypoll("recheck", "--reason", "not_found", "--since", "1h", *why, "--yes", "--json")
    assert (done.code, [one["number"] for one in done.report["waiting"]]) == (0, ["ORD-1", "ORD-2", "ORD-3"])
    assert [stage.status(order) for order in (*orders, theirs)] == [WAITING] * 3 + [REVIEW] * 2
    (trail,) = stage.audit(orders[0], "rechecked")
    assert (trail["actor"], trail["explanation"]) == ("Ada", "the key was another account's")
    assert "put back to waiting by Ada: the key was another account's" in stage.row(orders[0])["payment_notes"]
    assert stage.history(orders[0]) == ["manual_review", WAITING]
    # It is decided anew: one has been paid, under the order's own reference; what is denied again is told again.
    stage.checkout(orders[0], "PAID", stored=False)
    stage.sql("DELETE FROM payments_sumupcheckout WHERE order_id = :order", order=orders[0].id)
    assert stage.run_once().code == 0
    check_issued(stage, orders[0], on_paper=False)
    assert [stage.status(order) for order in orders[1:3]] == [REVIEW] * 2
    assert len(stage.alerts(orders[1])) == 2


def test_expire_while_sumup_does_not_answer_is_exit_75_and_changes_nothing(stage: Stage) -> None:
    order = stage.order("ORD-OLD", checkout="PENDING")
    with stage.sumup.fault(Status(500)):
        for options in (("--dry-run",), ("--yes",)):
            assert stage.paypoll("expire", "ORD-OLD", *options).code == TRY_LATER
    check_waiting(stage, order, reason="no_answer")
    # Nor is it done where a run has the order just now, or the clocks differ so that ages mean nothing.
    lease = "UPDATE paypoll.watch SET lease_run = 'another', lease_until = now() + :minutes * interval '1 minute'"
    stage.sql(lease, minutes=3)
    assert stage.paypoll("expire", "ORD-OLD", "--yes").code == TRY_LATER
    stage.sql(lease, minutes=-1)
    with stage.sumup_time.back(timedelta(hours=1)):
        assert stage.paypoll("expire", "ORD-OLD", "--yes").code == TRY_LATER
    check_waiting(stage, order, reason="clocks_differ")
    assert stage.paypoll("expire", "ORD-OLD", "--yes").code == 0
    assert stage.status(order) == "expired"
