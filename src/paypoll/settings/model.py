"""The settings, section by section. `config.example.toml` says what each key means; here are its type and checks.

Durations are timedeltas, sizes are bytes. The checks look at the values alone: whether a server answers or a folder
can be written is what `paypoll check` finds out. A check that compares two keys stands at the later one of the two,
so that it runs whatever else is wrong.
"""

import re
from dataclasses import dataclass, fields
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

from paypoll.payments.policy import FEE_REFERENCES, REFERENCES
from paypoll.settings import database_url, links
from paypoll.settings.addresses import is_loopback
from paypoll.settings.colour import DEFAULT_ACCENT
from paypoll.settings.defaults import ENTRANCE_HINT
from paypoll.settings.secret import Secret
from paypoll.settings.value_kinds import (
    Count,
    Duration,
    EhloName,
    EventPattern,
    FeeReferencePattern,
    FullPath,
    GuardedWebAddress,
    HostName,
    LedgerPattern,
    Line,
    LinkOrPattern,
    LinkPattern,
    MailAddress,
    MailSender,
    Name,
    OptionalMailAddress,
    OptionalPingAddress,
    Port,
    Rate,
    ReferencePattern,
    ShortText,
    Size,
    Timeout,
    WebAddress,
)

_LONGEST_REPORT = timedelta(days=366)
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")


class Section(BaseModel):
    """A section of the settings file: frozen, and a key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class SiteSettings(Section):
    """The shop as customers and admins know it. `base_url` has no slash at its end."""

    name: Name = "Tickets"
    base_url: WebAddress
    time_zone: Line = "UTC"
    currency: Line = "GBP"
    support_email: MailAddress
    language: Line = "en"
    accent_color: Line = DEFAULT_ACCENT
    logo: FullPath = None
    order_admin_url: LinkPattern = "{base_url}/admin/orders/order/{order_id}/change/"
    retry_url: LinkOrPattern = "{base_url}/orders/{order_number}/"
    event_duration: Duration = timedelta(hours=2)
    event_address: EventPattern = ""

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            raise ValueError(f"{name!r} is not a time zone that this machine knows; try Europe/Jersey") from None
        return name

    @field_validator("currency")
    @classmethod
    def _currency_code(cls, code: str) -> str:
        if not re.fullmatch(r"[A-Z]{3}", code):
            raise ValueError(f"{code!r} is not a currency code of three capitals, such as GBP")
        return code

    @field_validator("language")
    @classmethod
    def _language_tag(cls, tag: str) -> str:
        if not _LANGUAGE.fullmatch(tag):
            raise ValueError(f"{tag!r} is not a language tag, such as en or en-GB")
        return tag

    @field_validator("accent_color")
    @classmethod
    def _hexadecimal_color(cls, color: str) -> str:
        if not re.fullmatch(r"#[0-9A-Fa-f]{6}", color):
            raise ValueError(f"{color!r} is not a colour of six hexadecimal digits, such as {DEFAULT_ACCENT}")
        return color.lower()

    @property
    def zone(self) -> ZoneInfo:
        """The time zone that the shop's events are stored in."""
        return ZoneInfo(self.time_zone)

    def order_admin_link(self, order_id: int, order_number: str) -> str:
        """Return the address of the order in the shop's admin pages."""
        return links.fill(self.order_admin_url, base_url=self.base_url, order_id=order_id, order_number=order_number)

    def retry_link(self, order_id: int, order_number: str) -> str:
        """Return the address where the customer can try to pay again."""
        return links.fill(self.retry_url, base_url=self.base_url, order_id=order_id, order_number=order_number)


class DatabaseSettings(Section):
    """The shop's database. `url` has its driver named and the password put in, ready for SQLAlchemy."""

    password: Secret | None = None
    url: Secret
    connect_timeout: Timeout = timedelta(seconds=10)
    lock_timeout: Timeout = timedelta(seconds=5)
    statement_timeout: Timeout = timedelta(seconds=30)
    clock_tolerance: Timeout = timedelta(minutes=2)
    backup_folder: FullPath = None
    read_only: bool = False

    @field_validator("url")
    @classmethod
    def _normal_url(cls, url: Secret, info: ValidationInfo) -> Secret:
        password: Secret | None = info.data.get("password")
        return Secret(database_url.normal_url(url.reveal(), password.reveal() if password else None))


