"""Orders that a page of the shop completed by itself, in words: what is wrong, and what a person can do."""

from typing import TYPE_CHECKING

from paypoll.state.astray import Kind

if TYPE_CHECKING:
    from paypoll.state.astray import AstrayOrder


def astray_sentences(order: "AstrayOrder") -> list[str]:
    """Return what is wrong with the order, and the next step, a sentence each."""
    paid = "is marked as paid" if order.is_paid else "is not marked as paid"
    said = {
        Kind.MISSING: f"A page of the shop set it to {order.status}; it {paid} and has {order.tickets} tickets for "
        f"{order.places} places.",
        Kind.UNREADABLE: f"No scanner reads {order.unreadable} of its valid tickets: they were issued without a code.",
        Kind.UNPAID: "It has valid tickets and is not marked as paid: cancel them, or collect the money.",
    }
    sentences = [said[kind] for kind in order.kinds]
    if order.kinds != (Kind.UNPAID,):
        sentences.append(
            f"`paypoll resolve {order.order_number} --issue --reason …` asks SumUp and makes what is missing."
        )
    sentences.append(f"`paypoll resolve {order.order_number} --reject --reason …` takes it off the list.")
    return sentences
