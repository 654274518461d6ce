"""The command line's outermost layer: errors become one line and an exit status."""

import gc
import sys

import click

from paypoll.characters import harmless
from paypoll.errors import PaypollError, SettingsError
from paypoll.exitcodes import ExitCode
from paypoll.gc_tuning import search_for_cycles_rarely


def main(arguments: list[str] | None = None) -> int:
    """Run paypoll with these arguments (those of the process if None) and return the exit status.

    An error of the operator's world is one line on stderr. A traceback is for bugs, and for whoever asks with
    --verbose.
    """
    from paypoll.cli import cli

    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        result = cli.main(arguments, prog_name="paypoll", standalone_mode=False)
    except click.exceptions.Exit as request:
        return request.exit_code
    except click.Abort:
        click.echo("stopped", err=True)
        return ExitCode.INTERRUPTED
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except click.ClickException as error:
        error.show()
        return ExitCode.USAGE
    except PaypollError as error:
        # Only settings have errors of several lines; elsewhere a line break came out of the database.
        lines = str(error).split("\n") if isinstance(error, SettingsError) else [str(error)]
        click.echo("\n".join(map(harmless, [f"paypoll: {lines[0]}", *lines[1:]])), err=True)
        if "--verbose" in arguments and error.__cause__ is not None:
            _show_traceback(error)
        return error.exit_code
    except BrokenPipeError:
        sys.stderr.close()
        return ExitCode.OK
    except Exception as error:  # noqa: BLE001 - the top: what nobody foresaw is a bug, and says so
        _show_traceback(error)
        click.echo("paypoll: this is a bug in paypoll; please report it with the lines above", err=True)
        return ExitCode.BUG
    return int(result or 0)


def _show_traceback(error: BaseException) -> None:
    """Show where it happened, without local variables, and without any secret that the settings hold."""
    import traceback

    from paypoll.logs import redact

    click.echo(harmless(redact("".join(traceback.format_exception(error))), block=True), err=True)


def _leave_out_rich() -> None:
    """Let rich look as if it were not installed: nothing of ours uses it, and structlog loads it where it is there.

    That takes more than structlog itself. None in sys.modules is how Python says that a module is not to be had.
    """
    sys.modules.setdefault("rich", None)  # type: ignore[arg-type]  # the stubs know no None here; the manual does


def run() -> None:
    """Run paypoll as a program of its own."""
    search_for_cycles_rarely()
    _leave_out_rich()
    status = main()
    # What is still there dies with the process. Without this, Python would first go through all of it several times
    # in search of cycles: a tenth of the time of a run that finds nothing to do.
    gc.freeze()
    sys.exit(status)


if __name__ == "__main__":
    run()
