"""A shop with connected organisers, a simulated SumUp that they are connected to, and clients for both."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Protocol

import pytest
import sqlalchemy as sa

from paypoll.clock import Clock, SystemClock
from paypoll.runs.stop import Stop
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.sandbox.sumup.simulator import Simulator
from paypoll.sumup.auth import ApiKey
from paypoll.sumup.client import SumUpClient
from paypoll.sumup.options import SumUpOptions
from paypoll.sumup.organisers.credentials import OrganiserCredentials
from paypoll.sumup.organisers.refresh import OAuthClient, TokenRefresher
from paypoll.sumup.pace import Wait

CLIENT = OAuthClient("client-1", "client-secret-1")
PLATFORM, ORGANISER = "MPLATFORM", "MORGANISER"
HOUR = timedelta(seconds=3599)


@dataclass
class ManualClock:
    """A clock that only sleeping, or a test, moves."""

    seconds: float = 0.0
    stopping: bool = False

    def now(self) -> datetime:
        return datetime(2026, 5, 1, 18, 0, tzinfo=UTC) + timedelta(seconds=self.seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> bool:
        if not self.stopping:
            self.seconds += seconds
        return self.stopping


class Stage:
    """The shop, SumUp, and the connection of the organiser between them."""

    def __init__(self, engine: sa.Engine, shop: SmallShop, sumup: Simulator, clock: Clock) -> None:
        self.engine = engine
        self.shop = shop
        self.sumup = sumup
        self.clock = clock
        self.refresh_token = ""
        self.access_token = ""
        self.profile_id = 0

    def connect(self, merchant_code: str = ORGANISER, *, expires_in: float | None = 3599, **columns: Any) -> int:
        """Connect an organiser, at SumUp and in the shop, and return the id of the profile."""
        self.refresh_token = self.sumup.connect_merchant(merchant_code, CLIENT.id)
        self.access_token = self.sumup.issue_access_token(merchant_code)
        expires_at = None if expires_in is None else self.clock.now() + timedelta(seconds=expires_in)
        user_id = self.shop.add_organiser(
            f"{len(self.shop.rows('accounts_user'))}@example.org",
            "The Choir",
            **{
                "sumup_connection_status": "connected",
                "sumup_access_token": self.access_token,
                "sumup_refresh_token": self.refresh_token,
                "sumup_token_type": "Bearer",
                "sumup_scope": "payments",
                "sumup_expires_at": expires_at,
                "sumup_merchant_code": merchant_code,
                **columns,
            },
        )
        (profile,) = self.shop.rows("accounts_artistprofile", user_id=user_id)
        self.profile_id = int(profile["id"])
        return self.profile_id

    def checkout(self, merchant_code: str = ORGANISER, reference: str = "ORD-1") -> str:
        """Make a checkout at SumUp and return its id."""
        return self.sumup.create_checkout(reference=reference, amount=Decimal("25.00"), merchant_code=merchant_code)

    def profile(self, profile_id: int | None = None) -> dict[str, Any]:
        """Return the row of the profile that was connected last, or of another."""
        return self.shop.row("accounts_artistprofile", profile_id or self.profile_id)

    def change(self, **columns: Any) -> None:
        """Change the profile that was connected last, as a page of the shop does."""
        self.shop.update("accounts_artistprofile", self.profile_id, **columns)

    @property
    def refreshes(self) -> int:
        """How often SumUp was asked for a token."""
        return self.sumup.count("POST", "/token")

    @property
    def kinds(self) -> list[str]:
        """By what each request to SumUp was let in."""
        return [seen.auth.value for seen in self.sumup.requests if seen.path != "/token"]


class MakeClient(Protocol):
    """Makes clients with organisers' credentials, each as in a run of its own; closed after the test."""

    def __call__(
        self,
        *,
        engine: sa.Engine | None = None,
        oauth: OAuthClient | None = CLIENT,
        wait: Wait | None = None,
        read_only: bool = False,
        platform: str = PLATFORM,
        **limits: float,
    ) -> SumUpClient: ...


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def stage(engine: sa.Engine, shop: SmallShop, clock: ManualClock) -> Iterator[Stage]:
    """A stage on which only the test moves time."""
    with Simulator(clock=clock, rotate_refresh_tokens=True) as sumup:
        yield _set(engine, shop, sumup, clock)


@pytest.fixture
def real_time_stage(engine: sa.Engine, shop: SmallShop) -> Iterator[Stage]:
    """A stage on which time passes, for what happens at once."""
    clock = SystemClock()
    with Simulator(clock=clock, rotate_refresh_tokens=True) as sumup:
        yield _set(engine, shop, sumup, clock)


def _set(engine: sa.Engine, shop: SmallShop, sumup: Simulator, clock: Clock) -> Stage:
    sumup.add_merchant(PLATFORM, "platform-key")
    sumup.add_client(CLIENT.id, CLIENT.secret, PLATFORM)
    return Stage(engine, shop, sumup, clock)


@pytest.fixture
def make_client(stage: Stage, clock: ManualClock) -> Iterator[MakeClient]:
    """Clients on the stage; sleeping is by the manual clock unless `wait` is given."""
    yield from _maker(stage, clock.sleep)


@pytest.fixture
def make_real_time_client(real_time_stage: Stage) -> Iterator[MakeClient]:
    """Clients that really wait."""
    yield from _maker(real_time_stage, Stop().wait)


def _maker(stage: Stage, sleep: Wait) -> Iterator[MakeClient]:
    made: list[SumUpClient] = []

    def make(
        *,
        engine: sa.Engine | None = None,
        oauth: OAuthClient | None = CLIENT,
        wait: Wait | None = None,
        read_only: bool = False,
        platform: str = PLATFORM,
        **limits: float,
    ) -> SumUpClient:
        engine, wait = engine or stage.engine, wait or sleep
        limits = {"requests_per_second": 1000, "answer_timeout": 5, "read_timeout": 5, "breaker_after": 50} | limits
        refresher = TokenRefresher(engine, oauth, clock=stage.clock, wait=wait, read_only=read_only)
        client = SumUpClient(
            SumUpOptions(base_url=stage.sumup.url, **limits),  # type: ignore[arg-type]  # whole numbers as such
            OrganiserCredentials(engine, ApiKey("platform-key", merchant_code=platform), refresher),
            clock=stage.clock,
            wait=wait,
        )
        made.append(client)
        return client

    yield make
    for client in made:
        client.close()
