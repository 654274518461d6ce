"""What the outbox keeps: it survives JSON, and versions of paypoll that know more or less."""

import json
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from paypoll.mail.content.contexts import AlertContext, ConfirmationContext, FailureContext, MailContext, OrderLine
from paypoll.mail.content.reading import ComposeError
from paypoll.mail.content.samples import SAMPLES


@pytest.mark.parametrize("context", SAMPLES.values(), ids=SAMPLES.keys())
def test_context_through_json_is_the_same(context: MailContext) -> None:
    assert type(context).from_json(json.loads(json.dumps(context.to_json()))) == context


@pytest.mark.parametrize("context", SAMPLES.values(), ids=SAMPLES.keys())
def test_context_with_keys_of_a_newer_version_is_read(context: MailContext) -> None:
    assert type(context).from_json(context.to_json() | {"newer": {"x": 1}}) == context


REQUIRED = [
    (ConfirmationContext, "confirmation", key)
    for key in ("order_number", "customer_name", "email", "total", "currency", "lines")
]
REQUIRED_OF_FAILURE = [(FailureContext, "payment_failed", key) for key in ("order_number", "lines", "retry_url")]
REQUIRED_OF_ALERT = [(AlertContext, "alert", key) for key in ("level", "headline", "what_happened")]


@pytest.mark.parametrize(("context_type", "kind", "key"), [*REQUIRED, *REQUIRED_OF_FAILURE, *REQUIRED_OF_ALERT])
def test_context_without_a_key_it_needs_is_an_error_that_names_it(
    context_type: type[MailContext], kind: str, key: str
) -> None:
    content = SAMPLES[kind].to_json()
    del content[key]
    with pytest.raises(ComposeError, match=f"no '{key}'"):
        context_type.from_json(content)


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("confirmation", "total", 12.5),
        ("confirmation", "total", "twelve"),
        ("confirmation", "lines", "none"),
        ("confirmation", "lines", ["none"]),
        ("confirmation", "late", 1),
        ("confirmation", "order_number", 7),
        ("payment_failed", "retry_url", "javascript:alert(1)"),
        ("alert", "facts", [["one"]]),
        ("alert", "facts", [["label", None]]),
        ("alert", "found", "a text"),
        ("alert", "found", [1]),
        ("alert", "links", [["here", "file:///etc/passwd"]]),
        ("alert", "orders", [{"number": "1"}]),
    ],
)
def test_context_with_a_value_of_the_wrong_kind_is_an_error(kind: str, key: str, value: Any) -> None:
    with pytest.raises(ComposeError):
        type(SAMPLES[kind]).from_json(SAMPLES[kind].to_json() | {key: value})


@pytest.mark.parametrize("starts", ["2026-12-07T19:30:00", "tomorrow", 5])
def test_order_line_with_a_start_that_is_no_moment_is_an_error(starts: Any) -> None:
    line = OrderLine("Concert", datetime(2026, 12, 7, 19, 30, tzinfo=UTC), "", "", 1, Decimal(1))
    with pytest.raises(ComposeError, match="starts"):
        OrderLine.from_json(line.to_json() | {"starts": starts})


def test_order_line_keeps_the_offset_of_its_start() -> None:
    starts = datetime(2026, 7, 7, 19, 30, tzinfo=timezone(timedelta(hours=1)))
    line = OrderLine("Concert", starts, "", "", 1, Decimal(1))
    read = OrderLine.from_json(line.to_json())
    assert read.starts is not None
    assert read.starts.isoformat() == "2026-07-07T19:30:00+01:00"
