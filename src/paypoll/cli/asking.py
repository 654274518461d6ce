"""No question, no act: what changes something by hand is done after a yes on a terminal, or with --yes."""

import sys

import click

from paypoll.cli.render.screen import shown

yes_option = click.option("--yes", is_flag=True, help="Do not ask for confirmation. Needed where there is no terminal.")


def ask(question: str, *, yes: bool) -> None:
    """Ask the question, unless `yes`. Raise Abort at a no, and UsageError where nobody is there to answer."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("nothing was changed: there is no terminal to ask on; look, and add --yes")
    click.confirm(shown(question), abort=True, err=True)
