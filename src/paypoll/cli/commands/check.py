"""`paypoll check`."""

import textwrap
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from paypoll.cli.opening import opened_app
from paypoll.cli.options import SCHEMA, json_option, verbose_option
from paypoll.cli.render.marks import styled, width
from paypoll.cli.render.screen import json_text, show

if TYPE_CHECKING:
    from paypoll.admin.check.result import CheckResult
    from paypoll.errors import SettingsError

_COLOURS = {"OK": "green", "WARNING": "yellow", "PROBLEM": "red", "SKIPPED": "cyan"}
_INDENT = " " * 8


def _shop_url(_context: click.Context, _option: click.Parameter, url: str | None) -> str:
    from paypoll.settings.addresses import web_address

    try:
        return web_address(url) if url else ""
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command("check")
@click.option("--send-test-alert", is_flag=True, help="Also send a test alert to the admins.")
@click.option(
    "--shop", "shop_url", metavar="URL", callback=_shop_url, help="Also ask the shop there for pages to be taken out."
)
@json_option
@verbose_option
@click.pass_context
def check_command(context: click.Context, *, send_test_alert: bool, shop_url: str, as_json: bool, verbose: bool) -> int:
    """Check that everything a run needs is there, a line each: OK, or PROBLEM with what to do.

    Changes nothing, and goes on after a problem. Run it as paypoll's own user. Exit status: 78 when a person must
    put something right, else 75 when something is out of reach, else 0; a WARNING is advice and does not count.

    --shop asks for the head of each page of the shop that issues tickets or completes orders by itself, without a
    parameter, so that nothing can happen. Those that still answer are a PROBLEM.

    \b
    Examples:
      sudo paypoll check
      sudo paypoll check --shop https://tickets.example.org
      paypoll check --send-test-alert
    """
    from paypoll.admin.check import exit_code

    found = []
    for result in _results(context, send_test_alert=send_test_alert, shop_url=shop_url, verbose=verbose):
        found.append(result)
        if not as_json:
            show(result_lines(result))
    code = exit_code(found)
    if as_json:
        show(results_json(found, int(code)))
    return code


def result_lines(result: "CheckResult") -> list[str]:
    """Return a result in lines; the next step goes on a line of its own where it does not fit."""
    mark = styled(f"{result.mark.value:<7}", fg=_COLOURS[result.mark.value])
    # A next step stays in one piece: it may be a command to be copied.
    first, *more = textwrap.wrap(
        f"{result.topic}: {result.text}",
        width(),
        initial_indent=_INDENT,
        subsequent_indent=_INDENT,
        break_long_words=False,
        break_on_hyphens=False,
    )
    fits = len((more or [first])[-1]) + len(result.next_step) + 3 <= width()
    lines = [f"{mark} {first.removeprefix(_INDENT)}", *more]
    if not result.next_step:
        return lines
    if not fits:
        return [*lines, f"{_INDENT}→ {result.next_step}"]
    return [*lines[:-1], f"{lines[-1]} → {result.next_step}"]


def results_json(found: "list[CheckResult]", code: int) -> str:
    """Return the results as JSON."""
    entries = [
        {"mark": one.mark.value, "topic": one.topic, "text": one.text, "next_step": one.next_step} for one in found
    ]
    return json_text({"schema": SCHEMA, "exit": code, "findings": entries})


def _results(context: click.Context, *, send_test_alert: bool, shop_url: str, verbose: bool) -> "Iterator[CheckResult]":
    from paypoll.admin.check import check_all
    from paypoll.errors import SettingsError

    try:
        # Read-only, so that the database itself vouches for our changing nothing.
        with opened_app(context, verbose=verbose, read_only=True) as app:
            yield from check_all(app, send_test_alert=send_test_alert, shop_url=shop_url)
    except SettingsError as error:
        yield from _settings_problems(error)


def _settings_problems(error: "SettingsError") -> "Iterator[CheckResult]":
    from paypoll.admin.check.result import skipped, wrong

    for problem in error.problems:
        yield wrong("settings", problem, f"correct it in {error.source}")
    yield skipped("everything else", "it needs sound settings")
