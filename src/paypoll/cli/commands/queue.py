"""`paypoll queue`."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from paypoll.cli.opening import opened_app
from paypoll.cli.options import SCHEMA, json_option, verbose_option
from paypoll.cli.render.screen import json_text, show
from paypoll.cli.render.words import headed, more, status, wrapped
from paypoll.clock import ago, span

if TYPE_CHECKING:
    from paypoll.admin.queue import Backlog, OpenTrouble, UnsentMail, WaitingFee, WaitingOrder
    from paypoll.settings.model import SiteSettings
    from paypoll.state.astray import AstrayOrder
    from paypoll.state.resolutions import OpenReview

_MOST_SHOWN = 40


@click.command("queue")
@json_option
@verbose_option
@click.pass_context
def queue_command(context: click.Context, *, as_json: bool, verbose: bool) -> None:
    """Show what waits: orders for SumUp, reviews for a person, mail for the mail server.

    Also listing fees that wait, and recent orders that a page of the shop completed by itself: paid with tickets
    missing, tickets that no scanner reads, tickets of unpaid orders. And the open findings of SumUp's ledger, which
    `paypoll resolve --finding` closes.

    \b
    Examples:
      paypoll queue
      paypoll queue --json
    """
    from paypoll.admin.queue import load_backlog

    with opened_app(context, verbose=verbose, read_only=True) as app:
        backlog = load_backlog(app.engine, app.clock.now())
        site = app.settings.site
    show(backlog_json(backlog, site).splitlines() if as_json else backlog_lines(backlog, site))


def backlog_json(backlog: "Backlog", site: "SiteSettings") -> str:
    """Return the backlog as JSON."""
    document: dict[str, Any] = {"schema": SCHEMA, "currency": site.currency, **asdict(backlog)}
    return json_text(document)


def backlog_lines(backlog: "Backlog", site: "SiteSettings") -> list[str]:
    """Return the backlog in lines of a terminal."""
    from paypoll.cli.render.findings import finding_lines

    lines = _last_run_lines(backlog)
    if backlog.empty:
        return [*lines, "", "Nothing waits."]
    parts: list[tuple[str, Sequence[Any], Callable[[Any], list[str]]]] = [
        ("Waiting for SumUp", backlog.waiting, lambda order: _waiting_lines(order, backlog, site)),
        ("Waiting for a person", backlog.reviews, lambda review: _review_lines(review, backlog, site)),
        ("Completed by the shop itself", backlog.astray, lambda astray: _astray_lines(astray, backlog, site)),
        ("Listing fees", backlog.fees, lambda fee: _fee_lines(fee, backlog)),
        ("SumUp's ledger does not fit", backlog.findings, lambda finding: finding_lines(finding, backlog.now)),
        ("Mail not sent", backlog.mails, lambda mail: _mail_lines(mail, backlog)),
    ]
    for title, waiting, lines_of in parts:
        if waiting:
            lines += headed(f"{title} ({len(waiting)})")
            for one in waiting[:_MOST_SHOWN]:
                lines += lines_of(one)
            lines += more(len(waiting), _MOST_SHOWN)
    if backlog.troubles:
        lines += headed("Troubles")
        for trouble in backlog.troubles:
            lines += _trouble_lines(trouble, backlog)
    return lines


def _last_run_lines(backlog: "Backlog") -> list[str]:
    run = backlog.last_run
    if run is None:
        return ["No run yet."]
    how = f"{run.ended} after {span(run.ended_at - run.started_at)}" if run.ended_at else "under way, or killed"
    return wrapped(f"Last run: {ago(run.started_at, backlog.now)} on {run.host} ({run.command}), {how}", 0)


def _waiting_lines(order: "WaitingOrder", backlog: "Backlog", site: "SiteSettings") -> list[str]:
    from paypoll.payments.money import show_amount

    amount = show_amount(order.total, site.currency)
    lines = wrapped(f"{order.order_number}  {amount}, placed {ago(order.created_at, backlog.now)}")
    if order.last_checked_at is None:
        return lines + wrapped("not looked at yet; in the next run", 6)
    last = f"asked {ago(order.last_checked_at, backlog.now)}: {order.last_answer.replace('_', ' ')}"
    due = order.next_check_at
    following = "in the next run" if due is None or due <= backlog.now else ago(due, backlog.now)
    return lines + wrapped(f"{last}; again {following}", 6)


def _fee_lines(fee: "WaitingFee", backlog: "Backlog") -> list[str]:
    from paypoll.payments.money import show_amount

    whom = "waits for a person" if fee.state == "review" else "waits for SumUp"
    amount = show_amount(fee.amount, fee.currency)
    lines = wrapped(f"{fee.reference}  {amount}, made {ago(fee.created_at, backlog.now)}, {whom}")
    lines += wrapped(f"{fee.event_title} ({fee.event_status}); the fee is {fee.status}", 6)
    if fee.last_checked_at is None:
        return lines
    return lines + wrapped(f"asked {ago(fee.last_checked_at, backlog.now)}: {fee.last_answer.replace('_', ' ')}", 6)


def _review_lines(review: "OpenReview", backlog: "Backlog", site: "SiteSettings") -> list[str]:
    from paypoll.payments.money import show_amount

    amount = show_amount(review.total, site.currency)
    lines = wrapped(f"{review.order_number}  {amount}, since {span(backlog.now - review.since)}")
    why = f"[{review.reason}] {review.explanation}" if review.reason else "put there by the shop, not by paypoll"
    return lines + wrapped(why, 6)


def _astray_lines(order: "AstrayOrder", backlog: "Backlog", site: "SiteSettings") -> list[str]:
    from paypoll.cli.render.astray import astray_sentences
    from paypoll.payments.money import show_amount

    amount = show_amount(order.total, site.currency)
    lines = wrapped(f"{order.order_number}  {amount}, placed {ago(order.created_at, backlog.now)}")
    return lines + [line for sentence in astray_sentences(order) for line in wrapped(sentence, 6)]


def _mail_lines(mail: "UnsentMail", backlog: "Backlog") -> list[str]:
    about = f" of {mail.order_number}" if mail.order_number else ""
    lines = wrapped(f"{mail.kind.replace('_', ' ')}{about} to {', '.join(mail.recipients) or '(nobody)'}")
    tried = f"{mail.attempts} attempt{'s' if mail.attempts != 1 else ''}"
    lines += [f"      {status(mail.state)} since {span(backlog.now - mail.created_at)}, {tried}"]
    return lines + (wrapped(mail.last_error, 6) if mail.last_error else [])


def _trouble_lines(trouble: "OpenTrouble", backlog: "Backlog") -> list[str]:
    told = "admins were told" if trouble.told else "admins are told if it lasts"
    head = f"{trouble.key.replace('_', ' ').rstrip(':')}, since {span(backlog.now - trouble.since)}; {told}"
    return wrapped(head) + wrapped(trouble.detail, 6)
