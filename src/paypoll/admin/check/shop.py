"""What the shop's rows say that a person should know: places counted wrong, and orders that went astray."""

from collections.abc import Iterator, Sequence

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from paypoll.admin.check.result import CheckResult, advice, fine, skipped
from paypoll.clock import Clock
from paypoll.database import transaction
from paypoll.errors import SettingsError
from paypoll.mail.content.plain import one_line
from paypoll.shop.capacity import CountedWrong, find_counted_wrong
from paypoll.shop.schema_check import schema_problems
from paypoll.state.astray import find_astray
from paypoll.state.waiting_fees import fees_without_payment

_MOST_SHOWN = 10


def check_shop(engine: sa.Engine, clock: Clock) -> Iterator[CheckResult]:
    """Look at the shop's rows, changing nothing. What keeps us from reading them, the database's own check names."""
    try:
        with transaction(engine) as connection:
            if schema_problems(connection):
                yield skipped("sold places", "it needs the shop's tables, see above")
                return
            wrong = find_counted_wrong(connection, clock.now(), limit=_MOST_SHOWN)
            astray = find_astray(connection, clock.now())
            unpaid_fees = fees_without_payment(connection, clock.now())
    except (SettingsError, SQLAlchemyError):
        yield skipped("sold places", "it needs all rights on the shop's tables, see above")
        return
    yield from map(_counted_wrong, wrong)
    if not wrong:
        yield fine("sold places", "tickets_sold of the events to come is near their tickets")
    if astray:
        named = ", ".join(one_line(order.order_number) for order in astray[:_MOST_SHOWN])
        more = f" and {len(astray) - _MOST_SHOWN} more" if len(astray) > _MOST_SHOWN else ""
        text = f"pages of the shop completed or issued {len(astray)} recent orders by themselves: {named}{more}"
        yield advice("paid elsewhere", text, "`paypoll queue` says what is wrong with each")
    else:
        yield fine("paid elsewhere", "no recent order was completed or issued by a page of the shop")
    if unpaid_fees:
        yield _fees_without_payment([fee.reference for fee in unpaid_fees])


def _fees_without_payment(references: Sequence[str]) -> CheckResult:
    named = ", ".join(one_line(reference) for reference in references[:_MOST_SHOWN])
    more = f" and {len(references) - _MOST_SHOWN} more" if len(references) > _MOST_SHOWN else ""
    text = f"{len(references)} recent listing fees are marked as paid without a payment at SumUp: {named}{more}"
    return advice("paid elsewhere", text, "`paypoll queue` has the commands for each")


def _counted_wrong(event: CountedWrong) -> CheckResult:
    text = (
        f"event {event.event_id} ({one_line(event.title)}) has {event.capacity} places and {event.issued} tickets that "
        f"admit somebody, and the shop counts {event.sold} as sold"
    )
    # Only if nobody has counted meanwhile.
    sql = (
        f"UPDATE events_event SET tickets_sold = {event.issued} "  # noqa: S608 - numbers, to be printed
        f"WHERE id = {event.event_id} AND tickets_sold = {event.sold};"
    )
    return advice("sold places", text, f"if no cart holds them, as the tables' owner: {sql}")
