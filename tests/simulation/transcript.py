"""What happened to the orders of a world's stories, line by line: for whoever has to find out why a promise broke."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from tests.simulation.story import stamp

if TYPE_CHECKING:
    from tests.simulation.shop_model import Sold
    from tests.simulation.world import World


def transcript(world: "World") -> Iterator[str]:
    """Return what was done to each story's order, what SumUp said, what paypoll did, and what admins were told."""
    for story in world.stories:
        if not story.told:
            continue
        yield f"--- {story.kind}, order {story.number}"
        told = [*story.told, *_said(world, story.order), *_done(world, story.order)]
        yield from sorted(told, key=lambda line: line[:15])
        for mail in world.mail.inbox:
            if re.search(rf"\b{re.escape(story.order.number)}\b", mail.subject + mail.text):
                yield f"    mail to {', '.join(mail.recipients)}: {mail.subject}"


def _said(world: "World", order: "Sold") -> Iterator[str]:
    own = [real for real in world.sumup.checkouts.values() if real.order == order.number]
    names = {real.id for real in own} | {real.payment.id for real in own if real.payment}
    for said in world.sumup.said:
        if said.subject in names:
            attempts = f", attempts {', '.join(said.attempts)}" if said.attempts else ""
            yield f"{stamp(said.at)} ... {said.question} {said.subject}: {said.found}{attempts}"


def _done(world: "World", order: "Sold") -> Iterator[str]:
    rows = world.bench.observer.execute(
        "SELECT at, status_from, status_to, reason, explanation FROM paypoll.audit"
        " WHERE order_id = %s AND status_from <> status_to ORDER BY id",
        order.id,
    )
    for at, status_from, status_to, reason, explanation in rows:
        yield f"{stamp(at)} paypoll: {status_from} to {status_to}, {reason}: {explanation}"
