"""A running simulator whose clock the test moves, and a client that talks to it over real HTTP."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
import requests

from paypoll.sandbox.sumup.simulator import Simulator

MERCHANT = "MPLATFORM"
KEY = "sup_sk_platform"
OTHER_MERCHANT = "MORGANISER"
OTHER_KEY = "sup_sk_organiser"
LONG = 10.0


class MovableClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.time = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()

    def move(self, **ahead: float) -> None:
        self.time += timedelta(**ahead)


class Client:
    """Asks the simulator, with one connection kept open. `patience` is how many seconds it waits."""

    def __init__(self, url: str, bearer: str = KEY) -> None:
        self.url = url
        self.patience = LONG
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.headers["Authorization"] = f"Bearer {bearer}"

    def get(self, path: str, **params: str | list[str]) -> requests.Response:
        return self.session.get(self.url + path, params=params, timeout=self.patience, allow_redirects=False)

    def delete(self, path: str) -> requests.Response:
        return self.session.delete(self.url + path, timeout=self.patience, allow_redirects=False)

    def post(self, path: str, body: object = None, **headers: str) -> requests.Response:
        return self.session.post(
            self.url + path, json=body, headers=headers, timeout=self.patience, allow_redirects=False
        )

    def submit(self, path: str, **form: str) -> requests.Response:
        # An empty form has no body, and then requests would leave the type out.
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return self.session.post(
            self.url + path, data=form, headers=headers, timeout=self.patience, allow_redirects=False
        )


MakeClient = Callable[..., Client]


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def sim(clock: MovableClock) -> Iterator[Simulator]:
    before = threading.active_count()
    with Simulator(clock=clock) as sim:
        sim.add_merchant(MERCHANT, KEY)
        sim.add_merchant(OTHER_MERCHANT, OTHER_KEY)
        yield sim
    assert threading.active_count() == before, "the simulator left threads behind"


@pytest.fixture
def make_client(sim: Simulator) -> Iterator[MakeClient]:
    made: list[Client] = []

    def make(bearer: str = KEY) -> Client:
        made.append(Client(sim.url, bearer))
        return made[-1]

    yield make
    for client in made:
        client.session.close()


@pytest.fixture
def client(make_client: MakeClient) -> Client:
    return make_client()


@pytest.fixture
def transaction(sim: Simulator, checkout: str) -> str:
    """The transaction of the checkout over 10.10 GBP, which is paid."""
    payment = sim.pay(checkout).payment
    assert payment is not None
    return payment.id


@pytest.fixture
def checkout(sim: Simulator) -> str:
    """A PENDING checkout of the platform over 10.10 GBP, reference ORD-1."""
    return sim.create_checkout(reference="ORD-1", amount=Decimal("10.10"), merchant_code=MERCHANT)
