"""Every item of `paypoll check`: fine as it should be, and named with the next step when it is not."""

import json
import re
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from tests.settings_text import API_KEY, MERCHANT

from paypoll.admin.check import check_all, exit_code
from paypoll.admin.check.host import _there_below, check_timer
from paypoll.admin.check.printing import check_printing
from paypoll.admin.check.result import CheckResult, Mark
from paypoll.app import App
from paypoll.database import CONNECTIONS, transaction
from paypoll.mail.mailer import RecipientRefusedError
from paypoll.sandbox.demo.shop import SmallShop
from paypoll.sandbox.mail.sink import MailSink
from paypoll.sandbox.sumup.effects import Status
from paypoll.sandbox.sumup.keyring import EVERY_SCOPE, Scope
from paypoll.sandbox.sumup.simulator import Simulator
from paypoll.settings.load import load_settings
from paypoll.state.tables import run
from paypoll.testing import FakeClock, FakeGateway, FakeMailer, FakePrinter
from paypoll.tickets.printer import WeasyTicketPrinter

if TYPE_CHECKING:
    from tests.integration.operator.conftest import Command, Desk

MakeApp = Callable[..., App]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator() as running:
        running.add_merchant("MPLATFORM", API_KEY)
        running.add_merchant("MOTHER", "another-key")
        yield running


@pytest.fixture
def sink(tmp_path: Path) -> Iterator[MailSink]:
    with MailSink(tmp_path / "mails") as running:
        yield running


@pytest.fixture
def make_app(settings_file: Path, simulator: Simulator, sink: MailSink) -> Iterator[MakeApp]:
    """Make an app on a real SumUp and a real mail server, both ours, with a printer that prints nothing."""
    made: list[App] = []

    def make(**settings: str) -> App:
        environ = {"PAYPOLL_SUMUP__BASE_URL": simulator.url, "PAYPOLL_MAIL__PORT": str(sink.port), **settings}
        app = App(load_settings(settings_file, environ), read_only=True)
        app.printer = FakePrinter()
        made.append(app)
        return app

    yield make
    for app in made:
        app.close()


def check(app: App, *, send_test_alert: bool = False) -> dict[str, list[CheckResult]]:
    """Return the findings by topic."""
    found: dict[str, list[CheckResult]] = {}
    for finding in check_all(app, send_test_alert=send_test_alert):
        found.setdefault(finding.topic, []).append(finding)
    return found


def one(found: dict[str, list[CheckResult]], topic: str) -> CheckResult:
    (finding,) = found[topic]
    return finding


def is_problem(finding: CheckResult, *words: str, code: int = 78) -> bool:
    assert finding.next_step
    assert all(word in finding.text + finding.next_step for word in words), finding
    return finding.mark is Mark.PROBLEM and finding.exit_code == code


def fill_orders(engine: sa.Engine, shop: SmallShop, count: int, *, counted: bool) -> None:
    """Copy an order many times; with `counted`, let PostgreSQL count them."""
    order_id = shop.add_order("ORD-1", "ada@example.org", [], status="completed")
    with transaction(engine) as connection:
        columns = [column["name"] for column in sa.inspect(connection).get_columns("orders_order")]
        copied = [name for name in columns if name not in {"id", "order_number"}]
        connection.exec_driver_sql("ALTER TABLE orders_order SET (autovacuum_enabled = off)")
        connection.execute(
            sa.text(
                f"INSERT INTO orders_order (order_number, {', '.join(copied)}) "  # noqa: S608 - the catalogue's names
                f"SELECT 'COPY-' || number, {', '.join(copied)} "
                "FROM orders_order, generate_series(1, :count) AS number WHERE id = :id"
            ),
            {"count": count, "id": order_id},
        )
        if counted:
            connection.exec_driver_sql("ANALYZE orders_order")


