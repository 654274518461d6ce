"""The history: a merchant's payments, and what went back of them, filtered and page by page.

An item is a payment, a refund or a charge-back: `types[]` has a name for each. The payment's own item goes on saying
SUCCESSFUL after a refund, with the sum as `refunded_amount`. SumUp's document has no upper bound for `limit`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

from paypoll.sandbox.sumup.api import documents
from paypoll.sandbox.sumup.api.new_checkout import read_moment
from paypoll.sandbox.sumup.api.refusals import invalid
from paypoll.sandbox.sumup.entries import Kind, Transaction
from paypoll.sandbox.sumup.exchange import Answer, Request, answer

_ORDERS: Final = frozenset({"ascending", "descending"})
_STATUSES: Final = frozenset({"SUCCESSFUL", "CANCELLED", "FAILED", "REFUNDED", "CHARGE_BACK"})
_TYPES: Final = frozenset({"PAYMENT", "REFUND", "CHARGE_BACK"})
_PAYMENT_TYPES: Final = frozenset(
    ["CASH", "POS", "ECOM", "RECURRING", "BITCOIN", "BALANCE", "MOTO", "BOLETO", "DIRECT_DEBIT", "APM", "UNKNOWN"]
)


class _BadQueryError(Exception):
    """The query cannot be read. The text names the field."""


@dataclass(frozen=True, slots=True)
class Item:
    """A line of the history. `final_status` is what `statuses[]` is held against."""

    id: str
    transaction: Transaction
    type: str
    status: str
    final_status: str
    amount: Decimal
    at: datetime
    changed_at: datetime
    number: int


def history(transactions: Iterable[Transaction], request: Request) -> Answer:
    """Return the page that the query asks for."""
    fields = request.params
    try:
        wanted = _filter(request)
        limit = _positive(fields.get("limit", "10"))
        order = _one_of(fields, "order", _ORDERS, "ascending")
        everything = sorted(items(transactions), key=lambda item: (item.at, item.number))
        found = [item for item in _between(everything, fields) if wanted(item)]
    except _BadQueryError as error:
        return answer(invalid(str(error)), HTTPStatus.BAD_REQUEST)
    if order == "descending":
        found.reverse()
    shown = [documents.history_item(item.transaction, item) for item in found[:limit]]
    side = "newest_ref" if order == "descending" else "oldest_ref"
    links = [_link(request, side, found[limit - 1])] if len(found) > limit else []
    return answer({"items": shown, "links": links})


def items(transactions: Iterable[Transaction]) -> list[Item]:
    """Return the lines that these transactions make."""
    made = []
    for one in transactions:
        made.append(
            Item(one.id, one, "PAYMENT", one.status, one.status, one.amount, one.at, one.changed_at, one.number)
        )
        made += [
            Item(
                id=back.id,
                transaction=one,
                type=back.kind.value,
                status=back.status if back.status in {"PENDING", "FAILED"} else _DONE[back.kind],
                final_status=back.status if back.status in {"PENDING", "FAILED"} else _FINALLY[back.kind],
                amount=back.amount,
                at=back.at,
                changed_at=back.changed_at,
                number=back.number,
            )
            for back in one.returns
        ]
    return made


# A transaction's status knows no CHARGE_BACK, though `statuses[]` does.
_DONE: Final = {Kind.REFUND: "REFUNDED", Kind.CHARGE_BACK: "SUCCESSFUL"}
_FINALLY: Final = {Kind.REFUND: "REFUNDED", Kind.CHARGE_BACK: "CHARGE_BACK"}


def _filter(request: Request) -> Callable[[Item], bool]:
    fields = request.params
    statuses = _among(request, "statuses[]", _STATUSES)
    kinds = _among(request, "types[]", _TYPES)
    payment_types = _among(request, "payment_types[]", _PAYMENT_TYPES)
    entry_modes = _among(request, "entry_modes[]", None)
    users = _among(request, "users[]", None)
    code = fields.get("transaction_code", "")
    changed = _moment(fields, "changes_since")

    def wanted(item: Item) -> bool:
        one = item.transaction
        return (
            (not code or one.code == code)
            and (not statuses or item.final_status in statuses)
            and (not kinds or item.type in kinds)
            and (not payment_types or one.payment_type in payment_types)
            and (not entry_modes or one.entry_mode in entry_modes)
            and (not users or documents.user(one) in users)
            and (changed is None or item.changed_at >= changed)
        )

    return wanted


def _between(everything: list[Item], fields: Mapping[str, str]) -> list[Item]:
    """Return what lies between the bounds. A reference takes the place of the time on its side."""
    oldest, newest = _moment(fields, "oldest_time"), _moment(fields, "newest_time")
    places = {item.id: place for place, item in enumerate(everything)}
    begin, end = places.get(fields.get("oldest_ref", "")), places.get(fields.get("newest_ref", ""))
    return [
        item
        for place, item in enumerate(everything)
        if (place > begin if begin is not None else oldest is None or item.at >= oldest)
        and (place < end if end is not None else newest is None or item.at < newest)
    ]


def _link(request: Request, side: str, last: Item) -> dict[str, object]:
    """Return the link to the next page: a query string alone, to be put behind the history's own address."""
    kept = [(name, value) for name, value in request.pairs if name != side]
    return {"rel": "next", "href": urlencode([*kept, (side, last.id)])}


def _among(request: Request, name: str, known: frozenset[str] | None) -> frozenset[str]:
    values = frozenset(value for field, value in request.pairs if field == name)
    if known is not None and not values <= known:
        raise _BadQueryError(name)
    return values


def _one_of(fields: Mapping[str, str], name: str, known: frozenset[str], default: str) -> str:
    value = fields.get(name, default)
    if value not in known:
        raise _BadQueryError(name)
    return value


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise _BadQueryError("limit")
    return int(text)


def _moment(fields: Mapping[str, str], name: str) -> datetime | None:
    try:
        return read_moment(fields.get(name))
    except ValueError as error:
        raise _BadQueryError(name) from error
