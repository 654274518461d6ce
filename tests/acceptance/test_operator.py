"""An operator's day, under the least privileges: many reviews at once, a search, a pause, mail that waits, a digest."""

from datetime import timedelta

from tests.acceptance.fees import place_fee
from tests.acceptance.papers import body, subject
from tests.acceptance.stage import ADMIN, Stage
from tests.acceptance.test_last_looks import delete

from paypoll.state.grants import READERS, grants_sql


def test_operator_decides_on_many_pauses_searches_and_sends_what_waits(stage: Stage) -> None:
    reviews = [stage.order(f"ORD-BACK-{number}", checkout="PAID") for number in (1, 2)]
    fee = place_fee(stage, "LF-BACK", "PAID")
    lost = stage.order("ORD-LOST", age=timedelta(minutes=1))
    for checkout in (*(order.checkout for order in reviews), fee.checkout):
        stage.sumup.refund(checkout)
    assert stage.run_once(alerts__digest="00:00").code == 0
    assert [mail for mail in stage.sink.messages if "The last day" in subject(mail)] == []
    # The mail tells of the order as it is left, and what SumUp's dashboard calls its payment finds it.
    assert "Status: requires_manual_review" in body(stage.alerts(reviews[0])[0])
    (verified,) = stage.audit(reviews[0])
    code = verified["evidence"]["checkouts"][reviews[0].checkout]["sumup_said"]["transaction_code"]
    assert stage.paypoll("inspect", code, "--json").report["order"]["number"] == reviews[0].number
    slip = stage.paypoll("resolve", "--of", "refundet", "--refund-noted", "--reason", "seen", "--yes")
    assert (slip.code, "there is no reason 'refundet'" in slip.stderr) == (2, True)

    done = stage.paypoll("resolve", "--of", "refunded", "--refund-noted", "--reason", "seen", "--yes", "--json")
    assert (done.code, [one["number"] for one in done.report["settled"]]) == (0, [order.number for order in reviews])
    assert [row["outcome"] for order in reviews for row in stage.audit(order, "resolved")] == ["refund_noted"] * 2
    left = stage.paypoll("queue", "--reviews", "--json").report
    assert (left["reviews"], [one["reference"] for one in left["fees"]]) == ([], ["LF-BACK"])

    paid = stage.order("ORD-PAID", checkout="PAID")
    everything_is_paused(stage, "a restore", "margot")
    delete(stage, lost)  # the shop is being restored
    stage.sql("UPDATE paypoll.watch SET next_check_at = now() WHERE order_id = :id", id=lost.id)
    paused = stage.run_once(alerts__digest="00:00")
    assert stage.sumup.checkout(lost.checkout).status == "PENDING"
    assert (paused.code, stage.status(paid)) == (0, "pending_verification")
    assert [(one["scope"], one["by_whom"]) for one in paused.report["paused"]] == [("all", "margot")]
    (digest,) = [mail for mail in stage.sink.messages if "The last day: 2 sent to a person" in subject(mail)]
    assert digest.recipients == (ADMIN,)
    assert "Listing fees that wait for a person: LF-BACK." in body(digest)
    assert stage.paypoll("resume", "--all").stdout == "Nothing is paused.\n"

    stage.run_once(mail__port="9")
    assert stage.sumup.checkout(lost.checkout).status == "EXPIRED"  # it has not come back
    assert stage.status(paid) == "completed"
    listed = stage.paypoll("mail", "list", "--json").report["mails"]
    assert [(mail["kind"], mail["state"]) for mail in listed] == [("confirmation", "waiting")]
    assert stage.paypoll("mail", "retry", str(listed[0]["id"])).code == 0
    assert len(stage.mails(paid)) == 1
    found = stage.paypoll("inspect", paid.email.upper(), "--json")
    assert (found.code, found.report["order"]["number"]) == (0, paid.number)

    # A colleague may look at all of it, without a secret, and change nothing: the database would not let her either.
    let_look(stage, "ada")
    ada = {
        "database__url": stage.owner_url.replace("postgres@", "ada@"),
        "database__read_only": "true",
        "sumup__api_key_credential": "gone",
    }
    looks = (("queue",), ("inspect", paid.number), ("report", "--json"), ("check",))
    for words in looks:
        looked = stage.paypoll(*words, **ada)
        assert (looked.code, looked.errors) == (0, []), (words, looked.stdout)
    assert "the role may look at all of it" in looked.stdout
    for change in (("pause", "--all", "--reason", "x"), ("inspect", paid.number, "--live")):
        refused = stage.paypoll(*change, **ada)
        assert (refused.code, len(refused.errors)) == (77, 1), refused.stderr
        assert "looking only" in refused.stderr or "you may look and not change anything" in refused.stderr
    with_key = {name: value for name, value in ada.items() if name == "database__url"}
    denied = stage.paypoll("pause", "--all", "--reason", "x", **with_key)
    assert (denied.code, "permission denied" in denied.stderr, stage.sql("SELECT 1 FROM paypoll.pause")) == (
        78,
        True,
        [],
    )


def everything_is_paused(stage: Stage, why: str, by: str) -> None:
    """Pause everything, which `paypoll pause` alone then lists; half a command pauses nothing."""
    assert stage.paypoll("pause", "--all", "--reason", why, "--by", by).code == 0
    assert stage.paypoll("pause").stdout == f"Paused:\n  all orders, by {by}: {why}\n"
    assert [stage.paypoll("pause", *words).code for words in (("--all",), ("--reason", "x"))] == [2, 2]


def let_look(stage: Stage, name: str) -> None:
    """Give somebody the rights that `paypoll db grants --read-only` prints."""
    with stage.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.exec_driver_sql(grants_sql(READERS, read_only=True).replace("%", "%%"))
        connection.exec_driver_sql(f"DROP ROLE IF EXISTS {name}; CREATE ROLE {name} LOGIN IN ROLE {READERS}")
