"""docs/troubleshooting.md inside the program: what an exit status, an alert or a reason means, and what to do.

The page is the only source: `scripts/reference` puts a copy of it beside this module, and a test compares the two.
"""

import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path

from paypoll.errors import NotFoundError

COPY = Path(__file__).with_name("troubleshooting.md")

_HEADING = re.compile(r"^(#+) (.+)$")
_CELL_END = re.compile(r"(?<!\\)\|")
_LINK = re.compile(r"\[([^\]]+)\]\(([^)]+)\)")
_STATUS = re.compile(r"[0-9]{1,3}")
_OF_SYSTEMD = range(200, 250)
_BY_SIGNAL = 128
"""A shell adds this to the number of the signal that ended a command."""
_KEYED = ("key", "reason", "status", "result")
"""The heading of the column whose cells are keys."""


@dataclass(frozen=True, slots=True)
class Entry:
    """What the page says under a key: `title` is an alert's subject or empty, `section` the heading it stands under."""

    key: str
    section: str
    title: str
    means: str
    todo: str


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the page: its heading's anchor, its prose in paragraphs, and the keys that its tables explain."""

    key: str
    title: str
    paragraphs: tuple[str, ...]
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """The whole page."""

    sections: tuple[Section, ...]
    entries: tuple[Entry, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """Everything that may be asked about: what the tables explain, then the sections."""
        return tuple(dict.fromkeys([entry.key for entry in self.entries] + [part.key for part in self.sections]))


def explain(wanted: str) -> tuple[tuple[Entry, ...], tuple[Section, ...]]:
    """Return what the page says under this key, in any spelling that alerts and logs use. Raise NotFoundError."""
    page = the_page()
    key = re.sub(r"[\s-]+", "_", wanted.strip().strip("`'\"").lower())
    # An alert's key goes on with what it is about: `review:mismatch`, `not_allowed:MCODE`.
    for candidate in (key, *reversed(key.split(":"))):
        entries = tuple(entry for entry in page.entries if candidate in _spellings(entry))
        sections = tuple(part for part in page.sections if part.key.replace("-", "_") == candidate)
        if entries or sections:
            return entries, sections
    if _STATUS.fullmatch(key):
        raise NotFoundError(_unknown_status(int(key), page))
    near = get_close_matches(key, page.keys, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "`paypoll explain` lists the keys"
    raise NotFoundError(f"nothing is known about {wanted!r}: {hint}")


def _spellings(entry: Entry) -> tuple[str, ...]:
    """Return what an entry goes by: systemd says `203/EXEC`, and a shell only 203."""
    key = entry.key.replace("-", "_").lower()
    number, slash, _ = key.partition("/")
    return (key, number) if slash and number.isdecimal() else (key,)


def _unknown_status(number: int, page: Page) -> str:
    """Return what can be said of a number that the page does not have: whose exit status it would be."""
    if number in _OF_SYSTEMD:
        said = "is systemd's own: it did not begin the command, and `systemctl status paypoll` says why"
    elif number - _BY_SIGNAL in set(signal.Signals):
        said = f"says that signal {number - _BY_SIGNAL} ({signal.Signals(number - _BY_SIGNAL).name}) ended the command"
    else:
        ours = ", ".join(entry.key for entry in page.entries if entry.key.isdecimal())
        said = f"is no exit status of paypoll's: those are {ours}"
    return f"{number} {said}; `paypoll explain exit-statuses` tells of all"


@cache
def the_page() -> Page:
    """Return the page, read from the copy in the program."""
    entries: list[Entry] = []
    sections: list[Section] = []
    for title, lines in _parts(COPY.read_text(encoding="utf-8")):
        found = list(_entries(title, lines))
        keys = tuple(dict.fromkeys(entry.key for entry in found))
        sections.append(Section(_anchor(title), title, tuple(_paragraphs(lines)), keys))
        entries += found
    return Page(tuple(sections), tuple(entries))


def _parts(text: str) -> Iterator[tuple[str, list[str]]]:
    title, lines, fenced = "", [], False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        if (heading := _HEADING.match(line)) is None or fenced:
            lines.append(line)
            continue
        if title:
            yield title, lines
        title, lines = heading[2] if len(heading[1]) > 1 else "", []
    yield title, lines


def _entries(section: str, lines: list[str]) -> Iterator[Entry]:
    columns: list[str] = []
    for line in lines:
        if not line.startswith("|"):
            columns = []
            continue
        cells = [cell.strip() for cell in _CELL_END.split(line.strip("|"))]
        if not columns:
            columns = cells
        elif not set(line) <= set("|- "):
            row = dict(zip(columns, cells, strict=True))
            key = next(row[name] for name in _KEYED if name in row)
            for one in key.replace("`", "").split(","):
                todo = row.get("what to do") or row.get("in review") or ""
                yield Entry(one.strip(), section, _plain(row.get("subject", "")), _plain(row["means"]), _plain(todo))


def _paragraphs(lines: list[str]) -> Iterator[str]:
    """Yield the prose and the examples; an item of a list is a paragraph, lines of an example are one each."""
    text, fenced = "", False
    for line in [*lines, ""]:
        if line.startswith("```"):
            fenced = not fenced
        elif fenced:
            yield line
        elif not line.strip() or line.startswith(("|", "- ")):
            if text:
                yield _plain(text)
            text = line if line.startswith("- ") else ""
        else:
            text = f"{text} {line.strip()}".strip()


def _plain(text: str) -> str:
    """Return Markdown as a terminal shows it; a link within the page becomes the command that shows its goal."""

    def goal(link: re.Match[str]) -> str:
        words, target = link[1], link[2]
        return f"{words} (`paypoll explain {target[1:]}`)" if target.startswith("#") else f"{words} (docs/{target})"

    return _LINK.sub(goal, text).replace("**", "").replace("\\|", "|")


def _anchor(title: str) -> str:
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")
