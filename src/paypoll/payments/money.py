"""Amounts of money: Decimals in major units, compared in the currency's minor units."""

from decimal import Decimal

# ISO 4217, list one: the currencies whose minor unit is not a hundredth.
_EXPONENTS = {
    **dict.fromkeys(
        (
            "BIF",
            "CLP",
            "DJF",
            "GNF",
            "ISK",
            "JPY",
            "KMF",
            "KRW",
            "PYG",
            "RWF",
            "UGX",
            "VND",
            "VUV",
            "XAF",
            "XOF",
            "XPF",
        ),
        0,
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}

_MOST_DIGITS = 30


def exponent(currency: str) -> int:
    """Return how many digits the currency has after the point (0, 2 or 3, by ISO 4217)."""
    return _EXPONENTS.get(currency.upper(), 2)


def minor_units(amount: Decimal, currency: str) -> int | None:
    """Return the amount as a whole number of the currency's minor units.

    Return None where there is no such number: the amount is not finite, or has more digits than the currency.
    Trailing zeros are no digits: 10.100 GBP is 1010 pence.
    """
    if _is_beyond(amount):
        return None
    # As a ratio, because Decimal's own arithmetic rounds to 28 digits: 10.00…001 must not become 10.
    numerator, denominator = amount.as_integer_ratio()
    whole, rest = divmod(numerator * 10 ** exponent(currency), denominator)
    return whole if rest == 0 else None


def same_amount(one: Decimal, other: Decimal, currency: str) -> bool:
    """Say whether both amounts are the same whole number of minor units."""
    units = minor_units(one, currency)
    return units is not None and units == minor_units(other, currency)


def _is_beyond(amount: Decimal) -> bool:
    """Say whether it is no amount of money; 1E+999999 would fill the memory."""
    return not amount.is_finite() or amount.adjusted() > _MOST_DIGITS or amount.as_tuple().exponent < -_MOST_DIGITS  # type: ignore[operator]


def digits(amount: Decimal, currency: str) -> str:
    """Return the amount in as many digits as the currency has, such as `12.50`; odd amounts as they are."""
    if minor_units(amount, currency) is not None:
        return f"{amount:.{exponent(currency)}f}"
    return str(amount) if _is_beyond(amount) else f"{amount:f}"  # which would write a million zeros out


def show_amount(amount: Decimal, currency: str) -> str:
    """Return the amount as people read it, such as `12.50 GBP`; odd amounts are shown as they are."""
    return f"{digits(amount, currency)} {currency}".strip()
