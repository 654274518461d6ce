"""SumUp's ledger held against the orders by hand, over any period: what does not fit, and the sums.

Read-only unless told: then what is found is written down as findings, and admins are told, as by a sweep. The cursor
of the sweeps is not moved.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import sqlalchemy as sa

from paypoll.admin.ledger_sums import LedgerSums
from paypoll.alerts.desk import AlertDesk
from paypoll.alerts.ledger import tell_of_findings
from paypoll.database import transaction
from paypoll.errors import TryLaterError
from paypoll.ledger.judging import Judged, PageJudge
from paypoll.ledger.other_way import Unseen, unpaid_tickets
from paypoll.payments.books import LedgerItem, LedgerSource, Period
from paypoll.payments.gateway import Found, NotAllowed, NotFound, PaymentGateway
from paypoll.payments.ledger import LedgerRules
from paypoll.payments.policy import Policy
from paypoll.state import findings
from paypoll.state.findings import NewFinding
from paypoll.state.ledger import find_unlisted
from paypoll.state.unnamed import bought_by

_LAG = timedelta(hours=1)
_JUST_NOW = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Books:
    """What is asked, and by which rules."""

    engine: sa.Engine
    source: LedgerSource
    gateway: PaymentGateway
    policy: Policy
    rules: LedgerRules
    stopped: Callable[[], bool]


@dataclass(slots=True)
class Reconciled:
    """What came of a period. `refused` names the merchants whose ledger may not be read, and why.

    `payments` were made within it; of `earlier` ones something went back within it. `matched` counts the payments of
    orders that fit, also of those that are gone from the shop; `held` those of orders that have no tickets for them, or
    are void, of which admins were told otherwise, or are about to be; `young` those that fit no order, and are too new
    to be judged; `foreign` those that are nobody's finding.
    """

    since: datetime
    until: datetime
    payments: int = 0
    earlier: int = 0
    matched: int = 0
    held: int = 0
    young: int = 0
    foreign: int = 0
    sums: LedgerSums = field(default_factory=LedgerSums)
    found: list[NewFinding] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)

    def add(self, judged: Judged) -> None:
        """Count a payment in."""
        found = [one for one in (judged.finding, judged.here_again) if one is not None]
        is_paid = self.sums.is_paid(judged.payment.transaction_id)
        self.payments += is_paid
        self.earlier += not is_paid
        if found:
            self.found += found
        elif not is_paid:
            return
        elif judged.judgement.wait:
            self.young += 1
        elif judged.is_held:
            self.held += 1
        elif judged.owner is not None or judged.gone:
            self.matched += 1
        else:
            self.foreign += 1


def reconcile(
    books: Books,
    merchants: Sequence[str],
    since: datetime,
    until: datetime,
    now: datetime,
    *,
    on_page: Callable[[datetime], None] = lambda _: None,
) -> Reconciled:
    """Read these merchants' ledgers over the period and hold them against the orders, both ways; write nothing.

    `on_page` is told how far each page reaches. Raise TryLaterError when SumUp does not answer.
    """
    result = Reconciled(since, until)
    for merchant_code in merchants:
        seen: set[str] = set()
        for items, judged in _pages(books, merchant_code, result, now, on_page):
            result.sums.add(items, judged)
            for name, one in judged.items():
                if name not in seen:  # else what went back of it stands on a later page
                    result.add(one)
            seen |= judged.keys()
        result.sums.end(is_past=until < now - _JUST_NOW)
        if merchant_code not in result.refused:
            result.found += _missing(books, merchant_code, result, seen, now)
    with transaction(books.engine) as connection:
        platform = books.policy.merchant_code
        if platform in merchants:
            result.found += unpaid_tickets(connection, platform, books.policy.currency, now, since, until)
    return result


def _pages(
    books: Books, merchant_code: str, result: Reconciled, now: datetime, on_page: Callable[[datetime], None]
) -> Iterator[tuple[Sequence[LedgerItem], dict[str, Judged]]]:
    """Yield the lines of each page, and its payments by their ids."""
    judge = PageJudge(books.engine, books.gateway, books.policy, books.rules, books.stopped)
    period, page = Period(since=result.since, until=result.until), ""
    while True:
        look = books.source.list_transactions(merchant_code, period, page)
        if isinstance(look, NotAllowed | NotFound):
            result.refused[merchant_code] = look.detail
            return
        if not isinstance(look, Found) or (page and look.value.next_page == page):
            raise TryLaterError(f"SumUp's list of payments of {merchant_code} could not be read: {_detail(look)}")
        seen = judge.judge_page(look.value, merchant_code, now)
        if seen.unanswered is not None:
            raise TryLaterError(f"SumUp did not say all about the payments of {merchant_code}: {seen.unanswered}")
        yield look.value.items, _with_gone(books.engine, {one.payment.transaction_id: one for one in seen.judged})
        times = [item.at for item in look.value.items if item.at is not None]
        if times:
            on_page(max(times))
        page = look.value.next_page
        if not page:
            return


def _with_gone(engine: sa.Engine, judged: dict[str, Judged]) -> dict[str, Judged]:
    """Return them, with those told apart that have bought tickets of orders that are gone from the shop."""
    with transaction(engine) as connection:
        bought = bought_by(connection, [name for name, one in judged.items() if one.owner is None and not one.fee])
    return judged | {name: replace(judged[name], gone=True) for name in bought}


def _missing(books: Books, merchant_code: str, result: Reconciled, seen: set[str], now: datetime) -> list[NewFinding]:
    """Return the payments of completed orders from the period that SumUp neither lists nor knows."""
    end = min(result.until, now - _LAG)
    with transaction(books.engine) as connection:
        # Whatever sweeps have seen before: here it counts whether it stands in the list now.
        paid = find_unlisted(connection, merchant_code, result.since, end)
    unseen = [Unseen(one) for one in paid if one.transaction_id not in seen]
    answers = [one.asked(books.gateway) for one in unseen]
    return [one for one in answers if isinstance(one, NewFinding)]


def write_down(engine: sa.Engine, desk: AlertDesk, result: Reconciled, now: datetime) -> int:
    """Write the findings down that are new, and tell admins of them in one summary; return how many there were."""
    with transaction(engine) as connection:
        count = findings.note(connection, result.found, now)
        for merchant_code in dict.fromkeys(one.merchant_code for one in result.found):
            untold = findings.take_untold(connection, merchant_code, now)
            tell_of_findings(desk, connection, untold, now, first=True)
    return count


def _detail(look: object) -> str:
    return str(getattr(look, "detail", "")) or "a page leads to itself"
