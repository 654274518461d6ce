"""Is everything there that a run needs? One module a concern; each yields findings, and goes on after a problem."""

from collections.abc import Callable, Iterable, Iterator

from paypoll.app import App
from paypoll.checkup.finding import Finding, Mark
from paypoll.errors import PaypollError
from paypoll.exitcodes import ExitCode

Check = Callable[[App], Iterable[Finding]]


def check_all(app: App, *, send_test_alert: bool = False) -> Iterator[Finding]:
    """Look at everything, one after the other. Changes nothing; sends a mail only with `send_test_alert`."""
    from paypoll.checkup import database, host, mail, printing, sumup

    checks: list[Check] = [host.check_settings, database.check_database, sumup.check_sumup]
    checks.append(lambda app: mail.check_mail(app, send_test_alert=send_test_alert))
    checks += [printing.check_printing, host.check_folders, host.check_timer]
    for check in checks:
        try:
            yield from check(app)
        except PaypollError as error:
            # What one check needs may be what another has found wrong: SumUp's credentials stand in the database too.
            step = "see the other findings, then run the check again"
            yield Finding(Mark.PROBLEM, "check", f"one could not go on: {error}", step, error.exit_code)


def exit_code(findings: Iterable[Finding]) -> ExitCode:
    """Return 78 when a person must put something right, else 75 when something is out of reach, else 0."""
    codes = {finding.exit_code for finding in findings if finding.mark is Mark.PROBLEM}
    return max(codes, default=ExitCode.OK)
