"""An amount shared out exactly, for the report and for payouts alike. Pure."""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

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


def shares_back(returned: Decimal, parts: Sequence[Decimal], currency: str) -> list[Decimal]:
    """Return how much of each part has gone back, where so much of their sum did in all.

    Whatever it went back in: of no part less than when less had gone back, and of each all of it in the end. So it is
    penny after penny, each from the part that is furthest behind (the method of Webster): `shares` may take a penny
    away again. What went back must be no more than there is.
    """
    digits = max(exponent(currency), _digits(returned), *map(_digits, parts))
    size, whole = _whole(returned, digits), [_whole(part, digits) for part in parts]
    total = max(1, sum(whole))
    taken = [(2 * size * part + total) // (2 * total) for part in whole]
    # Rounding takes a few too many of them, or too few: half of the parts at most.
    while (missing := size - sum(taken)) > 0:
        taken[min((Fraction(2 * taken[at] + 1, part), at) for at, part in enumerate(whole) if part)[1]] += 1
    while missing < 0:
        taken[max((Fraction(2 * taken[at] - 1, part), at) for at, part in enumerate(whole) if taken[at])[1]] -= 1
        missing += 1
    return [Decimal(units).scaleb(-digits) for units in taken]


def _digits(amount: Decimal) -> int:
    """Return how many digits stand after the point. Trailing zeros are none: our own tables keep 10.00 as 10.000."""
    return len(f"{amount:f}".partition(".")[2].rstrip("0"))


def _whole(amount: Decimal, digits: int) -> int:
    # As a ratio: Decimal's own arithmetic rounds to 28 digits.
    numerator, denominator = amount.as_integer_ratio()
    whole: int = numerator * 10**digits // denominator
    return whole
