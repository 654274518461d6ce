"""SumUp: does it answer, does it know our credential and our merchant, and are they of one account? Nothing changes."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

from paypoll.admin.check.result import CheckResult, Mark, advice, fine, skipped, unreachable, wrong
from paypoll.payments.books import LedgerSource, Period
from paypoll.payments.gateway import (
    Accepted,
    BrokenAnswer,
    Found,
    NoAnswer,
    NotAllowed,
    NotFound,
    NotSent,
    PaymentGateway,
    Refunding,
    RefundRefused,
)
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
# Should there be one all the same.
_LEAST = Decimal(1)


def check_sumup(gateway: PaymentGateway, books: LedgerSource, settings: Settings) -> Iterator[CheckResult]:
    """Ask for a checkout and a transaction that do not exist, and whose credential it is."""
    where = settings.sumup.base_url
    match gateway.find_checkouts(_NO_REFERENCE, settings.sumup.merchant_code):
        case Found():
            yield fine("SumUp", f"{where} lets us in")
            key = list(_membership(gateway, settings))
            yield from key
            if all(result.mark is not Mark.PROBLEM for result in key):  # one mistake is told once
                yield from _merchant(gateway, books, settings)
        case NotAllowed(detail=detail):
            yield wrong("SumUp", f"{where} refuses our credential: {detail}", f"correct {_which(settings)}")
        case NoAnswer(detail):
            yield unreachable("SumUp", f"{where} does not answer: {detail}", next_step(detail))
        case NotFound(detail) | BrokenAnswer(detail):
            yield wrong("SumUp", f"{where} does not answer as SumUp does: {detail}", "correct sumup.base_url")


def _which(settings: Settings) -> str:
    """Return where the credential is that SumUp refuses."""
    key, secret = settings.sumup.api_key, settings.sumup.client_secret
    if key is not None:
        return f"the key in {key.origin}" if key.origin else "sumup.api_key"
    origin = secret.origin if secret is not None else ""
    return f"sumup.client_id, or the secret in {origin}" if origin else "sumup.client_id and sumup.client_secret"


def next_step(detail: str) -> str:
    """Return the next step for why SumUp could not be asked, as the transport words it."""
    for part, step in _STEPS.items():
        if part in detail:
            return step
    return "look at the network; try again later"


def _refunds(answer: Refunding, merchant: str) -> CheckResult:
    """Say what SumUp makes of a refund of a transaction that does not exist: who may not refund hears so first."""
    match answer:
        case NotFound() | RefundRefused():
            return fine("refunds", f"SumUp lets us ask for refunds of {merchant}")
        case NotAllowed(detail=detail):
            text = f"SumUp does not let our credential refund: {detail}"
            return wrong(
                "refunds", text, "give it the scope refunds.write or payments, or turn sumup.allow_refunds off"
            )
        case NoAnswer(detail) | NotSent(detail):
            return unreachable("refunds", f"SumUp does not answer: {detail}", "try again later")
        case BrokenAnswer(detail):
            return skipped("refunds", f"SumUp's answer does not say whether we may refund: {detail}")
        case Accepted():
            return wrong("refunds", "SumUp took a refund of a transaction that is none", "tell the developers")


def _membership(gateway: PaymentGateway, settings: Settings) -> Iterator[CheckResult]:
    """Compare the key's own merchants with ours: to the key of another account, every checkout is "not found"."""
    ours = settings.sumup.merchant_code
    if not ours:
        return
    match gateway.read_merchants():
        case Found(value=merchants) if ours in merchants:
            yield fine("key's merchant", f"our credential is of merchant {ours}")
        case Found(value=merchants) if merchants:
            text = f"our credential is of merchant {', '.join(sorted(merchants))}, and sumup.merchant_code is {ours}"
            yield wrong(
                "key's merchant", text, "correct sumup.merchant_code, or the credential: they must be of one account"
            )
        case Found():
            yield skipped("key's merchant", "SumUp names no merchant that our credential is of")
        case NotAllowed(detail=detail) | NotFound(detail) | BrokenAnswer(detail):
            yield skipped("key's merchant", f"SumUp does not say whose credential it is: {detail}")
        case NoAnswer(detail):
            yield unreachable("key's merchant", f"SumUp does not answer: {detail}", "try again later")


def _merchant(gateway: PaymentGateway, books: LedgerSource, settings: Settings) -> Iterator[CheckResult]:
    merchant = settings.sumup.merchant_code
    if not merchant:
        step = "set sumup.merchant_code, unless every checkout or organiser names its merchant"
        yield advice("merchant", "sumup.merchant_code is not set", step)
        return
    match gateway.read_transaction(_NO_TRANSACTION, merchant):
        case Found() | NotFound():
            yield fine("merchant", f"SumUp lets us ask for the transactions of {merchant}, so refunds are seen")
            yield from _ledger(books, settings)
            if settings.sumup.allow_refunds:
                yield _refunds(gateway.refund(_NO_TRANSACTION, merchant, _LEAST, settings.site.currency), merchant)
        case NotAllowed(detail=detail) if settings.sumup.api_key:
            text = f"our API key may not read the transactions of merchant {merchant}: {detail}"
            yield wrong("merchant", text, "correct sumup.merchant_code: it must be the merchant that the key is of")
        case NotAllowed(detail=detail):
            text = (
                f"our client may not read the transactions of merchant {merchant}, so neither refunds nor payments "
                f"out of sight are seen: {detail}"
            )
            yield advice("merchant", text, "use an API key of that merchant, if refunds at SumUp are to be seen")
        case NoAnswer(detail):
            yield unreachable("merchant", f"SumUp does not answer: {detail}", "try again later")
        case BrokenAnswer(detail):
            yield skipped("merchant", f"SumUp's answer says nothing about {merchant}: {detail}")


def _ledger(books: LedgerSource, settings: Settings) -> Iterator[CheckResult]:
    """Ask for a minute of the ledger: without the scope, orders are followed as ever, and the rest is not seen."""
    merchant, end = settings.sumup.merchant_code, datetime.now(UTC)
    if not settings.ledger.every:
        return
    match books.list_transactions(merchant, Period(since=end - timedelta(minutes=1), until=end), ""):
        case Found():
            yield fine("ledger", f"SumUp lets us read the list of payments of {merchant}")
        case NotAllowed(detail=detail) | NotFound(detail=detail):
            text = f"our credential may not read the list of payments of {merchant}: {detail}"
            yield advice("ledger", text, "give it the scope transactions.history, or set ledger.every to 0")
        case NoAnswer(detail) | BrokenAnswer(detail):
            yield skipped("ledger", f"SumUp's answer says nothing about the list of payments: {detail}")
