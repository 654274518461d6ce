"""`paypoll config`."""

import json
import os
from collections.abc import Mapping

import click

from paypoll.cli.options import SCHEMA, json_option
from paypoll.cli.render.screen import json_text, show


@click.group("config")
def config_group() -> None:
    """Look at the settings: the file, the environment, and what comes of them."""


@config_group.command("validate")
@json_option
@click.pass_context
def validate_command(context: click.Context, *, as_json: bool) -> int:
    """Check the settings without connecting anywhere, and name every mistake (exit status 78).

    \b
    Example:
      paypoll --config new.toml config validate
    """
    from paypoll.errors import SettingsError
    from paypoll.exitcodes import ExitCode
    from paypoll.settings.load import load_settings

    problems: tuple[str, ...] = ()
    try:
        settings = load_settings(context.obj, os.environ)
        source = str(settings.source) if settings.source else None
    except SettingsError as error:
        if not as_json:
            raise
        source, problems = error.source, error.problems
    if as_json:
        document = {"schema": SCHEMA, "source": source, "problems": problems}
        show(json_text(document))
    else:
        show([f"OK  {source or 'the environment (there is no settings file)'}"])
    return ExitCode.SETTINGS if problems else ExitCode.OK


@config_group.command("show")
@json_option
@click.pass_context
def show_command(context: click.Context, *, as_json: bool) -> None:
    """Show all settings as they count, defaults and environment included; secrets as ***.

    \b
    Example:
      paypoll config show
    """
    from paypoll.settings.load import load_settings
    from paypoll.settings.show import masked

    settings = load_settings(context.obj, os.environ)
    source = str(settings.source) if settings.source else None
    if as_json:
        document = {"schema": SCHEMA, "source": source, "settings": masked(settings)}
        show(json_text(document))
    else:
        show([f"# from {source or 'the environment'}", *_toml_lines(masked(settings))])


def _toml_lines(sections: Mapping[str, Mapping[str, object]]) -> list[str]:
    """Return the settings as TOML; a key without a value is a comment, for TOML has no word for nothing."""
    lines = []
    for name, section in sections.items():
        lines += ["", f"[{name}]"]
        # Numbers, truth values, texts and lists of texts look the same in JSON and TOML.
        lines += [
            f"# {key} is not set" if value is None else f"{key} = {json.dumps(value, ensure_ascii=False)}"
            for key, value in section.items()
        ]
    return lines
