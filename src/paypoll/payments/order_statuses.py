"""The shop's order statuses, and what paypoll makes of them.

A module of its own, because a run that finds nothing to do needs no more than this of the rules.
"""

from enum import StrEnum


class OrderStatus(StrEnum):
    """The shop's order statuses that paypoll reads or writes; the shop knows more."""

    PENDING = "pending"
    PENDING_VERIFICATION = "pending_verification"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    REVIEW = "requires_manual_review"
    CANCELLED = "cancelled"
    REFUNDED = "refunded"


WAITING = frozenset({OrderStatus.PENDING_VERIFICATION})
"""Asked about in every run."""

BASKET = frozenset({OrderStatus.PENDING})
"""The customer never came back to the shop."""

LATE = frozenset({OrderStatus.FAILED, OrderStatus.EXPIRED})
"""Money may still arrive."""

VOID = frozenset({OrderStatus.CANCELLED, OrderStatus.REFUNDED})
"""Never tickets; told if money was taken."""

SET_BY_SHOP = frozenset({"confirmed", "processing", "shipped", "delivered"})
"""What pages of the shop make of an order that they hold to be paid: paypoll never sets nor changes these."""

SET_ASIDE: frozenset[str] = frozenset({"processing", OrderStatus.REVIEW})
"""Moved on by the shop, or to a person: nothing is issued, and the money is followed all the same."""

MADE_VOID = WAITING | frozenset({OrderStatus.COMPLETED, OrderStatus.REVIEW})
"""Where an order that has its tickets can be made void: nothing but paypoll, or the browser, has moved it on since."""

WATCHED = WAITING | BASKET | LATE | VOID
