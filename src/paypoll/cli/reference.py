"""The commands as documents, from their own help texts: README's table, docs/commands.md and the man page.

`python -m paypoll.cli.reference` writes all three (scripts/reference); a test compares them with the program. The other
way round, it copies docs/troubleshooting.md into the program, for `paypoll explain`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import click

import paypoll
from paypoll.admin.explain import COPY

_PROGRAM = "paypoll"
_WIDTH = 80
_START, _END = "<!-- commands: written by scripts/reference -->\n", "<!-- end of commands -->\n"
_FILES = (
    ("/etc/paypoll/config.toml", "The settings, where neither --config nor $PAYPOLL_CONFIG names others."),
    ("~/.config/paypoll/config.toml", "Where that one does not exist."),
)
_ENVIRONMENT = (
    ("PAYPOLL_CONFIG", "The settings file."),
    ("PAYPOLL_SECTION__KEY", "A single setting, such as PAYPOLL_MAIL__HOST; it goes before the file's."),
    ("NO_COLOR", "No colours. There are none without a terminal either, or with TERM=dumb."),
)

Words = tuple[str, ...]


def commands(group: click.Group, path: Words = (_PROGRAM,)) -> Iterator[tuple[Words, click.Command]]:
    """Yield every command that does something, with the words it is called by, in the order of the help text."""
    for name, command in sorted(group.commands.items()):
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def with_table(readme: str, group: click.Group) -> str:
    """Return README's text with the table of commands between its two marks. Raise ValueError where they are not."""
    before, start, rest = readme.partition(_START)
    _, end, after = rest.partition(_END)
    if not start or not end:
        raise ValueError("README.md has lost the marks around its table of commands")
    rows = "".join(
        f"| `{_usage(path, command)}` | {_short(command)} |\n".replace("|...", "\\|...")
        for path, command in commands(group)
    )
    return f"{before}{start}| command | does |\n|---|---|\n{rows}{end}{after}"


def help_page(group: click.Group) -> str:
    """Return docs/commands.md: what `--help` says of each command."""
    parts = [
        "# Commands\n\nWhat `--help` says of each. Written by `scripts/reference`; change the help texts instead.\n",
        _help_of((_PROGRAM,), group),
        *(_help_of(path, command) for path, command in commands(group)),
    ]
    return "\n".join(parts)


def man_page(group: click.Group) -> str:
    """Return docs/paypoll.1, the man page."""
    lines = [
        f'.TH PAYPOLL 1 "" "paypoll {paypoll.__version__}"',
        ".SH NAME",
        f"{_PROGRAM} \\- {_roff(_short(group))}",
        ".SH SYNOPSIS",
        f".B {_PROGRAM}\n[\\fIOPTIONS\\fR] \\fICOMMAND\\fR [\\fIARGS\\fR]...",
        ".SH DESCRIPTION",
        *_paragraphs(group.help or ""),
        ".SH OPTIONS",
        *_options(group, (_PROGRAM,)),
        ".SH COMMANDS",
    ]
    for path, command in commands(group):
        lines += [f".SS {_roff(_usage(path, command))}", *_paragraphs(command.help or ""), *_options(command, path)]
    lines += [".SH EXIT STATUS", *_paragraphs((group.epilog or "").replace("Exit status: ", ""))]
    for title, entries in (("FILES", _FILES), ("ENVIRONMENT", _ENVIRONMENT)):
        lines += [f".SH {title}", *(_entry(name, text) for name, text in entries)]
    return "\n".join(lines) + "\n"


def _context(path: Words, command: click.Command) -> click.Context:
    parent = click.Context(click.Command(_PROGRAM), info_name=" ".join(path[:-1])) if len(path) > 1 else None
    settings = {"help_option_names": ["-h", "--help"], "terminal_width": _WIDTH}
    return click.Context(command, info_name=path[-1], parent=parent, **settings)  # type: ignore[arg-type]


def _help_of(path: Words, command: click.Command) -> str:
    return f"## {' '.join(path)}\n\n```text\n{command.get_help(_context(path, command))}\n```\n"


def _usage(path: Words, command: click.Command) -> str:
    pieces = [piece for piece in command.collect_usage_pieces(_context(path, command)) if piece != "[OPTIONS]"]
    return " ".join((*path, *pieces))


def _short(command: click.Command) -> str:
    """Return the first sentence of the help text."""
    first = " ".join((command.help or "").split("\n\n")[0].split())
    return re.split(r"(?<=[.])\s", first)[0]


def _paragraphs(text: str) -> list[str]:
    """Return a help text in roff: paragraphs that are filled, and those after a \\b as they stand."""
    lines = []
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if paragraph.lstrip().startswith("\b"):
            kept = [line.rstrip() for line in paragraph.splitlines()[1:]]
            lines += [".PP", ".nf", *map(_roff, kept), ".fi"]
        else:
            lines += [".PP", _roff(" ".join(paragraph.split()))]
    return lines


def _options(command: click.Command, path: Words) -> list[str]:
    context = _context(path, command)
    records = [param.get_help_record(context) for param in command.get_params(context)]
    return [_entry(*record) for record in records if record]


def _entry(name: str, text: str) -> str:
    return f".TP\n.B {_roff(name)}\n{_roff(' '.join(text.split()))}"


def _roff(text: str) -> str:
    """Return the text without what roff would take for its own; a dash is a minus, so that it can be copied."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{text}" if text.startswith((".", "'")) else text


def write_all(root: Path) -> None:
    """Write the three into a checkout of paypoll, and the guide from there into the program."""
    from paypoll.cli import cli

    readme = root / "README.md"
    readme.write_text(with_table(readme.read_text(encoding="utf-8"), cli), encoding="utf-8")
    (root / "docs" / "commands.md").write_text(help_page(cli), encoding="utf-8")
    (root / "docs" / "paypoll.1").write_text(man_page(cli), encoding="utf-8")
    COPY.write_bytes((root / "docs" / "troubleshooting.md").read_bytes())


if __name__ == "__main__":
    write_all(Path.cwd())
