"""What a run came to, for people and for programs."""

from dataclasses import asdict
from typing import TYPE_CHECKING

from paypoll.cli.options import SCHEMA
from paypoll.cli.render.screen import json_text, styled
from paypoll.cli.render.words import numbered, status, wrapped
from paypoll.payments.decision import Outcome
from paypoll.runs.report import RunReport

if TYPE_CHECKING:
    from paypoll.runs.apply import Applied
    from paypoll.runs.apply_fee import FeeApplied

_HEADLINES = {
    Outcome.COMPLETE: "paid, tickets issued",
    Outcome.RESTORE: "put back to completed",
    Outcome.FAIL: "payment failed",
    Outcome.EXPIRE: "expired unpaid",
    Outcome.REVIEW: "needs a person",
    Outcome.UNCHANGED: "unchanged",
}
_FEE_HEADLINES = {**_HEADLINES, Outcome.COMPLETE: "paid", Outcome.RESTORE: "put back to paid"}


def report_json(report: RunReport) -> str:
    """Return the report as JSON."""
    return json_text(
        {
            "schema": SCHEMA,
            "run": report.run_id,
            "dry_run": report.dry,
            "ended": report.ended,
            "seconds": round(report.duration.total_seconds(), 3),
            "counts": report.counts(),
            "orders": [
                {
                    "id": applied.order_id,
                    "number": applied.order_number,
                    "outcome": applied.outcome.value,
                    "reason": applied.reason.value,
                    "explanation": applied.explanation,
                    "status_from": applied.status_from,
                    "status_to": applied.status_to,
                    "tickets": applied.tickets,
                    "alerts": len(applied.told),
                    "told": list(applied.told),
                    "assumed_closed": list(applied.assumed),
                }
                for applied in report.applied
            ],
            "fees": [
                {
                    "reference": fee.reference,
                    "outcome": fee.outcome.value,
                    "reason": fee.reason.value,
                    "explanation": fee.explanation,
                    "state_from": fee.state_from,
                    "state_to": fee.state_to,
                    "published": fee.published,
                    "alerts": len(fee.told),
                    "told": list(fee.told),
                    "assumed_closed": list(fee.assumed),
                }
                for fee in report.fees
            ],
            "ledger": asdict(report.swept),
            "held_back": report.held_back,
            "sumup_halted": report.sumup_halted,
            "standstills": report.standstills,
            "paused": [asdict(one) for one in report.paused],
            "errors": [{"order": error.order, "error": error.error} for error in report.order_errors],
            "mail": {
                "sent": report.delivered.sent,
                "put_off": report.delivered.put_off,
                "undeliverable": report.delivered.undeliverable,
                "unexpected": report.delivered.unexpected,
                "halted": report.delivered.halted,
                "alerts_halted": report.delivered.alerts_halted,
            },
        }
    )


def report_lines(report: RunReport, *, verbose: bool) -> list[str]:
    """Return the report for a person: with `verbose` an order after the other, then the sum of it."""
    lines = []
    if verbose:
        width = max((len(applied.order_number) for applied in report.applied), default=0)
        for applied in report.applied:
            lines += _order_lines(applied, min(width, 24), dry=report.dry)
        for fee in report.fees:
            lines += _fee_lines(fee, dry=report.dry)
        for error in report.order_errors:
            lines.append(f"{error.order}  " + styled("met an error; it stays due", fg="red"))
            lines += wrapped(error.error, 4)
    return [*lines, *_summary(report)]


def _order_lines(applied: "Applied", width: int, *, dry: bool) -> list[str]:
    change = status(applied.status_to)
    if applied.status_from != applied.status_to:
        change = f"{applied.status_from} -> {change}"
    would = "would be: " if dry and applied.outcome is not Outcome.UNCHANGED else ""
    tickets = f", {applied.tickets} ticket{'s' if applied.tickets != 1 else ''}" if applied.tickets else ""
    told = ", admins told" if applied.told and not dry else ""
    headline = f"{applied.order_number:<{width}}  {would}{_HEADLINES[applied.outcome]}{tickets}{told}"
    assumed = f"provided that SumUp closes checkout {', '.join(applied.assumed)}" if applied.assumed else ""
    return [
        headline,
        *wrapped(applied.explanation, width + 2),
        *(wrapped(assumed, width + 2) if assumed else ()),
        f"{'':{width}}  {change}",
    ]


def _fee_lines(fee: "FeeApplied", *, dry: bool) -> list[str]:
    would = "would be: " if dry and fee.outcome is not Outcome.UNCHANGED else ""
    published = ", event published" if fee.published else ""
    told = ", admins told" if fee.told and not dry else ""
    change = status(fee.state_to) if fee.state_from == fee.state_to else f"{fee.state_from} -> {status(fee.state_to)}"
    assumed = f"provided that SumUp closes checkout {', '.join(fee.assumed)}" if fee.assumed else ""
    return [
        f"{fee.reference}  {would}listing fee {_FEE_HEADLINES[fee.outcome]}{published}{told}",
        *wrapped(fee.explanation, 4),
        *(wrapped(assumed, 4) if assumed else ()),
        f"    {change}",
    ]


def _summary(report: RunReport) -> list[str]:
    outcomes = [outcome for outcome in Outcome if any(one.outcome is outcome for one in report.applied)]
    parts = [f"{sum(one.outcome is outcome for one in report.applied)} {_HEADLINES[outcome]}" for outcome in outcomes]
    orders = len(report.applied)
    seconds = report.duration.total_seconds()
    first = f"{numbered(orders, 'order')} looked at in {seconds:.1f} s"
    lines = [first + (": " + ", ".join(parts) if parts else "")]
    if report.fees:
        paid = sum(fee.outcome is Outcome.COMPLETE for fee in report.fees)
        published = sum(fee.published for fee in report.fees)
        lines.append(f"listing fees: {len(report.fees)} looked at, {paid} paid, {published} events published")
    if report.dry:
        return [*lines, "Dry run: nothing was changed, neither here nor at SumUp."]
    mail = report.delivered
    lines.append(f"mail: {mail.sent} sent, {mail.put_off} waiting, {mail.undeliverable} undeliverable")
    if mail.unexpected:
        words = f"mails that met an unforeseen error and wait: {mail.unexpected} (`paypoll queue` shows it)"
        lines.append(styled(words, fg="red"))
    if mail.halted:
        lines.append(styled(f"mail stopped: {mail.halted}", fg="yellow"))
    if report.sumup_halted:
        lines.append(styled(f"SumUp: {report.sumup_halted}; the other orders stay due", fg="yellow"))
    if report.held_back:
        words = (
            f"{numbered(report.held_back, 'order')} held back: SumUp denies too many at once; is the key this shop's?"
        )
        lines.append(styled(words, fg="red"))
    lines += [styled(f"stands still: {standstill}", fg="red") for standstill in report.standstills]
    if report.swept.payments:
        swept = report.swept
        words = f"SumUp's ledger: {swept.payments} payments read, {swept.findings} new findings"
        lines.append(words + (f", {swept.due} orders due at once" if swept.due else ""))
    lines += [styled(f"paused: {one.words}, by {one.by_whom}: {one.reason}", fg="yellow") for one in report.paused]
    if report.order_errors:
        lines.append(styled(f"{numbered(len(report.order_errors), 'order')} met an error: due again", fg="red"))
    if report.taken_over:
        lines.append(f"{numbered(report.taken_over, 'order')} in the hands of another run")
    if report.ended != "finished":
        lines.append(styled(f"the run ended early: {report.ended.replace('_', ' ')}", fg="yellow"))
    return lines
