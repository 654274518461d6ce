"""docs/schemas: what `--json` prints, a file a command."""

import json
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import fastjsonschema

SCHEMAS = Path(__file__).parents[1] / "docs" / "schemas"
_GROUPS = {"config", "db", "mail"}


def schema_of(words: Sequence[str]) -> Path:
    """Return the schema of a command line."""
    name = "-".join(words[:2]) if words[0] in _GROUPS else words[0]
    return SCHEMAS / f"{name}.json"


@cache
def validator(path: Path) -> Callable[[Any], Any]:
    """Return what raises where a document is not as the schema says."""
    compiled: Callable[[Any], Any] = fastjsonschema.compile(json.loads(path.read_text(encoding="utf-8")))
    return compiled


def check_printed(words: Sequence[str], stdout: str) -> None:
    """Check what a command has printed, if it was asked for JSON and came to a result."""
    if "--json" in words and stdout.strip():
        validator(schema_of(words))(json.loads(stdout))
