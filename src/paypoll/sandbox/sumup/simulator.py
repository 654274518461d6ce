"""A SumUp on this machine: its endpoints over real HTTP, and a control API for tests and the demo."""

from datetime import datetime, timedelta
from functools import partial
from ipaddress import ip_address
from types import TracebackType
from typing import Self

from paypoll.clock import Clock, SystemClock
from paypoll.sandbox.sumup.api.router import SumUpApi
from paypoll.sandbox.sumup.controls import TOKEN_LIFE, Controls
from paypoll.sandbox.sumup.effects import Effect, Latency
from paypoll.sandbox.sumup.exchange import Answer, Request
from paypoll.sandbox.sumup.faults import Aim, Fault, Faults
from paypoll.sandbox.sumup.journal import Journal, Seen
from paypoll.sandbox.sumup.keyring import Access
from paypoll.sandbox.sumup.notifications import WEBHOOK_SECRET, Form, Notification, Notifier
from paypoll.sandbox.sumup.panel.books import Books
from paypoll.sandbox.sumup.panel.router import Panel
from paypoll.sandbox.sumup.server import SandboxServer, SocketLine


class Simulator(Controls):
    """SumUp, simulated. A context manager: it listens inside the block, on a free port unless one is given.

    Every method may be called from any thread, and all but `url` also before and after the block.

    `rotate_refresh_tokens`: each refresh gives a new refresh token and burns the old one. `seed`: the same ids in
    every run. `notifications`: in which form a checkout's `return_url` is told of changes, by `send_notifications`.
    """

    def __init__(
        self,
        *,
        clock: Clock | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        rotate_refresh_tokens: bool = False,
        token_life: timedelta = TOKEN_LIFE,
        seed: int | None = None,
        notifications: Form = Form.NONE,
        webhook_secret: str = WEBHOOK_SECRET,
    ) -> None:
        """Raise ValueError if the host is not a loopback address: the control API has no password."""
        if not ip_address(host).is_loopback:
            raise ValueError("the sandbox listens on loopback addresses only")
        super().__init__(
            clock or SystemClock(), rotate_refresh_tokens=rotate_refresh_tokens, token_life=token_life, seed=seed
        )
        self._host = host
        self._port = port
        self._server: SandboxServer | None = None
        self.date_skew: timedelta | None = timedelta(0)
        """How far SumUp's clock is ahead of ours, as its `Date` header shows; None: answers have no such header."""
        self.faults = Faults()
        self.journal = Journal(self._clock)
        self.notifier = Notifier(self._clock, self._object_url, notifications, webhook_secret)
        self.ledger.on_change = self.notifier.note_change
        self._api = SumUpApi(self.ledger, self.keyring, self._tampering, self._clock, self._pay_url)
        books = Books(self.ledger, self.keyring, self._tampering, self._clock, self._pay_url)
        self._panel = Panel(books, self.faults, self.journal, self.notifier)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Listen. Raise OSError when the port is taken."""
        self._server = SandboxServer(self._host, self._port, self._respond, self._date)
        self._port = self._server.port
        self._server.start()

    def close(self) -> None:
        """Hang up on every client, also on those held up by a fault, and end all threads."""
        if self._server is not None:
            self._server.stop()
            self._server = None

    @property
    def url(self) -> str:
        """The base URL, for `sumup.base_url`; known from the start on."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    @property
    def notifications(self) -> tuple[Notification, ...]:
        """What was, or is to be, posted to the `return_url` of checkouts, the oldest first."""
        return self.notifier.all

    def send_notifications(self) -> int:
        """Post what is due by the clock, each once; return how many. Nothing is posted unless this is called."""
        return self.notifier.send_due()

    # --- faults and the log ------------------------------------------------------------------------------

    def fault(
        self,
        effect: Effect | Latency,
        *,
        method: str | None = None,
        path: str = "*",
        times: int | None = None,
        probability: float = 1.0,
        seed: int = 0,
        processed: bool = False,
    ) -> Fault:
        """Let the effect meet requests to SumUp's endpoints until it is cleared; see `faults.Aim` for which."""
        return self.faults.add(effect, Aim(method, path, times, probability, seed, processed))

    @property
    def requests(self) -> tuple[Seen, ...]:
        """The requests to SumUp's endpoints, the oldest first."""
        return self.journal.entries

    @property
    def max_in_flight(self) -> int:
        """How many requests were ever under way at once."""
        return self.journal.max_in_flight

    def count(self, method: str | None = None, path: str = "*", status: int | None = None) -> int:
        """Count the requests with this method, path (a shell pattern) and status; None is any."""
        return self.journal.count(method, path, status)

    def reset_log(self) -> None:
        """Forget the requests so far."""
        self.journal.reset()

    # --- answering ---------------------------------------------------------------------------------------

    def _respond(self, request: Request, line: SocketLine) -> None:
        if self._panel.owns(request.path):
            line.send(self._panel.handle(request))
            return
        access = self._api.access(request)
        number = self.journal.begin(request.method, request.path, request.query, access)
        line.on_end = partial(self.journal.end, number)
        try:
            self._answer(line, _Once(self._api, request, access), self.faults.meeting(request.method, request.path))
        finally:
            self.journal.end(number, None)

    @staticmethod
    def _answer(line: SocketLine, respond: "_Once", faults: list[Fault]) -> None:
        for fault in faults:
            line.over = fault.over
            if fault.aim.processed:
                respond()
            if not isinstance(fault.effect, Latency):
                fault.effect.spoil(line, respond)
                return
            line.pause(fault.effect.seconds)
        line.send(respond())

    def _date(self) -> datetime | None:
        return None if self.date_skew is None else self._clock.now() + self.date_skew

    def _object_url(self, checkout_id: str) -> str:
        return f"{self.url}/v0.1/checkouts/{checkout_id}"

    def _pay_url(self, checkout_id: str) -> str:
        return f"{self.url}/pay/{checkout_id}"


class _Once:
    """Carries the request out when it is first called, and gives the same answer from then on."""

    def __init__(self, api: SumUpApi, request: Request, access: Access) -> None:
        self._api = api
        self._request = request
        self._access = access
        self._answer: Answer | None = None

    def __call__(self) -> Answer:
        if self._answer is None:
            self._answer = self._api.handle(self._request, self._access)
        return self._answer
