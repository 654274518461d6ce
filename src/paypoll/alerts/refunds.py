"""What admins are told of a refund that does not come to its end by itself."""

from paypoll.alerts.orders import Level, OrderAlert
from paypoll.payments.money import show_amount
from paypoll.payments.refunding import Next, RefundIntent, RefundState

_LOOK = "Look at the payment in SumUp's dashboard, and at its refunds."
_AGAIN = "If the money is to go back all the same, say `paypoll refund` again."


def not_made(intent: RefundIntent, after: RefundState, why: str) -> OrderAlert:
    """Tell that a refund ended without the money having gone back, as far as SumUp says."""
    todo = (_LOOK, _AGAIN) if after is not RefundState.WITHDRAWN else (_AGAIN,)
    return OrderAlert(
        key=f"refund_not_made:{intent.id}",
        level=Level.CRITICAL,
        headline=f"Order {intent.order_number}: a refund was not made, {after.value}",
        found=(_asked_for(intent), f"Why: {why}."),
        todo=todo,
    )


def not_shown(intent: RefundIntent, why: str) -> OrderAlert:
    """Tell that a refund whose request may have been sent does not show at SumUp."""
    return OrderAlert(
        key=f"refund_not_shown:{intent.id}",
        level=Level.CRITICAL,
        headline=f"Order {intent.order_number}: a refund does not show at SumUp",
        found=(_asked_for(intent), f"What was found: {why}."),
        todo=(
            _LOOK,
            "Do not give it back there before a day is over: paypoll goes on looking, and tells how it ends.",
        ),
    )


def surplus_went_back(intent: RefundIntent, found: Next) -> OrderAlert:
    """Tell that more went back than was asked for: somebody else has refunded as well."""
    more = show_amount(found.surplus, intent.currency)
    return OrderAlert(
        key=f"refund_surplus:{intent.id}",
        level=Level.CRITICAL,
        headline=f"Order {intent.order_number}: more was refunded than paypoll asked for",
        found=(_asked_for(intent), f"Beyond that, {more} went back."),
        todo=("Find out who refunded as well. Nothing of it is in the shop's rows.",),
    )


def order_gone(intent: RefundIntent) -> OrderAlert:
    """Tell that the order of a refund was deleted in the shop before it came to its end."""
    return OrderAlert(
        key=f"refund_order_gone:{intent.id}",
        level=Level.CRITICAL,
        headline=f"Order {intent.order_number} is gone from the shop, and was refunded",
        found=(_asked_for(intent), "SumUp shows it; there was nothing to write it into."),
        todo=("Tell the customer, if somebody has to. See that none of its tickets admits anybody.",),
    )


def _asked_for(intent: RefundIntent) -> str:
    amount = show_amount(intent.amount, intent.currency)
    return (
        f"{intent.who} asked on {intent.created_at:%d %B %Y, %H:%M} UTC for {amount} of checkout {intent.checkout_id} "
        f"to be given back: {intent.reason}."
    )
