"""Many orders on one stage, and the runs over them: so that one process start serves many rows of the table."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.acceptance.shop_pages import blank_pages
from tests.acceptance.stage import Ended, Placed, Stage

from paypoll.sandbox.mail.sink import Mail

MOST_ALIKE = 4
"""From one more on, alerts of one kind become a summary."""


def waves(names: Iterable[str]) -> Iterator[list[str]]:
    """Yield the names in groups so small that each order's alert stays a mail of its own."""
    left = list(names)
    while left:
        yield left[:MOST_ALIKE]
        del left[:MOST_ALIKE]


@dataclass
class World:
    """A stage with its orders by name. After each run the shop's tables and the mails sent so far are kept.

    `kept` is for rows as they once were.
    """

    stage: Stage
    orders: dict[str, Placed]
    runs: list[Ended] = field(default_factory=list)
    shops: list[dict[str, list[str]]] = field(default_factory=list)
    mails: list[tuple[Mail, ...]] = field(default_factory=list)
    kept: dict[str, dict[str, Any]] = field(default_factory=dict)

    def run(self) -> Ended:
        """Let everything be due and run once."""
        self.stage.let_time_pass()
        self.runs.append(self.stage.run_once())
        self.shops.append(self.stage.dump("public", polling=False))
        self.mails.append(self.stage.sink.messages)
        assert blank_pages(self.stage.engine, self.stage.media) == []
        return self.runs[-1]

    def __getitem__(self, name: str) -> Placed:
        """Return the order of this name."""
        return self.orders[name]
