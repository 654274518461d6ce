"""From the command line to a running app: settings, logs, signals."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from pathlib import Path

    from paypoll.app import App


@contextmanager
def opened_app(
    context: click.Context, *, verbose: bool = False, quiet: bool = False, read_only: bool = False
) -> "Iterator[App]":
    """Load the settings, set up the log and yield the app; close it afterwards.

    SIGTERM and SIGINT make the run finish what it holds. `quiet`: only warnings are logged, unless
    `verbose`. Raise SettingsError with every error at once, NotAllowedError where the settings are for looking only and
    the app is not `read_only`, and DatabaseUnavailableError for a lock that the block met.
    """
    from paypoll.app import App
    from paypoll.database import busy_means_later
    from paypoll.logs import configure_logging, register_secret
    from paypoll.runs.stop import Stop
    from paypoll.settings.load import load_settings

    settings = load_settings(context.obj, os.environ)
    if settings.database.read_only and not read_only:
        _refuse_to_change(settings.source)
    for secret in settings.secrets():
        register_secret(secret.reveal())
    level = "debug" if verbose else settings.logging.level
    if (read_only or quiet) and not verbose:
        level = "warning"  # a look is no event
    configure_logging(level, settings.logging.format, None if read_only else settings.logging.file)
    stop = Stop()
    stop.listen()
    app = App(settings, stop=stop, read_only=read_only)
    try:
        with busy_means_later():
            yield app
    finally:
        app.close()


def _refuse_to_change(source: "Path | None") -> None:
    from paypoll.errors import NotAllowedError

    raise NotAllowedError(
        f"you may look and not change anything (database.read_only in {source or 'the environment'}); whoever may use "
        "sudo can: sudo paypoll …"
    )
