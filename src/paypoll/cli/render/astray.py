"""Orders that a page of the shop completed by itself, in words: what is wrong, and what a person can do."""

from typing import TYPE_CHECKING

from paypoll.alerts.next_steps import Step, order_word, steps_of_astray
from paypoll.state.astray import Kind

if TYPE_CHECKING:
    from paypoll.state.astray import AstrayOrder


def astray_sentences(order: "AstrayOrder") -> list[str]:
    """Return what is wrong with the order, a sentence each."""
    paid = "is marked as paid" if order.is_paid else "is not marked as paid"
    said = {
        Kind.MISSING: f"A page of the shop set it to {order.status}; it {paid} and has {order.tickets} tickets for "
        f"{order.places} places.",
        Kind.UNREADABLE: f"No scanner reads {order.unreadable} of its valid tickets: they were issued without a code.",
        Kind.UNPAID: "It has valid tickets and is not marked as paid: cancel them, or collect the money.",
    }
    return [said[kind] for kind in order.kinds]


def astray_steps(order: "AstrayOrder") -> list[Step]:
    """Return what a person can do about it."""
    word = order_word(order.order_id, order.order_number)
    return steps_of_astray(word, paid=order.kinds != (Kind.UNPAID,))