def test_all_is_well(settings_file: Path, simulator: Simulator, sink: MailSink, engine: sa.Engine) -> None:
    with transaction(engine) as connection:
        connection.exec_driver_sql("CREATE INDEX ON orders_order (status)")
        connection.execute(
            sa.insert(run).values(
                id="r",
                command="run-once",
                host="shop1",
                version="1",
                started_at=datetime.now(UTC) - timedelta(minutes=2),
                ended_at=datetime.now(UTC),
                ended="finished",
            )
        )
    environ = {"PAYPOLL_SUMUP__BASE_URL": simulator.url, "PAYPOLL_MAIL__PORT": str(sink.port)}
    app = App(load_settings(settings_file, environ), read_only=True)  # with the real printer
    try:
        found = list(check_all(app))
    finally:
        app.close()
    assert [finding for finding in found if finding.mark is Mark.PROBLEM] == []
    assert exit_code(found) == 0
    fine = {finding.topic: finding.text for finding in found if finding.mark is Mark.OK}
    assert fine.keys() >= {
        *("settings", "database", "clock", "rights", "shop's tables", "index", "paypoll's tables", "last run"),
        *(
            "sold places",
            "SumUp",
            "merchant",
            "key's merchant",
            "mail templates",
            "mail server",
            "ticket printer",
            "stamping",
            "fonts",
            "media folder",
        ),
    }
    assert fine["last run"] == "2 minutes ago on shop1, finished"
    assert "DejaVu" in fine["fonts"]
    assert sink.messages == ()


def test_check_changes_nothing_at_sumup(make_app: MakeApp, simulator: Simulator) -> None:
    check(make_app())
    assert {seen.method for seen in simulator.requests} == {"GET"}


class TestRefunds:
    def test_nothing_is_asked_for_while_they_are_off(self, make_app: MakeApp, simulator: Simulator) -> None:
        assert "refunds" not in check(make_app())
        assert simulator.count("POST") == 0

    def test_scope_is_found_out_by_a_payment_that_does_not_exist(self, make_app: MakeApp, simulator: Simulator) -> None:
        allowed = {"PAYPOLL_SUMUP__ALLOW_REFUNDS": "true"}
        found = check(make_app(**allowed))
        assert one(found, "refunds").mark is Mark.OK
        assert "rights for refunds" not in found
        assert simulator.count("POST", "*/00000000-*/refunds", 404) == simulator.count("POST") == 1
        simulator.add_merchant(MERCHANT, API_KEY, scopes=EVERY_SCOPE - {Scope.REFUNDS, Scope.PAYMENTS})
        assert is_problem(one(check(make_app(**allowed)), "refunds"), "refunds.write", "sumup.allow_refunds")

    def test_column_that_a_refund_cannot_fill_is_named(self, make_app: MakeApp, engine: sa.Engine) -> None:
        with transaction(engine) as connection:
            connection.exec_driver_sql("ALTER TABLE orders_refund ADD COLUMN method text NOT NULL")
        found = check(make_app(PAYPOLL_SUMUP__ALLOW_REFUNDS="true"))
        assert is_problem(one(found, "rights for refunds"), "orders_refund.method")


