"""`paypoll recheck`."""

import os
from datetime import timedelta
from typing import TYPE_CHECKING

import click

from paypoll.cli.asking import ask, yes_option
from paypoll.cli.opening import opened_app
from paypoll.cli.options import SCHEMA, DurationType, json_option, known_reason, pasted_order, verbose_option
from paypoll.cli.person import person, required_line
from paypoll.cli.render.screen import json_text, show
from paypoll.cli.render.words import wrapped

if TYPE_CHECKING:
    from paypoll.admin.recheck import PutBack
    from paypoll.settings.model import SiteSettings
    from paypoll.state.resolutions import OpenReview

_MOST_SHOWN = 40


@click.command("recheck")
@click.argument("orders", nargs=-1, metavar="[ORDER]...")
@click.option(
    "--reason",
    default="",
    callback=known_reason,
    help="All orders that went to review for this reason, such as not_found.",
)
@click.option("--since", type=DurationType(), help="Only those that went to review within this time, such as 2h or 1d.")
@click.option("--why", required=True, callback=required_line, help="Why, for the audit trail and the orders' notes.")
@click.option("--by", metavar="NAME", help="Who decides. Else whoever called sudo, or is logged in.")
@yes_option
@json_option
@verbose_option
@click.pass_context
def recheck_command(
    context: click.Context,
    *,
    orders: tuple[str, ...],
    reason: str,
    since: timedelta | None,
    why: str,
    by: str | None,
    yes: bool,
    as_json: bool,
    verbose: bool,
) -> int:
    """Put orders that paypoll sent to review back to waiting; the next run asks SumUp and decides anew.

    For when paypoll was misled, as by a key of another account. It shows the orders first and asks. Reviews that
    the shop opened, or that a person has closed, stay.

    \b
    Examples:
      paypoll recheck ORD-1001 --why "the checkout is there after all"
      paypoll recheck --reason not_found --since 3h --why "wrong key"
    """
    from paypoll.admin.recheck import Wanted, find_reviews, put_back

    if not (orders or reason or since is not None):
        raise click.UsageError("say which: order numbers, --reason or --since")
    wanted = Wanted(tuple(pasted_order(order) for order in orders), reason, since)
    with opened_app(context, verbose=verbose, quiet=True) as app:
        reviews = find_reviews(app.engine, wanted, app.clock.now())
        if not as_json or not yes:
            show(_preview_lines(reviews, app.settings.site), err=as_json)
        if reviews:
            ask(f"Put {_orders(len(reviews))} back to waiting?", yes=yes)
        done = put_back(app.engine, reviews, who=person(by, os.environ), why=why, clock=app.clock)
    show(_as_json(reviews, done) if as_json else _done_lines(done))
    return 1 if done.left else 0


def _orders(number: int) -> str:
    return f"{number} order{'s' if number != 1 else ''}"


def _preview_lines(reviews: "list[OpenReview]", site: "SiteSettings") -> list[str]:
    from paypoll.payments.money import show_amount

    if not reviews:
        return ["No order in review fits; paypoll takes back only what it put there itself."]
    lines = []
    for review in reviews[:_MOST_SHOWN]:
        amount = show_amount(review.total, site.currency)
        lines += wrapped(f"{review.order_number}  {amount}  [{review.reason}] {review.explanation}")
    if len(reviews) > _MOST_SHOWN:
        lines.append(f"  and {len(reviews) - _MOST_SHOWN} more")
    return lines


def _done_lines(done: "PutBack") -> list[str]:
    lines = [f"{_orders(len(done.waiting))} put back to waiting; the next run asks SumUp about them."]
    if done.left:
        lines += wrapped(f"Left as they are, held or changed by somebody, or not to be read: {', '.join(done.left)}")
    return lines


def _as_json(reviews: "list[OpenReview]", done: "PutBack") -> str:
    reasons = {review.order_number: review.reason for review in reviews}
    document = {
        "schema": SCHEMA,
        "waiting": [{"number": number, "reason": reasons[number]} for number in done.waiting],
        "left": list(done.left),
    }
    return json_text(document)
