"""Who sits at the keyboard, for the audit trail. A name to go by, not a proof."""

import os
import pwd
from collections.abc import Mapping

import click

_LONGEST = 100


def person(given: str | None, environ: Mapping[str, str]) -> str:
    """Return who decides: the name given, else who called sudo, else who is logged in."""
    name = one_line(given or environ.get("SUDO_USER", ""))[:_LONGEST]
    return name or _login_name()


def one_line(text: str) -> str:
    """Return the text without line breaks and doubled blanks: it goes into notes that have a line each."""
    return " ".join(text.split())


def required_line(_context: click.Context, _option: click.Parameter, text: str | None) -> str | None:
    """Check an option that must say something where it is given, and return it in one line."""
    if text is None:
        return None
    if not (line := one_line(text)):
        raise click.BadParameter("must not be empty")
    return line


def _login_name() -> str:
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:  # a user id without an account, as in some containers
        return f"user id {os.getuid()}"
