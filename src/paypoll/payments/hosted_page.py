"""SumUp's hosted page of an order whose payment failed: while it lives, the customer can pay there after all."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address
from urllib.parse import urlsplit

from paypoll.payments.evidence import Evidence
from paypoll.payments.gateway import CheckoutAnswer, CheckoutStatus, Found
from paypoll.payments.order import Checkout, Order

PAGE_LIFE = timedelta(minutes=30)
"""For so long after its making a hosted page lives, where SumUp does not say until when."""

PAGE_MARGIN = timedelta(minutes=5)
"""For so long after its end a payment that was begun in time may still come to its own."""

_TIME_TO_PAY = timedelta(minutes=5)
"""A page that ends sooner is not linked: the customer has to read the mail and find a card."""

_PAYABLE = frozenset({CheckoutStatus.FAILED, CheckoutStatus.PENDING})
_LONGEST = 500
_NAMES_OF_A_DOMAIN = 2


@dataclass(frozen=True, slots=True)
class HostedPage:
    """A page at SumUp where the order can be paid, and until when it is worth a link."""

    url: str
    until: datetime


def page_is_over(answer: CheckoutAnswer, now: datetime, margin: timedelta, *, known: bool = False) -> bool:
    """Say whether the hosted page has ended, by SumUp's own clock. `known`: only if SumUp said until when."""
    clock = answer.answered_at or (None if known else now)
    if clock is None:
        return False
    if answer.valid_until is not None:
        return clock >= answer.valid_until + margin
    return not known and answer.made_at is not None and clock >= answer.made_at + PAGE_LIFE + margin


def hosted_page(order: Order, evidence: Evidence, api_url: str, now: datetime) -> HostedPage | None:
    """Return the page, from SumUp's answers or the shop's rows, that lives longest; None when there is none any more.

    Only an address of SumUp's own, which is at the domain of its API (`api_url`), goes into a mail to a customer.
    """
    pages = [page for page in _pages(order, evidence) if page.until > now and _is_sumups(page.url, api_url)]
    return max(pages, key=lambda page: page.until, default=None)


def _pages(order: Order, evidence: Evidence) -> Iterator[HostedPage]:
    for look in evidence.reads.values():
        if not isinstance(look, Found) or look.value.status not in _PAYABLE:
            continue
        answer = look.value
        row = next((row for row in order.checkouts if answer.id in row.checkout_ids), None)
        url = answer.raw.get("hosted_checkout_url") or (row.hosted_page if row else "")
        if isinstance(url, str) and url and (until := _ends(answer, row)):
            yield HostedPage(url, until - _TIME_TO_PAY)


def _ends(answer: CheckoutAnswer, row: Checkout | None) -> datetime | None:
    until = answer.valid_until or (row.valid_until if row else None)
    made = answer.made_at or (row.created_at if row else None)
    return until or (made + PAGE_LIFE if made else None)


def _is_sumups(url: str, api_url: str) -> bool:
    try:
        page, api = urlsplit(url), urlsplit(api_url)
        host, home = page.hostname or "", api.hostname or ""
        strange = page.username is not None or page.port != api.port
    except ValueError:
        return False
    if strange or page.scheme != api.scheme or len(url) > _LONGEST or not url.isprintable() or " " in url:
        return False
    domain = _domain_of(home)
    return host == home or bool(domain and (host == domain or host.endswith(f".{domain}")))


def _domain_of(host: str) -> str:
    """Return the domain that the host stands in: sumup.com for api.sumup.com; nothing for an address of a number."""
    try:
        ip_address(host)
    except ValueError:
        names = host.split(".")
        return ".".join(names[1:]) if len(names) > _NAMES_OF_A_DOMAIN else ""
    return ""
