"""`paypoll queue`."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from paypoll.cli.opening import opened_app
from paypoll.cli.options import SCHEMA, json_option, pasted_order, verbose_option
from paypoll.cli.render.screen import json_text, show, show_paged
from paypoll.cli.render.steps import command_lines
from paypoll.cli.render.words import headed, more, numbered, status, wrapped
from paypoll.clock import ago, span

if TYPE_CHECKING:
    from paypoll.admin.queue import Backlog, OpenRefund, OpenTrouble, UnsentMail, WaitingOrder
    from paypoll.alerts.next_steps import Step
    from paypoll.settings.model import SiteSettings
    from paypoll.state.astray import AstrayOrder
    from paypoll.state.resolutions import OpenReview
    from paypoll.state.waiting_fees import WaitingFee

_MOST_SHOWN = 40
_FEW = 10
"""Of so many reviews each is shown with all its commands."""


@click.command("queue")
@click.option("--reviews", "only_reviews", is_flag=True, help="Only what waits for a person, the most urgent first.")
@click.option("--find", metavar="TEXT", default="", help="Only what is of this e-mail, name, checkout or ticket.")
@click.option(
    "--limit", type=click.IntRange(min=0), default=_MOST_SHOWN, show_default=True, help="So many of each; 0: all."
)
@json_option
@verbose_option
@click.pass_context
def queue_command(
    context: click.Context, *, only_reviews: bool, find: str, limit: int, as_json: bool, verbose: bool
) -> None:
    """Show what waits: orders for SumUp, reviews for a person, mail for the mail server.

    Also what was paid after a person had closed its review; listing fees that wait, are marked as paid without a
    payment, or were paid twice; and recent orders that a page of the shop completed by itself: paid with tickets
    missing, tickets that no scanner reads, tickets of unpaid orders. And what admins were told of money that bought
    nothing, or may be held, and the open findings of SumUp's ledger: `paypoll resolve --finding` closes each. And the
    refunds that have not ended.

    \b
    Examples:
      paypoll queue
      paypoll queue --reviews --limit 10
      paypoll queue --find ada@example.org
    """
    from paypoll.admin.queue import load_backlog

    with opened_app(context, verbose=verbose, read_only=True) as app:
        site = app.settings.site
        backlog = load_backlog(
            app.engine, app.clock.now(), find=pasted_order(find), zone=site.zone, only_reviews=only_reviews
        )
    if as_json:
        show(backlog_json(backlog, site))
    else:
        show_paged(backlog_lines(backlog, site, limit or sys.maxsize))


def backlog_json(backlog: "Backlog", site: "SiteSettings") -> str:
    """Return the backlog as JSON."""
    document: dict[str, Any] = {"schema": SCHEMA, "currency": site.currency, **asdict(backlog)}
    return json_text(document)


def backlog_lines(backlog: "Backlog", site: "SiteSettings", limit: int = _MOST_SHOWN) -> list[str]:
    """Return the backlog in lines of a terminal, so many of each kind."""
    from paypoll.alerts.ledger import is_told_case
    from paypoll.cli.render.findings import finding_entry

    few = len(backlog.findings) <= _FEW
    told = [finding for finding in backlog.findings if is_told_case(finding)]
    ledger = [finding for finding in backlog.findings if not is_told_case(finding)]
    lines = _last_run_lines(backlog)
    if backlog.empty:
        return [*lines, "", "Nothing waits."]
    parts: list[tuple[str, Sequence[Any], Callable[[Any], list[str]]]] = [
        ("Waiting for a person", backlog.reviews, lambda review: _review_entry(review, backlog, site)),
        ("Completed by the shop itself", backlog.astray, lambda astray: _astray_lines(astray, backlog, site)),
        ("Listing fees", backlog.fees, lambda fee: _fee_lines(fee, backlog)),
        ("Told, and not settled", told, lambda finding: finding_entry(finding, backlog.now, few=few)),
        ("SumUp's ledger does not fit", ledger, lambda finding: finding_entry(finding, backlog.now, few=few)),
        ("Refunds under way", backlog.refunds, lambda refund: _refund_lines(refund, backlog)),
        ("Mail not sent", backlog.mails, lambda mail: mail_lines(mail, backlog.now)),
        # Last: hundreds of these need nobody, and the rest is not to be looked for behind them.
        ("Waiting for SumUp", backlog.waiting, lambda order: _waiting_lines(order, backlog, site)),
    ]
    if backlog.troubles:
        lines += headed("Troubles")
        for trouble in backlog.troubles:
            lines += _trouble_lines(trouble, backlog)
    for title, entries, lines_of in parts:
        if entries:
            lines += headed(f"{title} ({len(entries)})")
            for entry in entries[:limit]:
                lines += lines_of(entry)
            lines += more(len(entries), limit)
    return lines


def _last_run_lines(backlog: "Backlog") -> list[str]:
    run = backlog.last_run
    if run is None:
        return ["No run yet."]
    how = run.ended or "under way, or killed"
    if run.ended_at:
        how = f"{how} after {span(run.ended_at - run.started_at)}"
    return wrapped(f"Last run: {ago(run.started_at, backlog.now)} on {run.host} ({run.command}), {how}", 0)


def _waiting_lines(order: "WaitingOrder", backlog: "Backlog", site: "SiteSettings") -> list[str]:
    from paypoll.payments.money import show_amount

    amount = show_amount(order.total, site.currency)
    lines = wrapped(f"{order.order_number}  {amount}, placed {ago(order.created_at, backlog.now)}")
    if order.paused:
        return lines + wrapped("paused; `paypoll check` says by whom and why", 6)
    if order.last_checked_at is None:
        return lines + wrapped("not looked at yet; in the next run", 6)
    last = f"asked {ago(order.last_checked_at, backlog.now)}: {order.last_answer.replace('_', ' ')}"
    due = order.next_check_at
    following = "in the next run" if due is None or due <= backlog.now else ago(due, backlog.now)
    return lines + wrapped(f"{last}; again {following}", 6)


def _fee_lines(fee: "WaitingFee", backlog: "Backlog") -> list[str]:
    from paypoll.alerts.next_steps import steps_of_fee
    from paypoll.payments.money import show_amount

    whom = "waits for a person" if fee.for_person else "waits for SumUp"
    amount = show_amount(fee.amount, fee.currency)
    lines = wrapped(f"{fee.reference}  {amount}, made {ago(fee.created_at, backlog.now)}, {whom}")
    lines += wrapped(f"{fee.event_title} ({fee.event_status}); the fee is {fee.status}", 6)
    if fee.last_checked_at is not None:
        lines += wrapped(f"asked {ago(fee.last_checked_at, backlog.now)}: {fee.last_answer.replace('_', ' ')}", 6)
    lines += wrapped(fee.explanation, 6) if fee.explanation else []
    if not fee.for_person:
        return lines
    few = sum(one.for_person for one in backlog.fees) <= _FEW
    steps = steps_of_fee(f"review:{fee.reason}", fee.reference)
    return lines + command_lines(steps if few else steps[:1])


def _refund_lines(refund: "OpenRefund", backlog: "Backlog") -> list[str]:
    from paypoll.alerts.next_steps import order_word, steps_of_order
    from paypoll.payments.money import show_amount

    amount = show_amount(refund.amount, refund.currency)
    sent = "not sent yet" if refund.state == "intended" else "asked for at SumUp"
    lines = wrapped(f"{refund.order_number}  {amount}, since {span(backlog.now - refund.created_at)}, {sent}")
    lines += wrapped(f"by {refund.who}: {refund.reason}", 6)
    lines += wrapped(refund.note, 6) if refund.note else []
    return lines + command_lines(steps_of_order("refund_not_shown", order_word(refund.order_id, refund.order_number)))


def _review_lines(review: "OpenReview", backlog: "Backlog", site: "SiteSettings") -> list[str]:
    from paypoll.payments.money import show_amount

    amount = show_amount(review.total, site.currency)
    event = f", event on {review.next_event:%d %B %Y}" if review.next_event else ""
    lines = wrapped(f"{review.order_number}  {amount}, since {span(backlog.now - review.since)}{event}")
    why = f"[{review.reason}] {review.explanation}" if review.reason else "put there by the shop, not by paypoll"
    return lines + wrapped(why, 6)


def _review_entry(review: "OpenReview", backlog: "Backlog", site: "SiteSettings") -> list[str]:
    few = len(backlog.reviews) <= _FEW
    return _review_lines(review, backlog, site) + command_lines(_review_steps(review, few=few))


def _review_steps(review: "OpenReview", *, few: bool) -> "list[Step]":
    """Return what to paste: of many reviews only the command that shows one, and with it the others."""
    from paypoll.alerts.next_steps import order_word, steps_of_review

    steps = steps_of_review(review.reason, order_word(review.order_id, review.order_number))
    return steps if few else steps[:1]


def _astray_lines(order: "AstrayOrder", backlog: "Backlog", site: "SiteSettings") -> list[str]:
    from paypoll.cli.render.astray import astray_sentences, astray_steps
    from paypoll.payments.money import show_amount

    amount = show_amount(order.total, site.currency)
    lines = wrapped(f"{order.order_number}  {amount}, placed {ago(order.created_at, backlog.now)}")
    lines += [line for sentence in astray_sentences(order) for line in wrapped(sentence, 6)]
    return lines + command_lines(astray_steps(order))


def mail_lines(mail: "UnsentMail", now: datetime) -> list[str]:
    """Return a mail that has not gone out: what, to whom, since when, the next attempt and the last answer."""
    about = f" of {mail.order_number}" if mail.order_number else ""
    lines = wrapped(f"{mail.id}  {mail.kind.replace('_', ' ')}{about} to {', '.join(mail.recipients) or '(nobody)'}")
    tried = numbered(mail.attempts, "attempt")
    again = f", again {ago(mail.next_attempt_at, now) if mail.next_attempt_at > now else 'in the next run'}"
    lines += [
        f"      {status(mail.state)} since {span(now - mail.created_at)}, {tried}"
        + (again if mail.state != "undeliverable" else "")
    ]
    lines += wrapped(mail.last_error, 6) if mail.last_error else []
    return lines + command_lines(_mail_steps(mail))


def _mail_steps(mail: "UnsentMail") -> "list[Step]":
    from paypoll.alerts.next_steps import order_word, steps_of_mail

    return steps_of_mail(mail.id, order_word(mail.order_id, mail.order_number) if mail.order_id else "")


def _trouble_lines(trouble: "OpenTrouble", backlog: "Backlog") -> list[str]:
    from paypoll.alerts.next_steps import steps_of_whole

    told = "admins were told" if trouble.told else "admins are told if it lasts"
    # What stands behind the second colon tells one trouble of a kind from the next; the detail says it in words.
    name = ": ".join(part for part in trouble.key.replace("_", " ").split(":")[:2] if part)
    head = f"{name}, since {span(backlog.now - trouble.since)}; {told}"
    return wrapped(head) + wrapped(trouble.detail, 6) + command_lines(steps_of_whole(trouble.key))
