"""Put right what version 0.1.0 made of guests: accounts that nobody can enter, and completed orders without one.

For the owner of the shop's tables: paypoll's own role can change no account, and must not be able to.
"""

from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from paypoll.database import transaction
from paypoll.errors import NotAllowedError
from paypoll.shop.accounts import give_owner, let_in, may_change_accounts
from paypoll.state.audit import record
from paypoll.state.guest_repair import LockedOut, Ownerless, find_locked_out, find_ownerless
from paypoll.state.runs import new_run_id
from paypoll.state.upgrade import require_ready

ACTION = "repaired"


@dataclass(frozen=True, slots=True)
class Damage:
    """What is to be put right: accounts to let their owners into, and orders to give to their tickets' accounts."""

    accounts: tuple[LockedOut, ...]
    orders: tuple[Ownerless, ...]

    @property
    def none(self) -> bool:
        """Whether there is nothing to put right."""
        return not (self.accounts or self.orders)


@dataclass(frozen=True, slots=True)
class Repaired:
    """What was put right: what the shop, or somebody else, changed since it was looked at is left as it is."""

    accounts: int
    orders: int


def find_damage(engine: sa.Engine) -> Damage:
    """Return what 0.1.0 left, changing nothing. Raise NotAllowedError for a role that may not put it right."""
    require_ready(engine)
    with transaction(engine) as connection:
        _require_owner(connection)
        return Damage(tuple(find_locked_out(connection)), tuple(find_ownerless(connection)))


def repair(engine: sa.Engine, damage: Damage, who: str, now: datetime) -> Repaired:
    """Put right what was found, in one transaction, and write into the audit trail who did. Mails nobody."""
    run_id = new_run_id(now)
    with transaction(engine) as connection:
        _require_owner(connection)
        still = {account.user_id for account in find_locked_out(connection)}
        accounts = let_in(connection, still.intersection(account.user_id for account in damage.accounts))
        given = [order for order in damage.orders if give_owner(connection, order.order_id, order.user_id, now)]
        for order in given:
            record(
                connection,
                now=now,
                action=ACTION,
                actor=who,
                run_id=run_id,
                order_id=order.order_id,
                order_number=order.order_number,
                explanation=f"the order had no account; it is that of account {order.user_id} now, as its tickets are",
            )
        if accounts:
            explanation = f"{accounts} guests' accounts can be entered by the owners of their addresses now"
            record(connection, now=now, action=ACTION, actor=who, run_id=run_id, explanation=explanation)
    return Repaired(accounts, len(given))


def _require_owner(connection: sa.Connection) -> None:
    if not may_change_accounts(connection):
        raise NotAllowedError(
            "paypoll's own role may not change accounts, and must not be able to: run this as the owner of the shop's "
            "tables (PAYPOLL_AS=postgres PAYPOLL_DATABASE__URL=postgresql:///shop paypoll db repair-guests)"
        )
