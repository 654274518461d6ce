"""`paypoll db`."""

import click

from paypoll.cli.opening import opened_app
from paypoll.cli.options import SCHEMA, json_option
from paypoll.cli.render.screen import json_text, show
from paypoll.cli.render.words import wrapped


@click.group("db")
def database_group() -> None:
    """Look after paypoll's own tables (schema `paypoll` of the shop's database)."""


@database_group.command("upgrade")
@json_option
@click.pass_context
def upgrade_command(context: click.Context, *, as_json: bool) -> None:
    """Make paypoll's own tables, or bring them to this version. Running it again is harmless.

    \b
    Example:
      paypoll db upgrade
    """
    from paypoll.database import transaction
    from paypoll.state.upgrade import upgrade

    with opened_app(context) as app, transaction(app.engine) as connection:
        before, after = upgrade(connection)
    if as_json:
        show(json_text({"schema": SCHEMA, "before": before, "after": after}).splitlines())
        return
    how = " already" if before == after else f" (was: {before or 'none'})"
    show([f"paypoll's tables are of version {after}{how}"])


@database_group.command("status")
@json_option
@click.pass_context
def status_command(context: click.Context, *, as_json: bool) -> int:
    """Say whether the shop's tables and paypoll's own are as this version needs them.

    \b
    Example:
      paypoll db status
    """
    from paypoll.database import transaction
    from paypoll.exitcodes import ExitCode
    from paypoll.shop.schema import schema_problems
    from paypoll.state.upgrade import HEAD, current_version, next_step

    with opened_app(context, read_only=True) as app, transaction(app.engine) as connection:
        version = current_version(connection)
        step = next_step(connection, version)
        problems = schema_problems(connection)
    if as_json:
        document = {"schema": SCHEMA, "version": version, "needed": HEAD, "shop_problems": problems}
        show(json_text(document).splitlines())
    else:
        show(_status_lines(version, HEAD, step, problems))
    return ExitCode.SETTINGS if problems or step else ExitCode.OK


def _status_lines(version: str | None, needed: str, step: str, problems: list[str]) -> list[str]:
    own = f"paypoll's tables: version {version or 'none'}, needed: {needed}"
    if step:
        own += f"; {step}"
    if not problems:
        return [own, "the shop's tables: as expected"]
    return [own, "the shop's tables:", *(line for problem in problems for line in wrapped(problem))]


@database_group.command("grants")
@click.option("--role", default="paypoll", show_default=True, help="The database role that paypoll logs in as.")
def grants_command(role: str) -> None:
    """Print the SQL that gives paypoll's PostgreSQL role what it needs and nothing else. Changes nothing itself.

    Run it as the owner of the shop's tables, after `paypoll db upgrade`, and again after each later one.

    \b
    Example:
      paypoll db grants | psql --set ON_ERROR_STOP=1 shop
    """
    from paypoll.state.grants import grants_sql

    try:
        show(grants_sql(role).splitlines())
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--role") from None
