"""The pages that people see in a browser: the list of checkouts, and SumUp's payment page."""

from collections.abc import Iterable
from html import escape

from paypoll.payments.gateway import CheckoutStatus
from paypoll.payments.money import show_amount
from paypoll.sandbox.sumup.entries import CARD_THAT_DECLINES, CARD_THAT_PAYS, Checkout
from paypoll.sandbox.sumup.exchange import HTML, Answer

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .4rem .8rem .4rem 0 }
tr { border-bottom: 1px solid #ddd } form { display: inline } code { overflow-wrap: anywhere }
button { font: inherit; padding: .2rem .6rem; margin: .1rem } label { display: block; margin: .5rem 0 }
"""
_ACTIONS = {
    CheckoutStatus.PENDING: ("pay", "decline", "expire", "cancel"),
    CheckoutStatus.FAILED: ("pay", "decline", "expire", "cancel"),
    CheckoutStatus.PAID: ("refund",),
}


def page(title: str, content: str, status: int = 200) -> Answer:
    """Return a page; `content` is HTML, `title` is text."""
    document = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1>{content}</body></html>"
    )
    policy = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'self'"
    return Answer(status, document.encode(), HTML, {"Content-Security-Policy": policy})


def listing(checkouts: Iterable[Checkout]) -> Answer:
    """Return the page with every checkout and its buttons."""
    rows = "".join(map(_row, checkouts))
    if not rows:
        return page("SumUp sandbox", "<p>No checkouts yet. The shop makes them: POST /v0.1/checkouts.</p>")
    head = "<tr><th>Reference</th><th>Amount</th><th>Status</th><th>Merchant</th><th>Id</th><th></th></tr>"
    return page("SumUp sandbox", f"<table>{head}{rows}</table>")


def payment(checkout: Checkout, notice: str = "") -> Answer:
    """Return the payment page of the checkout; `notice` is text above it."""
    above = f"<p><strong>{escape(notice)}</strong></p>" if notice else ""
    what = f"<p>{escape(checkout.description or checkout.reference)}: <strong>{_amount(checkout)}</strong></p>"
    back = f'<p><a href="{escape(checkout.redirect_url)}">Back to the shop</a></p>' if checkout.redirect_url else ""
    if checkout.status not in {CheckoutStatus.PENDING, CheckoutStatus.FAILED}:
        told = f"<p>This payment is {escape(checkout.status)}. Nothing can be paid here.</p>"
        return page("Payment", above + what + told + back)
    form = (
        f'<form method="post" action="/pay/{escape(checkout.id)}">'
        f'<label><input type="radio" name="card" value="{CARD_THAT_PAYS}" checked> '
        "5555 4444 3333 1111 (pays)</label>"
        f'<label><input type="radio" name="card" value="{CARD_THAT_DECLINES}"> '
        "4000 0000 0000 0002 (is declined)</label>"
        f"<button>Pay {_amount(checkout)}</button></form>"
    )
    return page("Payment", above + what + form + back)


def _row(checkout: Checkout) -> str:
    buttons = "".join(
        f'<form method="post" action="/sandbox/checkouts/{escape(checkout.id)}/{action}">'
        f"<button>{action}</button></form>"
        for action in _ACTIONS.get(CheckoutStatus(checkout.status), ())
    )
    refunded = f" (refunded {escape(str(checkout.refunded))})" if checkout.refunded else ""
    return (
        f'<tr><td><a href="/pay/{escape(checkout.id)}">{escape(checkout.reference)}</a></td>'
        f"<td>{_amount(checkout)}</td><td>{escape(checkout.status)}{refunded}</td>"
        f"<td>{escape(checkout.merchant_code)}</td><td><code>{escape(checkout.id)}</code></td><td>{buttons}</td></tr>"
    )


def _amount(checkout: Checkout) -> str:
    return escape(show_amount(checkout.amount, checkout.currency))
