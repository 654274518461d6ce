"""A SumUp on this machine: its endpoints over real HTTP, and a control API for tests and the demo."""

from datetime import datetime, timedelta
from decimal import Decimal
from functools import partial
from ipaddress import ip_address
from types import TracebackType
from typing import Final, Self

from paypoll.clock import Clock, SystemClock
from paypoll.sandbox.sumup.api import SumUpApi
from paypoll.sandbox.sumup.effects import Effect, Latency
from paypoll.sandbox.sumup.exchange import Answer, Request
from paypoll.sandbox.sumup.faults import Aim, Fault, Faults
from paypoll.sandbox.sumup.journal import Journal, Seen
from paypoll.sandbox.sumup.keyring import Access, AuthKind, Keyring
from paypoll.sandbox.sumup.ledger import CARD_THAT_PAYS, Checkout, Kind, Ledger
from paypoll.sandbox.sumup.panel import Panel
from paypoll.sandbox.sumup.server import SandboxServer, SocketLine
from paypoll.sandbox.sumup.tampering import Tampering

TOKEN_LIFE: Final = timedelta(seconds=3599)


class Simulator:
    """SumUp, simulated. A context manager: it listens inside the block, on a free port unless one is given.

    Every method may be called from any thread, and all but `url` also before and after the block. A checkout is named
    by its id; methods raise `ledger.NoCheckoutError` for one that is not there and `ledger.CheckoutStateError` when
    its state does not allow what is asked.

    `rotate_refresh_tokens`: each refresh gives a new refresh token and burns the old one. `seed`: the same ids in
    every run.
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
    ) -> None:
        """Raise ValueError if the host is not a loopback address: the control API has no password."""
        if not ip_address(host).is_loopback:
            raise ValueError("the sandbox listens on loopback addresses only")
        self._clock = clock or SystemClock()
        self._host = host
        self._port = port
        self._server: SandboxServer | None = None
        self.ledger = Ledger(self._clock, seed)
        self.keyring = Keyring(self._clock, token_life, rotate=rotate_refresh_tokens)
        self.faults = Faults()
        self.journal = Journal(self._clock)
        self._tampering = Tampering()
        self._api = SumUpApi(self.ledger, self.keyring, self._tampering, self._clock, self._pay_url)
        self._panel = Panel(
            self.ledger, self.keyring, self._tampering, self.faults, self.journal, self._clock, self._pay_url
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Listen. Raise OSError when the port is taken."""
        self._server = SandboxServer(self._host, self._port, self._respond)
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

    # --- who may ask -------------------------------------------------------------------------------------

    def add_merchant(self, code: str, api_key: str) -> None:
        """Let in whoever has the API key, as this merchant. A merchant may have several."""
        self.keyring.add_api_key(api_key, code)

    def add_client(self, client_id: str, secret: str, merchant_code: str = "") -> None:
        """Let an OAuth client fetch tokens; by client_credentials it acts for this merchant."""
        self.keyring.add_client(client_id, secret, merchant_code)

    def connect_merchant(self, merchant_code: str, client_id: str, refresh_token: str = "") -> str:
        """Return a refresh token (the given one), as if the merchant had let the client act for it."""
        return self.keyring.connect(client_id, merchant_code, refresh_token)

    def issue_access_token(self, merchant_code: str) -> str:
        """Return a new access token of a connected merchant, as it would stand in the shop's database."""
        return self.keyring.issue(Access(AuthKind.REFRESH_TOKEN, merchant_code))

    def revoke(self, merchant_code: str) -> None:
        """Take the merchant's connection back: its refresh tokens are `invalid_grant`, its access tokens unknown."""
        self.keyring.revoke(merchant_code)

    def expire_access_tokens(self) -> None:
        """Answer 401 to every access token given out so far."""
        self.keyring.expire_tokens()

    # --- checkouts ---------------------------------------------------------------------------------------

    def create_checkout(
        self,
        *,
        reference: str,
        amount: Decimal,
        currency: str = "GBP",
        merchant_code: str,
        checkout_id: str = "",
        valid_until: datetime | None = None,
        redirect_url: str = "",
        hosted: bool = False,
    ) -> str:
        """Make a PENDING checkout and return its id.

        Unlike SumUp's own POST it lets a merchant have two with the same reference. A hosted one expires after 30
        minutes, another one at `valid_until` or never. Raise `ledger.DuplicateError` when the id is taken.
        """
        wanted = Checkout(
            id=checkout_id,
            reference=reference,
            amount=amount,
            currency=currency,
            merchant_code=merchant_code,
            created_at=self._clock.now(),
            valid_until=valid_until,
            redirect_url=redirect_url,
            hosted=hosted,
        )
        return self.ledger.create(wanted, unique_reference=False).id

    def checkout(self, checkout_id: str) -> Checkout:
        """Return the checkout as it is now."""
        return self.ledger.get(checkout_id)

    def pay(self, checkout_id: str, *, card: str = CARD_THAT_PAYS, force: bool = False) -> Checkout:
        """Attempt to pay: PAID, or FAILED where SumUp's sandbox declines the card or the amount (11.00, 42.01, …).

        With `force` it is PAID whatever the amount, and also when it is EXPIRED: the payment was under way.
        """
        return self.ledger.pay(checkout_id, card=card, force=force)

    def decline(self, checkout_id: str) -> Checkout:
        """Let an attempt fail. The checkout is FAILED and can still be paid."""
        return self.ledger.decline(checkout_id)

    def expire(self, checkout_id: str) -> Checkout:
        """Make an unpaid checkout EXPIRED."""
        return self.ledger.close(checkout_id)

    def refund(self, checkout_id: str, amount: Decimal | None = None, *, status: str = "REFUNDED") -> Checkout:
        """Give money back, all that is left if no amount is given. `status` is the event's: PENDING, FAILED, …"""
        return self.ledger.give_back(checkout_id, Kind.REFUND, amount, status)

    def charge_back(self, checkout_id: str, amount: Decimal | None = None, *, status: str = "SUCCESSFUL") -> Checkout:
        """Let the customer's bank take money back, all that is left if no amount is given."""
        return self.ledger.give_back(checkout_id, Kind.CHARGE_BACK, amount, status)

    def forget(self, checkout_id: str) -> None:
        """Know nothing of the checkout any more: 404, and in no list."""
        self.ledger.forget(checkout_id)

    def tamper(self, checkout_id: str, /, **changed: object) -> None:
        """Put other values into SumUp's answer about the checkout, wherever it is told of (read, list, close).

        `tampering.ABSENT` leaves a field out, `jsontext.JsonText` writes any text in its place, and a Decimal is
        written digit for digit.
        """
        self._tampering.set(checkout_id, changed)

    def tamper_body(self, checkout_id: str, body: bytes) -> None:
        """Put these bytes in the place of SumUp's whole answer about the checkout."""
        self._tampering.set_body(checkout_id, body)

    def tamper_transaction(self, checkout_id: str, /, **changed: object) -> None:
        """Put other values into the answer about the checkout's latest transaction. Raise ValueError without one."""
        attempts = self.ledger.get(checkout_id).attempts
        if not attempts:
            raise ValueError("nobody has tried to pay this checkout")
        self._tampering.set(attempts[-1].id, changed)

    def untamper(self, checkout_id: str) -> None:
        """Undo all changes to the answers about the checkout and its transactions."""
        for name in (checkout_id, *(attempt.id for attempt in self.ledger.get(checkout_id).attempts)):
            self._tampering.clear(name)

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
