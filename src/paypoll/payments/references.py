"""The forms in which the shop makes references at SumUp, read backwards. `Policy.references_of` makes them."""

from collections.abc import Sequence


def numbers_in(reference: str, patterns: Sequence[str], placeholder: str = "{order_number}") -> tuple[str, ...]:
    """Return what a reference may stand for, order numbers mostly, by the forms in which the shop makes references."""
    found = []
    for pattern in patterns:
        before, _, after = pattern.partition(placeholder)
        if reference.startswith(before) and reference.endswith(after) and len(reference) > len(before) + len(after):
            found.append(reference[len(before) : len(reference) - len(after)])
    return tuple(dict.fromkeys(found))
