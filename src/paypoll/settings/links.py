"""Link patterns: web addresses with placeholders for an order or an event: `{base_url}/orders/{order_number}/`."""

from string import Formatter
from urllib.parse import quote

from paypoll.settings.addresses import web_address

PLACEHOLDERS = ("base_url", "order_id", "order_number")
EVENT_PLACEHOLDERS = ("base_url", "event_id", "event_slug")
_SAMPLE = "https://shop.invalid"


def link_pattern(pattern: str) -> str:
    """Return the pattern as it is. Raise ValueError with a sentence when it does not make a link to an order."""
    _check_placeholders(pattern, PLACEHOLDERS, "an order")
    web_address(fill(pattern, base_url=_SAMPLE, order_id=1, order_number="A1"), query=True)
    return pattern


def link_or_pattern(pattern: str) -> str:
    """Return the pattern, which may be a plain address, as it is. Raise ValueError when it makes no link."""
    _check_placeholders(pattern, PLACEHOLDERS, "an order", needed=False)
    web_address(fill(pattern, base_url=_SAMPLE, order_id=1, order_number="A1"), query=True)
    return pattern


def event_pattern(pattern: str) -> str:
    """Return the pattern as it is; it may be empty. Raise ValueError when it does not make a link to an event."""
    if pattern:
        _check_placeholders(pattern, EVENT_PLACEHOLDERS, "an event")
        web_address(fill_event(pattern, base_url=_SAMPLE, event_id=1, event_slug="a"), query=True)
    return pattern


def _check_placeholders(pattern: str, placeholders: tuple[str, ...], target: str, *, needed: bool = True) -> None:
    try:
        parts = [(name, spec, conversion) for _, name, spec, conversion in Formatter().parse(pattern)]
    except ValueError:
        raise ValueError("has a { or } without its partner") from None
    names = {name for name, _, _ in parts if name is not None}
    known = " or ".join(f"{{{name}}}" for name in placeholders)
    for name in sorted(names.difference(placeholders)):
        raise ValueError(f"{{{name}}} is no placeholder; there is {known}")
    if any(spec or conversion for _, spec, conversion in parts):
        raise ValueError(f"a placeholder stands alone in its braces: {known}")
    _, *leading = placeholders
    if needed and not names.intersection(leading):
        raise ValueError(f"needs {' or '.join(f'{{{name}}}' for name in leading)} to lead to {target}")


def fill(pattern: str, *, base_url: str, order_id: int, order_number: str) -> str:
    """Return the link to this order. The order number is quoted: it comes from the database."""
    return pattern.format(base_url=base_url, order_id=order_id, order_number=quote(order_number, safe=""))


def fill_event(pattern: str, *, base_url: str, event_id: int | None, event_slug: str) -> str:
    """Return the link to this event."""
    return pattern.format(base_url=base_url, event_id=event_id, event_slug=quote(event_slug, safe=""))
