"""The command line: one module a command. Each parses, builds the app, calls a use case, and renders its result.

The modules import click and nothing heavy at their top: `paypoll --help` must feel instant.
"""

from pathlib import Path

import click

import paypoll
from paypoll.cli.commands.check import check_command
from paypoll.cli.commands.config import config_group
from paypoll.cli.commands.db import database_group
from paypoll.cli.commands.demo import demo_command
from paypoll.cli.commands.expire import expire_command
from paypoll.cli.commands.explain import explain_command
from paypoll.cli.commands.inspect import inspect_command
from paypoll.cli.commands.mail import mail_group
from paypoll.cli.commands.pause import pause_command, resume_command
from paypoll.cli.commands.preview import preview_command
from paypoll.cli.commands.queue import queue_command
from paypoll.cli.commands.recheck import recheck_command
from paypoll.cli.commands.reconcile import reconcile_command
from paypoll.cli.commands.refund import refund_command
from paypoll.cli.commands.report import report_command
from paypoll.cli.commands.resend import resend_command
from paypoll.cli.commands.resolve import resolve_command
from paypoll.cli.commands.run_once import run_once_command
from paypoll.cli.commands.runs import runs_command
from paypoll.cli.commands.sandbox import sandbox_command

_EPILOG = """
Exit status: 0 finished; 1 some orders met an error, or what was asked for is not there; 2 usage; 70 a bug;
75 try again later; 78 settings or schema wrong; 130, 143 stopped by a signal.
"""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}, epilog=_EPILOG)
@click.option(
    "--config",
    type=click.Path(path_type=Path),
    help="The settings file. Else $PAYPOLL_CONFIG, /etc/paypoll/config.toml, ~/.config/paypoll/config.toml.",
)
@click.version_option(paypoll.__version__, "--version", prog_name="paypoll")
@click.pass_context
def cli(context: click.Context, config: Path | None) -> None:
    """Verifies a ticket shop's SumUp payments, issues the tickets and tells whoever must know.

    A timer starts `paypoll run-once` every five minutes. `paypoll inspect ORDER` tells everything about one order.
    """
    context.obj = config


for _command in (
    run_once_command,
    expire_command,
    inspect_command,
    queue_command,
    explain_command,
    runs_command,
    report_command,
    resolve_command,
    refund_command,
    recheck_command,
    reconcile_command,
    resend_command,
    check_command,
    preview_command,
    mail_group,
    pause_command,
    resume_command,
    config_group,
    database_group,
    demo_command,
    sandbox_command,
):
    cli.add_command(_command)
