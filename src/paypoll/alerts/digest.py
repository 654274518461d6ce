"""The digest: once a day, what happened and what waits for a person. None where there is nothing to say."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, time, timedelta

import sqlalchemy as sa

from paypoll.alerts.desk import AlertDesk
from paypoll.alerts.ledger import headline
from paypoll.alerts.orders import Level
from paypoll.clock import span
from paypoll.mail.content.contexts import AlertOrder
from paypoll.payments.money import show_amount
from paypoll.state.findings import Finding, find_open
from paypoll.state.incidents import open_troubles
from paypoll.state.outbox import UNSENT
from paypoll.state.pauses import pauses
from paypoll.state.resolutions import OpenReview
from paypoll.state.tables import outbox, run
from paypoll.state.told_payments import reviews_for_a_person
from paypoll.state.waiting_fees import waiting_fees

_DAY = timedelta(days=1)
_MOST_LISTED = 50
_FEES_NAMED = 10
_FINDINGS_NAMED = 20
_COUNTED = {
    "outcome_complete": "paid, tickets issued",
    "outcome_restore": "put back to completed",
    "outcome_fail": "payment failed",
    "outcome_expire": "expired unpaid",
    "outcome_review": "sent to a person",
    "mails_sent": "mails sent",
}


def post_digest(connection: sa.Connection, desk: AlertDesk, at: time, now: datetime) -> bool:
    """Post the day's digest if its time has come and it was not posted. False also where there is nothing to say."""
    local = now.astimezone(desk.site.zone)
    key = f"digest:{local:%Y-%m-%d}"
    if local.time() < at or desk.has_told(connection, key):
        return False
    happened = _happened(connection, now)
    reviews = reviews_for_a_person(connection)
    fees = [fee.reference for fee in waiting_fees(connection, now) if fee.for_person]
    findings = find_open(connection)
    waits = list(_waits(connection, reviews, fees, findings))
    if not happened and not waits:
        return False
    return desk.tell(
        connection,
        key,
        level=Level.ALERT,
        headline=f"The last day: {', '.join(happened) or 'nothing happened'}",
        found=waits or ["Nothing waits for you."],
        todo=list(_todo(reviews, fees, findings)) or ["Nothing."],
        now=now,
        orders=[_line(desk, review, now) for review in reviews[:_MOST_LISTED]],
    )


def _happened(connection: sa.Connection, now: datetime) -> list[str]:
    """Return the numbers of the runs of the last day, as words."""
    sums: Counter[str] = Counter()
    for counts in connection.scalars(sa.select(run.c.counts).where(run.c.started_at > now - _DAY)):
        sums.update({key: number for key, number in (counts or {}).items() if isinstance(number, int)})
    return [f"{sums[key]} {words}" for key, words in _COUNTED.items() if sums[key]]


def _todo(reviews: list[OpenReview], fees: list[str], findings: list[Finding]) -> Iterator[str]:
    if reviews:
        yield "Decide on the orders below, the oldest first."
    if fees:
        yield "Decide on the listing fees: `paypoll queue` has the commands for each."
    if findings:
        yield "Settle what does not fit, and close it: `paypoll queue` has the commands for each."


def _waits(
    connection: sa.Connection, reviews: list[OpenReview], fees: list[str], findings: list[Finding]
) -> Iterator[str]:
    if reviews:
        yield f"Orders that wait for a person: {len(reviews)}."
    if fees:
        more = f" and {len(fees) - _FEES_NAMED} more" if len(fees) > _FEES_NAMED else ""
        yield f"Listing fees that wait for a person: {', '.join(fees[:_FEES_NAMED])}{more}."
    if findings:
        yield f"Payments that do not fit, or may be held for nothing: {len(findings)}."
        for finding in findings[:_FINDINGS_NAMED]:
            yield f"Since {finding.first_seen_at:%d %B} (finding {finding.id}): {headline(finding)}."
        if len(findings) > _FINDINGS_NAMED:
            yield f"And {len(findings) - _FINDINGS_NAMED} more."
    states = sa.select(outbox.c.state, sa.func.count()).where(outbox.c.state.in_([*UNSENT, "undeliverable"]))
    numbers: Counter[str] = Counter()
    for state, number in connection.execute(states.where(outbox.c.attempts > 0).group_by(outbox.c.state)):
        numbers["given up" if state == "undeliverable" else "tried and not taken yet"] += number
    for words, number in sorted(numbers.items()):
        yield f"Mails {words}: {number}."
    for trouble in open_troubles(connection):
        if trouble.told_at is not None:
            what = trouble.key.replace("_", " ").rstrip(":")
            yield f"Since {trouble.since:%d %B %H:%M} UTC: {what}: {trouble.detail}."
    for pause in pauses(connection):
        yield f"Paused since {pause.since:%d %B %H:%M} UTC: {pause.words}, by {pause.by_whom}: {pause.reason}."


def _line(desk: AlertDesk, review: OpenReview, now: datetime) -> AlertOrder:
    why = review.reason.replace("_", " ") or "put there by the shop"
    return AlertOrder(
        number=review.order_number,
        amount=show_amount(review.total, desk.site.currency),
        customer=review.email,
        note=f"since {span(now - review.since)}: {why}",
        url=desk.site.order_admin_link(review.order_id, review.order_number),
    )
