"""`paypoll runs`."""

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from paypoll.cli.opening import opened_app
from paypoll.cli.options import SCHEMA, DurationType, json_option, verbose_option
from paypoll.cli.render.screen import json_text, show, show_paged
from paypoll.cli.render.table import Column, Table
from paypoll.cli.render.words import brief, status
from paypoll.clock import ago

if TYPE_CHECKING:
    from paypoll.state.runs import LastRun

# What a run did, in the order in which it is told; a run that did none of it was idle.
_DEEDS = (
    ("outcome_complete", "paid"),
    ("outcome_restore", "put back"),
    ("outcome_review", "to review"),
    ("outcome_fail", "failed"),
    ("outcome_expire", "expired"),
    ("outcome_unchanged", "unchanged"),
    ("errors", "with errors"),
    ("mails_sent", "mailed"),
    ("mails_put_off", "mails waiting"),
    ("mails_undeliverable", "mails undeliverable"),
)


@click.command("runs")
@click.option("-n", "--limit", type=click.IntRange(1, 10_000), default=20, show_default=True, help="So many at most.")
@click.option("--since", type=DurationType(), help="Only those of the last hours or days, such as 2h or 7d.")
@click.option("--idle/--no-idle", default=True, show_default=True, help="With or without runs that had nothing to do.")
@json_option
@verbose_option
@click.pass_context
def runs_command(
    context: click.Context, *, limit: int, since: timedelta | None, idle: bool, as_json: bool, verbose: bool
) -> None:
    """Show the history of runs, the newest first: when, how long, how it ended and what it did.

    \b
    Examples:
      paypoll runs
      paypoll runs --since 1d --no-idle
    """
    from paypoll.database import transaction
    from paypoll.state.runs import run_history
    from paypoll.state.upgrade import require_ready

    with opened_app(context, verbose=verbose, read_only=True) as app:
        require_ready(app.engine)
        now = app.clock.now()
        start = now - since if since is not None else None
        with transaction(app.engine) as connection:
            runs = run_history(connection, limit=limit, since=start, idle=idle)
    if as_json:
        document = {"schema": SCHEMA, "runs": [asdict(run) for run in runs]}
        show(json_text(document))
    else:
        show_paged(runs_parts(runs, now))


def runs_parts(runs: "list[LastRun]", now: datetime) -> "list[str | Table]":
    """Return the runs as a table."""
    if not runs:
        return ["No run yet."]
    one_host = len({run.host for run in runs}) == 1
    rows = []
    for run in runs:
        took = brief(run.ended_at - run.started_at) if run.ended_at else ""
        did = _did(run) if run.command == "run-once" else f"{run.command}: {_did(run)}".rstrip(" :")
        ended = status(run.ended) if run.ended else "under way, or killed"
        rows.append((ago(run.started_at, now), took, ended, did if one_host else f"{did} ({run.host})"))
    columns = (Column("started"), Column("took", right=True), Column("ended"), Column("what it did"))
    return [Table(columns, rows)]


def _did(run: "LastRun") -> str:
    if not run.ended:
        return ""
    if run.ended == "failed" and not any(run.counts.values()):
        return "see the log"
    told = [f"{run.counts[key]} {word}" for key, word in _DEEDS if run.counts.get(key)]
    return ", ".join(told) or "nothing to do"
