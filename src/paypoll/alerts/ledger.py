"""The words of what admins are told about SumUp's ledger: each finding once, many at a time as one summary."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

import sqlalchemy as sa

from paypoll.alerts.desk import MANY, AlertDesk
from paypoll.alerts.next_steps import Step, fee_word, order_word, steps_of_finding, steps_of_told
from paypoll.alerts.orders import Level
from paypoll.mail.content.contexts import AlertOrder
from paypoll.payments.ledger import FindingKind
from paypoll.payments.money import show_amount
from paypoll.payments.order_statuses import OrderStatus
from paypoll.payments.told import OF_WHAT_IS_GONE, told_kind
from paypoll.state.findings import VOID_WAITS, Finding

_MOST_LISTED = 200
_UNREAD_FOR = timedelta(days=1)

_HEADLINES: dict[FindingKind, str] = {
    FindingKind.RETURNED: "Order {number}: {amount} went back, and its tickets still admit",
    FindingKind.SECOND_PAYMENT: "Order {number} was paid a second time: {amount}",
    FindingKind.NOT_FOLLOWED: "Order {number} is {status}, and SumUp's ledger holds a payment of {amount}",
    FindingKind.UNPLACED: "A payment of {amount} that nobody can place",
    FindingKind.MISSING: "Order {number}: SumUp does not know the payment of {amount} that completed it",
    FindingKind.AMOUNT_DIFFERS: "Order {number}: SumUp's ledger has {amount} for its payment",
    FindingKind.TICKETS_UNPAID: "Order {number} has tickets, and nobody paid",
    FindingKind.HERE_AGAIN: "Order {number} is {status}, and {amount} that had gone back is here again",
    FindingKind.FEE_RETURNED: "Listing fee {number}: {amount} went back, and its event is still published",
}
_VOID_HEADLINE = "Order {number}: {amount} went back{whole}, and its tickets are void"
_USED_HEADLINE = "Order {number}: {amount} went back, and its tickets were used"
_VOID_TODO = "Nothing: the scanner refuses them. Tell the customer, if the refund was not the customer's wish."
_TODO: dict[FindingKind, str] = {
    FindingKind.RETURNED: "Cancel the tickets in the shop, or let the customer in; cancel or refund the order there.",
    FindingKind.SECOND_PAYMENT: "Refund the payment in SumUp's dashboard.",
    FindingKind.NOT_FOLLOWED: "Refund the payment, or issue the tickets.",
    FindingKind.UNPLACED: "Look at it in SumUp's dashboard: refund it, or find the order that it was meant for.",
    FindingKind.MISSING: "Look for the payment in SumUp's dashboard. If it is not there, the tickets are unpaid.",
    FindingKind.AMOUNT_DIFFERS: "Compare the payment in SumUp's dashboard with the order.",
    FindingKind.TICKETS_UNPAID: "Cancel the tickets, or collect the money.",
    FindingKind.HERE_AGAIN: (
        "Let the customer in again, by setting the tickets to valid and the order to completed in the shop, or refund"
        " the payment in SumUp's dashboard."
    ),
    FindingKind.FEE_RETURNED: "Set the fee to refunded in the shop's admin and unpublish the event, or let it be.",
}
_REVIEW_TODO = (
    "Its review may still say that the money went back. Decide on it by `paypoll resolve`: issue its tickets, or refund"
    " the payment."
)
_HELD_TODO = "Look at both payments in SumUp's dashboard: if one was to go back, the tickets are paid by the other."
_UNREAD_TODO = (
    "Look at the other payment in SumUp's dashboard. If it is over the order's amount, it pays for the tickets; if not,"
    " cancel them in the shop, or let the customer in."
)
_UNNAMED_TODO = (
    "Look at the order's payments in SumUp's dashboard. If another one pays for the tickets, leave them; if not, cancel"
    " them in the shop, or let the customer in."
)
_WAITS_TODO = (
    "If it is paused, `paypoll resume` lets the next look at SumUp's ledger make its tickets void. To keep them, close"
    " this finding first, by the command below."
)
_USED_TODO = "Its tickets were used: nobody is to be kept out. Set the order to refunded in the shop, if it is not."
_CONTEST = "A charge-back can be contested at SumUp for a while; used tickets show that somebody came."
_SAID = {
    "again": "It had gone back, and is here again.",
    "held": "The order was paid more than once: {} has not gone back.",
    "unread": "It holds {} as well: over how much, SumUp's ledger has not shown.",
    "unnamed": "Its tickets were bought under checkout {}; SumUp has not named that payment: it may be another one.",
    "put_back": "It had been void, and somebody has put it back: paypoll leaves its tickets as they are.",
}
"""What a finding's detail says, in words."""
_CLOSE = "Then close it by the command below. It closes by itself when the cause is gone."