class TestSumUp:
    def test_wrong_key_is_named(self, make_app: MakeApp) -> None:
        found = check(make_app(PAYPOLL_SUMUP__API_KEY="sup_sk_wrong"))
        assert is_problem(one(found, "SumUp"), "refuses our credential", "sumup.api_key")
        assert "sup_sk_wrong" not in str(found)
        assert "merchant" not in found

    def test_wrong_client_is_named(self, make_app: MakeApp, settings_file: Path) -> None:
        settings_file.write_text(settings_file.read_text().replace(f'api_key = "{API_KEY}"', ""))
        found = check(make_app(PAYPOLL_SUMUP__CLIENT_ID="us", PAYPOLL_SUMUP__CLIENT_SECRET="wrong"))
        assert is_problem(one(found, "SumUp"), "sumup.client_secret")

    def test_wrong_merchant_is_named_by_the_shops_checkouts(self, make_app: MakeApp, shop: SmallShop) -> None:
        order_id = shop.add_order("ORD-1", "ada@example.org", [])
        shop.add_checkout(order_id, "ORD-1", "chk-1", merchant_code="MPLATFORM")
        found = check(make_app(PAYPOLL_SUMUP__MERCHANT_CODE="MOTHER"))
        assert is_problem(one(found, "merchant in the shop"), "on merchant MPLATFORM", "none is on MOTHER")
        assert "merchant in the shop" not in check(make_app())

    def test_row_48_key_of_another_account_is_named_with_its_merchant(self, make_app: MakeApp) -> None:
        found = check(make_app(PAYPOLL_SUMUP__API_KEY="another-key"))
        assert is_problem(one(found, "key's merchant"), "of merchant MOTHER", "sumup.merchant_code is MPLATFORM")

    def test_sumup_that_does_not_say_whose_key_it_is_is_no_problem(
        self, make_app: MakeApp, simulator: Simulator
    ) -> None:
        with simulator.fault(Status(HTTPStatus.FORBIDDEN), path="/v0.1/memberships"):
            assert one(check(make_app()), "key's merchant").mark is Mark.SKIPPED

    def test_merchant_of_an_organiser_is_no_sign_of_a_mistake(self, make_app: MakeApp, shop: SmallShop) -> None:
        shop.add_organiser("choir@example.org", "The Choir", sumup_merchant_code="MCHOIR")
        order_id = shop.add_order("ORD-1", "ada@example.org", [])
        shop.add_checkout(order_id, "ORD-1", "chk-1", merchant_code="MCHOIR")
        assert "merchant in the shop" not in check(make_app())

    def test_no_merchant_is_advice(self, make_app: MakeApp) -> None:
        assert one(check(make_app(PAYPOLL_SUMUP__MERCHANT_CODE="")), "merchant").mark is Mark.WARNING

    def test_client_that_may_not_read_transactions_is_advice(
        self, make_app: MakeApp, settings_file: Path, simulator: Simulator
    ) -> None:
        simulator.add_client("us", "secret", "MPLATFORM")
        settings_file.write_text(settings_file.read_text().replace(f'api_key = "{API_KEY}"', ""))
        found = check(make_app(PAYPOLL_SUMUP__CLIENT_ID="us", PAYPOLL_SUMUP__CLIENT_SECRET="secret"))
        assert one(found, "SumUp").mark is Mark.OK
        assert one(found, "merchant").mark is Mark.WARNING

    def test_out_of_reach_is_for_later(self, make_app: MakeApp) -> None:
        found = check(make_app(PAYPOLL_SUMUP__BASE_URL="http://127.0.0.1:9", PAYPOLL_SUMUP__TRIES="1"))
        assert is_problem(one(found, "SumUp"), "does not answer", code=75)

    def test_something_that_is_not_sumup_is_named(self, make_app: MakeApp, simulator: Simulator) -> None:
        found = check(make_app(PAYPOLL_SUMUP__BASE_URL=f"{simulator.url}/elsewhere"))
        assert is_problem(one(found, "SumUp"), "sumup.base_url")


class TestMail:
    def test_out_of_reach_is_for_later_and_the_rest_goes_on(self, make_app: MakeApp) -> None:
        found = check(make_app(PAYPOLL_MAIL__PORT="9"))
        assert is_problem(one(found, "mail server"), "127.0.0.1:9", code=75)
        assert "media folder" in found

    def test_test_alert_is_sent_to_the_admins(self, make_app: MakeApp, sink: MailSink) -> None:
        assert one(check(make_app(), send_test_alert=True), "test alert").mark is Mark.OK
        (mail,) = sink.wait_for(1)
        assert mail.recipients == ("admin@shop.example",)
        assert "A test: alerts arrive here" in mail.message["Subject"]

    def test_test_alert_that_is_refused_is_named(self, make_app: MakeApp) -> None:
        app = make_app()
        app.mailer = FakeMailer(failures=[RecipientRefusedError("550 no such user")])
        assert is_problem(one(check(app, send_test_alert=True), "test alert"), "550 no such user", "alerts.to")

    def test_broken_template_is_named(self, make_app: MakeApp, tmp_path: Path) -> None:
        folder = tmp_path / "templates"
        folder.mkdir()
        (folder / "confirmation.txt").write_text("{{ no_such_thing }}")
        found = check(make_app(PAYPOLL_MAIL__TEMPLATE_FOLDER=str(folder)))
        assert is_problem(one(found, "mail templates"), "confirmation.txt", str(folder))


