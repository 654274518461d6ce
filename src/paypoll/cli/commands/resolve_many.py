"""`paypoll resolve` of many orders: listed first, asked once, and each decided on by itself."""

from typing import TYPE_CHECKING, Any

from paypoll.cli.asking import ask
from paypoll.cli.options import SCHEMA
from paypoll.cli.render.screen import json_text, show
from paypoll.cli.render.words import more, numbered, wrapped
from paypoll.exitcodes import ExitCode

if TYPE_CHECKING:
    from paypoll.admin.recheck import Wanted
    from paypoll.admin.resolve import Resolution
    from paypoll.app import App
    from paypoll.settings.model import SiteSettings
    from paypoll.state.resolutions import OpenReview

_MOST_SHOWN = 40


def resolve_many(app: "App", wanted: "Wanted", resolution: "Resolution", *, yes: bool, as_json: bool) -> int:
    """Write the verdict down for all these reviews. Return 1 when it was refused for one, else 0."""
    from paypoll.admin.recheck import find_reviews
    from paypoll.errors import PaypollError
    from paypoll.runs.record import record_run
    from paypoll.state.resolutions import Verdict

    reviews = find_reviews(app.engine, wanted, app.clock.now(), ours_alone=False)
    if not as_json or not yes:
        show(_preview_lines(reviews, app.settings.site), err=as_json)
    if reviews:
        verdict = resolution.verdict.value.replace("_", " ")
        ask(f"Decide on {numbered(len(reviews), 'order')}: {verdict}?", yes=yes)
    settled: list[OpenReview] = []
    refused: list[tuple[OpenReview, str]] = []
    for review in reviews:
        try:
            found = app.resolver.find_in_review(f"id:{review.order_id}")
            case = app.resolver.look_at(found) if resolution.verdict is Verdict.ISSUE else None
            app.resolver.settle(found, resolution, case)
        except PaypollError as error:
            refused.append((review, str(error)))
        else:
            settled.append(review)
    show(_as_json(settled, refused) if as_json else _done_lines(settled, refused))
    if settled:
        # Their mail leaves, and what can still be paid is closed.
        record_run(app, "resolve", only=[review.order_id for review in settled])
    return ExitCode.INCOMPLETE if refused else ExitCode.OK


def _preview_lines(reviews: "list[OpenReview]", site: "SiteSettings") -> list[str]:
    from paypoll.payments.money import show_amount

    if not reviews:
        return ["No order in review fits."]
    lines = []
    for review in reviews[:_MOST_SHOWN]:
        amount = show_amount(review.total, site.currency)
        why = f"[{review.reason}] {review.explanation}" if review.reason else "put there by the shop"
        lines += wrapped(f"{review.order_number}  {amount}  {review.email}  {why}")
    return lines + more(len(reviews), _MOST_SHOWN)


def _done_lines(settled: "list[OpenReview]", refused: "list[tuple[OpenReview, str]]") -> list[str]:
    lines = [f"Decided on {numbered(len(settled), 'order')}."]
    for _, error in refused:
        lines += wrapped(f"Refused: {error}")
    return lines


def _as_json(settled: "list[OpenReview]", refused: "list[tuple[OpenReview, str]]") -> str:
    def named(review: "OpenReview") -> dict[str, Any]:
        return {"id": review.order_id, "number": review.order_number}

    document = {
        "schema": SCHEMA,
        "settled": [named(review) for review in settled],
        "refused": [{**named(review), "error": error} for review, error in refused],
    }
    return json_text(document)
