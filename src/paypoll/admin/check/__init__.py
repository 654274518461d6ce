"""Is everything there that a run needs? One module a concern; each yields findings, and goes on after a problem."""

from collections.abc import Callable, Iterable, Iterator

from paypoll.admin.check.finding import Finding, Mark, skipped
from paypoll.app import App
from paypoll.errors import PaypollError
from paypoll.exitcodes import ExitCode

Check = Callable[[App], Iterable[Finding]]


def check_all(app: App, *, send_test_alert: bool = False, shop_url: str = "") -> Iterator[Finding]:
    """Look at everything, one after the other. Changes nothing; sends a mail only with `send_test_alert`.

    With `shop_url`, the shop there is asked as well which of its pages are still there.
    """
    from paypoll.admin.check import database, host, mail, pages, printing, shop, sumup

    checks: list[tuple[str, Check]] = [
        ("settings", host.check_settings),
        ("database", database.check_database),
        ("sold places", shop.check_shop),
        ("SumUp", sumup.check_sumup),
        ("mail", lambda app: mail.check_mail(app, send_test_alert=send_test_alert)),
        ("ticket printer", printing.check_printing),
        ("folders", host.check_folders),
        ("timer", host.check_timer),
    ]
    if shop_url:
        checks.append((pages.TOPIC, lambda app: pages.check_pages(shop_url)))  # noqa: ARG005 - all are called so
    no_database = False
    for topic, check in checks:
        try:
            for finding in check(app):
                no_database |= finding.topic == "database" and finding.mark is Mark.PROBLEM
                yield finding
        except PaypollError as error:
            if no_database:
                # Organisers' connections to SumUp stand there; one problem is told once.
                yield skipped(topic, "it needs the database, see above")
            else:
                step = "see the other findings, then run the check again"
                yield Finding(Mark.PROBLEM, topic, f"could not go on: {error}", step, error.exit_code)


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    """Return 78 when a person must put something right, else 75 when something is out of reach, else 0."""
    codes = {finding.exit_code for finding in findings if finding.mark is Mark.PROBLEM}
    return max(codes, default=ExitCode.OK)
