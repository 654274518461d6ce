"""How an order's tickets are put into messages that the mail servers on their way will take."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

LINE = 76
"""Characters of base64 a line (RFC 2045, 6.8); two more end it."""

_PART_HEADERS = 512
_BODY = 64 * 1024


@dataclass(frozen=True, slots=True)
class Plan:
    """Which tickets go into which message: a range of positions for each message, in order, none empty.

    `together`: each message has one PDF with all its tickets. Otherwise one PDF a ticket.
    """

    together: bool
    messages: tuple[range, ...]


def mailed_size(size: int) -> int:
    """Return how many bytes a file of `size` bytes takes in a message: base64, line ends, its own headers."""
    encoded = 4 * -(-size // 3)
    return encoded + 2 * -(-encoded // LINE) + _PART_HEADERS


def plan_attachments(
    sizes: Sequence[int], limit: int, together: Callable[[range], int], *, body: int = _BODY, beside: int = 0
) -> Plan:
    """Return how tickets with PDFs of these `sizes` fit into messages of at most `limit` bytes.

    One PDF a ticket, if that fits into one message. Else all tickets in one PDF, which is smaller because they share
    fonts. Else several messages, as few as possible and about equally large, each with one PDF.

    `together` returns the size of one PDF with the tickets at these positions; it is asked only when it matters.
    `body` is room for text and headers; `beside` is what the first message has besides, and the others need not have.
    All in bytes. A ticket too large even by itself has a message of its own: the mail server decides whether it
    accepts it.
    """
    everything = range(len(sizes))
    room = limit - body
    if not sizes or sum(map(mailed_size, sizes)) <= room - beside:
        return Plan(together=False, messages=(everything,))
    count = 1
    while count < len(sizes) and room > 0:
        groups = _split(len(sizes), count)
        taken = (mailed_size(together(group)) + (beside if group.start == 0 else 0) for group in groups)
        too_large = next((size for size in taken if size > room), 0)
        if not too_large:
            return Plan(together=True, messages=groups)
        # Printing is expensive, so several counts are skipped at once. The size of a PDF is a constant plus a share for
        # each ticket, so the first count that fits is never skipped.
        count = max(count + 1, -(-count * too_large // (room + beside)))
    return Plan(together=False, messages=tuple(range(one, one + 1) for one in everything))


def _split(length: int, count: int) -> tuple[range, ...]:
    """Split the positions below `length` into `count` ranges whose lengths differ by one at most."""
    ends = [length * part // count for part in range(count + 1)]
    return tuple(range(start, end) for start, end in pairwise(ends))
