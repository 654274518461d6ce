"""`paypoll db`."""

import json
import os
import sys

import click

from paypoll.cli.opening import opened_app
from paypoll.cli.options import SCHEMA, json_option
from paypoll.cli.person import person
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
        click.echo(json.dumps({"schema": SCHEMA, "before": before, "after": after}, indent=2))
        return
    click.echo(
        f"paypoll's tables are of version {after}" + (" already" if before == after else f" (was: {before or 'none'})")
    )


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
        click.echo(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        click.echo("\n".join(_status_lines(version, HEAD, step, problems)))
    return ExitCode.SETTINGS if problems or step else ExitCode.OK


def _status_lines(version: str | None, needed: str, step: str, problems: list[str]) -> list[str]:
    own = f"paypoll's tables: version {version or 'none'}, needed: {needed}"
    if step:
        own += f"; {step}"
    if not problems:
        return [own, "the shop's tables: as expected"]
    return [own, "the shop's tables:", *(line for problem in problems for line in wrapped(problem))]


@database_group.command("adopt")
@click.option("--by", metavar="NAME", help="Who decides. Else whoever called sudo, or is logged in.")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation. Needed where there is no terminal.")
@json_option
@click.pass_context
def adopt_command(context: click.Context, *, by: str | None, yes: bool, as_json: bool) -> None:
    """Go on in a shop whose paypoll lost its records: the schema was dropped, or is not in the dump.

    Runs refuse to begin there, because tickets could be issued twice. Restore the schema if there is a dump of it. If
    there is none, this shows what would be taken over, and asks. Orders from before the newest mark of the old paypoll
    that prove paid and lack tickets go to review; later ones go the usual way.

    \b
    Example:
      paypoll db adopt
    """
    from paypoll.admin.adopt import find_lost, take_over

    with opened_app(context, quiet=True) as app:
        lost = find_lost(app.engine)
        short = [row["order_number"] for row in lost.short]
        document = {"schema": SCHEMA, "newest_mark": lost.newest_mark.isoformat(), "marked": lost.marked}
        if as_json:
            click.echo(json.dumps({**document, "paid_without_all_tickets": short}, indent=2, ensure_ascii=False))
        else:
            click.echo(f"The newest mark of the paypoll before is of {lost.newest_mark:%Y-%m-%d %H:%M} UTC.")
            click.echo(f"{lost.marked} orders bear its lines. Orders from before go to review if they prove paid.")
            click.echo(f"{len(short)} paid orders from before lack tickets; admins are told of them.")
            click.echo("\n".join(line for number in short for line in wrapped(number)), nl=bool(short))
        if not yes:
            if not sys.stdin.isatty():
                raise click.UsageError("nothing was changed: there is no terminal to ask on; look, and add --yes")
            click.confirm("Go on without the lost records?", abort=True, err=True)
        take_over(app.engine, lost, app.desk, who=person(by, os.environ), clock=app.clock)
    if not as_json:
        click.echo("Taken over: the next run begins.")


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
        click.echo(grants_sql(role), nl=False)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--role") from None
