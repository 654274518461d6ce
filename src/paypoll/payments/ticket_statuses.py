"""The statuses of the shop's tickets, and what each means at the door.

A module without imports, as `order_statuses`: a run that finds nothing to do needs no more than this of the rules.
"""

VALID = "valid"
"""Admits its holder. Every ticket is issued so."""

USED = "used"
"""Has admitted its holder, and stays so for the door list."""

REFUNDED = "refunded"
"""What a refund makes of a valid one."""

ADMITTING = (VALID, USED)
"""These take a place in the hall. In any other, such as cancelled, a ticket admits nobody, and nobody is sent it."""
