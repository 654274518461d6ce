"""Pages of the shop that issue or complete by themselves: do they still answer? Asked so that nothing can happen."""

from collections.abc import Iterator
from urllib.parse import urlsplit

import paypoll
from paypoll.admin.check.result import CheckResult, advice, fine, unreachable, wrong

TOPIC = "shop's pages"

DANGEROUS = {
    "/payments/success/": "it sets orders to confirmed by itself, with tickets that no scanner reads, or with none",
    "/payments/widget/success/": "it sets orders to confirmed and issues valid tickets, also for an unpaid order",
    "/payments/sumup/webhook/": "without asking who calls, it sets orders to confirmed, with no ticket",
    "/payments/sumup/callback/": "without asking who calls, it counts places as sold, and may set an event to sold out",
}
"""What is to be taken out of the shop once paypoll works on it, and why."""

NOWHERE = "/payments/no-such-page-asked-for-by-paypoll/"
"""A page that no shop has: how it answers tells what "not there" looks like."""

_GONE = frozenset({404, 410})
_SECONDS = 10
_REDIRECTS = range(300, 400)
_STEP = "take the page out of the shop's URLs, see docs/shop.md"


def check_pages(shop_url: str) -> Iterator[CheckResult]:
    """Ask for the head of each page, without a parameter: no page knows an order by that. No redirect is followed."""
    import requests

    base = shop_url.rstrip("/")
    with requests.Session() as session:
        session.headers["User-Agent"] = f"paypoll/{paypoll.__version__} check"
        session.trust_env = False  # no password for the shop from a ~/.netrc

        def ask(path: str) -> tuple[int, str]:
            with session.head(base + path, timeout=_SECONDS, allow_redirects=False) as answer:
                return answer.status_code, answer.headers.get("Location", "")

        try:
            nowhere, leads_to = ask(NOWHERE)
            if nowhere not in _GONE:
                yield _cannot_tell(base, nowhere, leads_to)
                return
            answering = {path: status for path in DANGEROUS if (status := ask(path)[0]) not in _GONE}
        except requests.RequestException as error:
            text = f"{base} does not answer: {type(error).__name__}"
            yield unreachable(TOPIC, text, "correct the address given with --shop, or try again later")
            return
    for path, status in answering.items():
        yield wrong(TOPIC, f"{path} still answers (status {status}): {DANGEROUS[path]}", _STEP)
    if not answering:
        yield fine(TOPIC, f"{base}: none of the {len(DANGEROUS)} that issue or complete by themselves answers")


def _cannot_tell(base: str, status: int, leads_to: str) -> CheckResult:
    text = f"{base} answers {status} for a page that no shop has, so it cannot be told which pages are there"
    if status in _REDIRECTS and (elsewhere := urlsplit(leads_to)).netloc:
        return advice(TOPIC, text, f"give --shop the address that it leads to: {elsewhere.scheme}://{elsewhere.netloc}")
    return advice(TOPIC, text, f"look into the shop's URLs for {', '.join(DANGEROUS)}")
