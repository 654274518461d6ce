"""The endpoint of payouts: a bare list, as JSON or CSV. Its 400 is a list of errors."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from http import HTTPStatus
from typing import Final

from paypoll.sandbox.sumup.api.refusals import invalid
from paypoll.sandbox.sumup.entries import Payout
from paypoll.sandbox.sumup.exchange import Answer, Request, answer

_MOST: Final = 9999
_COLUMNS: Final = ("id", "type", "amount", "date", "currency", "fee", "status", "reference", "transaction_code")


def payouts(known: Iterable[Payout], request: Request) -> Answer:
    """Return those of the period that the query names, both its days included."""
    params = request.params
    errors, period = _read_period(params)
    limit = _read_limit(params.get("limit", str(_MOST)))
    order, form = params.get("order", "asc"), params.get("format", "json")
    errors += [invalid("limit")] if limit is None else []
    errors += [invalid("order")] if order not in {"asc", "desc"} else []
    errors += [invalid("format")] if form not in {"json", "csv"} else []
    if errors:
        return answer(errors, HTTPStatus.BAD_REQUEST)
    found = [payout for payout in known if period[0] <= payout.on <= period[1]]
    if order == "desc":
        found.reverse()
    documents = [_document(payout) for payout in found[:limit]]
    return Answer(HTTPStatus.OK, _csv(documents), "text/plain") if form == "csv" else answer(documents)


def _read_period(params: Mapping[str, str]) -> tuple[list[dict[str, object]], tuple[date, date]]:
    errors: list[dict[str, object]] = []
    days = [date.min, date.max]
    for place, name in enumerate(("start_date", "end_date")):
        if not params.get(name):
            errors.append(invalid(name, "MISSING", "Validation error: required"))
            continue
        try:
            days[place] = date.fromisoformat(params[name])
        except ValueError:
            errors.append(invalid(name))
    if not errors and days[0] > days[1]:
        errors.append(invalid(message="negative date range"))
    return errors, (days[0], days[1])


def _read_limit(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and 1 <= int(text) <= _MOST else None


def _document(payout: Payout) -> dict[str, object]:
    return {
        "id": payout.number,
        "type": str(payout.kind),
        "amount": payout.amount,
        "date": payout.on.isoformat(),
        "currency": payout.currency,
        "fee": payout.fee,
        "status": payout.status,
        "reference": payout.reference,
        "transaction_code": payout.transaction_code,
    }


def _csv(documents: Sequence[Mapping[str, object]]) -> bytes:
    text = io.StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(documents)
    return text.getvalue().encode()
