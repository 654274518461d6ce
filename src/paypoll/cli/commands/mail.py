"""`paypoll mail`."""

import os
from dataclasses import asdict

import click

from paypoll.cli.asking import ask, yes_option
from paypoll.cli.commands.queue import mail_lines
from paypoll.cli.commands.resend import exit_status, kept_lines, revived_json, revived_lines
from paypoll.cli.opening import opened_app
from paypoll.cli.options import SCHEMA, json_option, verbose_option
from paypoll.cli.person import person, required_line
from paypoll.cli.render.screen import json_text, show, show_paged
from paypoll.cli.render.words import numbered


@click.group("mail")
def mail_group() -> None:
    """Look after the mail that has not gone out: what waits, and what was given up."""


@mail_group.command("list")
@json_option
@verbose_option
@click.pass_context
def list_command(context: click.Context, *, as_json: bool, verbose: bool) -> None:
    """Show the mail that has not gone out: its id, attempts, the server's last answer, the next attempt.

    \b
    Example:
      paypoll mail list
    """
    from paypoll.admin.queue import unsent_mails
    from paypoll.database import transaction
    from paypoll.state.upgrade import require_ready

    with opened_app(context, verbose=verbose, read_only=True) as app:
        require_ready(app.engine)
        now = app.clock.now()
        with transaction(app.engine) as connection:
            mails = unsent_mails(connection, now)
    if as_json:
        show(json_text({"schema": SCHEMA, "now": now, "mails": [asdict(mail) for mail in mails]}))
    else:
        show_paged([line for mail in mails for line in mail_lines(mail, now)] or ["All mail has gone out."])


@mail_group.command("retry")
@click.argument("ids", nargs=-1, type=int, metavar="[ID]...")
@click.option("--all", "everything", is_flag=True, help="All mail that waits or was given up.")
@yes_option
@json_option
@verbose_option
@click.pass_context
def retry_command(
    context: click.Context, *, ids: tuple[int, ...], everything: bool, yes: bool, as_json: bool, verbose: bool
) -> int:
    """Try mail at once, without waiting for its next attempt. ID is the number that `paypoll mail list` shows.

    What is not true any more is skipped. What the mail server does not take now (exit status 75) waits.

    \b
    Examples:
      paypoll mail retry 17
      paypoll mail retry --all
    """
    from paypoll.admin.resend import GIVEN_UP
    from paypoll.state.outbox import UNSENT

    if bool(ids) is everything:
        raise click.UsageError("name mails by their ids, or say --all")
    with opened_app(context, verbose=verbose, quiet=True) as app:
        mails = app.resender.kept(*UNSENT, GIVEN_UP, ids=ids)
        if mails and everything:
            if not as_json or not yes:
                show(kept_lines(mails), err=as_json)
            ask(f"Try {numbered(len(mails), 'mail')} at once?", yes=yes)
        revived = app.resender.try_again(person(None, os.environ), *UNSENT, GIVEN_UP, ids=ids) if mails else ()
    if as_json:
        show(revived_json(revived))
    else:
        show(revived_lines(revived) if revived else ["All mail has gone out."])
    return exit_status({one.state for one in revived})


@mail_group.command("give-up")
@click.argument("mail_id", type=int, metavar="ID")
@click.option("--reason", required=True, callback=required_line, help="Why, for the audit trail.")
@click.option("--by", metavar="NAME", help="Who decides. Else whoever called sudo, or is logged in.")
@yes_option
@json_option
@verbose_option
@click.pass_context
def give_up_command(
    context: click.Context, *, mail_id: int, reason: str, by: str | None, yes: bool, as_json: bool, verbose: bool
) -> None:
    """Give up a mail that waits: it is not sent, and not listed any more. `paypoll resend ORDER` makes a new one.

    \b
    Example:
      paypoll mail give-up 17 --reason "reached by telephone"
    """
    from paypoll.admin.resend import GIVEN_UP
    from paypoll.state.outbox import UNSENT

    with opened_app(context, verbose=verbose, quiet=True) as app:
        mails = app.resender.kept(*UNSENT, GIVEN_UP, ids=[mail_id])
        if not as_json or not yes:
            show([line.replace("To be tried again", "Not to be sent") for line in kept_lines(mails)], err=as_json)
        ask("Give it up?", yes=yes)
        mail = app.resender.give_up(mail_id, person(by, os.environ), reason)
    if as_json:
        show(json_text({"schema": SCHEMA, "mail": asdict(mail), "reason": reason}))
    else:
        show([f"Mail {mail.id} is given up."])