class TestDatabase:
    def test_out_of_reach_is_for_later_and_the_rest_goes_on(self, make_app: MakeApp) -> None:
        found = check(make_app(PAYPOLL_DATABASE__URL="postgresql://paypoll@127.0.0.1:9/shop"))
        assert is_problem(one(found, "database"), "out of reach", code=75)
        assert found.keys() >= {"mail server", "media folder"}

    def test_role_that_is_not_there_is_a_setting(self, make_app: MakeApp, database_url: str) -> None:
        found = check(make_app(PAYPOLL_DATABASE__URL=database_url.replace("postgres@", "nobody_at_all@")))
        assert is_problem(one(found, "database"), "nobody_at_all")

    def test_missing_index_is_no_matter_while_the_table_is_small(self, make_app: MakeApp, shop: SmallShop) -> None:
        shop.add_order("ORD-1", "ada@example.org", [])
        finding = one(check(make_app()), "index")
        assert (finding.mark, finding.next_step) == (Mark.OK, "")

    @pytest.mark.parametrize("counted", [True, False])
    def test_missing_index_on_a_large_table_is_advice_with_the_statement(
        self, make_app: MakeApp, engine: sa.Engine, shop: SmallShop, counted: bool
    ) -> None:
        fill_orders(engine, shop, 90_000, counted=counted)
        finding = one(check(make_app()), "index")
        assert (finding.mark, exit_code([finding])) == (Mark.WARNING, 0)
        with engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(finding.next_step)
        assert one(check(make_app()), "index").mark is Mark.OK
        payments = one(check(make_app()), "index of payments")
        assert payments.mark is Mark.WARNING
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for statement in payments.next_step.split("; "):
                connection.exec_driver_sql(statement)
        assert "index of payments" not in check(make_app())

    @pytest.mark.parametrize(
        ("index", "mark"),
        [
            ("(status)", Mark.OK),
            ("(status, email)", Mark.OK),
            ("(created_at, status)", Mark.WARNING),
            ("(status) WHERE is_paid", Mark.WARNING),
            ("(lower(status))", Mark.WARNING),
        ],
    )
    def test_index_helps_when_it_is_whole_and_starts_with_status(
        self, make_app: MakeApp, engine: sa.Engine, index: str, mark: Mark
    ) -> None:
        with transaction(engine) as connection:
            connection.exec_driver_sql(f"CREATE INDEX ON orders_order {index}")
            # What PostgreSQL notes down when it counts.
            connection.exec_driver_sql("UPDATE pg_class SET reltuples = 90000 WHERE oid = 'orders_order'::regclass")
        assert one(check(make_app()), "index").mark is mark

    def test_superuser_is_told_what_is_too_much(self, make_app: MakeApp) -> None:
        advice = [finding for finding in check(make_app())["rights"] if finding.mark is Mark.WARNING]
        assert "read password hashes" in advice[0].text

    def test_missing_column_is_named(self, make_app: MakeApp, engine: sa.Engine) -> None:
        with transaction(engine) as connection:
            connection.exec_driver_sql("ALTER TABLE orders_order DROP COLUMN payment_notes")
        assert is_problem(one(check(make_app()), "shop's tables"), "orders_order.payment_notes")

    def test_missing_own_tables_are_named(self, make_app: MakeApp, engine: sa.Engine) -> None:
        with transaction(engine) as connection:
            connection.exec_driver_sql("DROP SCHEMA paypoll CASCADE")
        found = check(make_app())
        assert is_problem(one(found, "paypoll's tables"), "paypoll db upgrade")
        assert "last run" not in found

    def test_missing_right_is_named(self, make_app: MakeApp, engine: sa.Engine, database_url: str) -> None:
        with transaction(engine) as connection:
            connection.exec_driver_sql("CREATE ROLE reader LOGIN; GRANT USAGE ON SCHEMA paypoll TO reader")
            connection.exec_driver_sql("GRANT SELECT ON paypoll.schema_version, paypoll.run TO reader")
        try:
            found = check(make_app(PAYPOLL_DATABASE__URL=database_url.replace("postgres@", "reader@")))
        finally:
            with transaction(engine) as connection:
                connection.exec_driver_sql("DROP OWNED BY reader; DROP ROLE reader")
        # One line and one remedy, however many are missing.
        assert is_problem(one(found, "rights"), "may not", "paypoll db grants")
        assert re.search(r"may not \w+ \w+: .*; may not .*, and \d\d more$", one(found, "rights").text)
        assert "last run" in found

    def test_time_outs_that_the_server_does_not_keep_are_named(self, make_app: MakeApp, engine: sa.Engine) -> None:
        app = make_app()
        assert one(check(app), "time-outs").mark is Mark.OK
        app.engine.dispose()
        app.engine = sa.create_engine(engine.url)  # as behind a pooler that drops what a transaction sets
        assert is_problem(one(check(app), "time-outs"), "lock_timeout is 0, not 5000", "statement_timeout", "pooler")

    @pytest.mark.parametrize(
        ("limit", "mark"), [(CONNECTIONS - 1, Mark.PROBLEM), (CONNECTIONS, Mark.WARNING), (CONNECTIONS + 1, Mark.OK)]
    )
    @pytest.mark.parametrize("whose", ["ROLE postgres", "DATABASE {database}"])
    def test_connections_are_compared_with_the_limit(
        self, make_app: MakeApp, engine: sa.Engine, whose: str, limit: int, mark: Mark
    ) -> None:
        altered = f"ALTER {whose.format(database=engine.url.database)} CONNECTION LIMIT"
        with transaction(engine) as connection:
            connection.exec_driver_sql(f"{altered} {limit}")
        try:
            finding = one(check(make_app()), "connections")
        finally:
            with transaction(engine) as connection:
                connection.exec_driver_sql(f"{altered} -1")
        assert finding.mark is mark
        assert ("CONNECTION LIMIT" in finding.next_step) == (mark is not Mark.OK)

    def test_clock_that_differs_is_named(self, make_app: MakeApp) -> None:
        app = make_app()
        app.gateway = FakeGateway()  # the real one would wait for this clock to move
        app.clock = FakeClock(datetime.now(UTC) - timedelta(minutes=2))
        assert is_problem(one(check(app), "clock"), "behind the database", "NTP")

    def test_no_run_yet_is_advice(self, make_app: MakeApp) -> None:
        assert one(check(make_app()), "last run").mark is Mark.WARNING

    @pytest.mark.parametrize(("minutes", "ended"), [(16, "finished"), (1, "failed")])
    def test_last_run_that_is_old_or_failed_is_named(
        self, make_app: MakeApp, engine: sa.Engine, minutes: int, ended: str
    ) -> None:
        started = datetime.now(UTC) - timedelta(minutes=minutes)
        with transaction(engine) as connection:
            connection.execute(
                sa.insert(run).values(
                    id="r", command="run-once", host="h", version="1", started_at=started, ended_at=started, ended=ended
                )
            )
        assert is_problem(one(check(make_app()), "last run"), ended)


