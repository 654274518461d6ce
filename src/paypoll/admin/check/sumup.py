"""SumUp: does it answer, and does it know our credential and our merchant? Two questions that change nothing."""

from collections.abc import Iterator

from paypoll.admin.check.finding import Finding, advice, fine, skipped, unreachable, wrong
from paypoll.payments.gateway import BrokenAnswer, Found, NoAnswer, NotAllowed, NotFound, PaymentGateway
from paypoll.settings.model import Settings
from paypoll.sumup.unreachable import NO_SUCH_NAME, NO_TLS, REFUSED, TOO_SLOW

# No checkout has this reference and no transaction this id: a list without entries and a 404 are what we hope for.
_NO_REFERENCE = "paypoll-check"
_STEPS = {
    NO_SUCH_NAME: "mend this machine's name resolution (/etc/resolv.conf), or correct sumup.base_url",
    REFUSED: "is a firewall in the way? correct sumup.base_url",
    NO_TLS: "set the clock, update the certificates (ca-certificates), and look for a proxy that opens TLS",
    TOO_SLOW: "is a firewall in the way? else SumUp's status page; try again later",
}
_NO_TRANSACTION = "00000000-0000-4000-8000-000000000000"


def check_sumup(gateway: PaymentGateway, settings: Settings) -> Iterator[Finding]:
    """Ask for a checkout and a transaction that do not exist."""
    where = settings.sumup.base_url
    match gateway.find_checkouts(_NO_REFERENCE, settings.sumup.merchant_code):
        case Found():
            yield fine("SumUp", f"{where} lets us in")
            yield from _merchant(gateway, settings)
        case NotAllowed(detail=detail):
            which = "sumup.api_key" if settings.sumup.api_key else "sumup.client_id and sumup.client_secret"
            yield wrong("SumUp", f"{where} refuses our credential: {detail}", f"correct {which}")
        case NoAnswer(detail):
            yield unreachable("SumUp", f"{where} does not answer: {detail}", next_step(detail))
        case NotFound(detail) | BrokenAnswer(detail):
            yield wrong("SumUp", f"{where} does not answer as SumUp does: {detail}", "correct sumup.base_url")


def next_step(detail: str) -> str:
    """Return the next step for why SumUp could not be asked, as the transport words it."""
    for part, step in _STEPS.items():
        if part in detail:
            return step
    return "look at the network; try again later"


def _merchant(gateway: PaymentGateway, settings: Settings) -> Iterator[Finding]:
    merchant = settings.sumup.merchant_code
    if not merchant:
        step = "set sumup.merchant_code, unless every checkout or organiser names its merchant"
        yield advice("merchant", "sumup.merchant_code is not set", step)
        return
    match gateway.read_transaction(_NO_TRANSACTION, merchant):
        case Found() | NotFound():
            yield fine("merchant", f"SumUp lets us ask for the transactions of {merchant}, so refunds are seen")
        case NotAllowed(detail=detail) if settings.sumup.api_key:
            text = f"our API key may not read the transactions of merchant {merchant}: {detail}"
            yield wrong("merchant", text, "correct sumup.merchant_code: it must be the merchant that the key is of")
        case NotAllowed(detail=detail):
            text = f"our client may not read the transactions of merchant {merchant}, so refunds are not seen: {detail}"
            yield advice("merchant", text, "use an API key of that merchant, if refunds at SumUp are to be seen")
        case NoAnswer(detail):
            yield unreachable("merchant", f"SumUp does not answer: {detail}", "try again later")
        case BrokenAnswer(detail):
            yield skipped("merchant", f"SumUp's answer says nothing about {merchant}: {detail}")
