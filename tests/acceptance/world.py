"""Many orders on one stage, and the runs over them: so that one process start serves many rows of the table."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from tests.acceptance.shop_pages import blank_pages
from tests.acceptance.stage import ADMIN, Ended, Placed, Stage

from paypoll.sandbox.mail.sink import Mail

MOST_ALIKE = 4
"""From one more on, alerts of one kind become a summary."""


def waves(names: Iterable[str]) -> Iterator[list[str]]:
    """Yield the names in groups so small that each order's alert stays a mail of its own."""
    left = list(names)
    while left:
        yield left[:MOST_ALIKE]
        del left[:MOST_ALIKE]


def run_as_promised(stage: Stage, **environ: str) -> Ended:
    """Run once, and hold a dry run to it: of every order it must say just before what the run then does.

    The alerts of a dry run are all that apply, those of a run the ones that nobody had been told.
    """
    told = {row["dedupe_key"] for row in stage.sql("SELECT dedupe_key FROM paypoll.outbox")}
    promised = stage.run_once("--dry-run", **environ)
    kept = stage.run_once(**environ)
    assert promised.code == 0, promised.stderr
    said, done = what_becomes(promised, told), what_becomes(kept, told)
    differ = {number: (said.get(number), done.get(number)) for number in said | done}
    assert said == done, {number: both for number, both in differ.items() if both[0] != both[1]}
    return kept


def what_becomes(ended: Ended, told: set[str]) -> dict[str, tuple[str, str, list[str]]]:
    """Return the outcome, the reason and the new alerts of every order in a report.

    An alert about a hall is not of one order: only the run, which counts the tickets as it issues them, can know it.
    """
    return {
        one["number"]: (
            one["outcome"],
            one["reason"],
            sorted(
                key
                for key in one["told"]
                if ":event:" not in key and f"alert:{key}:order:{one['id']}:to:{ADMIN}" not in told
            ),
        )
        for one in ended.report["orders"]
    }


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

    def run(self, *, promised: bool = True, **environ: str) -> Ended:
        """Let everything be due and run once, as a dry run just before has `promised`.

        Not where the dry run asks for what only the run can have, or where it would use up what is to meet the run.
        """
        self.stage.let_time_pass()
        return self.run_on(promised=promised, **environ)

    def run_on(self, *, promised: bool = True, **environ: str) -> Ended:
        """Run once over what is due by itself."""
        ended = run_as_promised(self.stage, **environ) if promised else self.stage.run_once(**environ)
        self.runs.append(ended)
        self.shops.append(self.stage.dump("public", polling=False))
        self.mails.append(self.stage.sink.messages)
        assert blank_pages(self.stage.engine, self.stage.media) == []
        return ended

    def __getitem__(self, name: str) -> Placed:
        """Return the order of this name."""
        return self.orders[name]
