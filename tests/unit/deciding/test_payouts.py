"""Payouts shared out to events, and held against what was paid."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paypoll.payments.books import PayoutRecord
from paypoll.payments.payouts import Difference, Paid, Records, Share, SoFar, lines_of, summed
from paypoll.report.facts import Line, Payment, ReturnSeen
from paypoll.report.money import MoneyBooks
from paypoll.report.period import Period

NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
RECORD = PayoutRecord(
    id="1", kind="PAYOUT", amount=Decimal("9.83"), fee=Decimal("0.17"), currency="GBP", on="2026-11-01",
    status="SUCCESSFUL", reference="p1", transaction_code="C1",
)  # fmt: skip
PAID = Paid("ORD-1", "", Decimal("10.00"), "GBP", "tx-1", NOW)
pence = st.integers(0, 10**6).map(lambda number: Decimal(number).scaleb(-2))


def items(*wanted: tuple[int, Decimal]) -> tuple[Share, ...]:
    """Return items of these events, each of an organiser of its own."""
    return tuple(Share(event, f"Event {event}", "", "", event, f"Organiser {event}", total) for event, total in wanted)


@pytest.mark.parametrize(("kind", "written", "sign"), [("PAYOUT", "9.83", 1), ("REFUND_DEDUCTION", "-9.83", -1)])
def test_record_is_shared_out_to_events_and_adds_up_to_the_penny(kind: str, written: str, sign: int) -> None:
    record = replace(RECORD, kind=kind, amount=Decimal(written))
    paid = replace(PAID, shares=items(*((event, Decimal("3.33")) for event in (1, 2, 3, 1))))
    lines = lines_of(record, "M1", paid)
    assert [line.event_id for line in lines] == [1, 2, 3]
    (total,) = summed(lines, lambda line: line.currency).values()
    assert (total.gross * sign, total.fee * sign, total.net * sign) == tuple(map(Decimal, ("10.00", "0.17", "9.83")))


@given(st.lists(st.tuples(st.integers(1, 4), pence), min_size=1, max_size=12), pence, pence, pence)
def test_no_part_is_negative_where_the_whole_is_not(
    wanted: list[tuple[int, Decimal]], gross: Decimal, fee: Decimal, amount: Decimal
) -> None:
    fee = min(fee, gross)
    record = replace(RECORD, amount=gross - fee, fee=fee)
    lines = lines_of(record, "M1", replace(PAID, amount=amount, shares=items(*wanted)))
    assert all(min(line.gross, line.fee, line.net) >= 0 for line in lines)
    assert (sum(line.net for line in lines), sum(line.fee for line in lines)) == (record.amount, fee)


@given(
    st.lists(st.tuples(st.integers(1, 4), pence), min_size=1, max_size=12),
    st.lists(pence, min_size=1, max_size=5),
    st.sampled_from([Decimal(0), Decimal("2.01")]),
)
def test_event_gets_what_the_report_says_also_in_parts_and_nothing_is_left_of_what_all_went_back(
    wanted: list[tuple[int, Decimal]], amounts: list[Decimal], tip: Decimal
) -> None:
    whole = sum(amounts, Decimal(0))
    paid = replace(PAID, amount=whole, shares=items(*wanted))
    books = MoneyBooks(Period(NOW, NOW.replace(hour=13), ZoneInfo("UTC")))
    lines = tuple(Line(event, f"Event {event}", event, f"Organiser {event}", total, 1) for event, total in wanted)
    books.take(Payment(1, NOW, NOW, whole, "GBP", by_shop=False, by_person=False, on_word=False, lines=lines))
    ((money,), so_far) = books.sums(), SoFar()
    for kind in ("PAYOUT", "REFUND_DEDUCTION"):
        found: dict[str, Decimal] = {}
        for number, amount in enumerate(amounts):
            record = replace(RECORD, kind=kind, amount=amount + tip * (number == 0), fee=Decimal(0))
            for line in lines_of(record, "M1", paid, tip=tip, before=so_far.add(record, whole + tip)):
                found[line.event] = found.get(line.event, Decimal(0)) + abs(line.gross)
        # The tip is shared out like the rest.
        assert all(0 <= found[row.event] - row.taken <= tip for row in money.rows)
        assert sum(found.values()) == whole + tip
        assert tip or found == {row.event: row.taken for row in money.rows}


def differences(*records: PayoutRecord, tip: str = "0") -> list[Difference]:
    """Return what these records of one transaction come to, held against a payment of 10.00."""
    books = Records()
    books.add(records)
    return books.differences("C1", PAID, Decimal(tip))


def test_parts_of_a_payment_fit_together_and_what_is_too_much_is_told_once() -> None:
    part = replace(RECORD, amount=Decimal("4.83"))
    assert differences(RECORD) == differences(part, replace(part, amount=Decimal("5.00"), fee=Decimal(0))) == []
    (short,) = differences(part)
    assert (short.paid, short.gross, short.records) == (Decimal("10.00"), Decimal("5.00"), 1)
    (twice,) = differences(RECORD, RECORD)
    assert (twice.gross, twice.records, twice.deducted) == (Decimal("20.00"), 2, False)
    assert differences(replace(RECORD, amount=Decimal("11.83")), tip="2.00") == []


def test_what_was_deducted_may_be_paid_out_again_and_be_deducted_once_more() -> None:
    back = replace(RECORD, kind="CHARGE_BACK_DEDUCTION", amount=Decimal("10.00"), fee=Decimal(0))
    part, rest = (replace(back, amount=Decimal(amount)) for amount in ("4.00", "6.00"))
    again = replace(RECORD, amount=Decimal("6.00"), fee=Decimal(0))
    assert differences(RECORD, back, RECORD) == differences(RECORD, part, rest, again, rest) == []
    # What is too much is told still: paid out twice, though a part was refunded; and deducted twice.
    (twice,) = differences(RECORD, part, RECORD)
    assert (twice.gross, twice.deducted) == (Decimal("20.00"), False)
    (more,) = differences(RECORD, back, back)
    assert (more.gross, more.deducted) == (Decimal("20.00"), True)


@given(
    st.lists(st.tuples(st.integers(1, 3), pence), min_size=1, max_size=6),
    st.tuples(pence, st.sampled_from([Decimal(0), Decimal("2.01")])),
    st.lists(st.integers(0, 100), min_size=1, max_size=5),
)
def test_price_goes_back_before_the_tip_as_the_report_has_it_and_what_is_here_again_undoes_it(
    wanted: list[tuple[int, Decimal]], price_and_tip: tuple[Decimal, Decimal], percents: list[int]
) -> None:
    (price, tip), so_far = price_and_tip, SoFar()
    whole, found = price + tip, dict[str, Decimal]()
    paid, tips = replace(PAID, amount=price, shares=items(*wanted)), Decimal(0)
    books = MoneyBooks(Period(NOW, NOW.replace(hour=13), ZoneInfo("UTC")))
    lines = tuple(Line(event, f"Event {event}", event, f"Organiser {event}", total, 1) for event, total in wanted)
    levels = [(whole * percent / 100).quantize(Decimal("0.01")) for percent in percents]
    moves = [whole, *(before - after for before, after in zip([Decimal(0), *levels], levels, strict=False))]
    for move in moves:
        kind = "PAYOUT" if move > 0 else "CHARGE_BACK_DEDUCTION"
        record = replace(RECORD, kind=kind, amount=abs(move), fee=Decimal(0))
        for line in lines_of(record, "M1", paid, tip=tip, before=so_far.add(record, whole)):
            found[line.event] = found.get(line.event, Decimal(0)) + line.gross - line.tip
            tips += line.tip
    back = levels[-1]
    books.take(Payment(1, NOW, NOW, price, "GBP", by_shop=False, by_person=False, on_word=False, lines=lines))
    books.give_back([ReturnSeen(1, NOW, back, price, "GBP", lines)])
    (money,) = books.sums()
    assert tips == tip - max(back - price, Decimal(0))
    assert found == {row.event: row.kept for row in money.rows}


def test_deductions_are_held_against_what_was_paid_and_a_currency_is_never_taken_for_another() -> None:
    back = replace(RECORD, kind="CHARGE_BACK_DEDUCTION", amount=Decimal("10.00"), fee=Decimal(0))
    assert differences(RECORD, back) == []
    (more,) = differences(RECORD, back, replace(back, amount=Decimal("-0.01")))
    assert (more.deducted, more.gross, more.records) == (True, Decimal("10.01"), 2)
    (other,) = differences(replace(RECORD, currency="EUR"))
    assert (other.paid_currency, other.gross, other.currency) == ("GBP", Decimal("10.00"), "EUR")


@pytest.mark.parametrize(
    ("kind", "status"),
    [("PAYOUT", "FAILED"), ("PAYOUT", ""), ("PAYOUT_ADJUSTMENT", "SUCCESSFUL"), ("", "SUCCESSFUL")],
)
def test_what_failed_or_is_of_an_unknown_kind_is_a_line_and_in_no_sum(kind: str, status: str) -> None:
    record = replace(RECORD, kind=kind, status=status)
    lines = lines_of(record, "M1", PAID)
    assert [(line.kind, line.status, line.net) for line in lines] == [(record.kind, record.status, Decimal("9.83"))]
    assert summed(lines, lambda line: line.currency) == {}
    assert differences(record, RECORD) == []
