"""The report's numbers, against SQL that was written without a look at how the report gets them."""

import json
from collections import defaultdict
from decimal import Decimal
from typing import Any

import pytest
from tests.integration.report.conftest import NOW, Shop

from paypoll.report.build import build_report
from paypoll.report.result import Report


@pytest.fixture(scope="module")
def report(three_weeks: Shop) -> Report:
    return build_report(three_weeks.engine, three_weeks.period, NOW)


def test_orders_by_status_and_day_are_those_of_the_shops_table(three_weeks: Shop, report: Report) -> None:
    by_status = three_weeks.sql("SELECT status, count(*) FROM orders_order WHERE within(created_at) GROUP BY 1")
    assert report.orders.by_status == dict(map(tuple, by_status))
    by_day = three_weeks.sql(
        "SELECT day, count(o.id), count(o.id) FILTER (WHERE o.status = 'completed')"
        " FROM generate_series(timestamp '2026-11-19', timestamp '2026-11-26', '1 day') AS day LEFT JOIN orders_order o"
        " ON date_trunc('day', o.created_at AT TIME ZONE 'Europe/Jersey') = day AND within(o.created_at)"
        " GROUP BY day ORDER BY day"
    )
    assert report.orders.placed_by_column == tuple(row[1] for row in by_day)
    assert report.orders.completed_by_column == tuple(row[2] for row in by_day)


def test_money_in_is_that_of_the_fulfilments_to_the_penny(three_weeks: Shop, report: Report) -> None:
    totals = three_weeks.sql(
        "SELECT currency, sum(amount), count(*), sum((SELECT sum(quantity) FROM orders_orderitem i"
        " WHERE i.order_id = f.order_id)) FROM paypoll.fulfilment f"
        " WHERE within(fulfilled_at) GROUP BY 1"
    )
    assert {(sums.currency, sums.taken, sums.orders, sums.places) for sums in report.money} == set(map(tuple, totals))
    # The items of these orders add up to what was paid, so a row's share is the sum of its items.
    rows = three_weeks.sql(
        "SELECT f.currency, a.display_name, e.title, count(DISTINCT f.order_id), sum(i.quantity), sum(i.total)"
        " FROM paypoll.fulfilment f, orders_orderitem i, events_event e, accounts_artistprofile a"
        " WHERE i.order_id = f.order_id AND e.id = i.event_id AND a.user_id = e.organiser_id"
        " AND within(f.fulfilled_at) GROUP BY 1, 2, 3"
    )
    found = {
        (row.currency, row.organiser, row.event, row.orders, row.places, row.taken)
        for sums in report.money
        for row in sums.rows
        if row.orders
    }
    assert found == set(map(tuple, rows))


def test_money_back_is_what_the_trail_and_the_ledger_know_and_each_refund_counts_once(
    three_weeks: Shop, report: Report
) -> None:
    known: dict[Any, dict[bool, Decimal]] = defaultdict(lambda: defaultdict(Decimal))
    said = three_weeks.sql(
        "SELECT order_id, at < :since, evidence->'transactions' FROM paypoll.audit"
        " WHERE at < :until AND evidence ? 'transactions'"
    )
    for order_id, before, transactions in said:
        (one,) = (transactions if isinstance(transactions, dict) else json.loads(transactions)).values()
        known[order_id][before] = max(known[order_id][before], Decimal(one["refunded"]))
    findings = three_weeks.sql(
        "SELECT order_id, first_seen_at < :since, amount FROM paypoll.finding WHERE first_seen_at < :until"
    )
    for order_id, before, amount in findings:
        known[order_id][before] = max(known[order_id][before], amount)
    currencies = dict(map(tuple, three_weeks.sql("SELECT order_id, currency FROM paypoll.fulfilment")))
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for order_id, amounts in known.items():
        expected[currencies[order_id]] += max(Decimal(0), amounts[False] - amounts[True])
    assert {sums.currency: sums.returned for sums in report.money} == expected
    assert sum(expected.values()) > 0


def test_rows_and_columns_add_up_to_the_totals(report: Report) -> None:
    for sums in report.money:
        assert sum(row.taken for row in sums.rows) == sums.taken == sum(sums.taken_by_column)
        assert sum(row.returned for row in sums.rows) == sums.returned == sum(sums.returned_by_column)


