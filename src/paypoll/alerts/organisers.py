"""Refusals of organisers' connections to SumUp: one organiser's, or all of them, which is the platform's to mend."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import sqlalchemy as sa

from paypoll.alerts.desk import AlertDesk
from paypoll.payments.gateway import NotAllowed
from paypoll.shop.connections import count_connected
from paypoll.state.incidents import open_troubles

CLIENT_REFUSED = "client_refused"
_NOT_ALLOWED = "not_allowed:"
"""The start of the keys of troubles with one merchant's credential."""

_TOGETHER = timedelta(days=1)
"""Connections that were lost so shortly after one another may have been lost by one cause."""


@dataclass
class OrganiserRefusals:
    """What SumUp refused in a run, by merchant. `of_client`: where it refused the platform's OAuth client."""

    refused: dict[str, str] = field(default_factory=dict)
    of_client: dict[str, str] = field(default_factory=dict)

    def observe(self, look: NotAllowed) -> None:
        """Take in a refusal."""
        self.refused[look.merchant_code] = look.detail
        if look.about_client:
            self.of_client[look.merchant_code] = look.detail

    def is_about_client(self, connection: sa.Connection, answered: Collection[str]) -> bool:
        """Say whether it is the client, also for those who were not asked, or whose token is still good for a while.

        Said for the first time, of one organiser while others are answered, it may be a slip of SumUp's (18a).
        """
        if not self.of_client:
            return False
        return len(self.of_client) > 1 or not answered or bool(open_troubles(connection, CLIENT_REFUSED))

    def standstill(self, connection: sa.Connection, answered: Collection[str], platform: str) -> str:
        """Return what keeps all organisers' orders from going on, as far as this run has asked; empty: nothing."""
        if self.is_about_client(connection, answered):
            return f"SumUp refuses the platform's OAuth client: {_last(self.of_client)}"
        refused = {code: detail for code, detail in self.refused.items() if code not in {"", platform}}
        if len(refused) <= 1 or answered:
            return ""
        # One organiser may leave, and weeks later a second one; nearly all of them on one day do not by themselves.
        since = {one.key.removeprefix(_NOT_ALLOWED): one.since for one in open_troubles(connection, _NOT_ALLOWED)}
        lost = [since[code] for code in refused if code in since]
        together = [at for at in lost if max(lost) - at <= _TOGETHER]
        if len(together) > 1 and 2 * count_connected(connection, besides=refused) < len(together):
            return f"SumUp refuses the connections of all {len(together)} organisers asked for: {_last(refused)}"
        return ""


def tell_of_client(desk: AlertDesk, connection: sa.Connection, detail: str, now: datetime) -> None:
    """Tell that SumUp refuses the platform's OAuth client: one alert, in place of one an organiser."""
    desk.tell_of_trouble(
        connection,
        CLIENT_REFUSED,
        detail,
        tell_after=timedelta(0),
        headline="SumUp refuses the platform's OAuth client",
        found=(
            detail,
            "No organiser's access can be renewed with it. Their orders stay as they are until this is mended.",
        ),
        todo=(
            "Look at the platform's OAuth application in SumUp's developer settings: is it there, is its secret good?",
            "Correct sumup.client_id and sumup.client_secret. The organisers need not connect again.",
        ),
        now=now,
    )


def _last(details: Mapping[str, str]) -> str:
    return list(details.values())[-1]
