"""docs/templates.md names what templates are given: all of it, and nothing that is not there."""

import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import jinja2
import pytest
from jinja2 import meta

from paypoll.mail.content.compose import KINDS, Attachment, ComposeOptions
from paypoll.mail.content.contexts import (
    AlertContext,
    AlertOrder,
    ConfirmationContext,
    FailureContext,
    OrderLine,
)
from paypoll.mail.content.organiser_contexts import DigestContext, DigestLine, ListingContext
from paypoll.mail.content.refund_context import RefundContext
from paypoll.tickets.sheet import Sheet

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "templates.md").read_text(encoding="utf-8")
TEMPLATES = ROOT / "src" / "paypoll"
FILTERS = ("direction", "money", "day", "clock")
"""Ours, besides Jinja2's own. A template that used another one could not be read here."""


def names_under(heading: str) -> list[str]:
    """Return the names in the first column of the first table below a heading."""
    (section,) = re.findall(rf"^#+ {re.escape(heading)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    return [name for row in re.findall(r"^\| (`.+?) \|", section, re.MULTILINE) for name in re.findall("`(.+?)`", row)]


def public(kind: Any) -> set[str]:
    """Return what a template can ask of a value: its fields and properties."""
    named = {name for one in kind.__mro__ for name, value in vars(one).items() if type(value) is property}
    return {field.name for field in fields(kind)} | named


@pytest.mark.parametrize(
    ("heading", "kind"),
    [
        ("A ticket", Sheet),
        ("`site`", ComposeOptions),
        ("`mail` in `confirmation`, `late_confirmation` and `under_review`", ConfirmationContext),
        ("`mail` in `payment_failed`", FailureContext),
        ("`mail` in `event_listed`", ListingContext),
        ("`mail` in `organiser_orders`", DigestContext),
        ("A line of `organiser_orders`", DigestLine),
        ("`mail` in `refund`", RefundContext),
        ("A line of an order", OrderLine),
        ("`mail` in `alert`", AlertContext),
        ("An order in an alert", AlertOrder),
    ],
)
def test_page_names_every_field_of_a_value_and_no_other(heading: str, kind: Any) -> None:
    assert set(names_under(heading)) == public(kind)


def test_page_names_the_fields_of_an_attachment() -> None:
    (row,) = re.findall(r"^\| `attachments` \| (.*)", PAGE, re.MULTILINE)
    assert set(re.findall("`(.+?)`", row)) == public(Attachment)


def used_in(folder: Path) -> Iterator[str]:
    """Yield the names that our templates take from outside."""
    environment = jinja2.Environment(autoescape=True)
    environment.filters |= dict.fromkeys(FILTERS, str)
    for file in folder.iterdir():
        if file.suffix in {".html", ".txt"}:
            yield from meta.find_undeclared_variables(environment.parse(file.read_text(encoding="utf-8")))


@pytest.mark.parametrize(
    ("heading", "folder"), [("Names in `ticket.html`", "tickets"), ("Names in every mail", "mail")]
)
def test_page_names_what_our_templates_use(heading: str, folder: str) -> None:
    assert set(names_under(heading)) == set(used_in(TEMPLATES / folder / "templates"))


@pytest.mark.parametrize("name", FILTERS)
def test_page_names_every_filter(name: str) -> None:
    assert re.search(rf"`(\S+ \| )?{name}\b", PAGE)


def test_page_names_every_file_that_can_be_replaced() -> None:
    files = {file.name for folder in ("tickets", "mail") for file in (TEMPLATES / folder / "templates").iterdir()}
    of_kinds = {
        f"{kind}.{form}" for kind in names_under("Mails")[: len(KINDS)] for form in ("subject.txt", "txt", "html")
    }
    named = set(re.findall(r"`([a-z_.]+\.(?:html|txt|css))`", PAGE))
    assert files == named | of_kinds
    assert names_under("Mails")[: len(KINDS)] == list(KINDS)


def test_page_names_the_blocks_of_the_layouts() -> None:
    for file in ("layout.html", "customer.html"):
        source = (TEMPLATES / "mail" / "templates" / file).read_text(encoding="utf-8")
        (row,) = re.findall(rf"^\| `{file}` \| (.*)", PAGE, re.MULTILINE)
        blocks = set(re.findall(r"{% block (\w+) %}", source))
        shared = {"content", "footer"} if file == "customer.html" else set()
        assert set(re.findall("`(.+?)`", row)) == blocks - shared