class SumUpSettings(Section):
    """SumUp and how it is asked.

    The API key, or else the client, answers for the platform's own checkouts; the client also renews the tokens
    of connected organisers.
    """

    base_url: GuardedWebAddress = "https://api.sumup.com"
    client_id: Line = ""
    client_secret: Annotated[Secret | None, Field(validate_default=True)] = None
    api_key: Annotated[Secret | None, Field(validate_default=True)] = None
    merchant_code: Line = ""
    connect_timeout: Timeout = timedelta(seconds=5)
    read_timeout: Timeout = timedelta(seconds=10)
    answer_timeout: Timeout = timedelta(seconds=20)
    parallel_requests: Annotated[Count, Field(le=64)] = 8
    requests_per_second: Rate = 10.0
    tries: Annotated[Count, Field(le=10)] = 3
    retry_budget: Duration = timedelta(seconds=30)
    retry_after_cap: Duration = timedelta(seconds=20)
    breaker_after: Count = 5
    token_cache: FullPath = None
    allow_refunds: bool = False

    @field_validator("client_secret")
    @classmethod
    def _client_is_complete(cls, secret: Secret | None, info: ValidationInfo) -> Secret | None:
        client_id = info.data.get("client_id")
        if client_id and secret is None:
            raise ValueError("is required, because sumup.client_id is given")
        if secret is not None and client_id == "":
            raise ValueError("is of no use without sumup.client_id")
        return secret

    @field_validator("api_key")
    @classmethod
    def _some_credential(cls, key: Secret | None, info: ValidationInfo) -> Secret | None:
        if key is None and info.data.get("client_id") == "" and info.data.get("client_secret", "") is None:
            raise ValueError("is required (or sumup.client_id with sumup.client_secret)")
        # It goes into a header as it is; requests would quote it in the error about the header.
        if key is not None and not re.fullmatch(r"[!-~]+", key.reveal()):
            raise ValueError("holds a space or a character that no API key has")
        return key


class VerificationSettings(Section):
    """Which orders are looked at, how often, and when they are given up or brought to a person."""

    watch_abandoned: bool = True
    max_age: Duration = timedelta(hours=2)
    stuck_after: Duration = timedelta(minutes=30)
    late_window: Duration = timedelta(hours=72)
    first_look: Duration = timedelta(days=30)
    failed_grace: Duration = timedelta(minutes=10)
    brake_orders: Count = 5
    references: Annotated[tuple[ReferencePattern, ...], Field(min_length=1)] = REFERENCES
    fee_references: Annotated[tuple[FeeReferencePattern, ...], Field(min_length=1)] = FEE_REFERENCES
    batch_size: Annotated[Count, Field(le=1000)] = 20
    time_budget: Timeout = timedelta(minutes=4)
    lease: Timeout = timedelta(minutes=3)
    close_before_expiry: bool = True
    trouble_after: Duration = timedelta(minutes=30)


class TicketSettings(Section):
    """What tickets say and where their files go."""

    qr_prefix: Name = "JERSEY_EVENTS"
    media_folder: FullPath = None
    template_folder: FullPath = None
    create_guest_accounts: bool = True
    max_quantity: Annotated[Count, Field(le=10_000)] = 100
    when_full: Literal["tell", "review"] = "tell"
    print_processes: Annotated[Count, Field(le=16)] = 2
    stamping: bool = True
    entrance_hint: ShortText = ENTRANCE_HINT
    what_to_bring: ShortText = ""
    terms: str = ""

    @field_validator("qr_prefix")
    @classmethod
    def _one_field(cls, prefix: str) -> str:
        if "|" in prefix:
            raise ValueError("must not hold a |: the ticket scanner takes it for the end of the field")
        return prefix