def tell_of_findings(
    desk: AlertDesk, connection: sa.Connection, found: Sequence[Finding], now: datetime, *, first: bool
) -> None:
    """Post what is new in the caller's transaction: one alert a finding, or one for all when they are many.

    `first`: a first sweep over the past reports, however few they are.
    """
    if not found:
        return
    if first or len(found) >= MANY:
        _summarise(desk, connection, found, now, first=first)
        return
    for one in found:
        kind = FindingKind(one.kind)
        quiet = kind is FindingKind.TICKETS_UNPAID or _is_void(one)
        desk.tell(
            connection,
            f"finding:{one.id}",
            level=Level.ALERT if quiet else Level.CRITICAL,
            headline=headline(one),
            found=tuple(facts(one)),
            todo=tuple(todo(one)),
            now=now,
            orders=_orders(desk, [one]) if one.order_id is not None else (),
            steps=steps_of_finding(one.id, _word(one), closed=_is_void(one)),
        )


def _word(found: Finding) -> str:
    """Return how commands name what the finding is about; empty where they cannot."""
    if found.order_id is not None:
        return order_word(found.order_id, found.order_number)
    return fee_word(found.order_number)


def tell_of_unread(desk: AlertDesk, connection: sa.Connection, merchant_code: str, detail: str, now: datetime) -> None:
    """Tell that a merchant's ledger could not be read for a day; a shorter silence of SumUp's is told otherwise."""
    desk.tell_of_trouble(
        connection,
        f"ledger_unread:{merchant_code}",
        detail,
        tell_after=_UNREAD_FOR,
        headline=f"SumUp's ledger of merchant {merchant_code} cannot be read to its end",
        found=(detail, "Payments and refunds that no order leads to are not seen meanwhile."),
        todo=("See whether `paypoll reconcile` can read it. If not, report it with the log of a run.",),
        now=now,
    )


def end_unread(desk: AlertDesk, connection: sa.Connection, merchant_code: str) -> None:
    """Forget that a merchant's ledger could not be read."""
    desk.forget_trouble(connection, f"ledger_unread:{merchant_code}")


def is_told_case(found: Finding) -> bool:
    """Say whether it is a case that was told, and none of SumUp's ledger."""
    return told_kind(found.kind) is not None


def closing_steps(found: Finding) -> list[Step]:
    """Return what to paste about an open finding."""
    if is_told_case(found):
        return steps_of_told(found.id, found.kind, "" if told_kind(found.kind) in OF_WHAT_IS_GONE else _word(found))
    return steps_of_finding(found.id, _word(found))


def headline(found: Finding) -> str:
    """Return a finding as one line."""
    if is_told_case(found):
        said = str(found.detail.get("headline", ""))
        return f"{said}: {found.order_number}" if told_kind(found.kind) in OF_WHAT_IS_GONE else said
    if _was_used(found):
        return _fill(_USED_HEADLINE, found)
    return _fill(_VOID_HEADLINE if _is_void(found) else _HEADLINES[FindingKind(found.kind)], found)


def todo(found: Finding) -> list[str]:
    """Return what is to be done about a finding, a sentence each."""
    what = _USED_TODO if _was_used(found) else _VOID_TODO if _is_void(found) else _TODO[FindingKind(found.kind)]
    if found.detail.get("held") or found.detail.get("unread"):
        what = _HELD_TODO if found.detail.get("held") else _UNREAD_TODO
    if found.detail.get("unnamed") and not found.detail.get("held"):
        what = _UNNAMED_TODO
    if _waits(found):
        what = _WAITS_TODO
    if found.kind == FindingKind.HERE_AGAIN and found.detail.get("status") == OrderStatus.REVIEW:
        what = _REVIEW_TODO
    contest = [_CONTEST] if _charged_back(found) and found.order_id is not None else []
    return [what, *contest, *([] if _is_void(found) or _waits(found) else [_CLOSE])]


def _is_void(found: Finding) -> bool:
    """Say whether paypoll has made the order void, which ends the finding."""
    return bool(found.detail.get("voided"))


