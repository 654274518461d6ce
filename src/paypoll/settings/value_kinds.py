"""The kinds of value that settings have, each with its check: one line of text, a count, a duration, a full path."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, Field

from paypoll.settings import addresses, links
from paypoll.settings.text import require_one_line
from paypoll.settings.units import parse_duration, parse_size


def _one_line(text: str) -> str:
    # Most of these end up in a mail's header or on one line of a log.
    return require_one_line(text).strip()


def _filled(text: str) -> str:
    if not text:
        raise ValueError("must not be empty")
    return text


def _no_truth_value(value: object) -> object:
    # A bool is an int to Python, but `port = true` is a mistake.
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic collects ValueErrors, not TypeErrors
    return value


def _absolute_path(value: object) -> object:
    # Relative to what? The timer, cron and a shell have different working folders.
    if isinstance(value, str):
        if not value:
            return None
        if "\0" in value or not Path(value).is_absolute():
            raise ValueError(f"{value!r} must be a full path, from the / on")
    return value


def _positive(duration: timedelta) -> timedelta:
    if not duration:
        raise ValueError("must be more than zero")
    return duration


def _empty_or_mail_address(text: str) -> str:
    return addresses.mail_address(text) if text else text


def _empty_or_ping_address(text: str) -> str:
    return addresses.ping_address(text) if text else text


def _reference_pattern(pattern: str) -> str:
    if pattern.count("{order_number}") != 1 or pattern.replace("{order_number}", "").count("{"):
        raise ValueError("must have {order_number} once, and no other placeholder")
    return pattern


def _fee_reference_pattern(pattern: str) -> str:
    if pattern.count("{fee_reference}") != 1 or pattern.replace("{fee_reference}", "").count("{"):
        raise ValueError("must have {fee_reference} once, and no other placeholder")
    return pattern


def _ledger_pattern(text: str) -> str:
    code, slash, pattern = text.partition("/")
    if not code.isalnum() or (slash and not pattern):
        raise ValueError(f"{text!r} is neither a merchant code nor MERCHANT/pattern, such as MABC123/POS-*")
    return text


Line = Annotated[str, AfterValidator(_one_line)]
Name = Annotated[Line, AfterValidator(_filled)]
# May have several lines; on a ticket it must leave room for the rest.
ShortText = Annotated[str, Field(max_length=600)]
LedgerPattern = Annotated[Name, AfterValidator(_ledger_pattern)]
ReferencePattern = Annotated[Name, AfterValidator(_reference_pattern)]
FeeReferencePattern = Annotated[Name, AfterValidator(_fee_reference_pattern)]
Count = Annotated[int, BeforeValidator(_no_truth_value), Field(ge=1)]
Rate = Annotated[float, BeforeValidator(_no_truth_value), Field(gt=0, le=1000, allow_inf_nan=False)]
Port = Annotated[Count, Field(le=65_535)]
FullPath = Annotated[Path | None, BeforeValidator(_absolute_path)]
Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Timeout = Annotated[Duration, AfterValidator(_positive)]
Size = Annotated[int, BeforeValidator(parse_size), Field(ge=100 * 1024)]
WebAddress = Annotated[Line, AfterValidator(addresses.web_address)]
GuardedWebAddress = Annotated[Line, AfterValidator(addresses.guarded_web_address)]
HostName = Annotated[Line, AfterValidator(addresses.host_name)]
EventPattern = Annotated[Line, AfterValidator(links.event_pattern)]
LinkPattern = Annotated[Line, AfterValidator(links.link_pattern)]
LinkOrPattern = Annotated[Line, AfterValidator(links.link_or_pattern)]
EhloName = Annotated[Line, AfterValidator(addresses.ehlo_name)]
MailAddress = Annotated[Line, AfterValidator(addresses.mail_address)]
MailSender = Annotated[Line, AfterValidator(addresses.mail_sender)]
OptionalMailAddress = Annotated[Line, AfterValidator(_empty_or_mail_address)]
OptionalPingAddress = Annotated[Line, AfterValidator(_empty_or_ping_address)]
