"""Options that several commands share."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

SCHEMA = 1
"""Of all that --json prints. It grows when a key changes its meaning or goes; new keys may come at any time."""

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON, with a schema number.")
verbose_option = click.option("-v", "--verbose", is_flag=True, help="Show every step, and tracebacks of errors.")
dry_run_option = click.option(
    "--dry-run", is_flag=True, help="Ask SumUp and show what would happen, changing nothing, anywhere."
)


class DurationType(click.ParamType[timedelta]):
    """A duration as people write it: 90s, 30min, 2h, 3d."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        """Return the duration, or complain about the option."""
        if isinstance(value, timedelta):
            return value
        from paypoll.settings.units import parse_duration

        try:
            return parse_duration(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class NamedPath(click.Path):
    """A file or folder that has a name: an empty one, as of a variable that is not set, would be the current folder."""

    def __init__(self, **kinds: bool) -> None:
        super().__init__(path_type=Path, **kinds)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path, or complain about the option."""
        if value == "":
            self.fail("it is empty", param, ctx)
        return super().convert(value, param, ctx)


# Invisible ones come along from web pages and mail programs.
_CLINGING = r"[\s\"'`#,;:.<>()\[\]\u200b-\u200f\u2060\ufeff\u2018-\u201e\u00ab\u00bb]"
_WORD_BEFORE = re.compile(rf"^{_CLINGING}*order(?:\s+(?:number|no)\b)?(?=[\s#:.])", re.IGNORECASE)


def pasted_order(text: str) -> str:
    """Return an order number as people paste it, without what clings to it: `“#ord-1001”,` or `Order ORD-1001`."""
    text = _WORD_BEFORE.sub("", text)
    # At the ends alone: within, a dot or a blank may belong to the number, and it would be another order's without.
    return re.sub(rf"^{_CLINGING}+|{_CLINGING}+$", "", text)


def known_reason(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    """Return the reason of a review, as the trail has it. One that paypoll never gives is a slip, and finds nothing."""
    wanted = value.strip().lower()
    if wanted:
        from paypoll.payments.decision import Reason

        if wanted not in set(Reason):
            raise click.BadParameter(f"there is no reason {wanted!r}; `paypoll queue --reviews` shows them in brackets")
    return wanted