def _waits(found: Finding) -> bool:
    """Say whether the order is to be made void, and is not yet: mostly because it is paused."""
    return found.closed_at is None and found.detail.items() >= VOID_WAITS.items()


def _was_used(found: Finding) -> bool:
    """Say whether money went back of which no ticket is left that admits anybody once more."""
    detail = found.detail
    return bool(detail.get("used")) and detail.get("used") == detail.get("admitting")


def _charged_back(found: Finding) -> Decimal:
    return Decimal(str(found.detail.get("charged_back") or 0))


def facts(found: Finding) -> list[str]:
    """Return what is known of a finding, a sentence each."""
    if is_told_case(found):
        return [str(sentence) for sentence in found.detail.get("found", ())]
    detail = {name: str(value) for name, value in found.detail.items()}
    sentences = []
    if found.transaction_id:
        code = f" ({found.transaction_code})" if found.transaction_code else ""
        when = f", of {detail['paid_at'][:16].replace('T', ' ')} UTC" if detail.get("paid_at") else ""
        sentences.append(f"Transaction {found.transaction_id}{code} at merchant {found.merchant_code}{when}.")
    if found.kind in {FindingKind.RETURNED, FindingKind.FEE_RETURNED} and "paid" in detail:
        charged = min(_charged_back(found), found.amount)
        parts = ((found.amount - charged, "refunded"), (charged, "charged back"))
        back = " and ".join(f"{show_amount(one, found.currency)} was {how}" for one, how in parts if one)
        paid = Decimal(detail["paid"])
        whole = "in full" if detail.get("whole") == "yes" else "in part"
        if detail.get("whole") == "yes" and paid > found.amount:
            whole += f", but for {show_amount(paid - found.amount, found.currency)} of the tip"
        sentences.append(f"Of {show_amount(paid, found.currency)}, {back}: {whole}.")
    if detail.get("used"):
        sentences.append(f"Of its {detail['admitting']} tickets, {detail['used']} had admitted somebody.")
    sentences += [words.format(detail[name]) for name, words in _SAID.items() if detail.get(name)]
    if _waits(found):
        sentences.append("Its tickets become void at the next look at SumUp's ledger, unless the order is paused.")
    if detail.get("voided"):
        left = f"Its tickets are void now ({detail['voided']}), and" if detail["voided"] != "0" else "By now"
        sentences.append(f"{left} the order is refunded.")
    if "expected" in detail:
        expected = show_amount(Decimal(detail["expected"]), found.currency)
        sentences.append(f"The order was completed by {expected}.")
    sentences += [
        f"SumUp calls it {detail[name][:120]!r} ({name})." for name in ("summary", "foreign_id") if detail.get(name)
    ]
    return sentences


def _fill(text: str, found: Finding) -> str:
    return text.format_map(
        {
            "id": found.id,
            "number": found.order_number,
            "amount": show_amount(found.amount, found.currency),
            "whole": " in full" if found.detail.get("whole") == "yes" else "",
            "status": found.detail.get("status", "left alone"),
        }
    )


def _summarise(
    desk: AlertDesk, connection: sa.Connection, found: Sequence[Finding], now: datetime, *, first: bool
) -> None:
    kinds = Counter(one.kind.replace("_", " ") for one in found)
    listed = ", ".join(f"{number} {kind}" for kind, number in kinds.most_common())
    which = "The first look at SumUp's ledger" if first else "SumUp's ledger and the orders"
    things = f"{len(found)} thing{'s' if len(found) != 1 else ''}"
    desk.tell(
        connection,
        f"findings:{found[0].id}",
        level=Level.ALERT if first else Level.CRITICAL,
        headline=f"{which}: {things} that do{'es' if len(found) == 1 else ''} not fit",
        found=(f"{listed}.", "`paypoll queue` lists them, with what is known of each."),
        todo=tuple(dict.fromkeys(_TODO[FindingKind(one.kind)] for one in found[:MANY])),
        now=now,
        orders=_orders(desk, found[:_MOST_LISTED]),
    )


def _orders(desk: AlertDesk, found: Sequence[Finding]) -> tuple[AlertOrder, ...]:
    return tuple(
        AlertOrder(
            number=one.order_number or one.transaction_code or one.transaction_id,
            amount=show_amount(one.amount, one.currency),
            customer=one.kind.replace("_", " "),
            note=f"finding {one.id}",
            url=desk.site.order_admin_link(one.order_id, one.order_number) if one.order_id is not None else "",
        )
        for one in found
    )
