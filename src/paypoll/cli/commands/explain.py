"""`paypoll explain`."""

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from paypoll.cli.options import SCHEMA, json_option
from paypoll.cli.render.screen import json_text, show, show_paged
from paypoll.cli.render.words import headed, wrapped

if TYPE_CHECKING:
    from paypoll.admin.explain import Entry, Page, Section


@click.command("explain")
@click.argument("key", required=False)
@json_option
def explain_command(*, key: str | None, as_json: bool) -> None:
    """Explain an exit status, an alert or a reason: what it means and what to do. Without KEY, list the keys.

    KEY is what alerts, logs and `paypoll inspect` show: mismatch, not_allowed, 75. It is docs/troubleshooting.md.

    \b
    Examples:
      paypoll explain mismatch
      paypoll explain 75
      paypoll explain
    """
    from paypoll.admin.explain import explain, the_page

    if key is None:
        page = the_page()
        show(json_text({"schema": SCHEMA, "keys": page.keys}) if as_json else _key_lines(page))
        return
    entries, sections = explain(key)
    if as_json:
        document = {
            "schema": SCHEMA,
            "key": key,
            "entries": [asdict(one) for one in entries],
            "sections": [asdict(one) for one in sections],
        }
        show(json_text(document))
        return
    lines = [line for entry in entries for line in _entry_lines(entry)]
    lines += [line for section in sections for line in _section_lines(section)]
    show_paged(lines[1:])


def _key_lines(page: "Page") -> list[str]:
    lines = ["paypoll explain KEY tells what it means and what to do. The keys:"]
    for section in page.sections:
        if section.keys:
            lines += headed(section.title) + wrapped(", ".join(section.keys))
    return [*lines, *headed("Pages"), *wrapped(", ".join(section.key for section in page.sections))]


def _entry_lines(entry: "Entry") -> list[str]:
    title = f": {entry.title}" if entry.title else ""
    lines = headed(f"{entry.key} ({entry.section}){title}") + wrapped(entry.means)
    return lines + (wrapped(f"What to do: {entry.todo}") if entry.todo else [])


def _section_lines(section: "Section") -> list[str]:
    lines = headed(section.title)
    for paragraph in section.paragraphs:
        # Examples are indented or hold aligned comments: they stay as they are.
        lines += [f"    {paragraph}"] if paragraph.startswith(("paypoll ", "journalctl ")) else wrapped(paragraph)
    return lines + (wrapped(f"Explained here: {', '.join(section.keys)}") if section.keys else [])
