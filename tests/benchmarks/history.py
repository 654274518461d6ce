"""A SumUp that knows nothing but a long history of payments, made up page by page: it must not be what is measured."""

import json
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from tests.benchmarks.bed import MERCHANT, PRICE, TICKETS

_PAGE = 100


def transaction_id(number: int) -> str:
    """Return the id of the payment with this number, counted from 1."""
    return f"tx-{number:07d}"


class LongHistory:
    """Serves a history of so many payments, each over what an order of the bed costs, on a loopback port."""

    def __init__(self, count: int) -> None:
        paid_at = (datetime.now(UTC) - timedelta(hours=2)).isoformat(timespec="milliseconds")
        amount = float(PRICE * TICKETS)

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                begin = int(parse_qs(urlsplit(self.path).query).get("oldest_ref", ["0"])[0])
                numbers = range(begin + 1, min(begin + _PAGE, count) + 1)
                items = [
                    {
                        "id": transaction_id(number),
                        "transaction_id": transaction_id(number),
                        "transaction_code": f"C{number}",
                        "amount": amount,
                        "currency": "GBP",
                        "timestamp": paid_at,
                        "status": "SUCCESSFUL",
                        "type": "PAYMENT",
                        "payment_type": "ECOM",
                        "merchant_code": MERCHANT,
                        "refunded_amount": 0,
                        "product_summary": "Winter Concert",
                    }
                    for number in numbers
                ]
                last = numbers[-1] if numbers else count
                links = [{"rel": "next", "href": f"limit=100&oldest_ref={last}"}] if last < count else []
                body = json.dumps({"items": items, "links": links}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        """Stop serving."""
        self._server.shutdown()
        self._server.server_close()
