"""An amount shared out exactly, for the report and for payouts alike. Pure."""

from collections.abc import Sequence
from decimal import Decimal

from paypoll.payments.money import exponent


def shares(amount: Decimal, weights: Sequence[Decimal], currency: str) -> list[Decimal]:
    """Return the amount shared out by these weights, in whole minor units, to the last penny of it.

    What is left by rounding down goes to those that lost most by it, the first ones first. A weight below zero, or that
    is no number, counts as none; without any weight all goes to the first. An amount with more digits than its currency
    is shared out in its own digits. There must be a weight at least.
    """
    digits = max(exponent(currency), _digits(amount))
    units = _whole(amount, digits)
    finite = [weight if weight.is_finite() else Decimal(0) for weight in weights]
    scale = max(map(_digits, finite))
    counted = [max(0, _whole(weight, scale)) for weight in finite]
    total = sum(counted)
    if not total:
        counted, total = [1] + [0] * (len(weights) - 1), 1
    sign, size = (-1, -units) if units < 0 else (1, units)
    parts = [size * weight // total for weight in counted]
    lost = sorted(range(len(parts)), key=lambda place: (-(size * counted[place] % total), place))
    for place in lost[: size - sum(parts)]:
        parts[place] += 1
    return [Decimal(sign * part).scaleb(-digits) for part in parts]


def _digits(amount: Decimal) -> int:
    return max(0, -int(amount.as_tuple().exponent))


def _whole(amount: Decimal, digits: int) -> int:
    # As a ratio: Decimal's own arithmetic rounds to 28 digits.
    numerator, denominator = amount.as_integer_ratio()
    whole: int = numerator * 10**digits // denominator
    return whole
