"""Unstructured text and names in headers, encoded by RFC 2047.

Python's own folding (measured on 3.11 and 3.13) loses spaces, glues encoded words together, which strict servers
refuse, makes lines of 76 characters beside them, and begins long subjects on an empty line.
"""

from base64 import b64encode
from collections.abc import Callable
from email.headerregistry import AddressHeader, UniqueUnstructuredHeader
from email.policy import Policy
from typing import Any

_LINE = 76
"""Characters of a line that holds an encoded word, at most (RFC 2047, 2)."""

_WORD = 75
_START = "=?utf-8?{}?"
_OVERHEAD = len(_START) + len("?=") - 1
# Those that Q may leave as they are wherever the word stands (RFC 2047, 5).
_PLAIN_IN_Q = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789!*+-/")


def folded_text(name: str, text: str, linesep: str) -> str:
    """Return a header of unstructured text: one line with single spaces inside, of any characters."""
    lines = _plain_lines(name, text) or _encoded_lines(text, first=_LINE - len(name) - 2)
    return f"{name}: {f'{linesep} '.join(lines)}{linesep}"


def encoded_phrase(text: str, *, first: int) -> list[str]:
    """Return a name before an address in lines, of which the first has room for so many characters."""
    if _needs_words(text):
        return _encoded_lines(text, first=first)
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    plain = text if all(part.isalnum() for part in text.split(" ")) else f'"{escaped}"'
    return [plain] if len(plain) <= first else _encoded_lines(text, first=first)


def _needs_words(text: str) -> bool:
    # What looks like an encoded word would be decoded by the reader.
    return not text.isascii() or not text.isprintable() or "=?" in text


def _plain_lines(name: str, text: str) -> list[str]:
    """Return the text folded at its spaces, or nothing when it has to be encoded."""
    if _needs_words(text):
        return []
    lines = [""]
    for word in text.split(" "):
        used = len(lines[-1]) + (len(name) + 2 if len(lines) == 1 else 1)
        if not lines[-1] and len(lines) == 1:
            lines[-1] = word
        elif used + 1 + len(word) <= _LINE:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
        if len(word) > _LINE - len(name) - 2:
            return []
    return lines


def _encoded_lines(text: str, *, first: int) -> list[str]:
    letter, encode = min((("Q", _as_q), ("B", _as_b)), key=lambda kind: len(kind[1](text)))
    words, room = [], first
    while text:
        part = _longest_part(text, min(room, _WORD) - _OVERHEAD, encode)
        words.append(f"{_START.format(letter)}{encode(part)}?=")
        text, room = text[len(part) :], _WORD
    return words


def _longest_part(text: str, room: int, encode: Callable[[str], str]) -> str:
    """Return as much of the text's beginning as has room when it is encoded; one character at least."""
    # No character is cut in two, and none takes less than one of the encoded ones.
    few, many = 1, max(1, min(len(text), room))
    while few < many:
        middle = (few + many + 1) // 2
        few, many = (middle, many) if len(encode(text[:middle])) <= room else (few, middle - 1)
    return text[:few]


def _as_b(text: str) -> str:
    return b64encode(text.encode()).decode("ascii")


def _as_q(text: str) -> str:
    return "".join(
        chr(byte) if byte in _PLAIN_IN_Q else "_" if byte == ord(" ") else f"={byte:02X}" for byte in text.encode()
    )


class SubjectHeader(UniqueUnstructuredHeader):
    """A subject: what is set is what it says, although it may look like an encoded word."""

    name: str

    @classmethod
    def parse(cls, value: str, kwds: dict[str, Any]) -> None:
        """Take the text as it is."""
        kwds["parse_tree"] = cls.value_parser("")
        kwds["decoded"] = value

    def fold(self, *, policy: Policy) -> str:
        """Return the header as it leaves."""
        return folded_text(self.name, str(self), policy.linesep)


class SenderHeader(AddressHeader):
    """The header From, of one address, which may have a name."""

    name: str
    max_count = 1

    def fold(self, *, policy: Policy) -> str:
        """Return the header as it leaves."""
        (address,) = self.addresses
        if not address.display_name:
            return f"{self.name}: {address.addr_spec}{policy.linesep}"
        lines = encoded_phrase(address.display_name, first=_LINE - len(self.name) - 2)
        bare = f"<{address.addr_spec}>"
        used = len(lines[-1]) + (len(self.name) + 2 if len(lines) == 1 else 1)
        end = f" {bare}" if used + 1 + len(bare) <= _LINE else f"{policy.linesep} {bare}"
        return f"{self.name}: {f'{policy.linesep} '.join(lines)}{end}{policy.linesep}"
