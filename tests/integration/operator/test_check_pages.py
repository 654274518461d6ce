"""`paypoll check --shop`: which pages of the shop still answer, asked so that nothing can happen there."""

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from paypoll.admin.check.pages import DANGEROUS, NOWHERE, check_pages
from paypoll.admin.check.result import CheckResult, Mark
from paypoll.exitcodes import ExitCode

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Command


class ShopSite(ThreadingHTTPServer):
    """The shop's web server: it has these pages, each with its status, and notes what it is asked."""

    def __init__(self, pages: dict[str, int], otherwise: int, leads_to: str) -> None:
        super().__init__(("127.0.0.1", 0), _Page)
        self.pages, self.otherwise, self.leads_to = pages, otherwise, leads_to
        self.asked: list[tuple[str, str]] = []
        self.url = f"http://127.0.0.1:{self.server_port}"


class _Page(BaseHTTPRequestHandler):
    server: ShopSite

    def handle_one_request(self) -> None:
        """Answer whatever method comes."""
        self.raw_requestline = self.rfile.readline()
        if not self.raw_requestline or not self.parse_request():
            self.close_connection = True
            return
        self.server.asked.append((self.command, self.path))
        self.send_response(self.server.pages.get(self.path, self.server.otherwise))
        if self.server.leads_to:
            self.send_header("Location", self.server.leads_to + self.path)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def open_site() -> Iterator[Callable[..., ShopSite]]:
    """Opens a shop's web server."""
    sites: list[ShopSite] = []

    def open_one(pages: dict[str, int] | None = None, otherwise: int = 404, leads_to: str = "") -> ShopSite:
        sites.append(ShopSite(pages or {}, otherwise, leads_to))
        threading.Thread(target=sites[-1].serve_forever, kwargs={"poll_interval": 0.01}).start()
        return sites[-1]

    yield open_one
    for site in sites:
        site.shutdown()
        site.server_close()


OpenSite = Callable[..., ShopSite]


def only(url: str) -> CheckResult:
    (finding,) = check_pages(url)
    return finding


@pytest.mark.parametrize("gone", [404, 410])
def test_shop_without_the_dangerous_pages_is_fine(open_site: OpenSite, gone: int) -> None:
    assert only(open_site(dict.fromkeys(DANGEROUS, gone)).url).mark is Mark.OK


@pytest.mark.parametrize("status", [200, 302, 400, 403, 405, 500])
@pytest.mark.parametrize("path", DANGEROUS)
def test_page_that_still_answers_is_a_problem_whatever_it_answers(open_site: OpenSite, path: str, status: int) -> None:
    finding = only(open_site({path: status}).url + "/")
    assert (finding.mark, finding.exit_code) == (Mark.PROBLEM, ExitCode.SETTINGS)
    assert f"{path} still answers (status {status}): {DANGEROUS[path]}" in finding.text
    assert finding.next_step


def test_only_heads_without_parameters_are_asked_for(open_site: OpenSite) -> None:
    site = open_site(dict.fromkeys(DANGEROUS, 302), leads_to="https://elsewhere.invalid")
    assert len(list(check_pages(site.url))) == len(DANGEROUS)
    assert site.asked == [("HEAD", path) for path in (NOWHERE, *DANGEROUS)]


def test_shop_that_answers_for_every_page_cannot_be_told_from_one_that_has_them(open_site: OpenSite) -> None:
    finding = only(open_site(otherwise=200).url)
    assert (finding.mark, "cannot be told" in finding.text) == (Mark.WARNING, True)


def test_shop_that_leads_elsewhere_is_named_with_where(open_site: OpenSite) -> None:
    finding = only(open_site(otherwise=301, leads_to="https://www.shop.example").url)
    assert (finding.mark, finding.next_step[-24:]) == (Mark.WARNING, "https://www.shop.example")


def test_shop_out_of_reach_is_a_problem_that_may_pass() -> None:
    finding = only("http://127.0.0.1:9")
    assert (finding.mark, finding.exit_code) == (Mark.PROBLEM, ExitCode.TRY_LATER)


def test_command_asks_the_shop_only_when_told_to_and_refuses_what_is_no_address(
    open_site: OpenSite, paypoll: "Command"
) -> None:
    site = open_site({"/payments/success/": 200})
    assert "shop's pages" not in paypoll("check").stdout
    assert site.asked == []
    asked = paypoll("check", "--shop", site.url)
    assert (asked.returncode, "/payments/success/ still answers" in asked.stdout) == (78, True)
    refused = paypoll("check", "--shop", "shop.example")
    assert (refused.returncode, "is not a web address" in refused.stderr) == (2, True)
