"""The numbers for Prometheus, the dashboard and alarms made of them, and the history of runs."""

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from paypoll.admin.resolve import Resolution
from paypoll.app import App
from paypoll.database import transaction
from paypoll.payments.decision import Outcome
from paypoll.payments.gateway import CheckoutStatus
from paypoll.runs.monitoring.latency import Latency
from paypoll.settings.load import load_settings
from paypoll.state.resolutions import Verdict
from paypoll.state.runs import run_history
from paypoll.sumup.retry import RequestSeen
from paypoll.testing import MERCHANT

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Command, Desk

ROOT = Path(__file__).parents[3]
NAME = re.compile(r"\bpaypoll_[a-z_]+")
NO_METRICS = {"paypoll_ask", "paypoll_read"}
"""A variable of the shop's example, and a group of the database's."""


@dataclass
class Watched:
    """A desk whose runs write a metrics file."""

    desk: "Desk"
    file: Path

    def numbers(self) -> dict[str, float]:
        """Return what the file says: each metric with its labels, and its number."""
        lines = self.file.read_text(encoding="utf-8").splitlines()
        return {name: float(number) for name, _, number in (one.rpartition(" ") for one in lines if one[0] != "#")}


@pytest.fixture
def watched(desk: "Desk", settings_file: Path, tmp_path: Path) -> Watched:
    file = tmp_path / "paypoll.prom"
    app = App(load_settings(settings_file, {"PAYPOLL_METRICS__TEXTFILE": str(file)}), clock=desk.bench.clock)
    app.gateway, app.printer, app.mailer = desk.bench.gateway, desk.bench.printer, desk.bench.mailer
    desk.bench.app.close()
    desk.app = desk.bench.app = app
    return Watched(desk, file)


def seen(status: int | None, seconds: float) -> RequestSeen:
    return RequestSeen("GET", "/v0.1/checkouts/{id}", status, seconds, 1)


def test_metrics_say_what_waits_and_what_the_run_did(watched: Watched) -> None:
    desk = watched.desk
    desk.place("ORD-PAID")
    desk.place("ORD-WRONG", amount="24.99")
    waiting = desk.place("ORD-WAITS", "PENDING", created_at=desk.bench.clock.now() - timedelta(minutes=7))
    desk.bench.mailer.down = "connection refused"
    for status, seconds in ((200, 0.1), (200, 0.2), (503, 0.9), (None, 30.0)):
        desk.app.latency(seen(status, seconds))
    desk.run()
    assert desk.status(waiting) == "pending_verification"
    found = watched.numbers()
    assert found["paypoll_orders_waiting"] == 1
    assert found["paypoll_oldest_waiting_seconds"] == 420
    assert found["paypoll_reviews_open"] == 1
    assert found["paypoll_mails_waiting"] == 2
    assert found['paypoll_run_orders{outcome="complete"}'] == 1
    assert found['paypoll_run_orders{outcome="review"}'] == 1
    assert found['paypoll_run_orders{outcome="expire"}'] == 0
    assert found["paypoll_run_tickets"] == 2
    assert found["paypoll_run_success"] == 1
    assert found["paypoll_last_success_timestamp_seconds"] == desk.bench.clock.now().timestamp()
    assert found['paypoll_sumup_requests{answer="2xx"}'] == 2
    assert found['paypoll_sumup_requests{answer="none"}'] == 1
    assert found['paypoll_sumup_latency_seconds{quantile="0.5"}'] == 0.2
    assert found['paypoll_sumup_latency_seconds{quantile="1"}'] == 0.9
    # 24c: a person closes the review, and it is paid once more. `queue` lists that, and so it is counted.
    resolver = desk.app.resolver
    resolver.settle(resolver.find_in_review("ORD-WRONG"), Resolution(Verdict.REJECT, "margot", "not ours"))
    (again,) = desk.shop.rows("orders_order", order_number="ORD-WRONG")
    desk.shop.add_checkout(again["id"], "AGAIN", "chk-AGAIN", merchant_code=MERCHANT)
    desk.sumup_says("AGAIN", CheckoutStatus.PENDING)
    for reviews in (0, 1):
        desk.bench.clock.move(timedelta(hours=1))
        desk.run()
        assert watched.numbers()["paypoll_reviews_open"] == len(desk.backlog().reviews) == reviews
        desk.sumup_says("AGAIN")


