"""The pages for developers name files that are there, and link to pages that are there."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.glob("*.md"), *(DOCS / "decisions").glob("*.md"), ROOT / "README.md"])
SOURCE = ROOT / "src" / "paypoll"
NAMED = re.compile(r"`((?:[\w.-]+/)*[\w.-]+\.(?:py|md|toml|txt)|(?:[\w.-]+/)+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_links_to_pages_and_headings_that_are_there(page: Path) -> None:
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        path, _, heading = target.partition("#")
        if re.match(r"\w+:", target):
            continue
        there = page.parent / path if path else page
        assert there.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", one.lower()).replace(" ", "-") for one in headings}, target


@pytest.mark.parametrize("name", ["architecture", "contributing", "states", "glossary", "decisions"])
def test_page_for_developers_names_files_that_are_there(name: str) -> None:
    pages = sorted((DOCS / name).glob("*.md")) if name == "decisions" else [DOCS / f"{name}.md"]
    missing = {
        named for page in pages for named in NAMED.findall(page.read_text(encoding="utf-8")) if not is_there(named)
    }
    assert missing == set()


def is_there(named: str) -> bool:
    """Say whether the project has this path; inside a room, its end will do."""
    return any((folder / named).exists() for folder in (ROOT, DOCS)) or any(SOURCE.rglob(named.rstrip("/")))


def test_every_room_stands_in_the_table_of_rooms() -> None:
    rooms = {path.name for path in SOURCE.iterdir() if (path / "__init__.py").exists()}
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert rooms == set(re.findall(r"^\| `(\w+)/`", page, re.MULTILINE))


def test_decisions_are_numbered_and_listed() -> None:
    names = [path.name for path in sorted((DOCS / "decisions").glob("*.md"))]
    assert [int(name[:4]) for name in names] == list(range(1, len(names) + 1))
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    assert re.findall(r"\(decisions/(\S+)\)", page) == names
