"""The shop's words for a listing fee, and how far paypoll has come with one.

A module of its own, because a run that finds nothing to do needs no more than this of the rules.
"""

from enum import StrEnum

PAID = "paid"
"""The shop's own word for a fee that has been paid: the only one that paypoll writes."""

VOID = frozenset({"refunded", "cancelled", "waived"})
"""The shop's words for a fee that nobody is to pay any more."""

LISTED = frozenset({"published", "sold_out", "completed"})
"""The shop's words for an event that is published, or was: its fee has bought what it was paid for."""


class FeeState(StrEnum):
    """How far paypoll has come with a fee. The shop has no words for most of it, so it is in a table of our own."""

    OPEN = "open"
    FAILED = "failed"
    EXPIRED = "expired"
    REVIEW = "review"
    """A person must look. It is followed all the same: a payment that fits is taken."""
    PAID = "paid"
