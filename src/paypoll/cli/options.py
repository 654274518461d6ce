"""Options that several commands share."""

import re
from datetime import timedelta
from typing import Any

import click

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


def pasted_order(text: str) -> str:
    """Return an order number as people paste it, without what clings to it."""
    return re.sub(r"[\s\"'#,;]+", "", text)
