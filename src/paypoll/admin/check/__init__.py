"""Is everything there that a run needs? One module a concern; each yields results, and goes on after a problem."""

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Protocol

from paypoll.admin.check.result import CheckResult, Mark, skipped
from paypoll.clock import Clock
from paypoll.errors import PaypollError
from paypoll.exitcodes import ExitCode
from paypoll.settings.model import Settings

if TYPE_CHECKING:
    import sqlalchemy as sa

    from paypoll.database import DatabaseOptions
    from paypoll.mail.content.compose import Composer
    from paypoll.mail.mailer import Mailer
    from paypoll.payments.books import LedgerSource
    from paypoll.payments.gateway import PaymentGateway
    from paypoll.tickets.ticket import TicketPrinter

Check = Callable[[], Iterable[CheckResult]]


class Installation(Protocol):
    """All that is looked at; `paypoll.app` has it. Each check is handed only what it looks at."""

    settings: Settings
    clock: Clock

    @property
    def engine(self) -> "sa.Engine":
        """The database, read-only."""
        ...

    @property
    def database_options(self) -> "DatabaseOptions":
        """How the database is reached."""
        ...

    @property
    def gateway(self) -> "PaymentGateway":
        """SumUp."""
        ...

    @property
    def books(self) -> "LedgerSource":
        """SumUp's own list of payments."""
        ...

    @property
    def printer(self) -> "TicketPrinter":
        """What makes PDFs."""
        ...

    @property
    def composer(self) -> "Composer":
        """What fills the templates of mails."""
        ...

    @property
    def mailer(self) -> "Mailer":
        """The mail server."""
        ...


def check_all(there: Installation, *, send_test_alert: bool = False, shop_url: str = "") -> Iterator[CheckResult]:
    """Look at everything, one after the other. Changes nothing; sends a mail only with `send_test_alert`.

    With `shop_url`, the shop there is asked as well which of its pages are still there.
    """
    from paypoll.admin.check import database, host, mail, pages, printing, shop, sumup
    from paypoll.database import busy_means_later

    settings, clock = there.settings, there.clock
    zone = settings.site.zone
    checks: list[tuple[str, Check]] = [
        ("settings", lambda: host.check_settings(settings)),
        ("settings", lambda: host.check_placeholders(settings)),
        ("database", lambda: database.check_database(there.engine, there.database_options, settings, clock)),
        ("SumUp", lambda: sumup.check_sumup(there.gateway, there.books, settings)),
        ("mail", lambda: mail.check_mail(there.composer, there.mailer, settings)),
        ("ticket printer", lambda: printing.check_printing(there.printer, settings)),
        ("events' scripts", lambda: printing.check_event_scripts(there.engine, clock.now().astimezone(zone).date())),
        ("folders", lambda: host.check_folders(settings)),
        ("timer", host.check_timer),
        ("sold places", lambda: shop.check_shop(there.engine, clock)),
    ]
    if settings.database.read_only:
        looking = {"database", "timer", "sold places"}
        rest = skipped("SumUp, mail, tickets, folders", "these settings are for looking only (database.read_only)")
        checks = [*checks[:2], *(one for one in checks if one[0] in looking), (rest.topic, lambda: [rest])]
    if shop_url:
        checks.append((pages.TOPIC, lambda: pages.check_pages(shop_url)))
    if send_test_alert and not settings.database.read_only:
        test = ("mail", lambda: mail.send_test_alert(there.composer, there.mailer, settings, clock.now()))
        checks.insert(4, test)
    no_database = False
    for topic, check in checks:
        try:
            with busy_means_later():
                for result in check():
                    no_database |= result.topic == "database" and result.mark is Mark.PROBLEM
                    yield result
        except PaypollError as error:
            if no_database:
                # Organisers' connections to SumUp stand there; one problem is told once.
                yield skipped(topic, "it needs the database, see above")
            else:
                step = "see the other lines, then run the check again"
                yield CheckResult(Mark.PROBLEM, topic, f"could not go on: {error}", step, error.exit_code)


def exit_code(results: Iterable[CheckResult]) -> ExitCode:
    """Return 78 when a person must put something right, else 75 when something is out of reach, else 0."""
    codes = {result.exit_code for result in results if result.mark is Mark.PROBLEM}
    return max(codes, default=ExitCode.OK)
