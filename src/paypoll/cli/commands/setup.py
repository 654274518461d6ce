"""`paypoll setup`."""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from paypoll.cli.options import NamedPath
from paypoll.cli.render.screen import show, shown, styled
from paypoll.cli.render.words import wrapped

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from paypoll.admin.check import Installation
    from paypoll.admin.setup.answers import Answers
    from paypoll.admin.setup.places import Places
    from paypoll.admin.setup.questions import Question
    from paypoll.admin.setup.session import Session
    from paypoll.settings.model import Settings

_BACK = "<"
_MANY = 7


@click.command("setup")
@click.option("--answers", "file", type=NamedPath(), help="A TOML file with answers, see above.")
@click.option("--shop", help="The shop's folder, with its manage.py; or the address of its database.")
@click.option("--sumup-key-file", type=NamedPath(), help="A file that holds SumUp's API key, closed to others.")
@click.option("--owner", metavar="URL", help="How the tables' owner gets in, if it is not found out.")
@click.option("--mail", metavar="URL", help="The mail server, if it is not the shop's: smtp://user@host:587.")
@click.option("--name", metavar="TEXT", help='The shop\'s name and web address: "Jersey Events, https://…".')
@click.option("--support", metavar="ADDRESS", help="Where customers can write to.")
@click.option("--alerts", metavar="ADDRESSES", help="Who is told when an order needs a person.")
@click.option("--ping", metavar="URL", help="The ping address of a dead man's switch; none: without.")
@click.option("--every", type=click.Choice(["1", "5"]), help="Minutes between runs.")
@click.option("--set", "settings", metavar="KEY=VALUE", multiple=True, help="Any other setting: tickets.terms=…")
@click.option(
    "--yes", is_flag=True, help="Ask nothing: go by what is given and what is found. Needed without a terminal."
)
@click.option("--no-start", is_flag=True, help="Leave the timer off: for a shop whose older poller is still at work.")
@click.option("--dry-run", is_flag=True, help="Ask and try all the same, and write nothing.")
@click.option(
    "--units", is_flag=True, help="Only install units, user, manual and Tab key, for a program installed by pip."
)
@click.pass_context
def setup_command(
    context: click.Context, /, *, file: Path | None, sumup_key_file: Path | None, settings: tuple[str, ...], yes: bool,
    no_start: bool, dry_run: bool, units: bool, **given: str | None,
) -> int:  # fmt: skip
    """Set paypoll up for a shop: seven questions, the rest is found out. Run again, it keeps what is there.

    The database, the mail server, the time zone, the media folder and the sender come from the shop's Django
    settings, read as text and never run; what the text does not tell, its own `manage.py diffsettings` is asked, as
    its owner. The merchant is whose SumUp says the key is, the currency that of recent checkouts. Each answer is
    tried at once; those who get alerts get a test. Nothing is written before you say yes, and nothing without a copy
    of what was there. Then it runs the check, shows what the first run would do, asks, and starts the timer.

    As root under systemd it sets up the service. With --config it writes that file, secrets beside it, and no timer.

    An answers file has, each as its option: shop, sumup_key_file (or sumup_key), name, address, support, alerts, ping,
    every; if need be owner, mail, mail_password_file, and a table [set] of other settings. It must be closed to others
    if it holds a secret; on a command line, anybody on the machine could read one.

    \b
    Examples:
      sudo paypoll setup
      sudo paypoll setup --answers answers.toml --yes
      sudo paypoll setup --units
    """
    from paypoll.admin.setup.answers import secret_in, take_settings
    from paypoll.admin.setup.draft import read_draft
    from paypoll.admin.setup.places import places_for
    from paypoll.admin.setup.session import Session
    from paypoll.admin.setup.units import install_units, is_every_minute
    from paypoll.logs import configure_logging

    configure_logging("error", "console", None)
    places = places_for(context.obj)
    if (units or places.is_service) and os.geteuid() != 0:
        raise click.UsageError("it takes root to set up the service: sudo paypoll setup")
    if units:
        with _as_settings_errors():
            _show_done(install_units(_now()))
        return 0
    if not yes and not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask on; give the answers, and add --yes")
    answers = _answers(file, given, settings)
    if sumup_key_file:
        answers.given["sumup_key"] = secret_in(sumup_key_file)
    session = Session(places, read_draft(places.settings, places.credentials), _open_app)
    session.every_minute = places.is_service and is_every_minute()
    take_settings(session, answers)
    with _as_settings_errors():
        _get_answers(session, answers, yes=yes)
        if dry_run:
            _show_summary(session)
            return 0
        _carry_out(session)
        return _look_and_start(places, yes=yes, no_start=no_start)


def _answers(file: Path | None, given: dict[str, str | None], settings: Iterable[str]) -> "Answers":
    from paypoll.admin.setup.answers import Answers, add_setting, read_answers

    answers = read_answers(file) if file else Answers()
    answers.owner = given.pop("owner") or answers.owner
    answers.given |= {key: value for key, value in given.items() if value}
    for one in settings:
        name, _, value = one.partition("=")
        try:
            add_setting(answers, name.strip(), value)
        except ValueError as error:
            raise click.BadParameter(str(error), param_hint="--set") from None
    return answers


def _open_app(settings: "Settings") -> "AbstractContextManager[Installation]":
    from paypoll.app import App
    from paypoll.logs import register_secret

    for secret in settings.secrets():
        register_secret(secret.reveal())
    return closing(App(settings, read_only=True))


