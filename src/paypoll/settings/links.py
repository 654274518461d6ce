"""Link patterns: web addresses with placeholders for an order, such as `{base_url}/orders/{order_number}/`."""

from string import Formatter
from urllib.parse import quote

from paypoll.settings.addresses import web_address

PLACEHOLDERS = ("base_url", "order_id", "order_number")
_SAMPLE = "https://shop.invalid"


def link_pattern(pattern: str) -> str:
    """Return the pattern as it is. Raise ValueError with a sentence when it does not make a link to an order."""
    if not _placeholders(pattern) & {"order_id", "order_number"}:
        raise ValueError("needs {order_id} or {order_number} to lead to an order")
    return pattern


def link_or_pattern(pattern: str) -> str:
    """Return the pattern, which may be a plain address, as it is. Raise ValueError when it makes no link."""
    _placeholders(pattern)
    return pattern


def _placeholders(pattern: str) -> set[str]:
    """Return the placeholders in the pattern. Raise ValueError when what it makes is no web address."""
    try:
        parts = [(name, spec, conversion) for _, name, spec, conversion in Formatter().parse(pattern)]
    except ValueError:
        raise ValueError("has a { or } without its partner") from None
    names = {name for name, _, _ in parts if name is not None}
    known = " or ".join(f"{{{name}}}" for name in PLACEHOLDERS)
    for name in sorted(names.difference(PLACEHOLDERS)):
        raise ValueError(f"{{{name}}} is no placeholder; there is {known}")
    if any(spec or conversion for _, spec, conversion in parts):
        raise ValueError(f"a placeholder stands alone in its braces: {known}")
    web_address(fill(pattern, base_url=_SAMPLE, order_id=1, order_number="A1"), query=True)
    return names


def fill(pattern: str, *, base_url: str, order_id: int, order_number: str) -> str:
    """Return the link to this order. The order number is quoted: it comes from the database."""
    return pattern.format(base_url=base_url, order_id=order_id, order_number=quote(order_number, safe=""))
