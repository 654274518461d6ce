"""Whose ledgers at SumUp are to be read now. A run asks this before it loads anything else."""

from datetime import datetime

import sqlalchemy as sa

from paypoll.settings.model import Settings
from paypoll.shop.connections import connected_merchants
from paypoll.state.ledger import is_due
from paypoll.state.pauses import is_everything_paused


def merchants(connection: sa.Connection, settings: Settings) -> list[str]:
    """Return the merchants whose ledger is held against the orders, the platform's own first."""
    every = dict.fromkeys((settings.sumup.merchant_code, *connected_merchants(connection)))
    return [code for code in every if code and code not in settings.ledger.ignore]


def ledgers_due(connection: sa.Connection, settings: Settings, now: datetime) -> list[str]:
    """Return those of them that are due; none where `ledger.every` is zero, or a person has paused everything."""
    every = settings.ledger.every
    if every and is_everything_paused(connection):
        return []
    return is_due(connection, merchants(connection, settings), every, now) if every else []