def _get_answers(session: "Session", answers: "Answers", *, yes: bool) -> None:
    from paypoll.admin.setup.answers import answer_all

    if yes:
        _show_notes(answer_all(session, answers))
        return
    show([f"Enter takes what stands in brackets, {_BACK} goes back. Nothing is written before you have seen it all."])
    position = 0
    while True:
        _ask_from(session, answers, position)
        _show_summary(session)
        answer = click.prompt("Set it up like this? (y, n, <)", default="y", err=True)
        if answer.strip() == _BACK:
            position = -1
        elif answer.lower().startswith("y"):
            return
        else:
            raise click.Abort


def _ask_from(session: "Session", answers: "Answers", position: int) -> None:
    """Ask, from the question at this position on, which is asked in any case; -1: the last one."""
    from paypoll.admin.setup.questions import QUESTIONS
    from paypoll.admin.setup.session import AnswerError

    asked = list(range(len(QUESTIONS) - 1)) if position < 0 else []
    position %= len(QUESTIONS)
    again = position > 0
    while position < len(QUESTIONS):
        question = QUESTIONS[position]
        if not again and not question.needed(session):
            position += 1
            continue
        answer = _prompt(question, session, answers)
        if answer == _BACK:
            again = bool(asked)
            position = asked.pop() if asked else 0
            # What is asked only where it is needed is no place to go back to.
            while asked and not QUESTIONS[position].needed(session):
                position = asked.pop()
            continue
        again = False
        try:
            _show_notes(question.take(session, answer))
        except AnswerError as error:
            _show_problem(str(error))
            if question.key == "mail_password":
                position = asked.pop()
            again = True
            continue
        asked.append(position)
        position += 1


def _prompt(question: "Question", session: "Session", answers: "Answers") -> str:
    from paypoll.admin.setup.questions import QUESTIONS

    main = [one.key for one in QUESTIONS if one.key not in {"mail", "mail_password"}]
    number = f"{main.index(question.key) + 1} of {_MANY}" if question.key in main else " " * 6
    if question.key == "mail" and session.mail_problem:
        _show_problem(f"mail server: {session.mail_problem}")
    default = answers.given.get(question.key) or question.default(session) or None
    bracket = "" if default is None else " [as it is]" if question.secret else f" [{default}]"
    text = shown(f"{number}  {question.ask}{bracket}")
    answer = click.prompt(text, default=default, show_default=False, hide_input=question.secret, err=True)
    return str(answer).strip()


def _carry_out(session: "Session") -> None:
    from paypoll.admin.setup.apply import apply

    for line in apply(session, _now()):
        _show_notes([line])


def _look_and_start(places: "Places", *, yes: bool, no_start: bool) -> int:
    from paypoll.admin.setup.apply import check, dry_run
    from paypoll.admin.setup.units import start_timer

    show(["", styled("What `paypoll check` finds:", bold=True)])
    findings, code = check(places)
    _show_results(findings)
    if code:
        show(["", "The timer was not started. Put these right, then run `paypoll setup` again."], err=True)
        return code
    show(["", styled("What the first run would do, with nothing changed yet:", bold=True)])
    if code := dry_run(places):
        return code
    if not places.is_service:
        command = f"paypoll --config {places.settings} run-once"
        show(["", f"Set up. Have this run every few minutes: {command}"])
        return 0
    if no_start or not (yes or click.confirm("Start the timer?", default=True, err=True)):
        show(["", "Set up; the timer is off. To start it: systemctl enable --now paypoll.timer"])
        return 0
    _show_notes(start_timer())
    return 0


def _show_summary(session: "Session") -> None:
    places = session.places
    show(["", styled(f"To be written into {places.settings}, secrets into {places.credentials}:", bold=True)])
    for line in session.summary():
        show(wrapped(line))
    if session.database:
        show(
            wrapped(f"and in the database {session.database.login.name}: the role paypoll, a schema of its own, rights")
        )
    show([""])


def _show_notes(notes: Iterable[str]) -> None:
    for note in notes:
        is_warning = note.startswith(("but ", "not found: ", "without it"))
        mark = styled("WARNING", fg="yellow") if is_warning else styled("OK     ", fg="green")
        first, *rest = wrapped(note, 8)
        show([f"{mark} {first.strip()}", *rest])


_show_done = _show_notes


def _show_problem(text: str) -> None:
    first, *rest = wrapped(text, 8)
    show([f"{styled('PROBLEM', fg='red')} {first.strip()}", *rest], err=True)


def _show_results(findings: list[dict[str, Any]]) -> None:
    from paypoll.admin.check.result import CheckResult, Mark
    from paypoll.cli.commands.check import result_lines

    for one in findings:
        show(result_lines(CheckResult(Mark(one["mark"]), one["topic"], one["text"], one["next_step"])))


def _now() -> datetime:
    return datetime.now(UTC)


@contextmanager
def _as_settings_errors() -> Iterator[None]:
    """What is wrong with this machine or the database is put right by a person: one line, and exit status 78."""
    from paypoll.admin.setup.database import NoWayInError
    from paypoll.admin.setup.session import AnswerError
    from paypoll.admin.setup.units import HostError
    from paypoll.errors import SettingsError

    try:
        yield
    except BrokenPipeError:
        raise
    except (HostError, NoWayInError, AnswerError, OSError) as error:
        raise SettingsError([str(error)], source="setup") from error
