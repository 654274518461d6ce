"""What leaves: subjects, addresses, times that no clock shows, calendar entries, currencies in any case."""

import json
import re
from datetime import date, datetime, time, timedelta

from icalendar import Calendar
from tests.acceptance.papers import attachments, body, calendar_of, subject, text_of
from tests.acceptance.promises import check_completed
from tests.acceptance.stage import ADMIN, PRICE, Placed, Stage

TITLE = "Café-Concert im Straßenbahndepot – große Gala mit Überraschungsgästen 東京 & Freunden"


def test_subject_of_a_long_title_in_several_scripts_leaves_by_rfc_2047(stage: Stage) -> None:
    event = stage.event(TITLE)
    order = stage.order("ORD-TITLE", checkout="PAID", places=[(event, 1, PRICE)])
    assert stage.run_once().code == 0
    (mail,) = stage.mails(order)
    assert str(mail.message["Subject"]) == f"Your tickets for {TITLE} - order ORD-TITLE"
    header = re.search(rb"^Subject: [^\r]+(?:\r\n [^\r]+)*", mail.raw, re.MULTILINE)
    assert header
    for line in header[0].decode("ascii").split("\r\n"):
        assert len(line) <= 76
        assert re.fullmatch(r"(Subject:)? =\?utf-8\?[QB]\?[!->@-~]+\?=", line)


def test_mail_goes_to_a_domain_by_idna_2008_from_a_machine_named_in_the_settings(stage: Stage) -> None:
    order = stage.order("ORD-IDN", checkout="PAID", email="ada@straße.example")
    assert stage.run_once(mail__ehlo_name="tickets.example.org").code == 0
    (mail,) = stage.sink.messages
    assert mail.recipients == ("ada@xn--strae-oqa.example",)
    assert mail.introduced_as == "tickets.example.org"
    assert stage.status(order) == "completed"
    refused = stage.run_once(mail__ehlo_name="tickets example")
    assert refused.code == 78
    assert "mail.ehlo_name" in refused.stderr


def test_time_that_summer_time_skips_reads_the_same_on_ticket_mail_and_calendar(stage: Stage) -> None:
    # In Jersey, 28 March 2027 goes from 00:59 to 02:00.
    event = stage.event("Night Walk", slug="night-walk")
    stage.shop.update("events_event", event, event_date=date(2027, 3, 28), event_time=time(1, 30))
    order = stage.order("ORD-NIGHT", checkout="PAID", places=[(event, 1, PRICE)])
    assert stage.run_once(site__event_address="{base_url}/events/{event_slug}/{event_id}/").code == 0
    (mail,) = stage.mails(order)
    (pdf,) = attachments(mail).values()
    assert "Sunday, 28 March 2027, 02:30" in body(mail)
    assert "02:30" in text_of(pdf)
    assert "01:30" not in body(mail) + text_of(pdf)
    (entry,) = Calendar.from_ical(calendar_of(mail)).walk("VEVENT")
    start, end = entry.decoded("dtstart"), entry.decoded("dtend")
    assert start.replace(tzinfo=None) == datetime(2027, 3, 28, 2, 30)  # noqa: DTZ001 - as the calendar has it
    assert end - start == timedelta(hours=2)
    assert str(entry["url"]).endswith(f"/events/night-walk/{event}/")


def test_currency_in_lower_case_is_the_same_currency(stage: Stage) -> None:
    orders = {}
    cases = (("gbp", "GBP"), ("GBP", "gbp"), ("gbp", "gbp"), ("eur", "gbp"))
    for number, (said, stored) in enumerate(cases):
        order = stage.order(f"ORD-{number}", checkout="")
        stage.checkout(order, "PAID", currency=said)
        update = "UPDATE payments_sumupcheckout SET currency = :stored WHERE order_id = :id"
        stage.sql(update, stored=stored, id=order.id)
        orders[said, stored] = order
    other = orders.pop(("eur", "gbp"))
    assert stage.run_once().code == 0
    for order in orders.values():
        check_completed(stage, order)
    assert stage.status(other) == "requires_manual_review"


def test_row_36b_ticket_in_a_script_without_a_font_is_told_with_the_package_that_has_one(stage: Stage) -> None:
    # Letters that no font of these machines has: Thai where no Thai font is, and a script that hardly any font knows.
    event = stage.event("คอนเสิร์ต 𐎠𐎡𐎢")

    def paid(number: str, of: int = event) -> Placed:
        return stage.order(number, checkout="PAID", places=[(of, 1, PRICE)])

    def alerts() -> list[str]:
        return [subject(mail) for mail in stage.sink.messages if mail.recipients == (ADMIN,)]

    order, after_it = paid("ORD-BOXES"), paid("ORD-PLAIN", stage.concert)
    run = stage.run_once()
    assert run.code == 0
    assert stage.mails(order)
    assert stage.mails(after_it)
    (told,) = (line for line in run.log if line["event"] == "ticket_shows_boxes")
    assert told["level"] == "warning"
    assert told["order"] == "ORD-BOXES"
    scripts = told["scripts"].split(", ")
    assert "Old Persian" in scripts
    first = [f"[Jersey Events Alert] Tickets show boxes: no font here has letters of {script}" for script in scripts]
    assert sorted(alerts()) == first
    (mail,) = (mail for mail in stage.sink.messages if subject(mail) == first[0])
    assert "`apt-get install fonts-noto-core`" in body(mail)
    assert "fonts-noto-core" in told["next_step"]
    findings = {one["topic"]: one for one in json.loads(stage.paypoll("check", "--json").stdout)["findings"]}
    finding = findings["events' scripts"]
    assert finding["mark"] == "WARNING"
    assert told["scripts"] in finding["text"]
    assert finding["next_step"] == told["next_step"]
    stage.shop.update("events_event", event, status="cancelled")
    again = json.loads(stage.paypoll("check", "--json").stdout)["findings"]
    assert {one["mark"] for one in again if one["topic"] == "events' scripts"} == {"OK"}

    # Once a script, again after a day; and it is over when one of these very letters can be read.
    stage.shop.update("events_event", event, status="published")
    stage.sql("UPDATE paypoll.trouble SET told_at = told_at - interval '25 hours' WHERE key LIKE '%Old Persian'")
    paid("ORD-AGAIN")
    assert stage.run_once().code == 0
    assert sorted(alerts()) == sorted([*first, first[scripts.index("Old Persian")]])
    stage.sql("UPDATE paypoll.trouble SET detail = detail || ' U+0057'")  # the W of Winter Concert
    paid("ORD-READ", stage.concert)
    assert stage.run_once().code == 0
    assert stage.sql("SELECT key FROM paypoll.trouble") == []
