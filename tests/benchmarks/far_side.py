"""SumUp and the mail server of a benchmark, in a process of their own so that they do not slow down what is measured.

Started by `bed.FarSide`, and told what to do in lines of JSON on its standard input; each is answered with one line.
"""

import asyncio
import json
import sys
import threading
import time
from concurrent.futures import Future
from decimal import Decimal
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session

from paypoll.sandbox.sumup.effects import Latency
from paypoll.sandbox.sumup.simulator import Simulator


class Inbox:
    """Takes every message and notes when and for whom; a message is not kept, only its size."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.taken: list[tuple[float, str, int, int]] = []

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Take a message. Of its content, the PDFs are counted."""
        content = envelope.content if isinstance(envelope.content, bytes) else b""
        pdfs = content.count(b"\r\nContent-Type: application/pdf")
        with self.lock:
            self.taken.append((time.time(), envelope.rcpt_tos[0], len(content), pdfs))
        return "250 OK"


def main() -> None:
    """Serve until standard input ends."""
    inbox = Inbox()
    listening: Future[int] = Future()
    # A daemon: it ends with the process, and the process with its standard input.
    threading.Thread(target=lambda: asyncio.run(_take_mail(inbox, listening)), name="mail", daemon=True).start()
    with Simulator() as sumup:
        _say({"sumup": sumup.url, "smtp_port": listening.result(timeout=30)})
        for line in sys.stdin:
            _say(_obey(json.loads(line), sumup, inbox))


async def _take_mail(inbox: Inbox, listening: "Future[int]") -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(inbox, data_size_limit=50 * 1024 * 1024, loop=loop), "127.0.0.1", 0)
    listening.set_result(server.sockets[0].getsockname()[1])
    await server.serve_forever()


def _obey(wish: dict[str, Any], sumup: Simulator, inbox: Inbox) -> dict[str, Any]:
    match wish["do"]:
        case "merchant":
            sumup.add_merchant(wish["code"], wish["api_key"])
        case "latency":
            sumup.faults.clear()
            if wish["seconds"]:
                sumup.fault(Latency(wish["seconds"]))
        case "checkouts":
            for one in wish["checkouts"]:
                made = sumup.create_checkout(
                    reference=one["reference"],
                    amount=Decimal(one["amount"]),
                    merchant_code=one["merchant"],
                    checkout_id=one["id"],
                )
                if one["paid"]:
                    sumup.pay(made, force=True)
        case "pay":
            sumup.pay(wish["id"], force=True)
        case "reset":
            sumup.reset_log()
            with inbox.lock:
                inbox.taken.clear()
        case "report":
            requests = sumup.requests
            return {
                "requests": len(requests),
                "first_request": min((seen.at.timestamp() for seen in requests), default=None),
                "last_request": max((seen.at.timestamp() for seen in requests), default=None),
                "most_in_flight": sumup.max_in_flight,
                "mails": list(inbox.taken),
            }
        case unknown:
            raise ValueError(f"cannot {unknown}")
    return {}


def _say(answer: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
