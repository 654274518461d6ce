"""`paypoll db`."""

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from paypoll.cli.asking import ask, yes_option
from paypoll.cli.commands.db_backup import backup_command, backup_document, restore_command
from paypoll.cli.opening import opened_app
from paypoll.cli.options import SCHEMA, NamedPath, json_option
from paypoll.cli.person import person
from paypoll.cli.render.screen import json_text, show
from paypoll.cli.render.words import more, wrapped

if TYPE_CHECKING:
    from paypoll.admin.guests import Damage, Repaired

_MOST_SHOWN = 20


@click.group("db")
def database_group() -> None:
    """Look after paypoll's own tables (schema `paypoll` of the shop's database)."""


database_group.add_command(backup_command)
database_group.add_command(restore_command)


@database_group.command("upgrade")
@click.option(
    "--backup-to",
    type=NamedPath(file_okay=False),
    help="The folder for the backup from before. Else database.backup_folder.",
)
@click.option("--no-backup", is_flag=True, help="Make none.")
@json_option
@click.pass_context
def upgrade_command(context: click.Context, *, backup_to: Path | None, no_backup: bool, as_json: bool) -> None:
    """Make paypoll's own tables, or bring them to this version. Running it again is harmless.

    Tables of an older version are backed up first; of those backups the newest five are kept. Where that cannot be
    written (exit status 73), nothing is upgraded. `paypoll db restore --as-it-was` goes back.

    \b
    Example:
      paypoll db upgrade
    """
    from paypoll.admin.backup import find_folder, upgrade_safely
    from paypoll.runs.clock_check import refuse_other_time

    with opened_app(context) as app:
        database = app.settings.database

        def find() -> Path:
            refuse_other_time(app.engine, app.clock, database.clock_tolerance)
            return backup_to or find_folder(database.backup_folder, os.environ)

        before, after, made = upgrade_safely(app.engine, None if no_backup else find, app.clock.now())
    if as_json:
        backup = backup_document(made) if made else None
        show(json_text({"schema": SCHEMA, "before": before, "after": after, "backup": backup}))
        return
    if made:
        show([f"What was there: {made.path}"])
    how = " already" if before == after else f" (was: {before or 'none'})"
    show([f"paypoll's tables are of version {after}{how}"])


@database_group.command("status")
@json_option
@click.pass_context
def status_command(context: click.Context, *, as_json: bool) -> int:
    """Say whether the shop's tables and paypoll's own are as this version needs them, and may be used by us.

    \b
    Example:
      paypoll db status
    """
    from paypoll.database import transaction
    from paypoll.exitcodes import ExitCode
    from paypoll.shop.schema_check import schema_problems
    from paypoll.state.rights import missing_rights
    from paypoll.state.upgrade import HEAD, current_version, next_step

    with opened_app(context, read_only=True) as app, transaction(app.engine) as connection:
        version = current_version(connection)
        step = next_step(connection, version)
        problems = schema_problems(connection)
        # Of tables that are still to be made, rights say nothing.
        has_rights = connection.dialect.name == "postgresql" and not step
        lacking = missing_rights(connection, reading=app.settings.database.read_only) if has_rights else []
    if as_json:
        document = {"version": version, "needed": HEAD, "shop_problems": problems, "missing_rights": lacking}
        show(json_text({"schema": SCHEMA, **document}))
    else:
        show(_status_lines(version, HEAD, step, problems, lacking))
    return ExitCode.SETTINGS if problems or step or lacking else ExitCode.OK


def _status_lines(version: str | None, needed: str, step: str, problems: list[str], lacking: list[str]) -> list[str]:
    own = f"paypoll's tables: version {version or 'none'}, needed: {needed}"
    if step:
        own += f"; {step}"
    lines = [own, f"the shop's tables:{'' if problems else ' as expected'}"]
    lines += [line for problem in problems for line in wrapped(problem)]
    if lacking:
        lines.append("our rights, which the SQL of `paypoll db grants` gives, as the tables' owner:")
        lines += [line for problem in lacking for line in wrapped(problem)]
    return lines