class MailSettings(Section):
    """The mail server. `timeout` is for each answer, `message_timeout` for opening a connection and for each mail.

    `size_limit` is in bytes, of the whole message as sent.
    """

    host: HostName = "localhost"
    port: Port = 587
    tls: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: FullPath = None
    username: Line = ""
    password: Annotated[Secret | None, Field(validate_default=True)] = None
    ehlo_name: EhloName = ""
    sender: MailSender
    reply_to: OptionalMailAddress = ""
    timeout: Timeout = timedelta(seconds=30)
    message_timeout: Timeout = timedelta(minutes=2)
    batch_size: Count = 50
    size_limit: Size = 10 * 1024**2
    tell_of_review: bool = False
    tell_organisers: bool = False
    template_folder: FullPath = None

    @property
    def domain(self) -> str:
        """The domain of our Message-IDs: the sender's."""
        return self.sender.rsplit("@", 1)[-1].strip("> ")

    @field_validator("tls")
    @classmethod
    def _encrypted_on_the_wire(cls, tls: str, info: ValidationInfo) -> str:
        host = info.data.get("host")
        if tls == "none" and host is not None and not is_loopback(host):
            raise ValueError(f"'none' is for this machine only, not for {host}; use 'starttls' or 'tls'")
        return tls

    @field_validator("password")
    @classmethod
    def _login_is_complete(cls, password: Secret | None, info: ValidationInfo) -> Secret | None:
        username = info.data.get("username")
        if username and password is None:
            raise ValueError("is required, because mail.username is given")
        if password is not None and username == "":
            raise ValueError("is of no use without mail.username")
        if password is not None and info.data.get("tls") == "none":
            raise ValueError("would be sent unencrypted, because mail.tls is 'none'")
        return password


_TIME_OF_DAY = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d")


class AlertSettings(Section):
    """Who is told when a person is needed."""

    to: tuple[MailAddress, ...]
    smtp_trouble_after: Duration = timedelta(hours=1)
    remind_every: Timeout = timedelta(days=1)
    digest: str = ""
    ping_url: OptionalPingAddress = ""

    @field_validator("to")
    @classmethod
    def _somebody(cls, to: tuple[str, ...]) -> tuple[str, ...]:
        if not to:
            raise ValueError("must not be empty: somebody must hear of what needs a person")
        return to

    @field_validator("digest")
    @classmethod
    def _time_of_day(cls, digest: str) -> str:
        if digest and not _TIME_OF_DAY.fullmatch(digest):
            raise ValueError("must be a time of day, such as 08:00, or empty")
        return digest

    @property
    def digest_at(self) -> time | None:
        """When the daily digest leaves, by the clock of the site's time zone; None: not at all."""
        return time.fromisoformat(self.digest) if self.digest else None


class LedgerSettings(Section):
    """SumUp's own list of payments, held against the orders. `every` of zero turns that off."""

    every: Duration = timedelta(minutes=30)
    since: Timeout = timedelta(days=1)
    on_refund: Literal["tell", "void"] = "tell"
    tell_customer: bool = False
    ignore: tuple[LedgerPattern, ...] = ()


class LoggingSettings(Section):
    """Where log lines go and how they look."""

    format: Literal["auto", "console", "json"] = "auto"
    level: Literal["debug", "info", "warning", "error"] = "info"
    file: FullPath = None


class MetricsSettings(Section):
    """Numbers for Prometheus' node exporter."""

    textfile: FullPath = None


class ReportSettings(Section):
    """The page that runs renew, and how far back a report goes unless it is asked for another time."""

    folder: FullPath = None
    since: Timeout = timedelta(days=7)

    @field_validator("since")
    @classmethod
    def _not_too_long(cls, since: timedelta) -> timedelta:
        if since > _LONGEST_REPORT:
            raise ValueError(f"must not be more than {_LONGEST_REPORT.days} days")
        return since


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings of a run. `source` is the file they were read from, None when the environment gave them all."""

    site: SiteSettings
    database: DatabaseSettings
    sumup: SumUpSettings
    verification: VerificationSettings
    tickets: TicketSettings
    mail: MailSettings
    alerts: AlertSettings
    ledger: LedgerSettings
    logging: LoggingSettings
    metrics: MetricsSettings
    report: ReportSettings
    source: Path | None = None

    def secrets(self) -> tuple[Secret, ...]:
        """Return every secret in the settings: what no log may show. Of the database's address, its passwords."""
        found = [Secret(password) for password in database_url.passwords_in(self.database.url.reveal())]
        others = (self.sumup.api_key, self.sumup.client_secret, self.mail.password)
        return (*found, *(secret for secret in others if secret is not None))


SECTIONS: dict[str, type[Section]] = {
    field.name: field.type
    for field in fields(Settings)
    if isinstance(field.type, type) and issubclass(field.type, Section)
}
