"""Organisers' connections to SumUp, as the shop's profiles hold them. What changes them is in `changes`."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from paypoll.database import readable
from paypoll.shop.tables import organisers

CONNECTED = "connected"
EXPIRED = "expired"
_BROKEN = (EXPIRED, "error")
CONNECTED_MERCHANTS = (
    sa.select(organisers.c.sumup_merchant_code.label("merchant_code"))
    .where(
        organisers.c.sumup_connection_status == CONNECTED,
        organisers.c.sumup_merchant_code != "",
        organisers.c.sumup_access_token != "",
    )
    .distinct()
)
"""The merchants of all organisers who are connected."""
_CONNECTIONS = sa.select(
    organisers.c.id,
    organisers.c.sumup_merchant_code,
    organisers.c.sumup_connection_status,
    organisers.c.sumup_access_token,
    organisers.c.sumup_refresh_token,
    # An expiry that is no date here is none that was noted: SumUp says whether the token is good.
    readable(organisers.c.sumup_expires_at, or_null=True).label("sumup_expires_at"),
)


@dataclass(frozen=True, slots=True)
class OrganiserConnection:
    """One profile's OAuth tokens. `expires_at` is None where the shop noted no expiry; tokens are in no repr."""

    profile_id: int
    merchant_code: str
    status: str
    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    expires_at: datetime | None

    @property
    def is_connected(self) -> bool:
        """Whether the shop counts the organiser as connected: the status, an access token and a merchant code."""
        return self.status == CONNECTED and bool(self.access_token and self.merchant_code)

    @property
    def is_broken(self) -> bool:
        """Whether the organiser was connected, and has to connect again."""
        return self.status in _BROKEN


def find_connections(connection: sa.Connection, merchant_code: str) -> tuple[OrganiserConnection, ...]:
    """Return the connections to this very merchant, whatever their state, the oldest profile first.

    Nothing in the shop's schema keeps two organisers from sharing a merchant.
    """
    if not merchant_code:  # the shop stores "none" as an empty string
        return ()
    query = _CONNECTIONS.where(organisers.c.sumup_merchant_code == merchant_code).order_by(organisers.c.id)
    return tuple(_connection(row) for row in connection.execute(query).mappings())


def connected_merchants(connection: sa.Connection) -> tuple[str, ...]:
    """Return the merchants of all organisers who are connected, each once."""
    return tuple(sorted(connection.scalars(CONNECTED_MERCHANTS)))


def reread_connection(connection: sa.Connection, known: OrganiserConnection) -> OrganiserConnection | None:
    """Return the connection as it is now; None when the profile is gone or belongs to another merchant now."""
    query = _CONNECTIONS.where(
        organisers.c.id == known.profile_id, organisers.c.sumup_merchant_code == known.merchant_code
    )
    row = connection.execute(query).mappings().first()
    return _connection(row) if row is not None else None


def count_connected(connection: sa.Connection, besides: Collection[str]) -> int:
    """Return how many merchants are connected besides these."""
    merchant = organisers.c.sumup_merchant_code
    connected = sa.select(sa.func.count(merchant.distinct())).where(
        organisers.c.sumup_connection_status == CONNECTED, merchant != "", merchant.not_in(list(besides))
    )
    return connection.scalar(connected) or 0


def _connection(row: sa.RowMapping) -> OrganiserConnection:
    return OrganiserConnection(
        profile_id=row["id"],
        merchant_code=row["sumup_merchant_code"],
        status=row["sumup_connection_status"],
        access_token=row["sumup_access_token"],
        refresh_token=row["sumup_refresh_token"],
        expires_at=row["sumup_expires_at"],
    )
