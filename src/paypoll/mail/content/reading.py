"""Read the JSON that the outbox holds, and say what is missing in it or of the wrong kind."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from paypoll.mail.content.plain import block, one_line


class ComposeError(Exception):
    """A mail cannot be composed: its content or a template is broken. The sentence names what to put right."""


class Reader:
    """Reads the keys of a JSON object, and says what is missing or of the wrong kind."""

    def __init__(self, content: Mapping[str, Any], what: str) -> None:
        if not isinstance(content, Mapping):
            raise ComposeError(f"{what} in the outbox is not a JSON object")
        self._content = content
        self._what = what

    def text(self, key: str, default: str | None = None) -> str:
        """Return a line of text."""
        return one_line(self._get(key, str, default))

    def lines_of_text(self, key: str) -> str:
        """Return a text of several lines."""
        return block(self._get(key, str))

    def number(self, key: str) -> int:
        """Return a whole number."""
        number: int = self._get(key, int)
        return number

    def optional_number(self, key: str) -> int | None:
        """Return a whole number, or None."""
        return None if self._content.get(key) is None else self.number(key)

    def truth(self, key: str, *, default: bool) -> bool:
        """Return a truth value."""
        truth: bool = self._get(key, bool, default)
        return truth

    def money(self, key: str) -> Decimal:
        """Return an amount."""
        try:
            return Decimal(self._get(key, str))
        except InvalidOperation:
            raise self._wrong(key, "an amount") from None

    def moment(self, key: str) -> datetime | None:
        """Return an aware time, or None."""
        if self._content.get(key, "") is None:
            return None
        try:
            moment = datetime.fromisoformat(self._get(key, str))
        except ValueError:
            raise self._wrong(key, "a date and time") from None
        if moment.utcoffset() is None:
            raise self._wrong(key, "a date and time with its offset from UTC")
        return moment

    def optional_moment(self, key: str) -> datetime | None:
        """Return an aware time, or None where the key is missing."""
        return None if self._content.get(key) is None else self.moment(key)

    def web_address(self, key: str, default: str | None = None) -> str:
        """Return an address of the web, or an empty text."""
        return web_address(self.text(key, default), key, self._what)

    def texts(self, key: str) -> tuple[str, ...]:
        """Return texts."""
        entries = self._get(key, list, ())
        if not all(isinstance(entry, str) for entry in entries):
            raise self._wrong(key, "a list of texts")
        return tuple(map(one_line, entries))

    def pairs(self, key: str) -> tuple[tuple[str, str], ...]:
        """Return pairs of texts."""
        entries = self._get(key, list, ())
        if not all(isinstance(entry, list) and [type(text) for text in entry] == [str, str] for entry in entries):
            raise self._wrong(key, "a list of pairs of texts")
        return tuple((one_line(label), one_line(value)) for label, value in entries)

    def objects(self, key: str, default: Sequence[Any] | None = None) -> Sequence[Any]:
        """Return JSON objects."""
        objects: Sequence[Any] = self._get(key, list, default)
        return objects

    def _get(self, key: str, kind: type[Any], default: Any = None) -> Any:
        value = self._content.get(key, default)
        if value is None:
            raise ComposeError(f"{self._what} in the outbox has no {key!r}")
        if value is not default and type(value) is not kind:
            raise self._wrong(key, f"of the kind {kind.__name__}")
        return value

    def _wrong(self, key: str, expected: str) -> ComposeError:
        return ComposeError(f"{key!r} of {self._what} in the outbox is not {expected}")


def web_address(url: str, key: str, what: str) -> str:
    """Return the address if it is one of the web. Raise ComposeError otherwise."""
    # A link in a mail that runs a script or opens a file is none of ours.
    if url and not url.startswith(("https://", "http://")):
        raise ComposeError(f"{key!r} of {what} in the outbox is not a web address")
    return url
