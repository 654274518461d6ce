"""SumUp's books, from bytes to values: pages of the history of transactions, and payouts.

As in `paypoll.sumup.wire`: what cannot be used makes the whole answer a BrokenAnswer, and nothing here raises.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Final
from urllib.parse import parse_qsl

from paypoll.payments.books import LedgerItem, LedgerPage, PayoutRecord
from paypoll.payments.gateway import BrokenAnswer, Found
from paypoll.sumup import document, fields
from paypoll.sumup.document import UnreadableError

PAGE_FIELDS: Final = frozenset(
    {
        "order", "limit", "oldest_time", "newest_time", "oldest_ref", "newest_ref", "changes_since", "payment_types[]",
        "types[]", "statuses[]", "skip_tx_result", "tx_count_filter", "transaction_code", "entry_modes[]", "users[]",
    }
)  # fmt: skip
"""What a link to the next page may say. Others are left out: the link decides about nothing but where to go on."""

_LONGEST_LINK: Final = 2000
_KNOWN_KINDS: Final = frozenset({"PAYMENT", "REFUND", "CHARGE_BACK"})
_DAY: Final = re.compile(r"\d{4}-\d{2}-\d{2}")


def read_history(body: bytes) -> Found[LedgerPage] | BrokenAnswer:
    """Return the page that the body holds."""
    try:
        answer = fields.mapping(document.parse(body), "the answer")
        lines = tuple(_line(fields.mapping(item, "an item")) for item in _listed(answer, "items"))
        return Found(LedgerPage(tuple(line for line in lines if line is not None), _next(answer)))
    except UnreadableError as error:
        return BrokenAnswer(str(error), garbled=error.garbled)


def read_payouts(body: bytes) -> Found[tuple[PayoutRecord, ...]] | BrokenAnswer:
    """Return the records that the body lists."""
    try:
        listed = fields.items(document.parse(body), "the answer")
        return Found(tuple(_payout(fields.mapping(item, "a payout")) for item in listed))
    except UnreadableError as error:
        return BrokenAnswer(str(error), garbled=error.garbled)


def read_link(link: str) -> dict[str, str] | None:
    """Return the query of a link to the next page; None when it is none. It may have stood in the database."""
    if not link or len(link) > _LONGEST_LINK or not link.isascii() or not link.isprintable():
        return None
    return {name: value for name, value in parse_qsl(link) if name in PAGE_FIELDS}


def _listed(answer: Mapping[str, object], name: str) -> list[object]:
    found = answer.get(name)
    return [] if found is None else fields.items(found, name)


def _line(item: Mapping[str, object]) -> LedgerItem | None:
    """Return a line; None for one of a kind that moves no customer's money, or of nothing that has a name."""
    kind = (fields.weighty(item, "type") or "PAYMENT").upper()
    transaction_id = fields.weighty(item, "transaction_id") or (fields.weighty(item, "id") if kind == "PAYMENT" else "")
    if kind not in _KNOWN_KINDS or not transaction_id:
        return None
    amount = fields.number(item, "amount")
    if amount is None:
        raise UnreadableError("a transaction of the history has no amount")
    return LedgerItem(
        transaction_id=transaction_id,
        transaction_code=fields.text(item, "transaction_code"),
        kind=kind,
        status=fields.weighty(item, "status").upper(),
        amount=abs(amount),
        currency=fields.currency(item),
        refunded=abs(fields.number(item, "refunded_amount") or Decimal(0)),
        at=fields.moment(item, "timestamp"),
        payment_type=fields.text(item, "payment_type").upper(),
        summary=fields.text(item, "product_summary"),
    )


def _next(answer: Mapping[str, object]) -> str:
    for item in _listed(answer, "links"):
        link = fields.mapping(item, "a link")
        if fields.text(link, "rel").lower() == "next":
            href = link.get("href")
            if not isinstance(href, str):
                raise UnreadableError("the link to the next page is no text")
            # SumUp writes a query string alone; a whole address would be read the same way, and never followed.
            query = href.partition("?")[2] if "?" in href else href
            if read_link(query) is None:
                raise UnreadableError("the link to the next page cannot be used")
            return query
    return ""


def _payout(item: Mapping[str, object]) -> PayoutRecord:
    amount = fields.number(item, "amount")
    day = fields.text(item, "date")[:10]
    if amount is None or _DAY.fullmatch(day) is None:
        raise UnreadableError("a payout has no amount or no date")
    number = item.get("id")
    return PayoutRecord(
        id=str(number) if isinstance(number, Decimal | str) else "",
        kind=fields.weighty(item, "type").upper(),
        amount=amount,
        fee=fields.number(item, "fee") or Decimal(0),
        currency=fields.currency(item),
        on=day,
        status=fields.text(item, "status").upper(),
        reference=fields.text(item, "reference"),
        transaction_code=fields.text(item, "transaction_code"),
    )
