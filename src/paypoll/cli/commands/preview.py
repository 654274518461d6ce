"""`paypoll preview`."""

from pathlib import Path

import click

from paypoll.cli.opening import opened_app
from paypoll.cli.options import SCHEMA, NamedPath, json_option, verbose_option
from paypoll.cli.render.screen import json_text, show


@click.command("preview")
@click.option(
    "--out",
    type=NamedPath(file_okay=False),
    default=Path("paypoll-preview"),
    show_default=True,
    help="The folder to write to; files of an earlier preview there are replaced.",
)
@json_option
@verbose_option
@click.pass_context
def preview_command(context: click.Context, *, out: Path, as_json: bool, verbose: bool) -> int:
    """Write a sample ticket and sample mails from the current settings and templates, to look at.

    Needs no database and no network. A template that is broken is named with its line (exit status 78); what is not
    broken is written all the same. --verbose also shows which styles of a ticket WeasyPrint ignores.

    \b
    Examples:
      paypoll preview
      paypoll --config new.toml preview --out /tmp/preview
    """
    from paypoll.admin.preview import write_preview
    from paypoll.exitcodes import ExitCode

    with opened_app(context, verbose=verbose, read_only=True) as app:
        made = write_preview(out, app.settings, app.printer, app.composer, app.clock.now())
    if as_json:
        document = {"schema": SCHEMA, "files": [str(file) for file in made.files], "problems": made.problems}
        show(json_text(document))
    else:
        if made.files:
            show(map(str, made.files))
        for problem in made.problems:
            show([f"PROBLEM  {problem}"], err=True)
    return ExitCode.SETTINGS if made.problems else ExitCode.OK