def test_time_from_paid_to_ticket_is_that_of_percentile_disc(three_weeks: Shop, report: Report) -> None:
    (wanted,) = three_weeks.sql(
        "SELECT count(*), percentile_disc(0.5) WITHIN GROUP (ORDER BY seconds),"
        " percentile_disc(0.95) WITHIN GROUP (ORDER BY seconds), max(seconds) FROM (SELECT"
        " extract(epoch FROM fulfilled_at - paid_at)::float AS seconds FROM paypoll.fulfilment"
        " WHERE within(fulfilled_at) AND NOT by_person AND issued_by = 'paypoll') AS waits"
    )
    spread = report.waits.spread
    assert spread is not None
    assert (spread.number, spread.median, spread.most, spread.longest) == tuple(wanted)
    assert sum(number for _, number in report.waits.within) == spread.number


def test_outcomes_and_cases_are_those_of_the_trail(three_weeks: Shop, report: Report) -> None:
    outcomes = three_weeks.sql(
        "SELECT outcome, reason, count(DISTINCT order_id) FROM paypoll.audit"
        " WHERE outcome <> 'unchanged' AND within(at) GROUP BY 1, 2"
    )
    assert {(row.outcome, row.reason, row.orders) for row in report.outcomes} == set(map(tuple, outcomes))
    (opened,) = three_weeks.sql("SELECT count(*) FROM paypoll.audit WHERE outcome = 'review' AND within(at)")
    closed = three_weeks.sql(
        "SELECT extract(epoch FROM closing.at - opening.at)::float"
        " FROM paypoll.audit closing JOIN paypoll.audit opening ON opening.order_id = closing.order_id"
        " WHERE opening.outcome = 'review' AND closing.action = 'resolved' AND within(closing.at) ORDER BY 1"
    )
    (still_open,) = three_weeks.sql(
        "SELECT count(*), min(r.at) FROM orders_order o JOIN paypoll.audit r ON r.order_id = o.id"
        " AND r.outcome = 'review' WHERE o.status = 'requires_manual_review' AND NOT EXISTS"
        " (SELECT FROM paypoll.audit d WHERE d.order_id = o.id AND d.action = 'resolved')"
    )
    cases = report.cases
    assert (cases.opened, cases.closed) == (opened[0], len(closed))
    assert cases.took is not None
    assert cases.took.longest == closed[-1][0]
    assert cases.open_now >= still_open[0] > 0
    assert sum(cases.opened_by_reason.values()) == cases.opened


def test_findings_are_counted_by_kind(three_weeks: Shop, report: Report) -> None:
    (wanted,) = three_weeks.sql(
        "SELECT count(*) FILTER (WHERE within(first_seen_at)), count(*) FROM paypoll.finding WHERE closed_at IS NULL"
    )
    (row,) = report.findings
    assert (row.kind, row.opened, row.open_now) == ("returned", *wanted)


def test_bad_hours_of_sumup_and_of_the_mail_server_are_those_of_trail_and_runs(
    three_weeks: Shop, report: Report
) -> None:
    sumup = three_weeks.sql(
        "SELECT date_trunc('hour', at),"
        " count(*) FILTER (WHERE reason IN ('no_answer', 'broken_answer', 'not_allowed')), count(*)"
        " FROM paypoll.audit WHERE action = 'verified' AND within(at) GROUP BY 1 ORDER BY 1"
    )
    assert [(hour.at, hour.failed, hour.of) for hour in report.sumup.bad_hours] == [
        tuple(row) for row in sumup if row[1]
    ]
    mail = three_weeks.sql(
        "SELECT date_trunc('hour', started_at), sum((counts->>'mails_put_off')::int) FROM paypoll.run"
        " WHERE within(started_at) AND (counts->>'mails_put_off')::int > 0 GROUP BY 1 ORDER BY 1"
    )
    assert [(hour.at, hour.failed) for hour in report.mail.bad_hours] == [tuple(row) for row in mail]
    (runs,) = three_weeks.sql(
        "SELECT count(*), count(*) FILTER (WHERE ended = 'failed'), count(*) FILTER (WHERE ended IS NULL)"
        " FROM paypoll.run WHERE within(started_at)"
    )
    assert (report.runs.number, report.runs.failed, report.runs.killed) == tuple(runs)