@database_group.command("adopt")
@click.option("--by", metavar="NAME", help="Who decides. Else whoever called sudo, or is logged in.")
@yes_option
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
        lost = find_lost(app.engine, app.clock.now())
        short = [row["order_number"] for row in lost.short]
        document = {"schema": SCHEMA, "newest_mark": lost.newest_mark.isoformat(), "marked": lost.marked}
        if as_json:
            show(json_text({**document, "paid_without_all_tickets": short}))
        else:
            show(
                [
                    f"The newest mark of the paypoll before is of {lost.newest_mark:%Y-%m-%d %H:%M} UTC.",
                    f"{lost.marked} orders bear its lines. Orders from before go to review if they prove paid.",
                    f"{len(short)} paid orders from before lack tickets; admins are told of them.",
                    *(line for number in short for line in wrapped(number)),
                ]
            )
        ask("Go on without the lost records?", yes=yes)
        take_over(app.engine, lost, app.desk, who=person(by, os.environ), clock=app.clock)
    if not as_json:
        show(["Taken over: the next run begins."])


@database_group.command("grants")
@click.option("--role", help="The database role that paypoll logs in as.  [default: paypoll, or paypoll_read]")
@click.option(
    "--refunds", is_flag=True, help='Also what `paypoll refund` and ledger.on_refund = "void" write into the shop.'
)
@click.option("--read-only", is_flag=True, help="For a group of people who may look, and change nothing.")
def grants_command(role: str | None, *, refunds: bool, read_only: bool) -> None:
    """Print the SQL that gives paypoll's PostgreSQL role what it needs and nothing else. Changes nothing itself.

    Run it as the owner of the shop's tables, after `paypoll db upgrade`, and again after each later one.

    \b
    Examples:
      paypoll db grants | psql --set ON_ERROR_STOP=1 shop
      paypoll db grants --read-only | psql --set ON_ERROR_STOP=1 shop
    """
    from paypoll.state.grants import READERS, grants_sql

    if refunds and read_only:
        raise click.UsageError("--refunds and --read-only do not go together")
    try:
        show(grants_sql(role or (READERS if read_only else "paypoll"), refunds=refunds, read_only=read_only))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--role") from None


@database_group.command("repair-guests")
@click.option("--dry-run", is_flag=True, help="Show what would be changed, and change nothing.")
@yes_option
@click.option("--by", metavar="NAME", help="Who does it. Else whoever called sudo, or is logged in.")
@json_option
@click.pass_context
def repair_guests_command(context: click.Context, *, dry_run: bool, yes: bool, by: str | None, as_json: bool) -> int:
    """Put right what version 0.1.0 made of guests. Run it as the owner of the shop's tables, once.

    Accounts that it made for guests could be entered by nobody: they become active, with a password that nobody knows,
    so that the owner of the address gets in by the shop's reset mail. Orders that it completed without an account get
    the one that their tickets are for. What is to be changed is shown first; nobody is mailed, and no other account is
    touched. Running it again is harmless.

    \b
    Examples:
      paypoll db repair-guests --dry-run
      paypoll db repair-guests --yes --by margot
    """
    from paypoll.admin.guests import find_damage, repair

    with opened_app(context, read_only=dry_run) as app:
        damage = find_damage(app.engine)
        wanted = not dry_run and not damage.none
        if not as_json or (wanted and not yes):
            show(_damage_lines(damage), err=as_json)
        if wanted:
            ask("Put it right?", yes=yes)
        done = repair(app.engine, damage, person(by, os.environ), app.clock.now()) if wanted else None
    if as_json:
        document = {"schema": SCHEMA, **asdict(damage), "repaired": asdict(done) if done else None}
        show(json_text(document))
    elif not damage.none:
        show([_repaired_line(done)])
    return 0


def _damage_lines(damage: "Damage") -> list[str]:
    if damage.none:
        return ["Nothing to put right: every guest's account can be entered, and every order with tickets has one."]
    lines = []
    if damage.accounts:
        lines.append(f"Accounts of guests that nobody can enter: {len(damage.accounts)}")
        for account in damage.accounts[:_MOST_SHOWN]:
            lines += wrapped(f"{account.email} (id {account.user_id}), made {account.joined:%d %B %Y}")
        lines += more(len(damage.accounts), _MOST_SHOWN)
    if damage.orders:
        lines.append(f"Orders with tickets and without an account: {len(damage.orders)}")
        for order in damage.orders[:_MOST_SHOWN]:
            lines += wrapped(f"{order.order_number}: its tickets are for {order.email} (id {order.user_id})")
        lines += more(len(damage.orders), _MOST_SHOWN)
    return lines


def _repaired_line(done: "Repaired | None") -> str:
    if done is None:
        return "Nothing was changed. To put it right, run the command without --dry-run and with --yes."
    return f"Put right: {done.accounts} accounts, {done.orders} orders."
