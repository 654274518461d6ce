"""How amounts are said: whatever stands in a row, or in SumUp's answer."""

from decimal import Decimal

import pytest

from paypoll.cli.render.words import said_amount
from paypoll.payments.money import show_amount


@pytest.mark.parametrize(
    ("amount", "currency", "shown"),
    [
        ("35.0", "GBP", "35.00 GBP"),
        ("25.000", "GBP", "25.00 GBP"),
        ("1200", "JPY", "1200 JPY"),
        ("1.25", "KWD", "1.250 KWD"),
        ("12.345", "GBP", "12.345 GBP"),
        ("NaN", "GBP", "NaN GBP"),
        ("1E+999999", "GBP", "1E+999999 GBP"),  # a million digits written out
        ("1E-999999", "GBP", "1E-999999 GBP"),
        ("7.5", "", "7.50"),
    ],
)
def test_amount_is_shown_as_people_write_it_and_an_odd_one_as_it_is(amount: str, currency: str, shown: str) -> None:
    assert show_amount(Decimal(amount), currency) == shown
    assert said_amount(amount, currency) == shown


def test_what_is_no_amount_is_said_as_it_is() -> None:
    assert said_amount("many", "GBP") == "many GBP"
