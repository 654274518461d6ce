"""What organisers are told of new orders: one mail an organiser and run, and nothing unless the settings say so."""

import re
from collections import Counter

from tests.acceptance.fees import place_fee
from tests.acceptance.papers import body, subject
from tests.acceptance.stage import ADMIN, PATIENCE, PRICE, Stage

from paypoll.sandbox.mail.sink import Mail
from paypoll.sandbox.mail.smtp_session import Stage as MailStage
from paypoll.sandbox.sumup.effects import Latency

CHOIR, BAND = "choir@organiser.example", "band@organiser.example"
CORRECTED = "choir@corrected.example"


def mails_to(stage: Stage, address: str) -> list[Mail]:
    return [mail for mail in stage.sink.messages if mail.recipients == (address,)]


def test_organisers_are_told_of_a_runs_orders_in_one_mail_each_if_the_settings_say_so(stage: Stage) -> None:
    gig = stage.event("Gig", organiser_id=stage.shop.add_organiser(BAND, "The Band"))
    stage.order("ORD-SILENT", checkout="PAID")
    stage.run_once()
    assert mails_to(stage, CHOIR) == []
    stage.order("ORD-1", checkout="PAID", delivery_last_name="<b>Le Sueur</b>")
    stage.order("ORD-2", checkout="PAID", places=[(stage.concert, 1, PRICE), (gig, 2, PRICE)])
    stage.order("ORD-3", checkout="PENDING")
    ended = stage.run_once(mail__tell_organisers="true")
    assert ended.code == 0, ended.stderr
    (to_choir,), (to_band,) = mails_to(stage, CHOIR), mails_to(stage, BAND)
    assert subject(to_choir) == "2 new orders for your events"
    assert "3 places, 37.50 GBP" in body(to_choir)
    assert "2 places, 25.00 GBP, order ORD-1, Ada <b>Le Sueur</b>" in body(to_choir)
    assert subject(to_band) == "1 new order for your events"
    assert "2 places, 25.00 GBP, order ORD-2" in body(to_band)
    check_corrected(stage)


def check_corrected(stage: Stage) -> None:
    """See that what waits for an organiser goes to the address that the account has when it leaves."""
    stage.order("ORD-4", checkout="PAID")
    place_fee(stage, "LF-4", "PAID")
    stage.sink.fault(MailStage.RCPT, "450 4.1.2 Domain not found", recipient=CHOIR)
    assert stage.run_once(mail__tell_organisers="true").code == 0
    rename = "UPDATE accounts_artistprofile SET display_name = :name, business_name = :name WHERE user_id = :id"
    # An account that was deleted, and its id given to somebody else, is not who it was written to.
    stage.sql(rename, name="Mallory", id=stage.organiser)
    stage.sql("UPDATE accounts_user SET email = :email WHERE id = :id", email=CORRECTED, id=stage.organiser)
    stage.sql("UPDATE paypoll.outbox SET created_at = created_at - interval '2 hours' WHERE state = 'waiting'")
    stage.let_time_pass()
    stage.run_once()
    assert mails_to(stage, CORRECTED) == []
    waits = "[Jersey Events Alert] A mail to an organiser has not been accepted yet"
    assert [subject(mail) for mail in mails_to(stage, ADMIN)].count(waits) == 2
    stage.sql(rename, name="The Choir", id=stage.organiser)
    stage.let_time_pass()
    stage.run_once()
    assert {subject(mail) for mail in mails_to(stage, CORRECTED)} == {
        "1 new order for your events",
        "Your event is published - Event of LF-4",
    }
    assert {str(mail.message["To"]) for mail in mails_to(stage, CORRECTED)} == {CORRECTED}
    audited = stage.sql("SELECT explanation FROM paypoll.audit WHERE action = 'readdressed'")
    assert {row["explanation"] for row in audited} == {
        f"{kind}: to {CORRECTED}, which the account has now, in place of {CHOIR}"
        for kind in ("organiser_orders", "event_listed")
    }


def test_order_of_a_killed_run_is_told_once(stage: Stage) -> None:
    numbers = [f"ORD-{number}" for number in range(1, 7)]
    for number in numbers:
        stage.order(number, checkout="PAID")
    stage.sumup.fault(Latency(0.4), path="/v2.1/*")
    settings = {"mail__tell_organisers": "true", "sumup__parallel_requests": "1"}
    process = stage.start("run-once", "--json", **settings)
    stage.sumup.journal.wait_until(lambda journal: journal.count(path="/v2.1/*") > 3, PATIENCE)
    process.kill()
    process.communicate()
    assert mails_to(stage, CHOIR) == []
    assert stage.sql("SELECT 1 FROM paypoll.outbox WHERE kind = 'organiser_orders'")
    for _ in range(2):
        stage.let_time_pass()
        stage.run_once(**settings)
    told = Counter(number for mail in mails_to(stage, CHOIR) for number in re.findall(r"order (ORD-\d)", body(mail)))
    assert told == Counter(numbers)
