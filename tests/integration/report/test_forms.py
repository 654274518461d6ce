"""What the report looks like, made from a database whose texts are hostile and whose customers must not be seen."""

import csv
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from tests.integration.report.conftest import CUSTOMER, FORMULA_TITLE, HOSTILE_TITLE, NOW, NUMBER, Shop
from tests.json_schemas import check_printed

from paypoll.cli.render.report import report_parts
from paypoll.cli.render.screen import json_text
from paypoll.cli.render.terminal import table_lines
from paypoll.report.build import build_report
from paypoll.report.document import document
from paypoll.report.files import write_tables
from paypoll.report.page import render_page
from paypoll.report.result import Report

HARMLESS_TAGS = {
    *("html", "head", "meta", "title", "style", "body", "main", "header", "footer", "section", "div", "span", "p", "b"),
    *("h1", "h2", "i", "figure", "figcaption", "table", "thead", "tbody", "tfoot", "tr", "th", "td"),
    *("svg", "g", "rect", "path", "text"),
}


class Page(HTMLParser):
    """Collects what stands in a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str]] = []
        self.words: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())


@pytest.fixture(scope="module")
def report(three_weeks: Shop) -> Report:
    return build_report(three_weeks.engine, three_weeks.period, NOW)


@pytest.fixture(scope="module")
def page(report: Report) -> str:
    return render_page(report, site_name='Jersey <i onclick="x">Events</i> \u202e', language="en")


def test_page_has_plots_and_neither_script_nor_link_nor_address(page: str) -> None:
    found = Page(page)
    assert "svg" in found.tags
    assert found.tags <= HARMLESS_TAGS
    names = {name for name, _ in found.attributes}
    assert not any(name.startswith("on") for name in names)
    assert names.isdisjoint({"href", "src", "srcset", "action", "xlink:href", "data", "poster", "background"})
    assert re.findall(r"https?:|//\w|url\(|@import|javascript:|\.js\b", page) == []
    assert "default-src 'none'" in page


def test_page_shows_hostile_titles_as_text(page: str) -> None:
    assert HOSTILE_TITLE in Page(page).words
    assert "\u202e" not in page
    assert "\\u202e" in page


def test_no_form_of_the_report_names_a_customer_or_an_order(report: Report, page: str, tmp_path: Path) -> None:
    written = [file.read_text(encoding="utf-8") for file in write_tables(tmp_path / "csv", report)]
    forms = [page, *written, json_text(document(report)), "\n".join(map(str, report_parts(report, "Jersey Events")))]
    for form in forms:
        assert CUSTOMER not in form
        assert NUMBER not in form
        assert "@" not in form.replace("@media", "")


def test_csv_files_are_exact_and_start_no_formula(report: Report, tmp_path: Path) -> None:
    folder = tmp_path / "csv"
    write_tables(folder, report)
    assert (folder.stat().st_mode & 0o777, {file.stat().st_mode & 0o777 for file in folder.iterdir()}) == (
        0o750,
        {0o640},
    )
    with (folder / "money.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["event"] for row in rows} >= {f"'{FORMULA_TITLE}", HOSTILE_TITLE}
    found = {(row["currency"], row["event"].removeprefix("'")): row["in"] for row in rows}
    assert found == {(row.currency, row.event): f"{row.taken:.2f}" for sums in report.money for row in sums.rows}


def test_json_has_exact_amounts_as_text_and_times_with_their_zone(report: Report) -> None:
    read = json.loads(json_text(document(report)))
    check_printed(("report", "--json"), json.dumps({"schema": 1, **read}))
    assert read["money"][0]["taken"] == f"{report.money[0].taken:.2f}"
    assert read["since"] == "2026-11-19T12:00:00+00:00"
    assert sum(one["orders"] for one in read["paid_to_ticket"]["within"]) == read["paid_to_ticket"]["seconds"]["number"]


@pytest.mark.parametrize("width", [60, 80, 110])
@pytest.mark.parametrize("blocks", ["▁▂▃▄▅▆▇█", ".:-=+*%@"])
def test_terminal_page_fits_its_width(report: Report, width: int, blocks: str) -> None:
    import click
    from rich.cells import cell_len

    from paypoll.cli.render.screen import shown

    parts = report_parts(report, "Jersey Events", columns=width, blocks=blocks)
    drawn = ([shown(part)] if isinstance(part, str) else table_lines(part, width) for part in parts)
    lines = [click.unstyle(line) for part in drawn for line in part]
    assert max(map(cell_len, lines)) <= width
    assert any(blocks[-1] in line for line in lines)
