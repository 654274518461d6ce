"""The composition root: the only place that picks adapters and hands the settings to the use cases.

Nothing connects here, and nothing heavy is imported before it is needed: a run with nothing to do loads neither
requests nor WeasyPrint.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, cast

import sqlalchemy as sa

from paypoll.clock import Clock, SystemClock
from paypoll.database import DatabaseOptions, make_engine, transaction
from paypoll.errors import NotAllowedError
from paypoll.mail.delivered import Delivered
from paypoll.runs.idle import nothing_is_due
from paypoll.runs.ledgers_due import ledgers_due, note_new_ledgers
from paypoll.runs.monitoring.latency import Latency
from paypoll.runs.stop import Stop
from paypoll.settings.model import Settings
from paypoll.state.due_fees import FeeRules
from paypoll.state.due_mail import Whose, is_any_due
from paypoll.state.memory import require_ready_to_work
from paypoll.state.watches import WatchRules

if TYPE_CHECKING:
    from paypoll.admin.refund import Refunder
    from paypoll.admin.resend import Resender
    from paypoll.admin.resolve import Resolver
    from paypoll.admin.resolve_fee import FeeResolver
    from paypoll.alerts.desk import AlertDesk
    from paypoll.ledger.refunds import RefundEngine
    from paypoll.mail.content.compose import Composer
    from paypoll.mail.mailer import Mailer
    from paypoll.mail.packing import MailPacker
    from paypoll.payments.books import LedgerSource
    from paypoll.payments.gateway import PaymentGateway
    from paypoll.payments.policy import Policy
    from paypoll.runs.apply import Applier
    from paypoll.runs.cycle import Cycle
    from paypoll.runs.dry_run import DryRun
    from paypoll.runs.fulfil import FulfilmentRules
    from paypoll.runs.listing_fees import FeeLooker, FeeRound
    from paypoll.runs.report import OrderError, RunReport, Swept
    from paypoll.tickets.ticket import TicketPrinter


class App:
    """paypoll, put together from its settings. Close it when done.

    With `read_only`, the database itself refuses every change.
    """

    def __init__(
        self, settings: Settings, *, clock: Clock | None = None, stop: Stop | None = None, read_only: bool = False
    ) -> None:
        self.settings = settings
        self.clock: Clock = clock or SystemClock()
        self.stop = stop or Stop()
        self.latency = Latency()
        self._read_only = read_only

    def close(self) -> None:
        """Give back connections, and end the printing processes."""
        if "engine" in self.__dict__:
            self.engine.dispose()
        for name in ("gateway", "printer", "packer"):
            close: Callable[[], None] | None = getattr(self.__dict__.get(name), "close", None)
            if close is not None:
                close()

    def with_clock(self, clock: Clock) -> "App":
        """Return the same put together anew, with another clock."""
        return App(self.settings, clock=clock, stop=self.stop)

    def require_ready(self) -> None:
        """Raise SchemaError unless the tables are those of this version, and paypoll remembers what it did."""
        require_ready_to_work(self.engine)

    def is_idle(self) -> bool:
        """Say whether a run would find nothing to do."""
        with transaction(self.engine) as connection:
            return nothing_is_due(connection, self.settings, self.watch_rules, self.fee_rules, self.clock.now())

    @cached_property
    def engine(self) -> sa.Engine:
        """The database. Connects at the first statement."""
        return make_engine(self.database_options, read_only=self._read_only)

    @cached_property
    def database_options(self) -> DatabaseOptions:
        """How the database is reached."""
        database = self.settings.database
        return DatabaseOptions(
            url=sa.make_url(database.url.reveal()),
            connect_timeout=database.connect_timeout,
            lock_timeout=database.lock_timeout,
            statement_timeout=database.statement_timeout,
        )

    @cached_property
    def policy(self) -> "Policy":
        """What decisions depend on."""
        from paypoll.settings.policy import policy_of

        return policy_of(self.settings)

    def _policy_with(self, max_age: timedelta | None) -> "Policy":
        return self.policy if max_age is None else replace(self.policy, max_age=max_age)

    @cached_property
    def watch_rules(self) -> WatchRules:
        """Which orders are under watch."""
        verification = self.settings.verification
        return WatchRules(first_look=verification.first_look, abandoned=verification.watch_abandoned)

    @cached_property
    def fee_rules(self) -> FeeRules:
        """Which listing fees are under watch."""
        verification = self.settings.verification
        return FeeRules(first_look=verification.first_look, patterns=verification.fee_references)

    @cached_property
    def desk(self) -> "AlertDesk":
        """Where alerts are posted."""
        from paypoll.alerts.desk import AlertDesk

        alerts = self.settings.alerts
        return AlertDesk(alerts.to, self.settings.site, self.settings.mail.domain, remind_every=alerts.remind_every)

    @cached_property
    def gateway(self) -> "PaymentGateway":
        """SumUp. Raise NotAllowedError where the settings are for looking only: they have no key."""
        if self.settings.database.read_only:
            raise NotAllowedError("SumUp is not asked: these settings are for looking only (database.read_only)")
        from paypoll.sumup.client import SumUpClient
        from paypoll.sumup.credential import platform_credential
        from paypoll.sumup.options import SumUpOptions
        from paypoll.sumup.organisers.credentials import OrganiserCredentials
        from paypoll.sumup.organisers.refresh import OAuthClient, TokenRefresher

        sumup = self.settings.sumup
        options = SumUpOptions.of(sumup)
        client = OAuthClient(sumup.client_id, sumup.client_secret.reveal()) if sumup.client_secret else None
        refresher = TokenRefresher(
            self.engine, client, clock=self.clock, wait=self.stop.wait, read_only=self._read_only
        )
        credentials = OrganiserCredentials(self.engine, platform_credential(sumup, self.clock), refresher)
        return SumUpClient(options, credentials, clock=self.clock, wait=self.stop.wait, on_request=self.latency)

    @property
    def books(self) -> "LedgerSource":
        """SumUp's own list of payments and payouts."""
        return cast("LedgerSource", self.gateway)

    @cached_property
    def printer(self) -> "TicketPrinter":
        """What makes PDFs, in processes of its own."""
        from paypoll.tickets.look import TicketLook
        from paypoll.tickets.wire import PrinterOptions
        from paypoll.tickets.workers import PrintWorkers

        tickets, site = self.settings.tickets, self.settings.site
        options = PrinterOptions(
            template_folder=tickets.template_folder,
            language=site.language,
            site_name=site.name,
            terms=tickets.terms,
            look=TicketLook(
                accent=site.accent_color,
                logo=site.logo,
                entrance_hint=tickets.entrance_hint,
                what_to_bring=tickets.what_to_bring,
            ),
            stamping=tickets.stamping,
        )
        return PrintWorkers(options, tickets.print_processes)

    @cached_property
    def mailer(self) -> "Mailer":
        """The mail server."""
        from paypoll.mail.smtp.client import SmtpMailer, SmtpOptions

        return SmtpMailer(SmtpOptions.of(self.settings.mail))

    @cached_property
    def composer(self) -> "Composer":
        """What fills the templates of mails."""
        from paypoll.mail.content.compose import ComposeOptions, Composer

        return Composer(ComposeOptions.of(self.settings))

    @cached_property
    def packer(self) -> "MailPacker":
        """What makes messages of mails."""
        from paypoll.mail.packing import MailPacker
        from paypoll.tickets.files import TicketFiles

        site, mail = self.settings.site, self.settings.mail
        media = self.settings.tickets.media_folder
        files = TicketFiles(media) if media is not None else None
        return MailPacker(
            self.engine,
            self.printer,
            self.composer,
            files,
            site,
            self.clock,
            mail.size_limit,
            mail.domain,
        )

    def dry_run(self, *, max_age: timedelta | None = None) -> "DryRun":
        """Return what decides without writing. `max_age` as for `cycle`."""
        from paypoll.runs.dry_run import DryRun

        return DryRun(
            engine=self.engine,
            gateway=lambda: self.gateway,
            policy=self._policy_with(max_age),
            watch_rules=self.watch_rules,
            clock=self.clock,
            stopped=self.stop,
            fees=self.fee_looker(self._policy_with(max_age)),
        )

    def fee_looker(self, policy: "Policy") -> "FeeLooker":
        """Return what asks SumUp about listing fees."""
        from paypoll.runs.listing_fees import FeeLooker

        return FeeLooker(self.engine, lambda: self.gateway, policy, self.fee_rules, self.clock)

    def _fee_round(self, run_id: str, policy: "Policy") -> "FeeRound":
        from paypoll.runs.apply_fee import FeeApplier
        from paypoll.runs.listing_fees import FeeRound

        lease, site = self.settings.verification.lease, self.settings.site
        applier = FeeApplier(self.engine, policy, self.desk, site, self.settings.mail.domain, lease, run_id)
        return FeeRound(self.fee_looker(policy), applier, lease, self.settings.sumup.parallel_requests)

    @cached_property
    def resolver(self) -> "Resolver":
        """What writes down a person's decision on an order in review."""
        from paypoll.admin.resolve import Resolver

        return Resolver(
            engine=self.engine,
            gateway=lambda: self.gateway,
            policy=self.policy,
            rules=self.fulfilment_rules,
            desk=self.desk,
            deliver=self._deliver_now,
            clock=self.clock,
        )

    @cached_property
    def fee_resolver(self) -> "FeeResolver":
        """What writes down a person's decision on a listing fee."""
        from paypoll.admin.resolve_fee import FeeResolver

        looker, mail = self.fee_looker(self.policy), self.settings.mail
        return FeeResolver(self.engine, looker, self.settings.site, mail.domain, self._deliver_now)

    @cached_property
    def resender(self) -> "Resender":
        """What sends confirmations again."""
        from paypoll.admin.resend import Resender

        lease = self.settings.verification.lease
        return Resender(self.engine, self.fulfilment_rules, self._deliver_now, self.clock, lease)

    @cached_property
    def refund_engine(self) -> "RefundEngine":
        """What carries refunds on."""
        from paypoll.ledger.refund_mail import RefundMail
        from paypoll.ledger.refund_rows import RefundRows
        from paypoll.ledger.refunds import RefundEngine

        return RefundEngine(
            engine=self.engine,
            gateway=lambda: self.gateway,
            rows=RefundRows(RefundMail(self.settings.site, self.settings.mail.domain)),
            desk=self.desk,
            clock=self.clock,
            wait=self.stop.wait,
            allowed=self.settings.sumup.allow_refunds,
            lease=self.settings.verification.lease,
        )

    @cached_property
    def refunder(self) -> "Refunder":
        """What gives payments back because a person says so."""
        from paypoll.admin.refund import Refunder

        return Refunder(
            self.engine, lambda: self.gateway, self.policy, self.refund_engine, self._deliver_now, self.clock
        )

    def _deliver_now(self, run_id: str) -> "Delivered":
        return self.deliver(run_id, self.stop)

    @cached_property
    def fulfilment_rules(self) -> "FulfilmentRules":
        """What tickets and their mails need to know of the settings."""
        from paypoll.runs.fulfil import FulfilmentRules

        tickets, mail = self.settings.tickets, self.settings.mail
        return FulfilmentRules(
            self.settings.site, tickets.qr_prefix, mail.domain, mail.tell_of_review, mail.tell_organisers
        )

    def applier(self, run_id: str, policy: "Policy | None" = None) -> "Applier":
        """Return what applies decisions in this run."""
        from paypoll.runs.apply import Applier

        lease = self.settings.verification.lease
        return Applier(self.engine, policy or self.policy, self.fulfilment_rules, self.desk, run_id, lease)

    def cycle(self, run_id: str, *, max_age: timedelta | None = None, accept_reviews: bool = False) -> "Cycle":
        """Return the use case of one run. `max_age` overrides the setting, for expiring by hand.

        `accept_reviews`: nothing is held back, however many orders SumUp denies.
        """
        from paypoll.alerts.outages import OutageReporter
        from paypoll.runs.cycle import Cycle, CycleRules
        from paypoll.runs.gone import FEES, ORDERS, GoneRound

        verification = self.settings.verification
        rules = CycleRules(
            watch=self.watch_rules,
            batch_size=verification.batch_size,
            time_budget=verification.time_budget,
            lease=verification.lease,
            parallel_requests=self.settings.sumup.parallel_requests,
            brake_orders=0 if accept_reviews else verification.brake_orders,
        )
        outages = OutageReporter(
            self.desk,
            stuck_after=verification.stuck_after,
            trouble_after=verification.trouble_after,
            platform=self.settings.sumup.merchant_code,
        )
        gone = partial(
            GoneRound, self.engine, lambda: self.gateway, self.policy, self.desk, self.clock, run_id, verification.lease
        )
        return Cycle(
            engine=self.engine,
            gateway=lambda: self.gateway,
            applier=self.applier(run_id, self._policy_with(max_age)),
            deliver=lambda should_stop, whose: self.deliver(run_id, should_stop, whose),
            outages=outages,
            clock=self.clock,
            rules=rules,
            stopped=self.stop,
            on_paid=self.printer.get_ready,
            fees=self._fee_round(run_id, self._policy_with(max_age)),
            sweep=lambda swept, should_end: self._sweep(run_id, swept, should_end),
            gone=gone(ORDERS),
            gone_fees=gone(FEES),
            beforehand=self._beforehand,
        )

    def _beforehand(self, report: "RunReport") -> None:
        """Do what comes before the orders: note from when ledgers are read, and carry on with refunds."""
        from paypoll.runs.refunds import carry_refunds_on

        with transaction(self.engine) as connection:
            note_new_ledgers(connection, self.settings, self.clock.now())
        carry_refunds_on(self.engine, lambda: self.refund_engine, self.clock, self.stop, report)

    def _sweep(self, run_id: str, swept: "Swept", should_end: Callable[[], bool]) -> Sequence["OrderError"]:
        """Read SumUp's ledgers that are due, and return what nobody foresaw."""
        with transaction(self.engine) as connection:
            merchants = ledgers_due(connection, self.settings, self.clock.now())
        if not merchants:
            return ()
        from paypoll.runs.sweep import Sweeper

        return Sweeper(self, self.gateway, self.books, self.policy, run_id).sweep(merchants, swept, should_end)

    def deliver(self, run_id: str, should_stop: Callable[[], bool], whose: Whose = Whose.ALL) -> Delivered:
        """Send the mail that is due."""
        with transaction(self.engine) as connection:
            if not is_any_due(connection, self.clock.now(), whose):
                return Delivered()
        from paypoll.alerts.mail import MailAlerts
        from paypoll.mail.delivery import Delivery
        from paypoll.mail.delivery_queue import DeliveryRules

        verification = self.settings.verification
        rules = DeliveryRules(
            batch_size=self.settings.mail.batch_size,
            lease=verification.lease,
            retry_time=verification.time_budget / 4,
        )
        told = MailAlerts(self.desk, lasting=self.settings.alerts.smtp_trouble_after)
        delivery = Delivery(self.engine, self.packer, self.mailer, told, self.clock, rules, run_id)
        return delivery.deliver(should_stop, whose)
