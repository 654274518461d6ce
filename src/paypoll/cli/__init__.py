"""The command line: one module a command. Each parses, builds the app, calls a use case, and renders its result.

Only the module of the command that is called is loaded, and none imports anything heavy at its top.
"""

from collections import UserDict
from importlib import import_module
from pathlib import Path

import click

import paypoll

_EPILOG = """
Exit status: 0 finished; 1 finished, but not for all; 2 usage; 65 not allowed as things stand; 66 not there; 70 a bug;
73 a file could not be written; 75 try again later; 77 you may not; 78 settings or schema wrong; 130, 143 stopped.
`paypoll explain 66` says more.
"""


class _LoadedWhenCalled(UserDict[str, click.Command]):
    """The commands by name. A command's module is imported when it is looked up: there are many, a run calls one."""

    def __init__(self, places: dict[str, tuple[str, str]]) -> None:
        super().__init__()
        self._places = places
        self.data = dict.fromkeys(places)  # type: ignore[assignment]  # no command before it is called

    def __getitem__(self, name: str) -> click.Command:
        if self.data[name] is None:
            module, command = self._places[name]
            self.data[name] = getattr(import_module(f"paypoll.cli.commands.{module}"), command)
        return self.data[name]


_COMMANDS = _LoadedWhenCalled(
    {
        "run-once": ("run_once", "run_once_command"),
        "expire": ("expire", "expire_command"),
        "inspect": ("inspect", "inspect_command"),
        "queue": ("queue", "queue_command"),
        "explain": ("explain", "explain_command"),
        "runs": ("runs", "runs_command"),
        "report": ("report", "report_command"),
        "resolve": ("resolve", "resolve_command"),
        "refund": ("refund", "refund_command"),
        "recheck": ("recheck", "recheck_command"),
        "reconcile": ("reconcile", "reconcile_command"),
        "resend": ("resend", "resend_command"),
        "check": ("check", "check_command"),
        "setup": ("setup", "setup_command"),
        "preview": ("preview", "preview_command"),
        "mail": ("mail", "mail_group"),
        "pause": ("pause", "pause_command"),
        "resume": ("pause", "resume_command"),
        "config": ("config", "config_group"),
        "db": ("db", "database_group"),
        "demo": ("demo", "demo_command"),
        "sandbox": ("sandbox", "sandbox_command"),
    }
)


@click.group(
    commands=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=_EPILOG,
)
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
