"""Mail: the server lets us in, and the templates can be filled."""

from collections.abc import Iterator
from datetime import datetime

from paypoll.admin.check.result import CheckResult, advice, fine, skipped, unreachable, wrong
from paypoll.mail.content.compose import Composer
from paypoll.mail.content.contexts import AlertContext
from paypoll.mail.content.message_id import new_message_id
from paypoll.mail.content.reading import ComposeError
from paypoll.mail.mailer import Mailer, MailError, MailUnavailableError, RecipientDeferredError, SenderRefusedError
from paypoll.settings.model import Settings

_TOPIC = "mail server"
_TEST = "test alert"


def check_mail(composer: Composer, mailer: Mailer, settings: Settings) -> Iterator[CheckResult]:
    """Fill every template, connect and log in. No mail is sent."""
    from paypoll.mail.content.samples import template_problems, without_commands

    folder = settings.mail.template_folder
    problems = template_problems(composer)
    for problem in problems:
        yield wrong("mail templates", problem, f"correct the template in {folder}" if folder else "report this bug")
    if not problems:
        yield fine("mail templates", "all can be filled" + (f", with those of {folder}" if folder else ""))
        if older := without_commands(composer):
            text = f"alerts show no commands to paste: {' and '.join(older)} in {folder} are of an older release"
            yield advice("mail templates", text, "compare them with the new originals (docs/templates.md)")
    yield _connect(mailer, settings)


def _connect(mailer: Mailer, settings: Settings) -> CheckResult:
    mail = settings.mail
    try:
        with mailer.connect():
            pass
    except SenderRefusedError as error:
        return wrong(_TOPIC, str(error), "put that right with whoever runs it, or in the section [mail]")
    except MailUnavailableError as error:
        step = "look at the mail server and at the section [mail]"
        if mail.password is not None and mail.password.origin:
            step += f" (the password is in {mail.password.origin})"
        return unreachable(_TOPIC, str(error), step)
    how = {"starttls": "STARTTLS", "tls": "TLS", "none": "no encryption"}[mail.tls]
    login = f"logged in as {mail.username}" if mail.username else "without a login"
    return fine(_TOPIC, f"{mail.host}:{mail.port} by {how}, {login}")


def send_test_alert(composer: Composer, mailer: Mailer, settings: Settings, now: datetime) -> Iterator[CheckResult]:
    """Send a test alert to alerts.to."""
    yield _send_test(composer, mailer, settings, now)


def _send_test(composer: Composer, mailer: Mailer, settings: Settings, now: datetime) -> CheckResult:
    to = settings.alerts.to
    content = AlertContext(
        level="Alert",
        headline="A test: alerts arrive here",
        what_happened="Somebody ran `paypoll check --send-test-alert`.",
        what_to_do=("Nothing.",),
    )
    try:
        message = composer.compose(
            "alert",
            content.to_json(),
            message_id=new_message_id(settings.mail.domain),
            date=now,
            to=to,
        )
        with mailer.connect() as session:
            session.send(message, to)
    except ComposeError as error:
        return skipped(_TEST, f"not sent: {error}")
    except SenderRefusedError as error:
        return wrong(_TEST, f"not taken: {error}", "put that right with whoever runs it, or in the section [mail]")
    except (MailUnavailableError, RecipientDeferredError) as error:
        return unreachable(_TEST, f"not sent: {error}", "look at the mail server and at the section [mail]")
    except MailError as error:
        return wrong(_TEST, f"not taken: {error}", "correct alerts.to or mail.sender")
    return fine(_TEST, f"taken by the mail server for {', '.join(to)}; see that it arrives")
