"""Whose ledgers at SumUp are to be read now. A run asks this before it loads anything else."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from paypoll.settings.model import Settings
from paypoll.shop.connections import CONNECTED_MERCHANTS, connected_merchants
from paypoll.state.ledger import CURSORS, begin_new, due_among
from paypoll.state.pauses import EVERYTHING
from paypoll.statements import Together


def merchants(connection: sa.Connection, settings: Settings) -> list[str]:
    """Return the merchants whose ledger is held against the orders, the platform's own first."""
    return _ours(settings, connected_merchants(connection))


def ledgers_due(connection: sa.Connection, settings: Settings, now: datetime) -> list[str]:
    """Return those of them that are due; none where `ledger.every` is zero, or a person has paused everything."""
    every = settings.ledger.every
    if not every or connection.dialect.name != "postgresql":
        return []
    rows = _ALL.ask(connection, {})
    if rows["paused"]:
        return []
    connected = sorted(str(row["merchant_code"]) for row in rows["connected"])
    return due_among(rows["cursors"], _ours(settings, connected), every, now)


def note_new_ledgers(connection: sa.Connection, settings: Settings, now: datetime) -> None:
    """Note from when the ledger of each merchant who is new here is to be read: `ledger.since` ago.

    In a run's beginning, because the first sweep may be days away: while the key is refused, or paypoll is off.
    """
    if settings.ledger.every and connection.dialect.name == "postgresql":
        begin_new(connection, merchants(connection, settings), settings.ledger.since, now)


_ALL = Together(paused=EVERYTHING, connected=CONNECTED_MERCHANTS, cursors=CURSORS)


def _ours(settings: Settings, connected: Sequence[str]) -> list[str]:
    every = dict.fromkeys((settings.sumup.merchant_code, *connected))
    return [code for code in every if code and code not in settings.ledger.ignore]
