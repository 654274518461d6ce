"""What a payment in SumUp's ledger means: every row of the table that `judge` is, and how findings end."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from paypoll.ledger.reading import needs_details, sort_lines
from paypoll.payments.books import LedgerItem
from paypoll.payments.ledger import (
    NOTHING,
    PATIENCE,
    FindingKind,
    Judgement,
    LedgerPayment,
    LedgerRules,
    OpenFinding,
    Owner,
    Role,
    finding_key,
    judge,
    settled_why,
)
from paypoll.payments.references import numbers_in
from paypoll.state.ledger import Entry

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
PAYMENT = LedgerPayment(
    transaction_id="tx", transaction_code="TSB1", merchant_code="M1", amount=Decimal("25.00"), currency="GBP",
    paid_at=NOW - timedelta(hours=2),
)  # fmt: skip
OWNER = Owner(
    order_id=1, number="ORD-1", status="completed", role=Role.FULFILLED, expected=Decimal("25.00"), currency="GBP",
    admitting=2, fulfilled=True, accounted=True,
)  # fmt: skip
OTHER = replace(OWNER, role=Role.OTHER, accounted=False)
UNPAID = replace(OTHER, fulfilled=False, admitting=0)
RULES = LedgerRules()


def paid(**changes: object) -> LedgerPayment:
    return replace(PAYMENT, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("payment", "owner", "kind", "amount"),
    [
        (PAYMENT, OWNER, None, 0),
        (paid(tip=Decimal(2), amount=Decimal(27)), OWNER, None, 0),
        (paid(returned=Decimal(5)), OWNER, FindingKind.RETURNED, 5),
        (paid(returned=Decimal(25)), OWNER, FindingKind.RETURNED, 25),
        (paid(taken=False), OWNER, FindingKind.RETURNED, 25),
        (paid(returned=Decimal(25)), replace(OWNER, status="refunded"), None, 0),
        (paid(returned=Decimal(25)), replace(OWNER, admitting=0), None, 0),
        (paid(returned=Decimal(5)), replace(OWNER, given_back=Decimal(5)), None, 0),
        (paid(returned=Decimal(5)), replace(OWNER, given_back=Decimal(4)), FindingKind.RETURNED, 5),
        (paid(returned=Decimal(25)), replace(OWNER, given_back=Decimal(25)), None, 0),
        # Refunded in full by paypoll, and its tickets admit again: a restored shop.
        (
            paid(returned=Decimal(25)),
            replace(OWNER, given_back=Decimal(25), refunds_ended=True),
            FindingKind.RETURNED,
            25,
        ),
        (PAYMENT, replace(UNPAID, role=Role.NOTED_BY_SHOP, status="cancelled"), FindingKind.NOT_FOLLOWED, 25),
        (paid(returned=Decimal(5)), replace(OWNER, noted=Decimal(5)), None, 0),
        (paid(returned=Decimal(5)), replace(OWNER, noted=Decimal("4.99")), FindingKind.RETURNED, 5),
        (paid(returned=Decimal(25)), replace(OWNER, noted=Decimal(25)), FindingKind.RETURNED, 25),
        (paid(amount=Decimal("24.99")), OWNER, FindingKind.AMOUNT_DIFFERS, Decimal("24.99")),
        (paid(currency="EUR"), OWNER, FindingKind.AMOUNT_DIFFERS, 25),
        (PAYMENT, replace(OWNER, role=Role.NOTED_BY_SHOP), None, 0),
        (PAYMENT, OTHER, FindingKind.SECOND_PAYMENT, 25),
        (PAYMENT, replace(OTHER, accounted=True), FindingKind.SECOND_PAYMENT, 25),
        (paid(returned=Decimal(25)), OTHER, None, 0),
        (PAYMENT, replace(UNPAID, status="expired"), FindingKind.NOT_FOLLOWED, 25),
        (PAYMENT, replace(UNPAID, status="cancelled", accounted=True), None, 0),
        (paid(returned=Decimal(25)), replace(UNPAID, status="cancelled"), None, 0),
        (PAYMENT, replace(UNPAID, status="failed", followed=True), None, 0),
        (PAYMENT, None, FindingKind.UNPLACED, 25),
        (paid(returned=Decimal(20)), None, FindingKind.UNPLACED, 5),
        (paid(returned=Decimal(25)), None, None, 0),
        (paid(taken=False), None, None, 0),
    ],
)
def test_payment_is_judged_as_the_table_says(
    payment: LedgerPayment, owner: Owner | None, kind: FindingKind | None, amount: Decimal
) -> None:
    judged = judge(payment, owner, RULES, NOW)
    told = (None, 0) if judged.settled else (judged.kind, judged.amount)
    assert told == (kind, amount)
    assert not judged.void


@pytest.mark.parametrize(
    ("back", "owner"),
    [
        (25, replace(OWNER, status="refunded")),
        (5, replace(OWNER, status="cancelled")),
        (25, replace(OWNER, admitting=0)),
        (5, replace(OWNER, noted=Decimal(5))),
    ],
)
def test_money_back_that_the_shop_knew_of_is_written_down_and_told_to_nobody(back: int, owner: Owner) -> None:
    judged = judge(paid(returned=Decimal(back)), owner, RULES, NOW)
    assert (judged.kind, judged.amount, bool(judged.settled)) == (FindingKind.RETURNED, Decimal(back), True)
    # Should its tickets admit again, that is another finding.
    keys = {
        finding_key(FindingKind.RETURNED, transaction_id="tx", order_id=1, amount=judged.amount, settled=settled)
        for settled in (True, False)
    }
    assert len(keys) == 2


def test_page_that_ends_between_a_payment_and_its_refund_says_nothing_about_the_payment() -> None:
    back = LedgerItem("tx", "TSB1", "REFUND", "REFUNDED", Decimal("0.01"), "GBP", Decimal(0), NOW, "ECOM", "")
    lines = sort_lines([back], "M1")
    assert lines.headless == {"tx"}
    part, whole = (Entry("tx", "TSB1", "M1", None, Decimal(25), Decimal(gone), "GBP", None) for gone in ("0.01", "25"))
    # A penny of it is not all of it, whatever this page's line is over.
    assert needs_details(lines, {"tx": part}, set()) == ["tx"]
    assert needs_details(sort_lines([replace(back, amount=Decimal(25))], "M1"), {"tx": whole}, set()) == []


def test_order_that_is_followed_is_due_at_once_and_a_second_payment_until_it_is_told() -> None:
    assert judge(PAYMENT, replace(UNPAID, followed=True), RULES, NOW) == Judgement(follow=True)
    assert judge(PAYMENT, OTHER, RULES, NOW).follow
    assert not judge(PAYMENT, replace(OTHER, accounted=True), RULES, NOW).follow


@pytest.mark.parametrize(
    ("payment", "owner", "void"),
    [
        (paid(returned=Decimal(25)), OWNER, True),
        (paid(returned=Decimal("24.99")), OWNER, False),
        (paid(returned=Decimal(25), tip=Decimal(2), amount=Decimal(27)), OWNER, True),
        (paid(returned=Decimal(25)), replace(OWNER, status="processing"), False),
        (paid(returned=Decimal(25)), replace(OWNER, role=Role.NOTED_BY_SHOP), False),
        (paid(returned=Decimal(25)), OTHER, False),
        (paid(returned=Decimal(25)), replace(OWNER, held=("TSB2",)), False),
        (paid(returned=Decimal(25)), replace(OWNER, unread=("TSB2",)), False),
    ],
)
def test_only_the_payment_that_fulfilled_the_order_makes_it_void_and_only_when_all_of_it_went_back(
    payment: LedgerPayment, owner: Owner, void: bool
) -> None:
    assert judge(payment, owner, LedgerRules(void_on_refund=True), NOW).void is void


def test_last_payment_that_paid_for_the_tickets_is_told_when_it_went_back_as_well() -> None:
    back, last = paid(returned=Decimal(25)), replace(OTHER, unpaid=True)
    assert judge(back, last, RULES, NOW).kind is FindingKind.RETURNED
    but_a_penny = judge(paid(returned=Decimal("24.99"), charged_back=Decimal("24.99")), last, RULES, NOW)
    assert (but_a_penny.kind, but_a_penny.amount) == (FindingKind.RETURNED, Decimal("24.99"))
    assert but_a_penny.facts == {"whole": "no", "charged_back": "24.99"}
    for silent in (replace(last, unpaid=False), replace(last, admitting=0), replace(last, status="refunded")):
        assert judge(back, silent, RULES, NOW) == NOTHING


@pytest.mark.parametrize(
    ("payment", "owner", "here_again"),
    [
        (PAYMENT, replace(OWNER, status="refunded"), True),
        (PAYMENT, replace(OWNER, status="cancelled", admitting=0), True),
        (paid(returned=Decimal(5)), replace(OWNER, status="refunded"), True),  # beside what is known to have gone
        (paid(returned=Decimal(25)), replace(OWNER, status="refunded"), False),
        (PAYMENT, replace(OWNER, status="requires_manual_review"), True),
        (PAYMENT, replace(OWNER, admitting=0), True),
        (PAYMENT, OWNER, False),  # it pays for the tickets again
        (PAYMENT, replace(OWNER, status="pending_verification", admitting=0), False),
        (PAYMENT, replace(OTHER, status="cancelled"), False),  # a second payment, and told as that
        (PAYMENT, replace(UNPAID, status="cancelled", accounted=True), True),
        (PAYMENT, replace(UNPAID, status="cancelled"), False),  # told as a case of its own (54)
    ],
)
def test_row_52b_money_that_is_here_again_is_told_where_its_order_has_nothing_for_it(
    payment: LedgerPayment, owner: Owner, *, here_again: bool
) -> None:
    assert judge(payment, replace(owner, came_back=True), RULES, NOW).here_again is here_again
    assert not judge(payment, owner, RULES, NOW).here_again


def test_late_order_whose_money_is_here_again_is_looked_at_or_told() -> None:
    late = replace(UNPAID, status="failed", accounted=True, came_back=True)
    assert judge(PAYMENT, replace(late, followed=True), RULES, NOW) == Judgement(follow=True)
    assert judge(PAYMENT, late, RULES, NOW).kind is FindingKind.NOT_FOLLOWED


def test_payment_that_fits_no_order_is_given_time_and_another_shops_is_left_alone() -> None:
    assert judge(paid(paid_at=NOW - PATIENCE / 2), None, RULES, NOW) == Judgement(wait=True)
    rules = LedgerRules(ignore=("M1/Pottery*", "M2/*"))
    assert judge(paid(summary="Pottery course"), None, rules, NOW) == Judgement()
    assert judge(paid(foreign_id="Pottery-7"), None, rules, NOW) == Judgement()
    assert judge(paid(summary="Concert"), None, rules, NOW).kind is FindingKind.UNPLACED
    # What it is called matters nowhere else: a known order's payment is never left out.
    assert judge(paid(summary="Pottery", returned=Decimal(5)), OWNER, rules, NOW).kind is FindingKind.RETURNED


@pytest.mark.parametrize(
    ("finding", "why"),
    [
        (OpenFinding(1, FindingKind.RETURNED, Decimal(5), returned=Decimal(5), admitting=2), ""),
        (OpenFinding(1, FindingKind.RETURNED, Decimal(5), returned=Decimal(7), admitting=2), "more went back since"),
        (OpenFinding(1, FindingKind.RETURNED, Decimal(5), order_status="refunded"), "the order is refunded"),
        (OpenFinding(1, FindingKind.RETURNED, Decimal(5), admitting=0), "none of its tickets admits any more"),
        (OpenFinding(1, FindingKind.MISSING, Decimal(5), seen_again=True), "SumUp lists the payment again"),
        (OpenFinding(1, FindingKind.MISSING, Decimal(5)), ""),
        (OpenFinding(1, FindingKind.TICKETS_UNPAID, Decimal(5), order_paid=True), "the order is paid"),
        (OpenFinding(1, FindingKind.UNPLACED, Decimal(5), payment_order="ORD-2"), "it has paid for order ORD-2"),
        (
            OpenFinding(1, FindingKind.SECOND_PAYMENT, Decimal(5), returned=Decimal(5), gone=True),
            "the money went back",
        ),
        (OpenFinding(1, FindingKind.SECOND_PAYMENT, Decimal(5), returned=Decimal(4)), ""),
        (OpenFinding(1, FindingKind.AMOUNT_DIFFERS, Decimal(5), returned=Decimal(0)), ""),
        (OpenFinding(1, FindingKind.HERE_AGAIN, Decimal(5), order_status="refunded", admitting=2), ""),
        (OpenFinding(1, FindingKind.HERE_AGAIN, Decimal(5), order_status="completed", admitting=0), ""),
        (
            OpenFinding(1, FindingKind.HERE_AGAIN, Decimal(5), order_status="completed", admitting=2),
            "the order has its tickets",
        ),
        (OpenFinding(1, FindingKind.HERE_AGAIN, Decimal(5), order_status="refunded", gone=True), "the money went back"),
    ],
)
def test_finding_ends_when_its_cause_is_gone(finding: OpenFinding, why: str) -> None:
    assert settled_why(finding) == why


def test_each_part_that_goes_back_is_a_finding_of_its_own_and_the_same_amount_is_the_same() -> None:
    def key(amount: str) -> str:
        return finding_key(FindingKind.RETURNED, transaction_id="tx", order_id=1, amount=Decimal(amount))

    assert key("5.00") == key("5.000")
    assert key("5.00") != key("7.00")
    assert finding_key(FindingKind.UNPLACED, transaction_id="tx", order_id=None, amount=Decimal(5)) == "unplaced:tx"


def test_number_is_read_out_of_every_form_of_a_reference() -> None:
    forms = ("{order_number}", "order_{order_number}", "JE-{order_number}")
    assert numbers_in("order_ORD-1", forms) == ("order_ORD-1", "ORD-1")
    assert numbers_in("JE-", forms) == ("JE-",)