class TestHost:
    def test_media_folder_that_is_not_there_is_named(self, make_app: MakeApp, tmp_path: Path) -> None:
        found = check(make_app(PAYPOLL_TICKETS__MEDIA_FOLDER=str(tmp_path / "nowhere")))
        assert is_problem(one(found, "media folder"), "nowhere", "tickets.media_folder")

    def test_media_folder_as_the_guide_makes_it_passes(self, tmp_path: Path) -> None:
        # The service is let into `tickets` alone; the folder above it is not to be written.
        (tmp_path / "tickets").mkdir()
        assert _there_below(tmp_path, tmp_path / "tickets/pdfs") == tmp_path / "tickets"
        assert _there_below(tmp_path / "gone", tmp_path / "gone/tickets/pdfs") == tmp_path / "gone"

    def test_media_folder_that_is_a_file_is_named(self, make_app: MakeApp, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        assert is_problem(one(check(make_app(PAYPOLL_TICKETS__MEDIA_FOLDER=str(tmp_path / "file"))), "media folder"))

    def test_check_leaves_nothing_in_the_media_folder(self, make_app: MakeApp, tmp_path: Path) -> None:
        assert one(check(make_app()), "media folder").mark is Mark.OK
        assert list((tmp_path / "media").iterdir()) == []

    def test_no_media_folder_is_skipped(self, make_app: MakeApp) -> None:
        unset = one(check(make_app(PAYPOLL_TICKETS__MEDIA_FOLDER="")), "media folder")
        assert (unset.mark, "its scanner rejects" in unset.text) == (Mark.WARNING, True)

    def test_folder_of_the_metrics_that_is_not_there_is_named(self, make_app: MakeApp, tmp_path: Path) -> None:
        found = check(make_app(PAYPOLL_METRICS__TEXTFILE=str(tmp_path / "gone" / "paypoll.prom")))
        assert is_problem(one(found, "metrics.textfile"), "gone")

    def test_folder_of_the_report_may_be_still_to_be_made(self, make_app: MakeApp, tmp_path: Path) -> None:
        found = check(make_app(PAYPOLL_REPORT__FOLDER=str(tmp_path / "report")))
        assert one(found, "report.folder").mark is Mark.OK
        found = check(make_app(PAYPOLL_REPORT__FOLDER=str(tmp_path / "gone" / "report")))
        assert is_problem(one(found, "report.folder"), "gone")

    def test_template_folder_that_is_not_there_is_named(self, make_app: MakeApp, tmp_path: Path) -> None:
        found = check(make_app(PAYPOLL_TICKETS__TEMPLATE_FOLDER=str(tmp_path / "gone")))
        assert is_problem(one(found, "template folder"), "gone", "tickets.template_folder")

    def test_printer_that_fails_is_named(self, make_app: MakeApp) -> None:
        app = make_app()
        app.printer = FakePrinter(broken="ticket.html, line 7: broken")
        assert is_problem(one(check(app), "ticket printer"), "line 7")

    def test_stamping_that_is_off_or_does_not_work_for_a_template_is_named(
        self, make_app: MakeApp, tmp_path: Path
    ) -> None:
        (tmp_path / "ticket.css").write_text("article p { float: left } article + article { break-before: page }")
        found = {}
        for stamping in ("false", "true"):
            app = make_app(PAYPOLL_TICKETS__TEMPLATE_FOLDER=str(tmp_path), PAYPOLL_TICKETS__STAMPING=stamping)
            printer = WeasyTicketPrinter(template_folder=tmp_path, stamping=app.settings.tickets.stamping)
            looked = check_printing(printer, app.settings)
            (found[stamping],) = (finding for finding in looked if finding.topic == "stamping")
        assert (found["false"].mark, "tickets.stamping" in found["false"].text) == (Mark.OK, True)
        assert (found["true"].mark, "docs/templates.md" in found["true"].next_step) == (Mark.WARNING, True)

    @pytest.mark.parametrize(
        ("enabled", "active", "mark", "step"),
        [
            ("enabled", "active", Mark.OK, ""),
            ("enabled", "inactive", Mark.PROBLEM, "systemctl start paypoll.timer"),
            ("disabled", "inactive", Mark.PROBLEM, "systemctl enable --now paypoll.timer"),
            ("not-found", "inactive", Mark.PROBLEM, "systemctl enable --now paypoll.timer"),
        ],
    )
    def test_timer_is_asked_for(
        self,
        make_app: MakeApp,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
        enabled: str,
        active: str,
        mark: Mark,
        step: str,
    ) -> None:
        stand_in = tmp_path / "systemctl"
        stand_in.write_text(
            f'#!/bin/sh\ncase "$*" in "is-enabled paypoll.timer") echo {enabled};; *) echo {active};; esac'
        )
        stand_in.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        (finding,) = check_timer(systemd=tmp_path)
        assert (finding.mark, finding.next_step) == (mark, step)

    @pytest.mark.parametrize(
        ("fires_in", "reload", "step"),
        [
            (200, "no", ""),
            (None, "no", ""),
            (90_000, "no", "systemctl restart"),
            (-600, "no", "systemctl restart"),
            (None, "yes", "systemctl daemon-reload"),
        ],
    )
    def test_timer_that_waits_for_a_wrong_time_or_is_an_old_one_is_stale(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fires_in: int | None, reload: str, step: str
    ) -> None:
        following = "" if fires_in is None else f"@{int(time.time()) + fires_in}"
        stand_in = tmp_path / "systemctl"
        stand_in.write_text(
            '#!/bin/sh\ncase "$*" in is-enabled*) echo enabled;; is-active*) echo active;; "show --timestamp=unix "*)'
            f" echo NextElapseUSecRealtime={following}; echo NeedDaemonReload={reload};; esac"
        )
        stand_in.chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
        (finding,) = check_timer(systemd=tmp_path)
        assert (finding.mark is Mark.PROBLEM, finding.next_step.startswith(step)) == (bool(step), True)

    def test_timer_without_systemd_is_skipped(self, make_app: MakeApp, tmp_path: Path) -> None:
        (finding,) = check_timer(systemd=tmp_path / "nowhere")
        assert finding.mark is Mark.SKIPPED


class TestCommand:
    def test_wrong_settings_are_listed_and_the_rest_is_skipped(self, paypoll: "Command") -> None:
        done = paypoll("check", PAYPOLL_MAIL__TLS="perhaps", PAYPOLL_SITE__CURRENCY="pounds")
        assert done.returncode == 78
        problems = [line for line in done.stdout.splitlines() if line.startswith("PROBLEM settings: ")]
        assert len(problems) == 2
        assert "SKIPPED everything else" in done.stdout

    def test_secret_that_everybody_can_read_is_a_problem(self, paypoll: "Command", settings_file: Path) -> None:
        settings_file.chmod(0o644)
        done = paypoll("check")
        assert done.returncode == 78
        assert "sumup.api_key" in done.stdout
        assert API_KEY not in done.stdout + done.stderr

    def test_json_has_every_finding_and_the_exit_status(self, paypoll: "Command") -> None:
        done = paypoll("check", "--json", PAYPOLL_SUMUP__TRIES="1")
        printed = json.loads(done.stdout)
        # Neither SumUp nor the mail server is there; nothing else is wrong.
        assert done.returncode == printed["exit"] == 75
        problems = [finding["topic"] for finding in printed["findings"] if finding["mark"] == "PROBLEM"]
        assert problems == ["SumUp", "mail server"]
        assert printed["schema"] == 1


class TestSoldPlaces:
    """The shop's count of what was sold, which its pages go by, beside the tickets."""

    @pytest.mark.parametrize(
        ("capacity", "sold", "issued", "is_far"),
        [
            (100, 2, 2, False),
            (100, 7, 2, False),
            (100, 8, 2, True),
            (5000, 200, 2, False),
            (5000, 300, 2, True),
            (3, 3, 2, True),
            (2, 1, 2, True),
            (2, 2, 2, False),
        ],
    )
    def test_event_whose_count_is_far_from_its_tickets_is_named_with_the_sql(
        self, desk: "Desk", make_app: MakeApp, capacity: int, sold: int, issued: int, is_far: bool
    ) -> None:
        starts = datetime.now(UTC) + timedelta(days=3)
        desk.shop.update(
            "events_event",
            desk.event,
            capacity=capacity,
            tickets_sold=sold,
            event_date=starts.date(),
            title="A\x1b[1mB",
        )
        buyer = desk.shop.add_user("buyer@example.org")
        for number, status in enumerate(["valid", "used", "cancelled", "refunded"]):
            desk.shop.insert(
                "events_ticket", ticket_number=f"T-{number}", event_id=desk.event, customer_id=buyer, status=status
            )
        assert issued == 2
        found = one(check(make_app()), "sold places")
        assert found.mark is (Mark.WARNING if is_far else Mark.OK)
        if is_far:
            assert (
                f"{capacity} places and 2 tickets that admit somebody, and the shop counts {sold} as sold" in found.text
            )
            assert "\x1b" not in found.text
            where = f"WHERE id = {desk.event} AND tickets_sold = {sold};"
            assert found.next_step.endswith(f": UPDATE events_event SET tickets_sold = 2 {where}")  # noqa: S608 - only compared

    def test_event_that_is_over_is_not_named(self, desk: "Desk", make_app: MakeApp) -> None:
        yesterday = (datetime.now(UTC) - timedelta(days=2)).date()
        desk.shop.update("events_event", desk.event, tickets_sold=99, event_date=yesterday)
        assert one(check(make_app()), "sold places").mark is Mark.OK
