"""Findings of SumUp's ledger, in lines of a terminal."""

from datetime import datetime

from paypoll.alerts.ledger import closing_steps, facts, headline
from paypoll.cli.render.steps import command_lines
from paypoll.cli.render.words import wrapped
from paypoll.clock import ago
from paypoll.state.findings import Finding


def finding_entry(finding: Finding, now: datetime, *, few: bool) -> list[str]:
    """Return an open finding with what to paste; of many without the command that explains."""
    steps = closing_steps(finding)
    return finding_lines(finding, now) + command_lines(steps if few else steps[:-1])


def finding_lines(finding: Finding, now: datetime) -> list[str]:
    """Return what a finding is, what is known of it, and what became of it."""
    lines = wrapped(f"{finding.id}  {headline(finding)}")
    lines += [line for sentence in facts(finding) for line in wrapped(sentence, 6)]
    if finding.closed_at is not None:
        return lines + wrapped(f"closed {ago(finding.closed_at, now)} by {finding.closed_by}: {finding.closed_why}", 6)
    told = "admins were told" if finding.told_at is not None else "admins are told at the end of the sweep"
    return lines + wrapped(f"found {ago(finding.first_seen_at, now)}; {told}", 6)