def test_metrics_of_a_run_with_errors_keep_the_time_of_the_last_success(watched: Watched, engine: sa.Engine) -> None:
    desk = watched.desk
    desk.run()
    good = desk.bench.clock.now().timestamp()
    desk.bench.clock.move(timedelta(minutes=5))
    desk.place("ORD-1")
    with transaction(engine) as connection:
        connection.exec_driver_sql("ALTER TABLE events_ticket ADD CONSTRAINT odd CHECK (seat_number <> '')")
    desk.run()
    found = watched.numbers()
    assert (found["paypoll_run_success"], found["paypoll_run_errors"]) == (0, 1)
    assert found["paypoll_last_success_timestamp_seconds"] == good
    assert found["paypoll_run_ended_timestamp_seconds"] == good + 300


def test_metrics_have_no_latency_where_nobody_was_asked(watched: Watched) -> None:
    watched.desk.run()
    assert "latency" not in watched.file.read_text(encoding="utf-8")


def test_metrics_file_can_be_read_by_the_exporter_and_nothing_is_left_beside_it(watched: Watched) -> None:
    watched.desk.run()
    watched.desk.run()
    assert watched.file.stat().st_mode & 0o777 == 0o644
    assert [file.name for file in watched.file.parent.iterdir() if "paypoll.prom" in file.name] == ["paypoll.prom"]


def test_metrics_are_told_of_real_requests(paypoll: "Command", desk: "Desk", tmp_path: Path) -> None:
    desk.place("ORD-1")
    file = tmp_path / "real.prom"
    # SumUp is nowhere: every request is one without an answer.
    paypoll("run-once", PAYPOLL_METRICS__TEXTFILE=str(file), PAYPOLL_SUMUP__TRIES="1")
    (line,) = re.findall(r'paypoll_sumup_requests\{answer="none"\} (\d+)', file.read_text(encoding="utf-8"))
    assert int(line) >= 1


def test_latency_of_many_answers_is_sorted_before_it_is_shared_out() -> None:
    latency = Latency()
    for number in range(100, 0, -1):
        latency(seen(200, number / 100))
    assert latency.quantiles() == {0.5: 0.5, 0.95: 0.95, 1.0: 1.0}


def known_metrics(watched: Watched) -> set[str]:
    watched.desk.app.latency(seen(200, 0.1))
    watched.desk.run()
    return set(NAME.findall(watched.file.read_text(encoding="utf-8")))


def test_dashboard_shows_every_metric_and_no_other_and_the_guides_name_none_that_is_not_there(watched: Watched) -> None:
    dashboard = json.loads((ROOT / "docs" / "grafana.json").read_text(encoding="utf-8"))
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", ())]
    shown = {name for query in queries for name in NAME.findall(query)}
    known = known_metrics(watched)
    assert shown == known
    for guide in ("docs/operation.md", "docs/deployment.md", "docs/troubleshooting.md"):
        named = set(NAME.findall((ROOT / guide).read_text(encoding="utf-8"))) - NO_METRICS
        assert named <= known, guide
    outcomes = {found for query in queries for found in re.findall(r'outcome="(\w+)"', query)}
    assert outcomes <= {outcome.value for outcome in Outcome}
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids)
    assert all(panel["datasource"]["uid"] == "${source}" for panel in dashboard["panels"] if panel["type"] != "row")


def test_history_of_runs_is_the_newest_first_and_leaves_out_idle_ones(desk: "Desk") -> None:
    desk.place("ORD-1", "PENDING")
    desk.run()
    desk.place("ORD-2")
    for _ in range(3):
        desk.bench.clock.move(timedelta(minutes=5))
        desk.run()
    with transaction(desk.app.engine) as connection:
        every = run_history(connection, limit=10)
        assert [one.started_at for one in every] == sorted((one.started_at for one in every), reverse=True)
        assert len(every) == 4
        assert len(run_history(connection, limit=2)) == 2
        recent = run_history(connection, limit=10, since=desk.bench.clock.now() - timedelta(minutes=6))
        assert len(recent) == 2
        busy = run_history(connection, limit=10, idle=False)
    assert all(any(one.counts.values()) for one in busy)
    assert busy[-2].counts["outcome_complete"] == 1


def test_runs_command_shows_the_history(paypoll: "Command", desk: "Desk") -> None:
    desk.run()
    shown = paypoll("runs")
    assert shown.returncode == 0
    assert "nothing to do" in shown.stdout
    as_json = json.loads(paypoll("runs", "--json", "--limit", "1").stdout)
    assert (as_json["schema"], as_json["runs"][0]["ended"]) == (1, "finished")
