"""Mail: the server lets us in, and the templates can be filled."""

from collections.abc import Iterator

from paypoll.admin.check.finding import Finding, fine, skipped, unreachable, wrong
from paypoll.app import App
from paypoll.mail.contexts import AlertContext, ComposeError
from paypoll.mail.mailer import MailError, MailUnavailableError, RecipientDeferredError, SenderRefusedError
from paypoll.mail.message_id import new_message_id

_TOPIC = "mail server"
_TEST = "test alert"


def check_mail(app: App, *, send_test_alert: bool = False) -> Iterator[Finding]:
    """Fill every template, connect and log in. A mail is sent only with `send_test_alert`, to alerts.to."""
    from paypoll.mail.samples import template_problems

    folder = app.settings.mail.template_folder
    problems = template_problems(app.composer)
    for problem in problems:
        yield wrong("mail templates", problem, f"correct the template in {folder}" if folder else "report this bug")
    if not problems:
        yield fine("mail templates", "all can be filled" + (f", with those of {folder}" if folder else ""))
    yield _connect(app)
    if send_test_alert:
        yield _send_test(app)


def _connect(app: App) -> Finding:
    mail = app.settings.mail
    try:
        with app.mailer.connect():
            pass
    except SenderRefusedError as error:
        return wrong(_TOPIC, str(error), "put that right with whoever runs it, or in the section [mail]")
    except MailUnavailableError as error:
        return unreachable(_TOPIC, str(error), "look at the mail server and at the section [mail]")
    how = {"starttls": "STARTTLS", "tls": "TLS", "none": "no encryption"}[mail.tls]
    login = f"logged in as {mail.username}" if mail.username else "without a login"
    return fine(_TOPIC, f"{mail.host}:{mail.port} by {how}, {login}")


def _send_test(app: App) -> Finding:
    to = app.settings.alerts.to
    content = AlertContext(
        level="Alert",
        headline="A test: alerts arrive here",
        what_happened="Somebody ran `paypoll check --send-test-alert`.",
        what_to_do=("Nothing.",),
    )
    try:
        message = app.composer.compose(
            "alert",
            content.to_json(),
            message_id=new_message_id(app.mail_domain),
            date=app.clock.now(),
            to=to,
        )
        with app.mailer.connect() as session:
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
